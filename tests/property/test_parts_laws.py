"""Laws of what accounts are made of, and of spans that are taken out of a window."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pytest_memreturn._free_parts import split_free
from pytest_memreturn._ledger import Ledger, close_ledger
from pytest_memreturn._outside import NOTHING_OUTSIDE, ChildProcess, Outside
from pytest_memreturn._snapshot import AllocatorStatistics, KindUsage, MappingKind, Snapshot

BYTES = st.integers(0, 2**40)
GROWTHS = st.integers(-(2**40), 2**40)
KINDS: tuple[MappingKind, ...] = ("heap", "arena", "anonymous", "stack", "file")


@st.composite
def readings(draw: st.DrawFn) -> Snapshot:
    """A reading of one process, which always has the same allocators; its figures are wild."""
    kinds = {kind: KindUsage(draw(BYTES), draw(BYTES)) for kind in KINDS}
    allocators = (
        AllocatorStatistics(
            "malloc",
            draw(BYTES),
            live_by_kind={"heap": draw(BYTES), "arena": draw(BYTES)},
            own_mapping_live_bytes=draw(BYTES),
        ),
        AllocatorStatistics("python", draw(BYTES), draw(BYTES), from_start=True),
        AllocatorStatistics("untold", draw(BYTES)),
    )
    children = draw(
        st.sampled_from([NOTHING_OUTSIDE, Outside((ChildProcess(7, "x", "x -c y", 2**20),))])
    )
    inside = sum(one.counted_bytes for one in kinds.values())
    return Snapshot(
        inside + children.footprint_bytes,
        inside,
        kinds=kinds,
        allocators=allocators,
        outside=children,
    )


@given(readings(), readings())
def test_the_parts_of_an_account_sum_to_it(before: Snapshot, after: Snapshot) -> None:
    """By place: main heap, thread arenas, mappings of their own."""
    ledger = close_ledger(before, after)
    assert set(ledger.parts) == {"malloc-live", "malloc-free"}
    for account, parts in ledger.parts.items():
        assert sum(parts.values()) == ledger.accounts[account]


@given(readings(), readings(), readings(), readings())
def test_less_a_span_everything_still_sums(
    before: Snapshot, begun: Snapshot, ended: Snapshot, after: Snapshot
) -> None:
    """Growth, each account, the unexplained, each part: the whole less what was in the span."""
    whole, span = close_ledger(before, after), close_ledger(begun, ended)
    rest = whole.less(span)
    assert rest.growth_bytes == whole.growth_bytes - span.growth_bytes
    assert rest.unexplained_bytes == whole.unexplained_bytes - span.unexplained_bytes
    assert sum(rest.to_dict().values()) == rest.growth_bytes
    for account, size in rest.accounts.items():
        assert size == whole.accounts.get(account, 0) - span.accounts.get(account, 0)
    for account, parts in rest.parts.items():
        assert sum(parts.values()) == rest.accounts[account]


@given(readings(), readings())
def test_nothing_less_nothing(before: Snapshot, after: Snapshot) -> None:
    """A span in which nothing moved takes nothing away, and the whole leaves nothing."""
    ledger = close_ledger(before, after)
    assert ledger.less(close_ledger(before, before)) == replace(
        ledger, accounts=ledger.less(close_ledger(before, before)).accounts
    )
    assert set(ledger.less(ledger).to_dict().values()) == {0}


PLACES = st.dictionaries(st.sampled_from(["main-heap", "thread-arenas", "own-mappings"]), GROWTHS)
FREE_ACCOUNTS = ("malloc-free", "py-arrow-free", "python-free")


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    """A ledger of which some accounts have parts, as many as sum to them."""
    parts = draw(st.dictionaries(st.sampled_from(FREE_ACCOUNTS), PLACES))
    accounts = draw(st.dictionaries(st.sampled_from([*FREE_ACCOUNTS, "malloc-live"]), GROWTHS))
    accounts |= {account: sum(places.values()) for account, places in parts.items()}
    return Ledger(draw(GROWTHS), accounts, parts)


TOPS = st.dictionaries(st.sampled_from(["malloc", "py-arrow", "python"]), GROWTHS)


@given(ledgers(), ledgers(), TOPS)
def test_what_is_free_is_shared_out_without_a_rest(
    at_gate: Ledger, after_trim: Ledger, tops: dict[str, int]
) -> None:
    """Trimmable, pinned and out of reach are the account; only what a trim left can be pinned."""
    split = split_free(at_gate, after_trim, tops)
    assert set(split) == {
        account
        for account in at_gate.accounts
        if account.endswith("-free") and account != "python-free"
    }
    for account, parts in split.items():
        assert sum(parts.values()) == at_gate.accounts[account]
        kept = [size for name, size in parts.items() if not name.endswith("trimmable")]
        assert all(size >= 0 for size in kept)
        assert sum(size for name, size in parts.items() if name.endswith("tops")) <= max(
            0, tops.get(account.removesuffix("-free"), 0)
        )


@given(ledgers(), TOPS)
def test_what_a_trim_returned_is_not_pinned(at_gate: Ledger, tops: dict[str, int]) -> None:
    """Where nothing is left, all of it was trimmable."""
    nothing = Ledger(0, dict.fromkeys(at_gate.accounts, 0))
    for account, parts in split_free(at_gate, nothing, tops).items():
        trimmable = sum(size for name, size in parts.items() if name.endswith("trimmable"))
        assert trimmable == at_gate.accounts[account]
