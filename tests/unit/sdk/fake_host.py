"""A second implementation of the guest ABI, to test SDKs against: plain Python over dicts.

It is written from docs/abi.md and docs/formats.md alone and shares no code with the package, so
that the two can be compared. It is slow and does no more than the pages say: limits are the few
that a test can wait for. Timestamps are integers, microseconds since the epoch; decimals integers,
in their smallest unit; uuids 16 bytes; JSON its canonical text.
"""

from __future__ import annotations

import copy
import functools
import json
import math
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import wasmtime

Value = bool | int | float | str | bytes | None

ABORTED, NOT_FOUND, DUPLICATE_KEY, NOT_NULL, INVALID_ROW, INVALID_NUMBER, READ_ONLY = range(
    -1, -8, -1
)
KEY_TOO_LONG, ROW_TOO_LONG, NO_RELATION, LIMIT_REACHED = range(-8, -12, -1)
EXHAUSTED = -14

CURSORS_MAX = 64
MESSAGE_BYTES_MAX = 1024
KEY_BYTES_MAX = 1024
RESULT_BYTES_MAX = 1 << 20
FLAG_LOWER, FLAG_UPPER, FLAG_AFTER, FLAG_BEFORE, FLAG_DESCENDING = 1, 2, 4, 8, 16

ANSWERING = ("args", "now", "random", "caller", "generated")
"""What goes on answering after an abort."""


class AbortedError(Exception):
    """A transition ended its transaction; `args` are the code and the message."""


class RefusalError(Exception):
    """An operation answers with a code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Column:
    name: str
    type: str
    nullable: bool = False
    default: Value = None


@dataclass
class Index:
    name: str
    columns: list[int]
    unique: bool = False


@dataclass
class Table:
    """Rows by key; a key is a tuple that Python orders as the encoded key is ordered."""

    columns: list[Column]
    key: list[int]
    auto: int | None = None
    indexes: list[Index] = field(default_factory=list)
    rows: dict[tuple[Any, ...], list[Value]] = field(default_factory=dict)
    mark: int = 0


# ------------------------------------------------------------------ rows


LONG = ("text", "bytes", "uuid", "json")


def encode(columns: Sequence[Column], values: Sequence[Value]) -> bytes:
    """The canonical row of `values`."""
    count = len(columns)
    nulls = bytearray((count + 7) // 8)
    slots, tail = b"", b""
    tail_at = 8 + 8 * count + len(nulls)
    for i, (column, value) in enumerate(zip(columns, values, strict=True)):
        if value is None:
            nulls[i // 8] |= 1 << i % 8
            slots += bytes(8)
        elif column.type in LONG:
            long = value.encode() if isinstance(value, str) else bytes(value)  # type: ignore[arg-type]
            slots += struct.pack("<II", tail_at + len(tail), len(long))
            tail += long
        else:
            slots += struct.pack("<d" if column.type == "float" else "<q", value)
    length = -(-(tail_at + len(tail)) // 8) * 8
    row = struct.pack("<IHH", length, count, 0) + slots + bytes(nulls) + tail
    return row.ljust(length, b"\0")


def decode(columns: Sequence[Column], row: bytes) -> list[Value]:
    """The values of one row, checked as a host checks it."""
    if len(row) < 8:
        raise RefusalError(INVALID_ROW)
    length, count, reserved = struct.unpack_from("<IHH", row)
    tail_at = 8 + 8 * count + (count + 7) // 8
    if length != len(row) or length % 8 or reserved or count != len(columns) or tail_at > length:
        raise RefusalError(INVALID_ROW)
    return [_value(column, i, row, tail_at) for i, column in enumerate(columns)]


def _value(column: Column, i: int, row: bytes, tail_at: int) -> Value:
    count = struct.unpack_from("<H", row, 4)[0]
    at = 8 + 8 * i
    if row[8 + 8 * count + i // 8] >> i % 8 & 1:
        return None
    if column.type in LONG:
        offset, length = struct.unpack_from("<II", row, at)
        if offset < tail_at or offset + length > len(row):
            raise RefusalError(INVALID_ROW)
        long = row[offset : offset + length]
        if column.type in ("bytes", "uuid"):
            if column.type == "uuid" and length != 16:
                raise RefusalError(INVALID_ROW)
            return long
        try:
            text = long.decode()
            return canonical(text) if column.type == "json" else text
        except ValueError:
            raise RefusalError(INVALID_ROW) from None
    if column.type == "float":
        number = struct.unpack_from("<d", row, at)[0]
        if not math.isfinite(number):
            raise RefusalError(INVALID_NUMBER)
        return number + 0.0  # −0.0 becomes 0.0
    number = struct.unpack_from("<q", row, at)[0]
    if column.type == "bool":
        if number not in (0, 1):
            raise RefusalError(INVALID_NUMBER)
        return bool(number)
    if column.type.startswith("decimal"):
        digits = int(column.type.removeprefix("decimal(").split(",")[0])
        if abs(number) >= 10**digits:
            raise RefusalError(INVALID_NUMBER)
    return int(number)


def canonical(text: str) -> str:
    """JSON in its canonical form; ValueError when it is none."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key is there twice")
        return dict(pairs)

    def finite(number: str) -> float:
        if math.isinf(float(number)):
            raise RefusalError(INVALID_NUMBER)
        return float(number) + 0.0

    def none(constant: str) -> Any:
        raise ValueError(constant)

    value = json.loads(text, object_pairs_hook=once, parse_float=finite, parse_constant=none)
    found = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    found.encode()  # lone surrogates are no text
    return found


