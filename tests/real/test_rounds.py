"""A few bytes that stay in each round are found, and what keeps nothing is let pass."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import asyncio, ctypes, json, random
import pytest

pytestmark = pytest.mark.returns_memory(rounds=60)
KEPT = []
C = ctypes.CDLL(None)
C.malloc.restype = C.mmap.restype = ctypes.c_void_p
C.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]

def test_native():
    C.malloc(64)

def test_objects():
    KEPT.append(bytes(31))

def test_mapped():
    ctypes.memset(C.mmap(None, 64, 3, 0x22, -1, 0), 1, 64)

def test_json():
    rows = [{"name": "x" * random.randrange(200)} for _ in range(random.randrange(100))]
    assert json.loads(json.dumps(rows)) == rows

def test_asyncio():
    asyncio.run(asyncio.sleep(0))

def test_first_use(cache=[]):
    cache[:] = cache or [bytes(range(256)) * 20_000]
"""


@pytest.mark.skipif(
    not (sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")),
    reason="64 bytes of malloc, and a mapping, are told from noise where glibc and procfs are",
)
def test_growth_from_round_to_round(tmp_path: Path) -> None:
    """64 bytes of each kind, with who has them."""
    (tmp_path / "test_app.py").write_text(TESTS, encoding="utf-8")
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pytest", "-q", f"--memreturn-report={report}"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stdout
    tests = json.loads(report.read_text(encoding="utf-8"))["tests"]
    assert {
        one["nodeid"].rpartition("::test_")[2]: (one["verdict"], one["cause"]) for one in tests
    } == {
        "native": ("retained", "live-native"),
        "objects": ("retained", "live-python"),
        "mapped": ("retained", "mapped"),
        "json": ("returned", None),
        "asyncio": ("returned", None),
        "first_use": ("returned", None),
    }, ended.stdout
    grown = [one["rounds"]["per_round_bytes"] for one in tests[:3]]
    assert 64 <= grown[0] <= 112
    assert 64 <= grown[1] <= 96
    assert grown[2] == 4096
    assert tests[5]["rounds"]["growth"] == "one-time"
    (objects,) = (one for one in tests[1]["explanation"]["survivors"] if one["type"] == "bytes")
    assert objects["chain"].startswith("test_app.KEPT (list)")
