"""Objects of one type: how many, their bytes, and one of them for an example."""

from __future__ import annotations

# The largest of 19,000 dicts that a test left was the struct module's cache of 832 bytes: it is an
# example only where it has this part of the whole.
_LARGE_PART = 1 / 10


class OfOneType:
    """Counts objects, and holds two of them: let go of it soon."""

    __slots__ = ("_largest", "_largest_bytes", "_typical", "bytes", "count")

    def __init__(self) -> None:
        self.count = self.bytes = 0
        self._largest_bytes = -1
        self._largest: object = None
        self._typical: object = None

    def add(self, one: object, size_bytes: int) -> None:
        """Count an object."""
        self.count += 1
        self.bytes += size_bytes
        if size_bytes > self._largest_bytes:
            self._largest_bytes, self._largest = size_bytes, one
        if self.count.bit_count() == 1:
            # The first, second, fourth, eighth: in the end some object from among all.
            self._typical = one

    def example(self) -> object:
        """The largest, where it has a part in it, or one like most of them."""
        if self._largest_bytes >= self.bytes * _LARGE_PART:
            return self._largest
        return self._typical
