"""What keeps objects alive, in words."""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from pytest_memreturn.explain import chains, roots
from pytest_memreturn.explain.chain_words import in_words
from pytest_memreturn.explain.chains import ChainFinder
from pytest_memreturn.explain.kinds import Kinds
from pytest_memreturn.explain.roots import Roots, class_in_words

HERE = __name__
SIZE = "12.0 KiB"
BYTES = 12 * 1024 - sys.getsizeof(b"")


def fresh() -> bytes:
    """An object that gc does not track."""
    return bytes(BYTES)


RESULTS: list[Any] = [{"id": number} for number in range(20)]
VIEWS: list[Any] = []
ERRORS: list[Exception] = []


class HostileName(str):
    """A text that must not be asked anything."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    def __format__(self, how: str) -> str:
        raise AssertionError

    __hash__ = str.__hash__


class Parser:
    """With something that its class holds."""

    cache: ClassVar[dict[str, bytes]] = {}

    class Inner:
        """A class in a class."""


class Store:
    """With something that an instance holds."""

    def __init__(self) -> None:
        self.items: list[bytes] = []


STORE = Store()
CLOSURES: list[Callable[[], object]] = []


@functools.lru_cache
def load(number: int) -> bytes:
    """Something that is computed once."""
    return bytes(BYTES) if number else b""


def make() -> Callable[[], object]:
    """A function that has closed over something."""
    kept = fresh()
    return lambda: kept


def parse() -> None:
    """Fails while it has a buffer."""
    buffer = fresh()
    raise ValueError(len(buffer))


def chain_of(get: Callable[[], object]) -> str | None:
    """What keeps an object alive; asked for here, since a caller would hold it as well."""
    [found] = ChainFinder().chains_to([get()])
    return found


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    for one in (VIEWS, ERRORS, CLOSURES, STORE.items, Parser.cache):
        one.clear()
    RESULTS[17].pop("body", None)
    load.cache_clear()


def test_a_global() -> None:
    """Through what gc tracks and what it does not."""
    RESULTS[17]["body"] = fresh()
    gc.collect()
    expected = f"{HERE}.RESULTS (list) → [17] → dict['body'] → bytes {SIZE}"
    assert chain_of(lambda: RESULTS[17]["body"]) == expected
    assert chain_of(lambda: RESULTS) == f"{HERE}.RESULTS (list {sys.getsizeof(RESULTS)} B)"


def test_untracked_tuples_in_one_another() -> None:
    """As deep as they are."""
    VIEWS.append((1, (2, (3, fresh()))))
    gc.collect()
    gc.collect()
    gc.collect()
    assert chain_of(lambda: VIEWS[0][1][1][1]) == (
        f"{HERE}.VIEWS (list) → [0] → tuple[1] → tuple[1] → tuple[1] → bytes {SIZE}"
    )


def test_a_class_attribute() -> None:
    """A class is as good a place to have a name in as a module is."""
    Parser.cache["k"] = fresh()
    assert (
        chain_of(lambda: Parser.cache["k"]) == f"{HERE}.Parser.cache (dict) → ['k'] → bytes {SIZE}"
    )


def test_an_instance() -> None:
    """By the name of its attribute."""
    STORE.items.append(fresh())
    expected = f"{HERE}.STORE ({HERE}.Store) → .items → list[0] → bytes {SIZE}"
    assert chain_of(lambda: STORE.items[0]) == expected


def test_a_cache() -> None:
    """By the function that it belongs to."""
    load(1)
    found = chain_of(lambda: load(1))
    assert found is not None
    assert found.startswith(f"{HERE}.load (functools._lru_cache_wrapper) → ")
    assert found.endswith(f"bytes {SIZE}")


def test_a_closure() -> None:
    """By the function, and the variable."""
    CLOSURES.append(make())

    def cell() -> Any:  # noqa: ANN401 - typeshed has no closure for any callable
        return CLOSURES[0].__closure__[0]  # type: ignore[index]

    assert chain_of(lambda: cell().cell_contents) == (
        f"{HERE}.CLOSURES (list) → [0] → make.<locals>.<lambda>() closure of 'kept' → bytes {SIZE}"
    )
    assert "closure" in (chain_of(lambda: cell) or "")


def test_a_kept_exception() -> None:
    """Whose traceback holds the frame of the function that failed."""
    with pytest.raises(ValueError, match="12") as caught:
        parse()
    ERRORS.append(caught.value)
    del caught

    def buffer() -> bytes:
        frame = ERRORS[0].__traceback__.tb_next.tb_frame  # type: ignore[union-attr]
        return next(one for one in gc.get_referents(frame) if isinstance(one, bytes))

    assert chain_of(buffer) == (
        f"{HERE}.ERRORS (list) → [0] → ValueError.__traceback__ → "
        f"frame of parse() local 'buffer' → bytes {SIZE}"
    )


def test_the_variable_of_a_thread() -> None:
    """By the name of the thread, and the function."""
    address: list[int] = []
    took, may_end = threading.Event(), threading.Event()

    def work() -> None:
        data = fresh()
        address.append(id(data))
        took.set()
        may_end.wait()

    thread = threading.Thread(target=work, name="worker-1")
    thread.start()
    took.wait()
    try:
        data = ctypes.cast(address[0], ctypes.py_object).value
        found = chain_of(lambda: data)
    finally:
        may_end.set()
        thread.join()
    function = f"{HERE}.test_the_variable_of_a_thread.<locals>.work()"
    assert found == f"thread 'worker-1': {function} local 'data' (bytes {SIZE})"


def test_the_base_of_a_view() -> None:
    """An array says nothing to gc of the array whose memory it shows."""
    VIEWS.append(np.zeros(10_000)[5:10])
    found = chain_of(lambda: VIEWS[0].base)
    assert found is not None
    assert found.startswith(f"{HERE}.VIEWS (list) → [0] → numpy.ndarray → numpy.ndarray 78.")


def test_what_only_c_code_keeps() -> None:
    """No Python object refers to it."""
    kept = [fresh()]
    targets: list[object] = [kept[0]]
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept[0]))
    kept.clear()
    try:
        assert list(ChainFinder().chains_to(targets)) == [f"C code (bytes {SIZE})"]
    finally:
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(targets[0]))


def test_a_fixture(request: pytest.FixtureRequest) -> None:
    """As long as pytest keeps its value."""
    definition = request._arg2fixturedefs["_clean"][0]
    kept = fresh()
    definition.cached_result = (kept, 0, None)
    targets: list[object] = [kept]
    del kept
    try:
        [found] = ChainFinder().chains_to(targets)
    finally:
        definition.cached_result = (None, 0, None)
    assert found is not None
    assert found.startswith("fixture '_clean' (")
    assert found.endswith(f"[0] → bytes {SIZE}")


def test_what_the_c_code_of_a_module_keeps() -> None:
    """Not in its namespace."""
    found = Roots().holding(sys, 1)
    assert found == ("C code of sys", 1)


def test_a_chain_may_be_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or there may be no time to find it."""
    monkeypatch.setattr(chains, "_MOST_STEPS", 2)
    RESULTS[17]["body"] = fresh()
    assert chain_of(lambda: RESULTS[17]["body"]) is None
    monkeypatch.undo()
    targets: list[object] = [RESULTS[17]["body"]]
    assert list(ChainFinder(lambda: True).chains_to(targets)) == [None]


