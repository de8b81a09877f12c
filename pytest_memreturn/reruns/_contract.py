"""What a re-run is asked, and what it tells: plain data that goes through files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from pytest_memreturn._explanation import Line, known_fields
from pytest_memreturn._record import Record

# What a re-run looks at, besides judging the test.
Look: TypeAlias = Literal["nothing", "twice", "lines", "native", "timeline", "child"]


@dataclass(frozen=True, slots=True)
class RemedyCandidate:
    """Something that may return memory, to be tried in a fresh interpreter.

    `how`: in a few words, how to apply it in production. `env`: variables that the interpreter
    starts with. `call`: called where the body of the test has ended, inside its window.

    Give it to the hook ``pytest_memreturn_remedies``.
    """

    name: str
    how: str
    env: Mapping[str, str] = field(default_factory=dict)
    call: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What one re-run does. `release`: allocators to ask at the window's end, by name.

    `remedy`: the candidate of a hook to call there. `env`: variables to start with.
    """

    look: Look = "nothing"
    release: tuple[str, ...] = ()
    remedy: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """Everything that the process of a re-run has to know.

    `path` and `nodeid`: the file of the test, and its name. `args`: those of pytest. `answer`: the
    file to write to. `folder`: for whatever a run leaves behind. `keeps_first_path`: whether the
    folder it starts in belongs on ``sys.path``.
    """

    nodeid: str
    path: str
    args: tuple[str, ...]
    answer: str
    folder: str
    keeps_first_path: bool
    look: Look
    release: tuple[str, ...]
    remedy: str | None

    def to_json(self) -> str:
        """As `from_json` reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """The order that `to_json` wrote."""
        data = json.loads(text)
        return cls(**{**data, "args": tuple(data["args"]), "release": tuple(data["release"])})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a re-run told. `found`: how many tests had the name. `ended`: why it is not complete.

    `live_bytes`: what the allocators had handed out after each pass. `problem`: what kept it from
    its task.
    """

    found: int = 0
    records: tuple[Record, ...] = ()
    lines: tuple[Line, ...] = ()
    timeline: tuple[tuple[float, int], ...] = ()
    live_bytes: tuple[int, ...] = ()
    problem: str | None = None
    ended: str | None = None

    def reason(self) -> str | None:
        """Why it tells nothing; ``None`` where its first record is a verdict."""
        if self.problem is not None:
            return self.problem
        if not self.records:
            if self.ended is not None:
                return self.ended
            if not self.found:
                return "the test was not found again: its id may change from run to run"
            return "the test was not judged"
        first = self.records[0]
        return None if first.verdict != "unjudged" else first.reason or "no reason known"


def parse_answer(lines: Iterator[str], ended: str | None) -> Answer:
    """The answer of a process that wrote one JSON object a line, as far as it came."""
    told: dict[str, Any] = {"ended": ended}
    records: list[Record] = []
    live_bytes: list[int] = []
    for line in lines:
        try:
            one = json.loads(line)
        except ValueError:
            continue  # it was killed while it wrote
        if "record" in one:
            records.append(Record.from_dict(one["record"]))
        elif "live_bytes" in one:
            live_bytes.append(one["live_bytes"])
        elif "lines" in one:
            told["lines"] = tuple(Line(**known_fields(Line, found)) for found in one["lines"])
        elif "timeline" in one:
            told["timeline"] = tuple((at, size) for at, size in one["timeline"])
        else:
            told |= one
    return Answer(records=tuple(records), live_bytes=tuple(live_bytes), **told)
