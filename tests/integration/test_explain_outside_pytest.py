"""Outside pytest, a block that retained is explained by running its work again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_memreturn import MemoryNotReturned, Record, _measure, measure
from pytest_memreturn._explanation import Line
from pytest_memreturn._sizes import MIB
from pytest_memreturn.reruns import explained as explaining
from pytest_memreturn.reruns import native
from pytest_memreturn.reruns._contract import Task
from pytest_memreturn.reruns.work import runner_of, with_short_paths
from pytest_memreturn.testing import Script, ScriptedProbe

RETAINED = Record("", "retained", "trim", allowed_bytes=9 * MIB)
RUNS = "import os, sys\nKEPT = []\n"
KEEPS = "\n\ndef work():\n    KEPT.append(bytearray(3_000_000))\n"
LINE = "KEPT.append(bytearray(3_000_000))"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, in the folder where the program runs."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("in_module", "in_package", "in_package.inner"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def main_of(monkeypatch: pytest.MonkeyPatch, path: Path, spec: object = None) -> ModuleType:
    """A file as the program that was started."""
    main = ModuleType("__main__")
    main.__file__ = str(path)
    main.__spec__ = spec  # type: ignore[assignment]
    exec(path.read_text(encoding="utf-8"), main.__dict__)  # noqa: S102 - as Python itself does
    monkeypatch.setitem(sys.modules, "__main__", main)
    return main


def line_named(work: Callable[[], object]) -> Line:
    """The line with most bytes, by a run in a fresh interpreter."""
    with runner_of(work, RETAINED, 60) as run:
        answer = run(Task("lines"))
    assert answer.reason() is None
    (record,) = answer.records
    assert (record.allowed_bytes, record.gate, record.verdict) == (9 * MIB, "trim", "returned")
    return answer.lines[0]


def test_a_function_of_a_module(folder: Path) -> None:
    """It is imported there, before the window."""
    (folder / "in_module.py").write_text(RUNS + KEEPS, encoding="utf-8")
    import in_module  # type: ignore[import-not-found]

    found = line_named(in_module.work)
    assert (found.source, found.file) == (LINE, str(folder / "in_module.py"))


def test_a_method_of_a_class(folder: Path) -> None:
    """That needs no instance."""
    source = "KEPT = []\n\nclass A:\n    @staticmethod\n    def work():\n        " + LINE
    (folder / "in_module.py").write_text(source, encoding="utf-8")
    import in_module

    assert line_named(in_module.A.work).source == LINE


def test_a_function_of_the_script(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the script does when it is started is not done again."""
    script = folder / "program.py"
    started = "\n\nif __name__ == '__main__':\n    open('started', 'x').close()\n"
    script.write_text(RUNS + KEEPS + started, encoding="utf-8")
    assert line_named(main_of(monkeypatch, script).work).source == LINE
    assert (folder / "started").exists()


def test_a_function_of_a_module_that_was_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``python -m``, it is found under its name."""
    package = folder / "in_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "inner.py").write_text(RUNS + KEEPS, encoding="utf-8")
    spec = SimpleNamespace(name="in_package.inner")
    assert line_named(main_of(monkeypatch, package / "inner.py", spec).work).source == LINE


def test_what_cannot_be_found_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said at once, and why."""

    def inner() -> None:
        """Has no name that leads to it."""

    (folder / "program.py").write_text("def work(): 0", encoding="utf-8")
    typed = main_of(monkeypatch, folder / "program.py")
    del typed.__file__
    cases: tuple[tuple[Any, str], ...] = (
        (inner, r"<locals>\.inner can't be found by a fresh interpreter: define it in the module"),
        (lambda: 0, r"<lambda> can't be found"),
        (SimpleNamespace(), r"^namespace\(\) can't be found .*: give a function of a module"),
        (typed.work, "^work was typed into an interpreter: a fresh one needs it in a file"),
    )
    for work, problem in cases:
        with pytest.raises(ValueError, match=problem), runner_of(work, RETAINED, 1):
            pass


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Script], None]:
    """Has `measure` play a script."""

    def scripted(script: Script) -> None:
        instruments = ScriptedProbe([script]).instruments()
        monkeypatch.setattr(_measure, "instruments", lambda: instruments)

    return scripted


def test_a_block_is_explained(
    folder: Path, play: Callable[[Script], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record has all of it, and the message tells it."""
    (folder / "in_module.py").write_text(RUNS + KEEPS, encoding="utf-8")
    import in_module

    monkeypatch.setattr(explaining, "has_glibc", lambda: False)
    monkeypatch.setattr(explaining, "preloadable", dict)
    monkeypatch.setattr(native, "is_installed", lambda: False)
    play(Script(0, end=30 * MIB))
    measured = measure("1 MiB", label="parse")
    with pytest.raises(MemoryNotReturned), measured:
        pass
    said: list[str] = []

    text = measured.explain(in_module.work, progress=said.append)

    assert said == [
        "re-runs it: alone, twice (1 of 5)",
        "re-runs it: lines (2 of 5)",
        "re-runs it: footprint over time (3 of 5)",
        "re-runs it: PYTHONMALLOC=malloc (4 of 5)",
        "re-runs it: the work in a child process that ends (5 of 5)",
    ]
    found = measured.record.explanation
    assert found is not None
    assert found.incomplete == (
        "alone it keeps 2.9 MiB, not 30.0 MiB: what re-runs tell is about that",
    )
    assert [one.file for one in found.lines] == ["in_module.py"]
    assert found.remedies[0].name == "the work in a child process that ends"
    assert (found.remedies[0].returns_bytes or 0) > 2 * MIB
    lines = text.splitlines()
    assert lines[0] == "parse: kept 30.0 MiB (allowed 1.0 MiB, measure())"
    assert f"  line       2.9 MiB in_module.py:6 {LINE}" in lines
    assert "  try        the work in a child process that ends (tried: returns 2.9 MiB)" in lines


def test_without_an_explanation_no_path_is_shortened() -> None:
    """There is none."""
    assert with_short_paths(RETAINED) is RETAINED


def test_there_may_be_nothing_to_explain(play: Callable[[Script], None]) -> None:
    """Where the block returned its memory."""
    play(Script(0))
    with measure() as measured:
        pass
    with pytest.raises(RuntimeError, match="nothing to explain: the verdict is returned"):
        measured.explain(print)