def split(rows: bytes) -> list[bytes]:
    """The rows of several, one after the other."""
    found, at = [], 0
    while at < len(rows):
        length = int.from_bytes(rows[at : at + 4], "little")
        if length < 8 or length % 8 or at + length > len(rows):
            raise RefusalError(INVALID_ROW)
        found.append(rows[at : at + length])
        at += length
    return found


def ordered(values: Sequence[Value]) -> tuple[Any, ...]:
    """Values of a key so that Python compares them as the encoded key compares."""
    if None in values:
        raise RefusalError(NOT_NULL)
    key = tuple(v.encode() if isinstance(v, str) else v for v in values)
    if sum(len(v) + v.count(0) + 2 if isinstance(v, bytes) else 8 for v in key) > KEY_BYTES_MAX:
        raise RefusalError(KEY_TOO_LONG)
    return key


def indexed(values: Sequence[Value]) -> tuple[Any, ...]:
    """Values of an index so that Python compares them as the index does: null is behind all."""
    return tuple((1,) if v is None else (0, *ordered([v])) for v in values)


# ------------------------------------------------------------------ the host


def custom_section(module: bytes, wanted: str) -> bytes:
    """The contents of a custom section."""
    at = 8
    while at < len(module):
        kind = module[at]
        size, at = _leb(module, at + 1)
        if kind == 0:
            length, start = _leb(module, at)
            if module[start : start + length] == wanted.encode():
                return module[start + length : at + size]
        at += size
    raise KeyError(wanted)


