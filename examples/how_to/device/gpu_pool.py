"""A library with memory on a device: here a figure in a dictionary."""

_buffers: dict[int, int] = {}


def take(size_bytes: int) -> int:
    """A buffer on the device, by its number."""
    number = len(_buffers)
    _buffers[number] = size_bytes
    return number


def give(number: int) -> None:
    """The buffer is free."""
    del _buffers[number]


def used_bytes() -> int:
    """What is taken."""
    return sum(_buffers.values())
