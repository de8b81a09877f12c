"""The local variables of a frame, by the objects they name, without a change to the frame.

Up to CPython 3.12, ``frame.f_locals`` of a function makes a dict that the frame then keeps, and
with it whatever the variables named: an object would live on for having been looked at.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from inspect import CO_OPTIMIZED
from types import CellType, CodeType, FrameType

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
    record = _word(id(frame) + _RECORD_AT)
    if not record or _word(record + _CODE_AT) != id(code):
        return  # not laid out as this interpreter's version says: nothing is guessed
    for number, name in enumerate(_names(code)):
        address = _word(record + _VARIABLES_AT + number * _WORD_BYTES)
        if address:
            yield name, _through_cell(address)


def _names(code: CodeType) -> list[str]:
    """The variables in the order of their slots: arguments, others, cells, what is closed over."""
    own = code.co_varnames
    cells = [name for name in code.co_cellvars if name not in own]
    return [*own, *cells, *code.co_freevars]


def _through_cell(address: int) -> int:
    # What every object begins with: its count of references, then its type. Behind that a cell has
    # the address of what it holds.
    if _word(address + _WORD_BYTES) == id(CellType):
        return _word(address + 2 * _WORD_BYTES) or address
    return address


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value
