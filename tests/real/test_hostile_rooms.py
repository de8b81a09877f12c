"""Where a reading is refused or spoilt, a verdict is right, or `unjudged` with the reason."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# Each starts a process or two, and one Python is as good as another for them.
pytestmark = pytest.mark.extended

HERE = Path(__file__).parent
MIB = 1024 * 1024

# What the three tests of the work-load come to where everything can be read.
RIGHT = {
    "test_returns": ("returned", None),
    "test_keeps": ("retained", "live-python"),
    "test_keeps_a_child": ("retained", "child-process"),
}

NO_ENTRY = "Operation not permitted"


@dataclass(frozen=True)
class Room:
    """What is refused or spoilt, and the reason of each test that can't be judged for it."""

    deny: Mapping[str, str] = field(default_factory=dict)
    reword: Mapping[str, str] = field(default_factory=dict)
    from_first_test: bool = False
    hide: Sequence[str] = ()
    # A block that malloc has mapped for itself is nobody's where malloc can't be asked.
    kept_cause: str = "live-python"
    unjudged: Mapping[str, str] = field(default_factory=dict)


def denied(
    path: str, *tests: str, error: str = "EPERM", said: str = "", late: bool = False
) -> Room:
    """A room where one file, or all that match, can't be opened."""
    reason = f"cannot read {said or path}: {NO_ENTRY}"
    return Room({path: error}, from_first_test=late, unjudged=dict.fromkeys(tests or RIGHT, reason))


SELF = "/proc/self/"
KEEPING = ("test_keeps", "test_keeps_a_child")

ROOMS = {
    "an ordinary one": Room(),
    "no status": denied(SELF + "status"),
    "no smaps": denied(SELF + "smaps"),
    "no smaps_rollup": denied(SELF + "smaps_rollup", *KEEPING),
    "no clear_refs": Room({SELF + "clear_refs": "EACCES"}),
    "no vmstat": Room({"/proc/vmstat": "ENOENT"}),
    "no mem": Room({SELF + "mem": "EPERM"}),
    "no list of descriptors": denied(SELF + "fd"),
    "no list of threads": denied(SELF + "task", "test_keeps_a_child"),
    "no lists of children": denied(
        SELF + r"task/\d+/children", "test_keeps_a_child", said="/proc/self/task/*/children"
    ),
    "no files of another process": denied(
        r"/proc/\d+/.*", "test_keeps_a_child", said="/proc/*/task"
    ),
    "no layout of another process": Room({r"/proc/\d+/smaps.*": "EACCES"}),
    "no table of System V": denied("/proc/sysvipc/shm"),
    "a kernel without System V": Room({"/proc/sysvipc/shm": "ENOENT"}),
    "no list of segments": denied("/dev/shm"),  # noqa: S108 - where the kernel has them
    "no /sys": Room({"/sys/.*": "ENOENT"}),
    "no /proc at all": denied("/proc/.*", said=SELF + "status"),
    "doors that close after the start": denied("/proc/.*", said=SELF + "status", late=True),
    "no smaps_rollup any more": denied(SELF + "smaps_rollup", *KEEPING, late=True),
    "no statistics of malloc": Room(
        hide=["malloc_info", "heap_info", "heap_trim"], kept_cause="mapped"
    ),
    "no statistics of pymalloc": Room(hide=["_PyObject_DebugMallocStats"]),
    "no streams in memory": Room(hide=["open_memstream"], kept_cause="mapped"),
    "a C library without glibc's own": Room(
        hide=["gnu_get_libc_version", "malloc_info", "malloc_trim", "heap_info", "heap_trim"],
        kept_cause="mapped",
    ),
    **{
        f"{how} sums": Room(
            reword={r"/proc/\w+/(status|smaps_rollup)|/proc/\d+/smaps|/proc/vmstat": how}
        )
        for how in ("truncated", "reordered", "future")
    },
    **{f"{how} layout": Room(reword={SELF + "smaps": how}) for how in ("reordered", "future")},
}


@dataclass(frozen=True)
class Ended:
    """A run that has ended, with its records by test."""

    status: int
    text: str
    records: Mapping[str, Mapping[str, Any]]


