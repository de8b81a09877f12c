"""The table at the end of a run, as text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_memreturn._record import Record
from pytest_memreturn._sizes import KIB, MIB
from pytest_memreturn.report.table import render_table, summary_line, unjudged_line
from pytest_memreturn.report.tally import Tally

HELD = Record(
    "tests/test_parse.py::test_parse",
    "retained",
    "collect",
    cause="held-by-malloc",
    retained_bytes=100 * MIB,
    allowed_bytes=2 * MIB,
    peak_growth_bytes=103 * MIB,
    peak_quality="exact",
)
LIVE = Record(
    "tests/test_parse.py::test_parse",
    "retained",
    "trim",
    label="block 1",
    cause="live-python",
    retained_bytes=200 * MIB,
    allowed_bytes=MIB // 2,
    peak_growth_bytes=210 * MIB,
    peak_quality="at-least",
)
LONG = Record(
    "tests/a_folder_with_a_name/and_another_one/test_long.py::TestSomething::test_it[parameter]",
    "returned",
    "collect",
    retained_bytes=-5 * KIB,
    allowed_bytes=0,
    peak_growth_bytes=1500 * MIB,
    peak_quality="process",
)
UNREAD = Record(
    "tests/test_x.py::test_gone", "unjudged", "collect", reason="cannot read:\n  Permission denied"
)
SKIPPED = Record(
    "tests/test_x.py::test_skip",
    "unjudged",
    "collect",
    reason="the test was skipped by itself",
    own_outcome="skipped",
)
FOREIGN = Record(
    "tests/\x1b[2Jtest_x.py::test_\udcff",
    "unjudged",
    "collect",
    label="\x07",
    reason="a hook said \x9b31m\r\n\N{RIGHT-TO-LEFT OVERRIDE}this",
)
RECORDS = [UNREAD, LONG, SKIPPED, HELD, LIVE]


@pytest.mark.parametrize(
    ("records", "width", "text"),
    [
        pytest.param(
            RECORDS,
            80,
            """\
            retained    peak  allowed  cause or verdict  test
               200.0  ≥210.0      0.5  live-python       …::test_parse [block 1]
               100.0   103.0      2.0  held-by-malloc    tests/test_parse.py::test_parse
                 0.0  1500.0      0.0  returned          …::test_it[parameter]
                   -       -        -  unjudged          tests/test_x.py::test_gone
                   -       -        -  skipped           tests/test_x.py::test_skip
            """,
            id="80 columns",
        ),
        pytest.param(
            RECORDS,
            120,
            """\
            retained    peak  allowed  cause or verdict  test
               200.0  ≥210.0      0.5  live-python       tests/test_parse.py::test_parse [block 1]
               100.0   103.0      2.0  held-by-malloc    tests/test_parse.py::test_parse
                 0.0  1500.0      0.0  returned          …and_another_one/test_long.py::TestSomething::test_it[parameter]
                   -       -        -  unjudged          tests/test_x.py::test_gone
                   -       -        -  skipped           tests/test_x.py::test_skip
            """,  # noqa: E501 - the width is the point
            id="120 columns",
        ),
        pytest.param(
            [HELD],
            20,
            """\
            retained   peak  allowed  cause or verdict  test
               100.0  103.0      2.0  held-by-malloc    …::test_parse
            """,
            id="20 columns: a name keeps as many",
        ),
        pytest.param([], 80, "retained  peak  allowed  cause or verdict  test\n", id="empty"),
    ],
)
def test_the_table(records: Sequence[Record], width: int, text: str) -> None:
    """Most retained first, then what was not judged; a name is cut at its front."""
    rows = render_table(records, width)
    assert "".join(f"{row.text}\n" for row in rows) == textwrap.dedent(text)


@pytest.mark.parametrize(
    ("name", "columns", "shown"),
    [
        ("tests/unit/test_x.py::test_y", 28, "tests/unit/test_x.py::test_y"),
        ("tests/unit/test_x.py::test_y", 27, "…unit/test_x.py::test_y"),
        ("tests/unit/test_x.py::test_y", 22, "…test_x.py::test_y"),
        ("tests/unit/test_long.py::test_y", 20, "…::test_y"),
        ("tests/test_long.py::TestLong::test_y", 20, "…::TestLong::test_y"),
        ("tests/test_x.py::test_a_name_longer_than_all", 20, "…ame_longer_than_all"),
        ("tests/test_x.py::test_read[data/in/file]", 27, "…::test_read[data/in/file]"),
        ("tests/test_x.py::test_read[data/in/file]", 20, "…_read[data/in/file]"),
    ],
)
def test_a_name_is_cut_where_a_part_of_it_begins(name: str, columns: int, shown: str) -> None:
    """At a folder, file or test, and in the midst of one only where it is too long itself."""
    width = len("retained  peak  allowed  cause or verdict  ") + columns
    record = Record(name, "returned", "collect", retained_bytes=0)
    heading, row = (one.text for one in render_table([record], width))
    assert row[heading.index("test") :] == shown


def test_a_row_knows_its_verdict() -> None:
    """So that a terminal may colour it; the headings have none."""
    assert [row.verdict for row in render_table(RECORDS, 80)] == [
        None,
        "retained",
        "retained",
        "returned",
        "unjudged",
        "unjudged",
    ]


def test_what_passes_since_it_was_recorded_says_so() -> None:
    """Its verdict is that of a test that returned its memory, which it has not."""
    record = Record("t", "returned", "collect", retained_bytes=5 * 2**20, recorded_bytes=5 * 2**20)
    assert list(render_table([record], 100))[1].text.split() == [
        "5.0",
        "0.0",
        "0.0",
        "recorded",
        "t",
    ]


def test_a_row_is_a_line() -> None:
    """Whatever a label holds."""
    record = Record("t", "returned", "collect", label="two\nlines", retained_bytes=0)
    rows = list(render_table([record], 80))
    assert len(rows) == 2
    assert rows[1].text.endswith("t [two lines]")


@pytest.mark.parametrize(
    ("records", "line"),
    [
        ([], "0 judged: 0 returned, 0 retained"),
        ([LONG], "1 judged: 1 returned, 0 retained"),
        ([HELD], "1 judged: 0 returned, 1 retained (100.0 MiB)"),
        (RECORDS, "3 judged: 1 returned, 2 retained (300.0 MiB), 2 unjudged"),
        ([UNREAD], "0 judged: 0 returned, 0 retained, 1 unjudged"),
        (
            [LONG, replace(LONG, recorded_bytes=1)],
            "2 judged: 2 returned (1 as recorded), 0 retained",
        ),
    ],
)
def test_the_summary(records: Sequence[Record], line: str) -> None:
    """How many were judged and with what result; retained bytes are of those that retained."""
    assert summary_line(Tally.of(records)) == line


def test_what_could_not_be_judged_is_listed_with_its_reason() -> None:
    """A test that failed or skipped by itself is no reading that could not be had."""
    unnamed = Record("t", "unjudged", "collect", label="block 1")
    lines = [unjudged_line(one) for one in [*RECORDS, unnamed]]
    assert [line for line in lines if line is not None] == [
        "UNJUDGED tests/test_x.py::test_gone - cannot read: Permission denied",
        "UNJUDGED t [block 1] - no reason known",
    ]


def test_names_from_anywhere_are_shown_and_not_obeyed() -> None:
    """A terminal would clear its screen, and half of what is read would stand in reverse."""
    name = "tests/\\x1b[2Jtest_x.py::test_\\udcff [\\x07]"
    assert unjudged_line(FOREIGN) == f"UNJUDGED {name} - a hook said \\x9b31m \\u202ethis"
    *_, row = render_table([FOREIGN], 120)
    assert row.text.endswith(name)
