"""A record of what was retained, with what re-runs on this machine tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_memreturn.reruns import native
from pytest_memreturn.reruns.findings import explained_by_reruns
from pytest_memreturn.reruns.installed import has_glibc, preloadable
from pytest_memreturn.reruns.remedies import attempts

if TYPE_CHECKING:
    from pytest_memreturn._record import Record
    from pytest_memreturn.reruns._contract import RemedyCandidate
    from pytest_memreturn.reruns.findings import Progress
    from pytest_memreturn.reruns.run import Runner


def explained(
    record: Record, run: Runner, progress: Progress, added: Sequence[RemedyCandidate] = ()
) -> Record:
    """Run it again and again, and try every remedy that this machine has, and those `added`."""
    return explained_by_reruns(
        record,
        attempts(
            record.explanation.released if record.explanation else {},
            run.invocation.variables,
            has_glibc=has_glibc(),
            preloads=preloadable(),
            added=added,
        ),
        run,
        progress,
        traces_native=native.is_installed(),
    )
