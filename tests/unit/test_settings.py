"""Settings by precedence, each with its origin."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pytest_memreturn._errors import InvalidSettingError
from pytest_memreturn._settings import (
    DEFAULT_MAX_RETAINED_BYTES,
    DEFAULT_SETTLE_SECONDS,
    DEFAULTS,
    Limits,
    Settings,
    Source,
    Sourced,
    check,
    resolve,
)
from pytest_memreturn._sizes import MIB
from pytest_memreturn._values import parse_seconds, parse_share


def marker(origin: str = "marker", **values: object) -> Source:
    """A checked source written at the test itself."""
    return check(Source(origin, values, at_the_test=True))


def run(origin: str, **values: object) -> Source:
    """A checked source that holds for the whole run."""
    return check(Source(origin, values))


def test_without_any_source_the_defaults_hold() -> None:
    """Nothing is judged unless asked for; 2 MiB may stay, after gc and 3 s; a verdict fails."""
    assert resolve([]) == Settings(
        enabled=Sourced(value=False, origin="default"),
        limits=Limits(Sourced(DEFAULT_MAX_RETAINED_BYTES, "default"), None),
        gate=Sourced("collect", "default"),
        settle_seconds=Sourced(DEFAULT_SETTLE_SECONDS, "default"),
        mode=Sourced("fail", "default"),
        strict=Sourced(value=False, origin="default"),
        explain=Sourced(value=False, origin="default"),
        explain_timeout_seconds=Sourced(60.0, "default"),
        isolate=Sourced(value=False, origin="default"),
        env=Sourced({}, "default"),
        allocator=Sourced(None, "default"),
        isolate_timeout_seconds=Sourced(None, "default"),
    )
    assert DEFAULT_MAX_RETAINED_BYTES == 2 * MIB
    assert DEFAULT_SETTLE_SECONDS == 3


def test_the_defaults_are_in_the_form_of_checked_values() -> None:
    """The defaults pass their own check and stay as they are."""
    assert check(DEFAULTS) == DEFAULTS


SOURCES = [
    marker("function", trim=True),
    marker("class", max_retained="1 MiB", trim=False, env={"A": "1"}),
    run("command line", max_retained="5 MiB", mode="warn", settle="500 ms", explain=True),
    run(
        "ini",
        max_retained="7 MiB",
        mode="off",
        strict=True,
        enabled=True,
        settle="7",
        explain_timeout="5",
        isolate_timeout="20 s",
    ),
]


def test_the_closest_source_wins_keyword_by_keyword() -> None:
    """Each setting comes from the closest source that has it, and knows which one that was."""
    assert resolve(SOURCES) == Settings(
        enabled=Sourced(value=True, origin="ini"),
        limits=Limits(Sourced(MIB, "class"), None),
        gate=Sourced("trim", "function"),
        settle_seconds=Sourced(0.5, "command line"),
        mode=Sourced("warn", "command line"),
        strict=Sourced(value=True, origin="ini"),
        explain=Sourced(value=True, origin="command line"),
        explain_timeout_seconds=Sourced(5.0, "ini"),
        isolate=Sourced(value=True, origin="class"),
        env=Sourced({"A": "1"}, "class"),
        allocator=Sourced(None, "default"),
        isolate_timeout_seconds=Sourced(20.0, "ini"),
    )


@pytest.mark.parametrize(
    ("values", "isolates"),
    [
        ({}, None),
        ({"env": {}}, None),
        ({"env": {"A": None}}, True),
        ({"allocator": "malloc"}, True),
        ({"allocator": None}, None),
        ({"isolate": False}, False),
    ],
)
def test_how_a_test_is_isolated_says_that_it_is(
    values: dict[str, object], isolates: object
) -> None:
    """An origin that says nothing of it leaves it to the next one."""
    assert marker("marker", **values).values.get("isolate") is isolates


@pytest.mark.parametrize(
    ("keyword", "close", "far", "default"),
    [
        ("enabled", True, False, False),
        ("enabled", False, True, False),
        ("mode", "warn", "off", "fail"),
        ("strict", True, False, False),
        ("strict", False, True, False),
    ],
)
def test_precedence_of_a_plain_setting(
    keyword: str, close: object, far: object, default: object
) -> None:
    """A value that is given closer wins over one further away, even when it equals the default."""
    closer, further = run("closer", **{keyword: close}), run("further", **{keyword: far})
    assert getattr(resolve([closer, further]), keyword) == Sourced(close, "closer")
    assert getattr(resolve([further]), keyword) == Sourced(far, "further")
    assert getattr(resolve([]), keyword) == Sourced(default, "default")


@pytest.mark.parametrize("seconds", [0, 5])
def test_settle_at_the_test_wins(seconds: float) -> None:
    """Also where it says that nobody shall wait."""
    found = resolve([marker(settle=seconds), run("ini", settle=1)])
    assert found.settle_seconds == Sourced(float(seconds), "marker")
    assert isinstance(found.settle_seconds.value, float)


@pytest.mark.parametrize(("trim", "gate"), [(True, "trim"), (False, "collect")])
def test_trim_chooses_the_gate(trim: object, gate: str) -> None:
    """``trim`` is written as a boolean and read as the rung at which the verdict is taken."""
    assert resolve([run("ini", trim=trim)]).gate == Sourced(gate, "ini")


def test_none_leaves_the_setting_to_the_next_source() -> None:
    """An option that was not given does not hide the one behind it."""
    given = [run("command line", max_retained=None, enabled=None), run("ini", max_retained=7)]
    assert resolve(given).limits.max_retained_bytes == Sourced(7, "ini")
    assert check(Source("command line", {"max_retained": None})).values == {}


def test_a_share_at_the_test_replaces_a_size_from_further_away() -> None:
    """Neither the default nor the run's allowance narrows a test that chose a share."""
    found = resolve([marker(min_returned="95%"), run("ini", max_retained=0)])
    assert found.limits == Limits(None, Sourced(Fraction(19, 20), "marker"))


