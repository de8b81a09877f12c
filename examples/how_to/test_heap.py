"""Work that keeps 1 MB and holds on to 60: what matters is what lies above it in the heap."""

import json

import pytest

SUMMARIES: list[str] = []


def read_orders() -> list[dict[str, object]]:
    """20,000 orders of 3 KB."""
    line = json.dumps({"customer": "somebody", "lines": "one of everything, " * 150})
    return [json.loads(line) for _ in range(20_000)]


@pytest.mark.returns_memory
def test_summaries() -> None:
    orders = read_orders()
    SUMMARIES.extend(str(order["lines"])[:50] * 20 for order in orders[::20])


@pytest.mark.returns_memory(trim=True)
def test_summaries_after_a_trim() -> None:
    orders = read_orders()
    SUMMARIES.extend(str(order["lines"])[:50] * 20 for order in orders[::20])
