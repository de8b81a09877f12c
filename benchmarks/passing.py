"""What a passing marked test costs, by the plugin's own figures, and next to another checkout.

    python benchmarks/passing.py [OTHER_CHECKOUT]

Prints the median of `overhead_seconds` over tests that do nothing, in fresh processes; with the
root folder of another checkout, that of its package as well and the median of the ratios run by
run, each pair in turn. Then what each reading of such a test costs by itself.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 7

TESTS = """
import pytest
{imports}

@pytest.mark.parametrize("number", range({count}))
def test_nothing(number):
    pass
"""

# What the process has imported, and how many tests are enough for a median.
PROCESSES = {"nothing else": ((), 400), "pandas and scikit-learn": (("pandas", "sklearn"), 60)}


def overhead_ms(checkout: Path, folder: Path) -> float:
    """Median overhead of the tests in `folder`, judged by the package of `checkout`."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_memreturn.plugin"]
    options = ["-p", "no:cacheprovider", "--memreturn", f"--memreturn-report={report}"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "",
    }
    subprocess.run(
        [*command, *options], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    tests = json.loads(report.read_text(encoding="utf-8"))["tests"]
    return 1_000 * statistics.median(float(one["overhead_seconds"]) for one in tests)


def readings() -> Iterator[tuple[str, Callable[[], object]]]:
    """Each reading that a passing test pays for."""
    from pytest_memreturn._measure import instruments

    found = instruments()
    baseline = found.begin_outside()
    yield "collect", found.releaser.collect
    yield "trim, every allocator", found.releaser.trim
    yield "layout, at the baseline", lambda: found.memory.capture(baseline=True)
    yield "allocator statistics, all", found.statistics
    yield "outside, at the baseline", found.begin_outside
    yield "outside, at the end", lambda: found.outside_since(baseline, peak_growth_bytes=0)
    yield "counters", found.memory.counters


def median_us(read: Callable[[], object]) -> float:
    """Median time of one reading in microseconds."""
    seconds = []
    for _ in range(200):
        started = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) * 1e6


def main() -> None:
    """Measure, and print."""
    other = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    for title, (modules, count) in PROCESSES.items():
        if any(importlib.util.find_spec(module) is None for module in modules):
            print(f"{title}: left out, not installed")
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            imports = "\n".join(f"import {module}" for module in modules)
            text = TESTS.format(imports=imports, count=count)
            (folder / "test_nothing.py").write_text(text, encoding="utf-8")
            ours, theirs = [], []
            for _ in range(RUNS):
                ours.append(overhead_ms(ROOT, folder))
                if other is not None:
                    theirs.append(overhead_ms(other, folder))
        line = f"{title}: {statistics.median(ours):.2f} ms a test"
        if theirs:
            ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
            line += f", elsewhere {statistics.median(theirs):.2f} ms, ratio {ratio:.3f}"
        print(line, flush=True)
    for title, read in readings():
        print(f"{title:28} {median_us(read):8.1f} us", flush=True)


if __name__ == "__main__":
    main()
