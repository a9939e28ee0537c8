"""Look-ups: one row is asked for by its key, in as few steps as there can be.

What is asked is laid into the kernel's input in one step, the call takes no arguments, and the row
is taken out of the output in one step; all three are bound to the kernel's present store before
there is anything to ask. `struct` does it, for the commonest shapes: values without nulls, and rows
that have all their columns, no nulls, and a tail of at most TAIL_BYTES. All others go the long way,
through `RowCodec`, which knows every shape and every error.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from reifydb.engine.catalog import Column, Type
from reifydb.engine.ffi import RawFunction
from reifydb.engine.rows import REFUSALS, RowCodec
from reifydb.engine.values import FROM_TAIL, TO_TAIL, slot_reader, slot_writer

if TYPE_CHECKING:
    from reifydb.engine.kernel import Kernel

FOUND = -(1 << 62)
"""That, and no more: there is no such row. Else the first 6 bytes of the row, its length and its
number of columns, are added, and HAS_NULLS. Codes of refusals are far above it."""

HAS_NULLS = 1 << 48
NO_CODE = FOUND // 2
"""Codes are above it."""

TAIL_BYTES = 128
"""Longer tails go the long way. So many bytes are copied for each row that has a tail: that takes
no time that could be measured."""

Row = tuple[object, ...]

Find = Callable[[Sequence[object], object], Row | None]
"""Looks for a row: `find(values, given)`. The values are what makes up the key, or stands for a
query's parameters; `given` is the same as somebody has given it. None: there is no such row. Raises
`LookupRefused`. In a turn."""


class LookupRefused(Exception):
    """The kernel refused a look-up: `code` says why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Lookups:
    """The look-ups that were made, by name, for one catalog and the kernel's present store.

    Attributes:
        catalog: What they were made for.
        made: Whatever their owner keeps of each.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.catalog: object = None
        self.made: dict[str, Any] = {}
        kernel.link(self)

    def renew(self, catalog: object) -> None:
        """They are made again, when they are needed, for this catalog."""
        self.made.clear()
        self.catalog = catalog

    def link(self, kernel: Kernel) -> None:
        """Nothing has been made yet."""

    def link_again(self, kernel: Kernel) -> None:
        """What was made leads into a store that goes away."""
        del kernel
        self.made.clear()


def look_up(
    kernel: Kernel,
    function: RawFunction,
    number: int,
    asked: tuple[Sequence[Column], Callable[[Any], bytes]],
    found: RowCodec,
) -> Find:
    """Makes a look-up in the kernel's present store.

    Args:
        kernel: Where to look.
        function: `get_row` or `find_row` (kernel/main.zig).
        number: Of a table, or of a query.
        asked: The columns of the values, and the long way to lay them: what makes a row of what was
            asked for. What it raises, the look-up raises.
        found: Reads the row that is found.
    """
    columns, encode = asked
    where, output, answer = kernel.input, kernel.output, kernel.asked
    lay, unpack = _lay(where, number, columns), _unpack(found.columns)
    slots, tails = _conversions(found.columns)
    as_they_are = not slots and not tails
    only, from_only = tails[0] if len(tails) == 1 and not slots else (-1, _nothing)
    enter, arguments, decode = function.enter, function.arguments, found.decode
    fixed, count = _fixed(found.columns), len(found.columns) << 32
    first, last = FOUND + (_padded(fixed) | count), FOUND + (fixed + TAIL_BYTES | count)

    def find(values: Sequence[object], given: object) -> Row | None:
        try:
            lay(*values)
        except REFUSALS:
            packed = encode(given)
            head = (number | len(packed) << 32).to_bytes(8, "little")
            where[: 8 + len(packed)] = head + packed
        try:
            error = enter(*arguments)
        except BaseException:
            function.interrupted()
            raise
        said = answer.value
        if first <= said <= last:
            if as_they_are:
                return unpack(output)
            *row, tail = unpack(output)
            if only >= 0:  # the commonest of all
                row[only] = from_only(tail[: row[only]])
                return tuple(row)
            end = 0
            for i, from_tail in tails:
                start, end = end, end + row[i]
                row[i] = from_tail(tail[start:end])
            for i, from_slot in slots:
                row[i] = from_slot(row[i])
            return tuple(row)
        if said >= 0:  # what was asked still lies there: the call did not return
            raise function.ended(error)
        if said > NO_CODE:
            raise LookupRefused(said)
        return None if said == FOUND else decode(output)

    return find


def _lay(buffer: memoryview, number: int, columns: Sequence[Column]) -> Callable[..., None]:
    """What lays a look-up for values of these columns; raises one of REFUSALS when the long way
    must.
    """
    n, fixed = len(columns), _fixed(columns)
    letters = "".join("d" if c.type is Type.FLOAT else "q" for c in columns)
    if all(c.type is Type.INT for c in columns):
        size = _padded(fixed)
        pack = struct.Struct(f"<QQ{letters}{size - 8 - 8 * n}x").pack_into
        return partial(pack, buffer, 0, number | size << 32, size | n << 32)

    pack = struct.Struct(f"<QQ{letters}{fixed - 8 - 8 * n}x{TAIL_BYTES}s").pack_into
    slots = [
        (i, slot_writer(c))
        for i, c in enumerate(columns)
        if c.type not in TO_TAIL and c.type is not Type.INT
    ]
    tails = [
        (i, str.encode if c.type is Type.TEXT else TO_TAIL[c.type])
        for i, c in enumerate(columns)
        if c.type in TO_TAIL
    ]

    def lay(*values: Any) -> None:
        row: list[Any] = list(values)
        for i, to_slot in slots:
            row[i] = to_slot(row[i])
        end, tail = fixed, b""
        for i, to_tail in tails:
            data = to_tail(row[i])
            row[i] = end | len(data) << 32
            end += len(data)
            tail += data
        if end > fixed + TAIL_BYTES:
            raise ValueError
        size = _padded(end)
        pack(buffer, 0, number | size << 32, size | n << 32, *row, tail)

    return lay


_SLOT_LETTERS = {Type.BOOL: "?7x", Type.INT: "q", Type.FLOAT: "d"}


def _unpack(columns: Sequence[Column]) -> Callable[[memoryview], tuple[Any, ...]]:
    """What takes a row apart that has these columns, no nulls and a short tail: the slots; and the
    tail, unless all values are in their slots just as they are.

    Of a slot that leads into the tail it is the length alone: tails lie in the columns' order with
    nothing between them (docs/formats.md, "Row").
    """
    letters = "".join(
        "4xI" if c.type in TO_TAIL else _SLOT_LETTERS.get(c.type, "q") for c in columns
    )
    if all(c.type in _SLOT_LETTERS for c in columns):
        return struct.Struct(f"<8x{letters}").unpack_from
    return struct.Struct(f"<8x{letters}{(len(columns) + 7) // 8}x{TAIL_BYTES}s").unpack_from


def _conversions(
    columns: Sequence[Column],
) -> tuple[list[tuple[int, Callable[[Any], object]]], list[tuple[int, Callable[[Any], object]]]]:
    """What makes values of slots, and of pieces of the tail, where they are not values yet."""
    slots: list[tuple[int, Callable[[Any], object]]] = []
    tails: list[tuple[int, Callable[[Any], object]]] = []
    for i, column in enumerate(columns):
        reader = slot_reader(column)
        if column.type is Type.TEXT:
            tails.append((i, bytes.decode))
        elif column.type in TO_TAIL:
            tails.append((i, FROM_TAIL[column.type]))
        elif column.type not in _SLOT_LETTERS and reader is not None:
            slots.append((i, reader))
    return slots, tails


def _nothing(value: Any) -> object:
    return value


def _fixed(columns: Sequence[Column]) -> int:
    """Where the tail of a row of these columns begins."""
    return 8 + 8 * len(columns) + (len(columns) + 7) // 8


def _padded(size: int) -> int:
    return (size + 7) & ~7
