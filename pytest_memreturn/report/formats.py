"""The formats of report files: what each is called, and what writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pytest_memreturn.report.json_report import json_report
from pytest_memreturn.report.markdown_report import markdown_report

if TYPE_CHECKING:
    from pytest_memreturn.report.run import Run


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a run to a file: piece by piece, as text.

    `needs`: a module that is only there with an extra of this package, which has the format's name.
    """

    suffix: str
    render: Callable[[Run], Iterator[str]]
    needs: str | None = None

    def missing(self, name: str) -> str | None:
        """What this format, called `name`, is without and how to get it; ``None`` if it is there.

        Found and not imported: what a judged test is the first to import is for that test to pay.
        """
        if self.needs is None or find_spec(self.needs) is not None:
            return None
        return f"needs {self.needs}: pip install pytest-memreturn[{name}]"


def _html_report(run: Run) -> Iterator[str]:
    # Late: it takes modules that no other format needs.
    from pytest_memreturn.report.html_report import html_report

    return html_report(run)


# By the name that stands before the colon in FORMAT:PATH.
FORMATS: Mapping[str, Format] = {
    "json": Format(".json", json_report),
    "md": Format(".md", markdown_report),
    "html": Format(".html", _html_report, needs="jinja2"),
}