class Judged:
    """Runs the work-load in a room."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for source in ("workloads_rooms.py", "hostile.py"):
            name = source.replace("workloads", "test")
            shutil.copy(HERE / source, folder / name)

    def run(self, room: Room, *options: str, inside: Sequence[str] = ()) -> Ended:
        """One fresh process, started by the command `inside` where there is one."""
        report = self._folder / "report.json"
        words = {
            "deny": dict(room.deny),
            "reword": dict(room.reword),
            "from_first_test": room.from_first_test,
            "hide": list(room.hide),
        }
        pytest_words = ["-m", "pytest", "-p", "no:cacheprovider", "-p", "hostile", "--memreturn"]
        ended = subprocess.run(
            [*inside, sys.executable, *pytest_words, f"--memreturn-report={report}", *options],
            cwd=self._folder,
            env={
                **os.environ,
                "ROOM": json.dumps(words),
                "PYTHONPATH": os.pathsep.join([str(self._folder), *sys.path]),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert report.exists(), ended.stdout + ended.stderr
        records = json.loads(report.read_text(encoding="utf-8"))["tests"]
        return Ended(
            ended.returncode,
            ended.stdout,
            {one["nodeid"].partition("::")[2]: one for one in records},
        )


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    """Runs the work-load."""
    return Judged(tmp_path)


def check(ended: Ended, room: Room) -> None:
    """Each verdict is right, or missing for the reason that is expected."""
    right, unjudged = {**RIGHT, "test_keeps": ("retained", room.kept_cause)}, room.unjudged
    assert list(ended.records) == list(RIGHT), ended.text
    for name, record in ended.records.items():
        found = (record["verdict"], record["cause"])
        assert found == (("unjudged", None) if name in unjudged else right[name]), record
        if name in unjudged:
            # A star stands for the number of a process or a thread.
            start, _, end = unjudged[name].partition("*")
            assert record["reason"].startswith(start), record["reason"]
            assert record["reason"].endswith(end), record["reason"]
            assert f"UNJUDGED test_rooms.py::{name} - {record['reason']}" in ended.text
    kept = [one for one in ended.records.values() if one["verdict"] == "retained"]
    for record in kept:
        size = (20 if record["cause"] == "child-process" else 8) * MIB
        assert record["retained_bytes"] == pytest.approx(size, rel=0.25), record
    assert ended.status == (1 if kept else 0), ended.text


@pytest.mark.parametrize("room", ROOMS.values(), ids=list(ROOMS))
def test_a_verdict_is_right_or_says_why_there_is_none(judged: Judged, room: Room) -> None:
    """No crash, no false alarm, and no silent pass."""
    check(judged.run(room), room)


def test_a_layout_that_ends_in_the_middle(judged: Judged) -> None:
    """What is there of it decides, or nothing."""
    ended = judged.run(Room(reword={SELF + "smaps": "truncated"}))
    assert list(ended.records) == list(RIGHT)
    assert ended.status in {0, 1}
    for name, record in ended.records.items():
        if record["verdict"] == "unjudged":
            assert record["reason"].startswith("/proc/self/smaps "), record
        else:
            assert (record["verdict"], record["cause"]) == RIGHT[name], record


@pytest.mark.parametrize("name", ["no smaps", "doors that close after the start"])
def test_who_is_strict_has_no_pass_without_a_reading(judged: Judged, name: str) -> None:
    """Each test that could not be judged fails, with the reason."""
    ended = judged.run(ROOMS[name], "--memreturn-strict")
    assert ended.status == 1
    assert ended.text.count(f"unjudged: {ROOMS[name].unjudged['test_keeps']}") >= len(RIGHT)


# -- rooms of the kernel's making --


def shell(*commands: str) -> list[str]:
    """Run commands, then become what follows."""
    return ["sh", "-e", "-c", "\n".join([*commands, 'exec "$@"']), "sh"]


# A user namespace lets anybody mount in a namespace of its own, where the machine allows it.
UNSHARED = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork"]


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skip where nobody may have namespaces."""
    if shutil.which("unshare") is None:
        pytest.skip("no namespaces of our own here: there is no unshare (util-linux)")
    tried = subprocess.run(
        [*UNSHARED, *shell("mount -t proc proc /proc"), "true"], capture_output=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"no namespaces of our own here: {tried.stderr.decode().strip()}")


MOUNTED: dict[str, tuple[list[str], dict[str, str]]] = {
    "no /proc": (
        ["mount -t tmpfs none /proc"],
        dict.fromkeys(RIGHT, "psutil cannot read this process's memory: process PID not found*"),
    ),
    "/proc to read only": (["mount -t proc -o ro proc /proc"], {}),
    "only processes in /proc": (["mount -t proc -o subset=pid proc /proc"], {}),
    "processes of others hidden": (["mount -t proc -o hidepid=2 proc /proc"], {}),
    "an empty vmstat": (["mount -t proc proc /proc", "mount --bind /dev/null /proc/vmstat"], {}),
    "an empty smaps_rollup": (
        ["mount -t proc proc /proc", "mount --bind /dev/null /proc/$$/smaps_rollup"],
        dict.fromkeys(KEEPING, "/proc/self/smaps_rollup has no Anonymous line on this kernel"),
    ),
    "an empty status": (
        ["mount -t proc proc /proc", "mount --bind /dev/null /proc/$$/status"],
        dict.fromkeys(RIGHT, "/proc/self/status has no RssAnon line on this kernel"),
    ),
}


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(("commands", "unjudged"), MOUNTED.values(), ids=list(MOUNTED))
def test_what_the_kernel_refuses(
    judged: Judged, commands: Sequence[str], unjudged: Mapping[str, str]
) -> None:
    """The same with mounts, as containers have them."""
    ended = judged.run(Room(), inside=[*UNSHARED, *shell(*commands)])
    check(ended, Room(unjudged=unjudged))


