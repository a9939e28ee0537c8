"""The raw C functions of wasmtime: stores, instances, calls, and what an ended call says.

The only module of the engine that touches wasmtime. Misuse of the raw functions aborts the process:
never mix stores, never use a function after its store is closed. `Func.__call__` of the public API
costs 25-100 µs a crossing, a call here about 1 µs; a test compares the two.

A raw call ends in one of three ways: it returned (both results null); wasm trapped (`trap` set); an
error came back. No Python function is ever called from wasm: an exception that leaves a ctypes
callback (Ctrl-C is one) would hand wasmtime an uninitialised pointer.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import wasmtime
from wasmtime import _bindings as c
from wasmtime._extern import wrap_extern

INSTANCES_MAX = 1_000_000
"""Instances, memories and tables of a store each; wasmtime's own limit is 10,000."""

NEVER_TICKS = 1 << 40
"""An epoch deadline that is not reached."""

_FUNC_OFFSET = c.wasmtime_extern_t.of.offset
"""Where in an extern its function is."""

_ptr, _size, _u64 = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64

Engine = wasmtime.Engine


def _address(pointer: Any) -> int:
    return ctypes.cast(pointer, _ptr).value or 0


def _declare(symbol: str, result: Any, *arguments: Any, keep_gil: bool = False) -> Any:
    """A C function with argument types of our own; the package's are shared with everybody."""
    address = _address(getattr(c.dll, symbol))  # type: ignore[attr-defined]
    prototype = ctypes.PYFUNCTYPE if keep_gil else ctypes.CFUNCTYPE
    return prototype(result, *arguments)(address)


# Without argument types, and called with a tuple of what `from_param` makes of the arguments, once:
# ctypes converts integers, and even objects of its own, anew in each call, which costs more than
# the call itself.
_call = _declare("wasmtime_func_call_unchecked", _ptr)
_call_with_gil = _declare("wasmtime_func_call_unchecked", _ptr, keep_gil=True)
_set_deadline = _declare("wasmtime_context_set_epoch_deadline", None, _ptr, _u64, keep_gil=True)
_memory_size = _declare("wasmtime_memory_data_size", _size, _ptr, _ptr, keep_gil=True)


@cache
def _array(kind: type[ctypes.c_uint64 | c.wasmtime_extern_t], count: int) -> Any:
    """The type of an array. ctypes makes it anew each time, in 5 µs and with a cycle of references
    that only the garbage collector ends.
    """
    return kind * count


class CallEnded(Exception):
    """A call into wasm that did not return.

    Attributes:
        code: The trap's code; None when it was no trap.
        interrupted, overflow: The epoch ended it; the stack was exhausted.
    """

    def __init__(self, failure: wasmtime.Trap | wasmtime.WasmtimeError) -> None:
        super().__init__(str(failure))
        self.code = failure.trap_code if isinstance(failure, wasmtime.Trap) else None
        self.interrupted = self.code is wasmtime.TrapCode.INTERRUPT
        self.overflow = self.code is wasmtime.TrapCode.STACK_OVERFLOW

    @property
    def reason(self) -> str:
        """The trap's kind in a few words."""
        if self.code is None:
            return "it could not be run"
        return _TRAPS.get(self.code.name, self.code.name.lower().replace("_", " "))


_TRAPS = {
    "STACK_OVERFLOW": "the call stack is exhausted",
    "MEMORY_OUT_OF_BOUNDS": "memory access out of bounds",
    "HEAP_MISALIGNED": "misaligned memory access",
    "TABLE_OUT_OF_BOUNDS": "table access out of bounds",
    "INDIRECT_CALL_TO_NULL": "call of an empty table element",
    "BAD_SIGNATURE": "call through a table with another type",
    "INTEGER_OVERFLOW": "integer overflow",
    "INTEGER_DIVISION_BY_ZERO": "integer division by zero",
    "BAD_CONVERSION_TO_INTEGER": "float that is no integer",
    "UNREACHABLE": "unreachable code was reached",
    "INTERRUPT": "interrupted",
}


@cache
def _packer(params: int) -> Callable[..., None]:
    """What lays so many integers into slots of 16 bytes."""
    return struct.Struct("<" + "q8x" * params).pack_into


