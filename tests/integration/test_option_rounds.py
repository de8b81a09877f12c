"""``--memreturn-rounds``, ``--memreturn-warmup``: bodies that run again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

from pytest_memreturn._sizes import KIB, MIB

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]
Text: TypeAlias = Callable[[str], str]

App: TypeAlias = Callable[[str], None]

pytestmark = pytest.mark.usefixtures("told_process")


def told_of(records: Records) -> dict[str, tuple[Any, ...]]:
    """Of each test: verdict, growth, rounds that were run."""
    return {
        name: (one["verdict"], one["rounds"]["growth"], one["rounds"]["run"])
        for name, one in records().items()
    }


_LEAKS = """
def test_python(): told.python += 64
def test_malloc(): told.malloc += 80
def test_objects():
    told.malloc += 80
    told.objects += 80
def test_mapped(): told.mapped += 4096
def test_returns(): pass
ONCE = []
def test_once():
    told.python += 0 if ONCE else 5_000_000
    ONCE[:] = [1]
def test_fades(): told.mapped += max(0, 50_000_000 - told.mapped) // 40
def test_garbage(): told.garbage += 64
def test_free(): told.free += 5000
"""


@pytest.mark.parametrize("origin", ["command line", "ini", "marker"])
def test_growth_from_round_to_round(
    pytester: pytest.Pytester, run: Run, records: Records, app: App, origin: str
) -> None:
    """What grows steadily fails, and what else grows is named."""
    if origin == "marker":
        app("pytestmark = memory(rounds=200)\n" + _LEAKS)
        flags: tuple[str, ...] = ()
    elif origin == "ini":
        app(_LEAKS)
        pytester.makeini("[pytest]\nmemreturn = true\nmemreturn_rounds = 200")
        flags = ()
    else:
        app(_LEAKS)
        flags = ("--memreturn", "--memreturn-rounds=200")

    run(*flags).assert_outcomes(failed=4, passed=5)

    assert told_of(records) == {
        "test_python": ("retained", "steady", 152),
        "test_malloc": ("retained", "steady", 152),
        "test_objects": ("retained", "steady", 152),
        "test_mapped": ("retained", "steady", 152),
        "test_returns": ("returned", "none", 104),
        "test_once": ("returned", "one-time", 104),
        "test_fades": ("returned", "fading", 200),
        "test_garbage": ("returned", "none", 104),
        "test_free": ("returned", "none", 104),
    }
    assert {name: one["cause"] for name, one in records().items() if one["cause"]} == {
        "test_python": "live-python",
        "test_malloc": "live-native",
        "test_objects": "live-python",
        "test_mapped": "mapped",
    }
    for one in records().values():
        if one["ledger"] is not None:
            assert sum(one["ledger"].values()) + one["hidden_bytes"] == one["retained_bytes"]
    survivors = records()["test_python"]["explanation"]["survivors"]
    assert [one["type"] for one in survivors] == ["app.Row"]
    figures = records()["test_mapped"]["rounds"]
    assert (figures["figure"], figures["per_round_bytes"]) == ("footprint", 4096)
    assert figures["points"][0] == [0, figures["points"][0][1], figures["points"][0][2]]


def test_the_message(run: Run, app: App) -> None:
    """It says how much grew in each round, and over how many."""
    app("@memory(rounds=200, warmup=2)\ndef test_it(): told.python += 64")

    result = run()

    result.stdout.fnmatch_lines(
        [
            "grew 64 B per round (allowed 0 B per round, default), steadily over 112 rounds",
            "  footprint *",
            "  rounds     152 of 200, which were enough to be certain · 2 for warm-up · it grew*",
            "             what is alive, with 9.5 KiB in all",
            "  cause      live-python: 9.5 KiB *",
            "FAILED test_app.py::test_it - grew 64 B per round *",
        ]
    )


def test_what_is_allowed_per_round(run: Run, records: Records, app: App) -> None:
    """From the closest origin that says it."""
    app(
        """
        @memory(rounds=20, max_per_round="1 KiB")
        def test_marked(): told.python += 1024
        @memory(rounds=20, max_per_round=1023)
        def test_less(): told.python += 1024
        @memory(rounds=20)
        def test_unmarked(): told.python += 1024
        """
    )

    run("--memreturn-max-per-round=1KB").assert_outcomes(passed=1, failed=2)

    assert {
        name: (one["rounds"]["allowed_per_round_bytes"], one["rounds"]["allowed_origin"])
        for name, one in records().items()
    } == {
        "test_marked": (KIB, "marker on test_app.py::test_marked"),
        "test_less": (1023, "marker on test_app.py::test_less"),
        "test_unmarked": (1000, "--memreturn-max-per-round"),
    }


def test_a_size_that_somebody_chose_holds_as_well(run: Run, records: Records, app: App) -> None:
    """The default is nobody's choice; and a size further away than the rounds is replaced."""
    app(
        """
        def once(): told.mapped += 5 * 2**20 * (told.collections >= 0 and not told.mapped)
        @memory("1 MiB", rounds=20)
        def test_at_the_test(): once()
        @memory(rounds=20)
        def test_at_a_distance(): once()
        @memory(min_returned="50%", rounds=20)
        def test_share(): once()
        def test_rounds_at_a_distance(): once()
        @pytest.fixture(autouse=True)
        def anew():
            told.mapped = 0
        """
    )

    run("--memreturn", "--memreturn-rounds=20", "--memreturn-max-retained=2MiB")

    assert {name: one["verdict"] for name, one in records().items()} == {
        "test_at_the_test": "retained",
        "test_at_a_distance": "returned",
        "test_share": "retained",
        "test_rounds_at_a_distance": "retained",
    }
    assert records()["test_at_the_test"]["rounds"]["growth"] == "one-time"
    assert records()["test_at_the_test"]["allowed_bytes"] == MIB


