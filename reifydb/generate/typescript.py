"""`schema.ts`: the tables of a schema and the transitions of modules typed for programs in
TypeScript (docs/clients-typescript.md).

The text depends on the tables and transitions alone, so that a committed file can be compared with
a fresh one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reifydb.engine.catalog import Column, Table, Transition, Type

_HEADER = """\
// Tables and transitions, typed. Made by `reifydb generate typescript`, not to be edited.
"""

PACKAGE = "@reifydb/client"
"""What programs import the client as."""

_READ = {
    Type.BOOL: "boolean",
    Type.INT: "Int",
    Type.FLOAT: "number",
    Type.TEXT: "string",
    Type.BYTES: "Uint8Array",
    Type.TIMESTAMP: "Timestamp",
    Type.DECIMAL: "Decimal",
    Type.UUID: "string",
    Type.JSON: "JsonValue",
}
_WRITTEN = _READ | {Type.TIMESTAMP: "TimestampInput", Type.DECIMAL: "DecimalInput"}

_IMPORTED = ("Decimal", "DecimalInput", "Int", "JsonValue", "Timestamp", "TimestampInput")

_RESERVED = frozenset([*_IMPORTED, "Schema", "Uint8Array", "Object", "Array", "Function"])
"""Names that interfaces of tables must not take."""

_PARAMETER_RESERVED = frozenset(
    """arguments await break case catch class const continue debugger default delete do else enum
    eval export extends false finally for function if implements import in instanceof interface let
    new null package private protected public return static super switch this throw true try typeof
    var void while with yield""".split()
)
"""Names that a label of a tuple is better not called."""


def generate_typescript(
    tables: Sequence[Table], modules: Mapping[str, Sequence[Transition]] | None = None
) -> str:
    """The TypeScript source that types these tables and transitions, in their order; O(columns).

    A table becomes three interfaces, for its rows as they are read, inserted and updated, a view
    the first of them; a row
    that a transition returns becomes one; `Schema` names them all, for `connect<Schema>(…)`.

    Args:
        tables: Their names are distinct.
        modules: The transitions of each module, by its name.

    Returns:
        The text of `schema.ts`.
    """
    taken = set(_RESERVED)
    declared: list[str] = []
    listed = [_table(table, taken, declared) for table in tables]
    transitions = [
        _transition(module, transition, taken, declared)
        for module, found in (modules or {}).items()
        for transition in found
    ]
    schema = (
        "/** For `connect<Schema>(…)`. */\nexport interface Schema {\n"
        f"  tables: {_block(listed)};\n  transitions: {_block(transitions)};\n}}"
    )
    body = "\n\n".join([*declared, schema])
    used = [name for name in _IMPORTED if re.search(rf"\b{name}\b", body)]
    imports = f'\nimport type {{ {", ".join(used)} }} from "{PACKAGE}";\n' if used else ""
    return f"{_HEADER}{imports}\n{body}\n"


def _block(entries: Sequence[str]) -> str:
    """An object type with an entry on each line."""
    return "{\n" + "".join(f"    {entry}\n" for entry in entries) + "  }" if entries else "{}"


def _table(table: Table, taken: set[str], declared: list[str]) -> str:
    """Declares a table's interfaces; its entry in `Schema`."""
    row = _title(table.name, "Row", taken)
    if table.derived:
        shown = [_field(c.name, _READ[c.type], nullable=c.nullable) for c in table.columns]
        declared.append(_interface(row, f"A row of view `{table.name}`.", shown))
        return f"{table.name}: {{ row: {row}; insert: never; update: never; key: {_key(table)} }};"
    insert, update = _free(f"{row}Insert", taken), _free(f"{row}Update", taken)
    keys = {column.name for column in table.key_columns}
    auto = None if table.auto is None else table.columns[table.auto].name
    read, given, changed = [], [], []
    for c in table.columns:
        nullable = c.nullable and c.name not in keys
        read.append(_field(c.name, _READ[c.type], nullable=nullable))
        optional = nullable or c.name == auto or c.default is not None
        kind = _WRITTEN[c.type]
        given.append(_field(c.name, kind, nullable=nullable or c.name == auto, optional=optional))
        changed.append(_field(c.name, kind, nullable=nullable, optional=c.name not in keys))
    of = f"table `{table.name}`"
    declared.append(_interface(row, f"A row of {of}, as it is read.", read))
    declared.append(_interface(insert, f"A row for {of}.", given))
    says = f"The key of a row of {of}, and what to change."
    declared.append(_interface(update, says, changed))
    key = _key(table)
    return f"{table.name}: {{ row: {row}; insert: {insert}; update: {update}; key: {key} }};"


def _key(table: Table) -> str:
    """The type of a key; a view's may have nulls."""
    kinds = [
        _WRITTEN[c.type] + (" | null" if table.derived and c.nullable else "")
        for c in table.key_columns
    ]
    if len(kinds) == 1:
        return kinds[0]
    labels = [_label(c.name) for c in table.key_columns]
    return f"[{', '.join(map(': '.join, zip(labels, kinds, strict=True)))}]"


def _transition(module: str, transition: Transition, taken: set[str], declared: list[str]) -> str:
    """Declares what a transition returns, if that is a row; its entry in `Schema`."""
    result = "null"
    if transition.result_is_row:
        result = _title(f"{module}_{transition.name}_result", "Row", taken)
        fields = [_field(c.name, _READ[c.type], nullable=c.nullable) for c in transition.result]
        says = f"What transition `{module}.{transition.name}` returns."
        declared.append(_interface(result, says, fields))
    elif transition.result:
        result = _kind(transition.result[0], _READ)
    params = [(c.name, _kind(c, _WRITTEN)) for c in transition.params]
    tuple_ = ", ".join(f"{_label(name)}: {kind}" for name, kind in params)
    named = "; ".join(f"{name}: {kind}" for name, kind in params)
    named = f"{{ {named} }}" if named else "Record<string, never>"
    full = f'"{module}.{transition.name}"'
    return f"{full}: {{ params: [{tuple_}]; named: {named}; result: {result} }};"


def _kind(column: Column, kinds: Mapping[Type, str]) -> str:
    return kinds[column.type] + (" | null" if column.nullable else "")


def _field(name: str, kind: str, *, nullable: bool, optional: bool = False) -> str:
    mark = "?" if optional else ""
    return f"{name}{mark}: {kind}{' | null' if nullable else ''};"


def _interface(name: str, says: str, fields: Sequence[str]) -> str:
    lines = "".join(f"  {field}\n" for field in fields)
    return f"/** {says} */\nexport interface {name} {{\n{lines}}}"


def _label(name: str) -> str:
    """A tuple's label: any name but a reserved word."""
    return f"{name}_" if name in _PARAMETER_RESERVED else name


def _title(name: str, suffix: str, taken: set[str]) -> str:
    """An interface's name: `account_event` as `AccountEvent`."""
    words = [word for word in name.split("_") if word]
    title = "".join(word[0].upper() + word[1:] for word in words) or "Row"
    if not title[0].isalpha():
        title = f"Row{title}"
    return _free(title if title not in taken else title + suffix, taken)


def _free(wanted: str, taken: set[str]) -> str:
    """The name; when it is taken, with a number."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}{number}", number + 1
    taken.add(name)
    return name
