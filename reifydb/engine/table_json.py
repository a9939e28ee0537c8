"""A table's description as JSON: how a system table keeps the schema.

A database is opened with this alone, without the SQL parser.

```json
{"format": 1, "name": "account", "number": 16, "key": [0], "auto": null, "columns": [
  {"name": "id", "type": "int", "nullable": false},
  {"name": "owner", "type": "text", "nullable": false, "default": "nobody"}]}
```

`default` and `secret` are left out when there is none, and so are

- `"indexes": [{"name": "by_owner", "number": 1, "columns": [1], "unique": false}]`,
- `"dropped": [[3, 2]]`: where columns that were dropped still are in rows, and their types' codes;
- `"checks": [{"name": "account_owner_check", "sql": "owner <> ''"}]`: from format 2 on, which is
  written for tables that have checks, so that a ReifyDB that knows none does not write their rows;
- `"foreign_keys": [{"name": "note_account_fkey", "columns": [1], "table": "account", "to": ["id"],
  "cascade": false}]`, `"implied": true` of an index, and `"assertion": true` of a view: only in
  format 3, for the same reason.

`"primitive": {"kind": "counter", "settings": [["min", 0]]}` is written in format 5.

Views with parameters are written in format 4, which says of their columns and parameters what it
says of a table's columns.

A default of type bytes or uuid is written in hexadecimal digits, a timestamp as microseconds since
1970 UTC, a decimal as a whole number of its unit, JSON as its text; the type says which it is.
"""

from __future__ import annotations

import json
import math
from typing import Any

from reifydb.engine.catalog import (
    NAME,
    Check,
    Column,
    ForeignKey,
    Index,
    ParameterisedView,
    Primitive,
    Table,
    Type,
    View,
    named_type,
)
from reifydb.engine.values import INT_MAX, INT_MIN
from reifydb.errors import FormatVersionError

FORMAT = 1
"""Goes up when an older ReifyDB would misread the description."""

FORMAT_WITH_CHECKS = 2
"""Of tables with checks."""

FORMAT_WITH_RULES = 3
"""Of tables with foreign keys, and of assertions."""

FORMAT_WITH_PARAMETERS = 4
"""Of views with parameters."""

FORMAT_OF_PRIMITIVES = 5
"""Of primitives."""

FORMATS = (
    FORMAT,
    FORMAT_WITH_CHECKS,
    FORMAT_WITH_RULES,
    FORMAT_WITH_PARAMETERS,
    FORMAT_OF_PRIMITIVES,
)


