"""Run the examples and check that each is judged as it should be: ``make demo``."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

RETURNED = "returned"

# Every test, and each block that a test has judged, with the cause if it retains memory.
EXPECTED = {
    "examples/test_children.py::test_executor_left_running": "child-process",
    "examples/test_children.py::test_sample_printed_by_a_program": RETURNED,
    "examples/test_children.py::test_sample_sent_through_a_pipe": RETURNED,
    "examples/test_children.py::test_sample_taken_by_an_executor": RETURNED,
    "examples/test_children.py::test_sample_taken_here": "pinned-python",
    "examples/test_json.py::test_previews": "held-by-malloc",
    "examples/test_json.py::test_previews_after_a_trim": RETURNED,
    "examples/test_json.py::test_sample_of_readings": "pinned-python",
    "examples/test_numpy.py::test_only_one_step [brightness]": RETURNED,
    "examples/test_numpy.py::test_thumbnail_as_a_copy": RETURNED,
    "examples/test_numpy.py::test_thumbnail_as_a_view": "live-python",
    "examples/test_services.py::test_album_with_a_scan": RETURNED,
    "examples/test_services.py::test_sales_report": RETURNED,
    "examples/test_services.py::test_site_map": "live-python",
    "examples/test_services.py::test_threads_decode_in_parallel": "held-by-malloc",
    "examples/test_sqlite.py::test_connection_is_closed": RETURNED,
    "examples/test_sqlite.py::test_connection_stays_open": "live-native",
    "examples/test_xml.py::test_keep_a_copy_of_one_book": RETURNED,
    "examples/test_xml.py::test_keep_one_book": "live-native",
    "examples/test_xml.py::test_read_book_by_book": RETURNED,
}

# Exit statuses of pytest; some tests are to fail here.
ALL_PASSED, SOME_FAILED = 0, 1

# What would make the examples something else than an ordinary run with ordinary allocators.
UNWANTED_VARIABLES = ("GLIBC_TUNABLES", "MALLOC_", "PYTEST_ADDOPTS", "PYTHONMALLOC")


def main() -> int:
    """0 when every example is judged as expected, otherwise 1."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        status = run_examples(report)
        found = read_verdicts(report) if report.exists() else {}

    print()
    if status not in (ALL_PASSED, SOME_FAILED):
        print(f"The examples did not run: pytest ended with status {status}, for the reason above.")
        return 1
    differences = [
        f"  {name}: expected {EXPECTED.get(name, 'no such test')}, "
        f"found {found.get(name, 'no verdict')}"
        for name in sorted({*EXPECTED, *found})
        if EXPECTED.get(name) != found.get(name)
    ]
    if not differences and status == ALL_PASSED:
        differences = ["  every test passed: what retained memory should have failed"]
    if differences:
        print("These examples were not judged as expected:")
        print("\n".join(differences))
        if platform.libc_ver()[0] != "glibc":
            print("Without glibc that is no fault: the expected causes are those of its malloc.")
        return 1
    retained = sum(expected != RETURNED for expected in EXPECTED.values())
    returned = len(EXPECTED) - retained
    print(
        f"All as intended: {retained} examples kept memory and failed, {returned} gave it back.\n"
        "Each failure above says who has the memory and what would return it;\n"
        "the comment over each test in examples/ says why that is right."
    )
    return 0


def run_examples(report: Path) -> int:
    """Run pytest in full view; its exit status."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(UNWANTED_VARIABLES)
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "examples"]
    # Warnings of other plugins that happen to be installed are no errors of the examples.
    command += ["-o", "filterwarnings=default"]
    # A distribution of its own, with tests of its own; a project in several states; and what the
    # how-to pages show, one run at a time.
    command += [f"--ignore=examples/{name}" for name in ("slab_pool", "tutorial", "how_to")]
    command += ["--memreturn-report", f"--memreturn-report=json:{report}"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def read_verdicts(report: Path) -> dict[str, str]:
    """By test or block: its cause where it retained memory, otherwise its verdict."""
    found = {}
    for test in json.loads(report.read_text(encoding="utf-8"))["tests"]:
        name = f"{test['nodeid']} [{test['label']}]" if test["label"] else test["nodeid"]
        found[name] = test["cause"] if test["verdict"] == "retained" else test["verdict"]
    return found


if __name__ == "__main__":
    sys.exit(main())
