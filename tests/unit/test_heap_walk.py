"""The walk through malloc's heaps, and how it is proved."""

from __future__ import annotations

import platform
import sys

import pytest

from pytest_memreturn._sizes import MIB
from pytest_memreturn.allocators.glibc import Arenas, Glibc
from pytest_memreturn.explain import heap_walk
from pytest_memreturn.explain.chunks import Chunks, NotAHeapError
from pytest_memreturn.explain.heap_walk import HeapWalk, walk_heaps
from pytest_memreturn.probes.malloc_heaps import MAIN, MallocHeap
from pytest_memreturn.probes.mapped_words import MappedWords

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="it reads procfs")
glibc_only = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="it is about glibc's malloc"
)

pytestmark = linux_only

HEAP = MallocHeap("thread heap 1", 0, 100 * MIB, (32, 48))


@glibc_only
def test_this_process_is_walked() -> None:
    """All of its heaps, and malloc agrees."""
    found = walk_heaps()
    assert found is not None
    assert (found.proven, found.partial, found.reason) == (True, False, None)
    assert found.heaps[0].heap.name == MAIN
    assert found.live_bytes == sum(one.live_bytes for one in found.heaps) > 0


class Scene:
    """A malloc of one heap, as these tests want it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[Arenas | None] = [Arenas(live_bytes=40 * MIB)]
        self.unreadable: OSError | None = None
        # What stands where a chunk may begin: no chain, or where one ends.
        self.chains: dict[int, list[Chunks]] = {}
        monkeypatch.setattr(Glibc, "read_arenas", lambda _: self._tell())
        monkeypatch.setattr(heap_walk, "malloc_heaps", self._malloc_heaps)
        monkeypatch.setattr(heap_walk, "walk_chunks", self._walk_chunks)

    def _tell(self) -> Arenas | None:
        return self.told.pop(0) if len(self.told) > 1 else self.told[0]

    def _malloc_heaps(self) -> tuple[MallocHeap, ...]:
        if self.unreadable is not None:
            raise self.unreadable
        return (HEAP,)

    def _walk_chunks(self, _memory: object, first: int, *_: object) -> Chunks:
        chains = self.chains.get(first)
        if not chains:
            raise NotAHeapError
        return chains.pop(0) if len(chains) > 1 else chains[0]

    def walk(self, *, is_late: bool = True) -> HeapWalk:
        """What comes of it."""
        found = walk_heaps(is_late=lambda: is_late)
        assert found is not None
        return found


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Where nothing has been set yet."""
    return Scene(monkeypatch)


def chunks(live_bytes: int, *, end: int = HEAP.end, is_whole: bool = True) -> Chunks:
    """A chain from the second place where one may begin."""
    none = MappedWords(0)
    return Chunks(48, end, none, none, live_bytes=live_bytes - 48, is_whole=is_whole)


def test_the_first_chunk_is_where_a_chain_leads_to_the_end(scene: Scene) -> None:
    """What lies before it counts as live: malloc counts it so."""
    scene.chains = {32: [chunks(MIB, end=77)], 48: [chunks(40 * MIB)]}
    found = scene.walk()
    assert (found.proven, found.reason, found.live_bytes) == (True, None, 40 * MIB)


def test_a_heap_may_have_grown_meanwhile(scene: Scene) -> None:
    """By whole pages, and not by much."""
    scene.chains = {48: [chunks(40 * MIB, end=HEAP.end + 4096)]}
    assert scene.walk().proven
    scene.chains = {48: [chunks(40 * MIB, end=HEAP.end + 5 * MIB)]}
    assert not scene.walk().proven


def test_a_chain_that_broke_is_walked_again(scene: Scene) -> None:
    """A thread that allocates meanwhile breaks it, and mostly not twice."""
    scene.chains = {48: [chunks(MIB, end=5), chunks(40 * MIB)]}
    assert scene.walk().proven


