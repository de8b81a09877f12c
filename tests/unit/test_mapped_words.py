"""Words in a mapping of their own."""

from __future__ import annotations

import pytest

from pytest_memreturn.probes.mapped_words import MappedWords


def test_words_come_back_in_order() -> None:
    """However they came."""
    words = MappedWords(5)
    assert not words
    words.extend([3, 2**64 - 1])
    words.extend(iter([0, 7]))
    assert (list(words), len(words)) == ([3, 2**64 - 1, 0, 7], 4)


def test_more_words_than_there_is_room_for_are_an_error() -> None:
    """Nothing is overwritten."""
    words = MappedWords(1)
    words.extend([5])
    with pytest.raises((ValueError, IndexError), match=r".+"):
        words.extend(range(1000))
    assert list(words) == [5]