def test_where_time_runs_out_nobody_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not looked at might hold it: that no other object does is nothing to say then."""
    is_over = False

    def find_none(*_: object) -> None:
        nonlocal is_over
        is_over = True

    monkeypatch.setattr(chains._Search, "step", find_none)
    monkeypatch.setattr(Roots, "on_stack", find_none)
    targets: list[object] = [[fresh()]]
    assert list(ChainFinder(lambda: is_over).chains_to(targets)) == [None]


def test_a_step_may_run_out_of_time() -> None:
    """It looks for twenty at once, and asks before the next ones."""
    kept = [[one] for one in range(21)]
    search = chains._Search(kept[0], Kinds(), set())
    holders = [[one] for one in kept]
    search.level[:] = kept
    assert search.step(Roots(), lambda: True) is None
    found = {id(one) for one in search._found}
    assert id(holders[0]) in found
    assert id(holders[20]) not in found


def test_threads_are_called_as_they_call_themselves() -> None:
    """Whatever their class makes of its names."""

    class Hostile(threading.Thread):
        @property
        def ident(self) -> int:
            raise AssertionError

    began, may_end = threading.Event(), threading.Event()

    def work(data: object) -> None:
        began.set()
        may_end.wait()
        assert data is not None

    thread = Hostile(target=work, args=(fresh(),), name="worker-2")
    # What waits for a thread to begin may ask it, but not what names it here.
    threading.Thread.start(thread)
    began.wait()
    try:
        names = [name for name, frame, _ in Roots()._variables if frame.f_code is work.__code__]
        assert names == ["worker-2"]
    finally:
        may_end.set()
        thread.join()


def test_a_search_that_fails_gives_no_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """And those of the others all the same."""
    RESULTS[17]["body"] = fresh()
    found = ChainFinder().chains_to([RESULTS, STORE])
    with monkeypatch.context() as patched:
        patched.setattr(chains, "in_words", lambda *_: 1 / 0)
        assert next(found) is None
    assert (next(found) or "").startswith(f"{HERE}.STORE")


def test_nothing_is_kept_of_what_was_looked_for() -> None:
    """Neither by the finder nor by its search."""
    finder = ChainFinder()
    target: list[object] = [Store()]
    list(finder.chains_to(target))
    gc.collect()
    assert gc.get_referrers(target[0]) == [target]


def test_a_holder_may_have_let_go() -> None:
    """While it was looked at; what it held was one of those that were looked for."""
    first, second = object(), object()
    assert chains._held_by([second], (first, second)) is second
    assert chains._held_by([], (first, second)) is first


def test_no_module_is_asked_what_it_refers_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """To touch the free list of _asyncio makes a ring of it on 3.12: the next walk never ends."""
    ask = gc.get_referents

    def asked(*objects: object) -> list[Any]:
        # By their types: objects of other tests refuse to be asked for their class.
        assert not [one for one in objects if issubclass(type(one), ModuleType)]
        return ask(*objects)

    # Of a type of its own, and not in `sys.modules`: as a module that a test took away again.
    unlisted = type("Unlisted", (ModuleType,), {})("unlisted")
    assert type(unlisted) is not ModuleType
    monkeypatch.setattr(gc, "get_referents", asked)
    VIEWS.append((1, fresh()))
    gc.collect()
    gc.collect()
    assert chain_of(lambda: VIEWS[0][1]) == f"{HERE}.VIEWS (list) → [0] → tuple[1] → bytes {SIZE}"
    module = ModuleType("holder")
    module.held = first = object()  # type: ignore[attr-defined]
    names = vars(module)
    assert chains._held_by(module, (object(), names)) is names
    assert chains._held_by(module, (first, object())) is first
    assert chains._held_by(ModuleType("other"), (first, object())) is first


def test_many_that_hold_one() -> None:
    """More than are looked for at once; the way to a name is found among them."""
    kept = fresh()
    VIEWS.extend([[kept] for _ in range(90)])
    targets: list[object] = [kept]
    del kept
    [found] = ChainFinder().chains_to(targets)
    assert found is not None
    assert found.startswith(f"{HERE}.VIEWS (list) → [")


def test_a_long_chain_is_cut_in_the_middle() -> None:
    """Its ends tell most."""
    objects: list[Any] = [[]]
    for _ in range(12):
        objects.insert(0, [objects[0]])
    words = in_words("app.X", objects, Kinds())
    assert words == (
        "app.X (list) → [0] → list[0] → list[0] → list[0] → … 4 more … → "
        "list[0] → list[0] → list[0] → list[0] → list 56 B"
    )


def test_other_things_in_a_chain() -> None:
    """Classes, generators, what is not asked for its size."""

    class Lies:
        def __sizeof__(self) -> int:
            raise AssertionError

    def generator() -> Iterator[object]:
        yield 1

    waiting = generator()
    kinds = Kinds()
    assert in_words("C code", [Lies], kinds).startswith(
        "C code (class test_other_things_in_a_chain.<locals>.Lies "
    )
    assert in_words("C code", [Lies()], kinds).endswith(f".Lies {object.__sizeof__(Lies())} B)")
    assert ".generator() " in in_words("x", [[waiting], waiting], kinds)
    lone = make()
    assert in_words("x", [lone, lone.__closure__], kinds).startswith(
        "x (make.<locals>.<lambda>()) → closure → tuple "
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Parser, f"{HERE}.Parser"),
        (Parser.Inner, f"{HERE}.Parser.Inner"),
        (dict, "builtins.dict"),
        (type("Parser", (), {"__module__": HERE}), None),
        (type("Gone", (), {"__module__": HERE}), None),
        (type("Gone", (), {"__module__": "no.such.module"}), None),
        (type("RESULTS.Gone", (), {"__module__": HERE}), None),
        (type("Strange", (), {"__module__": None}), None),
        (type("Hostile", (), {"__module__": HostileName("x")}), None),
    ],
)
def test_a_class_has_a_name_where_it_can_be_found(found: type, words: str | None) -> None:
    """By its module and its own name, and nowhere else."""
    assert class_in_words(found) == words


def test_whatever_stands_among_the_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is anybody's."""
    monkeypatch.setitem(sys.modules, "not_a_module", RESULTS)
    monkeypatch.setitem(sys.modules, "nameless", ModuleType("nameless"))
    assert chain_of(lambda: RESULTS) is not None


@pytest.mark.usefixtures("few_objects")
def test_looking_leaves_no_frame_behind() -> None:
    """One that keeps itself is there until the next collection: it was said to pin 1.8 MiB."""
    gc.disable()
    try:
        Roots()
        frames = [one for one in gc.get_objects() if isinstance(one, FrameType)]
        files = [one.f_code.co_filename for one in frames]
        assert [one for one in files if one == roots.__file__] == []
    finally:
        gc.enable()
