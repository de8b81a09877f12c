"""Source distributions of the projects whose suites are run, with the tests that wheels lack.

    python -m benchmarks.sdists FOLDER

Downloads them from the package registry: the one step of the benchmarks that needs a network.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import version_of


class SdistMissingError(Exception):
    """A project whose tests are not here."""


@dataclass(frozen=True)
class Project:
    """A project, where its tests are, and what its own test command says."""

    name: str
    kind: str
    tests: str
    options: tuple[str, ...] = ()
    # Pairs of runs, with the plugin and without it.
    rounds: int = 3

    def version(self) -> str:
        """The version that is installed: its tests are for no other."""
        found = version_of(self.name)
        if found is None:
            msg = f"{self.name} is not installed: `make bench` installs the group `bench`"
            raise SdistMissingError(msg)
        return found

    def unpacked(self, folder: Path) -> Path:
        """The root of its source under `folder`."""
        stem = f"{self.name}-{self.version()}"
        root = folder / stem
        if not root.is_dir():
            archive = folder / f"{stem}.tar.gz"
            if not archive.is_file():
                msg = f"{archive} is missing: `python -m benchmarks.sdists {folder}` downloads it"
                raise SdistMissingError(msg)
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        return root

    def download(self, folder: Path) -> None:
        """Have pip fetch its source distribution into `folder`."""
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary", ":all:", "--dest", str(folder)]
        command += [f"{self.name}=={self.version()}"]
        ended = subprocess.run(command, stderr=subprocess.PIPE, check=False, text=True)
        if ended.returncode != 0:
            msg = (
                f"pip could not download the source of {self.name} {self.version()}; "
                f"is there a network? pip said:\n{ended.stderr.strip()}"
            )
            raise SdistMissingError(msg)


PROJECTS = (
    # Without the seed, each run would try other examples.
    Project(
        "attrs",
        "small and pure, much of it property tests",
        "tests",
        ("-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0"),
    ),
    Project("jinja2", "a compiler, asynchronous code", "tests", rounds=7),
    # Three minutes a run.
    Project("networkx", "algorithms on graphs, with numpy, scipy and pandas", "networkx", rounds=1),
)


def main() -> None:
    """Download what is not there yet."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for project in PROJECTS:
        try:
            project.unpacked(folder)
        except SdistMissingError:
            project.download(folder)
            project.unpacked(folder)
        print(f"{project.name} {project.version()}: {project.unpacked(folder)}")


if __name__ == "__main__":
    try:
        main()
    except SdistMissingError as error:
        sys.exit(str(error))
