"""A JSON report read back, of this version or an older one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_memreturn._record import Record
from pytest_memreturn.report.json_report import SCHEMA_VERSION
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.schema_check import problem_in
from pytest_memreturn.report.tally import Tally


class SavedReportError(ValueError):
    """A file that can't be read as a report; its text names the file and what is wrong with it."""


def read_report(path: Path) -> Run:
    """The run that a JSON report was written of. Raises `SavedReportError`.

    What this version does not know in it is passed over, as the schema promises.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise _error(str(path), error.strerror or str(error)) from None
    return parse_report(text, str(path))


def parse_report(text: bytes, name: str) -> Run:
    """The same for the text of a report; `name` is what an error calls it."""
    try:
        # Some shells put a mark of byte order before what they write to a file.
        data = json.loads(text.decode("utf-8-sig"), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise _error(name, "it is no text in UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise _error(name, f"it is no JSON ({error})") from None
    if not isinstance(data, dict) or "schema_version" not in data:
        raise _error(name, "it is no report of pytest-memreturn: it has no schema_version")
    version = data["schema_version"]
    if type(version) is not int or version < 1:
        raise _error(name, f"its schema_version is {version!r}, which is none")
    if version > SCHEMA_VERSION:
        raise _error(
            name,
            f"it is of schema version {version}, and this pytest-memreturn reads versions up to "
            f"{SCHEMA_VERSION}: read it with the version that wrote it, or a newer one",
        )
    if (problem := problem_in(data)) is not None:
        raise _error(name, f"it is not as its schema says ({problem})")
    try:
        return _run(data)
    except (KeyError, TypeError, ValueError) as error:
        raise _error(
            name, f"it is not as its schema says ({type(error).__name__}: {error})"
        ) from None


def _refuse(constant: str) -> float:
    msg = f"{constant} is no number there"
    raise ValueError(msg)


def _run(data: Mapping[str, Any]) -> Run:
    records = tuple(Record.from_dict(one) for one in data["tests"])
    partial = data.get("partial")
    if partial is not None:
        partial = Partial(partial["reason"], tuple(partial.get("running", ())))
    # Counted anew: what a reader is shown must add up.
    return Run(records, Tally.of(records), dict(data["environment"]), partial)


def _error(name: str, problem: str) -> SavedReportError:
    return SavedReportError(f"cannot read {name}: {problem}")
