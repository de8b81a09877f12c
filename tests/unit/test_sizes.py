"""Sizes as text."""

from __future__ import annotations

from typing import cast

import pytest

from pytest_memreturn._sizes import GIB, KIB, MIB, TIB, format_mib, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        (0, 0),
        (7, 7),
        ("7", 7),
        ("7 B", 7),
        ("7B", 7),
        (" 10 MiB ", 10 * MIB),
        ("10MiB", 10 * MIB),
        ("10MB", 10_000_000),
        ("10 KB", 10_000),
        ("10 KiB", 10 * KIB),
        ("1.5 GiB", GIB + GIB // 2),
        ("2 GB", 2_000_000_000),
        ("0.5 TiB", TIB // 2),
        ("1 TB", 10**12),
        ("0.1 KiB", 102),  # 102.4: a part of a byte is dropped
        ("0.3 MB", 300_000),  # exact, where a float would give 299,999
    ],
)
def test_a_size_is_whole_bytes(text: str | int, size_bytes: int) -> None:
    """Integers are bytes; a number and a unit is that many, rounded down to whole bytes."""
    assert parse_size(text) == size_bytes


UNITS = "the units are B, KB, MB, GB, TB, KiB, MiB, GiB, TiB"
FORM = "is not a size: write whole bytes, or a number and a unit such as '10 MiB'"
TYPE = "is not a size: write whole bytes as an integer, or text such as '10 MiB'"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", FORM),
        ("MiB", FORM),
        ("-1", FORM),
        ("+1 MiB", FORM),
        ("1e3", FORM),
        ("1,000", FORM),
        ("1_000", FORM),
        (".5 MiB", FORM),
        ("5. MiB", FORM),
        ("10  MiB", FORM),
        ("10\tMiB", FORM),
        ("5 KiB per call", FORM),
        ("5 MiB.", FORM),
        ("٣ MiB", FORM),  # a digit, though none of ASCII
        ("nan", FORM),
        ("1.5", "is not a size: bytes are whole"),
        ("1.0 B", "is not a size: bytes are whole"),
        ("10 mib", "is not a size: " + UNITS),
        ("10 parsecs", "is not a size: " + UNITS),
        ("10 Mi", "is not a size: " + UNITS),
        ("10 M", "is not a size: write MiB (1024-based) or MB (1000-based), not M"),
        ("10 m", "is not a size: write MiB (1024-based) or MB (1000-based), not m"),
        ("10 kb", "is not a size: write KiB (1024-based) or KB (1000-based), not kb"),
        ("10 kB", "is not a size: write KiB (1024-based) or KB (1000-based), not kB"),
        (-1, "is negative: a size is 0 or more bytes"),
        (True, TYPE),
        (1.5, TYPE),
        (None, TYPE),
        (b"10 MiB", TYPE),
        pytest.param("9" * 5000, FORM, id="5000 digits"),
    ],
)
def test_what_is_not_exactly_a_size_is_refused(value: object, problem: str) -> None:
    """The error is a sentence that begins with the value and says what would be right."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared below
        parse_size(cast("str", value))
    assert str(caught.value) == f"{value!r} {problem}"


@pytest.mark.parametrize(
    ("size_bytes", "text", "signed"),
    [
        (0, "0 B", "+0 B"),
        (1, "1 B", "+1 B"),
        (-1, "-1 B", "-1 B"),
        (1023, "1023 B", "+1023 B"),
        (KIB, "1.0 KiB", "+1.0 KiB"),
        (-KIB, "-1.0 KiB", "-1.0 KiB"),
        (MIB - 1, "1024.0 KiB", "+1024.0 KiB"),
        (MIB, "1.0 MiB", "+1.0 MiB"),
        (98 * MIB + 52_429, "98.1 MiB", "+98.1 MiB"),
        (GIB, "1.0 GiB", "+1.0 GiB"),
        (3 * TIB // 2, "1.5 TiB", "+1.5 TiB"),
        (5000 * TIB, "5000.0 TiB", "+5000.0 TiB"),
    ],
)
def test_a_size_is_shown_in_the_largest_binary_unit(
    size_bytes: int, text: str, signed: str
) -> None:
    """One decimal in the largest binary unit that keeps the number at 1 or more."""
    assert format_size(size_bytes) == text
    assert format_size(size_bytes, sign=True) == signed


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0.0"),
        (98 * MIB, "98.0"),
        (-MIB, "-1.0"),
        (52_428, "0.0"),
        (52_429, "0.1"),
        (-MIB // 40, "0.0"),
        (-MIB // 10, "-0.1"),
        (2 * GIB, "2048.0"),
    ],
)
def test_a_column_of_mib_has_one_decimal_and_no_negative_zero(size_bytes: int, text: str) -> None:
    """MiB without the unit, and never ``-0.0``."""
    assert format_mib(size_bytes) == text
