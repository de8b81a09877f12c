"""``--memreturn-compare``: what was recorded may stay, and more than that fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Records: TypeAlias = Callable[[], Mapping[str, dict[str, Any]]]
Write: TypeAlias = Callable[..., Path]

ENVIRONMENT_DIFFERS = (
    "m.json was recorded in another environment: python 2.7 (here *); libc unknown (here *)"
)


@pytest.fixture
def write(pytester: pytest.Pytester, run: Run) -> Write:
    """Make ``m.json`` with these sizes by name of the test, as a save here would have made it."""

    def write(sizes: Mapping[str, str], gate: str = "collect", **environment: object) -> Path:
        pytester.makepyfile(test_first="def test_returns(): pass")
        assert run("--memreturn", "--memreturn-save=m.json", "test_first.py").ret == 0
        (pytester.path / "test_first.py").unlink()
        file = pytester.path / "m.json"
        data = json.loads(file.read_text(encoding="utf-8"))
        data["environment"].update(environment)
        data["tests"] = [
            {"nodeid": f"test_app.py::{name}", "retained": size, "gate": gate}
            for name, size in sizes.items()
        ]
        file.write_text(json.dumps(data), encoding="utf-8")
        return file

    return write


def _section(result: pytest.RunResult) -> list[str]:
    lines = result.outlines
    start = next(n for n, line in enumerate(lines) if "memory returned to the op" in line)
    end = next(n for n, line in enumerate(lines) if n > start and line[:2] in {"==", ""})
    return lines[start + 1 : end]


SUITE = """
import pytest
pytestmark = pytest.mark.returns_memory
def test_keeps_10(): pass
def test_keeps_15(): pass
def test_returns(): pass
"""
COMPARE = "--memreturn-compare=m.json"


@pytest.mark.parametrize("way", [(), ("-p", "xdist", "-n0"), ("-p", "xdist", "-n2")])
def test_more_than_recorded_fails(  # noqa: PLR0913, PLR0917 - a table's columns
    pytester: pytest.Pytester,
    run: Run,
    write: Write,
    records: Records,
    failures: Callable[[pytest.RunResult], str],
    way: tuple[str, ...],
) -> None:
    """With the new figure and the old one; whoever runs the tests."""
    pytester.makepyfile(test_app=SUITE)
    write({"test_keeps_10": "10 MiB", "test_keeps_15": "10 MiB", "test_returns": "9 MiB"})

    result = run(COMPARE, *way)

    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [line for line in failures(result).splitlines() if line.startswith("kept")] == [
        "kept 15.0 MiB (allowed 11.0 MiB, recorded 10.0 MiB in m.json + 1.0 MiB tolerance)"
    ]
    assert _section(result) == [
        "m.json: 3 recorded tests compared, 1 retains 5.0 MiB more, 1 retains 9.0 MiB less",
        "  more      10.0 → 15.0 MiB  test_app.py::test_keeps_15",
        "  less        9.0 → 0.0 MiB  test_app.py::test_returns",
        "to keep what was gained, add --memreturn-save=m.json",
        "3 judged: 2 returned (1 as recorded), 1 retained (15.0 MiB)",
    ]
    found = records()
    assert {name: one["recorded_bytes"] for name, one in found.items()} == {
        "test_keeps_10": 10 * 1024 * 1024,
        "test_keeps_15": 10 * 1024 * 1024,
        "test_returns": None,
    }


def test_a_test_without_an_entry_is_judged_as_ever(
    pytester: pytest.Pytester, run: Run, write: Write
) -> None:
    """What is new may not retain more than it could before."""
    pytester.makepyfile(test_app=SUITE)
    write({"test_keeps_10": "10 MiB"})

    result = run(COMPARE)

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["kept 15.0 MiB (allowed 2.0 MiB, default)"])


@pytest.mark.parametrize(
    ("mark", "outcome"),
    [
        ('"20 MiB"', "passed"),
        ("0", "passed"),
        ('min_returned="100%"', "passed"),
        ("trim=True", "failed"),
        ("enabled=False", "passed"),
    ],
)
def test_an_entry_never_tightens(
    pytester: pytest.Pytester, run: Run, write: Write, mark: str, outcome: str
) -> None:
    """It is allowed beside any limit that was broken when it was recorded, at its own gate."""
    pytester.makepyfile(
        test_app=f"""
        import pytest
        @pytest.mark.returns_memory({mark})
        def test_keeps_15(): pass
        """
    )
    write({"test_keeps_15": "15 MiB" if "20" not in mark else "5 MiB"})

    run("--memreturn", COMPARE).assert_outcomes(**{outcome: 1})


def test_a_block_has_its_own_entry(pytester: pytest.Pytester, run: Run) -> None:
    """By its label; and none where blocks measure nothing."""
    pytester.makepyfile(
        test_app="""
        def test_keeps_10(memreturn):
            with memreturn(label="a"): pass
        """
    )
    run("--memreturn-save=m.json")

    run(COMPARE).assert_outcomes(passed=1)
    run(COMPARE, "--memreturn-mode=off").assert_outcomes(passed=1)
    pytester.makepyfile(
        test_app="""
        def test_keeps_10(memreturn):
            with memreturn(label="b"): pass
        """
    )
    run(COMPARE).assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("options", "ini", "outcomes"),
    [
        ([], "", {"failed": 1}),
        (["--memreturn-tolerance=5 MiB"], "", {"passed": 1}),
        (["--memreturn-tolerance=4 MiB"], "memreturn_tolerance = 5 MiB", {"failed": 1}),
        ([], "memreturn_tolerance = 5 MiB", {"passed": 1}),
    ],
)
def test_the_tolerance_can_be_chosen(  # noqa: PLR0913, PLR0917 - a table's columns
    pytester: pytest.Pytester,
    run: Run,
    write: Write,
    options: list[str],
    ini: str,
    outcomes: dict[str, int],
) -> None:
    """On the command line or in the ini file, in that order."""
    pytester.makepyfile(test_app="def test_keeps_15(): pass")
    write({"test_keeps_15": "10 MiB"})
    pytester.makeini(f"[pytest]\nmemreturn = true\n{ini}")

    run(COMPARE, *options).assert_outcomes(**outcomes)


def test_the_default_tolerance_is_a_share_of_much(
    pytester: pytest.Pytester, run: Run, write: Write
) -> None:
    """What large tests keep varies with what ran before them."""
    pytester.makepyfile(test_app="def test_keeps_204(): pass\ndef test_keeps_205(): pass")
    write({"test_keeps_204": "200 MiB", "test_keeps_205": "200 MiB"})

    result = run("--memreturn", COMPARE)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["kept 205.0 MiB (allowed 204.0 MiB, recorded 200.0 MiB in*"])


@pytest.mark.parametrize("where", ["flag", "ini"])
@pytest.mark.parametrize("way", [(), ("-p", "xdist", "-n1")])
def test_a_tolerance_that_is_none(
    pytester: pytest.Pytester, run: Run, where: str, way: tuple[str, ...]
) -> None:
    """A usage error before the first test, also where nothing is compared."""
    pytester.makepyfile(test_app=SUITE)
    if where == "ini":
        pytester.makeini("[pytest]\nmemreturn_tolerance = ten")

    result = run(*(["--memreturn-tolerance=ten"] if where == "flag" else []), *way)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    origin = {"flag": "--memreturn-tolerance", "ini": "ini option memreturn_tolerance"}[where]
    result.stderr.fnmatch_lines([f"ERROR: {origin}: 'ten' is not a size*"])


def test_the_ini_file_names_a_file_beside_itself(
    pytester: pytest.Pytester, run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From wherever pytest is started; an empty option takes it back."""
    file = write({"test_keeps_15": "15 MiB"})
    pytester.makepyfile(test_app="def test_keeps_15(): pass")
    pytester.makeini("[pytest]\nmemreturn = true\nmemreturn_compare = m.json")

    run().assert_outcomes(passed=1)
    run("--memreturn-compare=").assert_outcomes(failed=1)

    pytester.mkdir("sub")
    monkeypatch.chdir("sub")
    result = run("..")
    result.assert_outcomes(passed=1)
    assert "".join(_section(result)[:-1]) == f"{file}:  1 recorded test compared, none retains less"