def table_to_json(table: Table) -> str:
    """The description of a table, always the same for the same table."""
    facts: dict[str, object] = {
        "format": _format(table),
        "name": table.name,
        "number": table.number,
        "key": list(table.key),
        "auto": table.auto,
        "columns": [_column_to_json(column) for column in table.columns],
    }
    if table.indexes:
        facts["indexes"] = [_index_to_json(index) for index in table.indexes]
    if table.view is not None:
        view = table.view
        facts = {"format": _format(table), "name": table.name, "number": table.number}
        said = {"sql": view.sql, "reads": view.reads, "parts": view.parts}
        said |= {"max_rows": view.max_rows} if view.max_rows else {}
        facts["view"] = said | ({"assertion": True} if view.assertion else {})
    if table.dropped:
        facts["dropped"] = [list(pair) for pair in table.dropped]
    if table.checks:
        facts["checks"] = [{"name": check.name, "sql": check.sql} for check in table.checks]
    if table.foreign_keys:
        facts["foreign_keys"] = [_foreign_key_to_json(one) for one in table.foreign_keys]
    if table.primitive is not None:
        primitive = table.primitive
        facts["primitive"] = {"kind": primitive.kind, "settings": primitive.settings}
    return json.dumps(facts, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def view_to_json(view: ParameterisedView) -> str:
    """The same for a view with parameters."""
    said = {
        "sql": view.sql,
        "reads": view.reads,
        "parameters": [_column_to_json(column) for column in view.parameters],
        "columns": [_column_to_json(column) for column in view.columns],
    }
    facts = {"format": FORMAT_WITH_PARAMETERS, "name": view.name, "number": view.number}
    return json.dumps(facts | {"view": said}, ensure_ascii=False, separators=(",", ":"))


def _format(table: Table) -> int:
    """The lowest format whose readers keep what the table must keep."""
    if table.primitive is not None:
        return FORMAT_OF_PRIMITIVES
    if table.foreign_keys or (table.view is not None and table.view.assertion):
        return FORMAT_WITH_RULES
    return FORMAT_WITH_CHECKS if table.checks else FORMAT


def table_from_json(text: str) -> Table | ParameterisedView:
    """The table that `table_to_json` described, or the view that `view_to_json` did.

    Raises:
        FormatVersionError: Written by a newer ReifyDB, or not a description of a table.
    """
    try:
        facts: dict[str, Any] = json.loads(text)
        if facts["format"] not in FORMATS:
            hint = "open it with the version of ReifyDB that wrote it"
            message = f"a table is described in format {facts['format']}, known is {FORMATS[-1]}"
            raise FormatVersionError(message, hint=hint)
        if "view" in facts:
            parameterised = facts["format"] == FORMAT_WITH_PARAMETERS
            return _parameterised_from_json(facts) if parameterised else _view_from_json(facts)
        table = Table(
            name=_name(facts["name"]),
            columns=tuple(_column_from_json(column) for column in facts["columns"]),
            key=tuple(_position(position, facts) for position in facts["key"]),
            auto=None if facts["auto"] is None else _position(facts["auto"], facts),
            number=_integer(facts["number"]),
            indexes=tuple(_index_from_json(index, facts) for index in facts.get("indexes", ())),
            dropped=tuple((_integer(at), _integer(code)) for at, code in facts.get("dropped", ())),
            checks=tuple(_check_from_json(check) for check in facts.get("checks", ())),
            foreign_keys=tuple(
                _foreign_key_from_json(one, facts) for one in facts.get("foreign_keys", ())
            ),
            primitive=_primitive_from_json(facts["primitive"]) if "primitive" in facts else None,
        )
        if not table.columns or not table.key:
            raise ValueError("no columns, or no primary key")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise FormatVersionError(f"not a table's description: {error!r}") from None
    return table


def _view_from_json(facts: dict[str, Any]) -> Table:
    """A view without its columns: they follow from its query and the tables."""
    view = facts["view"]
    sql, reads = _made_of(view)
    assertion = view.get("assertion", False)
    if not isinstance(assertion, bool):
        raise TypeError("assertion is true or false")
    kept = View(sql, reads, _integer(view["parts"]), assertion, _integer(view.get("max_rows", 0)))
    return Table(_name(facts["name"]), (), (), number=_integer(facts["number"]), view=kept)


def _parameterised_from_json(facts: dict[str, Any]) -> ParameterisedView:
    view = facts["view"]
    sql, reads = _made_of(view)
    parameters = tuple(map(_column_from_json, view["parameters"]))
    columns = tuple(map(_column_from_json, view["columns"]))
    if not parameters or not columns:
        raise ValueError("no columns, or no parameters")
    number = _integer(facts["number"])
    return ParameterisedView(_name(facts["name"]), sql, parameters, columns, reads, number)


def _made_of(view: dict[str, Any]) -> tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    """A view's query, and what it reads."""
    if not isinstance(view["sql"], str):
        raise TypeError("a view's query is a text")
    reads = tuple((_name(name), tuple(map(_name, columns))) for name, columns in view["reads"])
    return view["sql"], reads


def _column_to_json(column: Column) -> dict[str, object]:
    described: dict[str, object] = {
        "name": column.name,
        "type": column.sql_type,
        "nullable": column.nullable,
    }
    if column.default is not None:
        default = column.default
        described["default"] = default.hex() if isinstance(default, bytes) else default
    if column.secret:
        described["secret"] = True
    return described


def _index_to_json(index: Index) -> dict[str, object]:
    described: dict[str, object] = {
        "name": index.name,
        "number": index.number,
        "columns": list(index.columns),
        "unique": index.unique,
    }
    if index.implied:
        described["implied"] = True
    return described


def _index_from_json(facts: dict[str, Any], table: dict[str, Any]) -> Index:
    columns = tuple(_position(position, table) for position in facts["columns"])
    unique, implied = facts["unique"], facts.get("implied", False)
    if not isinstance(unique, bool) or not isinstance(implied, bool) or not columns:
        raise TypeError("an index has columns, and unique and implied are true or false")
    return Index(_name(facts["name"]), columns, unique, _integer(facts["number"]), implied)


def _foreign_key_to_json(one: ForeignKey) -> dict[str, object]:
    return {
        "name": one.name,
        "columns": list(one.columns),
        "table": one.table,
        "to": list(one.to),
        "cascade": one.cascade,
    }


def _foreign_key_from_json(facts: dict[str, Any], table: dict[str, Any]) -> ForeignKey:
    columns = tuple(_position(position, table) for position in facts["columns"])
    to = tuple(map(_name, facts["to"]))
    if not isinstance(facts["cascade"], bool) or not columns or len(to) != len(columns):
        raise TypeError("a foreign key has as many columns as it references")
    return ForeignKey(_name(facts["name"]), columns, _name(facts["table"]), to, facts["cascade"])


def _primitive_from_json(facts: dict[str, Any]) -> Primitive:
    settings = []
    for name, value in facts["settings"]:
        settings.append((_name(name), value if isinstance(value, str) else _integer(value)))
    return Primitive(_name(facts["kind"]), tuple(settings))


def _check_from_json(facts: dict[str, Any]) -> Check:
    if not isinstance(facts["sql"], str):
        raise TypeError("a check's condition is a text")
    return Check(_name(facts["name"]), facts["sql"])


def _column_from_json(facts: dict[str, Any]) -> Column:
    found = named_type(facts["type"])
    if found is None:
        raise ValueError(f"there is no type {facts['type']!r}")
    type_, precision, scale = found
    default = _default(type_, facts["default"]) if "default" in facts else None
    nullable, secret = facts["nullable"], facts.get("secret", False)
    if not isinstance(nullable, bool) or not isinstance(secret, bool):
        raise TypeError("nullable and secret are true or false")
    return Column(_name(facts["name"]), type_, nullable, default, secret, precision, scale)


def _default(type_: Type, value: object) -> object:
    match type_, value:
        case Type.BOOL, bool():
            return value
        case ((Type.INT | Type.TIMESTAMP | Type.DECIMAL), int()) if not isinstance(value, bool):
            return _integer(value)
        case Type.FLOAT, float() if math.isfinite(value):
            return value
        case ((Type.TEXT | Type.JSON), str()):
            return value
        case ((Type.BYTES | Type.UUID), str()):
            return bytes.fromhex(value)
    raise ValueError(f"{value!r} is no default of type {type_.sql}")


def _name(value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no name")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not INT_MIN <= value <= INT_MAX:
        raise ValueError(f"{value!r} is no integer of 64 bits")
    return value


def _position(value: object, facts: dict[str, Any]) -> int:
    position = _integer(value)
    if not 0 <= position < len(facts["columns"]):
        raise ValueError(f"there is no column {position}")
    return position
