"""The local variables of a frame, by the objects they name, without a change to the frame.

Up to CPython 3.12, ``frame.f_locals`` of a function makes a dict that the frame then keeps, and
with it whatever the variables named: an object would live on for having been looked at.
"""

from __future__ import annotations

import contextlib
import struct
import sys
from collections.abc import Iterator
from inspect import CO_OPTIMIZED
from types import CellType, CodeType, FrameType

from pytest_memreturn.probes.own_memory import OwnMemory

_WORD_BYTES = 8
# PyFrameObject in Include/internal/pycore_frame.h: behind its header the frame before it, then the
# address of its variables' record. In that record the code stands first in 3.12 and fifth in 3.11,
# and the variables begin at the tenth word in both.
_RECORD_AT = 3 * _WORD_BYTES
_CODE_AT = {(3, 11): 4 * _WORD_BYTES, (3, 12): 0}.get(sys.version_info[:2])
_VARIABLES_AT = 9 * _WORD_BYTES


def variables(frame: FrameType) -> Iterator[tuple[str, int]]:
    """Name and address of what every variable of `frame` names; a cell is seen through."""
    code = frame.f_code
    if _CODE_AT is None or not code.co_flags & CO_OPTIMIZED:
        # A view that keeps nothing, or the namespace itself of a module or a class.
        yield from ((name, id(value)) for name, value in frame.f_locals.items())
        return
    # Its thread goes on meanwhile, and what it leaves behind may be unmapped: through the kernel,
    # where that is an error.
    with contextlib.suppress(OSError), OwnMemory(_WORD_BYTES) as memory:
        record = _word(memory, id(frame) + _RECORD_AT)
        if not record or _word(memory, record + _CODE_AT) != id(code):
            return  # not laid out as this interpreter's version says: nothing is guessed
        names = _names(code)
        words = _words(memory, record + _VARIABLES_AT, len(names))
        for name, address in zip(names, words, strict=True):
            if address:
                yield name, _through_cell(memory, address)


def _names(code: CodeType) -> list[str]:
    """The variables in the order of their slots: arguments, others, cells, what is closed over."""
    own = code.co_varnames
    cells = [name for name in code.co_cellvars if name not in own]
    return [*own, *cells, *code.co_freevars]


def _through_cell(memory: OwnMemory, address: int) -> int:
    # What every object begins with: its count of references, then its type. Behind that a cell has
    # the address of what it holds.
    kind, content = _words(memory, address + _WORD_BYTES, 2)
    return content or address if kind == id(CellType) else address


def _word(memory: OwnMemory, address: int) -> int:
    return _words(memory, address, 1)[0]


def _words(memory: OwnMemory, address: int, count: int) -> tuple[int, ...]:
    """So many words; raises `OSError` where they are not all there."""
    found = memory.read(address, count * _WORD_BYTES)
    if len(found) < count * _WORD_BYTES:
        raise OSError
    return struct.unpack(f"{count}Q", found)
