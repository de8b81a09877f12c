"""Where the figures about other processes in the docs come from.

    python benchmarks/processes.py [NAME...]

Needs Linux. `servers` needs uvicorn and gunicorn, and `releases` CPython 3.14 with uvicorn.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pytest_memreturn import MemoryNotReturned, Watch, measure, watch
from pytest_memreturn._processes import footprint_of
from pytest_memreturn.probes import tree_probe

ROOT = Path(__file__).parents[1]
MIB = 1024 * 1024

# A root and four children: 8 MiB that all have, and 4 MiB that each child has.
FIVE = """
import os, time
kept = [b"x" * (8 << 20)]
for _ in range(4):
    ready, done = os.pipe()
    if not os.fork():
        kept.append(b"y" * (4 << 20))
        os.write(done, b"x")
        time.sleep(600)
    os.read(ready, 1)
print("ready", flush=True)
time.sleep(600)
"""


def milliseconds(work: Callable[[], object]) -> str:
    """The median of a hundred times."""
    times = []
    for _ in range(100):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return f"{sorted(times)[50] * 1000:.1f} ms"


def readings() -> Iterator[str]:
    """What one reading of five processes takes."""
    process = subprocess.Popen(
        [sys.executable, "-c", FIVE], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    trees = tree_probe("auto")
    root = trees.identify(process.pid)
    tree = trees.read(root)
    try:
        yield f"{len(tree)} processes, {footprint_of(tree) / MIB:.1f} MiB together"
        yield f"quick: {milliseconds(lambda: trees.read(root))}"
        yield f"by kinds of mappings: {milliseconds(lambda: trees.read(root, layout=True))}"
    finally:
        for one in reversed(tree):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.key.pid, signal.SIGKILL)
        process.wait()


def module(folder: str, name: str) -> Any:  # noqa: ANN401 - a module of the checkout's
    """A module that is no part of a package."""
    sys.path.insert(0, str(ROOT / folder))
    return importlib.import_module(name)


def children() -> Iterator[str]:
    """What stays of the same work, here and in a child."""
    examples = module("examples", "test_children")
    executor = examples.ProcessPoolExecutor

    def here() -> object:
        return examples.sample()

    def in_an_executor() -> object:
        with executor(1, mp_context=examples.SPAWN) as one:
            return one.submit(examples.sample).result()

    def through_a_pipe() -> object:
        examples.test_sample_sent_through_a_pipe()
        return examples.SAMPLES.pop()

    def by_a_program() -> object:
        examples.test_sample_printed_by_a_program()
        return examples.SAMPLES.pop()

    for work in (in_an_executor, through_a_pipe, by_a_program, here):
        work()  # what is imported at first use stays, and is no part of it
        gc.collect()
        kept = []
        began = time.perf_counter()
        measured = measure(0, trim=True)
        with contextlib.suppress(MemoryNotReturned), measured:
            kept.append(work())
            seconds = time.perf_counter() - began
        yield (
            f"{work.__name__}: kept {measured.retained_bytes / MIB:.1f} MiB after a trim, "
            f"took {seconds:.2f} s"
        )


def described(watched: Watch) -> str:
    """What came of a watch."""
    steps = " → ".join(f"{name} {size / MIB:.1f}" for name, size in watched.readings.items())
    return (
        f"{watched.verdict}, kept {watched.retained_bytes / MIB:.1f} MiB ({steps} MiB), "
        f"measured in {watched.record.overhead_seconds:.2f} s"
    )


def watched_requests(pid: int, port: int, path: str, count: int, *, release: bool = False) -> str:
    """So many requests to a server that is watched."""
    servers = module("tests/real", "test_servers")
    watched = watch(pid, "10 MiB", release=release)
    with contextlib.suppress(MemoryNotReturned), watched:
        servers.request(port, path, count)
    return described(watched)


def servers() -> Iterator[str]:
    """2,000 requests to servers with two workers each."""
    running = module("tests/real", "test_servers")
    for server in ("uvicorn", "gunicorn"):
        for path in ("/clean", "/leak"):
            with running.served(server) as (process, port):
                found = watched_requests(process.pid, port, path, running.REQUESTS)
                yield f"{server} {path}: {found}"


def releases() -> Iterator[str]:
    """A server that only holds what is free, as it is and after a release."""
    running = module("tests/real", "test_servers")
    for release in (False, True):
        with running.served("uvicorn") as (process, port):
            found = watched_requests(process.pid, port, "/burst", 20, release=release)
            yield f"release={release}: {found}"


FIGURES = (readings, children, servers, releases)


def main() -> None:
    """Print every figure, or those that are named."""
    wanted = sys.argv[1:] or [one.__name__ for one in FIGURES[:2]]
    for figure in FIGURES:
        if figure.__name__ in wanted:
            for line in figure():
                print(f"{figure.__name__}: {line}")


if __name__ == "__main__":
    main()
