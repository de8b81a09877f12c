"""Take the pictures of reports that pages show: ``python -m docs.scripts.pictures``.

Needs Chromium and the dependency group `browser`, and the extra `html`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from docs.scripts.runs import DOCS, ROOT, pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PICTURE = DOCS / "_static" / "report.png"
# As a reader at a desk sees it, down to where the memory went.
WIDTH, HEIGHT = 1200, 945


def take(picture: Path, browser: Browser) -> None:
    """Run the project of the tutorial, open its report at a test, and write a picture of it."""
    with tempfile.TemporaryDirectory() as folder:
        for file in sorted((ROOT / "examples" / "tutorial" / "start").glob("*.py")):
            shutil.copy(file, folder)
        report = Path(folder, "memory.html")
        pytest(Path(folder), "--memreturn", f"--memreturn-report={report}")
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(report.as_uri())
        page.locator(".name", has_text="test_busiest").first.click()
        page.screenshot(path=picture)
        page.close()


def main() -> None:
    """Take the picture anew."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--headless", "--no-sandbox", "--disable-gpu"],
        )
        take(PICTURE, browser)
        browser.close()


if __name__ == "__main__":
    main()
