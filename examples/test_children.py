"""Work in a child that ends: whatever became of its memory, the system has it back."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection

import pytest

# Children that share nothing with this process, on every system and every Python.
SPAWN = multiprocessing.get_context("spawn")

Reading = tuple[int, float]

SAMPLES: list[list[Reading]] = []


def sample() -> list[Reading]:
    """One in 2,000 of 600,000 readings, which take 80 MB while they are there."""
    readings = [(number, number / 7) for number in range(600_000)]
    return readings[::2_000]


@pytest.fixture(autouse=True)
def _forget_samples() -> Iterator[None]:
    yield
    SAMPLES.clear()


# Retained, pinned-python: a reading that stays in each arena of Python's objects keeps all of it.
@pytest.mark.returns_memory
def test_sample_taken_here() -> None:
    SAMPLES.append(sample())


# Returned: the same readings were another process's, and here are only those that were sent.
@pytest.mark.returns_memory
def test_sample_taken_by_an_executor() -> None:
    with ProcessPoolExecutor(1, mp_context=SPAWN) as executor:
        SAMPLES.append(executor.submit(sample).result())


def send_sample(to: Connection) -> None:
    """Take it, and send it through a pipe."""
    to.send(sample())
    to.close()


# Returned: one process for one piece of work, which ends when it has sent what it found.
@pytest.mark.returns_memory
def test_sample_sent_through_a_pipe() -> None:
    here, there = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=send_sample, args=(there,))
    process.start()
    there.close()  # or nobody would notice a child that ends without an answer
    SAMPLES.append(here.recv())
    process.join()
    here.close()
    assert process.exitcode == 0
    process.close()


PROGRAM = """
import json, sys
readings = [(number, number / 7) for number in range(600_000)]
json.dump(readings[::2_000], sys.stdout)
"""


# Returned: any program will do, in whatever language.
@pytest.mark.returns_memory
def test_sample_printed_by_a_program() -> None:
    found = subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, check=True)
    SAMPLES.append([(number, value) for number, value in json.loads(found.stdout)])


@pytest.fixture
def executors() -> Iterator[list[ProcessPoolExecutor]]:
    """What is put here is shut down after the test."""
    found: list[ProcessPoolExecutor] = []
    yield found
    for one in found:
        one.shutdown()


# Retained, child-process: the worker lives on with all that it has, until somebody shuts it down.
@pytest.mark.returns_memory
def test_executor_left_running(executors: list[ProcessPoolExecutor]) -> None:
    executors.append(ProcessPoolExecutor(1, mp_context=SPAWN))
    SAMPLES.append(executors[0].submit(sample).result())
