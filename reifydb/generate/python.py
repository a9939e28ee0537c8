"""`rows.py`: the tables of a schema and the transitions of modules typed for programs in Python.

The text depends on the tables and transitions alone, so that a committed file can be compared with
a fresh one. `ruff format` leaves it as it is, with lines of 88 characters or more (but for names
of more than 40).
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence

from reifydb.engine.catalog import Column, Table, Transition, Type

_HEADER = '''"""Rows and transitions, typed. Made by `reifydb generate python`, not to be edited."""
'''

LINE_CHARACTERS_MAX = 88
"""What formatters agree on: what is longer is given a line for each part, which stays as it is
where more is allowed."""

_READ = {
    Type.BOOL: "bool",
    Type.INT: "int",
    Type.FLOAT: "float",
    Type.TEXT: "str",
    Type.BYTES: "bytes",
    Type.TIMESTAMP: "datetime",
    Type.DECIMAL: "Decimal",
    Type.UUID: "UUID",
    Type.JSON: "Json",
}
_WRITTEN = _READ | {Type.TIMESTAMP: "datetime | int", Type.DECIMAL: "Decimal | int"}

_IMPORTS = {
    "datetime": "datetime",
    "Decimal": "decimal",
    "Never": "typing",
    "NotRequired": "typing",
    "TypedDict": "typing",
    "cast": "typing",
    "UUID": "uuid",
    "AsyncCalls": "reifydb",
    "Calls": "reifydb",
    "Json": "reifydb",
    "TypedTable": "reifydb",
}
"""Whatever a generated file may use, and where it is from."""

_TYPE_NAMES = frozenset(["bool", "int", "float", "str", "bytes", "datetime"])
"""Names that a field or method of the same name would hide from those behind it."""

_TAKEN = frozenset([*_IMPORTS, *_TYPE_NAMES, *keyword.kwlist, "annotations", "object", "tuple"])


def generate_python(
    tables: Sequence[Table], modules: Mapping[str, Sequence[Transition]] | None = None
) -> str:
    """The Python source that types these tables and transitions, in their order; O(columns).

    A table becomes three `TypedDict`s, for its rows as they are read, inserted and updated, and a
    `reifydb.TypedTable`; a view the first of them, and a table that takes no rows; a module becomes
    a class with a method for each transition, and another one for event loops.

    Args:
        tables: Their names are distinct.
        modules: The transitions of each module, by its name.

    Returns:
        The text of `rows.py`.
    """
    names = _Names()
    declared = [_table(table, names) for table in tables]
    declared += [_module(module, found, names) for module, found in (modules or {}).items()]
    body = "\n\n\n".join(declared)
    gap = "\n\n\n" if body.startswith("class ") else "\n\n"
    return f"{_HEADER}\n{names.imports()}{gap}{body}\n"


class _Names:
    """The names of one file: its own, each once, and those that it uses of others."""

    def __init__(self) -> None:
        self._taken = set(_TAKEN)
        self._used: set[str] = set()

    def use(self, source: str) -> str:
        """Source text that may need imports."""
        self._used |= _IMPORTS.keys() & set(re.findall(r"\w+", source))
        return source

    def imports(self) -> str:
        """The lines that import what is used, as formatters sort them."""
        groups: dict[str, list[str]] = {}
        for name, module in _IMPORTS.items():
            if name in self._used:
                groups.setdefault(module, []).append(name)
        lines = [f"from {module} import {', '.join(names)}" for module, names in groups.items()]
        ours = [line for line in lines if line.startswith("from reifydb ")]
        others = [line for line in lines if line not in ours]
        blocks = [["from __future__ import annotations"], others, ours]
        return "\n\n".join("\n".join(block) for block in blocks if block)

    def free(self, *wanted: str) -> str:
        """The first that is free; else the last and a number."""
        for name in wanted:
            if name not in self._taken:
                break
        else:
            number = 2
            while f"{wanted[-1]}{number}" in self._taken:
                number += 1
            name = f"{wanted[-1]}{number}"
        self._taken.add(name)
        return name

    def title(self, name: str, suffix: str) -> str:
        """A class's name: `account_event` as `AccountEvent`."""
        words = [word for word in name.split("_") if word]
        title = "".join(word[0].upper() + word[1:] for word in words) or "Row"
        if not title[0].isalpha():
            title = "Row" + title
        return self.free(title, title + suffix)