def _leb(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


ENGINE = wasmtime.Engine()


@functools.cache
def _compiled(module: bytes) -> wasmtime.Module:
    return wasmtime.Module(ENGINE, module)


@dataclass
class Cursor:
    relation: int
    index: Index | None
    lower: tuple[bool, tuple[Any, ...]] | None
    upper: tuple[bool, tuple[Any, ...]] | None
    descending: bool
    left: int | None
    last: tuple[Any, ...] | None = None


class FakeHost:
    """One installed module over its tables.

    Attributes:
        tables: By name; what a failed transition did to them is taken back.
        log: What the guest logged: level and text.
    """

    def __init__(self, module: bytes, tables: dict[str, Table]) -> None:
        self.tables = tables
        self.log: list[tuple[int, str]] = []
        self.now, self.random, self.caller = 1_700_000_000_000_000, 0x0123456789ABCDEF, ""
        self.manifest = json.loads(custom_section(module, "reifydb.manifest"))
        self.transitions = {t["name"]: t for t in self.manifest["transitions"]}
        self._relations = [self._bind(relation) for relation in self.manifest["relations"]]
        compiled = _compiled(module)
        self._store = wasmtime.Store(ENGINE)
        linker = wasmtime.Linker(ENGINE)
        for wanted in compiled.imports:
            assert wanted.module == "reifydb.v1"
            operation = self._guarded(wanted.name, self._operation(wanted.name))
            linker.define_func("reifydb.v1", wanted.name, wanted.type, operation)
        self._exports = linker.instantiate(self._store, compiled).exports(self._store)
        self._begin("")

    def call(self, name: str, *values: Value) -> Any:
        """Runs a transition in a transaction of its own; returns its result, a row as a dict."""
        transition = self.transitions[name]
        self._begin(name)
        self._arguments = encode(_columns(transition["params"]), values)
        before = copy.deepcopy(self.tables)
        try:
            answer = self._exports[name](self._store)  # type: ignore[operator]
            if self._abort is not None:
                raise AbortedError(*self._abort)
            if answer != 0:
                raise AbortedError(answer, "")
        except BaseException:
            for table, old in zip(self.tables.values(), before.values(), strict=True):
                table.rows, table.mark = old.rows, old.mark
            raise
        return self._returned(transition["result"])

    def _returned(self, declared: dict[str, Any] | None) -> Any:
        if declared is None:
            assert self._answer is None
            return None
        assert self._answer is not None
        if "columns" not in declared:
            return decode(_columns([declared]), self._answer)[0]
        columns = _columns(declared["columns"])
        return dict(zip([c.name for c in columns], decode(columns, self._answer), strict=True))

    def _begin(self, transition: str) -> None:
        self._transition = transition
        self._abort: tuple[int, str] | None = None
        self._answer: bytes | None = None
        self._arguments = b""
        self._cursors: dict[int, Cursor] = {}
        self._last_generated = 0

    def _index(self, relation: int, number: int) -> Index | None:
        """Index number n of those that the relation lists, from 1; None for the primary key."""
        if number == 0:
            return None
        listed = self.manifest["relations"][relation].get("indexes", [])
        if not 0 < number <= len(listed):
            raise RefusalError(NO_RELATION)
        table = self._relations[relation][0]
        names = [column.name for column in table.columns]
        (index,) = [found for found in table.indexes if found.name == listed[number - 1]["name"]]
        assert listed[number - 1]["columns"] == [names[i] for i in index.columns]
        return index

    def _bind(self, relation: dict[str, Any]) -> tuple[Table, list[int], list[Column]]:
        table = self.tables[relation["name"]]
        names = [column.name for column in table.columns]
        bound = _columns(relation["columns"])
        positions = [names.index(column.name) for column in bound]
        for column, position in zip(bound, positions, strict=True):
            assert column.type == table.columns[position].type, column
            assert column.nullable >= table.columns[position].nullable, column
        assert set(table.key) <= set(positions)
        return table, positions, bound

    def _operation(self, name: str) -> Callable[..., int]:
        return self._abort_ if name == "abort" else getattr(self, f"_{name}")  # type: ignore[no-any-return]

    def _guarded(self, name: str, operation: Callable[..., int]) -> Callable[..., int]:
        def run(*arguments: int) -> int:
            if self._abort is not None and name not in ANSWERING:
                return ABORTED
            is_write = name in ("insert", "update", "upsert", "delete")
            if is_write and self.transitions[self._transition].get("query"):
                return READ_ONLY
            try:
                return operation(*arguments)
            except RefusalError as refusal:
                return refusal.code

        return run

    # -------------------------------------------------------------- memory

    @property
    def _memory(self) -> wasmtime.Memory:
        memory = self._exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        return memory

    def _read(self, ptr: int, length: int) -> bytes:
        ptr, length = ptr & 0xFFFFFFFF, length & 0xFFFFFFFF
        if ptr + length > self._memory.data_len(self._store):
            raise wasmtime.Trap("out of bounds memory access")
        return bytes(self._memory.read(self._store, ptr, ptr + length))

    def _write(self, ptr: int, data: bytes, cap: int) -> int:
        if len(data) <= cap & 0xFFFFFFFF:
            ptr &= 0xFFFFFFFF
            if ptr + len(data) > self._memory.data_len(self._store):
                raise wasmtime.Trap("out of bounds memory access")
            self._memory.write(self._store, data, ptr)
        return len(data)

    # -------------------------------------------------------------- host functions

    def _args(self, ptr: int, cap: int) -> int:
        return self._write(ptr, self._arguments, cap)

    def _result(self, ptr: int, length: int) -> int:
        if length & 0xFFFFFFFF > RESULT_BYTES_MAX:
            raise RefusalError(LIMIT_REACHED)
        self._answer = self._read(ptr, length)
        return 0

    def _abort_(self, code: int, ptr: int, length: int) -> int:
        message = self._read(ptr, length)[:MESSAGE_BYTES_MAX].decode(errors="ignore")
        self._abort = (code or 1, message)
        return ABORTED

    def _get(self, relation: int, key: int, key_length: int, ptr: int, cap: int) -> int:
        table, positions, bound = self._relation(relation)
        row = table.rows.get(self._key(table, self._read(key, key_length)))
        if row is None:
            raise RefusalError(NOT_FOUND)
        return self._write(ptr, encode(bound, [row[i] for i in positions]), cap)

    def _insert(self, relation: int, ptr: int, length: int) -> int:
        return self._change(relation, ptr, length, may_insert=True, may_update=False)

    def _update(self, relation: int, ptr: int, length: int) -> int:
        return self._change(relation, ptr, length, may_insert=False, may_update=True)

    def _upsert(self, relation: int, ptr: int, length: int) -> int:
        return self._change(relation, ptr, length, may_insert=True, may_update=True)

    def _change(
        self, relation: int, ptr: int, length: int, *, may_insert: bool, may_update: bool
    ) -> int:
        table, positions, bound = self._relation(relation)
        loose = [Column(column.name, column.type, True) for column in bound]
        rows, mark, generated = dict(table.rows), table.mark, self._last_generated
        given = [decode(loose, row) for row in split(self._read(ptr, length))]
        for values in given:
            row = [column.default for column in table.columns]
            for position, value in zip(positions, values, strict=True):
                row[position] = value
            if may_insert and table.auto is not None and row[table.auto] is None:
                if mark == 2**63 - 1:
                    raise RefusalError(EXHAUSTED)
                mark = generated = row[table.auto] = mark + 1
            key = ordered([row[i] for i in table.key])
            old = rows.get(key)
            for i, column in enumerate(table.columns):
                is_written = i in positions or (old is None and may_insert)
                if is_written and row[i] is None and not column.nullable:
                    raise RefusalError(NOT_NULL)
            if old is None and not may_insert:
                raise RefusalError(NOT_FOUND)
            if old is not None and not may_update:
                raise RefusalError(DUPLICATE_KEY)
            if old is not None:
                row = [row[i] if i in positions else old[i] for i in range(len(row))]
            for index in table.indexes:
                place = indexed([row[i] for i in index.columns])
                others = (r for k, r in rows.items() if k != key)
                taken = (indexed([r[i] for i in index.columns]) for r in others)
                if index.unique and (1,) not in place and place in taken:
                    raise RefusalError(DUPLICATE_KEY)
            rows[key] = row
            if table.auto is not None:
                mark = max(mark, row[table.auto])  # type: ignore[type-var,assignment]
        table.rows, table.mark, self._last_generated = rows, mark, generated
        return len(given)

    def _delete(self, relation: int, ptr: int, length: int) -> int:
        table, _, _ = self._relation(relation)
        keys = [self._key(table, key) for key in split(self._read(ptr, length))]
        return sum(table.rows.pop(key, None) is not None for key in keys)

    def _count(self, relation: int) -> int:
        return len(self._relation(relation)[0].rows)

    def _generated(self) -> int:
        return self._last_generated

    def _scan(
        self, relation: int, index: int, flags: int, ptr: int, length: int, limit: int
    ) -> int:
        table, _, _ = self._relation(relation)
        found = self._index(relation, index)
        if len(self._cursors) == CURSORS_MAX:
            raise RefusalError(LIMIT_REACHED)
        bounds = [self._prefix(table, found, row) for row in split(self._read(ptr, length))]
        if len(bounds) != bool(flags & FLAG_LOWER) + bool(flags & FLAG_UPPER):
            raise RefusalError(INVALID_ROW)
        lower = (bool(flags & FLAG_AFTER), bounds[0]) if flags & FLAG_LOWER else None
        upper = (bool(flags & FLAG_BEFORE), bounds[-1]) if flags & FLAG_UPPER else None
        number = min(set(range(CURSORS_MAX)) - set(self._cursors))
        descending = bool(flags & FLAG_DESCENDING)
        self._cursors[number] = Cursor(relation, found, lower, upper, descending, limit or None)
        return number

    def _next(self, number: int, ptr: int, cap: int) -> int:
        if number not in self._cursors:
            raise RefusalError(NO_RELATION)
        cursor = self._cursors[number]
        table, positions, bound = self._relations[cursor.relation]
        out, room = b"", cap & 0xFFFFFFFF
        for place, key in self._ahead(cursor, table):
            if cursor.left == 0:
                break
            row = encode(bound, [table.rows[key][i] for i in positions])
            if len(out) + len(row) > room:
                if not out:
                    return len(row)
                break
            out += row
            cursor.last = place
            if cursor.left is not None:
                cursor.left -= 1
        return self._write(ptr, out, cap)

    @staticmethod
    def _ahead(cursor: Cursor, table: Table) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Places in the cursor's order, each with the key of its row."""
        places = {key: key for key in table.rows}
        if cursor.index is not None:
            columns = cursor.index.columns
            rows = table.rows.items()
            places = {(*indexed([row[i] for i in columns]), *key): key for key, row in rows}
        keys = sorted(places)
        start, end = 0, len(keys)
        if cursor.lower is not None:
            left_out, bound = cursor.lower
            side = bisect_right if left_out else bisect_left
            start = side(keys, bound, key=lambda key: key[: len(bound)])
        if cursor.upper is not None:
            left_out, bound = cursor.upper
            side = bisect_left if left_out else bisect_right
            end = side(keys, bound, key=lambda key: key[: len(bound)])
        if cursor.last is not None:
            if cursor.descending:
                end = min(end, bisect_left(keys, cursor.last))
            else:
                start = max(start, bisect_right(keys, cursor.last))
        found = [(place, places[place]) for place in keys[start:end]]
        return found[::-1] if cursor.descending else found

    def _close(self, number: int) -> int:
        if self._cursors.pop(number, None) is None:
            raise RefusalError(NO_RELATION)
        return 0

    def _now(self) -> int:
        return self.now

    def _random(self) -> int:
        return self.random

    def _caller(self, ptr: int, cap: int) -> int:
        return self._write(ptr, self.caller.encode(), cap)

    def _log(self, level: int, ptr: int, length: int) -> int:
        self.log.append((level, self._read(ptr, length).decode(errors="replace")))
        return 0

    # -------------------------------------------------------------- small parts

    def _relation(self, number: int) -> tuple[Table, list[int], list[Column]]:
        if not 0 <= number < len(self._relations):
            raise RefusalError(NO_RELATION)
        return self._relations[number]

    def _key(self, table: Table, row: bytes) -> tuple[Any, ...]:
        return ordered(decode([table.columns[i] for i in table.key], row))

    def _prefix(self, table: Table, index: Index | None, row: bytes) -> tuple[Any, ...]:
        columns, places = int.from_bytes(row[4:6], "little"), index.columns if index else table.key
        if not 1 <= columns <= len(places):
            raise RefusalError(INVALID_ROW)
        bound = [table.columns[i] for i in places[:columns]]
        values = decode(bound, row)
        if any(v is None and not c.nullable for v, c in zip(values, bound, strict=True)):
            raise RefusalError(NOT_NULL)
        return ordered(values) if index is None else indexed(values)


def _columns(declared: list[dict[str, Any]]) -> list[Column]:
    return [Column(d.get("name", "value"), d["type"], d.get("nullable", False)) for d in declared]
