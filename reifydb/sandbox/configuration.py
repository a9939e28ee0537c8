"""The one engine configuration, and code that cannot be interrupted.

Kernel, guests and generated code share one wasmtime store and therefore one engine. Its settings
are constants: never derived from the machine's memory, never from user input, because some
combinations abort the whole process (`wasm_reference_types` off is one) and because compiled code
is only accepted by an engine with the very same settings.
"""

from __future__ import annotations

import hashlib
import os
import struct
from functools import cache

import wasmtime

from reifydb.config import GIB, KIB, MIB
from reifydb.sandbox.binary import PAGE_BYTES

GUEST_RESERVATION_BYTES = 4 * GIB
"""Address space of each guest. 4 GiB and a guard behind it spare wasm32 code its bounds checks.

Where address space is scarce, the limit of guest memory would do: 80 MiB instead of 4,160 for each
guest, which is then 5–15 % slower (loops of nothing but loads up to 75 %)."""

KERNEL_BYTES_MAX = 1024 * GIB
"""How large the kernel can grow without moving. Beside it, 1,000 guests reserve 5 TiB in all; a
process has 128."""

KERNEL_BYTES_MIN = GUEST_RESERVATION_BYTES + 2 * MIB
"""The kernel's first size, edited into its binary. Only a memory that *starts* larger than
`memory_reservation` is given `memory_reservation_for_growth`. Untouched pages cost nothing. One
huge page more than the reservation, so that the base is aligned to huge pages."""

KERNEL_PAGES_MIN = KERNEL_BYTES_MIN // PAGE_BYTES
KERNEL_PAGES_MAX = KERNEL_BYTES_MAX // PAGE_BYTES

STACK_BYTES_MAX = 512 * KIB
"""Native stack of wasm code. A thread that runs guests needs 1 MiB: see `threading.stack_size`."""

SETTINGS: dict[str, bool | int] = {
    # Modules. What a guest may use of this is narrower still: see GUEST_FEATURES.
    "wasm_memory64": True,  # the kernel
    "wasm_multi_memory": True,  # bridges copy between two memories
    "wasm_exceptions": False,  # an abort returns (docs/decisions/0008-abort-returns.md)
    "wasm_bulk_memory": True,
    "wasm_multi_value": True,
    "wasm_reference_types": True,
    "wasm_simd": False,
    "wasm_relaxed_simd": False,
    "wasm_threads": False,
    "wasm_tail_call": False,
    "wasm_function_references": False,
    "wasm_gc": False,
    "wasm_stack_switching": False,
    "wasm_custom_page_sizes": False,
    "wasm_wide_arithmetic": False,
    "wasm_component_model": False,
    # The same batches on the same state give the same bytes, on every machine.
    "cranelift_nan_canonicalization": True,
    # Memory.
    "memory_reservation": GUEST_RESERVATION_BYTES,
    "memory_reservation_for_growth": KERNEL_BYTES_MAX,
    "memory_may_move": False,  # other threads read kernel memory by address
    "memory_init_cow": False,  # one mapping less per memory, and pages can move to another store
    "max_wasm_stack": STACK_BYTES_MAX,
}
"""Every setting that is not wasmtime's default or on whose default we rely."""

CRANELIFT_FLAGS: dict[str, str] = {"enable_heap_access_spectre_mitigation": "false"}
"""Settings of the code generator that are not wasmtime's default.

The mitigation makes every explicit bounds check a data dependency, so that code which speculates
past one reads nothing. Guests have no such checks: their memory is fenced by address space. Only
the kernel has (its memory is indexed with 64 bits), and the kernel is ours; without it a transfer
takes 30 % less time."""

GUEST_FEATURES: dict[str, bool] = {
    "wasm_memory64": False,
    "wasm_multi_memory": False,
}
"""What a guest may not use although the engine can: the strict configuration validates with it."""

ENGINE_SECTION = ".wasmtime.engine"
"""The section of compiled code in which wasmtime notes its version, target and settings."""


class ConfigurationError(RuntimeError):
    """This wasmtime is not as expected: the kernel cannot run on it."""


def new_engine(
    *, epoch_interruption: bool = True, parallel_compilation: bool = True
) -> wasmtime.Engine:
    """A new engine with the one configuration; about 0.4 ms.

    Args:
        epoch_interruption: Whether code looks at the epoch, and so can be interrupted. Code made
            without is for `uninterruptible`.
        parallel_compilation: Whether compiling may use several threads. The code is the same.
    """
    return _engine(SETTINGS, epoch_interruption, parallel_compilation)