# What is done to a disk before the run, and to it by a test; what comes of its report; the status.
DISKS: dict[str, tuple[str, str, str, int]] = {
    "full": (
        "export TMPDIR=disk; dd if=/dev/zero of=disk/full bs=4096 2> errors || test -s errors",
        "pass",
        "cannot write disk/report.json: No space left on device",
        3,
    ),
    "full of files": (
        "mount -o remount,nr_inodes=2 disk",
        "pass",
        "ERROR: --memreturn-report: cannot write 'disk/report.json': No space left on device",
        4,
    ),
    "read only": (
        "mount -o remount,ro disk",
        "pass",
        "ERROR: --memreturn-report: cannot write 'disk/report.json': Read-only file system",
        4,
    ),
    "read only in the end": (
        ":",
        "subprocess.run(['mount', '-o', 'remount,ro', 'disk'], check=True)",
        "cannot write disk/report.json: Read-only file system",
        3,
    ),
}


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(("before", "act", "said", "status"), DISKS.values(), ids=list(DISKS))
def test_a_disk_that_takes_nothing(
    tmp_path: Path, before: str, act: str, said: str, status: int
) -> None:
    """The old report stays whole, no draft is left, and a report on another disk is written."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "test_disk.py").write_text(
        f"import subprocess\ndef test_returns():\n    {act}\n", encoding="utf-8"
    )
    commands = [
        "mount -t tmpfs -o size=64k none disk",
        "echo of the run before > disk/report.json",
        before,
        'status=0; "$@" || status=$?',
        "rm -f disk/full; ls -A disk; cat disk/report.json; exit $status",
    ]

    ended = subprocess.run(
        [
            *UNSHARED,
            *shell(*commands),
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--memreturn"),
            *("--memreturn-report=disk/report.json", "--memreturn-report=whole.json"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert ended.returncode == status, ended.stdout + ended.stderr
    assert f"{said}\n" in ended.stdout + ended.stderr
    assert ended.stdout.endswith("report.json\nof the run before\n")
    assert ".memreturn-" not in ended.stdout
    if status == pytest.ExitCode.INTERNAL_ERROR:
        (record,) = json.loads((tmp_path / "whole.json").read_text(encoding="utf-8"))["tests"]
        assert record["verdict"] == "returned"


LIMITS = {
    "address space": "ulimit -v 1000000",
    "descriptors": "ulimit -n 24",
    "stack": "ulimit -s 1024",
}


@pytest.mark.parametrize("limit", LIMITS.values(), ids=list(LIMITS))
def test_a_process_with_limits(judged: Judged, limit: str) -> None:
    """They are enough for the work-load, and so they are for the readings."""
    check(judged.run(Room(), inside=shell(limit)), Room())


# Interpreter, pytest and child peak at 62 MB, file pages that can be dropped among them.
GENEROUS, TIGHT = 512 * MIB, 80 * MIB


@pytest.mark.parametrize("limit_bytes", [GENEROUS, TIGHT], ids=["far", "near"])
def test_a_container_s_limit(judged: Judged, limit_bytes: int) -> None:
    """A control group's limit: the kernel drops pages of files, or swaps, before it kills."""
    with memory_group(limit_bytes) as group:
        check(judged.run(Room(), inside=shell(f"echo $$ > {group}/cgroup.procs")), Room())


@contextlib.contextmanager
def memory_group(limit_bytes: int) -> Iterator[Path]:
    """A control group with a limit, by whichever version of them is here."""
    version_1 = Path("/sys/fs/cgroup/memory")
    root, limit = (
        (version_1, "memory.limit_in_bytes")
        if version_1.is_dir()
        else (Path("/sys/fs/cgroup"), "memory.max")
    )
    group = root / f"memreturn-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group of our own here: {error}")
    try:
        try:
            (group / limit).write_text(f"{limit_bytes}", encoding="ascii")
        except OSError as error:
            pytest.skip(f"no limit for a control group here: {error}")
        yield group
    finally:
        for _ in range(100):
            # What ran in it may take a moment to be gone.
            with contextlib.suppress(OSError):
                group.rmdir()
                break
