"""What an isolated test's process is asked: plain data that goes through a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

# In the folder that a process is given: what it is asked, what it tells, what it says.
ORDER, ANSWER, OUTPUT = "order", "answer", "output"

# Its value is that folder: a test can tell by it that it is isolated, and what a test has started
# is known by it.
VARIABLE = "PYTEST_MEMRETURN_ISOLATED"


@dataclass(frozen=True, slots=True)
class Order:
    """Everything that the process of an isolated test has to know.

    `path` and `nodeid`: the file of the test, and its name. `args`: those of pytest; `program`:
    those of the run's own process. `options`: of plugins that would choose them anew, by where
    they are kept. `worker`: what pytest-xdist told the run, where it is a worker's. `given`: what
    this plugin would tell a worker. `library`: part of the name of the file that must be loaded.
    """

    nodeid: str
    path: str
    args: Sequence[str]
    program: Sequence[str]
    keeps_first_path: bool
    options: Mapping[str, object] = field(default_factory=dict)
    worker: Mapping[str, Any] | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    library: str | None = None

    def to_json(self) -> str:
        """As `from_json` reads it. What is no plain data stays here."""
        # Not `asdict`: that copies everything, also what can't be copied.
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in ("options", "worker", "given"):
            if found[name] is not None:
                found[name] = {k: v for k, v in found[name].items() if _plain(v)}
        return json.dumps(found)

    @classmethod
    def from_json(cls, text: str) -> Order:
        """The order that `to_json` wrote."""
        return cls(**json.loads(text))


def _plain(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
