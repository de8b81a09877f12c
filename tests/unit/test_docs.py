"""The reference pages name what there is, and nothing else."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import jsonschema
import pytest

import pytest_memreturn
from pytest_memreturn import _errors, _failures, _marks, _options, hookspecs
from pytest_memreturn.__main__ import COMMANDS
from pytest_memreturn._accounts import FREE
from pytest_memreturn._free_parts import PINNED, TRIMMABLE, split_free
from pytest_memreturn._ledger import Ledger, close_ledger
from pytest_memreturn._outside import ChildProcess, Outside, Segment
from pytest_memreturn._processes import ProcessKey, ProcessReading
from pytest_memreturn._record import Record
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage, Snapshot
from pytest_memreturn._tree_ledger import close_tree_ledger
from pytest_memreturn._verdict import find_causes
from pytest_memreturn.allocators import known_allocators
from pytest_memreturn.allocators.glibc import Glibc

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads(
    resources.files("pytest_memreturn.report").joinpath("schema-1.json").read_text("utf-8")
)

# By heading on the page about the JSON report: the object of the schema that its table is about.
SECTIONS = {
    "The whole": "report",
    "`environment`": "environment",
    "`summary`": "summary",
    "`partial`": "partial",
    "`tests[]`: records": "record",
    "`readings`": "readings",
    "`shown`": "shown",
    "`explanation`": "explanation",
    "`survivors[]`": "survivor",
    "`processes[]`": "process",
    "`excluded[]`": "exclusion",
    "`earlier_attempts[]`": "attempt",
    "`isolation`": "isolation",
    "`rounds`": "rounds",
    "`children[]`": "child",
    "`segments[]`": "segment",
    "`held_by_pytest[]`": "holding",
    "`allocators[]`": "allocator",
    "`layout[]`": "mapping_change",
    "`heap`": "heap",
    "`heap.regions[]`": "region",
    "`heap.live_sizes[]`": "size_class",
    "`heap.arenas`": "arenas",
    "`pins[]`": "pin",
    "`lines[]`": "line",
    "`remedies[]`": "remedy",
}


def page(name: str) -> str:
    """The text of a page."""
    return (DOCS / name).read_text(encoding="utf-8")


def first_columns(text: str) -> dict[str, list[str]]:
    """By heading, what stands in the first column of the tables below it, one backquoted word."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        elif row := re.match(r"\| `([^`]+)` \|", line):
            found.setdefault(heading, []).append(row[1])
    return found


def objects(schema: dict[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object that a schema describes, with its name."""
    if "required" in schema and "properties" in schema:
        yield name, schema
    for inner in (schema.get("$defs", {}), schema.get("properties", {})):
        for key, one in inner.items():
            yield from objects(one, key)


def declared_options() -> tuple[list[str], list[str]]:
    """The flags and the ini names that the plugin declares."""
    flags: list[str] = []
    names: list[str] = []

    class Parser:
        def getgroup(self, *_: str) -> Parser:
            return self

        def addoption(self, *flag: str, **_: object) -> None:
            flags.extend(flag)

        def addini(self, name: str, *_: str, **__: object) -> None:
            names.append(name)

    _options.declare(cast("pytest.Parser", Parser()))
    return flags, names


def test_every_key_of_the_report_is_in_its_table() -> None:
    """Each object of the schema has a table with its keys, no fewer and no more."""
    tables = first_columns(page("reference/report-json.md"))
    documented = {SECTIONS[heading]: sorted(keys) for heading, keys in tables.items()}
    assert documented == {
        name: sorted(one["properties"]) for name, one in objects(SCHEMA, "report")
    }


@pytest.mark.parametrize(("name", "described"), list(objects(SCHEMA, "report")))
def test_every_key_is_always_there(name: str, described: dict[str, Any]) -> None:
    """No object of the report leaves a key out: a reader need not ask whether it is there."""
    assert sorted(described["required"]) == sorted(described["properties"]), name


def test_the_example_of_a_report_is_one() -> None:
    """The example on the page is valid, and its record has every key and no other."""
    (text,) = re.findall(r"```json\n(.*?)```", page("reference/report-json.md"), re.DOTALL)
    example = json.loads(text)
    jsonschema.validate(example, SCHEMA)
    (record,) = example["tests"]
    assert list(record) == [one.name for one in fields(Record)]


@pytest.mark.parametrize("module", [_errors, _failures])
def test_every_slug_has_a_section(module: object) -> None:
    """Each error and warning is explained under its slug."""
    slugs = {one.slug for one in vars(module).values() if hasattr(one, "slug")}
    assert slugs
    assert slugs <= set(
        re.findall(r"^\(([a-z-]+)\)=$", page("reference/messages.md"), re.MULTILINE)
    )


def test_every_option_is_named() -> None:
    """Each flag and each ini setting is on the page of options."""
    flags, names = declared_options()
    assert flags
    assert names
    text = page("reference/options.md")
    assert [one for one in (*flags, *names) if not re.search(rf"`{one}(?![\w-])", text)] == []


