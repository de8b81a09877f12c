"""What another interpreter runs: here it is run in this one."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from pytest_memreturn.remote import script
from pytest_memreturn.remote.answers import problem_in, sections_of, statistics_in

glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="it asks the malloc of glibc"
)


@glibc
def test_an_answer(tmp_path: Path) -> None:
    """It has what CPython's allocator and malloc say, in a file that is there whole or not."""
    answer = tmp_path / "answer"
    script.answer(str(answer))
    data = answer.read_bytes()
    assert problem_in(data) is None
    names = [one.name for one in statistics_in(data)]
    assert names == (["python", "malloc"] if python_says_something() else ["malloc"])
    assert [one.name for one in tmp_path.iterdir()] == ["answer"]


def python_says_something() -> bool:
    """Whether CPython's allocator of small objects has statistics here."""
    from pytest_memreturn.allocators.pymalloc import Pymalloc

    return Pymalloc().statistics() is not None


@glibc
def test_the_text_is_all_that_is_needed(tmp_path: Path) -> None:
    """A bare interpreter runs it, and nothing of it stays in its main module."""
    answer, text = tmp_path / "answer", tmp_path / "script.py"
    source = Path(script.__file__).read_text(encoding="utf-8")
    text.write_text(f"{source}\n\nanswer({str(answer)!r})\n", encoding="utf-8")
    code = f"exec(open({str(text)!r}).read(), {{}}); print(sorted(vars()))"
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert "trim" not in ended.stdout
    assert ended.stderr == ""
    assert sections_of(answer.read_bytes()).keys() == {"python", "malloc"}


def test_what_goes_wrong_is_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is raised in a program of somebody else's."""
    monkeypatch.setitem(sys.modules, "ctypes", None)
    script.answer(str(tmp_path / "answer"))
    problem = problem_in((tmp_path / "answer").read_bytes())
    assert problem is not None
    assert problem.startswith("ModuleNotFoundError: import of ctypes halted")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """Whoever asked will say that there was no answer."""
    script.answer(str(tmp_path / "nowhere" / "answer"))
    assert list(tmp_path.iterdir()) == []


def test_garbage_is_collected_until_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no more than three times."""
    found = [5, 3, 2, 1]
    monkeypatch.setattr(gc, "collect", lambda: found.pop(0))
    script.answer(str(tmp_path / "answer"))
    assert found == [1]


class Library:
    """A C library with these functions."""

    def __init__(self, *names: str) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._names = names

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a C function
        if name not in self._names:
            raise AttributeError(name)
        return lambda *arguments: self.calls.append((name, *arguments))


def fake_ctypes(library: Library) -> Any:  # noqa: ANN401 - a module
    """A ctypes that loads this library alone."""
    return types.SimpleNamespace(CDLL=lambda _: library, c_size_t=lambda value: value)


def test_every_allocator_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are there, the one that feeds others last."""
    asked: list[str] = []
    pool = types.SimpleNamespace(release_unused=lambda: asked.append("pyarrow"))
    pyarrow = types.SimpleNamespace(default_memory_pool=lambda: pool)
    monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)
    library = Library("mallctl", "MallocExtension_ReleaseFreeMemory", "mi_collect", "malloc_trim")
    script.trim(fake_ctypes(library))
    assert asked == ["pyarrow"]
    assert library.calls == [
        ("mallctl", b"thread.tcache.flush", None, None, None, 0),
        ("mallctl", b"arena.4096.purge", None, None, None, 0),
        ("MallocExtension_ReleaseFreeMemory",),
        ("mi_collect", True),
        ("malloc_trim", 0),
    ]


def test_what_is_not_there_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A C library without any of them is no failure."""
    monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    library = Library()
    script.trim(fake_ctypes(library))
    assert library.calls == []
    assert script.printed(fake_ctypes(library), library, "malloc_info", print) == b""


def test_no_memory_for_what_is_printed() -> None:
    """Nothing is said, and nothing is done with what is not there."""

    class Streams:
        def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a C function
            function = types.SimpleNamespace if name == "malloc_info" else (lambda *_: None)
            return type("Function", (), {"__call__": staticmethod(function)})()

    real = types.SimpleNamespace(
        CDLL=lambda _: Streams(),
        c_void_p=ctypes.c_void_p,
        c_size_t=ctypes.c_size_t,
        byref=ctypes.byref,
    )

    def call(*_: object) -> None:
        pytest.fail("there is nothing to print to")

    assert script.printed(real, Streams(), "malloc_info", call) == b""


def test_an_answer_that_is_cut_off() -> None:
    """A section that is not whole is none."""
    whole = b"python 3\nabcmalloc 4\ndefg"
    assert sections_of(whole) == {"python": b"abc", "malloc": b"defg"}
    assert sections_of(whole[:-1]) == {"python": b"abc"}
    assert sections_of(b"") == {}
    assert sections_of(b"something else") == {}


def test_texts_that_say_nothing() -> None:
    """An allocator that is not in use has no statistics."""
    assert statistics_in(b"python 0\nmalloc 0\n") == ()
    assert statistics_in(b"error 2\nno") == ()
