"""Where generated code and the kernel are compiled, and found again.

One workshop has one engine, and serves one database at a time: an engine has one epoch, and two
databases on it would be struck by each other's deadlines. What it makes is kept in the compile
cache, so that opening a database does not wait for the compiler; and in the workshop itself, which
waits for the next database of this process when one is closed (`take`, `give_back`): loading code
is most of what it takes to open a small database, and tests open thousands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TypeVar

import wasmtime

from reifydb.config import MIB, ModuleLimits
from reifydb.engine.ffi import Code, Engine
from reifydb.engine.kernel import KernelCode
from reifydb.errors import KernelError
from reifydb.sandbox.binary import name_module, set_memory_limits
from reifydb.sandbox.bridge import (
    STACK_WAT,
    Addresses,
    Bindings,
    bridge_wat,
    dispatch_wat,
    probe_wat,
    trampoline_wat,
)
from reifydb.sandbox.cache import Cache, content_key, default_cache
from reifydb.sandbox.compiler import CompiledGuest, compile_guest
from reifydb.sandbox.configuration import (
    KERNEL_PAGES_MAX,
    KERNEL_PAGES_MIN,
    ConfigurationError,
    configuration_key,
    new_engine,
    uninterruptible,
)

KERNEL_FILE = "kernel.wasm"

_Key = TypeVar("_Key")
_Made = TypeVar("_Made")

IDLE_MAX = 2
"""Workshops that wait for the next database; each holds some MiB of code."""

GUESTS_KEPT_MAX, GUEST_KEPT_BYTES_MAX = 16, 4 * MIB
"""Compiled guests that a workshop keeps in memory, and how large one may be. Larger ones come from
the compile cache each time."""


@dataclass(frozen=True, slots=True)
class GuestCode:
    """A guest's three modules, compiled."""

    trampoline: Code
    guest: Code
    bridge: Code


class Workshop:
    """Compiles for one engine of its own.

    Attributes:
        engine: The engine that runs what is made here.
        cache: Where compiled code is kept between processes.
    """

    def __init__(self, cache: Cache | None = None) -> None:
        self.engine: Engine = new_engine()
        self.cache = cache if cache is not None else default_cache()
        self._without_checks: Engine | None = None
        self._kernel_code: KernelCode | None = None
        self._guests: dict[tuple[bytes, ModuleLimits, str | None], CompiledGuest] = {}
        self._guest_code: dict[object, GuestCode] = {}

    def kernel_code(self, kernel_wasm: bytes | None = None, probe: str | None = None) -> KernelCode:
        """The kernel's side; about a second when nothing of it is in the cache.

        Args:
            kernel_wasm: Another kernel than the package's.
            probe: Another probe than that of `probe_wat`.

        Raises:
            KernelError: The package has no kernel, or this wasmtime is not the one it needs.
        """
        if kernel_wasm is not None or probe is not None:
            return self._compile_kernel(kernel_wasm, probe)
        if self._kernel_code is None:
            self._kernel_code = self._compile_kernel(None, None)
        return self._kernel_code

    def _compile_kernel(self, kernel_wasm: bytes | None, probe: str | None) -> KernelCode:
        wasm = kernel_wasm if kernel_wasm is not None else packaged_kernel()
        sized = set_memory_limits(
            wasm, pages_min=KERNEL_PAGES_MIN, pages_max=KERNEL_PAGES_MAX, index_bits=64
        )
        return KernelCode(
            kernel=self._kernel_side(name_module(sized, "kernel")),
            dispatch=self._kernel_side(dispatch_wat()),
            stack=self._kernel_side(STACK_WAT),
            probe=self._kernel_side(probe if probe is not None else probe_wat()),
        )

    def compiled(self, wasm: bytes, limits: ModuleLimits, name: str | None) -> CompiledGuest:
        """A guest, inspected and compiled: from here, from the cache, or by a process of its own.

        Raises:
            ModuleError, UnavailableError: As `compile_guest`.
        """
        key = wasm, limits, name
        found = self._guests.get(key)
        if found is None:
            found = compile_guest(wasm, limits, name, cache=self.cache)
            if len(wasm) + len(found.artefact) <= GUEST_KEPT_BYTES_MAX:
                _keep(self._guests, key, found)
        return found

    def guest_code(
        self,
        compiled: CompiledGuest,
        transitions: Mapping[str, int],
        addresses: Addresses,
        bindings: Bindings,
    ) -> GuestCode:
        """What a guest's instances are made of; see `bridge_wat`."""
        key = compiled, tuple(transitions.items()), addresses, bindings
        found = self._guest_code.get(key)
        if found is None:
            names = tuple(dict.fromkeys(compiled.imports))
            bridge = bridge_wat(names, transitions, compiled.state, addresses, bindings)
            found = GuestCode(
                trampoline=self._guest_side(trampoline_wat(names)),
                guest=Code(self.engine, compiled.artefact),
                bridge=self._guest_side(bridge),
            )
            if len(compiled.artefact) <= GUEST_KEPT_BYTES_MAX:
                _keep(self._guest_code, key, found)
        return found

    def _guest_side(self, wat: str) -> Code:
        """Trampolines and bridges: with epoch checks, as guests have them."""
        key = content_key(configuration_key(), "interruptible", wat)
        return self._load(key, lambda: bytes(wasmtime.Module(self.engine, wat).serialize()))

    def _kernel_side(self, source: str | bytes) -> Code:
        key = content_key(configuration_key(), "uninterruptible", source)
        try:
            return self._load(key, lambda: self._uninterruptible(source))
        except ConfigurationError as error:
            raise KernelError(
                f"this wasmtime cannot run the kernel: {error}",
                hint="install the version of wasmtime that this ReifyDB asks for",
            ) from error

    def _load(self, key: str, make: Callable[[], bytes]) -> Code:
        return Code(self.engine, self.cache.cached(key, make))

    def _uninterruptible(self, source: str | bytes) -> bytes:
        if self._without_checks is None:
            self._without_checks = new_engine(epoch_interruption=False)
        return uninterruptible(self.engine, self._without_checks, source)


_idle: deque[Workshop] = deque(maxlen=IDLE_MAX)


def take() -> Workshop:
    """A workshop for a database of its own: one that waits, else a new one. Safe from threads."""
    try:
        workshop = _idle.pop()
    except IndexError:
        return Workshop()
    workshop.cache = default_cache()  # the environment may name another one by now
    return workshop


def give_back(workshop: Workshop) -> None:
    """After its database's store is closed, and nothing watches its epoch any more."""
    _idle.append(workshop)


def _keep(kept: dict[_Key, _Made], key: _Key, made: _Made) -> None:
    """Remembers what was made; what has been there for longest goes."""
    while len(kept) >= GUESTS_KEPT_MAX:
        kept.pop(next(iter(kept)), None)
    kept[key] = made


def packaged_kernel() -> bytes:
    """The kernel's binary as it was built into the package.

    Raises:
        KernelError: It is not there: a source tree whose kernel was not built.
    """
    try:
        return files("reifydb").joinpath(KERNEL_FILE).read_bytes()
    except FileNotFoundError:
        raise KernelError(
            "the package has no kernel", hint="in a source tree, ./dev build makes it"
        ) from None
