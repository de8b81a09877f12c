"""What pages show of a terminal: each piece is cut from a run that is made for it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from docs.scripts.how_tos import EXAMPLES, Example, said
from docs.scripts.runs import DOCS, ROOT, cut, fenced, pytest, run

# Pieces of Markdown by name. A scene makes several where one run follows from another.
Pieces: TypeAlias = Mapping[str, str]
Scene: TypeAlias = Callable[[Path], Pieces]


def python_blocks(page: str) -> list[str]:
    """The Python that a page shows."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def failure_message(folder: Path) -> Pieces:
    """The test on the page about messages, and the report that its run writes."""
    test, *_ = python_blocks("docs/reference/messages.md")
    (folder / "test_parse.py").write_text(test, encoding="utf-8")
    said = pytest(folder, "--memreturn-report=report.json", COLUMNS="100")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    # What a distributor adds says nothing to anybody else.
    kernel = report["environment"]["kernel"]
    report["environment"]["kernel"] = re.match(r"\w+ [\d.]*\d", kernel)[0]  # type: ignore[index]
    return {
        "failure-message": fenced(cut(said, "^kept ", "MemoryNotReturned$")),
        "report": fenced(json.dumps(report, indent=1, ensure_ascii=False), "json"),
    }


def invalid_setting(folder: Path) -> Pieces:
    """A marker that cannot be right."""
    (folder / "test_bad.py").write_text(
        "import pytest\n\n@pytest.mark.returns_memory('ten')\ndef test_load(): ...\n", "utf-8"
    )
    said = pytest(folder, COLUMNS="500")
    return {"invalid-setting": fenced(cut(said, "^marker on", "^marker on"))}


def readme(_: Path) -> Pieces:
    """The example that the first page shows."""
    said = pytest(ROOT, "-o", "filterwarnings=default", "examples/test_json.py::test_previews")
    return {"previews": fenced(cut(said, "_ test_previews _", "MemoryNotReturned$"))}


_SCRIPTED = """
from pytest_memreturn.testing import AllocatorStatistics, KindUsage, Script, Snapshot, play

MIB = 1024 * 1024

def heap(size, live=50 * MIB):
    malloc = AllocatorStatistics("malloc", live, size, live_by_kind={"heap": live})
    return Snapshot(size, size, kinds={"heap": KindUsage(size, size)}, allocators=(malloc,))

SCRIPTS = {
    "test_load": Script(50 * MIB, end=50 * MIB + 692 * 1024),
    "test_parse": Script(heap(50 * MIB), end=heap(80 * MIB), trim=heap(50 * MIB)),
    "test_serve": Script(50 * MIB, unreadable="end"),
}

def pytest_runtest_setup(item):
    if item.name in SCRIPTS:
        play(item.config, [SCRIPTS[item.name]])
"""


def beside(folder: Path) -> Pieces:
    """What `-v` says of tests of each verdict."""
    (folder / "conftest.py").write_text(_SCRIPTED, "utf-8")
    marked = "\n".join(
        f"@pytest.mark.returns_memory\ndef {name}(): ..."
        for name in ("test_load", "test_parse", "test_serve")
    )
    (folder / "test_load.py").write_text(
        f"import pytest\n\n{marked}\n\ndef test_other(): ...\n", "utf-8"
    )
    said = cut(pytest(folder, "-v"), "::test_load ", "::test_other ")
    return {"beside": fenced(re.sub(r" +\[ *\d+%\]$", "", said, flags=re.MULTILINE))}


def pool(folder: Path) -> Pieces:
    """A pool to which every block was given back."""
    (folder / "conftest.py").write_text(
        python_blocks("docs/how-to/add-an-allocator.md")[0], "utf-8"
    )
    (folder / "test_pool.py").write_text(
        "import pytest\n"
        "from slab_pool import SlabPool\n\n"
        "POOL = SlabPool(64 * 1024)\n\n"
        "@pytest.mark.returns_memory\n"
        "def test_pool():\n"
        "    blocks = [POOL.take() for _ in range(640)]\n"
        "    for block in blocks:\n"
        "        block[:] = bytes(len(block))\n"
        "        POOL.give_back(block)\n",
        "utf-8",
    )
    said = pytest(folder, PYTHONPATH=str(ROOT / "examples" / "slab_pool" / "src"))
    return {"pool": fenced(cut(said, "^kept ", "call the release of"))}


_SUITE = """
import pytest

KEPT = []
KIB = 1024

def keep(kib):
    KEPT.append(bytearray(kib * KIB))

@pytest.mark.returns_memory(enabled=False)  # its block is enough
def test_load(memreturn):
    with memreturn(label="rows"):
        keep({load})

@pytest.mark.parametrize(("page", "kib"), [(1, 13_400), (2, {page})], ids=["1", "2"])
def test_page(page, kib):
    keep(kib)

def test_{report}():
    keep({report_kib})

def test_parse():
    keep(8_300)
"""


