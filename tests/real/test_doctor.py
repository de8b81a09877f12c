"""``python -m pytest_memreturn doctor`` with readings that are real."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.real

MIB = 1024 * 1024


def test_on_this_machine() -> None:
    """Empty windows read next to nothing, 8 MiB are read as such, and the status says as much."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest_memreturn", "doctor", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONTRACEMALLOC": "0"},
        check=False,
    )
    assert ended.stderr == ""
    found = json.loads(ended.stdout)
    assert ended.returncode == (0 if found["judges"] else 1)
    assert found["judges"]
    for noise in found["noise"].values():
        assert abs(noise["retained_bytes"]["median"]) < MIB
    (kept,) = (one for one in found["findings"] if one["name"] == "kept")
    assert kept["text"].startswith("8.0 MiB kept were read as ")