# ------------------------------------------------------------------ tables


def _view(table: Table, names: _Names) -> str:
    """A view has rows, and nobody writes them; its key may have nulls."""
    row = names.title(table.name, "Row")
    variable = names.free(_plain(table.name), f"{_plain(table.name)}_table")
    read = [(c.name, _read(c, nullable=c.nullable)) for c in table.columns]
    names.use("Never")
    parts = [
        _typed_dict(names, row, f"A row of view `{table.name}`.", read),
        _typed_table(names, variable, [row, "Never", "Never", _key(table)], table.name),
    ]
    return "\n\n\n".join(parts)


def _table(table: Table, names: _Names) -> str:
    if table.derived:
        return _view(table, names)
    row = names.title(table.name, "Row")
    insert, update = names.free(f"{row}Insert"), names.free(f"{row}Update")
    variable = names.free(_plain(table.name), f"{_plain(table.name)}_table")
    keys = {column.name for column in table.key_columns}
    auto = None if table.auto is None else table.columns[table.auto].name
    read, given, changed = [], [], []
    for c in table.columns:
        is_key = c.name in keys
        nullable = c.nullable and not is_key
        read.append((c.name, _read(c, nullable=nullable)))
        given.append((c.name, _inserted(c, nullable=nullable or c.name == auto)))
        kind = _written(c, nullable=nullable)
        changed.append((c.name, kind if is_key else f"NotRequired[{kind}]"))
    says = f"of table `{table.name}`"
    parts = [
        _typed_dict(names, row, f"A row {says}, as it is read.", read),
        _typed_dict(names, insert, f"A row for table `{table.name}`.", given),
        _typed_dict(names, update, f"The key of a row {says}, and what to change.", changed),
        _typed_table(names, variable, [row, insert, update, _key(table)], table.name),
    ]
    return "\n\n\n".join(parts)


def _read(column: Column, *, nullable: bool) -> str:
    return _READ[column.type] + (" | None" if nullable else "")


def _written(column: Column, *, nullable: bool) -> str:
    return _WRITTEN[column.type] + (" | None" if nullable else "")


def _inserted(column: Column, *, nullable: bool) -> str:
    kind = _written(column, nullable=nullable)
    return f"NotRequired[{kind}]" if nullable or column.default is not None else kind


def _key(table: Table) -> str:
    kinds = [_written(c, nullable=table.derived and c.nullable) for c in table.key_columns]
    return kinds[0] if len(kinds) == 1 else f"tuple[{', '.join(kinds)}]"


def _typed_dict(names: _Names, name: str, says: str, fields: Sequence[tuple[str, str]]) -> str:
    names.use("TypedDict")
    for _, kind in fields:
        names.use(kind)
    if all(_fits_class(field) for field, _ in fields):
        lines = "".join(f"\n    {field}: {kind}" for field, kind in fields)
        return f'class {name}(TypedDict):\n    """{says}"""\n{lines}'
    lines = "".join(f'        "{field}": {kind},\n' for field, kind in fields)
    return f'{name} = TypedDict(\n    "{name}",\n    {{\n{lines}    }},\n)\n"""{says}"""'


def _fits_class(field: str) -> bool:
    return not (keyword.iskeyword(field) or field in _TYPE_NAMES or field.startswith("__"))


def _typed_table(names: _Names, variable: str, parameters: Sequence[str], table: str) -> str:
    names.use("TypedTable")
    names.use(parameters[-1])
    line = f'{variable} = TypedTable[{", ".join(parameters)}]("{table}")'
    if len(line) <= LINE_CHARACTERS_MAX:
        return line
    listed = "".join(f"    {parameter},\n" for parameter in parameters)
    return f'{variable} = TypedTable[\n{listed}]("{table}")'


