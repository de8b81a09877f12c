"""A server with two workers, judged while it is asked for reports."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

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
    while len(psutil.Process(process.pid).children()) < 3:
        assert process.poll() is None, "the server has ended"
        time.sleep(0.1)
    while True:
        try:
            return get("/report", 100)
        except ConnectionRefusedError:
            time.sleep(0.1)


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "uvicorn", "--workers=2", "--lifespan=off"]
    command += [f"--port={PORT}", "--log-level=warning", "app:app"]
    with subprocess.Popen(command) as process:
        wait_until_it_answers(process)
        get("/report", times=500)
        yield process
        process.terminate()


def test_reports_leave_nothing(
    memreturn: MemreturnFixture, server: subprocess.Popen[bytes]
) -> None:
    with memreturn.watch(server.pid, "10 MiB", settle=5):
        get("/report", times=2_000)
