"""Allocators other than those of the C library and the interpreter, on stand-ins for them."""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TypeAlias

import pytest

from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._snapshot import AllocatorStatistics
from pytest_memreturn.allocators import _symbols, cupy, jemalloc, mimalloc, tcmalloc
from pytest_memreturn.allocators._imported import imported
from pytest_memreturn.allocators._symbols import exported, of_loaded
from pytest_memreturn.allocators.cupy import Cupy
from pytest_memreturn.allocators.jemalloc import Jemalloc
from pytest_memreturn.allocators.mimalloc import Mimalloc
from pytest_memreturn.allocators.pyarrow import Pyarrow
from pytest_memreturn.allocators.tcmalloc import Tcmalloc
from pytest_memreturn.allocators.torch import Torch

# What ctypes.byref gives is of no class that can be named.
Pointer: TypeAlias = Any


class CFunction:
    """A function of a C library, whose types can be declared."""

    def __init__(self, body: Callable[..., object]) -> None:
        self._body = body
        self.restype: object = None
        self.argtypes: object = None

    def __call__(self, *arguments: object) -> object:
        """What the body makes of it."""
        return self._body(*arguments)


class Exports(dict[str, object]):
    """The functions of a C library, as `ctypes` looks them up."""

    def __missing__(self, name: str) -> object:
        """No such function."""
        raise AttributeError(name)


def export(monkeypatch: pytest.MonkeyPatch, module: ModuleType, **functions: object) -> None:
    """Let the process export these functions to `module`, and no others."""

    def from_these(name: str, *, keeps_gil: bool = False) -> object:
        del keeps_gil
        return functions.get(name)

    monkeypatch.setattr(module, "exported", from_these)


def put(pointer: Pointer, value: int) -> None:
    """Write where a C function was told to."""
    ctypes.cast(pointer, ctypes.POINTER(ctypes.c_size_t))[0] = value


# Symbols


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no symbols of a process")
@pytest.mark.parametrize("keeps_gil", [False, True])
def test_each_caller_gets_a_function_of_its_own(keeps_gil: bool) -> None:
    """What one declares of it the other does not see."""
    first, second = (exported("strlen", keeps_gil=keeps_gil) for _ in range(2))
    assert first is not None
    assert second is not None
    first.argtypes = [ctypes.c_char_p]
    assert first(b"memory") == len("memory")
    assert second.argtypes is None


def test_a_symbol_that_is_not_there_is_none() -> None:
    """Whatever the system."""
    assert exported("memreturn_has_no_such_function") is None


@pytest.mark.skipif(sys.platform != "linux", reason="the library is named as on Linux")
def test_a_library_that_is_not_loaded_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only of one that is loaded a function is had."""
    assert of_loaded("libmemreturn-none.so.1", "strlen") is None
    monkeypatch.setattr(ctypes, "CDLL", lambda _name, mode: Exports(strlen=mode))
    assert of_loaded("libany.so.1", "strlen") == os.RTLD_NOLOAD | os.RTLD_NOW
    assert of_loaded("libany.so.1", "strcpy") is None


def test_windows_has_no_symbols_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not looked for."""
    monkeypatch.setattr(_symbols, "sys", SimpleNamespace(platform="win32"))
    assert exported("strlen") is None
    assert of_loaded("libc.so.6", "strlen") is None


# Imported modules


def test_what_is_imported_is_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the names of the module."""
    monkeypatch.setitem(sys.modules, "half", SimpleNamespace(there=1))
    assert imported("half", "there") == 1
    assert imported("half", "not_yet") is None
    assert imported("never", "there") is None


def test_an_import_that_was_forbidden_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """``None`` in ``sys.modules`` is no module."""
    monkeypatch.setitem(sys.modules, "forbidden", None)
    assert imported("forbidden", "anything") is None


def test_a_lazy_module_is_not_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Looking for a name in it is not its first use."""
    path = tmp_path / "sleeping.py"
    path.write_text("awake = True\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location("sleeping", path)
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "sleeping", module)
    spec.loader.exec_module(module)
    assert imported("sleeping", "awake") is None
    assert module.awake is True
    assert imported("sleeping", "awake") is True


# jemalloc


