"""What earlier tests left behind hides nothing that a test keeps, with real memory."""

from __future__ import annotations

import pytest

_KEEPS = """
import gc
import pytest
KEPT = []

@pytest.mark.returns_memory
def test_keeps():
    gc.collect()
    KEPT.append(bytearray(9_000_000))
"""

_LEAVES = {
    "a fixture of a module that became garbage": """
import pytest

@pytest.fixture(scope="module")
def cycle():
    cycle = [bytearray(40_000_000)]
    cycle.append(cycle)
    return cycle

@pytest.mark.returns_memory
def test_uses(cycle):
    pass
""",
    "a fixture of a module whose beginning could not be read": """
import pytest
from pytest_memreturn.probes import _files
READ = _files._OPEN

def refuse(*arguments):
    raise PermissionError(1, "not now")

@pytest.fixture(scope="module")
def cycle():
    cycle = [bytearray(40_000_000)]
    cycle.append(cycle)
    _files._OPEN = refuse
    return cycle

@pytest.fixture
def readable(cycle):
    _files._OPEN = READ

@pytest.mark.returns_memory
def test_uses(readable):
    pass
""",
    "what tests put into a fixture of a module": """
import gc
import pytest

@pytest.fixture(scope="module")
def cycle():
    cycle = []
    cycle.append(cycle)
    return cycle

@pytest.mark.returns_memory("100 MB")
def test_fills(cycle):
    cycle.append(bytearray(40_000_000))

def test_collects():
    gc.collect()

@pytest.mark.returns_memory
def test_uses(cycle):
    pass
""",
    "garbage of a test that was not judged": """
import pytest

@pytest.mark.returns_memory
def test_before():
    pass

def test_leaves():
    cycle = [bytearray(40_000_000)]
    cycle.append(cycle)
""",
    "garbage of the tear-down": """
import pytest

@pytest.fixture
def late():
    yield
    cycle = [bytearray(40_000_000)]
    cycle.append(cycle)

@pytest.mark.returns_memory
def test_uses(late):
    pass
""",
    "garbage in many pieces": """
import pytest

@pytest.mark.returns_memory
@pytest.mark.parametrize("number", range(100))
def test_leaves(number):
    cycle = [bytearray(400_000)]
    cycle.append(cycle)
""",
}


@pytest.mark.parametrize("left", _LEAVES.values(), ids=list(_LEAVES))
def test_garbage_from_before_hides_nothing(left: str, pytester: pytest.Pytester) -> None:
    """Though the test that keeps memory collects it, inside its window."""
    pytester.makepyfile(test_a=left, test_b=_KEEPS)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["kept 8.6 MiB (allowed 2.0 MiB, default)"])