@pytest.mark.parametrize("gate", ["collect", "trim"])
def test_free_memory_counts_where_a_size_was_chosen(
    run: Run, records: Records, app: App, gate: str
) -> None:
    """Nobody gives it back before the gate."""
    app("@memory('1 MiB', rounds=20)\ndef test_it(): told.free = 5 * 2**20")

    run(*(("--memreturn-trim",) if gate == "trim" else ()))

    expected = "returned" if gate == "trim" else "retained"
    assert records()["test_it"]["verdict"] == expected


def test_warm_up_is_not_judged(run: Run, records: Records, app: App) -> None:
    """With rounds, and without."""
    app(
        """
        RUNS = []
        @memory(warmup=3)
        def test_warm():
            RUNS.append(1)
            told.mapped += 30 * 2**20 * (len(RUNS) <= 3)
        @memory(warmup=1, rounds=12)
        def test_with_rounds(): RUNS.append(2)
        def test_runs(): assert RUNS == [1] * 4 + [2] * 12
        """
    )

    run("--memreturn-warmup=2").assert_outcomes(passed=3)

    assert records()["test_warm"]["rounds"] == {
        "asked": 1,
        "run": 1,
        "warmup": 3,
        "allowed_per_round_bytes": 0,
        "allowed_origin": "",
        "growth": None,
        "exceeds": False,
        "figure": "live",
        "per_round_bytes": 0,
        "since_round": 0,
        "points": [],
    }
    assert records()["test_with_rounds"]["rounds"]["warmup"] == 1


def test_a_single_round_is_a_way_out(run: Run, records: Records, app: App) -> None:
    """Of rounds for all tests."""
    app("@memory(rounds=1)\ndef test_it(tmp_path): (tmp_path / 'new').mkdir()")

    both = ("--memreturn-rounds=20", "--memreturn-warmup=2")
    run("--memreturn", *both).assert_outcomes(passed=1)

    assert records()["test_it"]["rounds"] is None


