"""The HTML report: what is on the page, and that nothing on it is more than text."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import pytest

from pytest_memreturn._explanation import (
    AllocatorGrowth,
    Explanation,
    HeapPicture,
    Holding,
    Line,
    MappingChange,
    Pin,
    PooledArenas,
    Region,
    Remedy,
    SizeClass,
    SurvivorType,
)
from pytest_memreturn._outside import ChildProcess, Segment
from pytest_memreturn._record import Attempt, Exclusion, Record
from pytest_memreturn._sizes import MIB
from pytest_memreturn.report import html_report as page_module
from pytest_memreturn.report.html_details import details
from pytest_memreturn.report.html_report import html_report
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.tally import Tally

# Markup, quotes, an escape sequence, text that runs backwards, and half a character.
HOSTILE = "</td><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[31m\u202e\udc80&lt;"
SHOWN = "</td><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\\x1b[31m\\u202e\\udc80&lt;"


def retained(text: str = "x") -> Record:
    """A record that retained, with something in every place; `text` wherever any text may be."""
    return Record(
        text,
        "retained",
        "collect",
        label=text,
        location=text,
        cause="held-by-malloc",
        causes={"held-by-malloc": 60 * MIB, "live-python": 30 * MIB, text: MIB},
        retained_bytes=90 * MIB,
        allowed_bytes=2 * MIB,
        allowed_origin=text,
        reserve_bytes=MIB,
        hidden_bytes=4,
        drift_bytes=-5,
        excluded=(Exclusion(text, "session", 6 * MIB),),
        examined_bytes=3 * MIB,
        settled_seconds=0.5,
        peak_growth_bytes=120 * MIB,
        peak_quality="at-least",
        readings={"baseline": MIB, "end": 96 * MIB, "collect": 91 * MIB, "trim": 31 * MIB},
        ledger={"malloc-free": 61 * MIB, "python-live": 30 * MIB, text: -MIB, "unexplained": 0},
        shown={"lazy-free": 0, "file": None, text: -7},
        overhead_seconds=0.25,
        worker=text,
        explanation=Explanation(
            parts={"malloc-free": {"main-heap-trimmable": 60 * MIB, "main-heap-pinned": 0}},
            released={"malloc": 60 * MIB, text: -1, "python": 0},
            survivors=(SurvivorType(text, 3, 9, text), SurvivorType("größe", 1, 1)),
            children=(ChildProcess(77, text, text, 8),),
            segments=(Segment("shm", text, 9, 4, text),),
            held_by_pytest=(Holding("log records", 5, 6),),
            unwritten_huge_page_bytes=2,
            allocators=(
                AllocatorGrowth(text, -1, 2, 3),
                AllocatorGrowth("arrow", 1, None, None),
                AllocatorGrowth("malloc", 1, 0, 0),
            ),
            layout=(
                MappingChange("heap", MIB, 91 * MIB, 1, 2),
                MappingChange("arena", 0, 0, 1, 1),
                MappingChange(text, 2, 1, None, None),
            ),
            heap=HeapPicture(
                proven=False,
                partial=True,
                reason=text,
                regions=(
                    Region("main heap", "live", 4096, 10 * MIB, 9 * MIB),
                    Region("main heap", "free", 99, 60 * MIB, 0),
                    Region("main heap", "returned", 100, 5 * MIB, 0),
                    *(Region(f"thread heap {one}", "free", one, one, 0) for one in range(1, 9)),
                ),
                live_sizes=(SizeClass(32, 1, 32),),
                arenas=PooledArenas(1024, (512, 0) * 48),
            ),
            pins=(Pin(text, 1, 2, text, 3, 4, text), Pin("x", 1, 2, "a", 3, 4)),
            one_time=True,
            lines=(Line(text, 7, 8, text, text), Line("app.c", 7, -8), Line("b", 1, 1, "b = 1")),
            remedies=(
                Remedy(text, text, MIB, 89 * MIB),
                Remedy("jemalloc", "load it", None, None, text),
            ),
            timeline=((0.0, 5), (0.5, 6)),
            incomplete=(text,),
        ),
    )


RETURNED = Record(
    "tests/test_x.py::test_y",
    "returned",
    "trim",
    retained_bytes=-7,
    allowed_bytes=8 * MIB,
    allowed_origin="default",
    peak_growth_bytes=3 * MIB,
    peak_quality="exact",
    readings={"baseline": 50 * MIB, "end": 50 * MIB, "collect": None, "trim": None},
)
UNJUDGED = Record("tests/test_x.py::test_z", "unjudged", "collect", reason="cannot read")
SKIPPED = Record("t.py::test_s", "unjudged", "collect", reason="skipped", own_outcome="skipped")
ENVIRONMENT: Mapping[str, Any] = {
    "python": "3.13.1",
    "libc": None,
    "allocators": ["python", "malloc"],
    "unavailable": {},
    "page_size": 4096,
    "variables": {"LD_PRELOAD": "libx.so"},
    "versions": {"pytest-memreturn": None},
}


def page(
    records: Sequence[Record],
    environment: Mapping[str, Any] = ENVIRONMENT,
    partial: Partial | None = None,
) -> str:
    """The whole page."""
    return "".join(html_report(Run(records, Tally.of(records), environment, partial)))


class Reader(HTMLParser):
    """What a browser would make of a page: its elements, and the text between them."""

    # Elements that have no end, in HTML; those of SVG are closed where they begin.
    _EMPTY = frozenset({"meta", "link", "input", "rect", "circle", "line", "polygon", "polyline"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element; one that is not empty has to end."""
        self.elements.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs)), attrs
        if tag not in self._EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Elements end in the order in which they are nested."""
        if tag not in self._EMPTY:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text, and apart from the others what is code or style."""
        inside = self._open[-1] if self._open else ""
        (self.scripts if inside in {"script", "style"} else self.texts).append(data)

    @property
    def text(self) -> str:
        """All text of the page, on one line."""
        return " ".join(" ".join(self.texts).split())

    def having(self, name: str) -> Iterator[str]:
        """Every value that this attribute has anywhere."""
        return (
            value or "" for _, found in self.elements for key, value in found.items() if key == name
        )


