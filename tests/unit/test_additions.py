"""What hooks add to the instruments, and which additions are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import TypeAlias, cast

import pluggy
import pytest

from pytest_memreturn import (
    AccountProbe,
    Allocator,
    AllocatorStatistics,
    RemedyCandidate,
    hookspecs,
)
from pytest_memreturn._additions import added_remedies, with_additions
from pytest_memreturn._instruments import Instruments
from pytest_memreturn._release import Releaser
from pytest_memreturn.testing import Script, ScriptedProbe

Hook: TypeAlias = Callable[[], object]

_KINDS = ["text", "nothing", "class", "of the other hook"]


class Pool(Allocator):
    """An allocator that writes down when it is asked to release."""

    def __init__(self, name: object, asked: list[str] | None = None) -> None:
        self.name = cast("str", name)
        self.asked = [] if asked is None else asked

    def statistics(self) -> AllocatorStatistics:
        """Nothing is handed out."""
        return AllocatorStatistics(self.name, 0, 0)

    def release(self) -> None:
        """Write it down."""
        self.asked.append(self.name)


class Device(AccountProbe):
    """An account that stays empty."""

    def __init__(self, account: object) -> None:
        self.account = cast("str", account)

    def read_bytes(self) -> int:
        """Nothing is held."""
        return 0


def config_with(
    *,
    allocators: Iterable[Hook] = (),
    probes: Iterable[Hook] = (),
    remedies: Iterable[Hook] = (),
) -> pytest.Config:
    """A run with one plugin for each of these implementations, the first registered first."""
    manager = pluggy.PluginManager("pytest")
    manager.add_hookspecs(hookspecs)
    for implementation in allocators:
        manager.register(SimpleNamespace(pytest_memreturn_allocators=implementation))
    for implementation in probes:
        manager.register(SimpleNamespace(pytest_memreturn_probes=implementation))
    for implementation in remedies:
        manager.register(SimpleNamespace(pytest_memreturn_remedies=implementation))
    return cast("pytest.Config", SimpleNamespace(hook=manager.hook))


def hook(given: object) -> Hook:
    """An implementation that gives this."""

    @pytest.hookimpl
    def implementation() -> object:
        return given

    return implementation


def bare(*names: str, asked: list[str] | None = None) -> Instruments:
    """Instruments with allocators of these names."""
    known = tuple(Pool(name, asked) for name in names)
    return Instruments(
        ScriptedProbe([Script(0)]),
        known,
        account_probes=(Device("there-before"),),
        releaser=Releaser(trims={one.name: one.release for one in known}),
    )


def refusal(config: pytest.Config, *known: str) -> str:
    """What the error says that ends the run."""
    with pytest.raises(pytest.UsageError) as caught:
        with_additions(bare(*known), config)
    return str(caught.value)


@pytest.mark.parametrize("given", [[], (), None])
def test_nothing_added_leaves_the_instruments_as_they_are(given: object) -> None:
    """Without a plugin that adds something the very same instruments are used."""
    instruments = bare("malloc")
    assert with_additions(instruments, config_with()) is instruments
    empty = config_with(allocators=[hook(given)], probes=[hook(given)])
    assert with_additions(instruments, empty) is instruments


def test_allocators_of_hooks_come_first() -> None:
    """They are read and asked before those they may take their memory from."""
    asked: list[str] = []
    config = config_with(allocators=[hook([Pool("one", asked), Pool("two", asked)])])

    found = with_additions(bare("python", "malloc", asked=asked), config)
    found.releaser.trim()

    assert [one.name for one in found.allocators] == ["one", "two", "python", "malloc"]
    assert asked == ["one", "two", "python", "malloc"]
    assert [one.account for one in found.account_probes] == ["there-before"]


def test_probes_of_hooks_come_last() -> None:
    """An account is added to those that are there, and allocators stay as they are."""
    instruments = bare("malloc")
    found = with_additions(instruments, config_with(probes=[hook([Device("gpu-pool")])]))
    assert [one.account for one in found.account_probes] == ["there-before", "gpu-pool"]
    assert found.allocators == instruments.allocators
    assert found.releaser == instruments.releaser


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_any_iterable_will_do(kind: Callable[[list[Allocator]], object]) -> None:
    """A list, a tuple, a generator."""
    config = config_with(allocators=[hook(kind([Pool("one"), Pool("two")]))])
    assert [one.name for one in with_additions(bare(), config).allocators] == ["one", "two"]


def test_every_plugin_is_asked() -> None:
    """What several plugins give is put together; one may give nothing."""
    config = config_with(
        allocators=[hook([Pool("one")]), hook(None), hook([Pool("two")])],
        probes=[hook([Device("three")]), hook([])],
    )
    found = with_additions(bare(), config)
    assert {one.name for one in found.allocators} == {"one", "two"}
    assert [one.account for one in found.account_probes] == ["there-before", "three"]


@pytest.mark.parametrize("name", ["a", "pool", "my-pool", "l2-cache", "a1-b2-c3"])
def test_names_that_will_do(name: str) -> None:
    """Lower-case letters, digits after the first letter, single dashes between words."""
    config = config_with(allocators=[hook([Pool(name)])], probes=[hook([Device(name)])])
    found = with_additions(bare(), config)
    assert [one.name for one in found.allocators] == [name]
    assert found.account_probes[-1].account == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        *(
            (wrong, "is no name: use lower-case letters, digits and single dashes")
            for wrong in (
                "Pool",
                "",
                "my_pool",
                "my pool",
                "2nd",
                "-a",
                "a-",
                "a--b",
                "a\n",
                7,
                None,
            )
        ),
        # Cannot be counted in a dictionary, either.
        *(
            (wrong, "is no name: use lower-case letters, digits and single dashes")
            for wrong in (["pool"], {"a": 1})
        ),
        *((f"my{ending}", "must not end in -live or -free") for ending in ("-live", "-free")),
        *(
            (f"{beginning}it", "must not begin as a cause does")
            for beginning in ("held-by-", "pinned-", "live-")
        ),
    ],
)
def test_names_that_will_not_do(name: object, problem: str) -> None:
    """The error names the hook and the value."""
    allocator = config_with(allocators=[hook([Pool(name)])])
    assert refusal(allocator) == f"pytest_memreturn_allocators: {name!r} {problem}"
    probe = config_with(probes=[hook([Device(name)])])
    assert refusal(probe) == f"pytest_memreturn_probes: {name!r} {problem}"


def test_a_name_that_is_missing() -> None:
    """The base class only annotates it, so that to forget it is easy."""

    class Nameless(Allocator):
        def statistics(self) -> AllocatorStatistics | None:
            return None

    class Unaccounted(AccountProbe):
        def read_bytes(self) -> int:
            return 0

    problem = "None is no name: use lower-case letters, digits and single dashes"
    allocator = config_with(allocators=[hook([Nameless()])])
    assert refusal(allocator) == f"pytest_memreturn_allocators: {problem}"
    probe = config_with(probes=[hook([Unaccounted()])])
    assert refusal(probe) == f"pytest_memreturn_probes: {problem}"


def test_a_name_that_is_taken() -> None:
    """An allocator can't pass for another, nor an account for one with a meaning of its own."""
    allocator = config_with(allocators=[hook([Pool("malloc")])])
    assert refusal(allocator, "python", "malloc") == (
        "pytest_memreturn_allocators: 'malloc' is taken"
    )
    for account in ("mapped", "children", "unexplained", "huge-pages", "live-native"):
        probe = config_with(probes=[hook([Device(account)])])
        assert refusal(probe) == f"pytest_memreturn_probes: {account!r} is taken"


