"""The file of the ratchet: what it looks like, and what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_memreturn._settings import Recorded, resolve
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.ratchet.entries import (
    DEFAULT_TOLERANCE_BYTES,
    Entry,
    Key,
    Ratchet,
    Tolerance,
    grid_text,
    on_grid,
)
from pytest_memreturn.ratchet.file import RatchetFileError, ratchet_text, read_ratchet
from pytest_memreturn.ratchet.surroundings import differences, surroundings

HERE: dict[str, Any] = {"python": "3.11", "allocators": ["malloc"], "variables": {}}
FULL = Ratchet(
    HERE,
    {
        Key("b.py::test_b"): Entry(10 * MIB, "trim"),
        Key("a.py::test_a", "load"): Entry(on_grid(3 * MIB + 1), "collect"),
        Key("a.py::test_a"): Entry(0, "collect"),
    },
    "m.json",
)
TEXT = """\
{
 "format": "pytest-memreturn ratchet",
 "version": 1,
 "environment": {
  "allocators": [
   "malloc"
  ],
  "python": "3.11",
  "variables": {}
 },
 "tests": [
  {"nodeid": "a.py::test_a", "retained": "0.0 MiB", "gate": "collect"},
  {"nodeid": "a.py::test_a", "label": "load", "retained": "3.1 MiB", "gate": "collect"},
  {"nodeid": "b.py::test_b", "retained": "10.0 MiB", "gate": "trim"}
 ]
}
"""


def test_a_file_is_sorted_and_has_a_line_for_each_entry() -> None:
    """So that a change of one test is a change of one line."""
    assert "".join(ratchet_text(FULL)) == TEXT


def test_a_file_without_entries_is_one() -> None:
    """A suite that retains nothing can be compared, too."""
    assert json.loads("".join(ratchet_text(Ratchet(HERE))))["tests"] == []


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    """With the name that messages call it by."""
    file = tmp_path / "m.json"
    file.write_text(TEXT, encoding="utf-8")
    assert read_ratchet(file, "m.json") == FULL
    assert FULL.retained_bytes == 13 * MIB + MIB // 10


def test_a_size_may_be_written_by_hand(tmp_path: Path) -> None:
    """Any size will do; what the file can't have is rounded up to what it can."""
    file = tmp_path / "m.json"
    file.write_text(TEXT.replace("10.0 MiB", "10 MB"), encoding="utf-8")
    entry = read_ratchet(file, "m.json").entries[Key("b.py::test_b")]
    assert grid_text(entry.retained_bytes) == "9.6 MiB"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(-5, "0.0 MiB"), (0, "0.0 MiB"), (1, "0.1 MiB"), (MIB, "1.0 MiB"), (MIB + 1, "1.1 MiB")],
)
def test_sizes_are_rounded_up(size_bytes: int, text: str) -> None:
    """Whoever is held to a size has kept no more than it."""
    assert grid_text(size_bytes) == text
    assert grid_text(on_grid(size_bytes)) == text


def entry(**keys: object) -> str:
    """A file with one entry that has these keys."""
    one = {"nodeid": "t", "retained": "1 MiB", "gate": "collect", **keys}
    return json.dumps(
        {
            "format": "pytest-memreturn ratchet",
            "version": 1,
            "environment": {},
            "tests": [{key: value for key, value in one.items() if value is not None}],
        }
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TEXT[:-5], "it is no JSON, or not all of it (Expecting ',' delimiter: line 15 column 1"),
        ("", "it is no JSON, or not all of it (Expecting value: line 1 column 1 (char 0))"),
        ("[" * 100_000, "it is no JSON, or not all of it ("),
        ("[]", "it is no file of --memreturn-save"),
        ('{"schema_version": 1, "tests": []}', "it is no file of --memreturn-save"),
        (TEXT.replace('version": 1', 'version": "x"'), "its version is 'x', which is none"),
        (TEXT.replace('version": 1', 'version": 0'), "its version is 0, which is none"),
        (TEXT.replace('version": 1', 'version": true'), "its version is True, which is none"),
        (
            TEXT.replace('version": 1', 'version": 2'),
            "it is of version 2, and this pytest-memreturn reads versions up to 1",
        ),
        (TEXT.replace('"environment"', '"x"'), "it has no environment"),
        (TEXT.replace('"tests"', '"x"'), "it has no tests"),
        (TEXT.replace("b.py::test_b", "a.py::test_a"), "a.py::test_a is listed twice"),
        (TEXT.replace('b.py::test_b"', 'a.py::test_a", "label": "load"'), "a.py::test_a [load] is"),
        (entry(nodeid=None), '{"retained": "1 MiB", "gate": "collect"} names no test'),
        (entry(nodeid=5), " names no test"),
        (entry(label=5), " is no entry"),
        (entry(nodeid="x" * 300, label=5), "xxx… is no entry"),
        (entry(gate="start"), " is no entry"),
        (entry(gate=None), " is no entry"),
        (entry(gate=[]), " is no entry"),
        (entry(retained=None), " has no size"),
        (entry(retained="ten"), "t: 'ten' is not a size: write whole bytes"),
        (entry(retained=-1), "t: -1 is negative"),
        (entry().replace('[{"nodeid"', '["t", {"nodeid"'), '"t" names no test'),
    ],
)
def test_what_is_no_such_file_says_why(tmp_path: Path, text: str, problem: str) -> None:
    """Cut off, of another kind, newer, or with an entry that can't be right."""
    file = tmp_path / "m.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RatchetFileError) as raised:
        read_ratchet(file, "m.json")
    assert problem in str(raised.value)


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    """A folder, bytes that are no text; that there is none is said by itself."""
    with pytest.raises(RatchetFileError, match="Is a directory"):
        read_ratchet(tmp_path, "m.json")
    (tmp_path / "m.json").write_bytes(b"\xff\xfe")
    with pytest.raises(RatchetFileError, match="it is no text in UTF-8"):
        read_ratchet(tmp_path / "m.json", "m.json")
    with pytest.raises(FileNotFoundError):
        read_ratchet(tmp_path / "none.json", "none.json")