ONE_OF_EACH = [RETURNED, retained("t.py::test_k"), UNJUDGED, SKIPPED]


def test_totals_and_rows() -> None:
    """Most retained first, then what was not judged; each row has sizes in MiB."""
    text = Reader(page(ONE_OF_EACH)).text
    assert "1 of 2 kept 90.0 MiB . judged 2" in text
    assert re.search(r"judged 2 retained 1 returned 1 unjudged 2 ", text)
    rows = [
        "90.0 ≥ 120.0 2.0 held-by-malloc t.py::test_k [t.py::test_k]",
        "0.0 3.0 8.0 returned tests/test_x.py::test_y",
        "– – – unjudged tests/test_x.py::test_z",
        "– – – skipped t.py::test_s",
    ]
    places = [text.index(row) for row in rows]
    assert places == sorted(places)


def test_what_is_known_of_a_test_that_returned() -> None:
    """Its footprint in words, and where what was allowed came from: no more than a line."""
    text = Reader(page(ONE_OF_EACH)).text
    assert "50.0 → peak 53.0 → end 50.0 MiB, judged after a trim; allowed by default." in text
    assert "cannot read." in text


@pytest.mark.parametrize(
    ("records", "headline"),
    [
        ([], "No test was judged."),
        ([RETURNED, RETURNED], "All 2 returned their memory."),
        (
            [RETURNED, replace(RETURNED, recorded_bytes=1)],
            "None of 2 kept more than it may; 1 kept as much as was recorded.",
        ),
        ([UNJUDGED], "No test could be judged."),
    ],
)
def test_headlines(records: Sequence[Record], headline: str) -> None:
    """The result is said in one sentence, whatever it is."""
    assert headline in Reader(page(records)).text


def test_a_run_that_is_partial_says_so_on_top() -> None:
    """With the reason and the tests that were running; a whole run says nothing of the kind."""
    partial = Partial("a worker died", ("t.py::test_one", "t.py::test_two"))
    text = Reader(page(ONE_OF_EACH, partial=partial)).text
    wanted = (
        "This report is partial a worker died "
        "These tests had begun and did not end: t.py::test_one t.py::test_two"
    )
    assert wanted in text
    assert text.index(wanted) < text.index("judged 2")
    alone = Reader(page(ONE_OF_EACH, partial=Partial("interrupted"))).text
    assert "interrupted" in alone
    assert "did not end" not in alone
    assert "partial" not in Reader(page([RETURNED])).text


def test_the_environment_is_told() -> None:
    """Every fact, and every variable and version by its name; what is not known says so."""
    text = Reader(page([])).text
    for fact in (
        "python 3.13.1",
        "libc unknown",
        "allocators python, malloc",
        "page size 4096",
        "variables: LD_PRELOAD libx.so",
        "versions: pytest-memreturn unknown",
    ):
        assert fact in text
    assert "allocators none" in Reader(page([], {"allocators": []})).text


