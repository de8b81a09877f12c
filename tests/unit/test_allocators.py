"""What allocators say of themselves, on literal texts."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import sysconfig
import tracemalloc
from collections.abc import Iterator

import psutil
import pytest

from pytest_memreturn import _pools, _release_calls
from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn.allocators import _memstream, glibc, known_allocators, pymalloc
from pytest_memreturn.allocators._contract import Allocator
from pytest_memreturn.allocators._memstream import printed_by
from pytest_memreturn.allocators.glibc import Arenas, Glibc, parse_arenas
from pytest_memreturn.allocators.pymalloc import Pymalloc, parse_statistics
from pytest_memreturn.doctor import allocators as doctor_allocators
from pytest_memreturn.ratchet import surroundings

# The end of what CPython 3.13 prints; the counts by size class before it don't matter.
PYMALLOC = b"""\
class   size   num pools   blocks in use  avail blocks
-----   ----   ---------   -------------  ------------
    0     16           2            1521           523
   31    512           3              69            24

# arenas allocated total           =                    5
# arenas reclaimed                 =                    1
# arenas highwater mark            =                    5
# arenas allocated current         =                    4
4 arenas * 1048576 bytes/arena     =            4,194,304

# bytes in allocated blocks        =            3,473,824
# bytes in available blocks        =              276,864
23 unused pools * 16384 bytes      =              376,832
# bytes lost to pool headers       =               14,016
# bytes lost to quantization       =               19,424
# bytes lost to arena alignment    =               33,344
Total                              =            4,194,304
"""


def test_pymalloc_says_what_is_live_and_what_it_holds() -> None:
    """Blocks handed out against arenas, of which it keeps two whatever the program does."""
    assert parse_statistics(PYMALLOC) == AllocatorStatistics(
        "python",
        live_bytes=3_473_824,
        held_bytes=4 * 1_048_576,
        reserve_bytes=2 * 1_048_576,
        arenas=4,
        most_untouched_bytes=1_048_576 + 32 * 16_384,
        from_start=True,
    )


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="such a build has no pymalloc"
)
def test_pymalloc_falls_silent_behind_tracemalloc() -> None:
    """CPython prints no statistics then; that it has no arenas must not be believed."""
    allocator = Pymalloc()
    speaking = allocator.statistics()
    assert speaking is not None
    assert not speaking.is_silent
    tracemalloc.start()
    try:
        silent = allocator.statistics()
    finally:
        tracemalloc.stop()
    assert silent is not None
    assert silent.is_silent


def test_arenas_may_be_smaller() -> None:
    """Without huge arenas one is 256 KiB: the text says it."""
    text = PYMALLOC.replace(b"4 arenas * 1048576", b"12 arenas * 262144")
    found = parse_statistics(text)
    assert found is not None
    assert (found.held_bytes, found.reserve_bytes) == (12 * 262_144, 2 * 262_144)
    assert found.most_untouched_bytes == 262_144 + 32 * 16_384


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"mimalloc: nothing to say\n", id="another allocator"),
        pytest.param(PYMALLOC.replace(b"4 arenas *", b"0 arenas *"), id="no arena"),
        pytest.param(PYMALLOC.replace(b"arenas *", b"regions *"), id="other words for arenas"),
        pytest.param(PYMALLOC.replace(b"allocated blocks", b"blocks"), id="other words for blocks"),
    ],
)
def test_pymalloc_that_is_not_in_use_says_nothing(text: bytes) -> None:
    """Nothing is better than figures that mean something else."""
    assert parse_statistics(text) is None


# Shortened from glibc 2.36: the main arena, an arena with bins, one with fast bins, an empty one.
MALLOC_INFO = b"""\
<malloc version="1">
<heap nr="0">
<sizes>
  <size from="33" to="33" total="66" count="2"/>
  <unsorted from="8273" to="8273" total="8273" count="1"/>
</sizes>
<total type="fast" count="0" size="0"/>
<total type="rest" count="4" size="50008339"/>
<system type="current" size="60000000"/>
<system type="max" size="60000000"/>
<aspace type="total" size="60000000"/>
<aspace type="mprotect" size="60000000"/>
</heap>
<heap nr="1">
<sizes>
  <size from="145" to="145" total="290" count="2"/>
  <size from="1361" to="1393" total="2754" count="2"/>
  <unsorted from="17" to="40000" total="40017" count="3"/>
</sizes>
<total type="fast" count="0" size="0"/>
<total type="rest" count="8" size="1043061"/>
<system type="current" size="2048000"/>
<system type="max" size="2048000"/>
<aspace type="total" size="2048000"/>
<aspace type="mprotect" size="2048000"/>
<aspace type="subheaps" size="1"/>
</heap>
<heap nr="2">
<sizes>
  <size from="17" to="32" total="96" count="3"/>
  <size from="145" to="145" total="290" count="2"/>
