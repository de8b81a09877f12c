"""Take the picture of an HTML report that the README shows: ``python benchmarks/picture.py``.

Runs two files of examples, opens their report in Chromium, unfolds one test, and writes
``docs/_static/report.png``. Needs the dependency groups `test`, `browser` and `examples`, and a
Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "_static" / "report.png"
WIDTH, HEIGHT = 1_100, 1_080
# What a README may weigh on a slow line.
MAX_BYTES = 150_000

UNFOLDED = "test_previews"
RETAINED = 1


def write_report(folder: Path) -> Path:
    """The report of a real run."""
    report = folder / "report.html"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
    command += ["-o", "filterwarnings=default", f"--memreturn-report={report}"]
    command += ["examples/test_json.py", "examples/test_numpy.py"]
    environment = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "pytest_memreturn.plugin",
    }
    ended = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False)
    assert ended.returncode == RETAINED, "some of the examples keep memory and fail"
    return report


def take(report: Path) -> None:
    """Open the report as a reader would, and write what is seen of it."""
    executable = shutil.which("chromium")
    assert executable is not None, "Chromium is installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(report.as_uri())
        page.get_by_text(UNFOLDED, exact=False).first.click()
        page.screenshot(path=PICTURE, clip={"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT})
        browser.close()
    size = PICTURE.stat().st_size
    assert size < MAX_BYTES, f"{size:,} bytes are too many"


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        take(write_report(Path(name)))