def test_what_passes_since_it_was_recorded_says_so() -> None:
    """It has not returned its memory, though nobody fails for it."""
    text = Reader(page([replace(RETURNED, recorded_bytes=7 * MIB)])).text
    assert "recorded tests/test_x.py::test_y" in text


def test_an_attempt_that_was_not_the_first_says_so() -> None:
    """As in every other report."""
    earlier = Attempt("retained", MIB, "held-by-python", None)
    text = Reader(page([replace(RETURNED, label="a", earlier_attempts=(earlier,))])).text
    assert "tests/test_x.py::test_y [a] (attempt 2)" in text


def test_other_environments_are_told_each_by_itself() -> None:
    """Of a merged report; where there is one alone, nothing is said of others."""
    assert "others" not in Reader(page([], {"libc": "glibc 2.36", "others": []})).text
    other = {"libc": None, "variables": {"LD_PRELOAD": "libx.so"}}
    text = Reader(page([], {"libc": "glibc 2.36", "others": [other, {"libc": "musl"}]})).text
    assert text.count("Another environment") == 2
    assert "Environment libc glibc 2.36 Another environment libc unknown" in text
    assert "variables: LD_PRELOAD libx.so Another environment libc musl" in text


def test_everything_that_was_found_is_on_the_page() -> None:
    """Each part of an explanation has its place, with exact figures for the ledger."""
    text = Reader(page([retained("t.py::test_k")])).text
    for wanted in (
        "Kept 90.0 MiB (94,371,840 bytes), allowed 2.0 MiB by t.py::test_k.",
        "held-by-malloc 60.0 MiB is free inside malloc, which has not given it back",
        "What to try",
        "baseline 1.0 peak ≥ 121.0 +120.0 end 96.0 -25.0 gc judged 91.0 -5.0 trim 31.0 -60.0",
        "malloc-free 61.0 63,963,136 main-heap-trimmable 60.0 62,914,560 python-live",
        "t.py::test_k -1.0 -1,048,576",
        "unexplained 0.0 0",
        "footprint's growth 90.0 94,371,840",
        "Below zero: less of it than before.",
        "file – unknown",
        "heap 1.0 91.0 +90.0 ranges 1 2 +1",
        "arena 0.0 0.0 0.0 ranges 1 1 0",
        "main heap, 75.0 MiB",
        "And 3 more with less that is free.",
        "Partial: t.py::test_k",
        "96 × 1.0 KiB, 24.0 KiB of it live",
        "32 B 1 0.0 32",
        "größe 1 1 B",
        "in t.py::test_k ← t.py::test_k",
        "t.py::test_k helps 1.0 MiB 89.0 MiB",
        "jemalloc – – load it; not known: t.py::test_k",
        "app.c:7 -8 B",
        "native: t.py::test_k",
        "t.py::test_k (pid 77) 8 B",
        "shm segment of t.py::test_k",
        "arrow 1 B – –",
        "malloc 1 B 0 B 0",
        "malloc gave back 60.0 MiB when it was asked.",
        "0 s 0.50 s",
        "4 B of it fills memory that was free",
        "1.0 MiB of what is allowed came on top as a reserve",
        "6.0 MiB of session fixture t.py::test_k, first set up here, are left out",
        "3.0 MiB that it took to look closer inside this window are left out",
        "went on falling by itself for 0.5 s",
        "-5 B before the test",
        "a second call in the same process keeps no more",
        "2 B holds only zeros",
        "pytest itself keeps 5 log records: about 6 B",
        "The failure message t.py::test_k t.py::test_k: kept 90.0 MiB",
    ):
        assert wanted in text, wanted


def test_drawings_tell_what_they_show() -> None:
    """Every drawing has a name, or is repeated in figures beside it; stretches have titles."""
    found = Reader(page([retained("t.py::test_k")]))
    identities = list(found.having("id"))
    assert len(identities) == len(set(identities))
    for named in found.having("aria-labelledby"):
        assert named in identities
    for tag, attributes in found.elements:
        if tag == "svg":
            hidden = attributes.get("aria-hidden") == "true"
            assert hidden or {"aria-label", "aria-labelledby"} & attributes.keys()
    assert "60.0 MiB free, from main heap + 10.0 MiB on" in found.text
    assert "arena 1 to 2: 512 B live" in found.text


