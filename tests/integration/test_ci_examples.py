"""The examples for CI systems do what their page says: what they run is run, in a shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "examples" / "ci"


def _example(name: str) -> dict[Any, Any]:
    found = yaml.safe_load((_EXAMPLES / name).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def _github() -> Iterator[str]:
    for step in _example("github-actions.yml")["jobs"]["memory"]["steps"]:
        if "run" in step:
            yield step["run"]


def _gitlab() -> Sequence[str]:
    script = _example("gitlab-ci.yml")["memory"]["script"]
    assert isinstance(script, list)
    return script


_SCRIPTS = {"github-actions.yml": list(_github()), "gitlab-ci.yml": _gitlab()}
_MARKDOWN = {"github-actions.yml": "summary", "gitlab-ci.yml": "reports/memory.md"}


def _run(name: str, project: Path) -> subprocess.CompletedProcess[str]:
    """Run what an example runs, but for what it installs: this environment has it."""
    (command,) = [one for one in _SCRIPTS[name] if one.startswith("pytest")]
    shell = shutil.which("bash")
    assert shell is not None
    bin_folder = str(Path(sys.executable).parent)
    return subprocess.run(
        [shell, "-e", "-o", "pipefail", "-c", command],
        cwd=project,
        env={
            **os.environ,
            "PATH": bin_folder + os.pathsep + os.environ["PATH"],
            "CI": "true",
            "GITHUB_STEP_SUMMARY": str(project / "summary"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", _SCRIPTS)
def test_a_test_that_keeps_memory_fails_the_job(
    pytester: pytest.Pytester, scripted: Path, name: str
) -> None:
    """The exit status fails it, and each report says which test it was."""
    (scripted / "summary").write_text("# What the step said before\n", encoding="utf-8")
    pytester.makepyfile(
        test_app="""
        import pytest
        pytestmark = pytest.mark.returns_memory
        def test_keeps_30(): pass
        def test_returns(): pass
        """
    )

    ended = _run(name, scripted)

    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout + ended.stderr
    assert "2 judged: 1 returned, 1 retained (30.0 MiB)" in ended.stdout
    markdown = (scripted / _MARKDOWN[name]).read_text(encoding="utf-8")
    assert "**1 retained** (30.0 MiB), **1 returned**" in markdown
    assert "| `test_app.py::test_keeps_30` | 30.0 MiB | 2.0 MiB |" in markdown
    if name == "github-actions.yml":
        assert markdown.startswith("# What the step said before\n\n")
    report = json.loads((scripted / "reports/memory.json").read_text(encoding="utf-8"))
    assert report["summary"]["retained"] == 1
    page = (scripted / "reports/memory.html").read_text(encoding="utf-8")
    assert "test_app.py::test_keeps_30" in page
    cases = ET.parse(scripted / "reports/junit.xml").iter("testcase")  # noqa: S314 - just written
    assert {
        one.attrib["name"]: one.find(".//property[@name='memreturn_verdict']") is not None
        for one in cases
    } == {"test_keeps_30": True, "test_returns": True}


@pytest.mark.parametrize("name", _SCRIPTS)
@pytest.mark.parametrize(
    ("test", "status"), [("test_returns", pytest.ExitCode.OK), ("test_unreadable", 1)]
)
def test_a_job_that_passes_has_judged(
    pytester: pytest.Pytester, scripted: Path, name: str, test: str, status: int
) -> None:
    """It passes where everything came back, and fails where nobody could tell."""
    pytester.makepyfile(test_app=f"import pytest\n@pytest.mark.returns_memory\ndef {test}(): pass")

    ended = _run(name, scripted)

    assert ended.returncode == status, ended.stdout + ended.stderr


@pytest.mark.parametrize("name", _SCRIPTS)
def test_reports_are_kept_where_the_job_failed(name: str) -> None:
    """What is written is what is kept, whatever the outcome."""
    (command,) = [one for one in _SCRIPTS[name] if one.startswith("pytest")]
    assert command.count("=reports/") == (3 if name == "github-actions.yml" else 4)
    if name == "github-actions.yml":
        (upload,) = [
            one
            for one in _example(name)["jobs"]["memory"]["steps"]
            if one.get("uses", "").startswith("actions/upload-artifact@")
        ]
        assert (upload["if"], upload["with"]["path"]) == ("always()", "reports/")
    else:
        artifacts = _example(name)["memory"]["artifacts"]
        assert artifacts == {
            "when": "always",
            "paths": ["reports/"],
            "reports": {"junit": "reports/junit.xml"},
        }


@pytest.mark.parametrize("name", _SCRIPTS)
def test_the_page_shows_the_example(name: str) -> None:
    """The file that is run here is the one that is read there."""
    page = (_ROOT / "docs" / "how-to" / "gate-ci.md").read_text(encoding="utf-8")
    assert f"{{literalinclude}} ../../examples/ci/{name}" in page
