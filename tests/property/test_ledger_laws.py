"""Laws of accounts, verdicts and causes, for any pair of readings."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pytest_memreturn._allowance import Allowance, allowance
from pytest_memreturn._free_parts import split_free
from pytest_memreturn._ledger import Ledger, close_ledger
from pytest_memreturn._outside import NOTHING_OUTSIDE, ChildProcess, Outside, Segment
from pytest_memreturn._settings import Limits, Sourced
from pytest_memreturn._snapshot import (
    AllocatorStatistics,
    KindUsage,
    MappingKind,
    Snapshot,
)
from pytest_memreturn._verdict import find_causes, judge, python_share

BYTES = st.integers(0, 2**40)
GROWTHS = st.integers(-(2**40), 2**40)
KINDS: tuple[MappingKind, ...] = (
    "heap",
    "arena",
    "stack",
    "anonymous",
    "shared-memory",
    "file",
    "special",
)
FOREIGN: tuple[MappingKind, ...] = ("stack", "shared-memory", "file", "special")

MALLOC = st.builds(
    AllocatorStatistics,
    st.just("malloc"),
    BYTES,
    live_by_kind=st.fixed_dictionaries({"heap": BYTES, "arena": BYTES}),
    own_mapping_live_bytes=BYTES,
    thread_top_bytes=BYTES,
)
POOLS = st.builds(
    AllocatorStatistics,
    st.sampled_from(["python", "pool", "py-arrow", "device"]),
    BYTES,
    # Without it, what it holds is untold.
    st.one_of(st.none(), BYTES),
    own_mapping_live_bytes=st.one_of(st.just(0), BYTES),
    holds_address_space=st.booleans(),
    is_from_malloc=st.sampled_from([False, False, False, True]),
    from_start=st.booleans(),
    is_silent=st.sampled_from([False, False, False, True]),
    is_elsewhere=st.sampled_from([False, False, False, True]),
)
ALLOCATORS = st.builds(
    lambda malloc, pools: (*malloc, *pools),
    st.lists(MALLOC, max_size=1),
    st.lists(POOLS, max_size=3, unique_by=lambda one: one.name),
)
OUTSIDES = st.one_of(
    st.just(NOTHING_OUTSIDE),
    st.builds(
        Outside,
        st.lists(st.builds(ChildProcess, st.integers(1, 4), st.just("x"), st.just("x"), BYTES)).map(
            tuple
        ),
        st.lists(
            st.builds(Segment, st.just("shm"), st.just("x"), BYTES, BYTES, st.just("root")),
            max_size=3,
        ).map(tuple),
        st.dictionaries(st.sampled_from(["gpu", "server"]), GROWTHS),
        st.dictionaries(st.sampled_from(["seen"]), GROWTHS),
    ),
)
GIVEN_BACK = st.dictionaries(st.sampled_from(["malloc", "python", "pool", "py-arrow"]), GROWTHS)


@st.composite
def snapshots(draw: st.DrawFn, *, has_layout: bool | None = None) -> Snapshot:
    """Any reading, of a probe with a layout or of one without; as wild as it may be."""
    layouts = st.dictionaries(
        st.sampled_from(KINDS), st.builds(KindUsage, BYTES, BYTES), min_size=1
    )
    if has_layout is None:
        has_layout = draw(st.booleans())
    kinds = draw(layouts) if has_layout else {}
    swap = draw(st.sampled_from([0, 4096, 2**30]))
    inside = sum(one.counted_bytes for one in kinds.values()) + swap if kinds else draw(BYTES)
    outside = draw(OUTSIDES)
    return Snapshot(
        inside + outside.footprint_bytes,
        draw(BYTES),
        swap_bytes=swap,
        kinds=kinds,
        allocators=draw(ALLOCATORS),
        outside=outside,
    )


@given(snapshots(), snapshots(), GIVEN_BACK)
def test_a_ledger_sums_to_the_growth(
    before: Snapshot, after: Snapshot, given_back: dict[str, int]
) -> None:
    """Every account and the unexplained together are the footprint's growth, to the byte."""
    ledger = close_ledger(before, after, given_back=given_back)
    assert ledger.growth_bytes == after.footprint_bytes - before.footprint_bytes
    written = ledger.to_dict()
    assert sum(written.values()) == ledger.growth_bytes
    assert written["unexplained"] == ledger.unexplained_bytes
    assert sorted(written.values(), reverse=True) == list(written.values())


@given(snapshots())
def test_where_nothing_changed_every_account_is_zero(snapshot: Snapshot) -> None:
    """A reading compared with itself has nothing to say."""
    assert set(close_ledger(snapshot, snapshot).to_dict().values()) == {0}


@given(snapshots(), snapshots(), st.data())
def test_only_growth_counts(before: Snapshot, after: Snapshot, data: st.DataObject) -> None:
    """What both readings have more of, and no allocator cuts from, changes no account."""
    more = data.draw(BYTES)
    kind = data.draw(st.sampled_from(FOREIGN)) if before.kinds and after.kinds else None
    found = close_ledger(lifted(before, more, kind), lifted(after, more, kind))
    assert found == close_ledger(before, after)


