"""The figures that the docs quote."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import FIGURES, measured
from benchmarks.plan import Plan
from benchmarks.tables import Table


def measure(plan: Plan) -> Iterator[Table]:
    """Every figure of `figures.py`."""
    table = Table("Figures in the docs", ("figure", "measured"))
    for figure in FIGURES[:1] if plan.quick else FIGURES:
        for line in measured(figure.__name__):
            table.add(figure.__name__, line)
    yield table
