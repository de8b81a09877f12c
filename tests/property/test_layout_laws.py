"""Laws of mapping layouts, and of what is new in them."""

from __future__ import annotations

import itertools
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from pytest_memreturn._snapshot import MappedRange, MappingKind
from pytest_memreturn.explain.survivors import GrownRanges
from pytest_memreturn.probes._smaps import SmapsText

LAST = 60


@st.composite
def ranges(draw: st.DrawFn) -> list[MappedRange]:
    """Ranges that don't overlap, as in a layout; in any order, and some of them touch."""
    cuts = sorted(draw(st.sets(st.integers(0, LAST), max_size=14)))
    spans = [span for span in itertools.pairwise(cuts) if draw(st.booleans())]
    kinds = st.sampled_from(get_args(MappingKind))
    found = [MappedRange(start, end, draw(kinds), end - start) for start, end in spans]
    return draw(st.permutations(found))


def addresses(among: list[MappedRange]) -> set[int]:
    """Every address that they hold."""
    return {address for one in among for address in range(one.start, one.end)}


@given(ranges(), ranges())
def test_grown_is_the_difference_of_two_sets(
    before: list[MappedRange], after: list[MappedRange]
) -> None:
    """New is each address where objects may lie now, and where nothing lay before."""
    grown = GrownRanges(before, after)
    homes = [one for one in after if one.kind in {"heap", "arena", "anonymous"}]
    new = addresses(homes) - addresses(before)
    assert {address for address in range(-1, LAST + 2) if address in grown} == new
    assert bool(grown) == bool(new)


@given(ranges(), ranges(), st.integers(0, LAST), st.integers(0, LAST))
def test_a_block_is_held_by_its_start_or_its_middle(
    before: list[MappedRange], after: list[MappedRange], address: int, size: int
) -> None:
    """No other address of it matters."""
    grown = GrownRanges(before, after)
    assert grown.holds(address, size) == (address in grown or address + size // 2 in grown)


KILOBYTES = st.integers(0, 10**7)
LINES = (
    "Size",
    "KernelPageSize",
    "MMUPageSize",
    "Rss",
    "Pss",
    "Anonymous",
    "LazyFree",
    "AnonHugePages",
    "Shared_Hugetlb",
    "Private_Hugetlb",
    "Swap",
    "SwapPss",
)
MAPPING = st.tuples(
    st.integers(1, 2**35),
    st.sampled_from(["rw-p", "r-xp", "---p", "rw-s"]),
    st.sampled_from(
        ["", "[heap]", "[stack]", "[vdso]", "/usr/lib/libx.so", "/dev/shm/x y", "[anon:pool]"]  # noqa: S108
    ),
    st.fixed_dictionaries(dict.fromkeys(LINES, KILOBYTES)),
)


def smaps(mappings: list[tuple[int, str, str, dict[str, int]]]) -> bytes:
    """The text of a layout of these mappings, one after the other."""
    text, start = "", 0x10000
    for pages, permissions, path, fields in mappings:
        end = start + pages * 4096
        text += f"{start:08x}-{end:08x} {permissions} 00000000 00:00 0 {path}\n"
        text += "".join(f"{name}: {size:>12} kB\n" for name, size in fields.items())
        text += "THPeligible:           0\nVmFlags: rd wr mr mw me ac\n"
        start = end + (pages % 3) * 4096
    return text.encode()


@given(st.lists(MAPPING, max_size=8), KILOBYTES)
def test_a_layout_adds_up(
    mappings: list[tuple[int, str, str, dict[str, int]]], shared_memory: int
) -> None:
    """Kinds and swap are the footprint, and each mapping is in one kind."""
    text = smaps(mappings)
    found = SmapsText(text, len(text)).snapshot(shared_memory)
    counted = sum(one.counted_bytes for one in found.kinds.values())
    assert found.footprint_bytes == counted + found.swap_bytes
    assert counted == shared_memory + sum(
        1024
        * (
            fields["Anonymous"]
            - fields["LazyFree"]
            + fields["Private_Hugetlb"]
            + fields["Shared_Hugetlb"]
        )
        for *_, fields in mappings
    )
    assert found.swap_bytes == sum(1024 * fields["Swap"] for *_, fields in mappings)
    assert found.rss_bytes == sum(1024 * fields["Rss"] for *_, fields in mappings)
    assert sum(one.size_bytes for one in found.kinds.values()) == sum(
        1024 * fields["Size"]
        for _, permissions, _, fields in mappings
        if not permissions.startswith("---")
    )
    for one in found.ranges:
        assert one.start < one.end


@given(st.lists(MAPPING, max_size=8))
def test_lines_add_up_without_the_layout(
    mappings: list[tuple[int, str, str, dict[str, int]]],
) -> None:
    """What is added up line by line is what the layout says."""
    content = smaps(mappings)
    text = SmapsText(content, len(content))
    assert text.private_footprint_bytes() == text.snapshot(0).footprint_bytes
    assert text.lazy_free_bytes() == text.snapshot(0).lazy_free_bytes
