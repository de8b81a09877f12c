"""Everything that is looked at, one after the other; what fails is a finding."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_memreturn._checkup import Checkup, Finding, Noise
from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn.doctor import allocators, explaining, machine, readings, trials
from pytest_memreturn.probes.environment import environment

if TYPE_CHECKING:
    from pytest_memreturn._checkup import State
    from pytest_memreturn._instruments import Instruments

# What the windows of a test need, beside the rest: where it fails, tests are unjudged.
_NEEDED = (readings.footprint, readings.peak, readings.layout, readings.outside)


@dataclass(slots=True)
class _Findings:
    """What was found so far."""

    findings: list[Finding] = field(default_factory=list)
    noise: dict[str, Noise] = field(default_factory=dict)

    def look(
        self, topic: str, name: str, at: Callable[[], Iterable[Finding]], if_not: State = "limited"
    ) -> None:
        """Note what is found there, up to where it fails."""
        try:
            self.findings.extend(at())
        except Exception as error:  # noqa: BLE001 - on a machine that nobody has seen, anything can
            text = f"could not be found out: {_in_words(error)}"
            remedy = trials.ALLOW if if_not == "unjudged" else None
            self.findings.append(Finding(topic, name, text, if_not, remedy))


def examine(make_instruments: Callable[[], Instruments]) -> Checkup:
    """Look at this machine, in this process. Never raises but for what interrupts it."""
    found = _Findings()
    facts: dict[str, Any] = {}
    instruments, failure = _made(make_instruments)

    def surroundings() -> Iterator[Finding]:
        facts.update(_environment(instruments))
        yield from machine.system(facts)
        yield from machine.interpreter(facts)

    found.look(machine.TOPIC, "system", surroundings)
    found.look(machine.TOPIC, "memory", machine.memory)
    if instruments is None:
        text = f"none: {failure}"
        found.findings.append(Finding(readings.TOPIC, "probe", text, "unjudged", readings.MOUNT))
    else:
        _measure(found, instruments)
    found.look(explaining.TOPIC, "heap walk", explaining.heap_walk)
    found.look(explaining.TOPIC, "re-runs", explaining.reruns)
    found.look(explaining.EXTRAS, "extras", explaining.extras)
    return Checkup(facts, tuple(found.findings), found.noise)


def _measure(found: _Findings, instruments: Instruments) -> None:
    """Whatever takes instruments; the windows last, since what is needed for them comes before."""
    found.look(allocators.TOPIC, "statistics", lambda: allocators.allocators(instruments))
    found.look(allocators.TOPIC, "trim", allocators.trim)
    found.look(readings.TOPIC, "probe", lambda: readings.probe(instruments))
    for at in _NEEDED:
        look = functools.partial(at, instruments)
        found.look(readings.TOPIC, at.__name__, look, "unjudged")
    found.look(readings.TOPIC, "economy", lambda: readings.economy(instruments))
    for window, name, count in trials.WINDOWS:
        noise = trials.empty_windows(instruments, window, count)
        found.findings.append(trials.noise_finding(name, noise))
        if isinstance(noise, str):
            return  # the others would say the same
        found.noise[window] = noise
    found.look(trials.TOPIC, "known amounts", lambda: trials.known_amounts(instruments))


def _in_words(error: Exception) -> str:
    if isinstance(error, ReadingUnavailableError):
        return str(error)  # written for people
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _made(make: Callable[[], Instruments]) -> tuple[Instruments | None, str]:
    """The instruments, or why there are none."""
    try:
        return make(), ""
    except Exception as error:  # noqa: BLE001 - as above: it is told, and not raised
        return None, _in_words(error)


def _environment(instruments: Instruments | None) -> dict[str, Any]:
    """As in a report."""
    if instruments is None:
        return environment(None, [], {})
    try:
        unavailable = instruments.unavailable()
    except Exception:  # noqa: BLE001 - said with the allocators
        unavailable = {}
    return environment(instruments.memory.name, instruments.answering(), unavailable)