def test_a_file_in_a_project_without_an_ini_file(
    pytester: pytest.Pytester, run: Run, write: Write
) -> None:
    """Given with ``-o``, it is beside the tests."""
    write({"test_keeps_15": "15 MiB"})
    pytester.makepyfile(test_app="def test_keeps_15(): pass")

    run("--memreturn", "-o", "memreturn_compare=m.json").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (
            lambda file: file.unlink(),
            (
                "there is no such file; --memreturn-compare= --memreturn-save=m.json records "
                "what is retained now"
            ),
        ),
        (
            lambda file: file.write_text(file.read_text("utf-8")[:-20], "utf-8"),
            "it is no JSON, or not all of it (*)",
        ),
        (
            lambda file: file.write_text(
                file.read_text("utf-8").replace('"version": 1', '"version": 2'), "utf-8"
            ),
            "it is of version 2, and this pytest-memreturn reads versions up to 1",
        ),
        (lambda file: file.write_text("{}", "utf-8"), "it is no file of --memreturn-save"),
    ],
)
@pytest.mark.parametrize("way", [(), ("-p", "xdist", "-n2")])
def test_a_file_that_cannot_be_used(  # noqa: PLR0913, PLR0917 - a table's columns
    pytester: pytest.Pytester,
    run: Run,
    write: Write,
    damage: Callable[[Path], object],
    problem: str,
    way: tuple[str, ...],
) -> None:
    """A usage error before the first test, which names the option, the file and the problem."""
    pytester.makepyfile(test_app=SUITE)
    damage(write({"test_keeps_15": "15 MiB"}))

    result = run(COMPARE, *way)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --memreturn-compare: cannot read m.json: {problem}"])
    result.stdout.no_fnmatch_line("*passed*")


