"""Compiles one guest and ends: the program of the compiling process.

Compilers are large, and what they take depends on what they are given. So an upload is inspected,
validated, edited and compiled in a process of its own, whose time, memory and files are limited
before it has read the first byte of the upload; compiler.py starts it and judges how it ended.

Run by file path with `-I -S`, which saves half of Python's start; the folders with this package and
with wasmtime come as arguments. One request comes on standard input, one reply goes to standard
output; replies.py describes both.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

if __name__ == "__main__":
    sys.path += [folder for folder in sys.argv[1:] if folder not in sys.path]

import wasmtime

from reifydb.config import ModuleLimits
from reifydb.errors import ModuleError
from reifydb.sandbox import replies
from reifydb.sandbox.binary import (
    export_state,
    name_module,
    set_memory_limits,
    set_table_maximum,
)
from reifydb.sandbox.configuration import new_engine, new_strict_engine
from reifydb.sandbox.inspection import inspect_guest

FILES_MAX = 16
"""Open files: standard input, output and errors, and a library now and then."""


def compile_request(wasm: bytes, limits: ModuleLimits, name: str | None) -> bytes:
    """Everything there is to do with an upload; a small one takes about 10 ms.

    Returns:
        The reply.

    Raises:
        ModuleError: The module is refused.
        MemoryError: Memory ran out in a place that could say so; in others the process aborts.
    """
    inspected = inspect_guest(wasm, limits, name)
    validate(wasm)
    edited, state = export_state(wasm)
    edited = set_memory_limits(edited, pages_max=limits.memory_pages_max)
    edited = set_table_maximum(edited, limits.table_elements_max)
    edited = name_module(edited, inspected.name)
    try:
        engine = new_engine(parallel_compilation=False)
        artefact = bytes(wasmtime.Module(engine, edited).serialize())
    except wasmtime.WasmtimeError as error:
        if "allocate" in str(error):
            raise MemoryError from None
        raise ModuleError("the module cannot be compiled", [_first_lines(error)]) from None
    return replies.accepted(inspected, state, artefact)


def validate(wasm: bytes) -> None:
    """Validates a guest with the features that guests may use, and no others.

    Raises:
        ModuleError: The module is not valid.
    """
    try:
        wasmtime.Module.validate(new_strict_engine(), wasm)
    except wasmtime.WasmtimeError as error:
        raise ModuleError("the module is not valid", [_first_lines(error)]) from None


def limit_process(limits: ModuleLimits) -> None:
    """Limits this process for good: processor time, address space, files; no core dumps."""
    try:
        import resource
    except ImportError:  # Windows: only the time on the wall is limited
        return
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, FILES_MAX),
        (resource.RLIMIT_CPU, limits.compile_cpu_s_max),
        (resource.RLIMIT_AS, limits.compile_bytes_max),
    ):
        _, hard = resource.getrlimit(limit)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        with suppress(OSError, ValueError):  # not every system knows every limit
            # One second between the two: the first ends the process with a signal that says why.
            resource.setrlimit(limit, (most, most + 1 if limit == resource.RLIMIT_CPU else most))


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:500]


def main() -> None:
    """Reads a request, writes its reply."""
    limits, name, wasm_bytes = replies.read_request_header(sys.stdin.buffer)
    limit_process(limits)
    try:
        reply = compile_request(sys.stdin.buffer.read(wasm_bytes), limits, name)
    except ModuleError as error:
        reply = replies.refused(error)
    except MemoryError:
        reply = replies.out_of_memory()
    sys.stdout.buffer.write(reply)
    sys.stdout.buffer.flush()
    os._exit(0)  # nothing to tidy up: the process is all there was


if __name__ == "__main__":
    main()
