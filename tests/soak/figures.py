"""The figures of past soaks, as data to add to, then as the table that the docs include."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .run import Tally

DATA = Path(__file__).parent / "figures.json"
TABLE = DATA.with_suffix(".md")

COLUMNS = {
    "noise": "noise",
    "clean": "clean tests",
    "false": "called retained",
    "leaks": "leaks",
    "missed": "called returned",
    "wrong_cause": "wrong cause",
    "unjudged": "unjudged",
    "minutes": "minutes",
    "seed": "seed",
    "machine": "on",
}


def machine() -> str:
    """What the soak was run on, as far as verdicts may depend on it."""
    python = ".".join(map(str, sys.version_info[:3]))
    libc = " ".join(platform.libc_ver())
    kernel = ".".join(platform.release().split("-")[0].split(".")[:2])
    return f"CPython {python}, {libc}, Linux {kernel}, {os.cpu_count()} processors"


def write_figures(noise: tuple[str, ...], tally: Tally) -> None:
    """Put the figures of one soak in the place of the last one with the same noise."""
    rows = (
        {row["noise"]: row for row in json.loads(DATA.read_text("utf-8"))} if DATA.exists() else {}
    )
    title = ", ".join(noise) or "none"
    rows[title] = {
        "noise": title,
        "clean": tally.clean,
        "false": tally.false,
        "leaks": tally.leaks,
        "missed": tally.missed,
        "wrong_cause": tally.wrong_cause,
        "unjudged": tally.unjudged,
        "minutes": round(tally.seconds / 60),
        "seed": tally.seeds[0],
        "machine": machine(),
    }
    ordered = [rows[key] for key in sorted(rows, key=lambda key: (key != "none", key))]
    DATA.write_text(json.dumps(ordered, indent=1) + "\n", "utf-8")
    lines = [
        "| " + " | ".join(COLUMNS.values()) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(_text(row[key]) for key in COLUMNS) + " |" for row in ordered),
    ]
    TABLE.write_text("\n".join(lines) + "\n", "utf-8")


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
