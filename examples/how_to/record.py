"""Write what the how-to pages show of these tests: ``python examples/how_to/record.py [NAME...]``.

Each run is pytest in a process of its own; what it says of its tests goes to
``docs/how-to/output/NAME.txt``. ``tests/real/test_how_to_examples.py`` makes the same runs and
checks that they end as they did when that was written.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OUTPUT = ROOT / "docs" / "how-to" / "output"
README = ROOT / "README.md"

PASSED, FAILED = 0, 1
CAUSE = re.compile(r"^ +cause +([a-z-]+):", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """One run, and how it ends."""

    name: str
    test: str
    # Where it lies, and is run.
    folder: Path = HERE
    options: tuple[str, ...] = ()
    status: int = FAILED
    # Whether a page shows what it says, and which lines of it.
    shown: str | None = None
    needs: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    # Takes a minute: it runs again what retained.
    is_long: bool = False


_MESSAGE = r"(?ms)^_+ .*?(?=^=+ )"
_SUMMARY = r"(?ms)^=+ memory returned.*?(?=^=+ \d)"
_MEMRAY = ("-p", "pytest_memray.plugin", "--memray")

# The one whose message the README quotes, which cannot include a file.
QUOTED = "previews"
_QUOTATION = re.compile(r"(?<=```text\n)_+ test_previews _+\n.*?(?=```)", re.DOTALL)

EXAMPLES = (
    Example(QUOTED, "test_json.py::test_previews", HERE.parent, shown=_MESSAGE),
    Example("titles", "test_titles_before.py", shown=_MESSAGE),
    Example(
        "titles-explained",
        "test_titles_before.py",
        options=("-vv", "--memreturn-explain"),
        shown=_MESSAGE,
        is_long=True,
    ),
    Example("titles-after", "test_titles_after.py", status=PASSED),
    Example("heap", "test_heap.py::test_summaries", shown=_MESSAGE),
    Example("heap-trim", "test_heap.py::test_summaries_after_a_trim", status=PASSED),
    Example("view", "test_arrays.py::test_last_row_as_a_view", shown=_MESSAGE),
    Example("copy", "test_arrays.py::test_last_row_as_a_copy", status=PASSED),
    Example("reserved", "test_arrays.py::test_what_is_reserved_is_not_there_yet", status=PASSED),
    *(
        Example(
            name,
            f"test_frames.py::test_{test}",
            status=status,
            shown=_MESSAGE if status == FAILED else None,
            needs=("pandas", "polars", "pyarrow"),
        )
        for name, test, status in (
            ("frame", "one_row_of_a_frame", FAILED),
            ("frame-copy", "one_row_of_a_frame_as_a_copy", PASSED),
            ("arrow", "arrow_table", FAILED),
            ("arrow-release", "arrow_table_after_a_release", PASSED),
            ("polars", "polars_groups", PASSED),
        )
    ),
    Example("binding", "test_binding_before.py", shown=_MESSAGE),
    Example(
        "binding-explained",
        "test_binding_before.py",
        options=("--memreturn-explain",),
        shown=_MESSAGE,
        is_long=True,
    ),
    Example("binding-after", "test_binding_after.py", status=PASSED),
    Example("device", "device", shown=_MESSAGE),
    Example("unjudged", "unjudged", status=PASSED, shown=_SUMMARY),
    Example("unjudged-strict", "unjudged", options=("--memreturn-strict",), shown=_MESSAGE),
    Example("fixture-before", "test_fixture_before.py"),
    Example("fixture-after", "test_fixture_after.py", shown=_MESSAGE),
    Example("limit-leaks-before", "test_limit_leaks_before.py", options=_MEMRAY),
    Example("limit-leaks-after", "test_limit_leaks_after.py", shown=_MESSAGE),
    Example(
        "psleak-before",
        "test_psleak_before.py",
        needs=("psleak",),
        variables={"PYTHONMALLOC": "malloc", "PYTHONUNBUFFERED": "1"},
    ),
    Example("psleak-after", "test_psleak_after.py", shown=_MESSAGE),
)


def run(example: Example) -> subprocess.CompletedProcess[str]:
    """The run of an example, with no plugin but this one and those that it names."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull]
    return subprocess.run(
        [*command, "--rootdir=.", *example.options, example.test],
        cwd=example.folder,
        env={
            **os.environ,
            "COLUMNS": "92",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "pytest_memreturn.plugin",
            **example.variables,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def said(example: Example, output: str) -> str:
    """The part of an output that a page shows."""
    assert example.shown is not None
    found = re.search(example.shown, output)
    assert found is not None, output
    return found[0].rstrip() + "\n"


def quote(message: str) -> None:
    """Put a message into the README, in the place of that of another day."""
    text, count = _QUOTATION.subn(lambda _: message, README.read_text(encoding="utf-8"))
    assert count == 1, "the README quotes it once"
    README.write_text(text, encoding="utf-8")


def main() -> None:
    """Write what is shown, all of it or what is named."""
    for example in EXAMPLES:
        if example.shown is None or (sys.argv[1:] and example.name not in sys.argv[1:]):
            continue
        ended = run(example)
        assert ended.returncode == example.status, ended.stdout + ended.stderr
        OUTPUT.mkdir(exist_ok=True)
        text = said(example, ended.stdout)
        (OUTPUT / f"{example.name}.txt").write_text(text, encoding="utf-8")
        if example.name == QUOTED:
            quote(text)
        print(example.name)


if __name__ == "__main__":
    main()
