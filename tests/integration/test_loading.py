"""What loading the plugin costs a run that does not use it, and how it is switched off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_LOADED = """
import json, sys
import pytest
status = pytest.main(sys.argv[1:])
print()
print(json.dumps([int(status), sorted(sys.modules)]))
"""
_LIGHT = {
    "pytest_memreturn",
    "pytest_memreturn._marks",
    "pytest_memreturn._options",
    "pytest_memreturn.hookspecs",
    "pytest_memreturn.plugin",
}
_HEAVY = {"psutil", "ctypes", "pytest_memreturn._measure", "pytest_memreturn._recorder"}


def _modules(*arguments: str, plugin: bool = True) -> set[str]:
    environment = dict(os.environ)
    environment["PYTEST_PLUGINS"] = "pytest_memreturn.plugin" if plugin else ""
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0
    return set(modules)


@pytest.mark.parametrize("flags", [("--version",), ("--version", "--version")])
def test_loading_brings_nothing_else(pytester: pytest.Pytester, flags: tuple[str, ...]) -> None:
    """Neither psutil nor ctypes nor anything else is loaded that pytest would not load itself."""
    loaded, without = _modules(*flags), _modules(*flags, plugin=False)

    own = {name for name in loaded if name.startswith("pytest_memreturn")}
    assert loaded - own <= without
    assert not own & _HEAVY


def test_version_loads_the_options_at_most(pytester: pytest.Pytester) -> None:
    """``pytest --version`` with the list of plugins loads the declarations alone."""
    loaded = _modules("--version", "--version")

    assert {name for name in loaded if name.startswith("pytest_memreturn")} == _LIGHT


def test_unmarked_run_measures_nothing(pytester: pytest.Pytester) -> None:
    """A run without a marked test loads neither the instruments nor what they read with."""
    pytester.makepyfile(test_app="def test_it(): pass")

    added = _modules() - _modules(plugin=False)

    assert added >= _LIGHT
    assert not added & _HEAVY


def test_public_names_are_there_when_asked_for() -> None:
    """Importing the package loads none of its modules, until a public name is used."""
    source = (
        "import sys, pytest_memreturn as package; "
        "print([n for n in sys.modules if n.startswith('pytest_memreturn')]); "
        "print(all(getattr(package, name) for name in package.__all__))"
    )

    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines() == ["['pytest_memreturn']", "True"]


@pytest.fixture
def installed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as its entry point in pyproject.toml would install it, doors open."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    metadata = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    site = pytester.mkdir("site")
    distribution = site / "pytest_memreturn-0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: pytest-memreturn\nVersion: 0\n", encoding="utf-8"
    )
    points = metadata["entry-points"]["pytest11"]
    lines = ["[pytest11]", *(f"{name} = {target}" for name, target in points.items())]
    (distribution / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_PLUGINS")


_KEEPS = """
import pytest
KEPT = []
@pytest.mark.returns_memory
def test_keeps():
    KEPT.append(b"x" * 9_000_000)
"""


def test_entry_point_loads_the_plugin(pytester: pytest.Pytester, installed: None) -> None:
    """Once installed, the plugin is there without being named."""
    pytester.makepyfile(test_app=_KEEPS)

    result = pytester.runpytest_subprocess("--strict-markers", "-p", "no:cacheprovider")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["kept 8.6 MiB (allowed 2.0 MiB, default)"])


def test_entry_points_name_switches_it_off(pytester: pytest.Pytester, installed: None) -> None:
    """``-p no:memreturn`` leaves a suite with the mark as it would be without the plugin."""
    pytester.makepyfile(test_app=_KEEPS)

    result = pytester.runpytest_subprocess("-p", "no:memreturn")

    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*PytestUnknownMarkWarning*returns_memory*"])

    result = pytester.runpytest_subprocess("-p", "no:memreturn", "--memreturn")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --memreturn*"])


_MARKED_LATE = """
import pytest
KEPT = []

@pytest.fixture
def judged(request):
    request.node.add_marker(pytest.mark.returns_memory)

def test_first():
    KEPT.append(bytearray(9_000_000))

def test_marked_late(judged):
    KEPT.append(bytearray(9_000_000))

def test_block(request):
    memreturn = request.getfixturevalue("memreturn")
    with memreturn():
        KEPT.append(bytearray(9_000_000))
"""


def test_hooks_come_with_the_first_test_that_is_judged(pytester: pytest.Pytester) -> None:
    """Whatever marks it, and when: a run begins without them."""
    pytester.makepyfile(test_app=_MARKED_LATE)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rA")

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        ["kept 8.6 MiB (allowed 2.0 MiB, default)", "*block 1: kept 8.6 MiB*"]
    )


def test_a_fresh_interpreter_is_not_warned_of_this_plugin(
    pytester: pytest.Pytester, installed: None
) -> None:
    """It has the package before pytest could rewrite it, which nobody needs to hear."""
    (pytester.path / "site" / "pytest_memreturn-0.dist-info" / "RECORD").write_text(
        "pytest_memreturn/__init__.py,,\npytest_memreturn/plugin.py,,\n", encoding="utf-8"
    )
    pytester.makepyfile(
        "import pytest\n@pytest.mark.returns_memory(isolate=True)\ndef test_x(): pass"
    )

    flags = ("-W", "error::pytest.PytestAssertRewriteWarning", "-p", "no:randomly")
    pytester.runpytest_subprocess(*flags).assert_outcomes(passed=1)
