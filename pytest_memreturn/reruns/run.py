"""One re-run: its order, its process, its answer."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pytest_memreturn._sizes import KIB
from pytest_memreturn.fresh.command import Invocation
from pytest_memreturn.fresh.process import end_group, has_ended_within, lifeline, start
from pytest_memreturn.reruns._contract import Answer, Order, Task, parse_answer

# Tests passed, or failed, or there were none: the answer says more.
_TOLD_ITSELF = {0, 1, 5}
_ERROR = ("E ", "ERROR")
_MOST_OUTPUT_BYTES = 64 * KIB


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs one test again and again, each time in a fresh interpreter."""

    invocation: Invocation
    nodeid: str
    path: str
    timeout_seconds: float

    def __call__(self, task: Task) -> Answer:
        """What one re-run told. Never raises but for what interrupts this process."""
        with tempfile.TemporaryDirectory(
            prefix="memreturn-", ignore_cleanup_errors=True
        ) as scratch:
            try:
                return self._run(task, Path(scratch))
            except OSError as error:
                return Answer(problem=f"it could not be started: {error.strerror or error}")

    def _run(self, task: Task, scratch: Path) -> Answer:
        answer, order, output = scratch / "answer", scratch / "order", scratch / "output"
        answer.touch()
        order.write_text(
            Order(
                nodeid=self.nodeid,
                path=self.path,
                args=self.invocation.arguments(scratch / "temporary", scratch / "cache"),
                answer=str(answer),
                folder=str(scratch),
                keeps_first_path=self.invocation.keeps_first_path,
                look=task.look,
                release=task.release,
                remedy=task.remedy,
            ).to_json(),
            encoding="utf-8",
        )
        with lifeline() as held, output.open("wb") as shown:
            process = start(
                self.invocation,
                ("pytest_memreturn.reruns.child", str(order), str(held)),
                variables={**self.invocation.variables, **task.env},
                output=shown,
                keeps_open=(held,),
            )
            ended = self._wait(process)
        if ended is None and process.returncode not in _TOLD_ITSELF:
            ended = f"it ended with status {process.returncode}{_last_line(output)}"
        with answer.open(encoding="utf-8") as lines:
            return parse_answer(iter(lines), ended)

    def _wait(self, process: subprocess.Popen[bytes]) -> str | None:
        """Wait for the end; why it had to be ended. Nothing of its group is left, come what may."""
        try:
            if not has_ended_within(process, self.timeout_seconds):
                return f"it had not ended within {self.timeout_seconds:g} s"
        finally:
            end_group(process)
        return None


def _last_line(output: Path) -> str:
    """The last error it showed, or what it said last."""
    with output.open("rb") as shown:
        shown.seek(max(0, output.stat().st_size - _MOST_OUTPUT_BYTES))
        lines = shown.read().decode("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if line.startswith(_ERROR)]
    return f": {(errors or said)[-1].strip('= ')}" if said else ""
