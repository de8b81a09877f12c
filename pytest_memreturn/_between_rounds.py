"""What a round leaves with the test runner, taken back before the body runs again.

pytest keeps it until the test has ended: after a hundred rounds a hundredfold. It would look like
growth of the test's own, and what a body says of its log or output would hold in one round only.
"""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.junitxml import xml_key  # pytest has no other name for it

if TYPE_CHECKING:
    from pytest_memreturn._test_report import TestState

_OWN_PATCHES = ("_setattr", "_setitem", "_cwd", "_savesyspath")


class BetweenRounds:
    """Made before the body runs for the first time.

    Of output, log records and report sections the last run's are left for a report, of warnings
    and reports of subtests those that came first.
    """

    def __init__(self, item: pytest.Item, state: TestState) -> None:
        self._item = item
        self._state = state
        kept: list[list[Any]] = [
            state.records,
            item.user_properties,
            item._report_sections,  # noqa: SLF001 - pytest has no other name for it
        ]
        kept += [one.list for one in _fixtures(item) if isinstance(one, pytest.WarningsRecorder)]
        self._lists = [(one, len(one)) for one in kept]
        self._warnings = _caught_warnings()
        self._warned = len(self._warnings)
        self._patches = [
            _Patches(one) for one in _fixtures(item) if isinstance(one, pytest.MonkeyPatch)
        ]
        self._reported: dict[str, int] | None = None
        self._in_junit: tuple[int, dict[str, int]] | None = None
        self._doctest = getattr(item, "dtest", None)
        self._names = dict(getattr(self._doctest, "globs", ()))

    def clean_up(self) -> None:
        """Leave things as if the body had not run yet."""
        for one in self._patches:
            one.undo()
        for kept, length in self._lists:
            del kept[length:]
        self._forget_output()
        for handler in logging.getLogger().handlers:
            if type(handler).__module__.partition(".")[0] == "_pytest":
                _clear(handler)
        self._forget_warnings()
        with warnings.catch_warnings():
            # Leaving it has places warn again that have done so: as in the first run.
            pass
        self._forget_subtests()
        _tear_down(self._item)
        _forget_runner(self._item)
        if self._doctest is not None:
            # A run ends with these cleared.
            self._doctest.globs.clear()
            self._doctest.globs.update(self._names)

    def end(self) -> None:
        """Leave the rest to the end of the test, as if the body had run once."""
        self._forget_warnings()
        if self._reported is not None:
            self._forget_subtests()
        for one in self._patches:
            one.end()

    def _forget_output(self) -> None:
        captures = self._item.config.pluginmanager.get_plugin("capturemanager")
        if captures is None:
            return
        captures.read_global_capture()
        fixture = captures._capture_fixture  # noqa: SLF001 - asked nowhere else
        if fixture is not None:
            fixture.readouterr()

    def _forget_warnings(self) -> None:
        """Keep one of each place: a run that turns warnings into errors has no list of them."""
        seen = set()
        kept = []
        for one in self._warnings[self._warned :]:
            place = (one.category, one.filename, one.lineno)
            if place not in seen:
                seen.add(place)
                kept.append(one)
        self._warnings[self._warned :] = kept

    def _forget_subtests(self) -> None:
        """The terminal keeps a report of each subtest, and counts them at the end."""
        terminal = self._item.config.pluginmanager.get_plugin("terminalreporter")
        stats: dict[str, list[Any]] = getattr(terminal, "stats", {})
        if self._reported is None:
            self._reported = {name: len(reports) for name, reports in stats.items()}
        for name, reports in stats.items():
            first = self._reported.get(name, 0)
            reports[first:] = [one for one in reports[first:] if not self._is_repeated(one)]

        self._forget_subtests_in_junit()

    def _forget_subtests_in_junit(self) -> None:
        """A JUnit file has a note of each that skips, and a count of all."""
        junit = self._item.config.stash.get(xml_key, None)
        if junit is None or self._state.subtest_failed:
            return  # or it is the last round, and its failure is to be there
        notes = junit.node_reporter(self._item.nodeid).nodes
        if self._in_junit is None:
            self._in_junit = len(notes), dict(junit.stats)
        length, counts = self._in_junit
        del notes[length:]
        junit.stats.update(counts)

    def _is_repeated(self, report: object) -> bool:
        is_ours = getattr(report, "nodeid", None) == self._item.nodeid
        # One that has failed ends the rounds, and is there once.
        return is_ours and not getattr(report, "failed", True)


class _Patches:
    """What a body patches through a fixture that a set-up may have used before it."""

    def __init__(self, fixture: pytest.MonkeyPatch) -> None:
        self._fixture = fixture
        self._of_set_up = {name: getattr(fixture, name) for name in _OWN_PATCHES}
        self._begin()

    def _begin(self) -> None:
        new = pytest.MonkeyPatch()
        for name in _OWN_PATCHES:
            setattr(self._fixture, name, getattr(new, name))

    def undo(self) -> None:
        """Take back what the last run has patched, and nothing that was patched before."""
        self._fixture.undo()
        self._begin()

    def end(self) -> None:
        """Leave all of it to the end of the fixture."""
        old = self._of_set_up
        for name in ("_setattr", "_setitem"):
            setattr(self._fixture, name, [*old[name], *getattr(self._fixture, name)])
        for name in ("_cwd", "_savesyspath"):
            if old[name] is not None:
                setattr(self._fixture, name, old[name])


def _fixtures(item: pytest.Item) -> list[object]:
    return list(getattr(item, "funcargs", {}).values())


def _caught_warnings() -> list[Any]:
    """The list that warnings go to just now; an empty one where there is none."""
    show = getattr(warnings, "_showwarnmsg_impl", None)
    found = getattr(show, "__self__", None)
    return found if isinstance(found, list) else []


def _tear_down(item: pytest.Item) -> None:
    """Under ``--pdb`` pytest puts off the tear-down of a `unittest.TestCase` to the test's end."""
    tear_down = getattr(item, "_explicit_tearDown", None)
    if tear_down is not None:
        item._explicit_tearDown = None  # type: ignore[attr-defined] # noqa: SLF001
        vars(item.instance).pop("tearDown", None)  # type: ignore[attr-defined]
        tear_down()


def _forget_runner(item: pytest.Item) -> None:
    """A `unittest.IsolatedAsyncioTestCase` has closed its runner, and makes one if it has none."""
    instance = getattr(item, "instance", None)
    if getattr(instance, "_asyncioRunner", None) is not None:
        instance._asyncioRunner = None  # type: ignore[union-attr] # noqa: SLF001


def _clear(handler: logging.Handler) -> None:
    """One that keeps what it was given; another one shows it at once."""
    clear = getattr(handler, "clear", None)
    if clear is not None:
        clear()
