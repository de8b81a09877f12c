"""Which live blocks keep free memory in place, and who owns them."""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
from collections.abc import Iterable, Iterator

import pytest

from pytest_memreturn._explanation import HeapPicture
from pytest_memreturn._instruments import HeapSurvey
from pytest_memreturn._snapshot import AllocatorStatistics, MappedRange, Snapshot
from pytest_memreturn.explain import census, heap_survey, pins
from pytest_memreturn.explain.arenas import POOL_BYTES, Arena
from pytest_memreturn.explain.chunks import Chunks
from pytest_memreturn.explain.heap_survey import Detail
from pytest_memreturn.explain.heap_walk import HeapWalk, WalkedHeap
from pytest_memreturn.explain.owners import Owned, find_owners
from pytest_memreturn.explain.pins import NATIVE, Gap, find_pins, gaps_of
from pytest_memreturn.probes.malloc_heaps import MAIN, MallocHeap
from pytest_memreturn.probes.mapped_words import MappedWords

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")

PAGE = mmap.PAGESIZE
KEPT: list[object] = []


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    KEPT.clear()


@pytest.fixture
def memory() -> Iterator[tuple[mmap.mmap, int]]:
    """Forty pages of which the first thirty are resident, and where they begin."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with mmap.mmap(-1, 40 * PAGE, flags=flags) as found:
        found.madvise(mmap.MADV_NOHUGEPAGE)
        found[: 30 * PAGE] = b"x" * (30 * PAGE)
        anchor = ctypes.c_char.from_buffer(found)
        address = ctypes.addressof(anchor)
        del anchor
        yield found, address


def walk_of(start: int, end: int, *free: tuple[int, int]) -> HeapWalk:
    """A walk through one heap with these free chunks: from and to, from its start on."""
    starts, sizes = MappedWords(9), MappedWords(9)
    starts.extend(start + begin for begin, _ in free)
    sizes.extend(stop - begin for begin, stop in free)
    chunks = Chunks(start, end, starts, sizes)
    heap = WalkedHeap(MallocHeap(MAIN, start, end, (start,)), chunks)
    return HeapWalk((heap,), 0, proven=True, partial=False, reason=None)


def put_chunks(memory: mmap.mmap, at: int, *sizes: int) -> None:
    """Headers of chunks, one behind the other."""
    for size in sizes:
        struct.pack_into("Q", memory, at + 8, size | 1)
        at += size


def test_what_stands_above_free_memory(memory: tuple[mmap.mmap, int]) -> None:
    """The largest of the lowest blocks of each stretch; only where what is below is resident."""
    found, start = memory
    put_chunks(found, 8 * PAGE, 64, 4096 - 64)
    put_chunks(found, 20 * PAGE, 48, 48)
    walk = walk_of(
        start,
        start + 40 * PAGE,
        (PAGE, 8 * PAGE),
        (9 * PAGE, 20 * PAGE),
        (20 * PAGE + 96, 25 * PAGE),
        (31 * PAGE, 39 * PAGE),
    )
    # What stands above the others is no chain of blocks, or what is below has been given back.
    low, high = gaps_of(walk)
    assert low == Gap(MAIN, PAGE, 7 * PAGE, start + 8 * PAGE + 64 + 16, start + 9 * PAGE + 8)
    assert high == Gap(MAIN, 96, 11 * PAGE, start + 20 * PAGE + 16, start + 20 * PAGE + 56)
    assert gaps_of(walk_of(start, start + 40 * PAGE)) == []
    assert gaps_of(walk, lambda: True) == []


def gap_at(one: object, free_below_bytes: int) -> Gap:
    """A gap of which the largest block is where an object is."""
    return Gap(MAIN, 100, free_below_bytes, id(one), id(one) + 32)


def test_owners_are_named_by_type() -> None:
    """Those whose blocks keep most in place first; blocks that no object has are native."""
    KEPT.extend([bytearray(10), bytearray(20)])
    native = Gap("thread heap 1", 7, 50, 0x5ABC_0000_0000, 0x5ABC_0000_0020)
    gaps = sorted(
        [gap_at(KEPT[0], 1000), gap_at(KEPT[1], 3000), native], key=lambda one: one.block_start
    )
    named, unnamed = find_pins(gaps, [], ["held-by-malloc"])
    assert (named.what, named.count, named.bytes, named.pinned_bytes) == ("bytearray", 2, 200, 4000)
    assert (named.heap, named.address) == (MAIN, id(KEPT[1]))
    assert named.chain == f"{__name__}.KEPT (list) → [1] → bytearray {sys.getsizeof(KEPT[1])} B"
    assert (unnamed.what, unnamed.count, unnamed.chain) == (NATIVE, 1, None)
    assert unnamed.heap == "thread heap 1"


def test_a_block_may_hold_a_buffer() -> None:
    """The object itself lies elsewhere."""
    large = bytearray(10_000)
    KEPT.append(large)
    buffer = (ctypes.c_char * 10_000).from_buffer(large)
    start = ctypes.addressof(buffer)
    del buffer
    found = find_owners([(start, start + 10_000)], ())
    assert found.of_block[0] == (large, "bytearray")


def test_an_object_in_one_piece_has_no_buffer() -> None:
    """What it points to is another object; and two short numbers may look like an address."""
    code = compile("\n".join(f"a{number} = b" for number in range(300)), "large", "exec")
    KEPT.append(code)
    middle = id(code.co_consts) + (sys.getsizeof(code) - type(code).__basicsize__) // 2
    found = find_owners([(middle - 8, middle + 8)], ())
    assert "code" not in {name for _, name in found.of_block.values()}


def test_what_lives_in_nearly_empty_arenas_is_named() -> None:
    """By type; what is free there is shared out by their bytes. Fuller arenas pin nothing."""
    kept = [(number, 0.5 + number) for number in range(300)]
    KEPT.append(kept)
    pools = sorted({id(one) & -POOL_BYTES for one in kept})
    sparse, full = Arena(len(pools) * 512, pools), Arena(900_000, [0])
    found = find_pins([], [sparse, full], ["pinned-python"])
    by_type = {one.what: one for one in found}
    assert by_type["tuple"].count >= 300
    assert by_type["tuple"].heap == "nearly empty arenas"
    assert sum(one.pinned_bytes for one in found) <= (1 << 20) - sparse.live_bytes
    assert sum(one.pinned_bytes for one in found) > 0.5 * ((1 << 20) - sparse.live_bytes)


def test_where_nothing_is_pinned_nobody_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at all objects takes its time."""
    monkeypatch.setattr(pins, "find_owners", lambda *_: 1 / 0)
    assert find_pins([gap_at(KEPT, 5)], [Arena(1, [0])], ["mapped"]) == ()
    assert find_pins([], [Arena(900_000, [0])], ["pinned-python", "pinned-malloc"]) == ()


