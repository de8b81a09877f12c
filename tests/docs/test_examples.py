"""Every Python example on a page runs; where it is a test or a hook, under pytest."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sybil import Document, Example
from sybil.evaluators.python import PythonEvaluator, pad
from sybil.parsers.myst import CodeBlockParser

# Loaded here so that an inner run in this process need not load it afresh each time.
import pytest_memreturn._measure
import pytest_memreturn.testing  # noqa: F401 - likewise

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for page in ROOT.glob(pattern)
    if "_build" not in page.parts and "```python\n" in page.read_text(encoding="utf-8")
)

_TEST = re.compile(r"^(class Test|(async )?def test_)", re.MULTILINE)
_HOOK = re.compile(r"^ *def pytest_", re.MULTILINE)


@dataclass
class Files:
    """What of a page is for pytest: modules with tests, modules with hooks."""

    folder: Path
    # What an invisible block defines: the reader's own code, which examples call.
    prelude: str = ""
    tests: list[str] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)
    visible: int = 0

    def evaluate(self, example: Example) -> None:
        """Run an example here, or put it into the folder."""
        source = str(example.parsed)
        if str(example.region.lexemes.get("directive")).startswith("invisible"):
            if _TEST.search(source):
                self._write("test", self.tests, source)
                return
            self.prelude += source
        else:
            self.visible += 1
        if _TEST.search(source):
            self._write("test", self.tests, pad(source, example.line - self.prelude.count("\n")))
        elif _HOOK.search(source):
            self._write("hooks", self.hooks, source)
        else:
            PythonEvaluator()(example)

    def _write(self, kind: str, names: list[str], source: str) -> None:
        names.append(f"{kind}_of_page_{len(names)}")
        text = self.prelude + source
        (self.folder / f"{names[-1]}.py").write_text(text, encoding="utf-8")

    def run(self, pytester: pytest.Pytester) -> str:
        """How many of the tests passed and failed, in the words of pytest; why, if any failed."""
        plugins = (part for name in self.hooks for part in ("-p", name))
        modules = (f"{name}.py" for name in self.tests)
        ended = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", *plugins, *modules)
        assert ended.ret in {0, 1}, ended.errlines
        counts = " ".join(f"{count} {word}" for word, count in ended.parseoutcomes().items())
        return counts if ended.ret == 0 else f"{counts}\n{ended.outlines}"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """An example may set how a signal is taken."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def document(page: Path, files: Files) -> Document:
    """A page with its examples."""
    found = Document.parse(str(page), CodeBlockParser("python", files.evaluate))
    # Data classes look their module up; a page is none.
    found.namespace["__name__"] = "builtins"
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_runs(
    page: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, one after the other, as a reader would go through them.

    A page whose tests fail for a reason says in an invisible block how they end: ``ENDS``.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_memreturn.plugin")
    # Modules of hooks lie there.
    monkeypatch.syspath_prepend(pytester.path)
    files = Files(pytester.path)
    parsed = document(page, files)
    for example in parsed.examples():
        example.evaluate()
    assert files.visible == page.read_text(encoding="utf-8").count("```python\n")
    assert files.tests or not files.hooks, "hooks are only tried by a test"
    if files.tests:
        ended = files.run(pytester)
        expected = str(parsed.namespace.get("ENDS", "passed"))
        assert re.match(rf"(\d+ )?{expected}", ended), ended


def test_an_example_that_is_wrong_would_be_seen(pytester: pytest.Pytester) -> None:
    """Whether it is run here, or by pytest."""
    page = pytester.path / "page.md"
    page.write_text("```python\nraise KeyError\n```\n", encoding="utf-8")
    with pytest.raises(KeyError):
        next(document(page, Files(pytester.path)).examples()).evaluate()
    page.write_text("```python\ndef test_it():\n    assert False\n```\n", encoding="utf-8")
    files = Files(pytester.path)
    next(document(page, files).examples()).evaluate()
    assert files.run(pytester).startswith("1 failed")


def test_the_excerpt_in_the_readme_is_one() -> None:
    """The test that it shows is the one that the demonstration runs."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    excerpt, *_ = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert excerpt in (ROOT / "examples" / "test_json.py").read_text(encoding="utf-8")