def ratchet(folder: Path) -> Pieces:
    """A suite that retains, from its first record on."""

    def suite(
        load: int = 13_800, page: int = 13_300, report: str = "report", report_kib: int = 8_600
    ) -> None:
        text = _SUITE.format(load=load, page=page, report=report, report_kib=report_kib)
        (folder / "test_app.py").write_text(text, "utf-8")

    def ended(said: str) -> str:
        lines = cut(said, "^memreturn.json: ", r"^(=+ |\d+ judged)")
        return lines.rpartition("\n")[0]

    suite()
    saved = pytest(folder, "--memreturn", "--memreturn-save=memreturn.json")
    entries = (folder / "memreturn.json").read_text("utf-8").splitlines()
    named = [line for line in entries if "test_load" in line or "test_report" in line]

    both = ("--memreturn", "--memreturn-compare=memreturn.json")
    suite(load=18_800)
    more = pytest(folder, *both)
    suite(page=200)
    less = pytest(folder, *both)
    pytest(folder, *both, "--memreturn-save=memreturn.json")
    suite(page=200, report="monthly_report", report_kib=9_200)
    renamed = pytest(folder, *both)
    return {
        "ratchet-saved": fenced(ended(saved)),
        "ratchet-file": fenced("\n".join(named), "json"),
        "ratchet-kept": fenced(cut(more, "rows: kept", "rows: kept").partition(": ")[2]),
        "ratchet-more": fenced(ended(more)),
        "ratchet-less": fenced(ended(less)),
        "ratchet-renamed": fenced(ended(renamed)),
    }


def _experiment(name: str, *variables: str) -> Scene:
    """A script that is run where it lies; once more with each of the variables."""

    def scene(_: Path) -> Pieces:
        script = f"docs/experiments/{name}.py"
        lines = []
        for variable in ("", *variables):
            key, value = variable.partition("=")[::2]
            lines.append(f"$ {variable} python {script}".replace("  ", " "))
            lines.append(run(ROOT, script, **({key: value} if variable else {})).rstrip())
        return {name: fenced("\n".join(lines), "console")}

    scene.__name__ = name
    return scene


def strategies(_: Path) -> Pieces:
    """The table of ways to work, and what it was measured on."""
    machine = (
        "import os, platform; print('Linux', platform.release().split('-')[0] + ',',"
        "os.confstr('CS_GNU_LIBC_VERSION') + ', CPython', platform.python_version())"
    )
    return {
        "strategies": run(ROOT, "docs/experiments/strategies.py").rstrip(),
        "strategies-machine": f"Measured on {run(ROOT, '-c', machine).strip()}.",
    }


_TUTORIAL = ROOT / "examples" / "tutorial"


def tutorial(folder: Path) -> Pieces:
    """The project of the tutorial, from the first run to a pull request that goes back."""

    def take(state: str) -> None:
        for file in sorted((_TUTORIAL / state).glob("*.py")):
            shutil.copy(file, folder)

    judged = ("--memreturn", "--memreturn-report")
    take("start")
    plain = pytest(folder, "-q")
    first = pytest(folder, *judged)
    take("no_cache")
    second = pytest(folder, *judged)
    take("finish")
    workflow = (_TUTORIAL / "finish/.github/workflows/memory.yml").read_text("utf-8")
    (gate,) = re.findall(r"- run: pytest (.*)", workflow)
    summary = folder / "summary.md"
    command = [word.replace("$GITHUB_STEP_SUMMARY", str(summary)) for word in shlex.split(gate)]
    gated = pytest(folder, *command)
    shutil.copy(_TUTORIAL / "start" / "meters.py", folder)
    pytest(folder, *command)
    return {
        "tutorial-plain": fenced(re.sub(r" in [\d.]+s", "", cut(plain, " passed", " passed"))),
        "tutorial-table": fenced(cut(first, "= memory returned to", r"^\d+ judged")),
        "tutorial-cache": fenced(cut(first, "_ test_totals _", "try .*find what")),
        "tutorial-malloc": fenced(cut(second, "_ test_busiest _", "MemoryNotReturned$")),
        "tutorial-gate": fenced(cut(gated, "= memory returned to", r"^\d+ judged")),
        "tutorial-summary": cut(summary.read_text("utf-8"), r"\*\*2 retained", r"test_busiest"),
    }


def _how_to(example: Example) -> Scene:
    """An example of a how-to page."""

    def scene(_: Path) -> Pieces:
        return {example.name: fenced(said(example))}

    scene.__name__ = example.name
    return scene


HOW_TOS = tuple(_how_to(one) for one in EXAMPLES if one.shown is not None)

EXPERIMENTS = (
    _experiment("heap_or_mapping"),
    _experiment("heap_top"),
    _experiment("thresholds"),
    _experiment("thread_arenas", "MALLOC_ARENA_MAX=1"),
    _experiment("trim"),
    _experiment("small_objects"),
    _experiment("own_pool"),
    _experiment("lazily"),
    _experiment("huge_pages"),
    _experiment("swap"),
    _experiment("shared"),
    _experiment("children"),
)

SCENES: tuple[Scene, ...] = (
    readme,
    failure_message,
    invalid_setting,
    beside,
    pool,
    ratchet,
    tutorial,
    *HOW_TOS,
    *EXPERIMENTS,
    strategies,
)


def play(scene: Scene) -> Pieces:
    """The pieces of a scene, made in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return scene(Path(folder))


def pages() -> Iterator[Path]:
    """The pages on which pieces may stand."""
    yield ROOT / "README.md"
    yield from sorted(one for one in DOCS.rglob("*.md") if "_build" not in one.parts)
