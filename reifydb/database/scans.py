"""What a scan asks of the kernel: which index, from where to where, which way, how many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reifydb.database.tables import TableHandle
from reifydb.errors import RequestError

_LOWER, _UPPER, _LOWER_EXCLUSIVE, _UPPER_EXCLUSIVE, _DESCENDING, _PLACE = 1, 2, 4, 8, 16, 32
_STORED = 64


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
    index: str | None = None,
    lower: object = None,
    upper: object = None,
    lower_exclusive: bool = False,
    upper_exclusive: bool = False,
    limit: int | None = None,
    reverse: bool = False,
    behind: Sequence[object] | None = None,
    stored: bool = False,
) -> Scan | None:
    """The scan that these options of `scan` ask for; None when there is nothing to find.

    Args:
        behind: It begins behind the row which stands there, or stood: its values in the columns of
            the index, then of the primary key. Instead of the bound where it would begin.
        stored: Rows are read with what a view does not show of them.

    Raises:
        RequestError: A bound or the limit is not one.
        UnknownNameError: There is no such index.
    """
    number, keys = (0, handle.keys) if index is None else handle.index(index)
    flags, lowest, highest = _DESCENDING if reverse else 0, b"", b""
    if limit is not None and (not isinstance(limit, int) or limit < 0):
        raise RequestError(f"limit is {limit!r}; it must be a number of rows, or None for all")
    if lower is not None:
        flags |= _LOWER | (_LOWER_EXCLUSIVE if lower_exclusive else 0)
        lowest = keys.encode_prefix(lower)
    if upper is not None:
        flags |= _UPPER | (_UPPER_EXCLUSIVE if upper_exclusive else 0)
        highest = keys.encode_prefix(upper)
    if behind is not None:
        place = handle.place(index, behind)
        if reverse:
            flags, highest = flags | _PLACE | _UPPER | _UPPER_EXCLUSIVE, place
        else:
            flags, lowest = flags | _PLACE | _LOWER | _LOWER_EXCLUSIVE, place
    if limit == 0:
        return None
    return Scan(number, flags | (_STORED if stored else 0), lowest + highest, limit or 0)