def test_no_option_is_invented() -> None:
    """The table of the command line and the ini file names nothing that is not declared."""
    flags, names = declared_options()
    text = page("reference/options.md")
    section = text[text.index("## Command line") : text.index("### Reports")]
    rows = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert set(re.findall(r"--[a-z-]+[a-z]", rows)) == set(flags)
    assert set(re.findall(r"`(memreturn\w*)`", rows)) == set(names)


def sections_of_commands() -> dict[str, str]:
    """What the page says of each command, by its name."""
    _, *parts = re.split(r"^\(\w+\)=\n## ", page("reference/command-line.md"), flags=re.MULTILINE)
    return {part.partition("\n")[0]: part for part in parts}


def test_every_command_has_a_section() -> None:
    """And a row in the table of commands."""
    names = [one.NAME for one in COMMANDS]
    assert list(sections_of_commands()) == names
    assert re.findall(r"^\| \[`(\w+)`\]", page("reference/command-line.md"), re.MULTILINE) == names


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.NAME)
def test_every_option_of_a_command_is_in_its_table(command: ModuleType) -> None:
    """No fewer and no more, with its choices and its default; and each exit status."""
    parser = argparse.ArgumentParser(add_help=False)
    command.declare(parser)
    text = sections_of_commands()[command.NAME]
    rows = [line for line in text.splitlines() if re.match(r"\| `-{1,2}[a-z]", line)]
    documented = [re.findall(r"`(-{1,2}[a-z-]+)`", row.split("|")[1]) for row in rows]
    actions = [one for one in parser._actions if one.option_strings]
    assert documented == [list(one.option_strings) for one in actions]
    for row, action in zip(rows, actions, strict=False):
        if action.dest != "format":  # those of reports are on the page of options
            assert [one for one in action.choices or () if f"`{one}`" not in row] == []
    statuses = re.findall(r"^\| (\d) \|", text, re.MULTILINE)
    assert [int(one) for one in statuses] == list(command.STATUSES)


def test_the_marker_is_written_as_it_is() -> None:
    """The page of options shows the marker with all its keywords and their defaults."""
    signature, _, _ = _marks.MARK_HELP.partition(":")
    assert f"`{signature}`" in page("reference/options.md")


def known_statistics(live_bytes: int) -> tuple[AllocatorStatistics, ...]:
    """What every allocator that is known here could say, with so much live and twice as much held.

    Which of them are not this process's memory, only their source tells without a GPU.
    """
    return tuple(
        AllocatorStatistics(
            one.name,
            live_bytes,
            2 * live_bytes,
            live_by_kind={"heap": live_bytes, "arena": 0} if isinstance(one, Glibc) else {},
            own_mapping_live_bytes=live_bytes if isinstance(one, Glibc) else 0,
            is_elsewhere="is_elsewhere=True" in inspect.getsource(type(one)),
        )
        for one in known_allocators()
    )


def full_reading(live_bytes: int, *, outside: Outside) -> Snapshot:
    """A snapshot with something of every kind in it, and a pool of a hook that malloc feeds."""
    pool = AllocatorStatistics("a-pool", live_bytes, 2 * live_bytes, is_from_malloc=True)
    resident_bytes = 50 * live_bytes
    return Snapshot(
        footprint_bytes=2 * resident_bytes + outside.footprint_bytes,
        rss_bytes=0,
        kinds={
            "anonymous": KindUsage(resident_bytes, resident_bytes),
            "heap": KindUsage(resident_bytes, resident_bytes),
        },
        allocators=(*known_statistics(live_bytes), pool),
        outside=outside,
    )


def full_ledger() -> Ledger:
    """A ledger with every account there is."""
    outside = Outside(
        children=(ChildProcess(1, "a-child", "a-child", 4),),
        segments=(Segment("memfd", "a-segment", 4, 4, "a-user"),),
    )
    return close_ledger(full_reading(4, outside=Outside()), full_reading(8, outside=outside))


def ledger_from_outside() -> Ledger:
    """A ledger of a process whose allocators were not asked."""
    key = ProcessKey(1, 1)
    readings = [
        ProcessReading(key, "", "", replace(full_reading(live, outside=Outside()), allocators=()))
        for live in (4, 8)
    ]
    return close_tree_ledger(readings[:1], readings[1:])