def lifted(snapshot: Snapshot, more: int, kind: MappingKind | None = None) -> Snapshot:
    """The same reading with so many bytes more, of one kind or of none."""
    kinds = dict(snapshot.kinds)
    if kind is not None:
        old = kinds.get(kind, KindUsage(0, 0))
        kinds[kind] = KindUsage(old.size_bytes + more, old.counted_bytes + more)
    return replace(
        snapshot,
        footprint_bytes=snapshot.footprint_bytes + more,
        rss_bytes=snapshot.rss_bytes + more,
        kinds=kinds,
    )


@given(snapshots(), snapshots())
def test_with_a_layout_whole_kinds_are_explained(before: Snapshot, after: Snapshot) -> None:
    """Stacks, shared memory and swap are told by the kernel, to the byte."""
    if before.kinds and after.kinds:
        ledger = close_ledger(before, after)
        owners: dict[str, MappingKind] = {"stacks": "stack", "shared-memory": "shared-memory"}
        for account, kind in owners.items():
            growth = after.counted_bytes(kind) - before.counted_bytes(kind)
            if account == "shared-memory":
                growth += after.outside.segments_bytes - before.outside.segments_bytes
            assert ledger.accounts[account] == growth
        assert ledger.accounts["swapped"] == after.swap_bytes - before.swap_bytes


@given(BYTES, BYTES, BYTES, BYTES)
def test_memory_of_malloc_alone_is_never_unexplained(
    resident_before: int, live_before: int, resident_after: int, live_after: int
) -> None:
    """Where the layout tells whose a mapping is, live and free share it without a rest."""
    before, after = (
        Snapshot(
            resident,
            resident,
            kinds={"heap": KindUsage(2**41, resident)},
            allocators=(AllocatorStatistics("malloc", live, live_by_kind={"heap": live}),),
        )
        for resident, live in ((resident_before, live_before), (resident_after, live_after))
    )
    ledger = close_ledger(before, after)
    assert ledger.unexplained_bytes == 0
    assert ledger.accounts["malloc-live"] + ledger.accounts["malloc-free"] == ledger.growth_bytes


LIMITS = st.builds(
    Limits,
    st.one_of(st.none(), st.builds(Sourced, BYTES, st.just("a size"))),
    st.one_of(st.none(), st.builds(Sourced, st.fractions(0, 1), st.just("a share"))),
).filter(lambda one: one.max_retained_bytes is not None or one.min_returned is not None)


@given(GROWTHS, BYTES, BYTES)
def test_a_wider_allowance_never_fails_more(retained: int, allowed: int, more: int) -> None:
    """Raising an allowance never turns returned into retained."""
    narrow = judge(retained, Allowance(allowed, "narrow"))
    wide = judge(retained, Allowance(allowed + more, "wide"))
    assert (narrow, wide) != ("returned", "retained")
    assert {narrow, wide} <= {"returned", "retained"}


@given(GROWTHS, BYTES, BYTES)
def test_keeping_more_never_passes_more(retained: int, allowed: int, more: int) -> None:
    """Whoever kept less did not do worse."""
    limit = Allowance(allowed, "test")
    assert (judge(retained, limit), judge(retained + more, limit)) != ("retained", "returned")


@given(LIMITS, GROWTHS)
def test_an_allowance_is_never_negative(limits: Limits, peak_growth: int) -> None:
    """Whatever a window did, giving nothing back to it is never demanded of it."""
    found = allowance(limits, peak_growth)
    assert found.allowed_bytes >= 0
    assert found.origin.startswith(("a size", "a share"))


@given(LIMITS, GROWTHS, BYTES)
def test_a_higher_peak_never_allows_less(limits: Limits, peak_growth: int, more: int) -> None:
    """A share is of the peak, so that using more never narrows it."""
    assert (
        allowance(limits, peak_growth).allowed_bytes
        <= allowance(limits, peak_growth + more).allowed_bytes
    )


@given(LIMITS, GROWTHS)
def test_both_limits_must_hold(limits: Limits, peak_growth: int) -> None:
    """Together they allow what the narrower one alone allows."""
    alone = [
        allowance(limit, peak_growth).allowed_bytes
        for limit in (Limits(limits.max_retained_bytes, None), Limits(None, limits.min_returned))
        if limit != Limits(None, None)
    ]
    assert allowance(limits, peak_growth).allowed_bytes == min(alone)


ACCOUNTS = st.dictionaries(
    st.sampled_from(
        [
            "malloc-live",
            "malloc-free",
            "python-live",
            "python-free",
            "pool-live",
            "pool-free",
            "mapped",
            "stacks",
            "shared-memory",
            "swapped",
        ]
    ),
    GROWTHS,
)
LEDGERS = st.builds(Ledger, GROWTHS, ACCOUNTS)
PARTS = st.dictionaries(
    st.sampled_from(["malloc-free", "pool-free"]),
    st.dictionaries(st.sampled_from(["trimmable", "main-heap-pinned", "pinned"]), GROWTHS),
)


