"""Which readings work here, and how good they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_memreturn._checkup import Finding
from pytest_memreturn._sizes import format_size
from pytest_memreturn.probes import NEEDED_ON_LINUX, machine

if TYPE_CHECKING:
    from pytest_memreturn._instruments import Instruments

TOPIC = "readings"

# What would change whatever the portable probe lacks.
LINUX_PROBE = "the linux probe, where procfs can be read"

_PEAK_MARK = "/proc/self/clear_refs"
_COUNTS = "/proc/vmstat"
_CALLS = "/proc/self/syscall"
MOUNT = "let the tests read /proc: mount it in the container or sandbox"


def probe(instruments: Instruments) -> Iterator[Finding]:
    """What reads memory, and why nothing finer does."""
    name = instruments.memory.name
    if name != "portable":
        yield Finding(TOPIC, "probe", f"{name}, which reads procfs" if name == "linux" else name)
        return
    why, remedy = "since this is no Linux", "run the tests on Linux for the rest"
    if machine.is_linux():
        problems = machine.unreadable(NEEDED_ON_LINUX)
        why = "; ".join(f"{path}: {problem}" for path, problem in problems.items())
        why = f"since procfs cannot be read ({why})" if problems else "as it was asked for"
        remedy = MOUNT if problems else "memreturn_probe = auto"
    yield Finding(
        TOPIC,
        "probe",
        f"portable, through psutil alone, {why}: no layout, no survivors, no shared memory, and "
        "lazily freed pages count as retained",
        "limited",
        remedy,
    )


def footprint(instruments: Instruments) -> Iterator[Finding]:
    """How exact the cheapest figure is."""
    counters = instruments.memory.counters()
    exact = instruments.memory.exact()
    size = format_size(exact.footprint_bytes)
    if not counters.error_bytes:
        yield Finding(TOPIC, "footprint", f"{size} now; the kernel's counters show each page")
        return
    yield Finding(
        TOPIC,
        "footprint",
        f"{size} now; the kernel's counters may be off by {format_size(counters.error_bytes)}, so "
        "that page tables are walked instead: as exact, and dearer for a large process",
        "limited",
        "another kernel: Linux 6.18 counts each page",
    )


def peak(instruments: Instruments) -> Iterator[Finding]:
    """Whether the highest point of a window can be told from that of the process."""
    found = instruments.memory.close_peak(instruments.memory.open_peak())
    if found.quality == "exact":
        yield Finding(TOPIC, "peak", "exact: the kernel's mark is reset for each window")
        return
    remedy = LINUX_PROBE
    if instruments.memory.name == "linux":
        remedy = f"let the tests write to {_PEAK_MARK}: mount /proc for reading and writing"
    yield Finding(
        TOPIC,
        "peak",
        f"{found.quality}: the mark cannot be reset, so that a peak below an older one is not seen",
        "limited",
        remedy,
    )


def layout(instruments: Instruments) -> Iterator[Finding]:
    """Whether it is known which memory is whose."""
    found = instruments.full_reading().snapshot()
    if found.ranges:
        text = f"{len(found.ranges)} ranges of addresses: accounts and survivors can be told"
        yield Finding(TOPIC, "layout", text)
        return
    yield Finding(
        TOPIC,
        "layout",
        "none: what no allocator names is unexplained, and growth inside free memory is not seen",
        "limited",
        LINUX_PROBE,
    )


def outside(instruments: Instruments) -> Iterator[Finding]:
    """Whether children and shared memory can be looked for; without it nothing is judged."""
    begun = instruments.begin_outside()
    instruments.outside_since(begun, peak_growth_bytes=0)
    if instruments.memory.name == "portable":
        text = "child processes are looked for, shared memory that is left behind is not"
        yield Finding(TOPIC, "outside", text, "limited", LINUX_PROBE)
        return
    yield Finding(TOPIC, "outside", "child processes and shared memory are looked for")


def economy(instruments: Instruments) -> Iterator[Finding]:
    """Whether a passing test is spared the layout, and a waiting one can tell who purges."""
    activity = instruments.memory.activity()
    if activity is None or activity.lazily_freed_bytes is None:
        yield Finding(
            TOPIC,
            "economy",
            "nobody counts what was freed lazily: each test begins with a layout of its own",
            "limited",
            LINUX_PROBE if activity is None else f"let the tests read {_COUNTS}",
        )
    else:
        yield Finding(TOPIC, "economy", "a passing test is judged by cheap counters")
    threads = instruments.motion().threads
    problems = machine.unreadable([_CALLS]) if instruments.memory.name == "linux" else {}
    text = f"{threads} thread{'s' if threads > 1 else ''} now"
    if problems:
        ((path, problem),) = problems.items()
        yield Finding(
            TOPIC,
            "settling",
            f"{text}; {path}: {problem}: a thread that purges is waited for, asleep or not",
            "limited",
            "let the process look at its own threads",
        )
    else:
        yield Finding(TOPIC, "settling", f"{text}; memory on its way back is waited for")