def new_strict_engine() -> wasmtime.Engine:
    """An engine that validates guests: docs/abi.md lists the features. It compiles nothing."""
    return _engine(SETTINGS | GUEST_FEATURES, epoch_interruption=True, parallel_compilation=False)


def _engine(
    settings: dict[str, bool | int], epoch_interruption: bool, parallel_compilation: bool
) -> wasmtime.Engine:
    config = wasmtime.Config()
    for setting, value in settings.items():
        setattr(config, setting, value)
    config.epoch_interruption = epoch_interruption
    for flag, choice in CRANELIFT_FLAGS.items():
        config.cranelift_flag_set(flag, choice)
    config.parallel_compilation = parallel_compilation
    return wasmtime.Engine(config)


def uninterruptible(
    engine: wasmtime.Engine, without_checks: wasmtime.Engine, source: str | bytes
) -> bytes:
    """Compiles code without epoch checks for an engine that otherwise has them.

    A deadline can then never strike inside it. wasmtime refuses such code by one byte of the
    artefact's engine section, in which it notes the settings. Epoch checks concern the code itself
    only (it reads a counter and may trap), no calling convention depends on them. So the section is
    exchanged, and only if exactly that byte differs.

    Args:
        engine: From `new_engine()`: the one that will run the code.
        without_checks: From `new_engine(epoch_interruption=False)`: the one that compiles it.
        source: A module of ours, as text or binary. Never a guest: it could not be ended.

    Returns:
        The artefact, to be deserialized with `engine`.

    Raises:
        ConfigurationError: This wasmtime notes its settings in another way.
    """
    artefact = bytes(wasmtime.Module(without_checks, source).serialize())
    wanted = engine_section(engine)
    found = elf_section(artefact, ENGINE_SECTION)
    if len(found) != len(wanted):
        raise ConfigurationError("the engine sections differ in length")
    different = [(a, b) for a, b in zip(found, wanted, strict=True) if a != b]
    if different != [(0, 1)]:
        raise ConfigurationError(
            f"the engine sections differ in {len(different)} bytes, not in one"
        )
    if artefact.count(found) != 1:
        raise ConfigurationError("the engine section is not unique")
    return artefact.replace(found, wanted)


def engine_section(engine: wasmtime.Engine) -> bytes:
    """What `engine` writes into everything it compiles: version, target, CPU features, settings."""
    empty = wasmtime.Module(engine, b"\0asm\1\0\0\0")
    return elf_section(bytes(empty.serialize()), ENGINE_SECTION)


def elf_section(elf: bytes, name: str) -> bytes:
    """One section of a 64-bit little-endian ELF file, wasmtime's form on every platform.

    Raises:
        ConfigurationError: There is no such section, or this is no such file.
    """
    try:
        (table,) = struct.unpack_from("<Q", elf, 0x28)
        size, count, names_index = struct.unpack_from("<HHH", elf, 0x3A)
        headers = [struct.unpack_from("<IIQQQQ", elf, table + i * size) for i in range(count)]
        names_at = headers[names_index][4]
        for name_at, _, _, _, at, length in headers:
            start = names_at + name_at
            if elf[start : elf.index(b"\0", start)] == name.encode():
                return elf[at : at + length]
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise ConfigurationError(f"the artefact is not an ELF file: {error}") from None
    raise ConfigurationError(f"the artefact has no section {name}")


@cache
def configuration_key() -> str:
    """What compiled code depends on besides its source, in one short string; about 1 ms, once.

    wasmtime's version to the last digit (the engine section has the first only, and a fixed
    compiler must not be handed the code of a broken one), the target, the CPU's features, all
    settings.
    """
    fingerprint = hashlib.sha256()
    for epoch_interruption in (True, False):
        fingerprint.update(engine_section(new_engine(epoch_interruption=epoch_interruption)))
    fingerprint.update(repr(sorted(SETTINGS.items())).encode())
    fingerprint.update(repr(sorted(CRANELIFT_FLAGS.items())).encode())
    fingerprint.update(repr(sorted(GUEST_FEATURES.items())).encode())
    return f"wasmtime-{wasmtime_version()}-{fingerprint.hexdigest()[:32]}"


def wasmtime_version() -> str:
    """The installed wasmtime's version, from the folder beside it that pip made.

    `importlib.metadata` says the same, but to import it takes 20 ms of an opening.
    """
    folder = os.path.dirname(os.path.dirname(wasmtime.__file__))
    prefix, suffix = "wasmtime-", ".dist-info"
    found = [n for n in os.listdir(folder) if n.startswith(prefix) and n.endswith(suffix)]
    if len(found) == 1:
        return found[0].removeprefix(prefix).removesuffix(suffix)
    from importlib.metadata import version

    return version("wasmtime")
