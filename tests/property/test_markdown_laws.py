"""Laws of the Markdown report: to a parser of GitHub's Markdown, whatever is anybody's is text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_memreturn._record import Record
from pytest_memreturn._sizes import MIB
from pytest_memreturn.report.markdown import code, fenced, name, words
from pytest_memreturn.report.markdown_report import markdown_report
from pytest_memreturn.report.message import render_message
from pytest_memreturn.report.run import Partial, Run
from pytest_memreturn.report.tally import Tally

PARSER = MarkdownIt("gfm-like")

HOSTILE = [
    "a|b",
    r"a\|b",
    r"a\\|b|",
    "``|``",
    "`",
    "a`",
    "```\n# heading\n```",
    "<script>alert(1)</script>",
    "</details></code><b>",
    "<!-- never ended",
    "--> | x |",
    "line\n\n| a | b |\n|---|---|\n",
    "@octocat #123 GH-1 octocat/repo#5",
    "[text](http://a.example) ![i](x) https://a.example www.a.example a@b.example",
    "**bold** _em_ ~~del~~ $x^2$ :smile:",
    "\x1b[31mred\x1b[0m \r\u2028 \u202e",
    "&lt;b&gt; &#124; &amp;",
    "- item",
    " ",
    "\\",
    "x\\",
]
# What means something to a parser, among letters that mean nothing.
NAMES = st.one_of(
    st.text("ab |`\\<>&@#*_[]()!-~:./\n\t\x1b;\"'$=+", max_size=25),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=15),
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from(HOSTILE), max_size=3).map("".join),
)


class _Html(HTMLParser):
    """Collects the text of raw HTML, and the names of its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.tags.append("/" + tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data.strip())


def html(source: str) -> _Html:
    """The parts of a piece of raw HTML."""
    parser = _Html()
    parser.feed(source)
    parser.close()
    return parser


@dataclass
class Parsed:
    """What a parser found: tables as rows of cells, folded titles, code blocks, kinds of marks."""

    tables: list[list[list[str]]] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)


def _titles(source: str) -> list[str]:
    """The title in a block of HTML that folds something, in which there is nothing else."""
    raw = html(source)
    assert set(raw.tags) <= {*_FOLDED, *(f"/{one}" for one in _FOLDED)}
    assert raw.comments in ([], ["pytest-memreturn"])
    return [raw.text.strip()] if "summary" in raw.tags else []


def parsed(text: str) -> Parsed:
    """The report, as it would be shown."""
    found = Parsed()
    row: list[str] = []
    around: list[str] = []
    for token in PARSER.parse(text):
        around = (
            [*around, token.tag] if token.nesting == 1 else around[: len(around) + token.nesting]
        )
        found.kinds.add(token.type)
        if token.type == "table_open":
            found.tables.append([])
        elif token.type == "tr_open":
            row = []
            found.tables[-1].append(row)
        elif token.type == "inline":
            found.kinds |= {one.type for one in token.children or ()}
            shown = "".join(one.content for one in token.children or ())
            if around[-1] in {"td", "th"}:
                row.append(shown)
            elif "li" in around:
                found.items.append(shown)
        elif token.type == "fence":
            assert token.info == "text"
            found.blocks.append(token.content)
        elif token.type == "html_block":
            found.titles += _titles(token.content)
    return found


_FOLDED = ("details", "summary", "code")
# What the report itself has: no link, image, heading or emphasis, and no HTML inside a line.
_OWN_KINDS = {
    *("html_block", "fence", "inline", "text", "code_inline", "strong_open", "strong_close"),
    *("paragraph_open", "paragraph_close", "table_open", "table_close", "thead_open"),
    *("thead_close", "tbody_open", "tbody_close", "tr_open", "tr_close", "td_open", "td_close"),
    *("th_open", "th_close", "bullet_list_open", "bullet_list_close", "list_item_open"),
    "list_item_close",
}


def _records(nodeid: str, label: str | None, reason: str | None) -> Iterator[Record]:
    retained = Record(
        nodeid,
        "retained",
        "collect",
        label=label,
        cause="held-by-" + nodeid,
        causes={"live-python": MIB},
        retained_bytes=9 * MIB,
        allowed_bytes=2 * MIB,
        allowed_origin=reason,
    )
    yield retained
    yield replace(retained, verdict="returned", retained_bytes=0)
    yield Record(nodeid, "unjudged", "collect", label=label, reason=reason)
    yield Record(nodeid, "unjudged", "collect", label=label, reason=reason, own_outcome="failed")


def _named(record: Record) -> str:
    return name(f"{record.nodeid} [{record.label}]" if record.label else record.nodeid)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_known_to_be_hostile_is_text(text: str) -> None:
    """Each for itself, whatever Hypothesis comes upon."""
    _check(text, text, text)


@given(NAMES, st.one_of(st.none(), NAMES), st.one_of(st.none(), NAMES))
def test_names_stay_text(nodeid: str, label: str | None, reason: str | None) -> None:
    """In every place where they are shown; and every table has its rows and cells."""
    _check(nodeid, label, reason)


def _check(nodeid: str, label: str | None, reason: str | None) -> None:
    records = list(_records(nodeid, label, reason))
    partial = Partial(reason or "interrupted", (nodeid,))
    environment = {"python": nodeid, "kernel": label, "variables": {"A": nodeid}}
    run = Run(records, Tally.of(records), environment, partial)
    found = parsed("".join(markdown_report(run)))
    assert found.kinds <= _OWN_KINDS
    retained, missed, own, returned = found.tables
    shown = _named(records[0])
    assert retained[1:] == [[shown, "9.0 MiB", "2.0 MiB", name("held-by-" + nodeid)]]
    for table in (missed, own):
        assert table[1:] == [[shown, name(reason or "no reason known")]]
    assert returned[1:] == [[shown, "0 B", "2.0 MiB"]]
    assert found.titles[0] == f"{shown} kept 9.0 MiB".strip()
    assert found.blocks == ["\n".join(render_message(records[0])) + "\n"]
    assert found.items == [name(nodeid)] * bool(name(nodeid))


@given(NAMES)
def test_code_is_what_it_was(text: str) -> None:
    """On one line, without control characters; alone, and in a cell."""
    expected = name(text)
    (paragraph,) = [one for one in PARSER.parse(f"x{code(text)}") if one.type == "inline"]
    assert "".join(one.content for one in paragraph.children or ())[1:] == expected


@given(NAMES)
def test_a_sentence_says_what_it_said(text: str) -> None:
    """As it is, or as code; and never as more than text."""
    (paragraph,) = [one for one in PARSER.parse(f"x {words(text)}") if one.type == "inline"]
    children = paragraph.children or ()
    assert {one.type for one in children} <= {"text", "code_inline"}
    assert "".join(one.content for one in children).strip() == f"x {name(text)}".strip()


@given(st.lists(st.text("`~\\ ab>#-", max_size=12), min_size=1, max_size=5))
def test_a_fence_holds_what_is_in_it(lines: list[str]) -> None:
    """Whatever looks like its end."""
    blocks = [one.content for one in PARSER.parse(fenced(lines)) if one.type == "fence"]
    assert blocks == ["\n".join(lines) + "\n"]
