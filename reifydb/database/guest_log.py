"""Lines that guests write, on their way from the kernel to `logging.getLogger("reifydb.guest")`."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Mapping

from reifydb.database.transitions import PythonTransition, WasmTransition
from reifydb.engine.kernel import NONE

_HEAD = struct.Struct("<IIII")
_LOG = logging.getLogger("reifydb.guest")
_LEVELS = (10, 20, 30, 40)


Listener = Callable[[int, str, str], None]
"""Is told each line too, whatever `logging` is set to: its level, whose it is, its text."""


def pass_on(
    data: bytes,
    transitions: Mapping[str, WasmTransition | PythonTransition],
    listener: Listener | None,
) -> None:
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
        known = level if level in _LEVELS else 20
        name = names.get(number, str(number))
        _LOG.log(known, "%s: %s", name, text)
        if listener is not None:
            listener(known, name, text)
