"""Bytes to text and back."""

from __future__ import annotations

import re
from fractions import Fraction

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": KIB,
    "MiB": MIB,
    "GiB": GIB,
    "TiB": TIB,
}
_SIZE = re.compile(r"(?P<number>[0-9]{1,20}(?:\.[0-9]{1,20})?) ?(?P<unit>[A-Za-z]*)", re.ASCII)
_BINARY_STEPS = (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB))


def parse_size(text: str | int) -> int:
    """Whole bytes from ``"10 MiB"``, ``"10MB"`` (decimal), ``"1.5 GiB"`` or a plain integer.

    A fraction of a byte is rounded down. Raises `ValueError`, with a sentence that
    starts with the value, for anything that is not exactly a size.
    """
    if isinstance(text, bool) or not isinstance(text, (int, str)):
        msg = f"{text!r} is not a size: write whole bytes as an integer, or text such as '10 MiB'"
        raise ValueError(msg)  # noqa: TRY004 - a value from a marker or an ini file, not a type slip
    if isinstance(text, int):
        if text < 0:
            msg = f"{text!r} is negative: a size is 0 or more bytes"
            raise ValueError(msg)
        return text
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        msg = f"{text!r} is not a size: write whole bytes, or a number and a unit such as '10 MiB'"
        raise ValueError(msg)
    unit = found["unit"] or "B"
    if unit not in _UNITS:
        msg = f"{text!r} is not a size: {_unit_advice(unit)}"
        raise ValueError(msg)
    if unit == "B" and "." in found["number"]:
        msg = f"{text!r} is not a size: bytes are whole"
        raise ValueError(msg)
    return int(Fraction(found["number"]) * _UNITS[unit])


def _unit_advice(unit: str) -> str:
    letter = unit[0].upper()
    if letter in "KMGT" and unit.lower() in {letter.lower(), f"{letter.lower()}b"}:
        return f"write {letter}iB (1024-based) or {letter}B (1000-based), not {unit}"
    return "the units are " + ", ".join(_UNITS)


def format_size(size_bytes: int, *, sign: bool = False) -> str:
    """``"98.0 MiB"``: one decimal in the largest binary unit that keeps the number at 1 or more."""
    for unit, step in _BINARY_STEPS:
        if abs(size_bytes) >= step:
            return f"{size_bytes / step:{'+' if sign else ''}.1f} {unit}"
    return f"{size_bytes:{'+' if sign else ''}d} B"


def format_mib(size_bytes: int) -> str:
    """``"98.0"``: one decimal in MiB without the unit, for lines and columns that share one.

    What would read ``-0.0`` is written ``0.0``.
    """
    text = f"{size_bytes / MIB:.1f}"
    return "0.0" if text == "-0.0" else text