def test_a_look_for_owners_may_run_out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so; what it has not seen is not called native, which would be a guess."""
    monkeypatch.setattr(census, "_MOST_IN_ANY_CASE", 0)
    assert not find_owners([(1, 2)], (), lambda: True).is_whole
    KEPT.append(bytearray(10))
    (found,) = find_pins([gap_at(KEPT[0], 1000)], [], ["held-by-malloc"], lambda: True)
    assert found.what == "block (no time to find its owner)"


def test_what_lives_in_arenas_may_have_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it shares no blame, and the others are named all the same."""
    one = (1, 2)
    owned = Owned()
    owned.in_pools["tuple"].add(one, 0)
    monkeypatch.setattr(pins, "find_owners", lambda *_: owned)
    (found,) = find_pins([], [Arena(1, [id(one) & -POOL_BYTES])], ["pinned-python"])
    assert (found.what, found.pinned_bytes) == ("tuple", 0)


# -- the survey --


def now(*allocators: str, ranges: tuple[MappedRange, ...] = ()) -> Snapshot:
    """A process with these allocators."""
    found = tuple(AllocatorStatistics(name, 1, 2) for name in allocators)
    return Snapshot(0, 0, ranges=ranges, allocators=found)


def test_a_survey_of_this_process() -> None:
    """Its heaps are walked; where it has no arenas, none are looked for."""
    found = heap_survey.survey(now("malloc"))
    assert found.picture is not None
    assert found.picture.arenas is None
    assert isinstance(found.detail, Detail)
    assert heap_survey.pins(found, ["mapped"]) == ()


def test_where_there_is_nothing_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another malloc, and no arenas."""
    monkeypatch.setattr(heap_survey, "walk_heaps", lambda *_: None)
    assert heap_survey.survey(now()) == HeapSurvey()
    assert heap_survey.pins(HeapSurvey(), ["pinned-malloc"]) == ()


def test_arenas_are_seen_where_malloc_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """In what is mapped and resident, of nobody's making."""
    asked: list[object] = []
    arena = Arena(5, [0])
    monkeypatch.setattr(heap_survey, "walk_heaps", lambda *_: None)

    def find(ranges: Iterable[tuple[int, int]], _: object) -> list[Arena]:
        asked.extend(ranges)
        return [arena]

    monkeypatch.setattr(heap_survey, "find_arenas", find)
    ranges = (MappedRange(1, 2, "anonymous", 1), MappedRange(3, 4, "heap", 1))
    found = heap_survey.survey(now("python", ranges=ranges))
    assert asked == [(1, 2)]
    assert found.detail == Detail((), (arena,))
    assert found.picture == HeapPicture(
        reason="another malloc serves in the place of glibc's",
        arenas=found.picture.arenas,  # type: ignore[union-attr]
    )


def test_where_there_was_no_time_for_arenas(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture says that they are missing, however well the heaps agree."""
    monkeypatch.setattr(heap_survey, "find_arenas", lambda *_: None)
    picture = heap_survey.survey(now("python", "malloc")).picture
    assert picture is not None
    assert (picture.partial, picture.arenas) == (True, None)
    assert picture.reason == "there was no time to look at the arenas"


def test_what_cannot_be_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither arenas nor gaps, and no reason to fail."""

    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(heap_survey, "find_arenas", refuse)
    monkeypatch.setattr(heap_survey, "gaps_of", refuse)
    assert heap_survey.survey(now("python", "malloc")).detail == Detail((), ())
