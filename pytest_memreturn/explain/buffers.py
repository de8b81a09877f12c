"""Buffers that an object owns: behind its own fields, or through a library."""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_memreturn.explain.kinds import of_type

if TYPE_CHECKING:
    from pytest_memreturn._ranges import AddressSet
    from pytest_memreturn.explain.kinds import Kind

# Objects larger than this have their buffer elsewhere; scanning them for it is not worth it.
_LARGEST_SCANNED_BYTES = 1024

# What every object begins with: counts of references and the type. Two words, or four in
# free-threaded builds.
_HEADER_WORDS = object.__basicsize__ // 8


# Address and bytes of a buffer.
Buffer: TypeAlias = tuple[int, int]


class LibraryBuffers:
    """Finds the buffers of torch tensors and pyarrow arrays; imports nothing.

    One is made for each census: what it has told once it does not tell again, since several
    objects may show one buffer.
    """

    def __init__(self) -> None:
        self._readers: dict[int, tuple[type, Callable[[Any], Iterator[Buffer]] | None]] = {}
        self._told: set[int] = set()
        self._owners = tuple(_owners())

    def __bool__(self) -> bool:
        return bool(self._owners)

    def know(self, kind: type) -> bool:
        """Whether an object of that type may own a buffer through a library."""
        return self._reader(kind) is not None

    def _reader(self, kind: type) -> Callable[[Any], Iterator[Buffer]] | None:
        # By address: a metaclass may compare and hash its classes in any way.
        if id(kind) not in self._readers:
            mro = of_type(kind, "__mro__")
            read = next(
                (read for owner, read in self._owners if any(base is owner for base in mro)), None
            )
            self._readers[id(kind)] = kind, read
        return self._readers[id(kind)][1]

    def new_bytes(self, candidate: object, is_new: Callable[[int, int], bool]) -> int:
        """How many bytes of the candidate's buffers are new, by address and size."""
        read = self._reader(type(candidate))
        if read is None:
            return 0
        total = 0
        try:
            for address, size_bytes in read(candidate):
                if address not in self._told and is_new(address, size_bytes):
                    self._told.add(address)
                    total += size_bytes
        except Exception:  # noqa: BLE001 - a subclass may do anything; what it owns stays native
            return total
        return total


def _owners() -> Iterator[tuple[type, Callable[[Any], Iterator[Buffer]]]]:
    for module, name, read in (
        ("torch", "Tensor", _of_tensor),
        ("pyarrow", "Array", _of_arrow_array),
        ("pyarrow", "ChunkedArray", _of_arrow_chunks),
        ("pyarrow", "Buffer", _of_arrow_buffer),
    ):
        owner = getattr(sys.modules.get(module), name, None)
        if isinstance(owner, type):
            yield owner, read


def _of_tensor(tensor: Any) -> Iterator[Buffer]:  # noqa: ANN401 - not imported, so without types
    storage = tensor.untyped_storage()
    if storage.device.type == "cpu":
        yield storage.data_ptr(), storage.nbytes()


def _of_arrow_array(array: Any) -> Iterator[Buffer]:  # noqa: ANN401
    for buffer in array.buffers():
        if buffer is not None:
            yield from _of_arrow_buffer(buffer)


def _of_arrow_chunks(chunked: Any) -> Iterator[Buffer]:  # noqa: ANN401
    for array in chunked.chunks:
        yield from _of_arrow_array(array)


def _of_arrow_buffer(buffer: Any) -> Iterator[Buffer]:  # noqa: ANN401
    yield buffer.address, buffer.size


def buffer_in(grown: AddressSet, candidate: object, kind: Kind, size_bytes: int) -> int:
    """The address in `grown` that a large object's own fields hold; 0 if they hold none.

    Lists, dicts, sets, bytearrays, arrays: their small fixed part may sit in an old hole while
    the buffer it points to is new. The fixed part of a live object can be read safely.
    """
    fixed_bytes = kind.fixed_bytes
    if fixed_bytes > _LARGEST_SCANNED_BYTES:
        return 0
    words = fixed_bytes // 8
    fields = struct.unpack(f"{words}Q", ctypes.string_at(id(candidate), words * 8))
    # Behind what every object begins with, a numpy array has the address of its data; what it
    # keeps of its shape is another block, small and far from them.
    pointers = fields[_HEADER_WORDS:]
    if kind.numpy_base is not None:
        pointers = pointers[:1]
    return next((word for word in pointers if grown.holds(word, size_bytes - fixed_bytes)), 0)
