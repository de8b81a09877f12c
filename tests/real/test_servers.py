"""Servers that people run, judged from outside while they serve."""

from __future__ import annotations

import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pytest_memreturn import InvalidSettingError, MemoryNotReturned, watch

pytestmark = [pytest.mark.extended, pytest.mark.servers]

MIB = 1024 * 1024
HERE = Path(__file__).parent
REQUESTS = 2_000
CAN_RELEASE = sys.version_info >= (3, 14)
# So long may a server take to answer for the first time on a busy machine.
PATIENCE_SECONDS = 60

COMMANDS = {
    "uvicorn": "--app-dir {here} --port {port} --workers 2 --log-level warning served:asgi",
    "gunicorn": "--chdir {here} --bind 127.0.0.1:{port} --workers 2 --log-level warning "
    "--no-control-socket served:wsgi",
}
# Two workers each, and beside those of uvicorn the tracker of multiprocessing.
CHILDREN = {"uvicorn": 3, "gunicorn": 2}


def free_port() -> int:
    """A port that nobody listens at just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def served(server: str, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server with two workers that has answered; it is ended with all of its own."""
    if importlib.util.find_spec(server) is None:
        left_out = f"left out: {server} is not installed"
        if os.environ.get("MEMRETURN_TEST_EVERYTHING"):
            pytest.fail(left_out)
        pytest.skip(left_out)
    port = free_port()
    words = COMMANDS[server].format(here=HERE, port=port).split()
    process = subprocess.Popen([sys.executable, "-m", server, *options, *words])
    try:
        wait_for_workers(process, port, CHILDREN[server])
        yield process, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)


def wait_for_workers(process: subprocess.Popen[bytes], port: int, processes: int) -> None:
    """Until it serves, and has so many children."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, "the server has ended"
        try:
            request(port, "/clean", 1)
        except OSError:
            time.sleep(0.05)
            continue
        if len(psutil.Process(process.pid).children()) >= processes:
            # Enough for each worker to have loaded what a request needs.
            request(port, "/clean", 500)
            return
    pytest.fail("the server does not answer")


def request(port: int, path: str, count: int) -> None:
    """So many requests, over connections that serve a hundred each."""
    for _ in range(-(-count // 100)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        for _ in range(min(count, 100)):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (204, b"")
        connection.close()


@pytest.mark.parametrize("server", COMMANDS)
def test_a_server_that_retains(server: str) -> None:
    """2,000 requests that keep 16 KiB each are caught, and the message names who kept them."""
    with (
        served(server) as (process, port),
        pytest.raises(MemoryNotReturned) as caught,
        watch(process.pid, "10 MiB") as watched,
    ):
        request(port, "/leak", REQUESTS)
    assert watched.retained_bytes == pytest.approx(REQUESTS * 16 * 1024, rel=0.25)
    assert sum(watched.ledger.values()) == watched.retained_bytes
    assert abs(watched.ledger["unexplained"]) < MIB // 2
    assert sum(one.grown_bytes for one in watched.processes) == watched.retained_bytes
    assert f"pid {watched.processes[0].pid} +" in str(caught.value)
    assert len(watched.processes) >= 3


@pytest.mark.parametrize("server", COMMANDS)
def test_a_server_that_does_not(server: str) -> None:
    """2,000 requests that keep nothing pass at less than a tenth of that."""
    with served(server) as (process, port), watch(process.pid, "3 MiB") as watched:
        request(port, "/clean", REQUESTS)
    assert watched.verdict == "returned"


def test_a_worker_that_is_replaced() -> None:
    """Its end and its successor are no growth."""
    with served("gunicorn") as (process, port), watch(process.pid, "6 MiB") as watched:
        old = psutil.Process(process.pid).children()
        old[0].terminate()
        until = time.monotonic() + PATIENCE_SECONDS
        while set(psutil.Process(process.pid).children()) <= set(old):
            assert time.monotonic() < until, "no worker came in its place"
            time.sleep(0.05)
        request(port, "/clean", 300)
    assert watched.verdict == "returned"
    by_pid = {one.pid: one for one in watched.processes}
    assert by_pid[old[0].pid].after_bytes is None
    assert [one.pid for one in watched.processes if one.before_bytes is None]


def test_a_server_that_only_holds_free_memory() -> None:
    """It is over its allowance, and within it once it was made to give back what is free."""
    with served("uvicorn") as (process, port):
        if not CAN_RELEASE:
            asked = watch(process.pid, "10 MiB", release=True)
            with pytest.raises(InvalidSettingError, match=f"{process.pid} is Python 3.{minor()}"):
                asked.__enter__()
            return
        with pytest.raises(MemoryNotReturned), watch(process.pid, "10 MiB") as as_it_is:
            request(port, "/burst", 20)
        with watch(process.pid, "10 MiB", release=True) as released:
            request(port, "/burst", 20)
    assert as_it_is.retained_bytes > 40 * MIB
    assert released.verdict == "returned"
    assert {"python-live", "malloc-live", "malloc-free"} <= set(released.ledger)
    readings = released.readings
    assert readings["end"] - readings["trim"] > 40 * MIB


def minor() -> int:
    """Of this Python, and of what it starts."""
    return sys.version_info.minor
