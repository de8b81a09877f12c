"""What is known of each work-load: whether an alarm is right, and whose the memory is."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

KIB = 1024
MIB = 1024 * KIB

WORK = Path(__file__).with_name("work.py")

# What a right answer is. `EITHER`: memory is kept, but is not going to be more.
ALARM, SILENCE, EITHER = "alarm", "silence", "either"


@dataclass(frozen=True)
class Case:
    """One work-load: a function of `work.py` and what may be expected of a tool."""

    name: str
    title: str
    expected: str
    # The cause that pytest-memreturn names where it is right.
    cause: str = ""
    # The type of the Python objects that have the memory, if any have.
    kept_type: str = ""
    # What a message has that names the one thing to close, end or empty.
    holder: str = r"\b(KEPT|SLOT)\b"
    amount_bytes: int = 40 * MIB
    # How much a test that does such work and keeps nothing has at the same time.
    needs_bytes: int = 0
    limit_bytes: int = 2 * MIB
    # psleak calls a function some 20,000 times: for that, a call takes little.
    call_bytes: int = 16 * KIB
    # And where that many calls would be a burden to the machine: fewer.
    calls: Mapping[str, int] = field(default_factory=dict)

    def lines(self) -> range:
        """The lines of `work.py` that a tool names if it names this work."""
        (found,) = (
            one
            for one in ast.parse(WORK.read_text(encoding="utf-8")).body
            if isinstance(one, ast.FunctionDef) and one.name == self.name
        )
        assert found.end_lineno is not None
        return range(found.lineno, found.end_lineno + 1)


CASES = (
    Case("python_leak", "Python objects in a global", ALARM, "live-python", "dict"),
    Case("native_leak", "blocks that a C library forgets", ALARM, "live-native"),
    Case("mapping_leak", "a mapping that nobody closes", ALARM, "mapped", "mmap"),
    Case(
        "segment_left",
        "a segment left in `/dev/shm`",
        ALARM,
        "shared-memory",
        holder=r"/dev/shm/",  # noqa: S108 - as a message names it
        # What it is written from, and its mapping.
        needs_bytes=80 * MIB,
        call_bytes=256 * KIB,
        calls={"times": 10, "retries": 3},
    ),
    Case(
        "child_left",
        "a child process left running",
        ALARM,
        "child-process",
        holder=r"\bpid \d+",
        call_bytes=MIB,
        calls={"warmup_times": 1, "times": 2, "retries": 3},
    ),
    Case(
        "small_leak",
        "64 bytes of malloc's in each of 1,000 calls",
        ALARM,
        "live-native",
        amount_bytes=64_000,
        limit_bytes=32 * KIB,
        call_bytes=64,
    ),
    Case(
        "small_leak_at_default",
        "the same, and nobody set a limit: 2 MiB",
        ALARM,
        "live-native",
        amount_bytes=64_000,
        call_bytes=64,
    ),
    Case(
        "takes_place",
        "`bytes` kept, in the place of as many that were dropped",
        ALARM,
        "live-python",
        "bytes",
    ),
    Case(
        "held_by_malloc",
        "freed, and kept by malloc",
        ALARM,
        "held-by-malloc",
        needs_bytes=40 * MIB,
    ),
    Case(
        "pinned_by_native",
        "freed, but for a live block on every page",
        ALARM,
        "pinned-malloc",
        needs_bytes=40 * MIB,
    ),
    Case(
        "pinned_by_python",
        "freed, but for a live object in every arena",
        ALARM,
        "pinned-python",
        "tuple",
        needs_bytes=40 * MIB,
    ),
    Case("reference_cycle", "a cycle that gc frees", SILENCE, needs_bytes=40 * MIB),
    Case("lazily_freed", "pages given to the kernel by `MADV_FREE`", SILENCE, needs_bytes=40 * MIB),
    Case(
        "never_touched",
        "`np.empty`, never written to",
        SILENCE,
        amount_bytes=200 * MIB,
        needs_bytes=200 * MIB,
        # Above the largest size from which malloc may take to its heap.
        call_bytes=64 * MIB,
    ),
    Case(
        "small_freed",
        "64 bytes taken and given back in each of 1,000 calls",
        SILENCE,
        amount_bytes=64_000,
        limit_bytes=32 * KIB,
        call_bytes=64,
    ),
    Case(
        "first_use",
        "a cache that the first call fills",
        EITHER,
        "live-python",
        "bytes",
        needs_bytes=40 * MIB,
    ),
)

# What the cost of watching is measured on: it is clean, and does nothing but take and give.
CHURN = Case("come_and_go", "small objects that come and go", SILENCE, needs_bytes=40 * MIB)
