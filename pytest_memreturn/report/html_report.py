"""The HTML report: one page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any

from pytest_memreturn._sizes import format_mib, format_size
from pytest_memreturn.report.advice import recommended
from pytest_memreturn.report.drawings.stacked_bar import fill
from pytest_memreturn.report.html_details import details
from pytest_memreturn.report.message import footprint_in_words
from pytest_memreturn.report.names import name_of, state_of
from pytest_memreturn.report.printable import printable
from pytest_memreturn.report.table import sorted_records

if TYPE_CHECKING:
    from jinja2 import Environment

    from pytest_memreturn.report.run import Run

_BETWEEN_ELEMENTS = re.compile(r">\s*\n\s*<")
_FILES = resources.files("pytest_memreturn.report") / "html"

# All details of a run together take no more than this, so that a page of 2,000 tests stays under
# 5 MB: those that retained most have theirs.
_DETAILS_CHARACTERS = 2_800_000


def html_report(run: Run) -> Iterator[str]:
    """The whole page, piece by piece.

    Whatever a test, a path or another program named is shown as text: escaped, with characters
    that would not print written out.
    """
    environment = _environment()
    style, script = _text("report.css"), _text("report.js")
    yield from environment.get_template("report.html.j2").generate(
        run=run,
        rows=_rows(run, environment),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _rows(run: Run, environment: Environment) -> Iterator[str]:
    """Each record as a part of the table, with its details while there is room."""
    row, panel = (
        environment.get_template("row.html.j2"),
        environment.get_template("details.html.j2"),
    )
    room = _DETAILS_CHARACTERS
    for number, record in enumerate(sorted_records(run.records), 1):
        shown = None
        if record.explanation is not None and room > 0:
            shown = _tight(panel.render(shown=details(record), number=number))
            room -= len(shown)
        yield _tight(row.render(record=record, number=number, details=shown))


def _environment() -> Environment:
    # Late: only who asks for such a report has Jinja2, and a judged test may be the first to
    # import it.
    import jinja2

    found = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"size": format_size, "mib": format_mib}
    found.filters |= {"footprint": footprint_in_words, "name": name_of, "state": state_of}
    found.globals |= {"fill": fill, "recommended": recommended}
    return found


def _shown(value: Any) -> Any:  # noqa: ANN401 - whatever a template names
    """Text from anywhere as it can be shown; what is markup already has no such text in it."""
    return printable(value) if type(value) is str else value


def _tight(markup: str) -> str:
    """Without line breaks between elements: a browser makes a node of each."""
    # What comes from outside has no angle brackets any more.
    return _BETWEEN_ELEMENTS.sub("><", markup)


def _text(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What tells a browser that this text, and no other, may run or style the page."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
