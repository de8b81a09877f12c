"""Compares the mutants that survived a run of mutmut with those that are argued for."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ARGUED = Path(__file__).with_name("survivors.toml")
# Every mutant has a name of its module, its function (with the class before it) and its number.
NAME = re.compile(r"pytest_memreturn\.(?P<module>\w+)\.x(ǁ\w+ǁ|_)(?P<function>\w+)__mutmut_\d+")


def mutmut(*arguments: str) -> str:
    """What a command of mutmut prints."""
    run = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments], check=True, capture_output=True, text=True
    )
    return run.stdout


def lines_of(name: str) -> str:
    """What a mutant has in place of what it takes away."""
    changed = re.findall(r"(?m)^\+(?!\+\+)(.*)$", mutmut("show", name))
    return " ".join(line.strip() for line in changed)


def survivors() -> list[tuple[str, str]]:
    """The function and the new lines of every mutant that no test has killed."""
    found = []
    for line in mutmut("results").splitlines():
        name, _, outcome = (part.strip() for part in line.partition(":"))
        function = NAME.fullmatch(name)
        if function is None:
            sys.exit(f"not understood: {line}")
        if outcome in {"killed", "timeout"}:
            continue
        if outcome not in {"survived", "no tests"}:
            sys.exit(f"{name}: {outcome}")
        found.append((f"{function['module']}.{function['function']}", lines_of(name)))
    return found


def main() -> None:
    """Name what differs, and fail if anything does."""
    entries = tomllib.loads(ARGUED.read_text(encoding="utf-8"))["survivor"]
    argued = {(entry["function"], entry["becomes"]) for entry in entries}
    found = set(survivors())
    for function, becomes in sorted(found - argued):
        sys.stdout.write(f"survived, and nobody says why: {function}: {becomes}\n")
    for function, becomes in sorted(argued - found):
        sys.stdout.write(f"argued for, and does not survive: {function}: {becomes}\n")
    sys.stdout.write(f"{len(found)} survivors, {len(argued)} argued for\n")
    sys.exit(found != argued)


if __name__ == "__main__":
    main()
