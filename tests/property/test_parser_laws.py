"""Laws of everything that reads text from outside: whole, damaged, of any origin."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._outside import Segment
from pytest_memreturn._sizes import parse_size
from pytest_memreturn._snapshot import Snapshot
from pytest_memreturn._values import parse_seconds, parse_share
from pytest_memreturn.allocators.glibc import parse_arenas
from pytest_memreturn.allocators.pymalloc import parse_statistics
from pytest_memreturn.probes import _ownership, children, environment, linux, motion
from pytest_memreturn.probes._smaps import PrivateMapping, SmapsText
from pytest_memreturn.probes.children import KnownChildren, LinuxChildren
from pytest_memreturn.probes.linux import LinuxProbe
from pytest_memreturn.probes.segments import KnownSegments, LinuxSegments
from pytest_memreturn.report.files import parse_target

SAMPLES = Path(__file__).parents[1] / "samples"
KIB = 1024

# What may stand where a number should: too large for any counter, and for `int` itself; signed;
# with a point, a sign of grouping, or digits of another script; nothing.
STRANGE = [
    b"9" * 25,
    b"9" * 5000,
    b"-4",
    b"0x1f",
    b"1.5",
    b"1_000",
    b"1,0",
    b"\xd9\xa3",
    b"",
    b" ",
]
UNKNOWN = [b"Future:             12 kB", b"Future:\t0x1f", b"Pss_Future:   0 kB", b"Flags: a b"]
NEW_LINES = [line + b"\n" for line in UNKNOWN]


@cache
def samples(kind: str) -> dict[str, bytes]:
    """The texts of one kind by their names, and one that is empty."""
    found = {path.stem: path.read_bytes() for path in sorted((SAMPLES / kind).glob("*.txt"))}
    assert found, f"no sample of {kind}"
    return {**found, "empty": b""}


def some_line(draw: st.DrawFn, lines: list[bytes]) -> int:
    """The number of one of the lines, or of the one that could follow."""
    return draw(st.integers(0, len(lines)))


def cut(draw: st.DrawFn, text: bytes, _kind: str) -> bytes:
    """End anywhere."""
    return text[: draw(st.integers(0, len(text)))]


def lose_lines(draw: st.DrawFn, text: bytes, _kind: str) -> bytes:
    """Leave out some that follow each other."""
    lines = text.splitlines(keepends=True)
    start = some_line(draw, lines)
    return b"".join(lines[:start] + lines[start + draw(st.integers(1, 30)) :])


def double_line(draw: st.DrawFn, text: bytes, _kind: str) -> bytes:
    """Say something twice, the second time anywhere."""
    lines = text.splitlines(keepends=True)
    twice = some_line(draw, lines)
    elsewhere = some_line(draw, lines)
    return b"".join(lines[:elsewhere] + lines[twice : twice + 1] + lines[elsewhere:])


def mix_lines(draw: st.DrawFn, text: bytes, _kind: str) -> bytes:
    """Every line at another place."""
    lines = text.splitlines(keepends=True)
    draw(st.randoms(use_true_random=False)).shuffle(lines)
    return b"".join(lines)


def insert_unknown(draw: st.DrawFn, text: bytes, _kind: str) -> bytes:
    """A field of a kernel to come, anywhere."""
    lines = text.splitlines(keepends=True)
    lines.insert(some_line(draw, lines), draw(st.sampled_from(UNKNOWN)) + b"\n")
    return b"".join(lines)


def insert_bytes(draw: st.DrawFn, text: bytes, _kind: str) -> bytes:
    """Anything, anywhere, in place of a little."""
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(st.binary(max_size=9)) + text[start + draw(st.integers(0, 9)) :]


def strange_number(draw: st.DrawFn, text: bytes, _kind: str) -> bytes:
    """Something else where a number was."""
    numbers = list(re.finditer(rb"[0-9a-f]*\d[0-9a-f,]*", text))
    if not numbers:
        return text
    found = draw(st.sampled_from(numbers))
    return text[: found.start()] + draw(st.sampled_from(STRANGE)) + text[found.end() :]


def other_line_ends(_draw: st.DrawFn, text: bytes, _kind: str) -> bytes:
    """As files have them that went through another system."""
    return text.replace(b"\n", b"\r\n")


def splice(draw: st.DrawFn, text: bytes, kind: str) -> bytes:
    """The beginning of one text and the end of another."""
    other = draw(st.sampled_from([*samples(kind).values()]))
    return text[: draw(st.integers(0, len(text)))] + other[draw(st.integers(0, len(other))) :]


DAMAGES = [
    cut,
    lose_lines,
    double_line,
    mix_lines,
    insert_unknown,
    insert_bytes,
    strange_number,
    other_line_ends,
    splice,
]


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> bytes:
    """A sample to which something has happened; sometimes nothing."""
    text = draw(st.sampled_from([*samples(kind).values()]))
    for damage in draw(st.lists(st.sampled_from(DAMAGES), max_size=3)):
        text = damage(draw, text, kind)
    return text


def each(kind: str) -> pytest.MarkDecorator:
    """Every sample of a kind, but for the empty one."""
    found = {name: text for name, text in samples(kind).items() if text}
    return pytest.mark.parametrize("text", found.values(), ids=found)


# What a kind of sample has to say, for those that it is enough in.
NEEDED = {
    "smaps": ("Size", "Rss", "Anonymous"),
    "status": ("RssAnon", "VmRSS"),
    "rollup": ("Anonymous", "Rss"),
}


def lacks(kind: str, text: bytes) -> list[str]:
    """The needed fields that a text does not have."""
    return [name for name in NEEDED[kind] if f"\n{name}:".encode() not in text]


def refused(read: Callable[[], object], error: type[Exception]) -> str | None:
    """What is said where something cannot be read."""
    try:
        read()
    except error as refusal:
        return str(refusal)
    return None


def layout(text: bytes) -> tuple[Snapshot, list[PrivateMapping], int, int]:
    """All that is made of a layout."""
    smaps = SmapsText(text, len(text))
    return (
        smaps.snapshot(12 * KIB),
        list(smaps.private_mappings()),
        smaps.private_footprint_bytes(),
        smaps.lazy_free_bytes(),
    )


@given(damaged("smaps"))
def test_a_layout_is_read_or_refused(text: bytes) -> None:
    """What is read adds up, and nothing of it that the kernel counts is negative."""
    refusal = refused(lambda: layout(text), ReadingUnavailableError)
    if refusal is not None:
        assert re.fullmatch(r"/proc/self/smaps has no \w+ line on this kernel", refusal)
        return
    found, mappings, private_bytes, lazy_bytes = layout(text)
    assert sum(one.counted_bytes for one in found.kinds.values()) == (
        found.footprint_bytes - found.swap_bytes
    )
    assert min(found.rss_bytes, found.swap_bytes, lazy_bytes) >= 0
    assert min([one.size_bytes for one in found.kinds.values()]) >= 0
    assert all(one.start >= 0 and one.end >= 0 for one in mappings)
    assert all(one.start >= 0 and one.end >= 0 for one in found.ranges)
    assert isinstance(private_bytes, int)


def in_blocks(text: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """The text with the lines below each header changed; one without any is all one block."""
    lines = text.splitlines(keepends=True)
    starts = [
        number for number, line in enumerate(lines) if re.match(rb"[0-9a-f]+-[0-9a-f]+ ", line)
    ] or [0]
    blocks = [
        lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]
    return b"".join(line for head, *rest in blocks for line in (head, *change(rest)))


def reordered(text: bytes, seed: int) -> bytes:
    """The same fields in another order."""
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    return in_blocks(text, lambda lines: chance.sample(lines, len(lines)))


def with_unknown(text: bytes, seed: int) -> bytes:
    """The same fields, and between them some that nobody knows yet."""
    chance = random.Random(seed)  # noqa: S311
    return in_blocks(
        text,
        lambda lines: [
            line
            for known in lines
            for line in (known, *chance.sample(NEW_LINES, chance.choice([0, 0, 1])))
        ],
    )


def without(text: bytes, field: str) -> bytes:
    """The text without any line of a field."""
    return re.sub(rf"(?m)^{field}:.*\n".encode(), b"", text)


def fields_of(text: bytes) -> list[str]:
    """The names that lines begin with."""
    return sorted({name.decode() for name in re.findall(rb"(?m)^(\w+):", text)})


@each("smaps")
@given(seed=st.integers(0, 2**16))
def test_the_order_of_fields_is_no_matter_in_a_layout(text: bytes, seed: int) -> None:
    """Kernels have changed it, and others have their own."""
    if lacks("smaps", text):
        with pytest.raises(ReadingUnavailableError):
            layout(reordered(text, seed))
    else:
        assert layout(reordered(text, seed)) == layout(text)
        assert layout(with_unknown(text, seed)) == layout(text)


@each("smaps")
def test_a_layout_says_what_it_lacks(text: bytes) -> None:
    """What is needed is named; what is not is not missed."""
    for field in fields_of(text):
        missing = lacks("smaps", without(text, field))
        if missing:
            with pytest.raises(
                ReadingUnavailableError, match=f"^/proc/self/smaps has no {missing[0]} line"
            ):
                SmapsText(without(text, field), len(without(text, field))).snapshot(0)
        else:
            layout(without(text, field))


def test_samples_of_every_order_have_their_heaps() -> None:
    """A main heap and a piece of thread heap are found wherever the page sizes stand."""
    for name in ("linux-4.9-order", "gvisor"):
        *_, mappings, _, _ = layout(samples("smaps")[name])
        assert [(one.is_main_heap, one.hole_bytes // KIB) for one in mappings][:2] == [
            (True, 8192 - 6000),
            (False, 2048 - 512),
        ]


@contextmanager
def procfs(**files: bytes) -> Iterator[LinuxProbe]:
    """A probe of this process that reads these instead of the kernel's."""

    def read(path: str) -> bytes:
        try:
            return files[Path(path).name]
        except KeyError:
            raise FileNotFoundError(path) from None

    with mock.patch.object(linux, "read_small", read):
        yield LinuxProbe()


