"""Everything that is looked at, one after the other; what fails is a finding."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pytest_memreturn._checkup import Checkup, Finding, Noise
from pytest_memreturn.doctor import allocators, explaining, machine, readings, trials
from pytest_memreturn.probes.environment import environment

if TYPE_CHECKING:
    from pytest_memreturn._checkup import State
    from pytest_memreturn._instruments import Instruments

_READ = "allow the reading that it names"


def examine(make_instruments: Callable[[], Instruments]) -> Checkup:
    """Look at this machine, in this process. Never raises but for what interrupts it."""
    findings: list[Finding] = []
    noise: dict[str, Noise] = {}

    def look(
        topic: str, name: str, at: Callable[[], Iterable[Finding]], if_not: State = "limited"
    ) -> None:
        """Note what is found there, up to where it fails."""
        try:
            findings.extend(at())
        except Exception as error:  # noqa: BLE001 - on a machine that nobody has seen, anything can
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            remedy = _READ if if_not == "unjudged" else None
            findings.append(Finding(topic, name, f"could not be found out: {text}", if_not, remedy))

    instruments, failure = _made(make_instruments)
    facts: dict[str, Any] = {}

    def surroundings() -> Iterator[Finding]:
        facts.update(_environment(instruments))
        yield from machine.system(facts)
        yield from machine.interpreter(facts)

    look(machine.TOPIC, "system", surroundings)
    look(machine.TOPIC, "memory", machine.memory)
    if instruments is None:
        remedy = readings.MOUNT
        findings.append(Finding(readings.TOPIC, "probe", f"none: {failure}", "unjudged", remedy))
    else:
        look(allocators.TOPIC, "statistics", lambda: allocators.allocators(instruments))
        look(allocators.TOPIC, "trim", allocators.trim)
        for name, judged, at in (
            ("probe", False, readings.probe),
            ("footprint", True, readings.footprint),
            ("peak", True, readings.peak),
            ("layout", True, readings.layout),
            ("outside", True, readings.outside),
            ("economy", False, readings.economy),
        ):
            state: State = "unjudged" if judged else "limited"
            look(readings.TOPIC, name, functools.partial(at, instruments), state)
        for window, name, count in trials.WINDOWS:
            found = trials.empty_windows(instruments, window, count)
            if isinstance(found, Noise):
                noise[window] = found
            findings.append(trials.noise_finding(name, found))
        look(trials.TOPIC, "known amounts", lambda: trials.known_amounts(instruments))
    look(explaining.TOPIC, "heap walk", explaining.heap_walk)
    look(explaining.TOPIC, "re-runs", explaining.reruns)
    look(explaining.EXTRAS, "extras", explaining.extras)
    return Checkup(facts, tuple(findings), noise)


def _made(make: Callable[[], Instruments]) -> tuple[Instruments | None, str]:
    """The instruments, or why there are none."""
    try:
        return make(), ""
    except Exception as error:  # noqa: BLE001 - the same
        return None, str(error) or type(error).__name__


def _environment(instruments: Instruments | None) -> dict[str, Any]:
    """As in a report."""
    if instruments is None:
        return environment(None, [], {})
    try:
        unavailable = instruments.unavailable()
    except Exception:  # noqa: BLE001 - said with the allocators
        unavailable = {}
    return environment(instruments.memory.name, instruments.answering(), unavailable)
