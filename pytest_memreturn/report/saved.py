"""A JSON report read back, of this version or an older one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_memreturn._record import Record
from pytest_memreturn.report.json_report import SCHEMA_VERSION
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.tally import Tally


class SavedReportError(ValueError):
    """A file that can't be read as a report; its text names the file and what is wrong with it."""


def read_report(path: Path) -> Run:
    """The run that a JSON report was written of. Raises `SavedReportError`.

    What this version does not know in it is passed over, as the schema promises.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _error(path, error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise _error(path, "it is no text in UTF-8") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise _error(path, f"it is no JSON ({error})") from None
    if not isinstance(data, dict) or "schema_version" not in data:
        raise _error(path, "it is no report of pytest-memreturn: it has no schema_version")
    version = data["schema_version"]
    if type(version) is not int or version < 1:
        raise _error(path, f"its schema_version is {version!r}, which is none")
    if version > SCHEMA_VERSION:
        raise _error(
            path,
            f"it is of schema version {version}, and this pytest-memreturn reads versions up to "
            f"{SCHEMA_VERSION}: read it with the version that wrote it, or a newer one",
        )
    try:
        return _run(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _error(
            path, f"it is not as its schema says ({type(error).__name__}: {error})"
        ) from None


def _run(data: Mapping[str, Any]) -> Run:
    records = tuple(Record.from_dict(one) for one in data["tests"])
    partial = data.get("partial")
    if partial is not None:
        partial = Partial(str(partial["reason"]), tuple(map(str, partial.get("running", ()))))
    # Counted anew: what a reader is shown must add up.
    return Run(records, Tally.of(records), dict(data["environment"]), partial)


def _error(path: Path, problem: str) -> SavedReportError:
    return SavedReportError(f"cannot read {path}: {problem}")
