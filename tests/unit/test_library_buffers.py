"""Buffers that objects own through a library, on libraries made up here."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from pytest_memreturn.explain.buffers import LibraryBuffers


class Tensor:
    """A torch tensor, as far as it is asked: its storage may serve other tensors as well."""

    def __init__(self, address: int, size: int, device: str = "cpu") -> None:
        self._storage = SimpleNamespace(
            device=SimpleNamespace(type=device), data_ptr=lambda: address, nbytes=lambda: size
        )

    def untyped_storage(self) -> object:
        """Where its numbers are."""
        return self._storage


class Buffer:
    """A pyarrow buffer."""

    def __init__(self, address: int, size: int) -> None:
        self.address, self.size = address, size


class Array:
    """A pyarrow array: its buffers, where one without nulls has none for them."""

    def __init__(self, *buffers: Buffer | None) -> None:
        self._buffers = list(buffers)

    def buffers(self) -> list[Buffer | None]:
        """Those it has."""
        return self._buffers


class ChunkedArray:
    """A column of a pyarrow table."""

    def __init__(self, *chunks: Array) -> None:
        self.chunks = list(chunks)


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """Both libraries are imported, and hold just what is asked for."""
    torch, pyarrow = ModuleType("torch"), ModuleType("pyarrow")
    torch.__dict__["Tensor"] = Tensor
    pyarrow.__dict__.update(Array=Array, ChunkedArray=ChunkedArray, Buffer=Buffer)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)
    return {"torch": torch, "pyarrow": pyarrow}


def anything(address: int, size_bytes: int) -> bool:
    """Everything is new."""
    del address, size_bytes
    return True


@pytest.mark.parametrize(
    ("owner", "size_bytes"),
    [
        pytest.param(Tensor(1000, 10), 10, id="a tensor"),
        pytest.param(Tensor(1000, 10, device="cuda"), 0, id="a tensor that is elsewhere"),
        pytest.param(Buffer(1000, 10), 10, id="a buffer"),
        pytest.param(Array(None, Buffer(1000, 10), Buffer(2000, 5)), 15, id="an array"),
        pytest.param(
            ChunkedArray(Array(Buffer(1000, 10)), Array(None, Buffer(2000, 5))), 15, id="a column"
        ),
        pytest.param(type("Parameter", (Tensor,), {})(1000, 10), 10, id="of a derived class"),
        pytest.param(ChunkedArray(), 0, id="an empty column"),
        pytest.param([1000, 10], 0, id="something else"),
        pytest.param(Tensor, 0, id="the class itself"),
    ],
)
def test_buffers_of_an_object(owner: object, size_bytes: int) -> None:
    """All in memory of this process, by the library's own word."""
    assert LibraryBuffers().new_bytes(owner, anything) == size_bytes


def test_only_new_buffers_count() -> None:
    """Asked with address and size of each; an array may have old and new ones."""
    asked = []

    def is_new(address: int, size_bytes: int) -> bool:
        asked.append((address, size_bytes))
        return address == 2000

    array = Array(Buffer(1000, 10), Buffer(2000, 5))
    assert LibraryBuffers().new_bytes(array, is_new) == 5
    assert asked == [(1000, 10), (2000, 5)]


def test_a_buffer_counts_once_in_a_census() -> None:
    """However many objects show it; another census begins anew."""
    for _ in range(2):
        census = LibraryBuffers()
        shown = [Tensor(1000, 10), Tensor(1000, 10), Array(Buffer(1000, 10)), Tensor(2000, 7)]
        assert [census.new_bytes(one, anything) for one in shown] == [10, 0, 0, 7]


@pytest.mark.parametrize("missing", ["torch", "pyarrow"])
def test_a_library_that_was_not_imported_owns_nothing(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not imported for this, either; the other one is asked all the same."""
    monkeypatch.delitem(sys.modules, missing)
    census = LibraryBuffers()
    assert census
    assert [census.new_bytes(one, anything) for one in (Tensor(1, 10), Buffer(2, 20))] == [
        10 if missing == "pyarrow" else 0,
        20 if missing == "torch" else 0,
    ]
    assert missing not in sys.modules


def test_without_libraries_there_is_nothing_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a census need not ask of each object."""
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setitem(sys.modules, "pyarrow", ModuleType("pyarrow"))  # half imported
    census = LibraryBuffers()
    assert not census
    assert census.new_bytes(Tensor(1, 10), anything) == 0


def test_a_module_of_that_name_may_be_somebody_else_s(libraries: dict[str, ModuleType]) -> None:
    """What is no type has no instances."""
    libraries["torch"].__dict__["Tensor"] = Tensor(1, 1)
    assert LibraryBuffers().new_bytes(Tensor(1, 10), anything) == 0


class Gone(Tensor):
    """A tensor without a storage, as sparse ones are."""

    def untyped_storage(self) -> object:
        """None to be had."""
        raise NotImplementedError


@pytest.mark.parametrize(
    ("owner", "size_bytes"),
    [
        pytest.param(Gone(1, 10), 0, id="at once"),
        pytest.param(
            ChunkedArray(Array(Buffer(1000, 10)), Gone(1, 1)),  # type: ignore[arg-type]
            10,
            id="in the midst of it",
        ),
    ],
)
def test_an_object_that_cannot_be_asked_is_passed_over(owner: object, size_bytes: int) -> None:
    """What was found up to there counts; the rest stays native."""
    assert LibraryBuffers().new_bytes(owner, anything) == size_bytes


def test_no_code_of_a_class_runs_to_learn_its_bases() -> None:
    """A class may say anything of itself, through its metaclass."""

    class Odd(type):
        def __getattribute__(cls, name: str) -> object:
            raise AssertionError(name)

        def __eq__(cls, other: object) -> bool:
            raise AssertionError

        __hash__ = type.__hash__

    class Strange(Tensor, metaclass=Odd):
        pass

    owner = object.__new__(Strange)
    owner.__dict__["_storage"] = Tensor(1000, 10).untyped_storage()
    assert LibraryBuffers().new_bytes(owner, anything) == 10
