"""Laws of mapping layouts, and of what is new in them."""

from __future__ import annotations

import itertools
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from pytest_memreturn._ranges import AddressSet, grown_ranges
from pytest_memreturn._snapshot import MappedRange, MappingKind
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
    grown = list(grown_ranges(before, after))
    homes = [one for one in after if one.kind in {"heap", "arena", "anonymous"}]
    new = addresses(homes) - addresses(before)
    assert addresses(grown) == new
    among = AddressSet(grown)
    assert {address for address in range(-1, LAST + 2) if among.holds(address, 1)} == new
    assert bool(among) == bool(new)


@given(ranges(), ranges())
def test_what_grew_is_told_apart_and_by_kind(
    before: list[MappedRange], after: list[MappedRange]
) -> None:
    """Sorted pieces of what is there now, none empty, none twice, each of the kind it lies in."""
    grown = list(grown_ranges(before, after))
    for one, following in itertools.pairwise(grown):
        assert one.end <= following.start
    for one in grown:
        assert one.start < one.end
        assert one.counted_bytes == one.end - one.start
        [home] = [found for found in after if found.start <= one.start and one.end <= found.end]
        assert home.kind == one.kind


@given(ranges(), ranges())
def test_what_grew_once_does_not_grow_again(
    before: list[MappedRange], after: list[MappedRange]
) -> None:
    """What is known to have come, as a fixture's is, is old for whoever asks next."""
    known = [*before, *grown_ranges(before, after)]
    assert list(grown_ranges(known, after)) == []


@given(ranges(), st.integers(0, LAST), st.integers(0, LAST))
def test_a_block_is_held_by_its_start_or_its_middle(
    among: list[MappedRange], address: int, size: int
) -> None:
    """No other address of it matters."""
    held = AddressSet(sorted(among, key=lambda one: one.start))
    assert held.holds(address, size) == (
        held.holds(address, 1) or held.holds(address + size // 2, 1)
    )


KILOBYTES = st.integers(0, 10**7)
BYTES = st.integers(0, 2**40)
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
        # In the kernel's order, which Hypothesis does not keep to.
        text += "".join(f"{name}: {fields[name]:>12} kB\n" for name in LINES)
        text += "THPeligible:           0\nVmFlags: rd wr mr mw me ac\n"
        start = end + (pages % 3) * 4096
    return text.encode()


def starts(mappings: list[tuple[int, str, str, dict[str, int]]]) -> list[int]:
    """Where `smaps` puts them."""
    found, start = [], 0x10000
    for pages, *_ in mappings:
        found.append(start)
        start += (pages + pages % 3) * 4096
    return found


@given(st.lists(MAPPING, min_size=1, max_size=8), KILOBYTES, st.data())
def test_a_layout_adds_up(
    mappings: list[tuple[int, str, str, dict[str, int]]], shared_memory: int, data: st.DataObject
) -> None:
    """Kinds and swap are the footprint, and each mapping is in one kind, wherever arenas begin."""
    text = smaps(mappings)
    some = data.draw(st.sets(st.sampled_from(starts(mappings))))
    found = SmapsText(text, len(text)).snapshot(shared_memory, arenas=some)
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
    assert found.huge_page_bytes == sum(1024 * fields["AnonHugePages"] for *_, fields in mappings)
    assert sum(one.huge_page_bytes for one in found.ranges) <= found.huge_page_bytes


@given(st.lists(MAPPING, min_size=1, max_size=8), KILOBYTES, BYTES)
def test_what_is_left_out_is_missing_from_anonymous_memory_alone(
    mappings: list[tuple[int, str, str, dict[str, int]]], shared_memory: int, left_out: int
) -> None:
    """Our own buffers are no part of the process that is read."""
    text = smaps(mappings)
    whole = SmapsText(text, len(text)).snapshot(shared_memory)
    found = SmapsText(text, len(text)).snapshot(shared_memory, left_out_bytes=left_out)
    assert found.footprint_bytes == whole.footprint_bytes - left_out
    assert found.rss_bytes == whole.rss_bytes - left_out
    for kind in {*whole.kinds, *found.kinds}:
        less = left_out if kind == "anonymous" else 0
        assert found.counted_bytes(kind) == whole.counted_bytes(kind) - less


@given(st.lists(MAPPING, min_size=1, max_size=8))
def test_lines_add_up_without_the_layout(
    mappings: list[tuple[int, str, str, dict[str, int]]],
) -> None:
    """What is added up line by line is what the layout says."""
    content = smaps(mappings)
    text = SmapsText(content, len(content))
    assert text.private_footprint_bytes() == text.snapshot(0).footprint_bytes
    assert text.lazy_free_bytes() == text.snapshot(0).lazy_free_bytes


@given(st.lists(MAPPING, min_size=1, max_size=8))
def test_private_mappings_are_in_the_layout(
    mappings: list[tuple[int, str, str, dict[str, int]]],
) -> None:
    """Each that is writable, private, and of no file; with what of it is not resident."""
    content = smaps(mappings)
    assert [
        (one.start, one.end, one.is_main_heap, one.hole_bytes)
        for one in SmapsText(content, len(content)).private_mappings()
    ] == [
        (start, start + pages * 4096, path == "[heap]", 1024 * (fields["Size"] - fields["Rss"]))
        for start, (pages, permissions, path, fields) in zip(
            starts(mappings), mappings, strict=True
        )
        if permissions == "rw-p" and path in {"", "[heap]", "[anon:pool]"}
    ]
