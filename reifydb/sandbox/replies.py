"""What goes to the compiling process and what comes back, as bytes.

A request is a length, so many bytes of JSON and the module. A reply is a mark, a length, so many
bytes of JSON, and what is too large for JSON: the memory image and the compiled code. The parent
reads a reply like a file from a stranger: one that is cut or altered is an error, never a crash.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from reifydb.config import ModuleLimits
from reifydb.errors import ModuleError
from reifydb.sandbox.binary import GuestState
from reifydb.sandbox.inspection import Inspected
from reifydb.sandbox.manifest import Manifest, manifest_json, parse_manifest

_LENGTH = struct.Struct("<I")
_MARK = b"reifycg1"


@dataclass(frozen=True, slots=True)
class CompiledGuest:
    """A guest, ready to be linked.

    Attributes:
        sha256: Of the module as it was given, in hexadecimal.
        artefact: Compiled code, to be deserialized by the main engine. Compiled with what
            `export_state` added; native code: believed only because our own process made it.
        state: What an instance can change, and how it is put back.
        imports: Names of the host functions it imports, in the order of its imports.
        exports: Names of the functions it exports, in order, without those that were added.
        manifest: Its manifest, checked.
        name: Its name: as asked for, else the manifest's.
    """

    sha256: str
    artefact: bytes
    state: GuestState
    imports: tuple[str, ...]
    exports: tuple[str, ...]
    manifest: Manifest
    name: str


class DamagedReplyError(Exception):
    """A reply that is not one."""


# ------------------------------------------------------------------ requests


def request(wasm: bytes, limits: ModuleLimits, name: str | None) -> bytes:
    """The request to compile a module."""
    header = json.dumps({"limits": asdict(limits), "name": name, "bytes": len(wasm)}).encode()
    return _LENGTH.pack(len(header)) + header + wasm


def read_request_header(stream: BinaryIO) -> tuple[ModuleLimits, str | None, int]:
    """All of a request but the module, which has as many bytes as the last value says."""
    (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
    header = json.loads(stream.read(length))
    return ModuleLimits(**header["limits"]), header["name"], header["bytes"]


# ------------------------------------------------------------------ replies


def accepted(inspected: Inspected, state: GuestState, artefact: bytes) -> bytes:
    """The reply for a compiled module."""
    header = {
        "name": inspected.name,
        "imports": inspected.imports,
        "exports": inspected.exports,
        "manifest": manifest_json(inspected.manifest).decode(),
        "globals": state.globals,
        "tables": state.tables,
        "memory_pages": state.memory_pages,
        "segments": [(at, len(content)) for at, content in state.segments],
        "start": state.start,
        "resettable": state.resettable,
        "artefact_bytes": len(artefact),
    }
    return _packed(header, *[content for _, content in state.segments], artefact)


def refused(error: ModuleError) -> bytes:
    """The reply for a module with problems."""
    message = str(error).split(":\n", 1)[0]
    return _packed({"message": message, "problems": error.problems})


def out_of_memory() -> bytes:
    """The reply when memory ran out in a place that could say so."""
    return _packed({"out_of_memory": True})


def _packed(header: dict[str, Any], *contents: bytes) -> bytes:
    encoded = json.dumps(header).encode()
    return b"".join([_MARK, _LENGTH.pack(len(encoded)), encoded, *contents])


def read_reply(reply: bytes, sha256: str) -> CompiledGuest:
    """The compiled guest that a reply describes.

    Raises:
        ModuleError: The module was refused.
        MemoryError: The compiling process said that its memory ran out.
        DamagedReplyError: The bytes are no reply.
    """
    try:
        begin = len(_MARK) + _LENGTH.size
        (length,) = _LENGTH.unpack_from(reply, len(_MARK))
        if reply[: len(_MARK)] != _MARK:
            raise DamagedReplyError("it does not begin as a reply")
        header = json.loads(reply[begin : begin + length])
        if "problems" in header:
            raise ModuleError(header["message"], header["problems"])
        if "out_of_memory" in header:
            raise MemoryError
        return _guest(header, reply, begin + length, sha256)
    except (struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedReplyError(f"{type(error).__name__}: {error}") from None


def _guest(header: dict[str, Any], reply: bytes, at: int, sha256: str) -> CompiledGuest:
    segments = []
    for address, length in header["segments"]:
        segments.append((address, reply[at : at + length]))
        at += length
    artefact = reply[at:]
    if len(artefact) != header["artefact_bytes"]:
        raise DamagedReplyError("it is cut off")
    state = GuestState(
        globals=tuple((name, kind) for name, kind in header["globals"]),
        tables=tuple((name, size) for name, size in header["tables"]),
        memory_pages=header["memory_pages"],
        segments=tuple(segments),
        start=header["start"],
        resettable=header["resettable"],
    )
    return CompiledGuest(
        sha256=sha256,
        artefact=artefact,
        state=state,
        imports=tuple(header["imports"]),
        exports=tuple(header["exports"]),
        manifest=parse_manifest(header["manifest"].encode()),
        name=header["name"],
    )
