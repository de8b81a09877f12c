"""Laws of sizes as text."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_memreturn._sizes import MIB, format_mib, format_size, parse_size
from pytest_memreturn._values import parse_share

UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
SIZES = st.integers(0, 2**60)


@given(SIZES)
def test_whole_bytes_are_themselves(size_bytes: int) -> None:
    """As an integer, and as its digits, with the unit or without."""
    assert parse_size(size_bytes) == size_bytes
    assert parse_size(str(size_bytes)) == size_bytes
    assert parse_size(f"{size_bytes} B") == size_bytes


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]))
def test_a_number_of_units_is_that_many(number: int, unit: str, gap: str) -> None:
    """With a blank between them or without."""
    assert parse_size(f"{number}{gap}{unit}") == number * UNITS[unit]


@given(st.integers(0, 10**6), st.integers(0, 999), st.sampled_from(sorted(set(UNITS) - {"B"})))
def test_a_fraction_is_exact(whole: int, thousandths: int, unit: str) -> None:
    """No rounding but the one down to whole bytes."""
    exact = Fraction(whole * 1000 + thousandths, 1000) * UNITS[unit]
    assert parse_size(f"{whole}.{thousandths:03}{unit}") == exact // 1


@given(st.integers(1, 10_239), st.sampled_from(["KiB", "MiB", "GiB", "TiB"]))
@example(10, "KiB")
def test_what_is_formatted_exactly_is_parsed_back(tenths: int, unit: str) -> None:
    """A size that one decimal says exactly survives the way to text and back."""
    size = Fraction(tenths, 10) * UNITS[unit]
    if size.denominator == 1:
        assert parse_size(format_size(int(size))) == size


@given(SIZES)
def test_what_is_formatted_is_near(size_bytes: int) -> None:
    """To half of the last digit shown: one decimal of a unit, or a byte."""
    text = format_size(size_bytes)
    unit = UNITS[text.split()[1]]
    assert abs(parse_size(text) - size_bytes) <= max(unit / 20, 0) + 1
    assert unit == 1 or size_bytes >= unit


@given(st.integers(-(2**60), 2**60))
def test_a_signed_size_differs_by_its_sign_alone(size_bytes: int) -> None:
    """A minus before the size of the other sign; a plus only where it was asked for."""
    text, signed = format_size(size_bytes), format_size(size_bytes, sign=True)
    if size_bytes < 0:
        assert text == signed == "-" + format_size(-size_bytes)
    else:
        assert signed == "+" + text


@given(st.integers(-(2**60), 2**60))
def test_a_column_of_mib_is_near(size_bytes: int) -> None:
    """One decimal, to half of which it is right."""
    text = format_mib(size_bytes)
    assert re.fullmatch(r"-?\d+\.\d", text)
    assert text != "-0.0"
    assert abs(Fraction(text) * MIB - size_bytes) <= Fraction(MIB, 20) * Fraction(10**9 + 1, 10**9)


EXACTLY_A_SIZE = re.compile(r"[0-9]{1,20} ?B?|[0-9]{1,20}(\.[0-9]{1,20})? ?[KMGT]i?B", re.ASCII)
EXACTLY_A_SHARE = re.compile(r"([0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})\s*%")


@given(
    st.one_of(
        st.text(),
        st.text(alphabet="0123456789.,+-_eE kKmMgGtTiIbB\n"),
        st.from_regex(r"\s?\d{1,3}\.?\d{0,2} ?[KMGTkmgt]?[iI]?[bB]?.?", fullmatch=True),
    )
)
def test_nothing_but_a_size_is_taken_for_one(text: str) -> None:
    """A text is a size exactly, or an error that begins with it."""
    if EXACTLY_A_SIZE.fullmatch(text.strip()):
        assert parse_size(text) >= 0
    else:
        with pytest.raises(ValueError, match=r"^" + re.escape(f"{text!r} is not a size: ")):
            parse_size(text)


@given(st.one_of(st.none(), st.booleans(), st.floats(), st.binary(), st.tuples(st.integers())))
def test_no_other_value_is_taken_for_a_size(value: object) -> None:
    """Neither a float nor a boolean, which Python takes for an integer."""
    with pytest.raises(ValueError, match=r"^" + re.escape(f"{value!r} is not a size: ")):
        parse_size(cast("str", value))


@given(st.integers(0, 100_000))
def test_a_percentage_is_exact(thousandths: int) -> None:
    """From 0 % to 100 %, to the last digit."""
    text = f"{thousandths // 1000}.{thousandths % 1000:03}%"
    assert parse_share(text) == Fraction(thousandths, 100_000)


@given(st.one_of(st.text(), st.text(alphabet="0123456789.%+- e")))
def test_nothing_but_a_percentage_is_taken_for_one(text: str) -> None:
    """A share lies between 0 and 1, or it is an error that begins with its text."""
    found = EXACTLY_A_SHARE.fullmatch(text.strip())
    if found and Fraction(found[1]) <= 100:
        assert parse_share(text) == Fraction(found[1]) / 100
    else:
        with pytest.raises(ValueError, match=r"^" + re.escape(f"{text!r} is ")):
            parse_share(text)
