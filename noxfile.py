"""Every check of the project, each in an environment of its own."""

import os
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
# What is not on the machine is not tested, and never fetched behind the user's back.
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
PACKAGE = "pytest_memreturn"
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")["project"]

# Closed doors: no plugin that happens to be installed is loaded, only ours, by name. Set in
# the environment and not by a flag, so that it holds in the runs that tests start, too.
CLOSED = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": f"{PACKAGE}.plugin",
}

# Prints where the interpreter really is, if it is one that the matrix is for. A free-threaded
# build or a pre-release lacks wheels of half the test group: name it (nox --force-python 3.14t).
PROBE = """
import sys, sysconfig
if (
    sys.implementation.name == "cpython"
    and sys.version_info >= (3, 11)
    and sys.version_info.releaselevel == "final"
    and not sysconfig.get_config_var("Py_GIL_DISABLED")
):
    print(sys.executable)
"""


def interpreters() -> dict[str, Path]:
    """Find a working CPython for each minor version from 3.11 on, oldest first.

    Looks along PATH, then in every version of a version manager: its stubs on PATH may
    exist and yet fail, so a name proves nothing until it has been run.
    """
    manager = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [Path(entry) for entry in os.environ["PATH"].split(os.pathsep) if entry]
    folders += sorted(manager.glob("versions/*/bin"))

    found: dict[int, Path] = {}
    for candidate in (path for folder in folders for path in sorted(folder.glob("python3.*"))):
        name = re.fullmatch(r"python3\.(\d+)(\.exe)?", candidate.name)
        if name is None or int(name[1]) in found:
            continue
        try:
            run = subprocess.run(
                [candidate, "-c", PROBE], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if run.returncode == 0 and run.stdout.strip():
            found[int(name[1])] = Path(run.stdout.strip())
    return {f"3.{minor}": path for minor, path in sorted(found.items())}


INTERPRETERS = interpreters()
if not INTERPRETERS:
    message = "no CPython >= 3.11 found on PATH or in a version manager"
    raise RuntimeError(message)
PYTHONS = list(INTERPRETERS)
# Sessions name their Python by version ("tests-3.12"), and nox looks that up on PATH: put what
# was found in front of stubs of the same name.
os.environ["PATH"] = os.pathsep.join(
    [*(str(path.parent) for path in INTERPRETERS.values()), os.environ["PATH"]]
)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the suite against the built wheel."""
    session.install(".", "--group", "test")
    # `make test` truly allocates on the newest Python already, and that takes minutes.
    run_suite(session, "-m", "not real" if session.python == PYTHONS[-1] else "not extended")


@nox.session(python=PYTHONS[0])
def extended(session: nox.Session) -> None:
    """Run what needs other allocators and libraries; here nothing may be left out."""
    session.install(".", "--group", "test", "--group", "libraries")
    session.env["MEMRETURN_TEST_EVERYTHING"] = "1"
    run_suite(session, "-m", "extended")


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run what allocates nothing on the lowest versions that the project says it supports."""
    pins = [requirement.replace(">=", "==") for requirement in PROJECT["dependencies"]]
    session.install(".", "--group", "test", *pins)
    run_suite(session, "-m", "not real")


def run_suite(session: nox.Session, *options: str) -> None:
    """Run pytest by its script: `python -m pytest` would put the checkout before the wheel."""
    session.run("pytest", *options, *session.posargs, env=CLOSED)


@nox.session(python=PYTHONS[-1])
def coverage(session: nox.Session) -> None:
    """Demand every line and branch, of all tests but those that a tracer would falsify."""
    session.install("--editable", ".", "--group", "test")
    # Beside the environment, so that neither an old run's data nor this one's is in the way.
    env = {**CLOSED, "COVERAGE_FILE": str(Path(session.create_tmp()).resolve() / "coverage")}
    session.run("coverage", "erase", env=env)
    session.run("coverage", "run", "-m", "pytest", "-m", "not real", *session.posargs, env=env)
    session.run("coverage", "combine", "--quiet", env=env)
    session.run("coverage", "report", "--fail-under=100", env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style, and that the formatter has nothing to change."""
    session.install("--group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


# On the oldest Python, because mypy checks as if it were that one: the newest releases of some
# libraries carry stubs in a syntax that it would refuse.
@nox.session(python=PYTHONS[0])
def types(session: nox.Session) -> None:
    """Check the types of everything that is run or read."""
    session.install("--editable", ".", "--group", "types")
    session.run("mypy")


@nox.session(python=PYTHONS[-1])
def docs(session: nox.Session) -> None:
    """Build the documentation; a broken reference or any other warning fails."""
    session.install("--editable", ".", "--group", "docs")
    session.run("sphinx-build", "-q", "-n", "-W", "--keep-going", "docs", "docs/_build/html")


@nox.session
def package(session: nox.Session) -> None:
    """Build what would be published, and check that nothing is missing or left over."""
    session.install("--group", "package")
    out = Path(session.create_tmp()) / "dist"
    session.run("python", "-m", "build", "--outdir", str(out))
    stem = f"{PACKAGE}-{PROJECT['version']}"

    with zipfile.ZipFile(out / f"{stem}-py3-none-any.whl") as wheel:
        shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert f"{PACKAGE}/py.typed" in shipped, "without py.typed nobody sees our types"
    assert shipped == expected, f"the wheel and the package differ: {shipped ^ expected}"

    with tarfile.open(out / f"{stem}.tar.gz") as sdist:
        tops = {name.split("/")[1] for name in sdist.getnames() if "/" in name}
    wanted = {"CHANGELOG.md", "LICENSE", "README.md", "docs", "examples", "pyproject.toml", "tests"}
    assert wanted <= tops, f"missing from the sdist: {wanted - tops}"
