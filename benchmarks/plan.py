"""How much is measured: all of it, or just enough to see that it works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory


@dataclass(frozen=True)
class Plan:
    """What the command line asked for."""

    quick: bool = False
    alone: bool = False
    against: Path | None = None
    sdists: Path = Path("sdists")

    def pick(self, full: int, quick: int) -> int:
        """One number in a full run, another in a quick one."""
        return quick if self.quick else full

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder for one group's files."""
        with TemporaryDirectory(prefix="benchmarks-") as name:
            yield Path(name)
