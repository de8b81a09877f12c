"""The process of a re-run: one test, judged, with what it was asked to look at besides."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import gc
import json
import os
import sys
import time
import traceback
import tracemalloc
import warnings
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from _pytest.runner import runtestprotocol

from pytest_memreturn import _xdist
from pytest_memreturn.fresh.first_path import insert_first_path
from pytest_memreturn.fresh.one_test import OneTest
from pytest_memreturn.fresh.tie import tie_to
from pytest_memreturn.reruns import native
from pytest_memreturn.reruns._contract import Order, RemedyCandidate
from pytest_memreturn.reruns.lines import FRAMES, Trace, is_library, is_runner, largest_lines
from pytest_memreturn.reruns.sampler import Sampler

if TYPE_CHECKING:
    from pytest_memreturn._instruments import Instruments

# A re-run judges, and fails nobody for it; nor does it explain an explanation.
_OPTIONS: dict[str, object] = {
    "memreturn_explain": False,
    "memreturn_mode": "warn",
    "memreturn_strict": False,
    "memreturn_save": None,
}


class RerunPlugin(OneTest):
    """Leaves one test of all, and writes down what becomes of it."""

    def __init__(self, order: Order) -> None:
        super().__init__(order.nodeid, order.path, _OPTIONS)
        self._order = order
        self._answer = Path(order.answer)
        self._body: _Body | None = None

    def tell(self, **what: object) -> None:
        """Add a line to the answer, at once: nobody knows how this process will end."""
        with self._answer.open("a", encoding="utf-8") as answer:
            answer.write(json.dumps(what) + "\n")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say whether it was found; look inside its window, innermost of all."""
        self.tell(found=self.found)
        judging_session(session.config).explain_nothing()
        self._body = _Body(self._order, self.tell, session.config)
        session.config.pluginmanager.register(self._body, "memreturn-rerun-body")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> object:
        """Run a test twice where a second call shall tell what only the first one keeps."""
        if self._order.look != "twice":
            return None
        # Function fixtures end with the first pass, wider ones don't: the next test is another
        # one beside it.
        for following in (copy.copy(item), nextitem):
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            runtestprotocol(item, nextitem=following)
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            self.tell(live_bytes=_live_bytes(instruments_of(item.config)))
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hand on the records of the test, before the report of the run takes them."""
        for one in _xdist.attached(report):
            if one.window in {"call", "test"}:
                self.tell(record=one.to_dict())


class _Body:
    """What is done inside the window."""

    def __init__(self, order: Order, tell: Callable[..., None], config: pytest.Config) -> None:
        self._order = order
        self._tell = tell
        self._config = config

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Look at the body of the test, and call what shall release its memory."""
        look = self._order.look
        if look == "lines":
            return (yield from self._traced())
        if look == "native":
            return (yield from self._tracked())
        if look == "timeline":
            return (yield from self._sampled())
        if look == "child":
            in_child(item)
        result = yield
        self._release()
        return result

    def _traced(self) -> Generator[None, object, object]:
        tracemalloc.start(FRAMES)
        try:
            result = yield
            gc.collect()
            traces = [
                Trace(one.size, [(frame.filename, frame.lineno) for frame in one.traceback])
                # By the same frames, so that a million objects of one line are one.
                for one in tracemalloc.take_snapshot().statistics("traceback")
            ]
        finally:
            tracemalloc.stop()
        self._tell_lines(traces)
        return result

    def _tracked(self) -> Generator[None, object, object]:
        recording = Path(self._order.folder, "memray")
        with native.tracked(recording):
            result = yield
            gc.collect()
        self._tell_lines(native.traces(recording))
        return result

    def _tell_lines(self, traces: Iterable[Trace]) -> None:
        root = self._config.rootpath
        self._tell(
            lines=[
                dataclasses.asdict(dataclasses.replace(one, file=_from_root(one.file, root)))
                for one in largest_lines(traces, is_runner=is_runner, is_library=is_library)
            ]
        )

    def _sampled(self) -> Generator[None, object, object]:
        memory = instruments_of(self._config).memory
        sampler = Sampler(lambda: memory.counters().footprint_bytes, time.perf_counter)
        sampler.start()
        try:
            return (yield)
        finally:
            self._tell(timeline=sampler.stop())

    def _release(self) -> None:
        if not self._order.release and self._order.remedy is None:
            return
        try:
            # The window is judged after a collection, with a remedy and without.
            gc.collect()
            trims = instruments_of(self._config).releaser.trims
            for name in self._order.release:
                trims[name]()
            if self._order.remedy is not None:
                self._call_remedy(self._order.remedy)
        except Exception as error:  # noqa: BLE001 - a remedy that fails is none
            self._tell(problem=f"{type(error).__name__}: {error}")

    def _call_remedy(self, name: str) -> None:
        asked: Iterable[Iterable[RemedyCandidate]] = self._config.hook.pytest_memreturn_remedies(
            config=self._config
        )
        (found,) = (one for given in asked for one in given if one.name == name)
        assert found.call is not None  # others are no task of this kind
        found.call()


def _from_root(file: str, root: Path) -> str:
    """A file as node ids name it, where it is one of the project's."""
    return Path(file).relative_to(root).as_posix() if root in Path(file).parents else file


def instruments_of(config: pytest.Config) -> Instruments:
    """What the tests of this process are judged with."""
    return judging_session(config).instruments()


class Judging(Protocol):
    """What judges the tests of a process, as far as a re-run concerns itself with it."""

    def instruments(self) -> Instruments:
        """What it measures with."""

    def explain_nothing(self) -> None:
        """Judge only."""


def judging_session(config: pytest.Config) -> Judging:
    """What judges the tests of this process."""
    judging = config.pluginmanager.get_plugin("memreturn-judging")
    assert judging is not None  # a mode was given: it is registered when the run is configured
    found: Judging = judging.session
    return found


def _live_bytes(instruments: Instruments) -> int:
    gc.collect()
    return sum(
        one.live_bytes + one.own_mapping_live_bytes
        for one in instruments.statistics()
        if one.counts and not one.is_from_malloc
    )


def in_child(item: pytest.Item) -> None:
    """Have the body of a test run in a child process that ends, and its failure raised here."""
    # Where rounds stand in the body's place, each of them has a child of its own.
    repeated: Any = getattr(item.runtest, "__self__", None)
    is_repeated = hasattr(repeated, "run_once")
    run: Callable[[], None] = repeated.run_once if is_repeated else item.runtest

    def forked() -> None:
        if not is_repeated:
            del item.runtest
        with warnings.catch_warnings():
            # A process with threads may fork for as long as the child does not need them.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            _run_and_exit(run)
        _, status = os.waitpid(child, 0)
        if status:
            # Negative: the number of the signal that ended it.
            code = os.waitstatus_to_exitcode(status)
            msg = f"in a child process the test ended with status {code}"
            raise RuntimeError(msg)

    if is_repeated:
        repeated.run_once = forked
    else:
        # On this item alone, and once: `forked` takes itself away before the test runs.
        item.runtest = forked  # type: ignore[method-assign]


def _run_and_exit(run: Callable[[], None]) -> None:
    status = 1
    try:
        run()
        status = 0
    except BaseException:  # noqa: BLE001 - nothing of the runner's may go on in the child
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def main(order_file: str, lifeline: str) -> int:
    """Run the test that the file names; the exit status is pytest's."""
    tie_to(int(lifeline))
    order = Order.from_json(Path(order_file).read_text(encoding="utf-8"))
    insert_first_path(keeps=order.keeps_first_path)
    return int(pytest.main(list(order.args), plugins=[RerunPlugin(order)]))
