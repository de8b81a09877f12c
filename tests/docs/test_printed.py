"""What a page shows of a terminal has a place that a script fills; how such texts are compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *(one for one in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in one.parts),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_is_pasted(page: Path) -> None:
    """Each block of text lies between the comments by which it is written anew."""
    text = page.read_text(encoding="utf-8")
    place = r"^<!-- output: [\w-]+ -->\n.*?^<!-- end of output -->$"
    outside = re.sub(place, "", text, flags=re.MULTILINE | re.DOTALL)
    assert "```text\n" not in outside
    assert "<!-- output:" not in outside
    assert "<!-- end of output" not in outside


def test_a_place_is_filled_and_all_else_stays(tmp_path: Path) -> None:
    """Whatever stood there before, nothing included; twice gives the same."""
    from docs.scripts import outputs

    page = tmp_path / "page.md"
    page.write_text(
        "before\n\n<!-- output: a -->\n<!-- end of output -->\n\nbetween\n\n"
        "<!-- output: b -->\n\nold\n\n<!-- end of output -->\n\nafter\n",
        encoding="utf-8",
    )
    for _ in range(2):
        outputs.put(page, {"a": "new", "c": "of another page"})
        assert page.read_text("utf-8") == (
            "before\n\n<!-- output: a -->\n\nnew\n\n<!-- end of output -->\n\nbetween\n\n"
            "<!-- output: b -->\n\nold\n\n<!-- end of output -->\n\nafter\n"
        )
    assert list(outputs.places(page)) == [("a", "new"), ("b", "old")]


MESSAGE = """\
kept 40.3 MiB (allowed 2.0 MiB, default)
  footprint  52.0 → peak 92.3 → end 92.3 → gc 92.3 → trim 53.4 MiB
  cause      held-by-malloc: 38.9 MiB is free inside malloc, which has not given it back
  where      malloc-free 39.0 · python-free 0.8 · unexplained 0.0 (MiB)
  heap       |███ 28.1 live|░░░ 39.7 free|
  try        a trim (tried: returns 38.9 MiB): trim=True judges after one; in production
             call malloc_trim(0) when such work is done
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("52.0", "8.0"),
        (" · python-free 0.8", ""),
        ("39.0 · python-free 0.8 ·", "40.3 · malloc-live 1.5 · python-free 0.8 ·\n            "),
        ("|███ 28.1 live|", "|█ 2 live|░░░ 30.1 free|█ 2 live|"),
        ("  heap       |███ 28.1 live|░░░ 39.7 free|\n", ""),
        ("in production\n             call", "in\n             production call"),
    ],
)
def test_another_machine_prints_the_same(old: str, new: str) -> None:
    """Figures, what is small, drawings and where a line is folded make no difference."""
    from docs.scripts.shapes import shape

    changed = MESSAGE.replace(old, new)
    assert changed != MESSAGE
    assert shape(changed) == shape(MESSAGE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kept", "retained"),
        ("held-by-malloc", "pinned-malloc"),
        ("malloc-free 39.0", "malloc-live 39.0"),
        ("default", "ini option memreturn_max_retained"),
        ("  try        a trim", "  advice     a trim"),
        ("  cause ", "  reason"),
        (" → gc 92.3", ""),
        ("malloc_trim(0)", "malloc_trim()"),
    ],
)
def test_a_change_of_words_is_seen(old: str, new: str) -> None:
    """Whatever a reader would read otherwise."""
    from docs.scripts.shapes import shape

    changed = MESSAGE.replace(old, new)
    assert changed != MESSAGE
    assert shape(changed) != shape(MESSAGE)


def test_a_report_is_compared_by_its_keys() -> None:
    """Values are those of a machine."""
    from docs.scripts.shapes import shape

    assert shape('```json\n{"a": 1, "b": {"c": [2]}}\n```') == [".a", ".b.c"]


def test_the_picture_in_the_readme_is_there_and_small() -> None:
    """A picture as a page can have it on a slow line, with words for who does not see it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (alternative, path), *others = re.findall(r"!\[([^]]*)\]\(([^)]+)\)", readme)
    assert not others
    assert len(alternative) > 40
    assert 10_000 < (ROOT / path).stat().st_size < 150_000
