"""The Markdown report, as text; that it says the same to a parser is a law of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pytest_memreturn._explanation import Explanation
from pytest_memreturn._record import Record
from pytest_memreturn._sizes import MIB
from pytest_memreturn.report.markdown import code, fenced, html_code, name, words
from pytest_memreturn.report.markdown_report import MOST_CHARACTERS, OPENING, markdown_report
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.tally import Tally

HELD = Record(
    "tests/test_parse.py::test_parse",
    "retained",
    "collect",
    label="block 1",
    cause="held-by-malloc",
    causes={"held-by-malloc": 98 * MIB},
    retained_bytes=100 * MIB,
    allowed_bytes=2 * MIB,
    allowed_origin="default",
    peak_growth_bytes=103 * MIB,
    peak_quality="exact",
    readings={"baseline": 45 * MIB, "end": 146 * MIB, "collect": 145 * MIB, "trim": 47 * MIB},
    ledger={"malloc-free": 98 * MIB, "unexplained": 2 * MIB},
    explanation=Explanation(released={"malloc": 98 * MIB}),
)
MORE = replace(HELD, nodeid="tests/test_a.py::test_b", label=None, retained_bytes=200 * MIB)
RETURNED = Record(
    "tests/test_a.py::test_c", "returned", "collect", retained_bytes=0, allowed_bytes=MIB
)
UNREAD = Record(
    "tests/test_a.py::test_d", "unjudged", "collect", reason="cannot read: Permission denied"
)
SKIPPED = Record(
    "tests/test_a.py::test_e",
    "unjudged",
    "collect",
    reason="the test was skipped by itself",
    own_outcome="skipped",
)
ENVIRONMENT = {
    "python": "3.11.7",
    "implementation": "cpython",
    "libc": None,
    "allocators": ["python", "malloc"],
    "kernel": "Linux 6.18.44-fc",
    "variables": {"MALLOC_ARENA_MAX": "1"},
    "probe": "linux",
    "versions": {"pytest": "9.2.0"},
}


def markdown(
    *records: Record, environment: Mapping[str, Any] = ENVIRONMENT, partial: Partial | None = None
) -> str:
    """The report of a run."""
    return "".join(markdown_report(Run(records, Tally.of(records), environment, partial)))


def test_what_a_reviewer_reads() -> None:
    """The outcome in a line, who kept most, each message, what was missed, and folded the rest."""
    assert (
        markdown(HELD, RETURNED, MORE, UNREAD, SKIPPED)
        == """\
<!-- pytest-memreturn -->
Memory returned to the operating system: **2 retained** (300.0 MiB), **1 returned**, **2 unjudged**

| test | retained | allowed | cause |
| :--- | ---: | ---: | :--- |
| `tests/test_a.py::test_b` | 200.0 MiB | 2.0 MiB | `held-by-malloc` |
| `tests/test_parse.py::test_parse [block 1]` | 100.0 MiB | 2.0 MiB | `held-by-malloc` |

<details><summary><code>tests/test_a.py::test_b</code> kept 200.0 MiB</summary>

```text
kept 200.0 MiB (allowed 2.0 MiB, default)
  footprint  45.0 → peak 148.0 → end 146.0 → gc 145.0 → trim 47.0 MiB
  cause      held-by-malloc: 98.0 MiB is free inside malloc, which has not given it back
  where      malloc-free 98.0 · unexplained 2.0 (MiB)
  try        a trim (tried: returns 98.0 MiB): trim=True judges after one; in production call
             malloc_trim(0) when such work is done
```

</details>

<details><summary><code>tests/test_parse.py::test_parse [block 1]</code> kept 100.0 MiB</summary>

```text
block 1: kept 100.0 MiB (allowed 2.0 MiB, default)
  footprint  45.0 → peak 148.0 → end 146.0 → gc 145.0 → trim 47.0 MiB
  cause      held-by-malloc: 98.0 MiB is free inside malloc, which has not given it back
  where      malloc-free 98.0 · unexplained 2.0 (MiB)
  try        a trim (tried: returns 98.0 MiB): trim=True judges after one; in production call
             malloc_trim(0) when such work is done
```

</details>

Could not be judged:

| test | reason |
| :--- | :--- |
| `tests/test_a.py::test_d` | cannot read: Permission denied |

<details><summary>1 not judged, with an outcome of their own</summary>

| test | reason |
| :--- | :--- |
| `tests/test_a.py::test_e` | the test was skipped by itself |

</details>

<details><summary>1 returned</summary>

| test | retained | allowed |
| :--- | ---: | ---: |
| `tests/test_a.py::test_c` | 0 B | 1.0 MiB |

</details>

