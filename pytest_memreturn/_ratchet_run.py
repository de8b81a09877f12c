"""The ratchet in one run: what was recorded is read, compared with, and recorded anew."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_memreturn import _options, _xdist
from pytest_memreturn._settings import Sourced
from pytest_memreturn.ratchet.changes import Changes, Judged, find_changes
from pytest_memreturn.ratchet.collected import Collected
from pytest_memreturn.ratchet.entries import Key, Ratchet, Tolerance
from pytest_memreturn.ratchet.file import (
    RatchetFileError,
    parse_ratchet,
    ratchet_text,
    read_ratchet,
)
from pytest_memreturn.ratchet.lines import compared_lines, folded, saved_lines
from pytest_memreturn.ratchet.surroundings import differences, surroundings
from pytest_memreturn.report.files import check_writable, write_whole
from pytest_memreturn.report.printable import on_one_line, printable

if TYPE_CHECKING:
    from pytest_memreturn._record import Record
    from pytest_memreturn._settings import Mode, Settings

_RECORDED = "recorded"


@dataclass(frozen=True, slots=True)
class _Target:
    """A file as somebody named it, and where."""

    origin: str
    name: str
    path: Path


class RatchetRun:
    """Holds tests to what was recorded of them, and records what they retain.

    Reads and checks everything before the first test: raises `pytest.UsageError` naming the option,
    the file and what is wrong. A worker of pytest-xdist gets it from its controller, which alone
    writes. `environment` is that of a report.
    """

    def __init__(
        self, config: pytest.Config, environment: Mapping[str, Any], tolerance_bytes: int | None
    ) -> None:
        self._compare = _target(config, "memreturn_compare")
        self._save = _target(config, "memreturn_save")
        self._tolerance = Tolerance(tolerance_bytes)
        self._here = surroundings(environment)
        # What concerns every test of a worker, where nobody would see a usage error.
        self.problem: str | None = None
        self._recorded = self._as_given(config)
        self._elsewhere = differences(self._recorded.environment, self._here)
        if self._elsewhere and not _any_environment(config):
            self._refuse(config)
        self.collected = Collected((one.nodeid for one in self._recorded.entries), config.rootpath)
        self._judged: dict[Key, Judged] = {}
        self._judged_any = False
        # Those with recorded blocks that ran to their end: a block that did not come is gone.
        self._with_blocks = {one.nodeid for one in self._recorded.entries if one.label is not None}
        self._to_the_end: set[str] = set()
        self._cut_short: set[str] = set()
        self._found = Changes()
        self._was_written = False

    def _as_given(self, config: pytest.Config) -> Ratchet:
        """What was recorded: from the controller, or from the file."""
        text = _xdist.given(config, _RECORDED)
        if text is not None:
            return parse_ratchet(text, self._source.name)
        if self._save is not None:
            _check_can_save(config, self._save)
        try:
            return read_ratchet(self._source.path, self._source.name)
        except FileNotFoundError:
            if self._compare is None:
                return Ratchet(self._here, {}, self._source.name)
            name = shlex.quote(self._compare.name)
            problem = (
                "there is no such file; --memreturn-compare= "
                f"--memreturn-save={name} records what is retained now"
            )
        except RatchetFileError as error:
            problem = str(error)
        msg = f"{self._source.origin}: cannot read {self._source.name}: {problem}"
        raise pytest.UsageError(printable(msg))

    @property
    def _source(self) -> _Target:
        """Where what was recorded is: a run that only records begins from what is there."""
        found = self._compare or self._save
        assert found is not None  # there is no other reason to be here
        return found

    def _refuse(self, config: pytest.Config) -> None:
        """Say where another environment differs."""
        self.problem = printable(
            f"{self._source.origin}: {self._source.name} was recorded in another environment: "
            f"{'; '.join(self._elsewhere)}. Record a file for each environment, or use this one "
            "all the same with --memreturn-any-environment"
        )
        if not _xdist.is_worker(config):
            raise pytest.UsageError(self.problem)

    @property
    def saves(self) -> bool:
        """Whether a file is to be written at the end."""
        return self._save is not None

    @property
    def compares(self) -> bool:
        """Whether tests are held to what was recorded; otherwise they are only recorded."""
        return self._compare is not None

    def applied(self, settings: Settings, nodeid: str, label: str | None = None) -> Settings:
        """The settings of a test or block, as the ratchet has it judged."""
        if self.compares:
            return self._recorded.applied(settings, Key(nodeid, label), self._tolerance)
        mode: Sourced[Mode] = Sourced("record", self._source.origin)
        return dataclasses.replace(settings, mode=mode)

    def give_to_worker(self, node: object) -> None:
        """Have a worker of pytest-xdist judge by the same: it may not see the same files."""
        _xdist.give(node, _RECORDED, "".join(ratchet_text(self._recorded)))

    def collect(self, record: Record) -> None:
        """Take what a record says."""
        one = Judged.of(record)
        if one is None:
            return
        self._judged_any = True
        if not one.passed or one.key in self._recorded.entries:
            known = self._judged.get(one.key)
            self._judged[one.key] = one if known is None else one.worse(known)

    def phase_ended(self, nodeid: str, phase: str | None, *, passed: bool) -> None:
        """Note how far a test came that has recorded blocks. A subtest tells of a part of it."""
        if nodeid not in self._with_blocks:
            return
        if phase == "teardown":
            if nodeid not in self._cut_short:
                self._to_the_end.add(nodeid)
        elif not passed:
            self._cut_short.add(nodeid)
        elif phase == "setup":  # of an attempt, which may not be the first
            self._cut_short.discard(nodeid)

    def write(self) -> list[str]:
        """Compare, and write what is to be kept; what of that went wrong."""
        self._found = self._changes()
        if self._save is None or not self._judged_any:
            return []
        environment = self._recorded.environment if self.compares else self._here
        try:
            write_whole(self._save.path, ratchet_text(Ratchet(environment, self._found.entries)))
        except OSError as error:
            return [on_one_line(f"cannot write {self._save.name}: {error.strerror or error}")]
        self._was_written = True
        return []

    def _changes(self) -> Changes:
        gone = set(self.collected.gone)
        return find_changes(
            self._recorded.entries,
            self._judged,
            [
                one
                for one in self._recorded.entries
                if one.nodeid in gone or (one.label is not None and one.nodeid in self._to_the_end)
            ],
            self._tolerance,
            only_less=self.compares,
        )

    def lines(self, width: int, *, all_of_them: bool) -> Iterator[str]:
        """What is to be said at the end of the run."""
        name = self._source.name
        if self._elsewhere:
            where = "; ".join(self._elsewhere)
            yield from folded(f"{name} was recorded in another environment: {where}", width)
        saved_to = self._save.name if self._save is not None and self._was_written else None
        if self.compares:
            yield from compared_lines(
                name, self._found, width, all_of_them=all_of_them, saved_to=saved_to
            )
        elif saved_to is not None:
            yield from saved_lines(name, self._found, width, all_of_them=all_of_them)
        if self._save is not None and not self._judged_any:
            yield from folded(
                f"{self._save.name} was not written: nothing was judged "
                "(--memreturn judges every test)",
                width,
            )


def _target(config: pytest.Config, name: str) -> _Target | None:
    """The file that an option names, or the ini file; ``None`` where it is not given."""
    found = _options.closest(config, name)
    if found is None or not found[1]:
        return None
    origin, text = found
    started_in = config.invocation_params.dir
    if origin.startswith("--"):
        return _Target(origin, text, started_in / text)
    # An ini file means the same from wherever pytest is started.
    path = (config.inipath.parent if config.inipath else config.rootpath) / text
    inside = started_in in path.parents
    return _Target(origin, str(path.relative_to(started_in) if inside else path), path)


def _any_environment(config: pytest.Config) -> bool:
    found = _options.closest(config, "memreturn_any_environment")
    return found is not None and bool(found[1])


def _check_can_save(config: pytest.Config, target: _Target) -> None:
    """Raise `pytest.UsageError` now rather than after a long run."""
    mode = _options.closest(config, "memreturn_mode")
    if mode is not None and mode[1] == "off":
        msg = f"{target.origin}: nothing is judged, and so nothing recorded, with {mode[0]}=off"
        raise pytest.UsageError(msg)
    try:
        check_writable(target.path)
    except OSError as error:
        msg = f"{target.origin}: cannot write {target.name!r}: {error.strerror or error}"
        raise pytest.UsageError(msg) from None
