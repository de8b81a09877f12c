"""A server with two workers, judged while it is asked for reports."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pytest_memreturn import MemreturnFixture

with socket.socket() as _free:
    _free.bind(("127.0.0.1", 0))
    PORT: int = _free.getsockname()[1]


def get(path: str, times: int) -> None:
    """Over connections that serve a hundred requests each, so that every worker gets some."""
    for _ in range(0, times, 100):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        for _ in range(100):
            connection.request("GET", path)
            connection.getresponse().read()
        connection.close()


def wait_until_it_answers(process: subprocess.Popen[bytes]) -> None:
    """Until it listens, with both workers and the tracker of their resources."""
    while process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            if len(psutil.Process(process.pid).children()) == 3:
                return get("/report", times=100)
        time.sleep(0.1)
    pytest.fail("the server has ended")


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "uvicorn", "--workers=2", "--lifespan=off"]
    command += [f"--port={PORT}", "--log-level=warning", "app:app"]
    with subprocess.Popen(command, cwd=Path(__file__).parent) as process:
        wait_until_it_answers(process)
        get("/report", times=500)
        yield process
        process.terminate()


def test_reports_leave_nothing(
    memreturn: MemreturnFixture, server: subprocess.Popen[bytes]
) -> None:
    with memreturn.watch(server.pid, "10 MiB", settle=5):
        get("/report", times=2_000)
