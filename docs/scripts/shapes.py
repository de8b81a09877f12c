"""What of printed text is the same on every machine: its words, without figures or drawings."""

from __future__ import annotations

import json
import re

# The entry of a failure message; its further lines are indented deeper.
_LABEL = re.compile(r"^  (?=[a-z])")
_FOLDED = re.compile(r"\n {13}(?=\S)")
_FIGURE = re.compile(r"[+-]?\d[\d,]*(\.\d+)?( [KMGT]?i?B\b)?")
# What is named by whoever made it, anew each time, or by how the machine calls its Python.
_NAMED = re.compile(r"(?<=/sem\.mp-)\w+|(?<=\bpython)3[\d.]*")
_BARS = re.compile(r"\|[█░·].*$", re.MULTILINE)
# Of lines whose number and order depend on sizes: what a reader should find in each of them.
_ENTRIES = {
    "where": 1,  # the largest account; which others are worth a word is the machine's affair
    "survivors": 1,
    "malloc": 0,
    "kept by": 0,
    "pinned by": 0,
}
# Entries that some machines have and others have no reason for.
_OPTIONAL = (
    *("and", "arenas", "heap", "hidden", "huge pages", "kept by", "malloc", "more", "pinned by"),
)


def shape(text: str) -> list[str]:
    """The lines that have to be the same, each without what may differ."""
    if text.startswith("```json\n{"):
        return _keys(json.loads(text.removeprefix("```json\n").removesuffix("```")))
    found: list[str] = []
    for line in _FOLDED.sub(" ", _BARS.sub("", text)).splitlines():
        words = _FIGURE.sub("N", _NAMED.sub("", line)).rstrip(" -=_")
        if _LABEL.match(line):
            label, *rest = re.split(r" {2,}| (?=try )", words.strip(), maxsplit=1)
            if label in _OPTIONAL:
                continue
            if label in _ENTRIES:
                rest = " ".join(rest).split(" · ")[: _ENTRIES[label]]
            words = " ".join([label, *rest])
        said = " ".join(words.strip(" -=_").split())
        # Of processes that grew alike, another machine may have more or fewer.
        if words.strip(" -=_|") and found[-1:] != [said]:
            found.append(said)
    return _with_remedies_sorted(found)


def _with_remedies_sorted(lines: list[str]) -> list[str]:
    """The best remedy comes first, which of two that return next to nothing is an accident."""
    remedies = iter(sorted(one for one in lines if one.startswith("remedy ")))
    return [next(remedies) if one.startswith("remedy ") else one for one in lines]


def _keys(value: object, above: str = "") -> list[str]:
    """The keys of an object of JSON, those of objects inside of it after a dot."""
    if not isinstance(value, dict):
        return [above]
    return [one for key, inner in value.items() for one in _keys(inner, f"{above}.{key}")]
