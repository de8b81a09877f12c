"""Disturbances that no verdict may depend on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from types import FrameType, TracebackType
from typing import Any

from .memory import KIB

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

VARIABLES: Mapping[str, Mapping[str, str]] = {
    "arena1": {"MALLOC_ARENA_MAX": "1"},
    "pymalloc-off": {"PYTHONMALLOC": "malloc"},
    "devmode": {"PYTHONDEVMODE": "1"},
}
OF_THE_MACHINE = ("cpu", "thp")
INSIDE = ("threads", "tracer")
KINDS = (*OF_THE_MACHINE, *VARIABLES, *INSIDE)

# Takes and gives back memory for as long as it lives, and never rests.
BURNER = """
import os
while os.getppid() == {parent}:
    buffers = [bytearray(b"x") * 1_000_000 for _ in range(300)]
    sum(map(len, buffers))
"""

THREADS = 64
# So much may each of the threads hold at a time: 1 MiB if all held the most at once, which is
# what a clean test must be able to bear.
MOST_PER_THREAD_BYTES = 16 * KIB

# With a key and a value each, 100 MiB of tables.
TRACED_LINES = 700_000


def variables(noise: tuple[str, ...]) -> dict[str, str]:
    """What the noise sets in the environment of a round."""
    return {name: value for kind in noise for name, value in VARIABLES.get(kind, {}).items()}


@contextlib.contextmanager
def around(noise: tuple[str, ...]) -> Iterator[None]:
    """What the noise does to the machine, undone whatever happens."""
    with contextlib.ExitStack() as stack:
        # A signal that ended this process at once would leave the machine changed, and the
        # processes that were started here running.
        stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _exit))
        if "thp" in noise:
            stack.enter_context(_huge_pages_always())
        if "cpu" in noise:
            for _ in range(os.cpu_count() or 1):
                stack.callback(_end, _burner())
        yield


def _exit(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)


def _burner() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-c", BURNER.format(parent=os.getpid())])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@contextlib.contextmanager
def _huge_pages_always() -> Iterator[None]:
    was = HUGE_PAGES.read_text("ascii").partition("[")[2].partition("]")[0]
    HUGE_PAGES.write_text("always", "ascii")
    try:
        yield
    finally:
        HUGE_PAGES.write_text(was, "ascii")


class Inside:
    """What the noise does inside the process whose tests are judged; a context manager."""

    def __init__(self, noise: str) -> None:
        """`noise`: kinds, separated by commas."""
        self._noise = noise.split(",")
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._traced: dict[tuple[str, int], int] = {}

    def __enter__(self) -> None:
        """Begin."""
        if "threads" in self._noise:
            for number in range(THREADS):
                one = threading.Thread(target=self._allocate, args=(number,), daemon=True)
                one.start()
                self._threads.append(one)
            # Until each has been at its most, its arena may still grow.
            time.sleep(2)
        if "tracer" in self._noise:
            self._traced |= {(f"module-{n}", n): n + 2**32 for n in range(TRACED_LINES)}
            sys.settrace(self._trace)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""
        sys.settrace(None)
        self._ended.set()
        for one in self._threads:
            one.join()

    def _allocate(self, seed: int) -> None:
        rng = Random(seed)  # noqa: S311 - not for secrets
        held: list[bytes] = []
        while not self._ended.wait(rng.uniform(0.05, 0.2)):
            held.clear()
            room = rng.randrange(MOST_PER_THREAD_BYTES)
            while room > 0:
                held.append(b"x" * min(room, rng.choice([100, 1_000, 5_000])))
                room -= 5_000

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:  # noqa: ANN401
        del event, argument
        key = frame.f_code.co_filename, frame.f_lineno
        self._traced[key] = self._traced.get(key, 0) + 1
        return self._trace
