"""Lines that guests write, on their way from the kernel to `logging.getLogger("reifydb.guest")`."""

from __future__ import annotations

import logging
import struct
from collections.abc import Mapping

from reifydb.database.transitions import PythonTransition, WasmTransition
from reifydb.engine.kernel import NONE

_HEAD = struct.Struct("<IIII")
_LOG = logging.getLogger("reifydb.guest")
_LEVELS = (10, 20, 30, 40)


def pass_on(data: bytes, transitions: Mapping[str, WasmTransition | PythonTransition]) -> None:
    """Logs what the kernel gathered (kernel/batch.zig, `LogHead`), under the transitions' names."""
    names = {
        handle.number: handle.name
        for handle in list(transitions.values())
        if isinstance(handle, WasmTransition)
    }
    names[NONE] = "a start function"
    at = 0
    while at < len(data):
        level, size, number, _ = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        text = data[at : at + size].decode("utf-8", "replace")
        at += size + 7 & ~7
        _LOG.log(level if level in _LEVELS else 20, "%s: %s", names.get(number, number), text)
