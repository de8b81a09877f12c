"""The context manager that judges other processes from outside, in pytest and elsewhere."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from pytest_memreturn._errors import (
    InvalidSettingError,
    MemoryNotReturnedWarning,
    ReadingUnavailableError,
    UnjudgedWarning,
    UnwatchableError,
)
from pytest_memreturn._measure import Measure, reason_of
from pytest_memreturn._processes import ProcessKey
from pytest_memreturn._record import Record
from pytest_memreturn._settings import Source, Sourced, check, resolve
from pytest_memreturn._watcher import Watcher, World
from pytest_memreturn.probes import tree_probe
from pytest_memreturn.probes.interpreters import python_of, switches_of
from pytest_memreturn.remote.sender import RemoteReleaser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_memreturn._processes import WatchedProcess
    from pytest_memreturn._settings import Settings


@functools.cache
def world(probe: str = "auto") -> World:
    """What processes are watched by, on this machine."""
    return World(tree_probe(probe), RemoteReleaser(switches_of, python_of))


@dataclass(frozen=True, slots=True)
class WatchAttempt:
    """A watcher whose own failures never reach the code around it.

    But for a process that can't be watched: to ask for that was a slip, and raises
    `InvalidSettingError`, which names `origin`.
    """

    settings: Settings
    world: Callable[[], World]
    root: ProcessKey | None
    release: bool
    origin: str
    nodeid: str
    location: str | None = None
    label: str | None = None

    def open(self) -> Watcher | str:
        """A watcher with its baseline taken, or the reason why there is none."""
        assert self.root is not None  # there is none only where nothing is judged
        try:
            watcher = Watcher(self.world(), self.settings, self.root, release=self.release)
            watcher.open()
        except UnwatchableError as error:
            raise InvalidSettingError(self.origin, error.setting, str(error)) from None
        except Exception as error:  # noqa: BLE001 - see the class
            return reason_of(error)
        return watcher

    def abandon(self, opened: object) -> None:
        """Nothing is left to end: a watcher keeps nothing but its readings."""

    def close(self, opened: object) -> Record:
        """Judge what `open` gave."""
        if not isinstance(opened, Watcher):
            return self.unjudged(str(opened))
        try:
            measured, processes = opened.close()
        except UnwatchableError as error:
            return self.unjudged(f"process {error}")
        except Exception as error:  # noqa: BLE001 - see the class
            return self.unjudged(reason_of(error))
        record = measured.to_record(
            self.nodeid, window="watch", label=self.label, location=self.location
        )
        return dataclasses.replace(record, processes=processes)

    def unjudged(self, reason: str, own_outcome: str | None = None) -> Record:
        """A record without a verdict."""
        return Record(
            nodeid=self.nodeid,
            verdict="unjudged",
            gate=self.settings.gate.value,
            window="watch",
            label=self.label,
            location=self.location,
            reason=reason,
            own_outcome=own_outcome,
        )


class Watch(Measure):
    """Judges a process and its descendants while its ``with`` block runs.

    Made by `watch` and by ``memreturn.watch``; everything is there to read afterwards, as of a
    `Measure`. Sizes are bytes.
    """

    @property
    def processes(self) -> Sequence[WatchedProcess]:
        """Every process that was there before or after, the one that grew most first.

        Each has its `pid`, `name` and `command`, its share of the footprint as `before_bytes` and
        `after_bytes` (``None`` where it was not there), and `grown_bytes`.
        """
        self._judged(self.record.retained_bytes)
        return self.record.processes

    def explain(self, *_: object, **__: object) -> NoReturn:
        """Nothing to run again: raises `RuntimeError`."""
        msg = "another process was watched: there is no work that could be run again here"
        raise RuntimeError(msg)


def watch_settings(
    origin: str,
    max_retained: object,
    settle: object,
    *,
    release: object,
    sources: Sequence[Source] = (),
) -> Settings:
    """How a watch is judged; raises `InvalidSettingError` for a value that cannot be right."""
    if not isinstance(release, bool):
        raise InvalidSettingError(origin, "release", f"{release!r} is not True or False")
    source = Source(origin, {"max_retained": max_retained, "settle": settle}, at_the_test=True)
    settings = resolve([check(source), *sources])
    return dataclasses.replace(settings, gate=Sourced("trim" if release else "end", origin))


def root_of(found: Callable[[], World], pid: object, origin: str) -> ProcessKey:
    """The process to be watched; raises `InvalidSettingError` for one that can't be."""
    if isinstance(pid, bool) or not isinstance(pid, int):
        problem = f"{pid!r} is no process id: give a number, such as the .pid of a subprocess.Popen"
        raise InvalidSettingError(origin, "pid", problem)
    if pid <= 0:
        raise InvalidSettingError(origin, "pid", f"{pid} is no process id: those are above 0")
    try:
        return found().trees.identify(pid)
    except (UnwatchableError, ReadingUnavailableError, OverflowError) as error:
        problem = f"{pid} is no process id" if isinstance(error, OverflowError) else str(error)
        raise InvalidSettingError(origin, "pid", problem) from None


def watch(
    pid: int,
    max_retained: int | str | None = None,
    *,
    settle: float | str | None = None,
    release: bool = False,
    label: str | None = None,
) -> Watch:
    """Judge another process, with its descendants, from outside, around a ``with`` block.

    `max_retained`: bytes, or a size such as ``"20 MiB"``, that all of them together may keep.
    `settle`: at most so many seconds to wait while their footprint falls, by default 3.
    `release`: have each interpreter among them collect and trim before it is read, which takes
    CPython 3.14 or later on both sides, of the same minor version, and the right to trace it.
    `label`: what messages call the watch.

    Raises `InvalidSettingError`, also at the beginning of the block, for a process that can't be
    watched or released, and for a value that cannot be right. Where there is no verdict, as for a
    process that ends inside the block, there is an `UnjudgedWarning`.
    """
    origin = "watch()"
    settings = watch_settings(origin, max_retained, settle, release=release)

    def on_record(record: Record) -> None:
        if record.verdict == "unjudged" and record.own_outcome is None:
            warnings.warn(f"unjudged: {record.reason}", UnjudgedWarning, stacklevel=3)

    root = root_of(world, pid, origin)
    attempt = WatchAttempt(settings, world, root, release, origin, nodeid="", label=label)
    warn = functools.partial(warnings.warn, category=MemoryNotReturnedWarning, stacklevel=4)
    return Watch(attempt, on_record=on_record, warn=warn)