cpython 3.11.7 · `Linux 6.18.44-fc` · allocators python, malloc · probe linux · `MALLOC_ARENA_MAX=1` · pytest 9.2.0
"""  # noqa: E501 - a line of Markdown is as long as its paragraph
    )


def test_a_run_in_which_all_came_back() -> None:
    """It says so in one line, and no more than that is unfolded."""
    text = markdown(RETURNED)
    assert text.splitlines()[:2] == [
        OPENING.strip(),
        "Memory returned to the operating system: **0 retained**, **1 returned**",
    ]
    assert text.splitlines()[3].startswith("<details><summary>1 returned")
    recorded = markdown(RETURNED, replace(RETURNED, recorded_bytes=1))
    assert "**2 returned** (1 as recorded)" in recorded


def test_an_environment_that_nobody_knows() -> None:
    """A report of another version may lack anything."""
    assert markdown(environment={}) == (
        f"{OPENING}Memory returned to the operating system: **0 retained**, **0 returned**\n"
    )


def test_a_merged_report_is_of_several_environments() -> None:
    """Which is said behind the facts, which are those of the first."""
    text = markdown(environment={**ENVIRONMENT, "others": [ENVIRONMENT, ENVIRONMENT]})
    assert text.endswith(" · and in 2 other environments: the report is a merged one\n")


def test_what_passes_since_it_was_recorded_says_so() -> None:
    """It has not returned its memory."""
    kept = replace(RETURNED, retained_bytes=9 * MIB, allowed_bytes=10 * MIB, recorded_bytes=9 * MIB)
    assert "| 9.0 MiB | 10.0 MiB, as recorded |" in markdown(kept)


def test_what_is_missing_comes_first() -> None:
    """A reviewer of half a run must know that it is half a run, and which tests never ended."""
    partial = Partial("the run was interrupted", ("test_a.py::test_x", "test_a.py::test_y"))
    lines = markdown(RETURNED, partial=partial).splitlines()
    assert lines[1] == "**Not all of the run is here: the run was interrupted**"
    assert lines[3].startswith("Memory returned")
    assert lines[5:9] == [
        "Began and did not end:",
        "",
        "- `test_a.py::test_x`",
        "- `test_a.py::test_y`",
    ]
    assert "did not end" not in markdown(partial=Partial("a worker died"))


@pytest.mark.parametrize("record", [HELD, RETURNED, UNREAD, SKIPPED])
def test_a_long_report_is_cut_and_counted(record: Record) -> None:
    """It fits in a comment, however much there is; and says how many have no place in it."""
    count = 3_000
    text = markdown(*(replace(record, nodeid=f"test_it[{n}]") for n in range(count)))
    assert len(text) < MOST_CHARACTERS + 300
    assert text.endswith("pytest 9.2.0\n")
    assert text.count("<details>") == text.count("</details>")
    shown = text.count("| `test_it[")
    assert 100 < shown < count
    assert f"\n{count - shown:,} more left out here; a JSON report has them all.\n" in text
    details = text.count("<code>test_it[")
    if record is HELD:
        assert 20 < details < shown
        assert f"\n{count - details:,} more left out here" in text


def test_each_part_has_its_room() -> None:
    """Thousands of tests that retained leave room to say what could not be judged."""
    many = [replace(HELD, nodeid=f"test_it[{n}]") for n in range(3_000)]
    text = markdown(*many, *(replace(UNREAD, nodeid=f"test_u[{n}]") for n in range(3_000)), SKIPPED)
    assert len(text) < MOST_CHARACTERS + 300
    assert text.count("test_u[") > 50
    assert "1 not judged, with an outcome of their own" in text


def test_one_name_does_not_take_the_room_of_others() -> None:
    """Of a name that is longer than anybody reads, the beginning and the end are shown."""
    long = "tests/" + "x" * 100_000 + "::test_end"
    text = markdown(replace(HELD, nodeid=long, allowed_origin=f"marker on {long}"), MORE)
    assert text.count("…") == 2
    assert "::test_end [block 1]` | 100.0 MiB |" in text
    assert len(text) < 3_000
    assert len(name(long)) == 200


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("test_a.py::test_b[x-1]", "`test_a.py::test_b[x-1]`"),
        ("", ""),
        ("|", "&#124;"),
        ("a|b", "`a`&#124;`b`"),
        (r"a\|b", r"`a\`&#124;`b`"),
        ("a`b", "``a`b``"),
        ("`a", "`` `a ``"),
        ("a```", "```` a``` ````"),
        ("a | b | c", "` a  `&#124;`  b  `&#124;`  c `"),
        ("a\nb", "`a b`"),
        ("\x1b[31m", r"`\x1b[31m`"),
    ],
)
def test_a_name_is_code(text: str, written: str) -> None:
    """With marks that are longer than those inside, and no bar that would end a cell."""
    assert code(text) == written


@pytest.mark.parametrize(
    "text",
    [
        "the test failed by itself",
        "cannot read: Permission denied",
        "pytest 9.2.0",
        "held-by-malloc (twice).",
        "allocators python, malloc",
    ],
)
def test_a_sentence_is_a_sentence(text: str) -> None:
    """Where nothing in it means anything to Markdown or GitHub."""
    assert words(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "@octocat did it",
        "see #123",
        "see GH-123",
        "ask a@b.example",
        "http://a.example",
        "www.a.example",
        "*so* it goes",
        "a_b_c",
        "in 0123abc4",
        "1. first",
        "<b>",
        "&amp;",
        ":smile:",
        "~~no~~",
        "a|b",
    ],
)
def test_whatever_could_be_more_is_code(text: str) -> None:
    """A mention would notify somebody; a reference would be an entry in somebody's issue."""
    assert words(text) == code(text) != text


def test_html_is_text() -> None:
    """Inside a block of HTML."""
    assert html_code('<script>&"\n') == "<code>&lt;script&gt;&amp;&quot;</code>"


def test_a_fence_is_longer_than_what_it_holds() -> None:
    """So that nothing inside ends it."""
    assert fenced(["a", "b"]) == "```text\na\nb\n```\n"
    assert fenced(["````", "b `c`"]) == "`````text\n````\nb `c`\n`````\n"
