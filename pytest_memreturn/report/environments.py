"""What environments of reports have in common, and in what they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

Environment = Mapping[str, Any]

# Which allocators are in use is seen when a report is written, by what its tests had imported:
# two runs of one machine differ in it.
_SEEN = ("allocators", "unavailable")
_OTHERS = "others"
_ABSENT = "not set"


class Difference(NamedTuple):
    """One fact in two environments, as text."""

    name: str
    old: str
    new: str


def differences(old: Environment, new: Environment, *, seen: bool = True) -> Iterator[Difference]:
    """In what two environments differ, fact by fact; variables and versions one by one.

    `seen`: also in which allocators were in use.
    """
    left, right = _facts(old, seen=seen), _facts(new, seen=seen)
    for name in dict.fromkeys([*left, *right]):
        if left.get(name) != right.get(name):
            yield Difference(name, left.get(name, _ABSENT), right.get(name, _ABSENT))


def all_environments(environment: Environment) -> list[dict[str, Any]]:
    """Every environment that a report was made in, the first one first, each without ``others``."""
    others = [dict(one) for one in environment.get(_OTHERS, ())]
    return [{key: value for key, value in environment.items() if key != _OTHERS}, *others]


def joined_environments(environments: Iterable[Environment]) -> list[dict[str, Any]]:
    """Those that differ, in their order; of equal ones, allocators that any of them saw."""
    kept: list[dict[str, Any]] = []
    for one in environments:
        same = next((found for found in kept if not any(differences(found, one, seen=False))), None)
        if same is None:
            kept.append(_sorted(one, one))
        else:
            same.update(_sorted(same, one))
    return kept


def one_environment(environments: list[dict[str, Any]]) -> dict[str, Any]:
    """The environment of a report that was made in several."""
    first, *others = environments
    return {**first, _OTHERS: others}


def others_in_words(environment: Environment) -> str | None:
    """That a report was made in several environments, of which readers are shown the first."""
    others = len(environment.get(_OTHERS, ()))
    if not others:
        return None
    more = "another environment" if others == 1 else f"{others} other environments"
    return f"{more}: the report is a merged one"


def _sorted(one: Environment, other: Environment) -> dict[str, Any]:
    """`one`, with what both of them saw, in an order that does not tell who saw it first."""
    names = {*one.get("allocators", ()), *other.get("allocators", ())}
    reasons = {**other.get("unavailable", {}), **one.get("unavailable", {})}
    return {**one, "allocators": sorted(names), "unavailable": dict(sorted(reasons.items()))}


def _facts(environment: Environment, *, seen: bool) -> dict[str, str]:
    """Everything that is known of an environment, as text by name."""
    facts: dict[str, str] = {}
    for name, value in environment.items():
        if name == _OTHERS or (name in _SEEN and not seen):
            continue
        if isinstance(value, Mapping):
            shown = name.removesuffix("s") if name in {"variables", "versions"} else name
            facts.update({f"{shown} {key}": _text(one) for key, one in value.items()})
        else:
            # Those in use are a set: no order of theirs tells anything.
            facts[name] = _text(sorted(value) if name in _SEEN else value)
    return facts


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return _ABSENT if value is None else str(value)