def test_a_size_and_a_share_at_the_test_both_hold() -> None:
    """They may even stand on different marks of the same test."""
    found = resolve([marker("function", min_returned="95%"), marker("class", max_retained=1)])
    assert found.limits == Limits(Sourced(1, "class"), Sourced(Fraction(19, 20), "function"))


def test_the_closest_share_wins() -> None:
    """The share of the function holds, not that of its class."""
    found = resolve([marker("function", min_returned="80%"), marker("class", min_returned="95%")])
    assert found.limits.min_returned == Sourced(Fraction(4, 5), "function")


@pytest.mark.parametrize(
    ("sources", "chosen"),
    [
        pytest.param([], False, id="the default"),
        pytest.param([run("ini", trim=True)], False, id="something else was chosen"),
        pytest.param([run("ini", max_retained="2 MiB")], True, id="a size, be it the default's"),
        pytest.param([marker(max_retained=0)], True, id="zero"),
        pytest.param([marker(min_returned="95%")], True, id="a share"),
        pytest.param([marker(max_retained=0, min_returned="95%")], True, id="both"),
    ],
)
def test_limits_that_somebody_chose(sources: list[Source], *, chosen: bool) -> None:
    """Nothing is added to what somebody asked for."""
    assert resolve(sources).limits.chosen == chosen


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("0%", Fraction(0)),
        ("95%", Fraction(19, 20)),
        ("95 %", Fraction(19, 20)),
        (" 95% ", Fraction(19, 20)),
        ("99.9%", Fraction(999, 1000)),
        ("100%", Fraction(1)),
    ],
)
def test_a_share_is_a_percentage(text: str, share: Fraction) -> None:
    """A percentage from 0 % to 100 %, exactly."""
    assert parse_share(text) == share


