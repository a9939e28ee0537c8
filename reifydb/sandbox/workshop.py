"""Where generated code and the kernel are compiled, and found again.

One workshop serves one engine. What it makes is kept in the compile cache, so that opening a
database does not wait for the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import wasmtime

from reifydb.engine.ffi import Code, Engine
from reifydb.engine.kernel import KernelCode
from reifydb.errors import KernelError
from reifydb.sandbox.binary import name_module, set_memory_limits
from reifydb.sandbox.bridge import DISPATCH_WAT, STACK_WAT, probe_wat
from reifydb.sandbox.cache import Cache, content_key, default_cache
from reifydb.sandbox.configuration import (
    KERNEL_PAGES_MAX,
    KERNEL_PAGES_MIN,
    ConfigurationError,
    configuration_key,
    new_engine,
    uninterruptible,
)

KERNEL_FILE = "kernel.wasm"


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

    def kernel_code(self, kernel_wasm: bytes | None = None, probe: str | None = None) -> KernelCode:
        """The kernel's side; about a second when nothing of it is in the cache.

        Raises:
            KernelError: The package has no kernel, or this wasmtime is not the one it needs.
        """
        wasm = kernel_wasm if kernel_wasm is not None else packaged_kernel()
        sized = set_memory_limits(
            wasm, pages_min=KERNEL_PAGES_MIN, pages_max=KERNEL_PAGES_MAX, index_bits=64
        )
        return KernelCode(
            kernel=self._kernel_side(name_module(sized, "kernel")),
            dispatch=self._kernel_side(DISPATCH_WAT),
            stack=self._kernel_side(STACK_WAT),
            probe=self._kernel_side(probe if probe is not None else probe_wat()),
        )

    def guest_side(self, wat: str) -> Code:
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
