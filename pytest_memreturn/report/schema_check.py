"""Whether data is of the kinds that the report schema says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from itertools import chain, repeat
from typing import Any

_SHOWN_CHARACTERS = 40
_KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def problem_in(report: object) -> str | None:
    """The first value that is not what a reader relies on, in words; ``None`` where all are.

    Keys may be missing, as in a report of an earlier version, and keys that are not known here
    may hold anything.
    """
    return next(_problems(report, _schema(), ""), None)


@cache
def _schema() -> dict[str, Any]:
    """The schema beside this file."""
    text = resources.files("pytest_memreturn.report").joinpath("schema-1.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _problems(value: object, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    """The words of JSON Schema that are used there, but for those on what must be there."""
    if "$ref" in schema:
        schema = _schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    choices = schema.get("anyOf", schema.get("oneOf"))
    if choices is not None:
        # The other choice is null, of which there is nothing to be said.
        found = [list(_problems(value, one, where)) for one in choices]
        if all(found):
            yield from found[-1]
        return
    if not _is_of_kind(value, schema.get("type")):
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        yield f"{where} is {_shown(value)}, and no {' or '.join(kinds)}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where} is {_shown(value)}, and none of {', '.join(map(str, schema['enum']))}"
    else:
        for inner, described, place in _parts(value, schema):
            yield from _problems(inner, described, f"{where}{place}".lstrip("."))


def _parts(value: object, schema: Mapping[str, Any]) -> Iterator[tuple[object, Any, str]]:
    """What is in an object or an array, what the schema says of it, and where it is."""
    if isinstance(value, dict):
        for key, one in value.items():
            described = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if isinstance(described, dict):
                yield one, described, f".{_shown_key(key)}"
    elif isinstance(value, list):
        items = chain(schema.get("prefixItems", ()), repeat(schema.get("items", {})))
        for number, (one, described) in enumerate(zip(value, items, strict=False)):
            yield one, described, f"[{number}]"


def _is_of_kind(value: object, kind: str | list[str] | None) -> bool:
    if kind is None:
        return True
    kinds = [kind] if isinstance(kind, str) else kind
    if isinstance(value, bool):
        return "boolean" in kinds
    return any(isinstance(value, _KINDS[one]) for one in kinds)


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _shown_key(key: str) -> str:
    return key if key.isidentifier() else _shown(key)