</sizes>
<total type="fast" count="3" size="96"/>
<total type="rest" count="3" size="5290"/>
<system type="current" size="135168"/>
<system type="max" size="135168"/>
<aspace type="total" size="135168"/>
<aspace type="mprotect" size="135168"/>
<aspace type="subheaps" size="1"/>
</heap>
<heap nr="3">
<sizes>
</sizes>
<total type="fast" count="0" size="0"/>
<total type="rest" count="1" size="700"/>
<system type="current" size="135168"/>
<system type="max" size="135168"/>
<aspace type="total" size="135168"/>
<aspace type="mprotect" size="135168"/>
<aspace type="subheaps" size="1"/>
</heap>
<total type="fast" count="3" size="96"/>
<total type="rest" count="16" size="51057390"/>
<total type="mmap" count="3" size="610304"/>
<system type="current" size="62318336"/>
<system type="max" size="62318336"/>
<aspace type="total" size="62318336"/>
<aspace type="mprotect" size="62318336"/>
</malloc>
"""


def test_the_arenas_are_summed_up() -> None:
    """What all hold and have live, the part of threads, and their tops, which no bin lists."""
    assert parse_arenas(MALLOC_INFO) == Arenas(
        count=4,
        held_bytes=60_000_000 + 2_048_000 + 135_168 + 135_168,
        # Less the bit that the size of each free block has, but not that of the top.
        live_bytes=(60_000_000 - 50_008_339 + 3) + 1_269_189 + 7 + 2,
        own_mapping_bytes=610_304,
        thread_live_bytes=(2_048_000 - 1_043_061 + 7)
        + (135_168 - 5_290 + 2 - 96)
        + (135_168 - 700),
        thread_top_bytes=1_000_000 + 5_000 + 700,
        fast_bytes=96,
    )


def test_a_process_without_threads_has_the_main_arena_alone() -> None:
    """Nothing in it is a thread's."""
    text = MALLOC_INFO[: MALLOC_INFO.index(b'<heap nr="1">')]
    live_bytes = 60_000_000 - 50_008_336
    assert parse_arenas(text) == Arenas(count=1, held_bytes=60_000_000, live_bytes=live_bytes)


def test_sizes_without_a_bit_are_taken_as_they_are() -> None:
    """As from glibc 2.43 on, where each is the true one."""
    text = """<malloc version="1">
<heap nr="0">
<sizes>
  <size from="32" to="32" total="512" count="16"/>
</sizes>
<total type="rest" count="17" size="4096"/>
<system type="current" size="135168"/>
</heap>
</malloc>
"""
    assert parse_arenas(text.encode()).live_bytes == 135_168 - 4096
    with_bits = text.replace('from="32" to="32" total="512"', 'from="33" to="33" total="528"')
    with_bits = with_bits.replace('size="4096"', 'size="4112"')
    assert parse_arenas(with_bits.encode()) == parse_arenas(text.encode())


def test_a_malloc_without_fast_bins_has_arenas() -> None:
    """Glibc 2.43 has given them up, and says nothing of them."""
    fast = b'<total type="fast" count="0" size="0"/>\n'
    start = MALLOC_INFO.index(b'<heap nr="2">')
    end = MALLOC_INFO.index(b'<heap nr="3">')
    others = MALLOC_INFO[:start] + MALLOC_INFO[end:]
    assert parse_arenas(others.replace(fast, b"")) == parse_arenas(others)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has such statistics")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="another malloc may be in use")
def test_the_glibc_of_this_machine_is_understood() -> None:
    """It has a main arena, at the least, and room in it that is free."""
    found = Glibc().statistics()
    assert found is not None
    assert found.arenas
    assert found.free_bytes > 0


def test_an_arena_without_its_totals_is_left_out() -> None:
    """A text that is not as expected gives less, and never an error."""
    start = MALLOC_INFO.index(b'<heap nr="2">')
    text = MALLOC_INFO[:start] + MALLOC_INFO[start:].replace(b'type="rest', b'type="x', 1)
    found = parse_arenas(text)
    assert (found.count, found.thread_top_bytes) == (3, 1_000_000 + 700)


def test_an_arena_without_its_size_is_left_out() -> None:
    """The same."""
    start = MALLOC_INFO.index(b'<heap nr="3">')
    end = MALLOC_INFO.index(b"</heap>", start)
    heap = MALLOC_INFO[start:end].replace(b"<system ", b"<other ")
    assert parse_arenas(MALLOC_INFO[:start] + heap + MALLOC_INFO[end:]).count == 3


def test_bins_that_hold_more_than_is_free_take_nothing_away() -> None:
    """Another thread may have freed between two lines of the text."""
    text = MALLOC_INFO.replace(b'size="5290"', b'size="100"')
    assert parse_arenas(text).thread_top_bytes == 1_000_000 + 700


