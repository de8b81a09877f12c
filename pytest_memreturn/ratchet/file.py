"""The file of the ratchet: a text that is stable, sorted, with a line for each entry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_memreturn._settings import GATES
from pytest_memreturn._sizes import parse_size
from pytest_memreturn.ratchet.entries import Entry, Key, Ratchet, grid_text, on_grid

FORMAT = "pytest-memreturn ratchet"
VERSION = 1

# Of what is no entry: enough to find it in the file.
_MOST_SHOWN = 200


class RatchetFileError(ValueError):
    """A file that can't be read as one of the ratchet; its text says what is wrong with it."""


def ratchet_text(ratchet: Ratchet) -> Iterator[str]:
    """The whole file, piece by piece."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "environment": {name: ratchet.environment[name] for name in sorted(ratchet.environment)},
    }
    yield json.dumps(head, indent=1).removesuffix("\n}")
    yield ',\n "tests": ['
    separator = "\n  "
    for key in sorted(ratchet.entries, key=lambda one: one.order):
        yield separator + json.dumps(_line(key, ratchet.entries[key]))
        separator = ",\n  "
    yield "\n ]\n}\n"


def _line(key: Key, entry: Entry) -> dict[str, str]:
    found = {"nodeid": key.nodeid}
    if key.label is not None:
        found["label"] = key.label
    return {**found, "retained": grid_text(entry.retained_bytes), "gate": entry.gate}


def read_ratchet(path: Path, name: str) -> Ratchet:
    """What a file says, called `name` in messages. Raises `RatchetFileError`.

    `FileNotFoundError` where there is none. Keys that this version does not know are passed over.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RatchetFileError(error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise RatchetFileError("it is no text in UTF-8") from None
    return parse_ratchet(text, name)


def parse_ratchet(text: str, name: str) -> Ratchet:
    """What the text of such a file says, called `name` in messages. Raises `RatchetFileError`."""
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise RatchetFileError(f"it is no JSON, or not all of it ({error})") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise RatchetFileError("it is no file of --memreturn-save")
    version = data.get("version")
    if type(version) is not int or version < 1:
        raise RatchetFileError(f"its version is {version!r}, which is none")
    if version > VERSION:
        raise RatchetFileError(
            f"it is of version {version}, and this pytest-memreturn reads versions up to {VERSION}"
        )
    return _ratchet(data, name)


def _ratchet(data: Mapping[str, Any], name: str) -> Ratchet:
    environment, tests = data.get("environment"), data.get("tests")
    if not isinstance(environment, dict):
        raise RatchetFileError("it has no environment")
    if not isinstance(tests, list):
        raise RatchetFileError("it has no tests")
    entries: dict[Key, Entry] = {}
    for one in tests:
        key, entry = _entry(one)
        if key in entries:
            raise RatchetFileError(f"{key.text} is listed twice")
        entries[key] = entry
    return Ratchet(environment, entries, name)


def _entry(data: object) -> tuple[Key, Entry]:
    if not isinstance(data, dict) or not isinstance(data.get("nodeid"), str):
        raise RatchetFileError(f"{_shown(data)} names no test")
    label, gate = data.get("label"), data.get("gate")
    if not (label is None or isinstance(label, str)) or gate not in GATES:
        raise RatchetFileError(f"{_shown(data)} is no entry")
    try:
        size = parse_size(data["retained"])
    except KeyError:
        raise RatchetFileError(f"{_shown(data)} has no size") from None
    except ValueError as error:
        raise RatchetFileError(f"{data['nodeid']}: {error}") from None
    return Key(data["nodeid"], label), Entry(on_grid(size), gate)


def _shown(data: object) -> str:
    text = json.dumps(data)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