class Signature(NamedTuple):
    """What a raw call must know of a function: how many parameters, and its result's type."""

    params: int
    result: type[ctypes.c_int32 | ctypes.c_int64]

    @classmethod
    def of(cls, func: c.wasmtime_extern_t, store: wasmtime.Store) -> Signature:
        """Asks wasmtime; 15 µs."""
        found = wasmtime.Func._from_raw(func.of.func).type(store)
        results = found.results
        short = bool(results) and str(results[0]) == "i32"
        return cls(len(found.params), ctypes.c_int32 if short else ctypes.c_int64)


class RawFunction:
    """One wasm function of one store, called raw. One thread at a time; integers only.

    With `keep_gil` the call does not let other Python threads run: right for calls of a few
    microseconds, because to get the GIL back from a busy thread can take 5 ms each time. Wrong for
    whatever may run a guest: what ends an endless loop is a Python thread.

    Attributes:
        enter, arguments: `enter(*arguments)` is the call itself, for whoever lays what it takes and
            sees by himself whether it has returned. Not for a function with parameters.
    """

    __slots__ = ("_keep", "_pack", "_result", "_slots", "_trap", "arguments", "enter")

    def __init__(
        self,
        store: Store,
        func: c.wasmtime_extern_t,
        signature: Signature,
        *,
        keep_gil: bool = False,
    ) -> None:
        count = max(1, signature.params)
        self._slots = _array(ctypes.c_uint64, 2 * count)()  # wasmtime_val_raw_t is 16 bytes
        self._pack = _packer(signature.params)
        self._result = signature.result.from_buffer(self._slots)
        self._trap = _ptr()
        self._keep = store, func  # the addresses below point into them
        self.enter = _call_with_gil if keep_gil else _call
        self.arguments = (
            _ptr.from_param(store.context.value),
            _ptr.from_param(ctypes.addressof(func) + _FUNC_OFFSET),
            _ptr.from_param(ctypes.addressof(self._slots)),
            _size.from_param(count),
            _ptr.from_param(ctypes.addressof(self._trap)),
        )

    def __call__(self, *values: int) -> int:
        """Calls it. Raises `CallEnded` when it does not return; `struct.error` for a wrong number
        of arguments.
        """
        self._pack(self._slots, 0, *values)
        try:
            error = self.enter(*self.arguments)
        except BaseException:  # Ctrl-C is honoured as soon as the call has ended, however it ended
            self.interrupted()
            raise
        if error is None and self._trap.value is None:
            return self._result.value
        raise self.ended(error)

    def flagged(self) -> Callable[[int, int, int], int]:
        """The same, for three arguments, in one step less: for a function whose results are all
        negative and whose first argument is not, so that one look tells whether it returned.
        """
        pack, slots, enter, result = self._pack, self._slots, self.enter, self._result
        arguments = self.arguments

        def call(first: int, second: int, third: int) -> int:
            pack(slots, 0, first, second, third)
            try:
                error = enter(*arguments)
            except BaseException:  # as in `__call__`
                self.interrupted()
                raise
            flags = result.value
            if flags < 0:
                return flags
            raise self.ended(error)

        return call

    def interrupted(self) -> None:
        """An exception came from outside (Ctrl-C) as it was called by `enter(*arguments)`."""
        if self._trap.value is not None:
            self.ended(None)

    def ended(self, error: int | None) -> CallEnded:
        """Why a call did not return: `error` is what `enter` said."""
        if error is not None:
            failure = ctypes.cast(error, ctypes.POINTER(c.wasmtime_error_t))
            return CallEnded(wasmtime.WasmtimeError._from_ptr(failure))
        pointer = ctypes.cast(self._trap, ctypes.POINTER(c.wasm_trap_t))
        self._trap.value = None
        return CallEnded(wasmtime.Trap._from_ptr(pointer))


class Code:
    """A compiled module, and what it takes 10 µs each to ask wasmtime for: what it imports, and the
    signatures of what it exports.
    """

    __slots__ = ("imports", "module", "signatures")

    def __init__(self, engine: Engine, artefact: bytes) -> None:
        self.module = wasmtime.Module.deserialize(engine, artefact)
        self.imports = [(i.module, str(i.name)) for i in self.module.imports]
        self.signatures: dict[str, Signature] = {}


