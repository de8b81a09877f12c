"""A function of the user's as the one test of a project, so that it can be run again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_memreturn.fresh.command import Invocation
from pytest_memreturn.reruns.run import Runner

if TYPE_CHECKING:
    from pytest_memreturn._record import Record

_TEST = """\
import functools, importlib, runpy, sys
sys.path[:] = {path!r}
if {script!r}:
    # Under another name: what stands below `if __name__ == "__main__"` is not to run again.
    FOUND = runpy.run_path({script!r}, run_name="__mp_main__")[{first!r}]
else:
    FOUND = getattr(importlib.import_module({module!r}), {first!r})
WORK = functools.reduce(getattr, {rest!r}, FOUND)


def test_work():
    WORK()
"""


@contextlib.contextmanager
def runner_of(
    work: Callable[[], object], record: Record, timeout_seconds: float
) -> Iterator[Runner]:
    """What runs `work` again, judged as the record was, in fresh interpreters.

    Raises `ValueError` for work that a fresh interpreter could not find.
    """
    module, names, script = _place_of(work)
    with tempfile.TemporaryDirectory(prefix="memreturn-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        test = folder / "test_work.py"
        test.write_text(
            _TEST.format(
                path=sys.path, script=script, module=module, first=names[0], rest=names[1:]
            ),
            encoding="utf-8",
        )
        settings = folder / "pytest.ini"
        settings.write_text("[pytest]\n", encoding="utf-8")
        options = [
            *("-c", str(settings), f"--rootdir={folder}", "--import-mode=importlib"),
            *("-p", "pytest_memreturn.plugin", "-p", "no:cacheprovider"),
            *("--memreturn", f"--memreturn-max-retained={record.allowed_bytes or 0}"),
            *(["--memreturn-trim"] if record.gate == "trim" else []),
        ]
        invocation = Invocation(
            interpreter=(sys.executable,),
            args=tuple(options),
            folder=str(Path.cwd()),
            # No other plugin has a part in what is judged here.
            variables={
                **os.environ,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTEST_ADDOPTS": "",
                "PYTEST_PLUGINS": "",
            },
            keeps_first_path=False,
            no_cov=False,
            has_cache=False,
        )
        yield Runner(invocation, "test_work.py::test_work", str(test), timeout_seconds)


def with_short_paths(record: Record) -> Record:
    """The record, with files below the current folder named from there."""
    found = record.explanation
    if found is None:
        return record
    here = Path.cwd()
    lines = tuple(
        dataclasses.replace(one, file=str(Path(one.file).relative_to(here)))
        if here in Path(one.file).parents
        else one
        for one in found.lines
    )
    return dataclasses.replace(record, explanation=dataclasses.replace(found, lines=lines))


def _place_of(work: Callable[[], object]) -> tuple[str, list[str], str | None]:
    """Module, name by name, and the script where it is the one that was started."""
    module = getattr(work, "__module__", None)
    name = getattr(work, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module not in sys.modules:
        msg = f"{work!r} can't be found by a fresh interpreter: give a function of a module"
        raise ValueError(msg)
    names = name.split(".")
    found: object = sys.modules[module]
    for one in names:
        found = getattr(found, one, None)
    if found != work:
        msg = f"{module}.{name} can't be found by a fresh interpreter: define it in the module"
        raise ValueError(msg)
    if module != "__main__":
        return module, names, None
    spec = getattr(sys.modules[module], "__spec__", None)
    if spec is not None:  # python -m
        return spec.name, names, None
    script = getattr(sys.modules[module], "__file__", None)
    if script is None:
        msg = f"{name} was typed into an interpreter: a fresh one needs it in a file"
        raise ValueError(msg)
    return module, names, str(Path(script).resolve())