FORM = "is not a share: write a percentage as text, such as '95%'"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (95, FORM),
        (0.95, FORM),
        ("0.95", FORM),
        ("95", FORM),
        ("", FORM),
        (True, FORM),
        (b"95%", FORM),
        ("%", "is not a percentage"),
        (".%", "is not a percentage"),
        ("-5%", "is not a percentage"),
        ("+5%", "is not a percentage"),
        ("1/2%", "is not a percentage"),
        ("1e1%", "is not a percentage"),
        ("1.2.3%", "is not a percentage"),
        ("95%%", "is not a percentage"),
        ("٩٥%", "is not a percentage"),
        ("nan%", "is not a percentage"),
        ("100.1%", "is above 100 %"),
        ("101%", "is above 100 %"),
    ],
)
def test_what_is_no_percentage_is_refused(value: object, problem: str) -> None:
    """The error begins with the value."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared below
        parse_share(value)
    assert str(caught.value) == f"{value!r} {problem}"


def test_a_share_of_thousands_of_digits_is_refused_by_its_value() -> None:
    """A number beyond what Python turns into an integer is a wrong value like any other."""
    value = "9" * 5000 + "%"
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared below
        parse_share(value)
    assert str(caught.value).startswith(f"{value!r} is ")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (5, 5.0),
        (0.1, 0.1),
        (3600, 3600.0),
        ("0", 0.0),
        ("5", 5.0),
        ("0.1", 0.1),
        ("2s", 2.0),
        ("2 s", 2.0),
        (" 500 ms ", 0.5),
        ("0.5ms", 0.0005),
        ("3600000 ms", 3600.0),
    ],
)
def test_a_time_is_seconds_or_text_with_a_unit(value: object, seconds: float) -> None:
    """Seconds where no unit says otherwise, exactly."""
    assert parse_seconds(value) == seconds


TIME_FORM = "is not a time: write seconds as a number, or text such as '500 ms'"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (True, TIME_FORM),
        (b"5", TIME_FORM),
        (Fraction(1, 2), TIME_FORM),
        ([5], TIME_FORM),
        (float("nan"), TIME_FORM),
        (float("inf"), TIME_FORM),
        ("", TIME_FORM),
        ("s", TIME_FORM),
        ("-5", TIME_FORM),
        ("+5", TIME_FORM),
        ("5.", TIME_FORM),
        (".5", TIME_FORM),
        ("1e1", TIME_FORM),
        ("5  s", TIME_FORM),
        ("5 S", TIME_FORM),
        ("5 sec", TIME_FORM),
        ("5 min", TIME_FORM),
        ("5 ms s", TIME_FORM),
        ("٩٥ s", TIME_FORM),
        ("nan", TIME_FORM),
        ("inf", TIME_FORM),
        ("9" * 5000, TIME_FORM),
        (-1, "is negative: a time is 0 or more seconds"),
        (-0.5, "is negative: a time is 0 or more seconds"),
        (3601, "is more than an hour"),
        (5000.0, "is more than an hour"),
        ("5000", "is more than an hour"),
        ("3600001 ms", "is more than an hour"),
        ("9" * 20, "is more than an hour"),
    ],
)
def test_what_is_no_time_is_refused(value: object, problem: str) -> None:
    """The error begins with the value."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared below
        parse_seconds(value)
    assert str(caught.value) == f"{value!r} {problem}"


