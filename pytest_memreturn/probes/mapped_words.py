"""A list of words that takes nothing from malloc: what is counted there must not change."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterable, Iterator

_WORD_BYTES = 8


class MappedWords:
    """Numbers from 0 to 2**64 - 1 in a mapping of their own, as many as `most` at the most.

    Only what is filled becomes resident.
    """

    def __init__(self, most: int) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._mapping = mmap.mmap(-1, max(1, most) * _WORD_BYTES, flags=flags)
        self._length = 0

    def extend(self, words: Iterable[int]) -> None:
        """Add words at the end."""
        found = array("Q", words)
        start = self._length * _WORD_BYTES
        self._mapping[start : start + len(found) * _WORD_BYTES] = found.tobytes()
        self._length += len(found)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        with memoryview(self._mapping) as view, view.cast("Q") as words:
            for number in range(self._length):
                yield words[number]