class FakeJemalloc:
    """A jemalloc whose figures stand still until its epoch is advanced."""

    def __init__(self, **codes: int) -> None:
        self.now = {b"stats.allocated": 700, b"stats.resident": 1_000}
        self.shown = dict.fromkeys(self.now, 0)
        self.codes = {name.replace("_", ".").encode(): code for name, code in codes.items()}
        self.calls: list[str] = []
        self.mallctl = CFunction(self._control)

    def _control(
        self, name: bytes, old: object, old_size: Pointer, new: object, new_size: object
    ) -> int:
        self.calls.append(name.decode())
        if name in self.codes:
            return self.codes[name]
        if name == b"epoch":
            assert new is not None
            assert new_size == 8
            self.shown = dict(self.now)
        elif name in self.shown:
            assert ctypes.cast(old_size, ctypes.POINTER(ctypes.c_size_t))[0] == 8
            put(old, self.shown[name])
        return 0


def test_jemalloc_says_what_is_live_and_what_is_resident(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of now, not as of when it gathered its figures last."""
    fake = FakeJemalloc()
    export(monkeypatch, jemalloc, mallctl=fake.mallctl)
    allocator = Jemalloc()
    assert allocator.statistics() == AllocatorStatistics(
        "jemalloc", live_bytes=700, held_bytes=1_000, from_start=True
    )
    fake.now[b"stats.allocated"] = 800
    found = allocator.statistics()
    assert found is not None
    assert found.live_bytes == 800
    assert allocator.why_unavailable() is None


def test_jemalloc_gives_back_its_cache_then_its_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cache lets go of is purged with the rest."""
    fake = FakeJemalloc()
    export(monkeypatch, jemalloc, mallctl=fake.mallctl)
    allocator = Jemalloc()
    del fake.calls[:]
    allocator.release()
    assert fake.calls == ["thread.tcache.flush", "arena.4096.purge"]


def test_jemalloc_without_caches_gives_back_its_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """That there is no cache to flush is no failure."""
    fake = FakeJemalloc(thread_tcache_flush=errno.EFAULT)
    export(monkeypatch, jemalloc, mallctl=fake.mallctl)
    Jemalloc().release()
    assert fake.calls[-1] == "arena.4096.purge"


@pytest.mark.parametrize("name", ["thread.tcache.flush", "arena.4096.purge"])
def test_a_release_that_jemalloc_refuses_is_an_error(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names what was refused."""
    fake = FakeJemalloc(**{name.replace(".", "_"): errno.ENOENT})
    export(monkeypatch, jemalloc, mallctl=fake.mallctl)
    with pytest.raises(FileNotFoundError, match=f"mallctl {name}"):
        Jemalloc().release()


def test_a_jemalloc_without_statistics_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can still be asked to release."""
    fake = FakeJemalloc(stats_allocated=errno.ENOENT)
    export(monkeypatch, jemalloc, mallctl=fake.mallctl)
    allocator = Jemalloc()
    assert allocator.statistics() is None
    assert allocator.why_unavailable() == "jemalloc was built without statistics"
    allocator.release()
    assert fake.calls[-1] == "arena.4096.purge"


# tcmalloc


def test_tcmalloc_says_what_is_live_and_what_it_has_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that it gave back are not held."""
    figures = {
        b"generic.current_allocated_bytes": 700,
        b"generic.heap_size": 3_000,
        b"tcmalloc.pageheap_unmapped_bytes": 2_000,
    }
    released: list[str] = []

    def get(name: bytes, target: object) -> int:
        put(target, figures[name])
        return 1

    export(
        monkeypatch,
        tcmalloc,
        MallocExtension_GetNumericProperty=CFunction(get),
        MallocExtension_ReleaseFreeMemory=CFunction(lambda: released.append("all")),
    )
    allocator = Tcmalloc()
    assert allocator.statistics() == AllocatorStatistics(
        "tcmalloc", live_bytes=700, held_bytes=1_000, from_start=True
    )
    assert allocator.why_unavailable() is None
    allocator.release()
    assert released == ["all"]


def test_a_tcmalloc_that_does_not_know_a_property_is_no_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was there before must not pass for its answer."""
    get = CFunction(lambda _name, _target: 0)
    export(monkeypatch, tcmalloc, MallocExtension_GetNumericProperty=get)
    with pytest.raises(ReadingUnavailableError, match=r"generic\.current_allocated_bytes"):
        Tcmalloc().statistics()


# mimalloc


class FakeMimalloc:
    """A mimalloc with areas of so many blocks of such a size."""

    def __init__(self, *areas: tuple[int, int]) -> None:
        self.areas = [(mimalloc._Area(used_blocks=used), size) for used, size in areas]
        self.collections: list[object] = []

    def functions(self) -> dict[str, object]:
        """What it exports."""
        return {
            "mi_process_info": CFunction(self._information),
            "mi_heap_get_default": CFunction(lambda: 4711),
            "mi_heap_visit_blocks": CFunction(self._visit),
            "mi_collect": CFunction(self.collections.append),
        }

    def _information(self, *targets: object) -> None:
        assert [index for index, target in enumerate(targets) if target is not None] == [5]
        put(targets[5], 32 << 20)

    def _visit(
        self, heap: int, all_blocks: bool, visitor: Callable[..., bool], argument: None
    ) -> bool:
        assert heap == 4711
        assert not all_blocks
        return all(
            visitor(heap, ctypes.addressof(area), None, size, argument) for area, size in self.areas
        )


def test_mimalloc_says_what_is_live_in_its_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum over areas, each time anew; what it holds is what it has committed."""
    fake = FakeMimalloc((10, 64), (3, 4_096))
    export(monkeypatch, mimalloc, **fake.functions())
    allocator = Mimalloc()
    assert allocator.statistics() == AllocatorStatistics(
        "mimalloc",
        live_bytes=10 * 64 + 3 * 4_096,
        held_bytes=32 << 20,
        holds_address_space=True,
        from_start=True,
    )
    fake.areas[0][0].used_blocks = 20
    found = allocator.statistics()
    assert found is not None
    assert found.live_bytes == 20 * 64 + 3 * 4_096
    assert allocator.why_unavailable() is None


def test_mimalloc_is_asked_for_all_it_can_give_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only for what it would give back soon anyway."""
    fake = FakeMimalloc()
    export(monkeypatch, mimalloc, **fake.functions())
    Mimalloc().release()
    assert fake.collections == [True]


@pytest.mark.parametrize("missing", ["mi_heap_get_default", "mi_heap_visit_blocks"])
def test_a_mimalloc_that_hides_its_heap_says_so(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can still be asked to release."""
    fake = FakeMimalloc((10, 64))
    functions = fake.functions()
    del functions[missing]
    export(monkeypatch, mimalloc, **functions)
    allocator = Mimalloc()
    assert allocator.statistics() is None
    assert allocator.why_unavailable() == "this mimalloc does not show what is live in its heap"
    allocator.release()
    assert fake.collections == [True]


def test_ctrl_c_gets_through_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """C code in between would swallow it; and the next walk is whole again."""
    fake = FakeMimalloc((10, 64), (3, 4_096))
    export(monkeypatch, mimalloc, **fake.functions())
    allocator = Mimalloc()

    def interrupted(_address: int) -> mimalloc._Area:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mimalloc, "_Area", SimpleNamespace(from_address=interrupted))
        with pytest.raises(KeyboardInterrupt):
            allocator.statistics()
    found = allocator.statistics()
    assert found is not None
    assert found.live_bytes == 10 * 64 + 3 * 4_096


@pytest.mark.parametrize(
    ("module", "allocator"),
    [(jemalloc, Jemalloc), (tcmalloc, Tcmalloc), (mimalloc, Mimalloc)],
)
def test_a_malloc_that_is_not_loaded_says_nothing(
    module: ModuleType,
    allocator: type[Jemalloc | Tcmalloc | Mimalloc],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has no figures, nothing to release, and nothing is missing."""
    export(monkeypatch, module)
    absent = allocator()
    assert absent.statistics() is None
    assert absent.why_unavailable() is None
    absent.release()


# Libraries with pools of their own


class Pool:
    """A pool as pyarrow and CuPy have them."""

    def __init__(self, backend_name: str = "mimalloc") -> None:
        self.backend_name = backend_name
        self.releases = 0

    def bytes_allocated(self) -> int:
        """Live bytes, to pyarrow."""
        return 700

    def used_bytes(self) -> int:
        """Live bytes, to CuPy."""
        return 700

    def total_bytes(self) -> int:
        """Live and free bytes, to CuPy."""
        return 1_000

    def release_unused(self) -> None:
        """The release, to pyarrow."""
        self.releases += 1

    def free_all_blocks(self) -> None:
        """The release, to CuPy."""
        self.releases += 1


@pytest.mark.parametrize("allocator", [Pyarrow, Torch, Cupy])
@pytest.mark.parametrize("progress", ["not begun", "under way"])
def test_a_library_that_is_not_imported_says_nothing(
    allocator: type[Pyarrow | Torch | Cupy], progress: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one whose import is under way, or has failed; and nothing is imported."""
    for name in ("pyarrow", "torch", "torch.cuda", "cupy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        if progress == "under way":
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
    before = set(sys.modules)
    absent = allocator()
    assert absent.statistics() is None
    assert absent.why_unavailable() is None
    absent.release()
    assert set(sys.modules) == before


def test_pyarrow_says_what_is_live_in_its_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it holds it does not say."""
    pool = Pool()
    library = SimpleNamespace(default_memory_pool=lambda: pool)
    monkeypatch.setitem(sys.modules, "pyarrow", library)
    allocator = Pyarrow()
    assert allocator.statistics() == AllocatorStatistics("pyarrow", live_bytes=700)
    allocator.release()
    assert pool.releases == 1


def test_pyarrow_on_malloc_has_no_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its blocks are malloc's, which counts them; its release may still do something."""
    pool = Pool("system")
    library = SimpleNamespace(default_memory_pool=lambda: pool)
    monkeypatch.setitem(sys.modules, "pyarrow", library)
    assert Pyarrow().statistics() is None
    Pyarrow().release()
    assert pool.releases == 1


class FakeCuda:
    """``torch.cuda`` with two GPUs, of which nothing may be asked before it is initialised."""

    def __init__(self, *, initialised: bool, backend: str = "native") -> None:
        self.emptied = 0

        def first(value: object) -> object:
            assert initialised, "this would have initialised CUDA"
            return value

        def empty_cache() -> None:
            first(None)
            self.emptied += 1

        self.is_initialized = lambda: initialised
        self.get_allocator_backend = lambda: first(backend)
        self.device_count = lambda: first(2)
        self.memory_allocated = lambda device: first((300, 400)[device])
        self.memory_reserved = lambda device: first((500, 600)[device])
        self.empty_cache = empty_cache


def test_torch_says_what_all_gpus_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shown, and not counted: it is no memory of the process."""
    cuda = FakeCuda(initialised=True)
    monkeypatch.setitem(sys.modules, "torch.cuda", cuda)
    allocator = Torch()
    assert allocator.statistics() == AllocatorStatistics(
        "torch", live_bytes=700, held_bytes=1_100, is_elsewhere=True
    )
    allocator.release()
    assert cuda.emptied == 1


def test_torch_on_a_cpu_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking must not initialise CUDA."""
    cuda = FakeCuda(initialised=False)
    monkeypatch.setitem(sys.modules, "torch.cuda", cuda)
    allocator = Torch()
    assert allocator.statistics() is None
    allocator.release()
    assert cuda.emptied == 0


def test_torch_with_somebody_else_s_allocator_has_no_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It raises when asked for them."""
    cuda = FakeCuda(initialised=True, backend="pluggable")
    monkeypatch.setitem(sys.modules, "torch.cuda", cuda)
    assert Torch().statistics() is None


@pytest.fixture
def cupy_pools(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The pools of an imported CuPy."""
    pools = SimpleNamespace(device=Pool(), pinned=Pool())
    library = SimpleNamespace(
        get_default_memory_pool=lambda: pools.device,
        get_default_pinned_memory_pool=lambda: pools.pinned,
    )
    monkeypatch.setitem(sys.modules, "cupy", library)
    return pools


def load_driver(
    monkeypatch: pytest.MonkeyPatch, body: Callable[[Pointer], int] | None
) -> list[str]:
    """Let the CUDA driver be loaded, if `body` is given; the returned list fills with look-ups."""
    looked_up: list[str] = []

    def driver(library: str, name: str) -> object:
        looked_up.append(f"{library}:{name}")
        return None if body is None else CFunction(body)

    monkeypatch.setattr(cupy, "of_loaded", driver)
    return looked_up


def context(address: int) -> Callable[[Pointer], int]:
    """A driver whose current context is `address`."""

    def current(target: Pointer) -> int:
        put(target, address)
        return 0

    return current


def test_cupy_says_what_its_pool_holds(
    cupy_pools: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown, and not counted; a release empties the pool of pinned memory too."""
    looked_up = load_driver(monkeypatch, context(0xC0DA))
    allocator = Cupy()
    assert allocator.statistics() == AllocatorStatistics(
        "cupy", live_bytes=700, held_bytes=1_000, is_elsewhere=True
    )
    allocator.release()
    assert (cupy_pools.device.releases, cupy_pools.pinned.releases) == (1, 1)
    assert looked_up == ["libcuda.so.1:cuCtxGetCurrent"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(None, id="driver not loaded"),
        pytest.param(lambda _target: 3, id="driver not initialised"),
        pytest.param(context(0), id="no context"),
    ],
)
def test_cupy_without_cuda_is_left_alone(
    body: Callable[[Pointer], int] | None,
    cupy_pools: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its pools would initialise CUDA, and with that keep forked processes from using it."""
    load_driver(monkeypatch, body)
    allocator = Cupy()
    assert allocator.statistics() is None
    allocator.release()
    assert (cupy_pools.device.releases, cupy_pools.pinned.releases) == (0, 0)
