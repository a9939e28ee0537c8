"""A guest and its instances: trampoline, guest, bridge; linked, renewed after a trap, linked again.

What an earlier link made stays in the store, because wasmtime frees instances with their store
only. So a guest whose call was ended is put back *in place*; it is replaced only when it cannot be
(its memory or a table has grown, or it has passive segments).
"""

from __future__ import annotations

from reifydb.engine.deadlines import Watchdog
from reifydb.engine.ffi import CallEnded
from reifydb.engine.kernel import Kernel
from reifydb.engine.pages import clear_pages
from reifydb.sandbox.binary import PAGE_BYTES
from reifydb.sandbox.bridge import RESET_IN_WASM_PAGES_MAX, Addresses, Bindings
from reifydb.sandbox.replies import CompiledGuest
from reifydb.sandbox.workshop import Workshop

REPLACEMENTS_MAX = 5000
"""So many replaced guests may lie dead in a store before the kernel moves to a fresh one: each
holds 4 GiB of address space and two mappings, of which a process has 65,530."""


class Guest:
    """One installed module, linked to a kernel.

    Attributes:
        compiled: What it was made from.
        resets, replacements: How often its instance was put back, and replaced.
        failed: Why its start function could not be run again; None when all is well.
    """

    def __init__(
        self,
        workshop: Workshop,
        watchdog: Watchdog,
        compiled: CompiledGuest,
        transitions: dict[str, int],
        bindings: Bindings,
        addresses: Addresses,
    ) -> None:
        self.compiled = compiled
        self.transitions, self.bindings = transitions, bindings
        self._watchdog = watchdog
        self._code = workshop.guest_code(compiled, transitions, addresses, bindings)
        self.resets = self.replacements = 0
        self.failed: str | None = None

    def link(self, kernel: Kernel) -> None:
        """Makes the three instances in the kernel's present store; about 0.5 ms.

        Raises:
            CallEnded: Its start function trapped or took too long.
        """
        store = kernel.store
        trampoline = store.instantiate(self._code.trampoline)
        exports = store.instantiate(self._code.guest, **{"reifydb.v1": trampoline})
        bridge = store.instantiate(
            self._code.bridge,
            k=kernel.exports,
            g=exports,
            p=kernel.probe,
            d=kernel.dispatch,
            t=trampoline,
        )
        memory = exports["state:memory"]
        self._memory, self._memory_base = memory, store.memory_base(memory)
        self._reset = bridge.function("reset", keep_gil=self.compiled.state.start is None)
        self._grown = bridge.function("grown", keep_gil=True)
        self._put_back(kernel, zero=False)

    def _put_back(self, kernel: Kernel, *, zero: bool) -> None:
        """Runs `reset`; its start function is guest code, so the watchdog looks on."""
        if self.compiled.state.start is None:
            self._reset(int(zero))
            return
        serial = self._watchdog.start_begins()
        self._watchdog.rearm(kernel)
        try:
            self._reset(int(zero))
            return
        except CallEnded as ended:
            if self._watchdog.struck(ended, serial) is not None:
                raise
        finally:
            self._watchdog.start_ended()
            self._watchdog.rearm(kernel)
        kernel.restore_stack()  # struck in another one's place: once more from the start
        clear_pages(self._memory_base, kernel.store.memory_bytes(self._memory))
        self._put_back(kernel, zero=False)

    def link_again(self, kernel: Kernel) -> None:
        """In a fresh store. A start function that fails now makes the guest `failed`."""
        try:
            self.link(kernel)
        except CallEnded as ended:
            self._fail(kernel, ended)
        else:
            self.failed = None

    def _fail(self, kernel: Kernel, ended: CallEnded) -> None:
        """Empties its places in the call table: half an instance answers nobody."""
        kernel.restore_stack()
        self.failed = f"its start function failed: {ended.reason}"
        table = kernel.dispatch["transitions"]
        for number in self.transitions.values():
            table.set(kernel.store.store, number, None)

    def renew(self, kernel: Kernel) -> None:
        """Gives the guest the memory, globals and tables of a new instance, after a trap.

        70-110 µs in place. A start function that fails now makes the guest `failed`; its calls trap
        until it is replaced.
        """
        if self.failed is not None:
            return
        length = kernel.store.memory_bytes(self._memory)
        large = length > RESET_IN_WASM_PAGES_MAX * PAGE_BYTES
        if large:
            clear_pages(self._memory_base, length)
        try:
            if self.compiled.state.resettable and not self._grown():
                self.resets += 1
                self._put_back(kernel, zero=not large)
            else:
                if not large:
                    clear_pages(self._memory_base, length)
                self.replacements += 1
                self.link(kernel)
        except CallEnded as ended:
            self._fail(kernel, ended)
