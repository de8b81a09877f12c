"""Ask every tool about every work-load, and write what they said.

    python -m benchmarks.alternatives [--case NAME,...] [--tool NAME,...]

Each pair runs in a fresh process, with nothing else going on. The whole of it is written to
`figures.json` and, as tables, to `figures.md` beside this file; a part is only printed. Needs
Linux with glibc, a compiler of C, and the dependency group `bench`. With re-runs, it takes a
quarter of an hour.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import importlib.util
import json
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.alternatives.cases import CASES, CHURN
from benchmarks.alternatives.matrix import compile_library, find
from benchmarks.alternatives.page import render
from benchmarks.alternatives.tools import NOTHING, TOOLS
from benchmarks.machine import version_of

HERE = Path(__file__).parent
ROUNDS = 3


def main() -> int:
    """0 when every pair was run; a tool that is not installed is an error, never a gap."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alternatives", description=__doc__)
    parser.add_argument("--case", help="some of the work-loads, by name")
    parser.add_argument("--tool", help="some of the tools, by name")
    asked = parser.parse_args()
    cases = [one for one in CASES if asked.case is None or one.name in asked.case.split(",")]
    tools = [one for one in TOOLS if asked.tool is None or one.name in asked.tool.split(",")]
    missing = {one.module for one in tools if importlib.util.find_spec(one.module) is None}
    if missing or not cases or not tools:
        print(f"not installed: {', '.join(sorted(missing))}" if missing else "nothing to do")
        return 2
    with tempfile.TemporaryDirectory(prefix="alternatives-") as name:
        folder = Path(name)
        library = compile_library(folder)
        cells: dict[str, dict[str, Any]] = {}
        for case in cases:
            for tool in tools:
                found = find(case, tool, folder, library)
                cells.setdefault(case.name, {})[tool.name] = dataclasses.asdict(found)
                said = "alarm" if found.alarm else "silent"
                print(f"{case.name} · {tool.name}: {said} {' '.join(found.names)}", flush=True)
        if asked.case is not None or asked.tool is not None:
            return 0
        costs = {
            tool.name: min(find(CHURN, tool, folder, library).cpu_seconds for _ in range(ROUNDS))
            for tool in (NOTHING, *TOOLS)
            # psleak calls its function some hundred times: its costs are no addition.
            if tool.name not in {"psleak", "memreturn-explain"}
        }
    everything = {
        "environment": {"machine": machine(), "versions": dict(versions())},
        "cells": cells,
        "costs": costs,
    }
    text = json.dumps(everything, indent=1) + "\n"
    (HERE / "figures.json").write_text(text, encoding="utf-8")
    (HERE / "figures.md").write_text(render(everything), encoding="utf-8")
    return 0


def machine() -> str:
    """What it was measured on, without the name of anybody's machine."""
    kernel = ".".join(platform.release().partition("-")[0].split(".")[:2])
    return (
        f"{platform.system()} {kernel}, {' '.join(platform.libc_ver())}, "
        f"CPython {platform.python_version()}, on {dt.datetime.now(tz=dt.UTC).date()}"
    )


def versions() -> Iterator[tuple[str, str]]:
    """Every tool's, and pytest's."""
    for name in dict.fromkeys(["pytest", *(one.distribution for one in TOOLS)]):
        found = version_of(name)
        assert found is not None, f"{name} is installed"
        yield name, found


if __name__ == "__main__":
    sys.exit(main())
