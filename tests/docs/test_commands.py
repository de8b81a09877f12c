"""Every command and setting on a page is one that there is."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import cast

import pytest

from pytest_memreturn import _options
from pytest_memreturn.__main__ import build_parser

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for page in ROOT.glob(pattern)
    if "_build" not in page.parts
)
_VARIABLE = re.compile(r"[A-Z][A-Z_]+=")


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of a language on a page."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page: Path) -> Iterator[list[str]]:
    """What a page tells its readers to type, word by word."""
    lines = [
        line.removeprefix("$ ")
        for block in blocks(page, "console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    lines += [line for block in blocks(page, "sh") for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and _VARIABLE.match(words[0]):
            del words[0]
        if words:
            yield words


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


def check_pytest(words: list[str]) -> None:
    """Each option of the plugin is declared."""
    flags, _ = declared_options()
    given = [word.partition("=")[0] for word in words if word.startswith(("--mem", "--no-mem"))]
    assert [one for one in given if one not in flags] == []


def check_python(words: list[str]) -> None:
    """A module that can be run, with arguments that it takes; or a script that is there."""
    if words[:1] != ["-m"]:
        assert (ROOT / words[0]).exists(), words
    elif words[1] == "pytest_memreturn":
        build_parser().parse_args(words[2:])
    elif words[1] == "pytest":
        check_pytest(words[2:])
    else:
        place = ROOT.joinpath(*words[1].split("."))
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), words


def check_pip(words: list[str]) -> None:
    """What is installed of this project is a package, or an extra, that there is."""
    assert words[0] == "install"
    extras = metadata.metadata("pytest-memreturn").get_all("Provides-Extra", [])
    for word in words[1:]:
        if found := re.fullmatch(r"pytest-memreturn\[(.+)\]", word):
            assert found[1] in extras


def check_make(words: list[str]) -> None:
    """A target of the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z ]*):.*## ", text, re.MULTILINE))
    assert words[0] in {name for line in targets for name in line.split()}


def check_nox(words: list[str]) -> None:
    """A session of nox."""
    text = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    assert words[0] in {"-s", "--session"}
    assert words[1] in re.findall(r"^@nox\.session.*\ndef (\w+)", text, re.MULTILINE)


def check_gate(words: list[str]) -> None:
    """It takes nothing."""
    assert words == []


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "pytest": check_pytest,
    "python": check_python,
    "pip": check_pip,
    "make": check_make,
    "nox": check_nox,
    ".ci/run": check_gate,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_understood(page: Path) -> None:
    """One of which nobody here knows whether it works has no place on a page."""
    for program, *words in commands(page):
        CHECKS[program](words)


@pytest.mark.parametrize(
    "command",
    [
        "pytest --memreturn-gone",
        "python -m pytest_memreturn gone",
        "python -m gone",
        "python gone.py",
        "pip install pytest-memreturn[gone]",
        "make gone",
        "nox -s gone",
        ".ci/run gone",
        "gone",
    ],
)
def test_a_command_that_is_gone_would_be_seen(tmp_path: Path, command: str) -> None:
    """Whatever it is that it names."""
    page = tmp_path / "page.md"
    page.write_text(f"```console\n$ {command}\n```\n", encoding="utf-8")
    with pytest.raises((AssertionError, KeyError, SystemExit)):
        test_every_command_is_understood(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_is_understood(page: Path) -> None:
    """Files of settings can be read, and those of the plugin are declared."""
    _, names = declared_options()
    for block in blocks(page, "ini"):
        parsed = configparser.ConfigParser()
        parsed.read_string(block)
        for section in parsed.values():
            assert [one for one in section if "memreturn" in one and one not in names] == []
    for block in blocks(page, "toml"):
        tomllib.loads(block)
    for block in blocks(page, "json"):
        # Some lines out of a list, or a whole report.
        json.loads(block if block.startswith("{\n") else f"[{block.rstrip().removesuffix(',')}]")
