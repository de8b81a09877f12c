"""The house as it is drawn: which room may import which."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_memreturn

PACKAGE = "pytest_memreturn"
ROOT = Path(pytest_memreturn.__file__).parent

# From the ground up: a room imports only from its own floor and from those before it.
FLOORS = (
    ("_sizes",),
    ("_errors",),
    ("_outside",),
    ("_snapshot",),
    ("_processes",),
    ("_ranges",),
    ("_accounts",),
    ("_pairs",),
    ("_pools",),
    ("_ledger",),
    ("_free_parts",),
    ("_tree_ledger",),
    ("_values",),
    ("_settings",),
    ("_allowance",),
    ("_verdict",),
    ("_growth",),
    ("_round_points",),
    ("_explanation",),
    ("_regions",),
    ("_record",),
    ("_scopes",),
    ("_checkup",),
    ("_release_calls",),
    ("_failures",),
    ("probes",),
    ("_ground",),
    ("allocators",),
    ("_release",),
    ("_instruments",),
    ("_opening",),
    ("_books",),
    ("_findings",),
    ("_by_rounds",),
    ("_measurement",),
    ("_window",),
    ("_settle",),
    ("_recorder",),
    ("_round_watch",),
    ("remote",),
    ("_watcher",),
    ("explain",),
    ("report",),
    ("_xdist",),
    ("_ending",),
    ("ratchet",),
    ("fresh",),
    ("reruns",),
    ("isolation",),
    ("_measure",),
    ("_once",),
    ("_watch",),
    ("doctor",),
    ("_marks",),
    ("_options",),
    ("hookspecs",),
    ("_additions",),
    ("_progress",),
    ("_properties",),
    ("_test_report",),
    ("_torn_down",),
    ("_lifetimes",),
    ("_between_rounds",),
    ("_rounds",),
    ("_ratchet_run",),
    ("_session", "_fixture", "_run_report"),
    ("_wide_windows",),
    ("_isolation",),
    ("plugin",),
    ("testing",),
    ("commands",),
    ("__main__",),
)
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
}
# The front door names what is public and loads it when it is asked for.
ROOMS = {name: path for name, path in MODULES.items() if name != "__init__"}


def imported_by(source: str) -> Iterator[str]:
    """Every module that is imported, wherever in the source, and for whatever reason."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            assert node.module is not None
            if node.module == PACKAGE:
                yield from (f"{PACKAGE}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def rooms_imported_by(source: str) -> set[str]:
    """The rooms of this package among them."""
    names = [name.split(".") for name in imported_by(source)]
    return {parts[1] for parts in names if parts[0] == PACKAGE and len(parts) > 1}


def outsiders_imported_by(name: str) -> set[str]:
    """The other packages that a module imports."""
    source = ROOMS[name].read_text(encoding="utf-8")
    return {found.split(".")[0] for found in imported_by(source)} - {PACKAGE}


def room_of(name: str) -> str:
    """Which room a module is in."""
    return name.partition(".")[0]


def downward(room: str, source: str) -> set[str]:
    """The rooms that a module of this room must not import, and does."""
    return {found for found in rooms_imported_by(source) if FLOOR_OF[found] > FLOOR_OF[room]}


def test_every_room_is_drawn() -> None:
    """A new module has a place in the order, and the order has no room that is gone."""
    assert {room_of(name) for name in ROOMS} == FLOOR_OF.keys()


@pytest.mark.parametrize("name", ROOMS)
def test_imports_point_one_way(name: str) -> None:
    """No module imports from a later room, not even for its types alone."""
    assert downward(room_of(name), ROOMS[name].read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "source",
    [
        "from pytest_memreturn.report.table import render_table",
        "from pytest_memreturn import report",
        "import pytest_memreturn.report.table as table",
        "if TYPE_CHECKING:\n    from pytest_memreturn.report import table",
        "def late():\n    from pytest_memreturn.report import table",
    ],
)
def test_a_downward_import_would_be_seen(source: str) -> None:
    """However it is written."""
    assert downward("_ledger", source) == {"report"}
    assert downward("_measure", source) == set()


@pytest.mark.parametrize("name", [name for name in ROOMS if room_of(name) == "report"])
def test_a_report_neither_measures_nor_decides(name: str) -> None:
    """What writes reports knows no probe, no recorder, and not how a verdict is found."""
    found = rooms_imported_by(ROOMS[name].read_text(encoding="utf-8"))
    assert not found & {
        "probes",
        "allocators",
        "_release",
        "_recorder",
        "explain",
        "_settings",
        "_allowance",
    }
    assert not outsiders_imported_by(name) & {"pytest", "psutil", "ctypes"}


PURE = (
    "_sizes",
    "_errors",
    "_outside",
    "_snapshot",
    "_processes",
    "_accounts",
    "_pairs",
    "_pools",
    "_ledger",
    "_free_parts",
    "_tree_ledger",
    "_settings",
    "_allowance",
    "_verdict",
    "_growth",
    "_round_points",
    "_explanation",
    "_regions",
    "_record",
    "_checkup",
    "_ground",
    "_by_rounds",
    "_measurement",
    "_window",
)


@pytest.mark.parametrize("name", PURE)
def test_pure_rooms_touch_nothing(name: str) -> None:
    """They compute: no files, no processes, no pytest."""
    allowed = {
        "__future__",
        "array",
        "collections",
        "contextlib",
        "dataclasses",
        "fractions",
        "math",
        "re",
        "statistics",
        "types",
        "typing",
    }
    assert outsiders_imported_by(name) <= allowed


@pytest.mark.parametrize(
    ("outsider", "rooms"),
    [
        ("ctypes", {"probes", "allocators", "explain", "remote"}),
        ("psutil", {"probes", "allocators"}),
        ("mmap", {"probes"}),
        ("gc", {"_release", "explain", "reruns", "remote"}),
        ("subprocess", {"fresh", "reruns"}),
        ("jinja2", {"report"}),
    ],
)
def test_only_some_rooms_reach_outside(outsider: str, rooms: set[str]) -> None:
    """Reading the outside world and changing the process have their places."""
    users = {room_of(name) for name in ROOMS if outsider in outsiders_imported_by(name)}
    assert users, f"nobody uses {outsider}: this line is no check any more"
    assert users <= rooms


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_in_one_line_what_it_is_for(name: str) -> None:
    """A docstring whose first line is a whole sentence."""
    docstring = ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    assert docstring is not None
    first, *rest = docstring.split("\n")
    assert first.endswith(".")
    assert not rest or not rest[0], "the line after the first one is empty"


def test_loading_the_plugin_is_cheap(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pytest loads in every run brings neither the probes nor anything dear."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT.parent))
    found = pytester.run(
        sys.executable,
        "-c",
        "import pytest, sys\n"
        "before = set(sys.modules)\n"
        "import pytest_memreturn.plugin\n"
        "print(sorted(set(sys.modules) - before))",
    )
    assert found.ret == 0
    assert [ast.literal_eval(line) for line in found.outlines] == [
        [
            "pytest_memreturn",
            "pytest_memreturn._marks",
            "pytest_memreturn._options",
            "pytest_memreturn.hookspecs",
            "pytest_memreturn.plugin",
        ]
    ]


# What makes code of data, or data of code, or starts something.
_DANGEROUS_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "subprocess"}
# But for this interpreter once more, and a program that lists libraries; no text of others.
_STARTERS = {("fresh", "process.py"), ("reruns", "run.py"), ("reruns", "installed.py")}
_DANGEROUS_CALLS = {"eval", "exec", "compile", "system", "popen"}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.name)
def test_no_data_becomes_code(path: Path) -> None:
    """Reports and records are plain data, wherever they come from, and nothing else is started."""
    starts = (path.parent.name, path.name) in _STARTERS
    dangerous = _DANGEROUS_MODULES - ({"subprocess"} if starts else set())
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {one.name.partition(".")[0] for one in node.names} & dangerous
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in dangerous
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in _DANGEROUS_CALLS
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            assert owner != "os" or node.func.attr not in _DANGEROUS_CALLS