def test_a_runaway_is_stopped(run: Run, records: Records, app: App) -> None:
    """Before all the machine's memory is gone."""
    app("@memory(rounds=1000)\ndef test_it(): told.mapped += 64 * 2**20")

    run().assert_outcomes(failed=1)

    assert told_of(records)["test_it"] == ("retained", "steady", 11)


def test_mappings_that_grow_more_than_what_is_alive(run: Run, records: Records, app: App) -> None:
    """Then they are what is spoken of, though an object for each is alive as well."""
    app(
        """
        @memory(rounds=40)
        def test_it():
            told.python += 96
            told.mapped += 4096
        """
    )

    run().assert_outcomes(failed=1)

    (record,) = records().values()
    assert (record["cause"], record["rounds"]["figure"]) == ("mapped", "footprint")
    assert record["rounds"]["per_round_bytes"] == 4192


def test_what_it_takes_to_count_objects_is_not_charged(
    run: Run, records: Records, app: App
) -> None:
    """It is taken out; and where a size must hold as well, nobody counts, since that trims."""
    app(
        """
        told.counting = 2**23
        def fill(times=[]):
            times.append(1)
            if len(times) < 90: told.python += 64
        @memory("1 MiB", rounds=200)
        def test_fills(): fill()
        @memory(rounds=200)
        def test_keeps(): told.python += 64
        """
    )

    run().assert_outcomes(failed=1, passed=1)

    fills, keeps = (records()[name] for name in ("test_fills", "test_keeps"))
    assert (fills["verdict"], fills["examined_bytes"]) == ("returned", 0)
    assert (keeps["cause"], keeps["examined_bytes"]) == ("live-python", 2**23)
    assert keeps["retained_bytes"] == 64 * keeps["rounds"]["run"]
    assert [whole - live for _, live, whole in keeps["rounds"]["points"]] == [50 * MIB] * 20
    assert keeps["ledger"]["python-live"] == keeps["retained_bytes"]


@pytest.mark.parametrize("rounds", [2, 3, 5])
def test_few_rounds(run: Run, records: Records, app: App, rounds: int) -> None:
    """They tell what is large, and who has it."""
    app(f"@memory(rounds={rounds})\ndef test_it():\n    told.malloc += 2**20")

    run().assert_outcomes(failed=1)

    assert records()["test_it"]["cause"] == "live-native"


@pytest.mark.parametrize("step_bytes", [2**18, 640])
def test_objects_that_nobody_counted(run: Run, records: Records, app: App, step_bytes: int) -> None:
    """Of what never rises for three rounds in a row; nobody could look, and the verdict stands."""
    app(
        f"""
        RUNS = []
        @memory(rounds=22)
        def test_it():
            RUNS.append(1)
            told.malloc += {step_bytes} * (len(RUNS) % 2)
            told.python -= 1 - len(RUNS) % 2
        """
    )

    run().assert_outcomes(failed=1)

    assert records()["test_it"]["cause"] == "unexplained"


def test_counters_that_are_not_exact(run: Run, records: Records, app: App) -> None:
    """Then the page tables are read, and children count as they do at the end."""
    app("@memory(rounds=20)\ndef test_it():\n    told.error = 2**20\n    told.mapped += 65536")

    run().assert_outcomes(failed=1)

    assert records()["test_it"]["rounds"]["per_round_bytes"] == 65536


@pytest.mark.parametrize("looks", ["'fails'", "'not at all'"])
def test_nobody_can_tell_who_grew(run: Run, records: Records, app: App, looks: str) -> None:
    """The verdict stands."""
    app(
        f"""
        @memory(rounds=20)
        def test_it():
            told.nobody_looks = {looks}
            told.malloc += 65536
        """
    )

    run().assert_outcomes(failed=1)

    assert records()["test_it"]["cause"] == "unexplained"


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "many", "100001", ""])
@pytest.mark.parametrize("level", ["command line", "ini"])
def test_a_wrong_number_ends_the_run(
    pytester: pytest.Pytester, run: Run, value: str, level: str
) -> None:
    """Before the first test, with the origin and the value."""
    if level == "ini":
        pytester.makeini(f"[pytest]\nmemreturn_rounds = {value}")
        result, origin = run(), "ini option memreturn_rounds"
    else:
        result, origin = run(f"--memreturn-rounds={value}"), "--memreturn-rounds"

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {origin}: {value!r} is *"])


