"""``--memreturn-save``: what a suite retains today is recorded, and fails nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., pytest.RunResult]
Verdicts: TypeAlias = Callable[[], Mapping[str, str]]
Section: TypeAlias = Callable[[pytest.RunResult], list[str]]

SUITE = """
import pytest
pytestmark = pytest.mark.returns_memory
def test_keeps_30(): pass
def test_keeps_9(): pass
def test_returns(): pass
@pytest.mark.returns_memory(trim=True)
def test_holds_8(): pass
@pytest.mark.returns_memory(trim=True)
def test_keeps_7(): pass
@pytest.mark.returns_memory(enabled=False)
def test_block_keeps_20(memreturn):
    with memreturn(label="inner") as measured:
        pass
    assert measured.verdict == "retained"
"""
SAVE = "--memreturn-save=m.json"


@pytest.fixture
def saved(pytester: pytest.Pytester) -> Callable[[], dict[str, str]]:
    """The sizes in ``m.json``, by test and label."""

    def saved() -> dict[str, str]:
        tests = json.loads((pytester.path / "m.json").read_text(encoding="utf-8"))["tests"]
        return {
            " ".join(filter(None, (one["nodeid"], one.get("label")))): one["retained"]
            for one in tests
        }

    return saved


@pytest.fixture
def section() -> Section:
    """The lines that the plugin adds to the end of a run."""

    def section(result: pytest.RunResult) -> list[str]:
        lines = result.outlines
        start = next(n for n, line in enumerate(lines) if "memory returned to the op" in line)
        end = next(n for n, line in enumerate(lines) if n > start and line[:2] in {"==", ""})
        return lines[start + 1 : end]

    return section


Saved: TypeAlias = Callable[[], dict[str, str]]


def test_what_retains_is_recorded(
    pytester: pytest.Pytester, run: Run, saved: Saved, section: Section, verdicts: Verdicts
) -> None:
    """Tests and blocks pass, at the gate they are judged at; the verdict stays what it is."""
    pytester.makepyfile(test_app=SUITE)

    result = run(SAVE)

    result.assert_outcomes(passed=6)
    assert result.ret == pytest.ExitCode.OK
    assert saved() == {
        "test_app.py::test_block_keeps_20 inner": "20.0 MiB",
        "test_app.py::test_keeps_30": "30.0 MiB",
        "test_app.py::test_keeps_7": "7.0 MiB",
        "test_app.py::test_keeps_9": "9.0 MiB",
    }
    assert section(result) == [
        "m.json: recorded 4 tests that retain 66.0 MiB (4 new)",
        "  new       30.0 MiB  test_app.py::test_keeps_30",
        "  new       20.0 MiB  test_app.py::test_block_keeps_20 [inner]",
        "  new        9.0 MiB  test_app.py::test_keeps_9",
        "  new        7.0 MiB  test_app.py::test_keeps_7",
        "6 judged: 2 returned, 4 retained (66.0 MiB)",
    ]
    assert verdicts()["test_keeps_30"] == "retained"


def test_the_file_says_where_it_was_recorded(pytester: pytest.Pytester, run: Run) -> None:
    """Python, C library and allocators of the process, sorted, and a line for each test."""
    pytester.makepyfile(test_app=SUITE)

    run(SAVE, "-k", "keeps_7")

    text = (pytester.path / "m.json").read_text(encoding="utf-8")
    environment = json.loads(text)["environment"]
    assert list(environment) == sorted(environment)
    assert {"python", "implementation", "libc", "allocators", "probe"} <= environment.keys()
    assert text.endswith(
        ' "tests": [\n  {"nodeid": "test_app.py::test_keeps_7", "retained": "7.0 MiB", '
        '"gate": "trim"}\n ]\n}\n'
    )


@pytest.mark.parametrize("way", [(), ("-p", "xdist", "-n2")])
def test_an_unchanged_suite_gives_an_unchanged_file(
    pytester: pytest.Pytester, run: Run, section: Section, way: tuple[str, ...]
) -> None:
    """Byte for byte; whoever runs the tests, and in which order they end."""
    pytester.makepyfile(test_app=SUITE)
    run(SAVE)
    first = (pytester.path / "m.json").read_bytes()

    result = run(SAVE, *way)

    assert (pytester.path / "m.json").read_bytes() == first
    assert section(result)[0] == "m.json: recorded 4 tests that retain 66.0 MiB (nothing changed)"


def test_a_small_difference_keeps_the_old_figure(
    pytester: pytest.Pytester, run: Run, saved: Saved
) -> None:
    """The tolerance is for both ways; more than that is recorded as it is."""
    pytester.makepyfile(test_app="def test_keeps_30(): pass\ndef test_keeps_9(): pass")
    run("--memreturn", SAVE)
    file = pytester.path / "m.json"
    text = file.read_text(encoding="utf-8").replace('"30.0', '"29.0').replace('"9.0', '"7.0')
    file.write_text(text, encoding="utf-8")

    run("--memreturn", SAVE)
    assert saved() == {
        "test_app.py::test_keeps_30": "29.0 MiB",
        "test_app.py::test_keeps_9": "9.0 MiB",
    }

    run("--memreturn", SAVE, "--memreturn-tolerance=512 KiB")
    assert saved()["test_app.py::test_keeps_30"] == "30.0 MiB"


@pytest.mark.parametrize(
    "part", [("-k", "keeps_9"), ("test_app.py::test_keeps_9",), ("-k", "keeps", "-x", "--lf")]
)
def test_a_part_of_the_suite_keeps_the_rest(
    pytester: pytest.Pytester, run: Run, saved: Saved, part: tuple[str, ...]
) -> None:
    """What was not judged stays as it is, whether it was deselected or never collected."""
    pytester.makepyfile(test_app=SUITE, test_fails="def test_fails(): assert 0")
    run(SAVE)
    before = saved()
    pytester.makepyfile(
        test_app=SUITE.replace("def test_keeps_30(): pass", "").replace(
            "keeps_9()", "keeps_9(): pass\ndef test_keeps_4()"
        )
    )

    run(SAVE, *part)

    assert saved().items() >= before.items() - {("test_app.py::test_keeps_30", "30.0 MiB")}


@pytest.mark.parametrize("way", [(), ("-p", "xdist", "-n2")])
def test_what_is_gone_is_removed(
    pytester: pytest.Pytester, run: Run, saved: Saved, section: Section, way: tuple[str, ...]
) -> None:
    """A test that left its file, a file that is gone, and a block; a rename is guessed."""
    pytester.makepyfile(
        test_app=SUITE,
        test_old="import pytest\n@pytest.mark.returns_memory\ndef test_keeps_5(): pass",
    )
    run(SAVE)
    (pytester.path / "test_old.py").rename(pytester.path / "test_young.py")
    pytester.makepyfile(
        test_app=SUITE.replace("def test_keeps_30(): pass", "").replace("inner", "outer")
    )

    result = run(SAVE, *way)

    assert saved() == {
        "test_app.py::test_block_keeps_20 outer": "20.0 MiB",
        "test_app.py::test_keeps_7": "7.0 MiB",
        "test_app.py::test_keeps_9": "9.0 MiB",
        "test_young.py::test_keeps_5": "5.0 MiB",
    }
    assert section(result)[:6] == [
        "m.json: recorded 4 tests that retain 41.0 MiB (1 gone, 2 renamed?)",
        "  gone             30.0 MiB  test_app.py::test_keeps_30",
        "  renamed?  20.0 → 20.0 MiB  test_app.py::test_block_keeps_20 [inner]",
        "                     is now  test_app.py::test_block_keeps_20 [outer]",
        "  renamed?    5.0 → 5.0 MiB  test_old.py::test_keeps_5",
        "                     is now  test_young.py::test_keeps_5",
    ]


def test_what_is_gone_from_a_class(pytester: pytest.Pytester, run: Run, saved: Saved) -> None:
    """As from a file; and so is the whole of a class."""
    one = "class Test{}:\n def test_keeps_5(self): pass\n def test_keeps_6(self): pass\n"
    pytester.makepyfile(test_app=one.format("A") + one.format("B"))
    run("--memreturn", SAVE)
    assert len(saved()) == 4
    pytester.makepyfile(test_app=one.format("A").replace("def test_keeps_5", "def keeps_5"))

    run("--memreturn", SAVE)

    assert saved() == {"test_app.py::TestA::test_keeps_6": "6.0 MiB"}


def test_what_could_not_be_collected_is_not_gone(
    pytester: pytest.Pytester, run: Run, saved: Saved
) -> None:
    """A file that fails to load, one that skips itself, and one that was not asked for."""
    one = "import pytest\n@pytest.mark.returns_memory\ndef test_keeps_5(): pass"
    pytester.makepyfile(test_a=one, test_b=one, test_c=one, test_d=one)
    run(SAVE)
    before = saved()
    pytester.makepyfile(
        test_a="assert 0",
        test_b="import pytest\npytest.skip('not today', allow_module_level=True)",
        test_c="",
    )

    run(SAVE, "--continue-on-collection-errors", "test_a.py", "test_b.py", "test_d.py")

    assert saved() == before


def test_a_block_that_was_not_reached_is_not_gone(
    pytester: pytest.Pytester, run: Run, saved: Saved
) -> None:
    """The test failed before it."""
    suite = """
        def test_keeps_5(memreturn):
            with memreturn(label="a"): pass
            {}
            with memreturn(label="b"): pass
    """
    pytester.makepyfile(test_app=suite.format(""))
    run(SAVE)
    before = saved()
    assert len(before) == 2
    pytester.makepyfile(test_app=suite.format("assert 0"))

    assert run(SAVE).ret == pytest.ExitCode.TESTS_FAILED

    assert saved() == before


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="pytest has subtests from 9.0 on")
def test_a_block_after_a_subtest_that_passed_is_not_gone(
    pytester: pytest.Pytester, run: Run, saved: Saved
) -> None:
    """A subtest reports as its test does; the test has failed before the block."""
    suite = """
        def test_keeps_5(memreturn, subtests):
            with subtests.test("first"): pass
            {}
            with memreturn(label="a"): pass
    """
    pytester.makepyfile(test_app=suite.format(""))
    run(SAVE)
    before = saved()
    assert len(before) == 1
    pytester.makepyfile(
        test_app=suite.format("assert 0") + "\ndef test_keeps_6(memreturn):\n"
        "    with memreturn(label='b'): pass"
    )

    run(SAVE)

    assert before.items() < saved().items()


def test_a_block_that_the_last_attempt_has_not_is_gone(
    pytester: pytest.Pytester, run: Run, saved: Saved
) -> None:
    """That an earlier attempt was cut short says nothing: pytest-rerunfailures runs it again."""
    pytester.makepyfile(
        test_app="""
        def test_keeps_5(memreturn):
            with memreturn(label="a"): pass
        def test_keeps_6(memreturn):
            with memreturn(label="b"): pass
        """
    )
    run(SAVE)
    pytester.makepyfile(
        test_app="""
        attempts = []
        def test_keeps_5():
            attempts.append(1)
            assert len(attempts) > 1
        def test_keeps_6(memreturn):
            with memreturn(label="b"): pass
        """
    )

    run(SAVE, "-p", "pytest_rerunfailures", "--reruns=1").assert_outcomes(passed=2)

    assert saved() == {"test_app.py::test_keeps_6 b": "6.0 MiB"}


def test_a_test_that_fails_by_itself_keeps_its_entry(
    pytester: pytest.Pytester, run: Run, saved: Saved
) -> None:
    """Nothing is known of its memory; the failure is its own."""
    pytester.makepyfile(test_app="def test_keeps_5(): pass")
    run("--memreturn", SAVE)
    pytester.makepyfile(test_app="def test_keeps_5(): assert 0\ndef test_returns(): pass")

    run("--memreturn", SAVE).assert_outcomes(failed=1, passed=1)

    assert saved() == {"test_app.py::test_keeps_5": "5.0 MiB"}


def test_a_run_that_is_interrupted_saves_what_was_judged(
    pytester: pytest.Pytester, run: Run, saved: Saved
) -> None:
    """And nothing of what was recorded before is lost."""
    pytester.makepyfile(test_app="def test_keeps_5(): pass\ndef test_keeps_6(): pass")
    run("--memreturn", SAVE)
    pytester.makepyfile(
        test_app="""
        def test_keeps_9(): pass
        def test_interrupts():
            import pytest
            pytest.exit("enough")
        def test_keeps_5(): pass
        def test_keeps_6(): pass
        """
    )

    assert run("--memreturn", SAVE).ret == pytest.ExitCode.INTERRUPTED

    assert sorted(saved().values()) == ["5.0 MiB", "6.0 MiB", "9.0 MiB"]


def test_a_run_that_is_interrupted_says_that_its_file_lacks_tests(
    pytester: pytest.Pytester, scripted: object
) -> None:
    """Also where no report was asked for."""
    del scripted
    pytester.makepyfile(
        test_app="""
        import pytest
        def test_keeps_5(): pass
        def test_interrupts(): pytest.exit("enough")
        def test_keeps_6(): pass
        """
    )

    result = pytester.runpytest_inprocess("--memreturn", SAVE)

    result.stdout.fnmatch_lines(
        [
            "PARTIAL Exit: enough; 1 of 3 tests were not reached",
            "m.json: recorded 1 test that retains 5.0 MiB (1 new)",
        ]
    )


@pytest.mark.parametrize("arguments", [(), ("--memreturn", "--collect-only")])
def test_where_nothing_is_judged_nothing_is_written(
    pytester: pytest.Pytester, run: Run, arguments: tuple[str, ...]
) -> None:
    """An empty file would say that nothing retains."""
    pytester.makepyfile(test_app="def test_keeps_5(): pass")

    result = run(SAVE, *arguments)

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["m.json was not written: nothing was judged (--memreturn judges every test)"]
    )
    assert not (pytester.path / "m.json").exists()


def test_a_suite_that_returns_its_memory_has_an_empty_file(
    pytester: pytest.Pytester, run: Run, saved: Saved
) -> None:
    """Which can be compared."""
    pytester.makepyfile(test_app="def test_returns(): pass")

    result = run("--memreturn", SAVE)

    assert saved() == {}
    result.stdout.fnmatch_lines(["m.json: recorded no test: none retains memory (nothing changed)"])


def test_neither_a_failure_nor_a_warning(pytester: pytest.Pytester, run: Run) -> None:
    """Whatever the mode says of memory that was retained: here it is recorded."""
    pytester.makepyfile(test_app=SUITE)
    for mode in ("fail", "warn"):
        result = run(SAVE, f"--memreturn-mode={mode}", "-W", "error")
        result.assert_outcomes(passed=6)


def test_what_cannot_be_read_still_fails_under_strict(pytester: pytest.Pytester, run: Run) -> None:
    """It could not be recorded."""
    pytester.makepyfile(test_app="def test_unreadable(): pass\ndef test_keeps_5(): pass")

    run("--memreturn", SAVE, "--memreturn-strict").assert_outcomes(failed=1, passed=1)


def test_an_explanation_only_where_somebody_sees_it(
    pytester: pytest.Pytester, run: Run, records: Callable[[], Mapping[str, dict[str, Any]]]
) -> None:
    """A report has it; without one, looking for causes would only take time."""
    pytester.makepyfile(test_app="def test_keeps_5(): pass")
    run("--memreturn", SAVE)
    assert records()["test_keeps_5"]["explanation"] is not None

    result = pytester.runpytest_inprocess("--memreturn", SAVE)

    result.assert_outcomes(passed=1)


def test_with_the_mode_off_there_is_nothing_to_save(pytester: pytest.Pytester, run: Run) -> None:
    """Said before the first test."""
    pytester.makepyfile(test_app=SUITE)

    result = run(SAVE, "--memreturn-mode=off")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            (
                "ERROR: --memreturn-save: nothing is judged, and so nothing recorded, with "
                "--memreturn-mode=off"
            )
        ]
    )


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (".", "cannot write '.': there is something that is no regular file"),
        ("test_app.py", "cannot read test_app.py: it is no JSON, or not all of it*"),
        ("report.json", "cannot read report.json: it is no file of --memreturn-save"),
        ("test_app.py/m.json", "cannot write 'test_app.py/m.json': *"),
    ],
)
def test_a_file_of_somebody_else_is_not_overwritten(
    pytester: pytest.Pytester, run: Run, path: str, problem: str
) -> None:
    """Nor is a test run for one that can't be written."""
    pytester.makepyfile(test_app=SUITE)
    run("--memreturn-mode=warn")
    text = (pytester.path / "test_app.py").read_bytes()

    result = run(f"--memreturn-save={path}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --memreturn-save: {problem}"])
    result.stdout.no_fnmatch_line("*passed*")
    assert (pytester.path / "test_app.py").read_bytes() == text


