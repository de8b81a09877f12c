"""How the process of an isolated test ended, in words."""

from __future__ import annotations

import signal
from dataclasses import dataclass

_WHERE = {"setup": "before its set-up had ended", "call": "in its body", "teardown": "in tear-down"}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended.

    `status`: negative for the number of a signal; ``None`` where nobody can know it any more, as
    the process that it came from, and would tell, ended before it: it was ended then.
    `limit_seconds`: the limit that it was ended for. `oom_kills`: by how many the kernel's count
    of processes that it ended for want of memory rose meanwhile; ``None`` where it can't be read.
    """

    status: int | None
    limit_seconds: float | None = None
    oom_kills: int | None = None

    @property
    def is_crash(self) -> bool:
        """Whether it was ended by a signal, or by an internal error of pytest."""
        return self.status is not None and (
            self.status < 0 or self.status == 3  # noqa: PLR2004 - pytest's number for it
        )

    def words(self) -> str:
        """What became of it, for a sentence that begins with it."""
        if self.limit_seconds is not None:
            return f"had not ended within {self.limit_seconds:g} s, and was ended"
        if self.status is None:
            return "was ended, since the process that it comes from had ended"
        if self.status >= 0:
            return f"ended without a report, with exit status {self.status}"
        return f"was killed by {_name(-self.status)}{self._hint()}"

    def sentence(self, phase: str) -> str:
        """The same of an isolated test, with the phase that is missing."""
        return f"the interpreter of this isolated test {self.words()} ({_WHERE[phase]})"

    def _hint(self) -> str:
        if self.status != -signal.SIGKILL:
            return ""
        if self.oom_kills:
            return ": the kernel ended it for want of memory (oom_kill in memory.events rose)"
        if self.oom_kills is None:
            return ": perhaps by the kernel, for want of memory"
        return ", though not for want of memory in its control group"


def _name(number: int) -> str:
    try:
        found = signal.Signals(number)
    except ValueError:  # a real-time signal
        return f"signal {number}"
    return f"{found.name} ({signal.strsignal(number)})"
