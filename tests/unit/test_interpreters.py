"""Which Python runs in a process, and whether it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_memreturn.probes.interpreters import python_of, switches_of


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ("7f-80 r-xp 0 08:01 1 /usr/bin/python3.14\n", "Python 3.14"),
        ("7f-80 r-xp 0 08:01 1 /usr/lib/libpython3.13.so.1.0\n", "Python 3.13"),
        ("7f-80 r-xp 0 08:01 1 /x/_json.cpython-312-x86_64-linux-gnu.so\n", "Python 3.12"),
        ("7f-80 r-xp 0 08:01 1 /usr/bin/sleep\n", "no Python as far as its files tell"),
    ],
)
def test_the_files_of_a_process_tell_its_python(tmp_path: Path, maps: str, words: str) -> None:
    """Its executable, its library or one of its modules."""
    (tmp_path / "5").mkdir()
    (tmp_path / "5/maps").write_text(maps, encoding="utf-8")
    assert python_of(5, str(tmp_path)) == words


def test_a_process_that_is_gone() -> None:
    """Nothing is known of it, and that is no error."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert python_of(ended.pid) == "not to be looked into"
    assert switches_of(ended.pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")
def test_a_process_that_runs_is_seen_to_run() -> None:
    """This one has run between two readings, since it has waited for another."""
    before = switches_of(os.getpid())
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)
    after = switches_of(os.getpid())
    assert before is not None
    assert after is not None
    assert after > before
