"""How well growth from round to round is told from none: leaks found, clean bodies let pass.

    python -m benchmarks.rounds [--leaks 50] [--clean 1000] [--rounds 200]

Each body is a test with rounds of its own, many of them to a process, in which the earlier ones
have left their traces. Prints a table of verdicts, kinds of growth, causes (of the first few), and
rounds that were needed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

# As many tests as share a process.
_TOGETHER = 25
# To explain takes longer than to judge: who grew is asked of so many of them.
_EXPLAINED = 5

_HEAD = """
import asyncio, ctypes, json, random, re, sqlite3, threading
import numpy
import pytest

KEPT = []
C = ctypes.CDLL(None)
C.malloc.restype = C.mmap.restype = ctypes.c_void_p
C.malloc.argtypes = [ctypes.c_size_t]
C.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
PRIVATE_ANONYMOUS, READ_WRITE = 0x22, 3

def python(size):
    KEPT.append(bytes(max(0, size - 33)))

def malloc(size):
    ctypes.memset(C.malloc(size), 1, size)

def mapping(size):
    ctypes.memset(C.mmap(None, size, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0), 1, size)

def clean_json():
    rows = [{"id": n, "name": "x" * random.randrange(200)} for n in range(random.randrange(100))]
    assert json.loads(json.dumps(rows)) == rows

def clean_re():
    text = " ".join(str(random.random()) for _ in range(random.randrange(500)))
    re.sub(r"(\\d+)\\.(\\d+)", r"\\2.\\1", text)
    re.compile("a" * random.randrange(20) + "[bc]+").findall(text)

def clean_sqlite3():
    base = sqlite3.connect(":memory:")
    base.execute("create table t (a integer primary key, b text)")
    base.executemany("insert into t (b) values (?)", [("y" * random.randrange(99),)] * 200)
    base.execute("select b, count(*) from t group by b order by a").fetchall()
    base.close()

def clean_numpy():
    one = numpy.random.rand(random.randrange(1, 300), 100)
    (one @ one.T).sum()
    numpy.sort(one, axis=0)

async def _talk():
    queue = asyncio.Queue()
    async def put():
        for n in range(random.randrange(50)):
            await queue.put(n)
        await queue.put(None)
    async def get():
        while await queue.get() is not None:
            await asyncio.sleep(0)
    await asyncio.gather(put(), get())

def clean_asyncio():
    asyncio.run(_talk())

def _work(found):
    found.append(sum(len(str(n)) for n in range(random.randrange(500))))

def clean_threads():
    found = []
    threads = [threading.Thread(target=_work, args=(found,)) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
"""

_LEAKS = tuple(
    (f"{kind} {size}", f"{kind}({size})")
    for kind in ("python", "malloc", "mapping")
    for size in (64, 1024, 65536)
)
_CLEAN = tuple(
    (name, f"clean_{name}()") for name in ("json", "re", "sqlite3", "numpy", "asyncio", "threads")
)


def judged(body: str, number: int, rounds: int) -> Iterator[Mapping[str, Any]]:
    """The records of so many tests with this body."""
    first = 0
    while first < number:
        together = min(_TOGETHER if first else _EXPLAINED, number - first)
        mode = "--memreturn-save=kept.json" if first else "--memreturn-mode=warn"
        first += together
        with tempfile.TemporaryDirectory() as folder:
            test = (
                f"{_HEAD}\n@pytest.mark.returns_memory(rounds={rounds})\n"
                f'@pytest.mark.parametrize("n", range({together}))\n'
                f"def test_it(n):\n    {body}\n"
            )
            Path(folder, "test_it.py").write_text(test, encoding="utf-8")
            command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_memreturn.plugin"]
            subprocess.run(
                [*command, "--memreturn-report=report.json", mode],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                    "PYTHONPATH": str(ROOT),
                    "PYTEST_PLUGINS": "",
                },
                capture_output=True,
                check=True,
            )
            yield from json.loads(Path(folder, "report.json").read_text("utf-8"))["tests"]


def row(name: str, body: str, number: int, rounds: int) -> str:
    """A line of the table."""
    records = list(judged(body, number, rounds))
    assert len(records) == number
    assert all(one["verdict"] != "unjudged" for one in records)
    called = sum(one["verdict"] == "retained" for one in records)
    told = [one["rounds"] for one in records]
    kinds = Counter(one["growth"] for one in told)
    causes = Counter(one["cause"] for one in records[:_EXPLAINED] if one["verdict"] == "retained")
    per_round = statistics.median(one["per_round_bytes"] for one in told)
    needed = statistics.median(one["run"] for one in told)
    seconds = statistics.median(one["overhead_seconds"] for one in records)
    return " | ".join(
        (
            f"| {name}",
            f"{called} of {number}",
            f"{per_round:,.0f} B",
            f"{needed:.0f}",
            ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()),
            ", ".join(f"{cause} {count}" for cause, count in causes.most_common()) or "-",
            f"{seconds:.2f} s |",
        )
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--leaks", type=int, default=50, help="runs of each leak")
    parser.add_argument("--clean", type=int, default=1000, help="runs of clean bodies in all")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--only", default="", help="bodies with this in their names")
    asked = parser.parse_args()
    print("| body | called a leak | per round | rounds run | growth | cause | overhead |")
    print("|---|---|---|---|---|---|---|")
    share = -(-asked.clean // len(_CLEAN))
    for bodies, number in ((_LEAKS, asked.leaks), (_CLEAN, share)):
        for name, body in bodies:
            if number and asked.only in name:
                print(row(name, body, number, asked.rounds), flush=True)


if __name__ == "__main__":
    main()
