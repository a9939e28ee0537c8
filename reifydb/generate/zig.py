"""`schema.zig`: the tables of a schema as typed rows for the SDK of guests in Zig (sdk/zig).

The text depends on the tables alone, so that a committed file can be compared with a fresh one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reifydb.engine.catalog import Column, Table, Type
from reifydb.primitives import Operation, operations_of

_HEADER = """\
//! The tables of schema.sql. Generated, not to be edited:
//!
//!     reifydb generate zig --schema schema.sql -o schema.zig

const reifydb = @import("reifydb");
"""

_TYPES = {
    Type.BOOL: "bool",
    Type.INT: "i64",
    Type.FLOAT: "f64",
    Type.TEXT: "[]const u8",
    Type.BYTES: "reifydb.Bytes",
    Type.TIMESTAMP: "reifydb.Timestamp",
    Type.UUID: "reifydb.Uuid",
    Type.JSON: "reifydb.Json",
}

_KEYWORDS = frozenset(
    "addrspace align allowzero and anyframe anytype asm break callconv catch comptime const "
    "continue defer else enum errdefer error export extern fn for if inline linksection noalias "
    "noinline nosuspend opaque or orelse packed pub resume return struct suspend switch test "
    "threadlocal try union unreachable usingnamespace var volatile while".split()
)

_PRIMITIVES = frozenset(
    "anyerror anyopaque bool c_char c_int c_long c_longdouble c_longlong c_short c_uint c_ulong "
    "c_ulonglong c_ushort comptime_float comptime_int f128 f16 f32 f64 f80 false isize noreturn "
    "null true type undefined usize void".split()
)

_OWN = frozenset(["reifydb", "relations", "_"])
"""Names that mean something else in the generated file."""


def generate_zig(tables: Sequence[Table]) -> str:
    """The Zig source that binds these tables, in their order; O(columns).

    Each table becomes a struct with one field per column, optional where the column can be null,
    and a `reifydb.Table` with its primary key, or a `reifydb.IndexedTable` with its indexes as
    well; `relations` lists them all. Each operation of a primitive becomes a `reifydb.Operation`;
    `operations` lists those. `zig fmt` leaves the text as it is.

    Args:
        tables: What to bind. Their names are distinct.

    Returns:
        The text of `schema.zig`.

    >>> from reifydb.engine.catalog import Column, Table, Type
    >>> columns = (Column("id", Type.INT, nullable=False), Column("note", Type.TEXT))
    >>> print(generate_zig([Table("entry", columns, (0,))]))
    //! The tables of schema.sql. Generated, not to be edited:
    //!
    //!     reifydb generate zig --schema schema.sql -o schema.zig
    <BLANKLINE>
    const reifydb = @import("reifydb");
    <BLANKLINE>
    pub const Entry = struct {
        id: i64,
        note: ?[]const u8,
    };
    <BLANKLINE>
    pub const entry = reifydb.Table("entry", Entry, .{"id"});
    <BLANKLINE>
    pub const relations = .{entry};
    <BLANKLINE>
    """
    rows = _row_names(tables)
    parts = [_HEADER, *(_table(table, rows[table.name]) for table in tables)]
    listed = ", ".join(_declaration(table.name) for table in tables)
    spaced = f" {listed} " if len(tables) > 1 else listed
    parts.append(f"pub const relations = .{{{spaced}}};\n")
    operations = [(table, one) for table in tables for one in operations_of(table)]
    parts += [_operation(table, one) for table, one in operations]
    if operations:
        names = "".join(f"    {_operation_name(table, one)},\n" for table, one in operations)
        parts.append(f"pub const operations = .{{\n{names}}};\n")
    return "\n".join(parts)


def _table(table: Table, row: str) -> str:
    fields = "".join(f"    {_field(c.name)}: {_type(c)},\n" for c in table.columns)
    name, key = _declaration(table.name), _names(table.key_columns)
    struct = f"pub const {row} = struct {{\n{fields}}};\n\npub const {name} = reifydb."
    if not table.indexes:
        return f'{struct}Table("{table.name}", {row}, {key});\n'
    indexes = "".join(
        f"    .{_field(index.name)} = {_names([table.columns[i] for i in index.columns])},\n"
        for index in table.indexes
    )
    return f'{struct}IndexedTable("{table.name}", {row}, {key}, .{{\n{indexes}}});\n'


def _operation_name(table: Table, operation: Operation) -> str:
    return f"{table.name}_{operation.name}"


def _operation(table: Table, operation: Operation) -> str:
    args = _struct(operation.params)
    match operation.result:
        case ():
            result = "void"
        case (only,) if not operation.result_is_row:
            result = _type(only)
        case columns:
            result = _struct(columns)
    head = f"/// {operation.about[0].upper()}{operation.about[1:]}.\n" if operation.about else ""
    name = _operation_name(table, operation)
    called = f'"{table.name}", "{operation.name}"'
    return f"{head}pub const {name} = reifydb.Operation({called}, {args}, {result});\n"


def _struct(columns: Sequence[Column]) -> str:
    fields = ", ".join(f"{_field(column.name)}: {_type(column)}" for column in columns)
    return f"struct {{ {fields} }}" if fields else "struct {}"


def _names(columns: Sequence[Column]) -> str:
    """A tuple of their names, as `zig fmt` writes it."""
    names = [f'"{column.name}"' for column in columns]
    return f".{{ {', '.join(names)} }}" if len(names) > 1 else f".{{{names[0]}}}"


def _type(column: Column) -> str:
    if column.type is Type.DECIMAL:
        kind = f"reifydb.Decimal({column.precision}, {column.scale})"
    else:
        kind = _TYPES[column.type]
    return ("?" if column.nullable else "") + kind


def _row_names(tables: Sequence[Table]) -> dict[str, str]:
    """The struct of each table: its name in TitleCase, and a number where two would be the same."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for table in tables:
        words = [word for word in table.name.split("_") if word]
        base = name = "".join(word[0].upper() + word[1:] for word in words) or "Row"
        if not base[0].isalpha():
            base = name = "Row" + base
        number = 2
        while name in taken:
            name, number = f"{base}{number}", number + 1
        taken.add(name)
        names[table.name] = name
    return names


def _field(name: str) -> str:
    """A column's name as a field: only keywords need quotes there."""
    return f'@"{name}"' if name in _KEYWORDS else name


def _declaration(name: str) -> str:
    """A table's name as a declaration, which may not shadow a type of the language."""
    if name in _OWN:
        return f"{name}_table"
    is_primitive = name in _PRIMITIVES or re.fullmatch(r"[iu][0-9]+", name) is not None
    return f'@"{name}"' if name in _KEYWORDS or is_primitive else name