# ------------------------------------------------------------------ modules


def _module(module: str, transitions: Sequence[Transition], names: _Names) -> str:
    facade = names.title(module, "Module")
    facades = (facade, "Calls", ""), (names.free(f"Async{facade}"), "AsyncCalls", "async ")
    names.use("Calls AsyncCalls")
    rows: list[str] = []
    kinds: list[str] = []
    for transition in transitions:
        kind = "None"
        if transition.result_is_row:
            kind = names.title(f"{module}_{transition.name}_result", "Row")
            says = f"What transition `{module}.{transition.name}` returns."
            fields = [(c.name, _read(c, nullable=c.nullable)) for c in transition.result]
            rows.append(_typed_dict(names, kind, says, fields))
        elif transition.result:
            kind = _read(transition.result[0], nullable=transition.result[0].nullable)
        kinds.append(kind)
    classes = []
    for name, calls, how in facades:
        own = _Names()
        methods = [
            _method(module, transition, kind, names, own, how)
            for transition, kind in zip(transitions, kinds, strict=True)
        ]
        classes.append("\n\n".join([_facade(module, name, calls, how), *methods]))
    return "\n\n\n".join([*rows, *classes])


def _facade(module: str, name: str, calls: str, how: str) -> str:
    """The head of a module's class."""
    if how:
        says = "The same in an event loop."
        takes = "An `AsyncDatabase`."
    else:
        says = f"The transitions of module `{module}`."
        takes = (
            "A database or `RemoteDatabase`, where each is a transaction of\n"
            "            its own, or an open transaction."
        )
    return (
        f'class {name}:\n    """{says}\n\n    Args:\n        db: {takes}\n    """\n\n'
        f"    def __init__(self, db: {calls}) -> None:\n        self._db = db"
    )


def _method(
    module: str, transition: Transition, kind: str, names: _Names, own: _Names, how: str
) -> str:
    name = own.free(_plain(transition.name), f"{_plain(transition.name)}_")
    inner = _Names()
    params = [
        (inner.free(p, f"{p}_"), names.use(_written(column, nullable=column.nullable)))
        for column in transition.params
        for p in [_plain(column.name) if column.name != "self" else "self_"]
    ]
    wait = "await " if how else ""
    head = _call(
        f"    {how}def {name}", ["self", *(f"{p}: {k}" for p, k in params)], f" -> {kind}:"
    )
    full = f'"{module}.{transition.name}"'
    arguments = [full, *(p for p, _ in params)]
    if kind == "None":
        return f"{head}\n{_call(f'        {wait}self._db.call', arguments, '')}"
    names.use(f"cast {kind}")
    line = f"        return cast({_quoted(kind)}, {wait}self._db.call({', '.join(arguments)}))"
    if len(line) > LINE_CHARACTERS_MAX:
        call = _call(f"            {wait}self._db.call", arguments, ",")
        line = f"        return cast(\n            {_quoted(kind)},\n{call}\n        )"
    return f"{head}\n{line}"


def _call(head: str, parts: Iterable[str], tail: str) -> str:
    """`head(parts)tail` on one line, or with a line for each part."""
    parts = list(parts)
    line = f"{head}({', '.join(parts)}){tail}"
    if len(line) <= LINE_CHARACTERS_MAX:
        return line
    indent = " " * (len(head) - len(head.lstrip()))
    listed = "".join(f"{indent}    {part},\n" for part in parts)
    return f"{head}(\n{listed}{indent}){tail}"


def _quoted(kind: str) -> str:
    """A type as an argument of `cast`: a union need not be made at run time."""
    return f'"{kind}"' if "|" in kind else kind


def _plain(name: str) -> str:
    """A name that is no keyword and hides nothing; without the two underscores that Python would
    mangle.
    """
    stripped = name.lstrip("_")
    name = f"_{stripped}" if name.startswith("__") else name
    return f"{name}_" if name in _TAKEN else name