@pytest.mark.parametrize(
    ("keyword", "value", "problem"),
    [
        ("enabled", 1, "1 is not True or False"),
        ("enabled", "yes", "'yes' is not True or False"),
        ("trim", 0, "0 is not True or False"),
        ("strict", "false", "'false' is not True or False"),
        ("mode", "Fail", "'Fail' is not one of fail, warn, off"),
        ("mode", ["fail"], "['fail'] is not one of fail, warn, off"),
        ("max_retained", -1, "-1 is negative: a size is 0 or more bytes"),
        (
            "max_retained",
            "lots",
            "'lots' is not a size: write whole bytes, or a number and a unit such as '10 MiB'",
        ),
        ("min_returned", "101%", "'101%' is above 100 %"),
        ("settle", -1, "-1 is negative: a time is 0 or more seconds"),
        ("settle", "2 h", f"'2 h' {TIME_FORM}"),
        ("isolate", 1, "1 is not True or False"),
        (
            "env",
            "A=1",
            "'A=1' is not a mapping of names to values, such as {'MALLOC_ARENA_MAX': '1'}",
        ),
        ("env", {1: "1"}, "1 is not a name of a variable"),
        ("env", {"": "1"}, "'' is not a name of a variable"),
        ("env", {"A\0": "1"}, "'A\\x00' is not a name of a variable"),
        ("env", {"A": 1}, "A=1 is not text (None takes the variable away)"),
        ("env", {"A": "\0"}, "A='\\x00' is not text (None takes the variable away)"),
        ("allocator", ["malloc"], "['malloc'] is not one of malloc, jemalloc, tcmalloc, mimalloc"),
        ("isolate_timeout", 0, "0 leaves no time at all"),
    ],
)
def test_a_wrong_value_names_origin_setting_and_value(
    keyword: str, value: object, problem: str
) -> None:
    """The error says who wrote what where, with nothing of its making behind it."""
    with pytest.raises(InvalidSettingError) as caught:
        check(Source("ini option x", {keyword: value}))
    assert str(caught.value) == f"ini option x: {keyword}: {problem}"
    assert (caught.value.origin, caught.value.setting, caught.value.problem) == (
        "ini option x",
        keyword,
        problem,
    )
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("keyword", ["mode", "strict", "max_retaind"])
@pytest.mark.parametrize("value", [True, None])
def test_a_marker_takes_no_other_keyword(keyword: str, value: object) -> None:
    """A slip in a keyword is an error that lists what there is, whatever its value."""
    with pytest.raises(InvalidSettingError) as caught:
        marker("marker on test_x", **{keyword: value})
    head = f"marker on test_x: {keyword}: unknown keyword; returns_memory takes "
    assert str(caught.value).startswith(head + "max_retained, min_returned, trim, settle")


@pytest.mark.parametrize(
    "values",
    [
        {"max_retained": "1 MiB"},
        {"min_returned": "1%"},
        {"trim": True},
        {"settle": 0},
        {"enabled": False},
        {"isolate": True, "env": {"A": "1"}, "allocator": "malloc"},
    ],
)
def test_a_marker_takes_what_concerns_one_test(values: dict[str, object]) -> None:
    """The keywords of the marker are accepted, and the source remembers that it is one."""
    found = marker("marker on test_x", **values)
    assert found.origin == "marker on test_x"
    assert found.at_the_test
    assert found.values.keys() == values.keys()


def test_who_asks_for_one_round_has_no_warm_up_but_its_own() -> None:
    """That of the run would be a second one."""
    of_run = run("--memreturn-warmup", warmup=2)
    assert resolve([marker(rounds=1), of_run]).warmup == Sourced(0, "marker")
    assert resolve([marker(rounds=1, warmup=3), of_run]).warmup == Sourced(3, "marker")
    assert resolve([marker(rounds=2), of_run]).warmup == Sourced(2, "--memreturn-warmup")
    assert resolve([of_run, run("--memreturn-rounds", rounds=1)]).warmup.value == 2


def test_a_window_over_many_tests_is_of_one_interpreter() -> None:
    """Each isolated test would have its own; the settings of the run are left out."""
    with pytest.raises(InvalidSettingError, match="an interpreter of its own, and the window is"):
        resolve([marker(window="class", isolate=True)])
    assert resolve([marker(window="class"), run("ini", isolate=True)]).isolate.value is False
