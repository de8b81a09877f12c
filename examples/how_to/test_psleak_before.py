"""psleak: a function may keep nothing, however often it is called."""

import ctypes

from psleak import MemoryLeakTestCase

libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_char_p
libc.strdup.argtypes = [ctypes.c_char_p]


class TestBinding(MemoryLeakTestCase):
    """What belongs to one library."""

    def test_duplicate(self) -> None:
        """Copies of a text."""
        self.execute(libc.strdup, b"x" * 1_000)
