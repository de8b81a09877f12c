"""Reports of pytest as JSON, as pytest-xdist would send them, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_memreturn.isolation.sections import all_shortened

if TYPE_CHECKING:
    import pytest


def report_data(config: pytest.Config, report: pytest.TestReport) -> dict[str, Any]:
    """What `report_of` reads; output that is very long is shortened."""
    data: dict[str, Any] = config.hook.pytest_report_to_serializable(config=config, report=report)
    data["sections"] = all_shortened(data.get("sections", ()))
    return data


def report_of(config: pytest.Config, data: dict[str, Any]) -> pytest.TestReport:
    """The report, with tuples where JSON has lists and pytest, or who reads it, wants tuples."""
    found = dict(data)
    for name in ("sections", "user_properties"):
        found[name] = [tuple(one) for one in found.get(name, ())]
    found["location"] = tuple(found["location"])
    if isinstance(found.get("longrepr"), list):  # of a test that was skipped: file, line, reason
        found["longrepr"] = tuple(found["longrepr"])
    report: pytest.TestReport = config.hook.pytest_report_from_serializable(
        config=config, data=found
    )
    return report
