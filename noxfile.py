"""Every check of the project, each in an environment of its own."""

import ast
import json
import os
import re
import shutil
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

# Prints where the interpreter really is, if it is one that the matrix is for, and "t" before it
# for a free-threaded build, which has a session of its own.
PROBE = """
import sys, sysconfig
if (
    sys.implementation.name == "cpython"
    and sys.version_info >= (3, 11)
    and sys.version_info.releaselevel == "final"
):
    print("t" * bool(sysconfig.get_config_var("Py_GIL_DISABLED")) + sys.executable)
"""


def interpreters(build: str = "") -> dict[str, Path]:
    """Find a working CPython for each minor version from 3.11 on, oldest first.

    `build` is "t" for free-threaded ones, which are never taken for others.
    Looks along PATH, then in every version of a version manager: its stubs on PATH may
    exist and yet fail, so a name proves nothing until it has been run.
    """
    manager = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [Path(entry) for entry in os.environ["PATH"].split(os.pathsep) if entry]
    folders += sorted(manager.glob("versions/*/bin"))

    found: dict[int, Path] = {}
    for candidate in (path for folder in folders for path in sorted(folder.glob("python3.*"))):
        name = re.fullmatch(rf"python3\.(\d+){build}(\.exe)?", candidate.name)
        if name is None or int(name[1]) in found:
            continue
        try:
            run = subprocess.run(
                [candidate, "-c", PROBE], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        prefix, slash, rest = run.stdout.strip().partition(os.sep)
        if run.returncode == 0 and slash and prefix == build:
            found[int(name[1])] = Path(slash + rest)
    return {f"3.{minor}{build}": path for minor, path in sorted(found.items())}


INTERPRETERS = interpreters()
if not INTERPRETERS:
    message = "no CPython >= 3.11 found on PATH or in a version manager"
    raise RuntimeError(message)
PYTHONS = list(INTERPRETERS)


def tested_by_make() -> str | None:
    """The minor version that `make test` has run on: that of its environment, if there is one."""
    settings = ROOT / ".venv/pyvenv.cfg"
    if not settings.exists():
        return None
    found = re.search(r"^version = (\d+\.\d+)\.", settings.read_text("utf-8"), re.MULTILINE)
    return found[1] if found else None


# Elsewhere than in its environment, nobody has allocated truly yet.
NOT_TESTED_BY_MAKE = [one for one in PYTHONS if one != tested_by_make()]
# Sessions name their Python by version ("tests-3.12"), and nox looks that up on PATH: put what
# was found in front of stubs of the same name.
os.environ["PATH"] = os.pathsep.join(
    [*(str(path.parent) for path in INTERPRETERS.values()), os.environ["PATH"]]
)
FREE_THREADED = interpreters("t")

# What has no session of its own; and of that, what allocates nothing to speak of.
ORDINARY = "not extended and not browser"
SCRIPTED = "not real and not browser and not extended"


# Where there is no other, it is no waste to ask for it by name.
@nox.session(python=NOT_TESTED_BY_MAKE or PYTHONS)
def real(session: nox.Session) -> None:
    """Run what truly allocates against the built wheel, where `make test` has not."""
    session.install(".", "--group", "test")
    check_newest(session)
    run_suite(session, "-m", "real and not extended")


@nox.session(python=PYTHONS[0])
def extended(session: nox.Session) -> None:
    """Run what needs other allocators and libraries; here nothing may be left out."""
    session.install(".", "--group", "test", "--group", "libraries", "--group", "servers")
    session.env["MEMRETURN_TEST_EVERYTHING"] = "1"
    run_suite(session, "-m", "extended")


@nox.session(python=PYTHONS[0])
def browser(session: nox.Session) -> None:
    """Look at the HTML report and the documentation in Chromium, which has to be there."""
    session.install(".", "--group", "test", "--group", "browser", "--group", "docs")
    session.env["MEMRETURN_TEST_EVERYTHING"] = "1"
    run_suite(session, "-m", "browser")


# `make test` and `coverage` have run the same with the newest of everything, on theirs.
@nox.session(python=[one for one in NOT_TESTED_BY_MAKE if one != PYTHONS[-1]] or PYTHONS[:1])
def lowest(session: nox.Session) -> None:
    """Run what allocates little on the lowest versions that the project says it supports."""
    pins = [requirement.replace(">=", "==") for requirement in PROJECT["dependencies"]]
    session.install(".", "--group", "test", *pins)
    # As pip wrote them down, so that no constraint from elsewhere has moved a version.
    installed = installed_versions(session)
    for pin in pins:
        name, lowest_version = pin.split("==")
        found = installed[name].split(".")
        assert found[: lowest_version.count(".") + 1] == lowest_version.split("."), installed[name]
        assert not any(int(part) for part in found[lowest_version.count(".") + 1 :]), found
    run_suite(session, "-m", SCRIPTED, "tests/integration", "tests/unit")


@nox.session(python=PYTHONS[-1], default=False)
def prerelease(session: nox.Session) -> None:
    """Run what a user sees on pre-releases of what the package needs, where there are any."""
    session.install(".", "--group", "test")
    names = [re.split("[><=]", requirement)[0] for requirement in PROJECT["dependencies"]]
    session.install("--pre", "--upgrade", *names)
    versions = installed_versions(session)
    session.log(", ".join(f"{name} {versions[name]}" for name in names))
    run_suite(session, "tests/integration")


# Named by their versions, so that `nox --list` tells which there are.
@nox.session(python=list(FREE_THREADED) or ["3.13t"], default=False)
def free_threaded(session: nox.Session) -> None:
    """Run what holds without a GIL on a free-threaded build."""
    # Few packages have wheels for each such build, and some sources need a compiler for Rust.
    session.install("--prefer-binary", ".", "--group", "test")
    run_suite(session, "tests/unit", "tests/property", "tests/real/test_free_threaded.py")


@nox.session(python=PYTHONS[0])
def soak(session: nox.Session) -> None:
    """Judge thousands of tests whose verdicts are known, or with `-- --short` some hundreds."""
    session.install(".", "--group", "test")
    # The folder of the package `soak`, in which the checkout's package is not to be found.
    session.chdir("tests")
    session.run("python", "-m", "soak", *session.posargs)


def run_suite(session: nox.Session, *options: str) -> None:
    """Run pytest by its script: `python -m pytest` would put the checkout before the wheel."""
    # -P, because what a script sees is asked for, and `-c` alone would look in the checkout first.
    where = output_of(session, "python", "-P", "-c", WHERE)
    assert ROOT / PACKAGE not in Path(where.strip()).parents, f"not the wheel: {where}"
    session.run("pytest", *options, *session.posargs, env=CLOSED)


# Prints where the package is imported from.
WHERE = f"import {PACKAGE}; print({PACKAGE}.__file__)"


def scratch(session: nox.Session) -> Path:
    """A folder for what the session makes; its tests keep to the machine's own."""
    folder = Path(session.create_tmp()).resolve()
    # It may lie below this project, whose settings pytest would find above every test it is
    # given there.
    session.env.pop("TMPDIR", None)
    return folder


def output_of(session: nox.Session, *command: str) -> str:
    """What a command prints, without the warnings that go to the other stream."""
    return str(session.run(*command, silent=True, log=False, stderr=subprocess.DEVNULL))


def installed_versions(session: nox.Session) -> dict[str, str]:
    """The version of everything in the session's environment."""
    listed = output_of(session, "python", "-m", "pip", "list", "--format=json")
    return {one["name"]: one["version"] for one in json.loads(listed)}


def check_newest(session: nox.Session) -> None:
    """Nothing that the package needs has a newer release than the one that is installed."""
    listed = output_of(session, "python", "-m", "pip", "list", "--outdated", "--format=json")
    needed = {re.split("[><=]", requirement)[0] for requirement in PROJECT["dependencies"]}
    older = [one for one in json.loads(listed) if one["name"] in needed]
    assert not older, f"something holds back {older}"


# Prints what the session is about.
VERSIONS = "import os, sys; print(sys.version, os.confstr('CS_GNU_LIBC_VERSION'))"

# In a mount namespace of its own: whatever happens in it, its mounts end with it. /dev/shm is a
# new one, because a segment that another program leaves there would count as a test's. The shell
# stays, as the parent of what it runs: a process without one would be another case.
ENTER = """
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
while [ "$1" != -- ]; do mount --bind "$1" "$root$1"; shift; done
shift
chroot "$root" "$@"
"""


@nox.session(python=PYTHONS[-1], default=False)
def debian_testing(session: nox.Session) -> None:
    """Run the suite in Debian testing: a newer CPython and C library than most machines have."""
    if os.geteuid() or not shutil.which("debootstrap") or not shutil.which("unshare"):
        session.error("this needs to be root, debootstrap and unshare (util-linux)")
    root = Path(session.cache_dir).resolve() / "debian-testing"
    if not (root / "usr/bin/python3").exists():
        shutil.rmtree(root, ignore_errors=True)
        unpacked = root.with_suffix(".partial")
        shutil.rmtree(unpacked, ignore_errors=True)
        session.run(
            *("debootstrap", "--variant=minbase", "--include=python3,python3-venv"),
            *("testing", str(unpacked), *debian_mirror()),
            external=True,
            silent=True,
        )
        unpacked.rename(root)

    wheels = scratch(session) / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    session.run("python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), ".")
    (wheel,) = wheels.glob("*.whl")

    settings = pip_settings(session)
    shown = {ROOT, wheels, *map(Path, ("/etc/hosts", "/etc/resolv.conf"))}
    shown |= {path for value in settings.values() for path in local_paths(value)}
    for path in sorted(shown):
        place = root / path.relative_to("/")
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()

    def run(*command: str, env: dict[str, str] | None = None) -> None:
        enter = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork")
        mounts = [str(path) for path in sorted(shown)]
        session.run(
            *(*enter, "--kill-child", "sh", "-ec", ENTER, "sh", str(root), *mounts, "--"),
            *("/usr/bin/env", "-C", str(ROOT), *command),
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})},
            external=True,
        )

    run("python3", "-m", "venv", "--clear", "/venv")
    groups = ("--group", "test", "--group", "servers")
    run(*("/venv/bin/pip", "install", "-q", str(wheel), *groups), env=settings)
    run("/venv/bin/python", "-P", "-c", f"{WHERE}; assert '/venv/' in {PACKAGE}.__file__")
    run("/venv/bin/python", "-c", VERSIONS)
    # The only place with a CPython 3.14, and so with processes that can be made to release.
    everything = {**CLOSED, "MEMRETURN_TEST_EVERYTHING": "1"}
    run("/venv/bin/pytest", "-m", f"({ORDINARY}) or servers", *session.posargs, env=everything)


