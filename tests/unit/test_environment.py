"""Facts about the process and the machine, for a report."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from pathlib import Path

import pytest

from pytest_memreturn.probes import environment as module
from pytest_memreturn.probes.environment import environment

# In the order of the alphabet, as they are shown.
DECISIVE = [
    "ARROW_DEFAULT_MEMORY_POOL",
    "GLIBC_TUNABLES",
    "JE_MALLOC_CONF",
    "LD_PRELOAD",
    "MALLOC_ARENA_MAX",
    "MALLOC_CONF",
    "MIMALLOC_PURGE_DELAY",
    "OMP_NUM_THREADS",
    "PYTHONDEVMODE",
    "PYTHONMALLOC",
    "PYTHONMALLOCSTATS",
    "TCMALLOC_RELEASE_RATE",
    "_RJEM_MALLOC_CONF",
]


def test_the_variables_that_decide_how_memory_behaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of allocators, in order; no other, since a report is shown to others."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name in (
        *DECISIVE[::-1],
        "MY_MALLOC_TOKEN",
        "LD_PRELOADED",
        "ARROW",
        "HOME",
    ):
        monkeypatch.setenv(name, f"value of {name}")
    found = environment("linux", ["malloc"], {})["variables"]
    assert list(found) == DECISIVE
    assert found["PYTHONMALLOC"] == "value of PYTHONMALLOC"


def test_what_is_handed_in_is_handed_on() -> None:
    """Which probe measured, which allocators answered, and why others did not; all is JSON."""
    silent = {"tcmalloc": "not the version that is known here"}
    found = environment("linux", ["malloc", "python"], silent)
    assert (found["probe"], found["allocators"]) == ("linux", ["malloc", "python"])
    assert found["unavailable"] == silent
    assert json.loads(json.dumps(found)) == found
    assert found["python"] == platform.python_version()
    assert found["versions"]["pytest"] == pytest.__version__


@pytest.mark.parametrize(
    ("libc", "text"), [(("glibc", "2.36"), "glibc 2.36"), (("musl", ""), "musl"), (("", ""), None)]
)
def test_the_c_library(
    libc: tuple[str, str], text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name and version, as far as they are known."""
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    assert environment("linux", [], {})["libc"] == text


@pytest.mark.parametrize(
    ("setting", "word"),
    [("always [madvise] never\n", "madvise"), ("[always] madvise never\n", "always"), ("", None)],
)
def test_the_setting_for_huge_pages(
    setting: str, word: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word that the kernel puts in brackets."""
    path = tmp_path / "enabled"
    path.write_text(setting, encoding="ascii")
    monkeypatch.setattr(module, "_HUGE_PAGES", path)
    assert environment("linux", [], {})["huge_pages"] == word


def test_a_kernel_without_huge_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, no setting."""
    monkeypatch.setattr(module, "_HUGE_PAGES", tmp_path / "missing")
    assert environment("linux", [], {})["huge_pages"] is None


def test_versions_are_those_of_the_packages_that_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytest, what reads for us, and this package."""
    monkeypatch.setattr(importlib.metadata, "version", "version of {}".format)
    assert environment("linux", [], {})["versions"] == {
        name: f"version of {name}" for name in ("pytest", "psutil", "pluggy", "pytest-memreturn")
    }


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """As this one, when it is run from its source tree."""

    def missing(name: str) -> str:
        if name == "pytest-memreturn":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert environment("linux", [], {})["versions"] == {
        "pytest": "1.2.3",
        "psutil": "1.2.3",
        "pluggy": "1.2.3",
        "pytest-memreturn": None,
    }