@pytest.mark.parametrize("option", ["compare", "save"])
def test_another_environment_is_refused(
    pytester: pytest.Pytester, run: Run, write: Write, option: str
) -> None:
    """The differences are named; nobody mixes two environments in one file by accident."""
    pytester.makepyfile(test_app=SUITE)
    before = write({"test_keeps_15": "15 MiB"}, python="2.7", libc=None).read_bytes()

    result = run(f"--memreturn-{option}=m.json")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            (
                f"ERROR: --memreturn-{option}: {ENVIRONMENT_DIFFERS}. Record a file for each "
                "environment, or use this one all the same with --memreturn-any-environment"
            )
        ]
    )
    assert (pytester.path / "m.json").read_bytes() == before


@pytest.mark.parametrize("way", [(), ("-p", "xdist", "-n1")])
@pytest.mark.parametrize("where", ["flag", "ini"])
def test_another_environment_is_let_pass_by_who_says_so(
    pytester: pytest.Pytester, run: Run, write: Write, where: str, way: tuple[str, ...]
) -> None:
    """The summary keeps saying that it is another one."""
    pytester.makepyfile(test_app="def test_keeps_15(): pass")
    write({"test_keeps_15": "15 MiB"}, python="2.7", libc=None)
    ini = "memreturn_any_environment = true" if where == "ini" else ""
    pytester.makeini(f"[pytest]\nmemreturn = true\n{ini}")

    result = run(COMPARE, *(["--memreturn-any-environment"] if where == "flag" else []), *way)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([ENVIRONMENT_DIFFERS])


def test_saving_takes_over_the_environment(
    pytester: pytest.Pytester, run: Run, write: Write
) -> None:
    """What is recorded is recorded here; while comparing it stays where it was."""
    pytester.makepyfile(test_app=SUITE)
    file = write({"test_keeps_15": "15 MiB"}, python="2.7")
    both = ("--memreturn-any-environment", "--memreturn-save=m.json")

    run(COMPARE, *both)
    assert json.loads(file.read_text(encoding="utf-8"))["environment"]["python"] == "2.7"
    run(*both)
    assert json.loads(file.read_text(encoding="utf-8"))["environment"]["python"] != "2.7"


