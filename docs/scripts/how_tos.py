"""The examples of the how-to pages: which runs there are, and how each ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from docs.scripts.runs import PYTEST, ROOT, ended

EXAMPLES_FOLDER = ROOT / "examples" / "how_to"
PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Example:
    """One run, and how it ends.

    `shown`: what of it a page shows, as a pattern. `needs`: modules that are not in the group
    `test`. `is_long`: it takes a minute, for it runs again what retained.
    """

    name: str
    test: str
    folder: Path = EXAMPLES_FOLDER
    options: tuple[str, ...] = ()
    status: int = FAILED
    shown: str | None = None
    needs: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    is_long: bool = False


_MESSAGE = r"(?ms)^_+ .*?(?=^=+ )"
_ENTRIES = r"(?ms)^(kept|grew) .*?(?=^$)"
_WATCHED = r"(?s)watch 1: kept .*?(?=\n\n)"
_SUMMARY = r"(?ms)^=+ memory returned.*?(?=^=+ \d)"
_MEMRAY = ("-p", "pytest_memray.plugin", "--memray")

EXAMPLES = (
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
    Example("watched-server", "server", shown=_WATCHED, needs=("uvicorn",)),
    Example("rounds", "test_rounds.py", shown=_ENTRIES),
    Example(
        "executor",
        "test_children.py::test_executor_left_running",
        EXAMPLES_FOLDER.parent,
        shown=_ENTRIES,
    ),
)


def run(example: Example) -> subprocess.CompletedProcess[str]:
    """The run of an example, with no plugin but this one and those that it names."""
    found = ended(
        example.folder,
        *PYTEST,
        *("-c", os.devnull, "--rootdir=.", *example.options, example.test),
        **example.variables,
    )
    if found.returncode != example.status:
        raise RuntimeError(
            f"{example.name} ended with {found.returncode} instead of {example.status}: "
            f"{found.stdout}{found.stderr}"
        )
    return found


def said(example: Example) -> str:
    """What a page shows of it."""
    assert example.shown is not None
    # Where this Python lies is nobody's business; and what pytest marks as an error is told apart
    # on a page without that.
    output = run(example).stdout.replace(sys.executable, "python")
    output = re.sub(r"^E {7}", "", output, flags=re.MULTILINE)
    found = re.search(example.shown, output)
    if found is None:
        raise RuntimeError(f"nothing in it is {example.shown!r}: {output}")
    return found[0].rstrip()