@pytest.mark.parametrize(
    ("keywords", "problem"),
    [
        ("rounds=0", "rounds: 0 is less than 1"),
        ("rounds=True", "rounds: True is not a whole number"),
        ("rounds=1e3", "rounds: 1000.0 is not a whole number"),
        ("warmup=-1", "warmup: -1 is less than 0"),
        ("rounds=10**9", "rounds: 1000000000 is more than 100,000"),
        ("max_per_round='1 KiB'", "max_per_round: there are no rounds to compare: *"),
        ("rounds=5, max_per_round=-1", "max_per_round: -1 is negative: *"),
    ],
)
def test_a_wrong_mark_is_that_tests_error(run: Run, app: App, keywords: str, problem: str) -> None:
    """The other tests run."""
    app(f"@memory({keywords})\ndef test_wrong(): pass\n@memory\ndef test_right(): pass")

    result = run()

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"marker on test_app.py::test_wrong: {problem}"])


def test_what_may_stay_of_a_round_may_be_said_for_all(run: Run, app: App) -> None:
    """On the command line it is for tests with rounds, and a mark may rely on rounds from there."""
    app("@memory(max_per_round=64)\ndef test_it(): told.python += 64")

    run("--memreturn-rounds=20").assert_outcomes(passed=1)
    run("--memreturn-max-per-round=64").assert_outcomes(errors=1)


def test_a_block_has_no_rounds(run: Run, records: Records, app: App) -> None:
    """It runs in each round of its test, and has one record in the end."""
    app(
        """
        def test_it(memreturn):
            with memreturn("1 MiB"): told.python += 1
        """
    )

    run("--memreturn", "--memreturn-rounds=12")

    (block,) = [one for one in records().values() if one["window"] == "block"]
    assert (block["verdict"], block["rounds"]) == ("returned", None)
    assert (block["allowed_bytes"], len(records())) == (MIB, 2)


def test_the_ratchet_records_no_growth(run: Run, app: App) -> None:
    """What was recorded lets no steady growth pass."""
    app("@memory(rounds=20)\ndef test_it(): told.python += 65536")

    run("--memreturn-save=kept.json").assert_outcomes(passed=1)
    result = run("--memreturn-compare=kept.json")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["grew 64.0 KiB per round (allowed 0 B per round, default)*"])


def test_unreadable_memory_is_no_verdict(run: Run, records: Records, app: App) -> None:
    """From the round on in which it can't be read none follows."""
    app(
        """
        RUNS = []
        @memory(rounds=20)
        def test_later():
            RUNS.append(1)
            told.unreadable = len(RUNS) > 2
        @memory(rounds=20)
        def test_never(): RUNS.append(2)
        def test_runs(): assert RUNS == [1, 1, 1, 2]
        """
    )

    run().assert_outcomes(passed=3)

    assert {name: (one["verdict"], one["reason"]) for name, one in records().items()} == {
        "test_later": ("unjudged", "the process is behind a curtain"),
        "test_never": ("unjudged", "the process is behind a curtain"),
    }


def test_reports_say_it(pytester: pytest.Pytester, run: Run, app: App) -> None:
    """The page, Markdown, and JUnit's properties."""
    app("@memory(rounds=200)\ndef test_it(): told.python += 64")

    run("--memreturn-report=page.html", "--memreturn-report=page.md", "--junit-xml=junit.xml")

    page = (pytester.path / "page.html").read_text("utf-8")
    assert "rounds: 152 of 200, which were enough to be certain · it grew steadily" in page
    assert "grew 64 B per round" in (pytester.path / "page.md").read_text("utf-8")
    junit = (pytester.path / "junit.xml").read_text("utf-8")
    assert '<property name="memreturn_per_round_bytes" value="64"' in junit