_FULL_DISK = """

import errno
import pytest_memreturn._ratchet_run as loaded

def write_whole(path, pieces):
    raise OSError(errno.ENOSPC, "No space left on device")

loaded.write_whole = write_whole
"""


def test_a_full_disk_at_the_end(pytester: pytest.Pytester, run: Run) -> None:
    """The file is named, the old one stays, and the exit status tells."""
    pytester.makepyfile(test_app=SUITE)
    run(SAVE, "-k", "keeps_9")
    before = (pytester.path / "m.json").read_bytes()
    with (pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(_FULL_DISK)

    result = run(SAVE)

    result.assert_outcomes(passed=6)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["cannot write m.json: No space left on device"])
    result.stdout.no_fnmatch_line("m.json: recorded*")
    assert (pytester.path / "m.json").read_bytes() == before


def test_a_folder_that_vanishes_during_the_run(pytester: pytest.Pytester, run: Run) -> None:
    """The same, as it happens."""
    pytester.makepyfile(test_app="import os\ndef test_keeps_5(): os.rmdir('new')")

    result = run("--memreturn", "--memreturn-save=new/m.json")

    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["cannot write new/m.json: No such file or directory"])


def test_a_test_that_changes_the_folder(
    pytester: pytest.Pytester, run: Run, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is that of where pytest was started."""
    pytester.makepyfile(
        test_app="""
        def test_keeps_5(tmp_path):
            import os
            os.chdir(tmp_path)
        def test_back(request):
            import os
            os.chdir(request.config.invocation_params.dir.parent)
        """
    )
    monkeypatch.chdir(pytester.path)

    run("--memreturn", SAVE)

    assert saved() == {"test_app.py::test_keeps_5": "5.0 MiB"}
