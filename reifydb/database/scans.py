"""What a scan asks of the kernel: which index, from where to where, which way, how many rows."""

from __future__ import annotations

from typing import NamedTuple

from reifydb.database.tables import TableHandle
from reifydb.errors import RequestError

_LOWER, _UPPER, _LOWER_EXCLUSIVE, _UPPER_EXCLUSIVE, _DESCENDING = 1, 2, 4, 8, 16


class Scan(NamedTuple):
    """The arguments of the kernel's `scan`.

    Attributes:
        number: Of a secondary index, 0 for the primary key.
        limit: 0 is none.
    """

    number: int
    flags: int
    bounds: bytes
    limit: int


def scan_request(
    handle: TableHandle,
    index: str | None,
    lower: object,
    upper: object,
    lower_exclusive: bool,
    upper_exclusive: bool,
    limit: int | None,
    reverse: bool,
) -> Scan | None:
    """The scan that these options of `scan` ask for; None when there is nothing to find.

    Raises:
        RequestError: A bound or the limit is not one.
        UnknownNameError: There is no such index.
    """
    number, keys = (0, handle.keys) if index is None else handle.index(index)
    flags, bounds = _DESCENDING if reverse else 0, b""
    if limit is not None and (not isinstance(limit, int) or limit < 0):
        raise RequestError(f"limit is {limit!r}; it must be a number of rows, or None for all")
    if lower is not None:
        flags |= _LOWER | (_LOWER_EXCLUSIVE if lower_exclusive else 0)
        bounds += keys.encode_prefix(lower)
    if upper is not None:
        flags |= _UPPER | (_UPPER_EXCLUSIVE if upper_exclusive else 0)
        bounds += keys.encode_prefix(upper)
    if limit == 0:
        return None
    return Scan(number, flags, bounds, limit or 0)
