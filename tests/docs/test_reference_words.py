"""Words that a user can meet, read from the code: each is on the page where one looks it up."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest

import pytest_memreturn
from pytest_memreturn import _marks, _properties
from pytest_memreturn._fixture import MemreturnFixture
from pytest_memreturn._settings import MODES
from pytest_memreturn.probes.names import PROBE_NAMES

ROOT = Path(__file__).parents[2]
PACKAGE = Path(pytest_memreturn.__file__).parent
SCHEMA = json.loads(
    resources.files("pytest_memreturn.report").joinpath("schema-1.json").read_text("utf-8")
)


def page(name: str) -> str:
    """The text of a page of the reference."""
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


def absent(words: set[str], text: str) -> list[str]:
    """The words that stand nowhere as code."""
    assert words, "there is nothing to look for: this is no check any more"
    return sorted(one for one in words if f"`{one}`" not in text)


def signature(name: str, function: Callable[..., object]) -> str:
    """As a page writes it: names and defaults."""
    parameters = [
        one.replace(annotation=inspect.Parameter.empty)
        for one in inspect.signature(function).parameters.values()
        if one.name != "self"
    ]
    text = str(inspect.Signature(parameters))
    return f"{name}{text}"


def test_every_keyword_of_the_marker_has_a_row() -> None:
    """No fewer and no more."""
    written, _, _ = _marks.MARK_HELP.partition(":")
    call = ast.parse(written.replace("*, ", "")).body[0]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    table, _, _ = page("options.md").partition("\n(windows)=")
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert rows == [one.arg for one in call.value.keywords]


@pytest.mark.parametrize(
    ("name", "function", "where"),
    [
        ("memreturn", MemreturnFixture.__call__, "options.md"),
        ("returns_memory", None, "options.md"),
    ],
)
def test_signatures_are_written_as_they_are(
    name: str, function: Callable[..., object] | None, where: str
) -> None:
    """With all keywords and their defaults."""
    written = _marks.MARK_HELP.partition(":")[0] if function is None else signature(name, function)
    assert f"`{written}`" in page(where)


def test_what_measures_a_block_takes_what_the_fixture_takes() -> None:
    """The page says so in place of a list."""
    ours = signature("", pytest_memreturn.measure)
    assert ours == signature("", MemreturnFixture.__call__)
    assert "{py:func}`~pytest_memreturn.measure` takes the same keywords as the fixture" in page(
        "options.md"
    )


def labels(*modules: str) -> Iterator[str]:
    """What stands before the lines of a message: the first of two that a generator yields."""
    for module in modules:
        tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            match node:
                case ast.Yield(value=ast.Tuple(elts=[ast.Constant(value=str(label)), _])) if label:
                    yield label


def test_every_line_of_a_failure_message_is_explained() -> None:
    """By its label, in the list below the example."""
    found = set(labels("report/message.py", "report/holders.py", "report/rerun_lines.py"))
    assert absent(found, page("messages.md")) == []


def test_every_line_of_the_ratchet_is_explained() -> None:
    """By the word it begins with."""
    tree = ast.parse((PACKAGE / "ratchet" / "lines.py").read_text(encoding="utf-8"))
    kinds = {
        str(key.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    assert absent(kinds, page("messages.md")) == []


def test_every_property_is_in_the_table() -> None:
    """What other reports have of a judged test."""
    names = {_properties._PREFIX + one for one in _properties._FIGURES}
    assert absent(names, page("options.md")) == []


def words_of(schema: object) -> Iterator[str]:
    """Every word that a value of a report may be."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key in {"enum", "const"}:
                yield from (one for one in (value if key == "enum" else [value]) if one is not None)
            else:
                yield from words_of(value)
    elif isinstance(schema, list):
        for one in schema:
            yield from words_of(one)


def test_every_word_in_a_report_is_explained() -> None:
    """Where a key has one of a few words, each stands on the page."""
    assert absent({str(one) for one in words_of(SCHEMA)}, page("report-json.md")) == []


def test_every_choice_of_a_setting_is_named() -> None:
    """Settings that take one of a few words say which."""
    assert absent({*MODES, *PROBE_NAMES}, page("options.md")) == []


def test_every_topic_of_the_doctor_is_explained() -> None:
    """What it looks at, by the word over each part of its answer."""
    topics = {
        str(ast.literal_eval(node.value))
        for module in sorted((PACKAGE / "doctor").glob("*.py"))
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TOPIC"
    }
    documented = re.findall(r"^(\w+)\n: ", page("command-line.md"), re.MULTILINE)
    assert topics
    assert topics <= set(documented)