def test_arenas_with_more_room_than_they_hold_have_nothing_live() -> None:
    """For the same reason."""
    text = MALLOC_INFO.replace(b'size="1043061"', b'size="9043061"')
    found = parse_arenas(text)
    assert found.thread_live_bytes == (135_168 - 5_288 - 96) + (135_168 - 700)
    assert found.live_bytes == found.thread_live_bytes + 60_000_000 - 50_008_336


@pytest.mark.parametrize("text", [b"", b"<jemalloc/>"])
def test_a_text_of_something_else_has_no_arenas(text: bytes) -> None:
    """There is nothing to sum up."""
    assert parse_arenas(text) == Arenas()


@pytest.fixture
def _library_anew() -> Iterator[None]:
    """The C library is looked at anew in the test, and after it."""
    _memstream._library.cache_clear()
    yield
    _memstream._library.cache_clear()


@pytest.fixture
def information(monkeypatch: pytest.MonkeyPatch) -> None:
    """A glibc whose statistics are the texts above."""
    monkeypatch.setattr(glibc, "_malloc_info_function", lambda: lambda _stream: None)
    monkeypatch.setattr(glibc, "printed_by", lambda _function: MALLOC_INFO)


@pytest.mark.usefixtures("information")
def test_glibc_says_what_is_live_and_what_no_trim_returns() -> None:
    """Live blocks in heaps, live blocks of their own, and the tops of thread arenas."""
    assert Glibc().statistics() == AllocatorStatistics(
        "malloc",
        live_bytes=9_991_664 + 1_269_198,
        held_bytes=62_318_336,
        live_by_kind={"heap": 9_991_664, "arena": 1_269_198},
        own_mapping_live_bytes=610_304,
        thread_top_bytes=1_005_700,
        arenas=4,
        from_start=True,
    )


def test_a_release_trims_the_arenas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through psutil, where it can."""
    trims: list[str] = []
    monkeypatch.setattr(psutil, "heap_trim", lambda: trims.append("trim"), raising=False)
    Glibc().release()
    assert trims == ["trim"]
    monkeypatch.delattr(psutil, "heap_trim")
    Glibc().release()
    assert trims == ["trim"]


UNUSED = b"""\
<malloc version="1">
<heap nr="0">
<sizes>
</sizes>
<total type="fast" count="0" size="0"/>
<total type="rest" count="1" size="135168"/>
<system type="current" size="135168"/>
</heap>
<total type="mmap" count="0" size="0"/>
</malloc>
"""


@pytest.mark.usefixtures("information")
@pytest.mark.parametrize("text", [UNUSED, b"", None], ids=["nothing live", "no heap", "no text"])
def test_a_malloc_that_is_not_in_use_says_nothing(
    text: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another malloc loaded in its place, glibc's has handed out nothing at all."""
    monkeypatch.setattr(glibc, "printed_by", lambda _function: text)
    assert Glibc().statistics() is None


@pytest.mark.usefixtures("information")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'size="135168"', b'size="135167"'),
        (b'mmap" count="0" size="0"', b'mmap" count="1" size="1"'),
    ],
)
def test_a_malloc_with_one_block_is_in_use(
    old: bytes, new: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little it has handed out."""
    monkeypatch.setattr(glibc, "printed_by", lambda _function: UNUSED.replace(old, new, 1))
    assert Glibc().statistics() is not None


class Library:
    """A C library with these functions and no others."""

    def __init__(self, *names: str) -> None:
        for name in names:
            setattr(self, name, ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 0))


@pytest.mark.parametrize("library", [Library(), Library("malloc_info")])
def test_another_c_library_is_not_asked(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Musl and macOS have no such statistics."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    assert Glibc().statistics() is None


@pytest.mark.usefixtures("_library_anew")
def test_on_windows_no_c_library_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none under that name."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: pytest.fail("it was looked for"))
    assert Glibc().statistics() is None
    assert Pymalloc().statistics() is None


def test_a_psutil_without_heap_trims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is built without that where the C library lacks what it needs; statistics need none."""
    for name in ("heap_info", "heap_trim"):
        monkeypatch.delattr(psutil, name, raising=False)
    Glibc().release()
    assert (Glibc().statistics() is not None) == (platform.libc_ver()[0] == "glibc")


def test_pymalloc_s_text_is_what_the_interpreter_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is added to it."""
    monkeypatch.setattr(pymalloc, "printed_by", lambda _function: PYMALLOC)
    assert Pymalloc().statistics() == parse_statistics(PYMALLOC)
    monkeypatch.setattr(pymalloc, "printed_by", lambda _function: None)
    assert Pymalloc().statistics() is None


def test_an_interpreter_that_exports_no_statistics_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As other implementations of Python."""
    monkeypatch.setattr(ctypes, "pythonapi", Library())
    assert Pymalloc().statistics() is None


def test_a_free_threaded_build_says_why_it_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its object allocator is another, and exports nothing."""
    monkeypatch.setattr(pymalloc, "printed_by", lambda _function: PYMALLOC)
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 0}.get)
    assert Pymalloc().why_unavailable() is None
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 1}.get)
    assert "free-threaded" in (Pymalloc().why_unavailable() or "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, False),
        (b"", False),
        (PYMALLOC, False),
        (PYMALLOC.replace(b"4 arenas *", b"0 arenas *"), False),
        (PYMALLOC.replace(b"arenas *", b"regions *"), True),
        (PYMALLOC.replace(b"allocated blocks", b"blocks"), True),
    ],
)
def test_words_that_are_not_known_are_told(
    text: bytes | None, monkeypatch: pytest.MonkeyPatch, *, says: bool
) -> None:
    """Of a CPython that is newer than this plugin."""
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 0}.get)
    monkeypatch.setattr(pymalloc, "printed_by", lambda _function: text)
    assert ("words not known" in (Pymalloc().why_unavailable() or "")) is says


def test_without_statistics_there_is_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other implementations of Python have another allocator."""
    monkeypatch.setattr(ctypes, "pythonapi", Library())
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 0}.get)
    assert Pymalloc().why_unavailable() is None


