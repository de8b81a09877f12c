"""Records across the border between processes."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from pytest_memreturn import _xdist
from pytest_memreturn._explanation import Explanation, SurvivorType
from pytest_memreturn._record import Record

RECORD = Record(
    "t.py::test_x",
    "retained",
    "collect",
    retained_bytes=5,
    readings={"baseline": 1, "end": None},
    explanation=Explanation(survivors=(SurvivorType("dict", 3, 9),)),
)
OTHER = Record("t.py::test_x", "unjudged", "collect", label="block 1", reason="gone")


def report() -> pytest.TestReport:
    """The report of a test that passed."""
    return pytest.TestReport("t.py::test_x", ("t.py", 0, "test_x"), {}, "passed", None, "call")


def test_records_ride_on_a_report() -> None:
    """They come off as they were put on, in their order."""
    carrier = report()
    _xdist.attach(carrier, [RECORD, OTHER])
    assert _xdist.detach(carrier) == [RECORD, OTHER]


def test_whatever_a_label_holds_is_carried_as_text() -> None:
    """execnet, by which pytest-xdist sends it, takes no lone surrogate."""
    carrier = report()
    record = replace(OTHER, label="\udcff", reason="\x1b\ud800")
    _xdist.attach(carrier, [record])
    [carried] = [one for one in vars(carrier).values() if isinstance(one, str) and '"label"' in one]
    assert carried.isascii()
    assert _xdist.detach(carrier) == [record]


def test_a_report_without_records_has_none() -> None:
    """As of a run whose worker does not have the plugin."""
    assert _xdist.detach(report()) == []


def test_plain_data_goes_to_a_worker_and_comes_back() -> None:
    """Under names of our own, beside what is pytest-xdist's."""
    node = SimpleNamespace(workerinput={"workerid": "gw0"})
    _xdist.give(node, "file", "text")
    worker = cast(
        "pytest.Config",
        SimpleNamespace(stash=pytest.Stash(), workerinput=node.workerinput, workeroutput={}),
    )
    assert _xdist.given(worker, "file") == "text"
    _xdist.answer(worker, "gone", ["t"])
    assert _xdist.answered(worker, "gone") == ["t"]
    assert _xdist.answered(worker, "nothing") is None


def test_without_workers_nothing_is_given_or_answered() -> None:
    """A run of its own has no controller; a worker that died has answered nothing."""
    alone = cast("pytest.Config", SimpleNamespace(stash=pytest.Stash()))
    assert _xdist.given(alone, "file") is None
    _xdist.answer(alone, "gone", ["t"])
    assert [*vars(alone)] == ["stash"]
    assert _xdist.answered(SimpleNamespace(), "gone") is None


def test_records_survive_the_way_to_another_process() -> None:
    """A report is sent as plain data, and made anew on the other side."""
    carrier = report()
    _xdist.attach(carrier, [RECORD, OTHER])
    arrived = pytest.TestReport._from_json(json.loads(json.dumps(carrier._to_json())))
    assert _xdist.detach(arrived) == [RECORD, OTHER]


def test_the_controller_learns_the_worker() -> None:
    """From what pytest-xdist says of a report that reached it."""
    carrier = report()
    _xdist.attach(carrier, [RECORD])
    carrier.__dict__["node"] = SimpleNamespace(gateway=SimpleNamespace(id="gw1"))
    assert _xdist.detach(carrier) == [replace(RECORD, worker="gw1")]


@pytest.mark.parametrize(("config", "is_worker"), [({}, False), ({"workerinput": {}}, True)])
def test_a_worker_is_told_by_its_config(config: dict[str, object], *, is_worker: bool) -> None:
    """Only a worker of pytest-xdist has been given input by a controller."""
    found = cast("pytest.Config", SimpleNamespace(stash=pytest.Stash(), **config))
    assert _xdist.is_worker(found) == is_worker


def test_a_process_may_be_a_worker_of_this_plugin_alone() -> None:
    """It is given data as one of pytest-xdist's is, and answers to nobody."""
    node = SimpleNamespace(workerinput={})
    _xdist.give(node, "file", "text")
    config = cast("pytest.Config", SimpleNamespace(stash=pytest.Stash()))
    _xdist.be_worker(config, node.workerinput)
    assert _xdist.is_worker(config)
    assert _xdist.given(config, "file") == "text"
    _xdist.answer(config, "gone", ["t"])
    assert not hasattr(config, "workeroutput")
