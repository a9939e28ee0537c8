"""Packed arguments: rows one after the other, as `call_packed` takes them."""

from __future__ import annotations

from collections.abc import Iterator

from reifydb.engine.kernel import NOT_RUN, OUTCOME
from reifydb.errors import RequestError


def not_run(packed: bytes) -> bytes:
    """Outcomes for packed calls that did not run."""
    count = at = 0
    while at < len(packed):
        at += int.from_bytes(packed[at : at + 4], "little")
        count += 1
    return OUTCOME.pack(NOT_RUN, 0, 0, 0, 0) * count


def check_packed(packed: object) -> None:
    """Refuses arguments that cannot be rows at all.

    Raises:
        RequestError: They are not bytes, or not a multiple of 8 long.
    """
    if not isinstance(packed, bytes | bytearray | memoryview):
        kind = type(packed).__name__
        raise RequestError(f"packed arguments are bytes (rows one after the other), not {kind}")
    if len(packed) % 8:
        raise RequestError(f"packed arguments are a multiple of 8 bytes long, not {len(packed)}")


def pieces(packed: bytes, bytes_max: int) -> Iterator[bytes]:
    """Packed rows in pieces of whole rows. Only a long one is looked into."""
    if len(packed) <= bytes_max:
        if packed:
            yield packed
        return
    start = at = 0
    view = memoryview(packed)
    cuts = []
    while at < len(packed):
        length = int.from_bytes(view[at : at + 4], "little")
        if length < 8 or length % 8 or length > len(packed) - at or length > bytes_max:
            raise RequestError(f"the packed arguments are malformed at offset {at}")
        if at + length - start > bytes_max:
            cuts.append((start, at))
            start = at
        at += length
    for first, last in [*cuts, (start, at)]:
        yield bytes(view[first:last])