def test_what_was_not_found_has_no_place() -> None:
    """A record with an empty explanation shows its ladder and its ledger, and no empty tables."""
    bare = replace(
        retained("t.py::test_k"),
        explanation=Explanation(),
        ledger={"unexplained": 90 * MIB},
        shown=None,
        readings=None,
        location=None,
        worker=None,
        label=None,
        reserve_bytes=0,
        hidden_bytes=0,
        drift_bytes=0,
        excluded=(),
        examined_bytes=0,
        settled_seconds=0.0,
        causes={"unexplained": 90 * MIB},
        cause="unexplained",
    )
    text = Reader(page([bare])).text
    assert "unexplained 90.0 94,371,840" in text
    for heading in (
        "step by step",
        "heaps",
        "survived",
        "pins",
        "Remedies",
        "To know",
        "over time",
    ):
        assert heading not in text


def test_heaps_that_are_proven_say_nothing_of_it() -> None:
    """One that is not, and is whole, is called inconclusive."""
    record = retained("t.py::test_k")
    assert record.explanation is not None
    heap = HeapPicture(regions=(Region("main heap", "live", 1, MIB, MIB),), reason="no figures")

    def text_with(picture: HeapPicture) -> str:
        assert record.explanation is not None
        found = replace(record.explanation, heap=picture)
        return Reader(page([replace(record, explanation=found)])).text

    assert "Inconclusive: no figures" in text_with(heap)
    assert "Inconclusive" not in text_with(replace(heap, proven=True, reason=None))
    only_arenas = HeapPicture(arenas=PooledArenas(1024, (1, 2)))
    assert "free, and still held" not in text_with(only_arenas)
    assert "2 × 1.0 KiB" in text_with(only_arenas)


def test_what_is_hostile_stays_text() -> None:
    """Wherever a text may come from outside, it is shown as it is, and is nothing but text."""
    everywhere = [
        retained(HOSTILE),
        replace(RETURNED, nodeid=HOSTILE, allowed_origin=HOSTILE, location=HOSTILE),
        replace(UNJUDGED, nodeid=HOSTILE, reason=HOSTILE),
    ]
    environment = {HOSTILE: HOSTILE, "variables": {HOSTILE: HOSTILE}, "allocators": [HOSTILE]}
    text = page(everywhere, environment, Partial(HOSTILE, (HOSTILE,)))
    found, harmless = Reader(text), Reader(page([retained("t.py::test_k")]))
    assert {tag for tag, _ in found.elements} == {tag for tag, _ in harmless.elements}
    assert not [name for _, one in found.elements for name in one if name.startswith("on")]
    assert found.scripts == harmless.scripts
    assert found.text.count(SHOWN) > 30
    text.encode()  # which half a character would not survive
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_the_page_needs_nothing_else() -> None:
    """No address is loaded from anywhere, and a browser is told to let nothing be loaded or run.

    But for the one script and the one style of ours, which it knows by their sums.
    """
    found = Reader(page(ONE_OF_EACH))
    assert not {tag for tag, _ in found.elements} & {"img", "iframe", "object", "embed", "form"}
    assert set(found.having("href")) == {"data:,"}
    assert not list(found.having("src"))
    assert not list(found.having("style"))
    (policy,) = (one for one in found.having("content") if "default-src" in one)
    assert "default-src 'none'" in policy
    sums = [
        base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in found.scripts
    ]
    assert len(sums) == 2
    for one in sums:
        assert f"'sha256-{one}'" in policy
    style = (resources.files("pytest_memreturn.report") / "html" / "report.css").read_text("utf-8")
    assert "@import" not in style
    assert set(re.findall(r"url\((.)", style)) == {"#"}


def test_every_filling_is_defined() -> None:
    """What an account is painted with is a class of the style, and its pattern is on the page."""
    text = page([retained("t.py::test_k")])
    style = "".join(Reader(text).scripts)
    patterns = set(re.findall(r'<pattern id="([\w-]+)"', text))
    assert set(re.findall(r"url\(#([\w-]+)\)", style)) == patterns
    for one in set(re.findall(r'class="([fh]-[\w-]+)', text)):
        assert f".{one}" in style


def test_a_page_of_many_that_retained_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that retained most have their details, and the others say where theirs are."""
    monkeypatch.setattr(page_module, "_DETAILS_CHARACTERS", 30_000)
    records = [replace(retained(f"t{one}"), retained_bytes=one * MIB) for one in range(20, 40)]
    text = page(records)
    shown = text.count('class="details"')
    left_out = text.count("Its details are left out")
    assert shown + left_out == 20
    assert 1 <= shown <= 3
    assert text.index('class="details"') < text.index("Its details are left out")


def test_details_of_a_record_without_an_explanation() -> None:
    """Nothing is made up."""
    found = details(replace(RETURNED, readings=None))
    assert (found.causes, found.heaps, found.curve, found.waterfall) == ((), (), None, None)