def names_without_the_pool(names: Mapping[str, object]) -> list[str]:
    """The names in order, without those of a hook's allocator, which no page can name."""
    return sorted(name for name in names if "a-pool" not in name)


def test_every_account_is_in_the_table() -> None:
    """The table of accounts is what full ledgers have, with every allocator that is known."""
    tables = first_columns(page("reference/accounts-and-causes.md"))
    accounts = {**full_ledger().to_dict(), **ledger_from_outside().to_dict()}
    assert sorted(tables["Accounts"]) == names_without_the_pool(accounts)


def test_every_part_is_in_the_table() -> None:
    """The table of parts is what the accounts of a full ledger are split into."""
    ledger = full_ledger()
    free_parts = split_free(ledger, ledger, {})
    found = {part for parts in {**ledger.parts, **free_parts}.values() for part in parts}
    assert {TRIMMABLE, PINNED} <= found
    tables = first_columns(page("reference/accounts-and-causes.md"))
    assert sorted(tables["Parts"]) == sorted(found)


def test_everything_that_is_shown_is_in_the_table() -> None:
    """The table has the keys that are always shown, and each allocator of memory elsewhere."""
    always = SCHEMA["$defs"]["record"]["properties"]["shown"]["required"]
    elsewhere = [one.name for one in known_statistics(4) if one.is_elsewhere]
    assert elsewhere
    tables = first_columns(page("reference/accounts-and-causes.md"))
    assert sorted(tables["Shown, not counted"]) == sorted([*always, *elsewhere])


def test_every_cause_has_a_section() -> None:
    """The causes on the page are those that a ledger with something in every account gives."""
    text = page("reference/accounts-and-causes.md")
    accounts = dict.fromkeys(first_columns(text)["Accounts"], 4)
    del accounts["unexplained"]
    growth = sum(accounts.values()) + 4
    causes = find_causes(
        Ledger(growth, accounts),
        {
            account: {TRIMMABLE: 2, PINNED: 2}
            for account in accounts
            if account.endswith(FREE) and account != "python" + FREE
        },
        python_in_malloc_bytes=2,
    )
    _, _, sections = text.partition("## Causes\n")
    documented: list[str] = []
    found = re.findall(r"((?:^\(.+\)=\n)+)### (.+)$", sections, re.MULTILINE)
    assert len(found) == len(re.findall(r"^### ", sections, re.MULTILINE))
    for labels, heading in found:
        slugs = re.findall(r"\((.+)\)=", labels)
        assert heading == ", ".join(slugs)
        documented += slugs
    assert sorted(documented) == sorted(causes.bytes_by_cause)


def test_every_hook_has_a_section() -> None:
    """The page of hooks has each hook under its name, with the arguments it is called with."""
    declared = {
        f"{name}({', '.join(inspect.signature(one).parameters)})"
        for name, one in vars(hookspecs).items()
        if name.startswith("pytest_memreturn")
    }
    text = page("reference/hooks.md")
    documented = re.findall(r"^\((\w+)\)=\n## `(\1\(.*\))`$", text, re.MULTILINE)
    assert declared
    assert {heading for _, heading in documented} == declared


def test_every_method_of_an_allocator_is_on_the_page_of_hooks() -> None:
    """The table says of each method when it is called."""
    tables = first_columns(page("reference/hooks.md"))
    methods = [name for name, one in vars(pytest_memreturn.Allocator).items() if callable(one)]
    (listed,) = tables.values()
    assert sorted(listed) == sorted(name for name in methods if not name.startswith("_"))


def test_every_public_name_is_documented() -> None:
    """Each name that can be imported has its entry on the page of names."""
    entry = r"^\.\. auto\w+:: pytest_memreturn\.(\w+)(?![\w.])"
    documented = re.findall(entry, page("reference/api.md"), re.MULTILINE)
    assert sorted(documented) == sorted(pytest_memreturn.__all__)


def test_the_house_is_drawn_once() -> None:
    """The rooms on the page of architecture stand in the order that imports are checked by."""
    source = (Path(__file__).parent / "test_house.py").read_text(encoding="utf-8")
    (floors,) = (
        ast.literal_eval(one.value)
        for one in ast.parse(source).body
        if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "FLOORS"
    )
    package = Path(pytest_memreturn.__file__).parent
    drawn = first_columns(page("explanation/architecture.md"))["Architecture"]
    rooms = [room for floor in floors for room in floor]
    built = [one for one in rooms if (package / one).is_dir() or (package / f"{one}.py").exists()]
    assert [one.rstrip("/") for one in drawn] == built
