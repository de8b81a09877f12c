"""Buffers that an object owns through a library, where neither size nor address is its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

# Address and bytes of a buffer.
Buffer: TypeAlias = tuple[int, int]


class LibraryBuffers:
    """Finds the buffers of torch tensors and pyarrow arrays; imports nothing.

    One is made for each census: what it has told once it does not tell again, since several
    objects may show one buffer.
    """

    def __init__(self) -> None:
        self._readers: dict[type, Callable[[Any], Iterator[Buffer]] | None] = {}
        self._told: set[int] = set()
        self._owners = tuple(_owners())

    def __bool__(self) -> bool:
        return bool(self._owners)

    def new_bytes(self, candidate: object, is_new: Callable[[int, int], bool]) -> int:
        """How many bytes of the candidate's buffers are new, by address and size."""
        kind = type(candidate)
        if kind not in self._readers:
            mro = type.__dict__["__mro__"].__get__(kind)
            self._readers[kind] = next(
                (read for owner, read in self._owners if any(base is owner for base in mro)), None
            )
        read = self._readers[kind]
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