@given(LEDGERS, GROWTHS, st.booleans())
def test_causes_share_out_what_accounts_hold(
    at_gate: Ledger, in_malloc: int, somebody_looked: bool
) -> None:
    """The largest first; together no more than the accounts that grew, nor less than the growth."""
    found = find_causes(at_gate, {}, python_in_malloc_bytes=in_malloc if somebody_looked else None)
    sizes = list(found.bytes_by_cause.values())
    assert all(size > 0 for size in sizes)
    assert sizes == sorted(sizes, reverse=True)
    grown = sum(size for size in at_gate.to_dict().values() if size > 0)
    assert at_gate.growth_bytes <= sum(sizes) <= grown
    assert found.bytes_by_cause or at_gate.growth_bytes <= 0


@given(LEDGERS, LEDGERS, GROWTHS)
def test_what_a_trim_tells_adds_nothing_to_causes(
    at_gate: Ledger, after_trim: Ledger, in_malloc: int
) -> None:
    """It only shares out free memory among those who hold it and those who pin it."""
    parts = split_free(at_gate, after_trim, {})
    told = find_causes(at_gate, parts, python_in_malloc_bytes=in_malloc).bytes_by_cause
    untold = find_causes(at_gate, {}, python_in_malloc_bytes=in_malloc).bytes_by_cause
    assert sum(told.values()) == sum(untold.values())
    for name in ("malloc", "pool"):
        assert told.get(f"held-by-{name}", 0) + told.get(f"pinned-{name}", 0) == untold.get(
            f"held-by-{name}", 0
        )


@given(LEDGERS, GROWTHS, PARTS)
def test_survivors_are_spent_once(
    at_gate: Ledger, in_malloc: int, parts: dict[str, dict[str, int]]
) -> None:
    """What Python objects hold of malloc is never counted for two allocators."""
    found = find_causes(at_gate, parts, python_in_malloc_bytes=in_malloc)
    pooled = max(0, at_gate.accounts.get("python-live", 0))
    assert found.bytes_by_cause.get("live-python", 0) <= pooled + max(0, in_malloc)


@given(LEDGERS, PARTS)
def test_the_listed_causes_are_the_first_and_the_large(
    at_gate: Ledger, parts: dict[str, dict[str, int]]
) -> None:
    """The first cause is always listed, and none of a quarter or less beside it."""
    found = find_causes(at_gate, parts, python_in_malloc_bytes=0)
    whole = sum(found.bytes_by_cause.values())
    assert found.listed.items() <= found.bytes_by_cause.items()
    assert not found.bytes_by_cause or found.first in found.listed
    for slug, size in found.bytes_by_cause.items():
        listed = slug == found.first or Fraction(size, whole) > Fraction(1, 4)
        assert (slug in found.listed) == listed


@given(BYTES, BYTES, BYTES, BYTES, BYTES)
def test_the_share_of_python_objects_lies_within_its_bounds(
    live_growth: int, by_address: int, newborn: int, all_python: int, all_live: int
) -> None:
    """Never more than was found or all have, nor so little that native code had what is not."""
    share = python_share(
        live_growth,
        by_address_bytes=by_address,
        newborn_bytes=newborn,
        all_python_bytes=all_python,
        all_live_bytes=all_live,
    )
    assert by_address <= share <= max(by_address, all_python)
    assert share >= min(newborn, all_python)
    if live_growth <= all_live:
        assert live_growth - share <= max(0, all_live - all_python)


NAMES = "abc"
SMALL_OR_LARGE = st.one_of(st.integers(-9, 9), GROWTHS)
HIDING = st.builds(
    Ledger,
    GROWTHS,
    st.dictionaries(
        st.sampled_from([f"{name}-{what}" for name in NAMES for what in ("live", "free")]),
        SMALL_OR_LARGE,
    ),
    most_hidden=st.dictionaries(st.sampled_from(NAMES), SMALL_OR_LARGE),
)


@given(HIDING)
def test_no_more_hides_than_grew(ledger: Ledger) -> None:
    """Nothing where nothing grew, never more than all together, nor than the room there was."""
    held = [size for account, size in ledger.accounts.items() if not account.endswith("-free")]
    room = sum(
        max(0, -size) for account, size in ledger.accounts.items() if account.endswith("-free")
    )
    assert 0 <= ledger.hidden_bytes <= sum(max(0, size) for size in held)
    assert ledger.hidden_bytes <= room


@given(snapshots(), snapshots(), GIVEN_BACK)
def test_no_more_hides_than_allocators_say_grew(
    before: Snapshot, after: Snapshot, given_back: dict[str, int]
) -> None:
    """For any pair of readings: nothing where no account grew, but for room outside malloc."""
    ledger = close_ledger(before, after, given_back=given_back)
    held = [
        size
        for account, size in ledger.accounts.items()
        if account == "malloc-free" or not account.endswith("-free")
    ]
    assert 0 <= ledger.hidden_bytes <= sum(max(0, size) for size in held)
    for account, parts in ledger.parts.items():
        assert sum(parts.values()) == ledger.accounts[account]