@given(damaged("status"), damaged("rollup"))
def test_counters_are_read_or_refused(status: bytes, rollup: bytes) -> None:
    """A refusal names the file and the line."""
    with procfs(status=status, smaps_rollup=rollup) as probe:
        for read in (probe.counters, probe.exact):
            refusal = refused(read, ReadingUnavailableError)
            if refusal is not None:
                names = r"/proc/self/(status|smaps_rollup) has no \w+ line on this kernel"
                assert re.fullmatch(names, refusal)
                continue
            assert min(read().rss_bytes, read().error_bytes) >= 0
            assert read == probe.exact or read().footprint_bytes >= 0


@each("status")
@given(seed=st.integers(0, 2**16))
def test_the_order_of_fields_is_no_matter_in_counters(text: bytes, seed: int) -> None:
    """Nor are fields that nobody knows."""
    if not lacks("status", text):
        rollup = samples("rollup")["linux-6.18"]
        found = []
        for change in (lambda text, _seed: text, reordered, with_unknown):
            with procfs(status=change(text, seed), smaps_rollup=change(rollup, seed)) as probe:
                found.append((probe.counters(), probe.exact()))
        assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(("kind", "file"), [("status", "status"), ("rollup", "smaps_rollup")])
def test_counters_say_what_they_lack(kind: str, file: str) -> None:
    """What is needed is named with its file; what is not is not missed."""
    whole = {"status": samples("status")["linux-6.18"], "smaps_rollup": b""}
    for text in samples(kind).values():
        for field in fields_of(text):
            files = {**whole, file: without(text, field)}
            missing = lacks(kind, files[file])
            with procfs(**files) as probe, ExitStack() as expected:
                if missing:
                    names = rf"^/proc/self/{file} has no ({'|'.join(missing)}) line"
                    expected.enter_context(pytest.raises(ReadingUnavailableError, match=names))
                _ = probe.counters() if kind == "status" else probe.exact()