def test_a_name_that_is_given_twice() -> None:
    """By one plugin or by two."""
    problem = "'one' is given twice"
    pools: list[list[Hook]] = [
        [hook([Pool("one"), Pool("one")])],
        [hook([Pool("one")]), hook([Pool("one")])],
    ]
    for implementations in pools:
        said = refusal(config_with(allocators=implementations))
        assert said == f"pytest_memreturn_allocators: {problem}"
    devices = config_with(probes=[hook([Device("one")]), hook([Device("one")])])
    assert refusal(devices) == f"pytest_memreturn_probes: {problem}"


@pytest.mark.parametrize("given", [7, Pool("one")], ids=["number", "allocator"])
def test_no_list(given: object) -> None:
    """A single thing is not taken for a list of one."""
    assert refusal(config_with(allocators=[hook(given)])) == (
        f"pytest_memreturn_allocators: a list is expected, got {given!r}"
    )
    assert refusal(config_with(probes=[hook(given)])) == (
        f"pytest_memreturn_probes: a list is expected, got {given!r}"
    )


@pytest.mark.parametrize("given", ["a", None, Pool, Device("one")], ids=_KINDS)
def test_no_allocator(given: object) -> None:
    """Whatever does not derive from `Allocator`, its class itself among it."""
    assert refusal(config_with(allocators=[hook([given])])) == (
        f"pytest_memreturn_allocators: {given!r} is no pytest_memreturn.Allocator"
    )


@pytest.mark.parametrize("given", ["a", None, Device, Pool("one")], ids=_KINDS)
def test_no_probe(given: object) -> None:
    """Whatever does not derive from `AccountProbe`."""
    assert refusal(config_with(probes=[hook([given])])) == (
        f"pytest_memreturn_probes: {given!r} is no pytest_memreturn.AccountProbe"
    )


def test_an_allocator_that_only_has_statistics() -> None:
    """It releases nothing, and misses nothing."""

    class Silent(Allocator):
        name = "silent"

        def statistics(self) -> AllocatorStatistics | None:
            return None

    allocator = Silent()
    allocator.release()
    assert allocator.why_unavailable() is None


def test_remedies_come_in_order() -> None:
    """Each name once, since it is by its name that a re-run finds one."""
    one, two = RemedyCandidate("one", "call it"), RemedyCandidate("two", "set it")
    assert added_remedies(config_with(remedies=[hook([one, two])])) == [one, two]
    twice = config_with(remedies=[hook([one]), hook([two, one])])
    with pytest.raises(pytest.UsageError, match=r"remedies: 'one' is given twice"):
        added_remedies(twice)
