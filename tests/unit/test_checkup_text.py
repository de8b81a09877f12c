"""What doctor found, as text."""

from __future__ import annotations

import json
import textwrap

from pytest_memreturn._checkup import Checkup, Finding, Noise, Spread
from pytest_memreturn._sizes import KIB
from pytest_memreturn.report.checkup_text import render_checkup

FINDINGS = (
    Finding("machine", "kernel", "Linux 6.18.0"),
    Finding("readings", "peak", "at-least: the mark cannot be reset", "limited", "mount /proc"),
    Finding("extras", "memray", "not installed", "optional", "pip install it"),
    Finding("machine", "odd", "a\x1b[2J name\nof two lines"),
)
NOISE = {"call": Noise(40, Spread(-4096, 0, 12 * KIB), Spread(0.1, 0.2, 0.3))}


def text(found: Checkup, width: int = 80) -> str:
    """The checkup as it is shown."""
    return "\n".join(render_checkup(found, width=width))


def test_findings_by_topic() -> None:
    """What is not good is marked, with what would change it; the end says what follows."""
    assert text(Checkup({"page_size": 4096}, FINDINGS, NOISE)) == textwrap.dedent("""\
        machine
          kernel      Linux 6.18.0
          odd         a\\x1b[2J name of two lines

        readings
        ! peak        at-least: the mark cannot be reset
                      → mount /proc

        extras
        - memray      not installed
                      → pip install it

        Tests are judged here, to within 12.0 KiB.
        Less than could be is known of what is marked !: peak.""")


def test_lines_keep_to_their_width() -> None:
    """Folded below where they began."""
    found = Finding("readings", "probe", "word " * 30, "limited", "word " * 30)
    lines = text(Checkup({}, (found,)), width=60).split("\n")
    assert max(map(len, lines)) <= 60
    assert {line[:14].strip() for line in lines[1:-3]} == {"! probe", ""}


def test_nothing_is_finer_than_a_page() -> None:
    """Where every empty window read nothing."""
    quiet = Noise(40, Spread(0, 0, 0), Spread(0.1, 0.2, 0.3))
    assert text(Checkup({"page_size": 65536}, (), {"call": quiet})) == (
        "Tests are judged here, to within 64.0 KiB."
    )
    assert text(Checkup({}, ())) == "Tests are judged here."


def test_where_nothing_can_be_judged() -> None:
    """For what, is named."""
    found = Checkup({}, (*FINDINGS, Finding("readings", "outside", "no", "unjudged", "allow it")))
    assert not found.judges
    assert "x outside     no\n              → allow it" in text(found)
    assert "Tests are UNJUDGED here, for what is marked x: outside.\n" in text(found)


def test_for_programs() -> None:
    """All of it is JSON."""
    found = Checkup({"page_size": 4096}, FINDINGS, NOISE).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["judges"] is True
    assert found["findings"][1] == {
        "topic": "readings",
        "name": "peak",
        "text": "at-least: the mark cannot be reset",
        "state": "limited",
        "remedy": "mount /proc",
    }
    assert found["noise"]["call"]["retained_bytes"] == {"least": -4096, "median": 0, "most": 12288}