@given(damaged("pymalloc"))
def test_statistics_of_pymalloc_are_whole_or_none(text: bytes) -> None:
    """Arenas of some size, and what is handed out from them."""
    found = parse_statistics(text)
    if found is not None:
        assert found.held_bytes is not None
        assert found.arenas is not None
        assert found.held_bytes % found.arenas == 0
        assert min(found.held_bytes, found.arenas, found.reserve_bytes) > 0
        assert found.live_bytes >= 0


@each("pymalloc")
def test_every_python_says_what_pymalloc_has(text: bytes) -> None:
    """Live blocks fit into arenas, and the summary says the same as the arenas."""
    found = parse_statistics(text)
    assert found is not None
    assert found.held_bytes is not None
    assert 0 < found.live_bytes < found.held_bytes
    [total, *_] = re.findall(rb"(?m)^Total += +([\d,]+)$", text)
    assert found.held_bytes == int(total.replace(b",", b""))


@given(damaged("malloc-info"))
def test_arenas_of_malloc_have_no_negative_part(text: bytes) -> None:
    """However their text is mangled."""
    found = parse_arenas(text)
    assert min(found.count, found.held_bytes) >= 0
    assert min(found.thread_live_bytes, found.thread_top_bytes) >= 0
    assert found.thread_live_bytes <= found.held_bytes