def debian_mirror() -> list[str]:
    """Where this machine gets Debian's packages, if that is known; else debootstrap knows."""
    apt = shutil.which("apt-get")
    if apt is None:
        return []
    listed = subprocess.run(
        [apt, "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    )
    mirrors = [line.split()[1] for line in listed.stdout.splitlines() if line.startswith("Debian ")]
    return mirrors[:1]


def pip_settings(session: nox.Session) -> dict[str, str]:
    """What pip is told on this machine, by files or variables, as variables."""
    listed = output_of(session, "python", "-m", "pip", "config", "list")
    found = re.findall(r"^(?:global|install|:env:)\.([a-z-]+)=(.*)$", listed, re.MULTILINE)
    return {
        f"PIP_{name.upper().replace('-', '_')}": " ".join(ast.literal_eval(value).split())
        for name, value in found
    }


def local_paths(value: str) -> set[Path]:
    """Files and folders of this machine that a setting of pip names.

    The files of an index often lie beside it, in the folder above.
    """
    found = set()
    for word in value.split():
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            found.add(path.parent if word.startswith("file://") else path)
    return found


@nox.session(python=PYTHONS[-1])
def coverage(session: nox.Session) -> None:
    """Demand every line and branch, of all tests but those that a tracer would falsify."""
    session.install("--editable", ".", "--group", "test")
    # Beside the environment, so that neither an old run's data nor this one's is in the way.
    env = {**CLOSED, "COVERAGE_FILE": str(scratch(session) / "coverage")}
    session.run("coverage", "erase", env=env)
    # The laws of `tests/property` are no way to reach a line that nothing else reaches.
    folders = ("tests/integration", "tests/unit")
    command = ("coverage", "run", "-m", "pytest", "-m", SCRIPTED, *folders)
    session.run(*command, *session.posargs, env=env)
    session.run("coverage", "combine", "--quiet", env=env)
    session.run("coverage", "report", "--fail-under=100", env=env)


@nox.session(python=PYTHONS[0])
def mutation(session: nox.Session) -> None:
    """Change what decides, line by line, and demand that a test fails for each change."""
    session.install(".", "--group", "mutation")
    # mutmut writes the changed package beside the original: not into this checkout.
    copy = scratch(session) / "checkout"
    shutil.rmtree(copy, ignore_errors=True)
    for name in (PACKAGE, "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    session.chdir(copy)
    session.run("mutmut", "run", *session.posargs, env=CLOSED)
    session.run("python", "tests/mutation/check.py")


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


@nox.session(python=PYTHONS[0], default=False)
def docs_outputs(session: nox.Session) -> None:
    """Write anew what is made by running something: drawings, tables, output of terminals."""
    groups = ("test", "browser", "libraries", "servers")
    session.install("--editable", ".", *(part for one in groups for part in ("--group", one)))
    session.run("python", "-m", "docs.scripts.house")
    session.run("python", "-m", "docs.scripts.pictures")
    session.run("python", "-m", "docs.scripts.outputs", *session.posargs)


@nox.session(python=PYTHONS[-1], default=False)
def linkcheck(session: nox.Session) -> None:
    """Follow every link of the documentation that leads out of it: this needs the network."""
    session.install("--editable", ".", "--group", "docs")
    out = scratch(session) / "links"
    session.run("sphinx-build", "-q", "-b", "linkcheck", "docs", str(out))


@nox.session
def package(session: nox.Session) -> None:
    """Build what would be published, and check that nothing is missing or left over."""
    session.install("--group", "package")
    out = scratch(session) / "dist"
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