class Exports(dict[str, Any]):
    """What an instance exports, by name: wasmtime's Func, Memory, Table, Global. Each is looked up
    when it is first asked for: most of the kernel's forty functions are not, in a short life.
    """

    def __init__(self, store: Store, code: Code, instance: c.wasmtime_instance_t) -> None:
        super().__init__()
        self.store, self.code, self._instance = store, code, instance
        self._raw: dict[str, c.wasmtime_extern_t] = {}

    def raw(self, name: str) -> c.wasmtime_extern_t:
        """The same as C has it: a kind and two numbers, which own nothing.

        Raises:
            KeyError: There is nothing of this name.
        """
        found = self._raw.get(name)
        if found is None:
            found, encoded = c.wasmtime_extern_t(), name.encode()
            context, instance = self.store.store._context(), ctypes.byref(self._instance)
            if not c.wasmtime_instance_export_get(
                context, instance, encoded, len(encoded), ctypes.byref(found)
            ):
                raise KeyError(name)
            self._raw[name] = found
        return found

    def __missing__(self, name: str) -> Any:
        made = self[name] = wrap_extern(self.raw(name))
        return made

    def function(self, name: str, *, keep_gil: bool = False) -> RawFunction:
        """An exported function, to be called raw.

        Raises:
            KeyError: There is none of this name.
        """
        func, known = self.raw(name), self.code.signatures
        signature = known.get(name)
        if signature is None:
            signature = known[name] = Signature.of(func, self.store.store)
        return RawFunction(self.store, func, signature, keep_gil=keep_gil)


class Functions(dict[str, RawFunction]):
    """An instance's functions by name, each made when it is first asked for.

    Args:
        exports: The instance's.
        keep_gil: Those that are called without letting go of the GIL.
    """

    def __init__(self, exports: Exports, *, keep_gil: Sequence[str]) -> None:
        super().__init__()
        self._exports, self._keep_gil = exports, frozenset(keep_gil)

    def __missing__(self, name: str) -> RawFunction:
        made = self[name] = self._exports.function(name, keep_gil=name in self._keep_gil)
        return made


class Store:
    """A wasmtime store: nothing in it is freed before all of it is.

    Attributes:
        instances: How many instances were made in it.
        context: What the C functions know it by.
    """

    def __init__(self, engine: Engine) -> None:
        self.store = wasmtime.Store(engine)
        self.store.set_limits(instances=INSTANCES_MAX, memories=INSTANCES_MAX, tables=INSTANCES_MAX)
        self.context = _ptr(_address(self.store._context()))
        self.instances = 0
        self.set_deadline(NEVER_TICKS)  # a new store's deadline has passed already

    def instantiate(self, code: Code, **imports: Exports) -> Exports:
        """Makes an instance; `imports` maps an import module's name to what it has.

        Raises:
            CallEnded: A start function trapped, or a segment does not fit.
            KeyError: Something that is imported is not there.
        """
        needed = [imports[module].raw(name) for module, name in code.imports]
        externs = _array(c.wasmtime_extern_t, len(needed))(*needed)
        instance, trap = c.wasmtime_instance_t(), ctypes.POINTER(c.wasm_trap_t)()
        self.instances += 1
        error = c.wasmtime_instance_new(
            self.store._context(),
            code.module.ptr(),
            externs,
            len(needed),
            ctypes.byref(instance),
            ctypes.byref(trap),
        )
        if error:
            raise CallEnded(wasmtime.WasmtimeError._from_ptr(error))
        if trap:
            raise CallEnded(wasmtime.Trap._from_ptr(trap))
        return Exports(self, code, instance)

    def set_deadline(self, ticks: int) -> None:
        """Ends code with epoch checks when the engine's epoch has advanced by so much from now."""
        _set_deadline(self.context, ticks)

    def memory_base(self, memory: wasmtime.Memory) -> int:
        """Address of a memory in this process; it stays, `memory_may_move` is off."""
        return ctypes.addressof(memory.data_ptr(self.store).contents)

    def memory_bytes(self, memory: wasmtime.Memory) -> int:
        """Size of a memory now."""
        return int(_memory_size(self.context, ctypes.addressof(memory._memory)))

    def grow(self, memory: wasmtime.Memory, pages: int) -> None:
        """Makes a memory larger by so many pages of 64 KiB."""
        memory.grow(self.store, pages)

    def close(self) -> None:
        """Frees everything. No function of the store may be called afterwards."""
        self.store.close()
