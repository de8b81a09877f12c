"""JSON and what is made of it: free memory that cannot go back is a matter of its neighbours."""

import json
from collections.abc import Iterator

import pytest

CACHE: list[object] = []


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    yield
    CACHE.clear()  # the next test starts where this one did


def messages() -> Iterator[str]:
    """2,500 lines of JSON, 16 KB each."""
    body = "All is well. " * 1_250
    for number in range(2_500):
        yield json.dumps({"id": number, "body": body})


def read_and_preview() -> None:
    """Read all messages; keep the first words of each, a hundred messages to a page."""
    inbox = []
    for line in messages():
        inbox.append(json.loads(line))
        if len(inbox) % 100 == 0:
            CACHE.append("\n".join(message["body"][:200] for message in inbox[-100:]))


# Retained, held-by-malloc: the messages are freed, but they lie below the last page of previews.
@pytest.mark.returns_memory
def test_previews() -> None:
    read_and_preview()


# Returned: the same work, judged after malloc was asked to hand back what is free.
@pytest.mark.returns_memory("8 MiB", trim=True)
def test_previews_after_a_trim() -> None:
    read_and_preview()


# Retained, pinned-python: one reading in a thousand is kept, and each holds on to its arena.
@pytest.mark.returns_memory
def test_sample_of_readings() -> None:
    text = (f"[{second}, {second % 977 / 8}]" for second in range(600_000))
    readings = [tuple(json.loads(line)) for line in text]
    CACHE.extend(readings[::1_000])
