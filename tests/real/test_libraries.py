"""The libraries that people meet: what they keep and what they drop has a name."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.extended

MIB = 1024 * 1024

Judge = Callable[..., dict[str, Any]]
Check = Callable[[dict[str, Any]], None]

# By library: what has to be importable; then the cause of what is kept, and of what is left when
# it was dropped, at the gates `collect` and `trim` each. None is returned.
CAUSES: dict[str, tuple[str, tuple[str, str], tuple[str | None, str | None]]] = {
    "pandas": ("pandas", ("live-python", "live-python"), (None, None)),
    "csv": ("pandas", ("held-by-malloc", "live-python"), ("held-by-malloc", None)),
    "lxml": ("lxml", ("live-native", "live-native"), ("held-by-malloc", None)),
    "pyarrow": ("pyarrow", ("live-python", "live-python"), ("held-by-pyarrow", None)),
    # The jemalloc inside polars tells nobody what it holds.
    "polars": ("polars", ("mapped", "mapped"), (None, None)),
    "polars_groups": ("polars", ("mapped", "mapped"), (None, None)),
    "sqlite3": ("sqlite3", ("live-native", "live-native"), ("held-by-malloc", None)),
    "pillow": ("PIL", ("held-by-malloc", "live-native"), (None, None)),
    "sklearn": ("sklearn", ("live-native", "live-native"), (None, None)),
    "torch": ("torch", ("live-python", "live-python"), (None, None)),
    "numpy": ("numpy", ("live-python", "live-python"), (None, None)),
}

# What is freed at the top of the heap goes back by itself, if no small block that stays happens to
# lie above it: so that it is the same each time, it never does.
NO_TRIM = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
VARIABLES = {"lxml": NO_TRIM, "sqlite3": NO_TRIM}


def needs_room(library: str) -> bool:
    """Whether a library keeps some MiB of what it has freed for minutes, as polars does."""
    return library.startswith("polars")


@pytest.fixture
def installed(library: str) -> None:
    """Leave out, and say so, what needs a library that is not installed."""
    needed = CAUSES[library][0]
    if importlib.util.find_spec(needed) is None:
        left_out = f"left out: {needed} is not installed"
        if os.environ.get("MEMRETURN_TEST_EVERYTHING"):
            pytest.fail(left_out)
        pytest.skip(left_out)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("trim", [False, True], ids=["collect", "trim"])
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "dropped"])
@pytest.mark.parametrize("library", CAUSES)
def test_verdict_and_cause(
    judge: Judge, check_ledger: Check, library: str, kept: bool, trim: bool
) -> None:
    """At both gates, with next to nothing unexplained."""
    options = ["--memreturn-trim"] if trim else []
    if needs_room(library):
        options.append("--memreturn-max-retained=8 MiB")
    workload = f"test_{library}_{'kept' if kept else 'dropped'}"
    record = judge(
        workload, *options, source="workloads_libraries.py", variables=VARIABLES.get(library)
    )
    _, causes_kept, causes_dropped = CAUSES[library]
    cause = (causes_kept if kept else causes_dropped)[trim]
    assert record["verdict"] == ("retained" if cause else "returned"), record
    assert record["cause"] == cause, record
    if cause is not None:
        check_ledger(record)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("library", ["polars_groups"])
def test_a_purge_in_the_background_is_waited_for(judge: Judge, library: str) -> None:
    """A frame that polars freed goes back by itself a little later, and the record says when."""
    workload = f"test_{library}_dropped"
    record = judge(workload, "--memreturn-max-retained=8 MiB", source="workloads_libraries.py")
    assert record["verdict"] == "returned", record
    assert 0 < record["settled_seconds"] <= 3.5
    at_once = judge(
        workload,
        "--memreturn-max-retained=8 MiB",
        "--memreturn-settle=0",
        source="workloads_libraries.py",
    )
    assert at_once["verdict"] == "retained", at_once


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("library", ["torch"])
def test_torch_on_a_cpu_is_quiet(judge: Judge, library: str) -> None:
    """Without a device there is no account of it, and nothing is initialised by asking."""
    record = judge(f"test_{library}_kept", source="workloads_libraries.py")
    assert not [name for name in (*record["ledger"], *record["shown"]) if "torch" in name]
    assert "torch" not in [one["name"] for one in record["explanation"]["allocators"]]
