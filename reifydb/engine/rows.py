"""Rows between Python and bytes: the format of docs/formats.md, "Row".

Every embedded call passes here twice, so the common shapes have short ways: columns of one width
without nulls go through one prebuilt `struct.Struct`. Whatever the short way refuses takes the long
one, which either handles it (nulls, datetimes) or says exactly what is wrong and where.

What is written is canonical. What is read comes from the kernel, which has checked it; a row that
is malformed all the same is a bug of ours and raises `KernelError`.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

from reifydb.config import row_bytes_max
from reifydb.engine.catalog import Column, Type
from reifydb.engine.misfit import MisfitError
from reifydb.engine.row_errors import RowErrors
from reifydb.engine.values import (
    FROM_TAIL,
    TO_TAIL,
    Buffer,
    default_value,
    slot_reader,
    slot_writer,
)
from reifydb.errors import (
    KernelError,
    LimitError,
    UnknownNameError,
)

_HEADER = struct.Struct("<IHH")
REFUSALS = (struct.error, TypeError, ValueError, OverflowError, IndexError)
_LITTLE = sys.byteorder == "little"


class ShortLay(NamedTuple):
    """One step that writes a head and a row of ints: `pack(buffer, 0, head, header, *values)`.

    It raises one of `REFUSALS` when the long way must say what is wrong. `length`: of both.
    """

    pack: Callable[..., None]
    head: bytes
    header: int
    length: int


class RowCodec:
    """Rows of given columns: positional or by name, one or many.

    Built once per table, projection or transition; O(columns). Safe from several threads.

    Args:
        columns: The columns in order. Their defaults stand in for columns that a row is too short
            to have.
        what: Names the thing in errors: `table account`, `transition bank.transfer`.
        arguments: The columns are a transition's parameters: none may be left out, and null is
            refused here where a parameter does not allow it. (For tables the kernel says so.)
    """

    def __init__(self, columns: Sequence[Column], *, what: str, arguments: bool = False) -> None:
        self.columns, self.what, self.arguments = tuple(columns), what, arguments
        self.names = tuple(c.name for c in self.columns)
        self._errors = RowErrors(self.columns, what, arguments)
        n = len(self.columns)
        self._known = frozenset(self.names)
        self._nulls_at = 8 + 8 * n
        self._tail_at = self._nulls_at + (n + 7) // 8
        self._steps = [
            (c, TO_TAIL.get(c.type), None if c.type in TO_TAIL else slot_writer(c))
            for c in self.columns
        ]
        self._slots = _slots(self.columns)
        letters = self._slots.format[1:]
        self._front = struct.Struct(f"<Q{letters}{self._tail_at - self._nulls_at}x")
        self._count = n << 32
        self._no_nulls = bytes(self._tail_at - self._nulls_at)
        self._slots_and_nulls = struct.Struct(f"<{letters}{len(self._no_nulls)}s")
        kinds = [(i, c.type) for i, c in enumerate(self.columns)]
        self._tails = [(i, TO_TAIL[kind]) for i, kind in kinds if kind in TO_TAIL]
        self._checked = [
            (i, slot_writer(c))
            for i, c in enumerate(self.columns)
            if c.type not in TO_TAIL and c.type is not Type.INT
        ]
        self._pick = itemgetter(*self.names) if n > 1 else None

        self._size = _padded(self._tail_at)
        self._header = self._size | self._count
        self._blank = bytes(self._size - self._nulls_at)
        blank = f"{len(self._blank)}"
        # Writing: ints only. `struct` would take 2 for a bool and NaN for a float.
        whole = struct.Struct(f"<Q{letters}{blank}x")
        self._pack = partial(whole.pack, self._header)
        self._short_write = all(c.type is Type.INT for c in self.columns)
        self._short_write_many = n > 0 and all(c.type in _COLUMN_CHECKS for c in self.columns)
        # Reading: all that needs no conversion.
        self._short_read = all(c.type in _READ_AS_IS for c in self.columns)
        read_letters = "".join(_READ_LETTERS.get(c.type, "q") for c in self.columns)
        self._whole = struct.Struct(f"<Q{read_letters}{blank}s")
        self._conversions = [
            (i, FROM_TAIL.get(c.type), slot_reader(c))
            for i, c in enumerate(self.columns)
            if c.type not in _AS_IN_SLOT
        ]
        self._defaults: tuple[object, ...] = (None,) * n
        if any(c.default is not None for c in self.columns):
            defaults = [default_value(c) for c in self.columns]
            self._defaults = self.decode(self._encode(defaults, None))

    # ------------------------------------------------------------------ writing

    def encode(self, values: Sequence[object]) -> bytes:
        """One row from values in column order. O(bytes).

        Raises:
            WrongTypeError: A value does not fit its column.
            RequestError: Too few or too many values.
            LimitError: The row is longer than `row_bytes_max`.
        """
        if self._short_write:
            try:
                return self._pack(*values)
            except REFUSALS:
                pass
        elif type(values) in _PLAIN:
            try:
                return self._encode_plain(values)
            except REFUSALS:
                pass
        return self._encode(values, None)

    def laid_behind(self, head: bytes) -> ShortLay | None:
        """The short way to write `head` and one row into a buffer, where these columns have one.

        Args:
            head: 8 bytes.
        """
        if not self._short_write or len(head) != 8:
            return None
        letters = "q" * len(self.columns)
        blank = self._size - 8 - 8 * len(self.columns)
        pack = struct.Struct(f"<8sQ{letters}{blank}x").pack_into
        return ShortLay(pack, head, self._header, 8 + self._size)

    def encode_mapping(self, mapping: Mapping[str, object], *, defaults: bool = False) -> bytes:
        """One row from values by name. O(bytes).

        Args:
            mapping: Values by column name. What is left out is null.
            defaults: What is left out has its column's default instead.

        Raises:
            UnknownNameError: There is no column of this name.
            RequestError: An argument is missing or surplus (transitions only).
            WrongTypeError, LimitError: As `encode`.
        """
        return self.encode(self.arrange(mapping, defaults=defaults))

    def arrange(self, mapping: Mapping[str, object], *, defaults: bool = False) -> Sequence[object]:
        """Values by name put into column order; see `encode_mapping`."""
        if self._pick is not None and len(mapping) == len(self.names):
            try:
                return self._pick(mapping)  # type: ignore[no-any-return]
            except KeyError:
                pass
        surplus = [name for name in mapping if name not in self._known]
        if self.arguments:
            if surplus or len(mapping) != len(self.names):
                raise self._errors.wrong_arguments(mapping)
        elif surplus:
            raise UnknownNameError(f"column in {self.what}:", str(surplus[0]), self.names)
        if defaults:
            return [
                mapping.get(name, default)
                for name, default in zip(self.names, self._defaults, strict=True)
            ]
        return [mapping.get(name) for name in self.names]

    def encode_many(self, rows: Iterable[Sequence[object]]) -> bytes:
        """Rows one after the other. O(bytes); about 0.06 µs for a row of three ints.

        The rows of a wrong batch are found by going over them again, so `rows` is read twice
        unless it is an iterator.

        Raises:
            WrongTypeError, RequestError, LimitError: As `encode`; the message has the row's index.
        """
        if not isinstance(rows, Sequence):
            try:
                rows = list(rows)
            except TypeError:
                raise self._errors.no_rows(rows) from None
        try:
            if set(map(type, rows)) <= _PLAIN:
                if self._short_write:
                    pack = self._pack
                    return b"".join([pack(*row) for row in rows])
                if self._short_write_many:
                    return self._encode_columns(rows)
                return b"".join(map(self._encode_plain, rows))
        except REFUSALS:
            pass
        return b"".join([self._encode(row, i) for i, row in enumerate(rows)])

    def _encode_columns(self, rows: Sequence[Sequence[object]]) -> bytes:
        columns: list[Iterable[object]] = list(zip(*rows, strict=True))
        for i, column in enumerate(self.columns):
            values = columns[i]
            if not set(map(type, values)) <= _COLUMN_CHECKS[column.type]:
                raise TypeError
            if column.type is Type.FLOAT:
                columns[i] = normal = [value + 0.0 for value in values]  # type: ignore[operator]
                if not all(map(math.isfinite, normal)):
                    raise ValueError
        pack = self._pack
        return b"".join([pack(*row) for row in zip(*columns, strict=True)])

    def _encode_plain(self, values: Sequence[object]) -> bytes:
        """Any columns, no nulls. What `struct` checks by itself is left to it."""
        slots, end = list(values), self._tail_at
        tail: list[bytes] = []
        for i, to_slot in self._checked:
            slots[i] = to_slot(values[i])
        for i, to_tail in self._tails:
            data = to_tail(values[i])
            slots[i] = end | len(data) << 32
            end += len(data)
            tail.append(data)
        size = (end + 7) & ~7
        if size > row_bytes_max:
            raise ValueError
        return self._front.pack(size | self._count, *slots) + b"".join(tail) + bytes(size - end)

    def _encode(self, values: Sequence[object], index: int | None) -> bytes:
        """The long way: every shape, and every error with its place."""
        n = len(self._steps)
        if isinstance(values, _NO_ROW) or not hasattr(values, "__len__"):
            raise self._errors.no_row(values, index)
        count = len(values)
        if count != n:
            raise self._errors.wrong_count(count, index)
        slots: list[int | float] = []
        tail: list[bytes] = []
        nulls, end = 0, self._tail_at
        for i, (value, (column, to_tail, to_slot)) in enumerate(
            zip(values, self._steps, strict=True)
        ):
            try:
                if value is None:
                    if self.arguments and not column.nullable:
                        raise MisfitError(column.sql_type, None)
                    nulls |= 1 << i
                    slots.append(0)
                elif to_tail is not None:
                    data = to_tail(value)
                    slots.append(end | len(data) << 32)
                    end += len(data)
                    tail.append(data)
                    if end > row_bytes_max:
                        break
                elif to_slot is not None:
                    slots.append(to_slot(value))
            except MisfitError as error:
                raise self._errors.misfit(error, column, index) from None
        size = _padded(end)
        if size > row_bytes_max:
            message = f"{self._errors.place(index)}: the row is too long"
            raise LimitError(message, limit="row_bytes_max", value=row_bytes_max)
        head = _HEADER.pack(size, n, 0) + self._slots.pack(*slots)
        row = head + nulls.to_bytes(self._tail_at - self._nulls_at, "little") + b"".join(tail)
        return row.ljust(size, b"\0")

    # ------------------------------------------------------------------ reading

    def decode(self, buffer: Buffer, offset: int = 0) -> tuple[object, ...]:
        """The row at `offset` as a tuple in column order. O(bytes).

        Raises:
            KernelError: It is not a row of these columns.
        """
        if self._short_read:
            try:
                row = self._whole.unpack_from(buffer, offset)
            except struct.error:
                pass
            else:
                if row[0] == self._header and row[-1] == self._blank:
                    return row[1:-1]
        return self._decode(buffer, offset)[0]

    def decode_mapping(self, buffer: Buffer, offset: int = 0) -> dict[str, object]:
        """The row at `offset` by column name. O(bytes).

        Raises:
            KernelError: It is not a row of these columns.
        """
        return dict(zip(self.names, self.decode(buffer, offset), strict=True))

    def decode_many(self, buffer: Buffer) -> list[tuple[object, ...]]:
        """All rows of a buffer that holds nothing else. O(bytes).

        Raises:
            KernelError: They are not rows of these columns.
        """
        if self._short_read and self.columns and _LITTLE and len(buffer) % self._size == 0:
            words, step = memoryview(buffer).cast("q"), self._size // 8
            blank_at = self._nulls_at // 8
            blank = (words[at::step].tolist() for at in range(blank_at, step))
            headers = set(words[0::step].tolist())
            if headers <= {self._header} and not any(map(any, blank)):
                return list(zip(*self._read_columns(memoryview(buffer), words), strict=True))
        rows, offset = [], 0
        while offset < len(buffer):
            row, size = self._decode(buffer, offset)
            rows.append(row)
            offset += size
        return rows

    def _read_columns(self, octets: memoryview, words: memoryview[int]) -> Iterable[list[object]]:
        step = self._size // 8
        for i, column in enumerate(self.columns, 1):
            if column.type is Type.BOOL:
                yield [slot != 0 for slot in words[i::step].tolist()]
            elif column.type is Type.FLOAT:
                yield octets.cast("d")[i::step].tolist()  # type: ignore[misc]
            else:
                yield words[i::step].tolist()  # type: ignore[misc]

    def decode_many_mappings(self, buffer: Buffer) -> list[dict[str, object]]:
        """All rows of a buffer that holds nothing else, by column name. O(bytes).

        Raises:
            KernelError: They are not rows of these columns.
        """
        names = self.names
        return [dict(zip(names, row, strict=True)) for row in self.decode_many(buffer)]

    def _decode_plain(self, buffer: Buffer, offset: int, size: int) -> list[Any] | None:
        """A row of all columns without nulls; None when it is not one."""
        *values, nulls = self._slots_and_nulls.unpack_from(buffer, offset + 8)
        if nulls != self._no_nulls or size % 8 or not self._tail_at <= size <= len(buffer) - offset:
            return None
        for i, from_tail, from_slot in self._conversions:
            slot = values[i]
            if from_tail is not None:
                start, length = slot & 0xFFFFFFFF, slot >> 32
                if not 0 <= length <= size - start:
                    return None
                start += offset
                values[i] = from_tail(buffer[start : start + length])
            elif from_slot is not None:
                values[i] = from_slot(slot)
        return values

    def _decode(self, buffer: Buffer, offset: int) -> tuple[tuple[object, ...], int]:
        """The long way: nulls, tails, timestamps, rows shorter than the columns."""
        try:
            size, n, reserved = _HEADER.unpack_from(buffer, offset)
            if n == len(self.columns) and not reserved:
                plain = self._decode_plain(buffer, offset, size)
                if plain is not None:
                    return tuple(plain), size
            missing = len(self.columns) - n
            tail_at = 8 + 8 * n + (n + 7) // 8
            if reserved or missing < 0 or size % 8 or not tail_at <= size <= len(buffer) - offset:
                raise ValueError("length or number of columns")
            slots = self._slots if not missing else _slots(self.columns[:n])
            values: list[Any] = list(slots.unpack_from(buffer, offset + 8))
            nulls_at = offset + 8 + 8 * n
            nulls = int.from_bytes(buffer[nulls_at : offset + tail_at], "little")
            for i, from_tail, from_slot in self._conversions:
                if i >= n or nulls >> i & 1:
                    continue
                if from_tail is not None:
                    values[i] = from_tail(_tail(values[i], buffer, offset, size))
                elif from_slot is not None:
                    values[i] = from_slot(values[i])
            if nulls:
                for i in range(n):
                    if nulls >> i & 1:
                        values[i] = None
        except (struct.error, ValueError) as error:
            raise KernelError(f"{self.what}: a malformed row was read ({error})") from None
        return (*values, *self._defaults[n:]), size

    @property
    def signature(self) -> str:
        """The columns as errors show them: `bank.transfer(source int, target int)`."""
        return self._errors.signature


CODECS_KEPT_MAX = 1024
"""So many codecs are kept in the process, for the next table or transition of the same columns."""


def row_codec(columns: Sequence[Column], *, what: str, arguments: bool = False) -> RowCodec:
    """A `RowCodec`, made once: making it takes ten times as long as finding it."""
    return _kept(tuple(columns), what, arguments)


@lru_cache(CODECS_KEPT_MAX)
def _kept(columns: tuple[Column, ...], what: str, arguments: bool) -> RowCodec:
    return RowCodec(columns, what=what, arguments=arguments)


_PLAIN = {tuple, list}
_NO_ROW = (str, bytes, bytearray, memoryview, Mapping, AbstractSet)
"""What has a length and is no sequence of values."""
_READ_LETTERS = {Type.BOOL: "?7x", Type.FLOAT: "d"}
_READ_AS_IS = (Type.BOOL, Type.INT, Type.FLOAT)
_AS_IN_SLOT = (Type.INT, Type.FLOAT)
_COLUMN_CHECKS: dict[Type, set[type]] = {
    Type.BOOL: {bool},
    Type.INT: {int, bool},
    Type.FLOAT: {float},
}


def _padded(size: int) -> int:
    return (size + 7) & ~7


def _slots(columns: Sequence[Column]) -> struct.Struct:
    return struct.Struct("<" + "".join("d" if c.type is Type.FLOAT else "q" for c in columns))


def _tail(slot: object, buffer: Buffer, offset: int, size: int) -> Buffer:
    """The bytes that a slot points to."""
    assert isinstance(slot, int)
    start, length = slot & 0xFFFFFFFF, slot >> 32 & 0xFFFFFFFF
    if start + length > size:
        raise ValueError("offset or length of a text")
    return buffer[offset + start : offset + start + length]