def test_a_chain_that_stays_broken_is_inconclusive(scene: Scene) -> None:
    """And says which heap it was."""
    scene.chains = {48: [chunks(40 * MIB, end=5)]}
    found = scene.walk()
    assert (found.proven, found.partial, found.heaps) == (False, False, ())
    assert found.reason == "the blocks of the thread heap 1 make no chain"


@pytest.mark.parametrize(
    ("live_bytes", "told", "proven"),
    [
        pytest.param(40 * MIB, [Arenas(live_bytes=40 * MIB)] * 2, True, id="as told"),
        pytest.param(40 * MIB, [Arenas(live_bytes=39_800_000 * 1)] * 2, False, id="too many"),
        pytest.param(
            40 * MIB, [Arenas(live_bytes=39 * MIB, fast_bytes=MIB)], True, id="some kept at hand"
        ),
        pytest.param(
            40 * MIB, [Arenas(live_bytes=40 * MIB), Arenas(live_bytes=41 * MIB)], False, id="grown"
        ),
        pytest.param(100_000, [Arenas(live_bytes=60_000)] * 2, True, id="next to nothing"),
        pytest.param(40 * MIB, [Arenas(live_bytes=40 * MIB), None], True, id="silent afterwards"),
    ],
)
def test_malloc_itself_is_the_proof(
    scene: Scene, live_bytes: int, told: list[Arenas | None], *, proven: bool
) -> None:
    """Its figures before and after, within a hundredth."""
    scene.told = list(told)
    scene.chains = {48: [chunks(live_bytes)]}
    found = scene.walk()
    assert found.proven == proven
    assert proven or "live, where malloc says" in (found.reason or "")


def test_a_walk_that_ran_out_of_time_is_partial(scene: Scene) -> None:
    """What was seen is there, unproven."""
    scene.chains = {48: [chunks(10 * MIB, end=11 * MIB, is_whole=False)]}
    found = scene.walk()
    assert (found.proven, found.partial, len(found.heaps)) == (False, True, 1)
    assert found.reason == "there was no time to look at all of it"


def test_what_is_not_proven_is_walked_again_while_there_is_time(scene: Scene) -> None:
    """A thread that ends is still giving back its blocks, and then is not."""
    broken, whole = chunks(MIB, end=5), chunks(40 * MIB)
    scene.chains = {48: [broken, broken, broken, whole]}
    assert scene.walk(is_late=False).proven
    scene.chains = {48: [broken, broken, broken, whole]}
    assert not scene.walk().proven


def test_a_second_walk_that_tells_less_is_forgotten(scene: Scene) -> None:
    """Where there was no time for the whole of it, or where malloc fell silent."""
    scene.chains = {48: [chunks(30 * MIB), chunks(MIB, end=5, is_whole=False)]}
    found = scene.walk(is_late=False)
    assert (found.proven, found.partial, found.live_bytes) == (False, False, 30 * MIB)
    scene.told = [Arenas(live_bytes=40 * MIB), Arenas(live_bytes=40 * MIB), None]
    scene.chains = {48: [chunks(30 * MIB)]}
    assert scene.walk(is_late=False).live_bytes == 30 * MIB


def test_a_heap_that_goes_meanwhile_makes_no_chain(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are walked all the same."""

    def ask_for_the_end(_memory: object, _first: int, _end: int, _over: object, now: object) -> int:
        assert callable(now)
        found: int = now()
        return found

    def gone(_: object) -> int:
        raise OSError

    monkeypatch.setattr(heap_walk, "walk_chunks", ask_for_the_end)
    monkeypatch.setattr(heap_walk, "end_of", gone)
    assert scene.walk().reason == "the blocks of the thread heap 1 make no chain"


def test_where_memory_cannot_be_read_nothing_is_proven(scene: Scene) -> None:
    """The reason is the kernel's."""
    scene.unreadable = PermissionError(13, "Permission denied")
    found = scene.walk()
    assert (found.proven, found.heaps) == (False, ())
    assert found.reason == "its memory cannot be read: Permission denied"


def test_another_malloc_is_not_walked(scene: Scene) -> None:
    """Its heaps are none of glibc's."""
    scene.told = [None]
    assert walk_heaps() is None