def test_a_worker_of_another_environment(
    pytester: pytest.Pytester, run: Run, write: Write, failures: Callable[..., str]
) -> None:
    """Each of its tests says so, as nobody would see the worker end."""
    pytester.makepyfile(test_app="def test_keeps_15(): pass")
    write({"test_keeps_15": "15 MiB"})
    with (pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(
            "\nimport os\n"
            "if 'PYTEST_XDIST_WORKER' in os.environ:\n"
            "    import platform\n"
            "    platform.machine = lambda: 'another'\n"
        )

    result = run("--memreturn", COMPARE, "-p", "xdist", "-n1")

    result.assert_outcomes(errors=1)
    assert "m.json was recorded in another environment: machine " in failures(result)


def test_comparing_and_saving_keeps_what_was_gained(
    pytester: pytest.Pytester, run: Run, write: Write
) -> None:
    """The ratchet turns one way: what is more fails as ever, and is not recorded."""
    pytester.makepyfile(test_app=SUITE + "def test_keeps_5(): pass\ndef test_keeps_8(): pass\n")
    file = write(
        {
            "test_keeps_10": "10 MiB",
            "test_keeps_15": "10 MiB",
            "test_keeps_5": "9 MiB",
            "x": "1 MiB",
        }
    )

    result = run(COMPARE, "--memreturn-save=m.json")

    result.assert_outcomes(passed=3, failed=2)
    assert _section(result) == [
        (
            "m.json: 3 recorded tests compared, 1 retains 5.0 MiB more, 1 retains 4.0 MiB less, "
            "1 gone"
        ),
        "  more      10.0 → 15.0 MiB  test_app.py::test_keeps_15",
        "  less        9.0 → 5.0 MiB  test_app.py::test_keeps_5",
        "  gone              1.0 MiB  test_app.py::x",
        "m.json: recorded 3 tests that retain 25.0 MiB",
        (
            "not recorded: 2 tests that retain more than is allowed. To record that, too: "
            "--memreturn-compare="
        ),
        "  --memreturn-save=m.json",
        "5 judged: 3 returned (2 as recorded), 2 retained (23.0 MiB)",
    ]
    tests = json.loads(file.read_text(encoding="utf-8"))["tests"]
    assert {one["nodeid"][13:]: one["retained"] for one in tests} == {
        "test_keeps_10": "10.0 MiB",
        "test_keeps_15": "10.0 MiB",
        "test_keeps_5": "5.0 MiB",
    }


def test_what_is_gained_can_go_to_another_file(
    pytester: pytest.Pytester, run: Run, write: Write
) -> None:
    """Which then has all of it, and the first stays as it is."""
    pytester.makepyfile(test_app="def test_keeps_15(): pass")
    file = write({"test_keeps_15": "20 MiB", "test_x": "3 MiB"})
    before = file.read_bytes()

    result = run("--memreturn", COMPARE, "--memreturn-save=new/n.json")

    assert file.read_bytes() == before
    text = (pytester.path / "new" / "n.json").read_text(encoding="utf-8")
    assert "15.0 MiB" in text
    result.stdout.fnmatch_lines(["new/n.json: recorded 1 test that retains 15.0 MiB"])


def test_what_was_recorded_at_another_gate(
    pytester: pytest.Pytester, run: Run, write: Write
) -> None:
    """It is not allowed, and said to be the reason."""
    pytester.makepyfile(test_app="def test_keeps_15(): pass")
    write({"test_keeps_15": "15 MiB"}, gate="trim")

    result = run("--memreturn", COMPARE)

    result.assert_outcomes(failed=1)
    assert _section(result)[:3] == [
        "m.json: 0 recorded tests compared, none retains less, 1 at another gate",
        "  gate      15.0 → 15.0 MiB  test_app.py::test_keeps_15",
        "gate: what was recorded at one gate is not allowed at another: record it anew",
    ]


def test_a_rename_is_named(pytester: pytest.Pytester, run: Run, write: Write) -> None:
    """The test fails under its new name; the summary says what it was called."""
    pytester.makepyfile(test_app="def test_keeps_15(): pass")
    write({"test_old": "15 MiB"})

    result = run("--memreturn", COMPARE)

    result.assert_outcomes(failed=1)
    assert _section(result) == [
        "m.json: 0 recorded tests compared, none retains less, 1 renamed?",
        "  renamed?  15.0 → 15.0 MiB  test_app.py::test_old",
        "                     is now  test_app.py::test_keeps_15",
        "renamed? if it is so, change the name in m.json: nothing was recorded of the new one",
        "1 judged: 0 returned, 1 retained (15.0 MiB)",
    ]


def test_all_changes_are_listed_for_who_asks(
    pytester: pytest.Pytester, run: Run, write: Write
) -> None:
    """At most ten without ``-v``."""
    pytester.makepyfile(test_app="def test_returns(): pass")
    write({f"test_{n}": "5 MiB" for n in range(12)})

    assert sum(" gone " in line for line in _section(run("--memreturn", COMPARE))) == 10
    assert sum(" gone " in line for line in _section(run("--memreturn", COMPARE, "-v"))) == 12