def test_who_serves_malloc_is_known_wherever_it_matters() -> None:
    """To the ledger, the doctor and the ratchet, under the name of one that is asked."""
    mallocs = set(_pools._MALLOCS)
    assert mallocs == doctor_allocators._IN_PLACE_OF_MALLOC
    assert mallocs | {"python"} == set(surroundings._SERVING)
    assert mallocs < {one.name for one in known_allocators()}
    assert mallocs < {*_release_calls._CALLS}


def test_those_that_take_from_others_are_asked_first() -> None:
    """What they release must reach an allocator that has not been asked yet."""
    assert [one.name for one in known_allocators()] == [
        "torch",
        "cupy",
        "pyarrow",
        "python",
        "jemalloc",
        "tcmalloc",
        "mimalloc",
        "malloc",
    ]


def test_the_texts_of_this_process_are_understood() -> None:
    """Whatever C library and interpreter run this, their own text is read without surprise."""
    for allocator in known_allocators():
        found = allocator.statistics()
        if found is not None:
            assert found.name == allocator.name
            assert found.live_bytes >= 0
            assert found.held_bytes is None or found.held_bytes >= found.live_bytes
            assert not found.live_by_kind or sum(found.live_by_kind.values()) == found.live_bytes


class Scripted(Allocator):
    """An allocator that says what it was given to say."""

    name = "scripted"

    def __init__(self, says: AllocatorStatistics | None) -> None:
        self.says = says

    def statistics(self) -> AllocatorStatistics | None:
        """What it was given."""
        return self.says


def test_only_statistics_have_to_be_written() -> None:
    """There is nothing to release then, and nothing to explain."""
    allocator = Scripted(None)
    assert allocator.why_unavailable() is None
    allocator.release()
    assert allocator.statistics() is None


def test_the_text_of_this_process_s_malloc_is_had() -> None:
    """Where the C library is glibc, its details come as XML; elsewhere nobody asks for them."""
    is_glibc = platform.libc_ver()[0] == "glibc"
    function = glibc._malloc_info_function()
    assert (function is not None) == is_glibc
    if function is not None:
        assert (printed_by(function) or b"").startswith(b'<malloc version="1">')


def test_what_a_function_prints_is_caught() -> None:
    """All of it, without a file, and nothing of an earlier time."""
    libc = ctypes.CDLL(None)

    def twice(stream: ctypes.c_void_p) -> object:
        libc.fputs(b"memory " * 5000, stream)
        return libc.fputs(b"returned", stream)

    assert printed_by(twice) == b"memory " * 5000 + b"returned"
    assert printed_by(lambda _stream: None) == b""


def test_a_function_that_raises_leaves_nothing_behind() -> None:
    """The stream is closed, and the error is passed on."""

    def raising(_stream: ctypes.c_void_p) -> object:
        raise KeyError

    with pytest.raises(KeyError):
        printed_by(raising)


@pytest.mark.usefixtures("_library_anew")
def test_without_posix_streams_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no memory streams."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Library())
    assert printed_by(lambda _stream: None) is None


@pytest.mark.usefixtures("_library_anew")
def test_without_memory_for_a_stream_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a stream may fail like any allocation."""
    library = Library("open_memstream", "fclose", "free")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    assert printed_by(lambda _stream: pytest.fail("there is no stream")) is None