@pytest.mark.parametrize(
    ("written", "recorded_bytes", "tolerance_bytes"),
    [
        (None, 0, DEFAULT_TOLERANCE_BYTES),
        (None, 50 * MIB, MIB),
        (None, 100 * MIB, 2 * MIB),
        (0, 100 * MIB, 0),
        (5 * MIB, 1, 5 * MIB),
    ],
)
def test_the_default_tolerance_grows_with_what_was_recorded(
    written: int | None, recorded_bytes: int, tolerance_bytes: int
) -> None:
    """A tolerance that somebody wrote stands as it is."""
    assert Tolerance(written).of(recorded_bytes) == tolerance_bytes


@pytest.mark.parametrize(
    ("key", "recorded"),
    [
        (Key("b.py::test_b"), None),
        (Key("a.py::test_a"), Recorded(0, 64 * KIB, "m.json")),
        (Key("a.py::test_a", "load"), Recorded(on_grid(3 * MIB + 1), 64 * KIB, "m.json")),
        (Key("a.py::test_a", "other"), None),
    ],
)
def test_an_entry_applies_at_its_own_gate(key: Key, recorded: Recorded | None) -> None:
    """To the test or the block it is of, and nothing else."""
    found = FULL.applied(resolve([]), key, Tolerance(64 * KIB))
    assert found.limits.recorded == recorded


REPORT_ENVIRONMENT: dict[str, Any] = {
    "python": "3.11.7",
    "implementation": "cpython",
    "libc": "glibc 2.36",
    "allocators": ["pyarrow", "python", "a-pool", "malloc"],
    "unavailable": {},
    "kernel": "Linux 6.18",
    "page_size": 4096,
    "huge_pages": "madvise",
    "variables": {"LD_PRELOAD": "/x.so", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "2"},
    "probe": "linux",
    "versions": {},
}


def test_of_an_environment_that_matters_which_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """No patch release, no kernel, no library, and no allocator that a library brings."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert surroundings(REPORT_ENVIRONMENT) == {
        "python": "3.11",
        "implementation": "cpython",
        "libc": "glibc 2.36",
        "machine": "x86_64",
        "allocators": ["malloc", "python"],
        "page_size": 4096,
        "huge_pages": "madvise",
        "variables": {"MALLOC_ARENA_MAX": "1"},
        "probe": "linux",
    }


def test_differences_are_said_in_words() -> None:
    """What was recorded first, and what is here behind it."""
    here = surroundings(REPORT_ENVIRONMENT)
    assert differences(here, here) == []
    there = {
        **here,
        "python": "3.12",
        "libc": None,
        "allocators": [],
        "variables": {"PYTHONMALLOC": "malloc"},
    }
    assert differences(there, here) == [
        "python 3.12 (here 3.11)",
        "libc unknown (here glibc 2.36)",
        "allocators none (here malloc, python)",
        "MALLOC_ARENA_MAX unset (here 1)",
        "PYTHONMALLOC malloc (here unset)",
    ]
    assert differences({}, {"variables": {}}) == ["variables unknown (here {})"]