class Folder:
    """A folder of this process's own, to write what is to be read."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def write(self, **files: bytes) -> None:
        """One file each; two underscores are a slash."""
        for name, text in files.items():
            path = self.path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)


@pytest.fixture(scope="module")
def folder() -> Iterator[Folder]:
    """One for all examples: they write the same files."""
    with tempfile.TemporaryDirectory() as path:
        yield Folder(path)


CHILD = {"stat": "stat", "statm": "statm", "smaps_rollup": "rollup", "smaps": "smaps"}


@given(
    st.fixed_dictionaries({name: damaged(kind) for name, kind in CHILD.items()}),
    st.sampled_from([b"7 ", b"7 ", b"7 ", b"", b"7 x ", b"-7 ", b"7 \xff", b"7 " + b"9" * 5000]),
    st.binary(max_size=300),
)
def test_a_child_is_read_or_no_answer(
    folder: Folder, files: dict[str, bytes], listed: bytes, command: bytes
) -> None:
    """Whatever its files and its parent's list hold."""
    proc = folder.path / "children"
    folder.write(
        children__7__cmdline=command,
        **{f"children__7__{name}": text for name, text in files.items()},
        **{"children__self__task__1__children": listed, "children__thread-self__children": b""},
    )
    probe = LinuxChildren(str(proc), lambda: True)
    assert probe.pids() <= {7, *map(int, re.findall(rb"-?\d{1,9}", listed))}
    try:
        found = probe.new_since(KnownChildren(frozenset(), 0))
    except ReadingUnavailableError:
        return
    for child in found:
        assert child.pid == 7
        assert isinstance(child.footprint_bytes, int)
        assert len(child.command) <= 200


@each("rollup")
@given(seed=st.integers(0, 2**16))
def test_the_order_of_fields_is_no_matter_in_a_child(
    folder: Folder, text: bytes, seed: int
) -> None:
    """Nor are fields that nobody knows."""
    path = folder.path / "ordered"
    folder.write(
        ordered__statm=b"9 5 2 0 0 0 0\n", ordered__smaps=samples("smaps")["linux-4.9-order"]
    )
    found = set()
    for change in (lambda text, _seed: text, reordered, with_unknown):
        folder.write(ordered__smaps_rollup=change(text, seed))
        found.add(children._footprint_bytes(str(path)))
    assert len(found) == 1
    assert min(found) >= 0


@given(damaged("sysvipc-shm"), damaged("smaps"), st.binary(max_size=200))
def test_segments_are_read_or_refused(
    folder: Folder, table: bytes, smaps: bytes, users: bytes
) -> None:
    """Those that are read occupy something, and have an owner."""
    folder.write(segments__sysvipc__shm=table, segments__self__smaps=smaps, users=users)
    (folder.path / "segments" / "self" / "fd").mkdir(exist_ok=True)
    probe = LinuxSegments(str(folder.path / "segments"), str(folder.path / "none"))
    with (
        mock.patch.object(_ownership, "_EFFECTIVE_UID", int),
        mock.patch.object(_ownership, "_USERS", str(folder.path / "users")),
    ):
        found: list[Segment] = []
        refusal = refused(
            lambda: found.extend(probe.new_since(KnownSegments())), ReadingUnavailableError
        )
    assert refusal in {None, "cannot make sense of /proc/sysvipc/shm"}
    for one in found:
        assert one.size_bytes > 0
        assert one.owner is not None


@each("sysvipc-shm")
def test_a_segment_of_the_table_is_found(folder: Folder, text: bytes) -> None:
    """With the memory that it has."""
    folder.write(table__sysvipc__shm=text)
    (folder.path / "table" / "self" / "fd").mkdir(parents=True, exist_ok=True)
    probe = LinuxSegments(str(folder.path / "table"), str(folder.path / "none"))
    with mock.patch.object(_ownership, "_EFFECTIVE_UID", int):
        assert [one.size_bytes for one in probe.new_since(KnownSegments())] == [1024 * KIB]


@given(st.one_of(damaged("huge-pages"), st.binary(max_size=40)))
def test_the_setting_for_huge_pages_is_a_word_or_unknown(folder: Folder, text: bytes) -> None:
    """Of whatever the kernel's file has."""
    folder.write(huge=text)
    with mock.patch.object(environment, "_HUGE_PAGES", folder.path / "huge"):
        found = environment._huge_pages()
    assert found is None or found


@given(
    st.one_of(st.sampled_from([b"jemalloc_bg_thd\n", b"jemalloc_bg_thd"]), st.binary(max_size=16)),
    damaged("syscall"),
)
def test_a_thread_may_purge_or_not(folder: Folder, name: bytes, call: bytes) -> None:
    """A name alone is no purger; and one who does not tell may be at work."""
    folder.write(task__comm=name, task__syscall=call)
    will_purge = motion.will_purge(str(folder.path / "task"))
    assert will_purge in {True, False}
    if not name.startswith(b"jemalloc_bg_thd"):
        assert not will_purge


@pytest.mark.parametrize("parse", [parse_size, parse_share, parse_seconds, parse_target])
@given(text=st.one_of(st.text(), st.text("0123456789. %sMiKBx:/-+e_jon", max_size=30)))
@example(text="9" * 5000)
@example(text="٣ MiB")
@example(text="1e400")
def test_a_setting_is_taken_or_refused_by_name(parse: Callable[[str], object], text: str) -> None:
    """The refusal begins with what was given."""
    refusal = refused(lambda: parse(text), ValueError)
    assert refusal is None or refusal.startswith(repr(text))
