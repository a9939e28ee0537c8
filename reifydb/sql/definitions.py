"""Tables and columns from syntax trees. Each node is one that is known here, or it is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

from sqlglot import exp

from reifydb import config
from reifydb.engine.catalog import Column, Table, Type, Value
from reifydb.primitives import KINDS
from reifydb.sql import literals, types
from reifydb.sql.checks import make_check, read_condition
from reifydb.sql.foreign_keys import KeyReader, KeyText, with_keys
from reifydb.sql.reader import HINTS, Reader
from reifydb.sql.source import DECLARED, SUPPORTED, Source
from reifydb.sql.statements import CreateTable, Statement


def parse_script(sql: str) -> list[tuple[Statement, int]]:
    """Each statement of a script, and where it starts.

    Raises:
        SqlError: See `reifydb.sql.statements.parse_statements`.
    """
    from reifydb.sql.alterations import Alteration
    from reifydb.sql.create_view import ViewDefinition
    from reifydb.sql.declaration import Declaration
    from reifydb.sql.declared_kinds import read_declaration

    source = Source(sql, declared=KINDS)
    found: list[tuple[Statement, int]] = []
    for tree, at in source.statements():
        if isinstance(tree, exp.Command) and tree.this == DECLARED:
            reader = Declaration(source, tree.args["meta"])
            found += [(one, at) for one in read_declaration(reader)]
        elif isinstance(tree, exp.Create) and tree.args.get("kind") == "TABLE":
            found.append((Definition(source, at).read(tree), at))
        elif isinstance(tree, exp.Create) and tree.args.get("kind") == "VIEW":
            found.append((ViewDefinition(source, at).read(tree), at))
        else:
            found += [(one, at) for one in Alteration(source, at).read(tree)]
    return found


_CHECK = exp.CheckColumnConstraint


@dataclass(slots=True)
class _Draft:
    """What the constraints of one column have said so far; None: nothing."""

    null: bool | None = None
    key: bool | None = None
    default: tuple[Value] | None = None
    auto: bool | None = None


class Definition(Reader):
    """One statement being read. `at` is where to point when nothing nearer is known."""

    def __init__(self, source: Source, at: int) -> None:
        super().__init__(source, at)
        self.names: list[str] = []
        self.columns: list[Column] = []
        self.starts: list[int] = []
        self.nulls: list[bool | None] = []
        self.key: list[int] = []
        self.key_at: int | None = None
        self.auto: int | None = None
        self.checks: list[tuple[str | None, exp.Expression, int]] = []
        self.references: list[KeyText] = []

    def read(self, tree: exp.Create) -> CreateTable:
        """One statement."""
        self.properties(tree)
        if tree.args.get("expression"):
            self.refuse("create table … as select is not supported", hint="write the columns out")
        self.only(tree, "create table", "this", "kind", "exists")
        schema = tree.this
        if not isinstance(schema, exp.Schema) or not schema.expressions:
            self.refuse("a table has at least one column", hint=SUPPORTED)
        self.only(schema, "create table", "this", "expressions")
        name = self.table_name(schema.this)
        self.check_count(schema.expressions)
        for entry in schema.expressions:
            if isinstance(entry, exp.ColumnDef):
                self.column(entry)
        for entry in schema.expressions:
            if isinstance(entry, exp.PrimaryKey):
                self.primary_key(entry)
            elif isinstance(entry, exp.CheckColumnConstraint):
                self.check(None, entry, self.source.start(entry, self.at))
            elif isinstance(entry, exp.ForeignKey):
                self.references.append(KeyReader(self.source, self.at).of_table(None, entry))
            elif isinstance(entry, exp.Constraint):
                self.named_entry(entry)
            elif not isinstance(entry, exp.ColumnDef):
                self.refuse_entry(entry)
        return CreateTable(self.finish(name), bool(tree.args.get("exists")))

    def finish(self, name: str) -> Table:
        """What concerns several columns is known only now."""
        if not self.key:
            hint = f"write {self.names[0]} … primary key, or primary key ({self.names[0]}, …)"
            self.refuse(f"table {name} has no primary key", hint=hint)
        for position in self.key:
            if self.nulls[position]:
                message = f"column {self.names[position]} of the primary key cannot be null"
                self.refuse(message, self.starts[position], hint="leave out the word null")
            self.columns[position] = replace(self.columns[position], nullable=False)
        if self.auto is not None and self.auto not in self.key:
            self.refuse(
                f"auto-increment column {self.names[self.auto]} is not in the primary key",
                self.starts[self.auto],
                hint="only a column of the primary key can be given out",
            )
        table = Table(name, tuple(self.columns), tuple(self.key), self.auto)
        for check_name, condition, at in sorted(self.checks, key=lambda check: check[0] is None):
            if any(check.name == check_name for check in table.checks):
                self.refuse(f"two checks are called {check_name}", at)
            typed = read_condition(self.source, condition, at, table)
            made = make_check(check_name, typed, table)
            table = replace(table, checks=(*table.checks, made))
        return with_keys(self, table, self.references) if self.references else table

    def check(self, name: str | None, node: exp.CheckColumnConstraint, at: int) -> None:
        """`check (…)`: read when all columns are known."""
        self.only(node, "check", "this")
        if len(self.checks) == config.checks_max:
            self.refuse(f"too many checks: checks_max is {config.checks_max}", at)
        self.checks.append((name, node.this, at))

    def named_entry(self, entry: exp.Constraint) -> None:
        """`constraint NAME check (…)` or `… foreign key …`; other constraints have no names."""
        at = self.source.start(entry, self.at)
        self.only(entry, "constraint", "this", "expressions")
        [said] = entry.expressions if len(entry.expressions) == 1 else [None]
        if isinstance(said, exp.ForeignKey):
            name = self.name(entry.this, "constraint")
            self.references.append(KeyReader(self.source, at).of_table(name, said))
            return
        if type(said) is not _CHECK:
            self.refuse("named constraints are not supported", at, hint=HINTS["constraint"])
        self.check(self.name(entry.this, "constraint"), said, at)

    # -------------------------------------------------------------- parts

    def check_count(self, entries: list[exp.Expression]) -> None:
        """No more columns than a row can have."""
        count = sum(isinstance(entry, exp.ColumnDef) for entry in entries)
        if count > config.columns_max:
            self.refuse(f"{count} columns are too many: columns_max is {config.columns_max}")

    def column(self, node: exp.ColumnDef) -> None:
        """One column with what stands behind it."""
        name, at = self.name(node.this, "column"), self.source.start(node, self.at)
        if name in self.names:
            self.refuse(f"column {name} is there twice", at)
        self.only(node, f"column {name}", "this", "kind", "constraints")
        kind = self.type(node, name, at)
        draft = _Draft()
        if kind.serial:
            draft.auto = True
        for constraint in node.args.get("constraints") or ():
            self.constraint(constraint, kind.column(name), draft, at)
        position = len(self.columns)
        default = draft.default[0] if draft.default else None
        if draft.auto:
            self.set_auto(position, kind.type, default, name, at)
        if draft.key:
            self.set_key([position], at)
        nullable = draft.null if draft.null is not None else not kind.serial
        self.names.append(name)
        self.starts.append(at)
        self.nulls.append(draft.null)
        self.columns.append(replace(kind.column(name), nullable=nullable, default=default))

    def type(self, node: exp.ColumnDef, name: str, at: int) -> types.Found:
        """The type of a column, told by the word in the text and by its node."""
        token = self.source.after(node.this)
        if not isinstance(node.kind, exp.DataType) or token is None:
            self.refuse(f"column {name} has no type", at, hint=f"types are {types.NAMES}")
        try:
            return types.find(token.text, node.kind)
        except types.TypeNameError as error:
            self.refuse(f"column {name}: {error}", token.start, hint=error.hint)

    def constraint(self, node: exp.Expression, column: Column, draft: _Draft, at: int) -> None:
        """One constraint of a column, into its draft."""
        at, name = self.source.start(node, at), column.name
        if not isinstance(node, exp.ColumnConstraint):
            self.refuse_feature(node, at)
        kind, label = node.args.get("kind"), node.args.get("this")
        if label is not None and not isinstance(kind, _CHECK | exp.Reference):
            self.refuse("named constraints are not supported", at, hint=HINTS["constraint"])
        match kind:
            case exp.CheckColumnConstraint():
                self.check(None if label is None else self.name(label, "constraint"), kind, at)
            case exp.Reference():
                called = None if label is None else self.name(label, "constraint")
                reader = KeyReader(self.source, at)
                self.references.append(reader.of_column(called, name, kind, at))
            case exp.NotNullColumnConstraint():
                self.only(kind, "not null", "allow_null")
                self.once(draft.null, "null or not null", name, at)
                draft.null = bool(kind.args.get("allow_null"))
            case exp.PrimaryKeyColumnConstraint():
                self.key_options(kind)
                self.once(draft.key, "primary key", name, at)
                draft.key = True
            case exp.DefaultColumnConstraint():
                self.only(kind, "default", "this")
                self.once(draft.default, "default", name, at)
                draft.default = (self.default(kind.this, column, at),)
            case exp.AutoIncrementColumnConstraint():
                self.only(kind, "auto_increment")
                self.once(draft.auto, "auto-increment", name, at)
                draft.auto = True
            case exp.GeneratedAsIdentityColumnConstraint() if not kind.args.get("expression"):
                self.only(kind, "generated as identity", "this")
                self.once(draft.auto, "auto-increment", name, at)
                draft.auto = True
            case exp.GeneratedAsIdentityColumnConstraint():
                hint = HINTS["a generated column"]
                self.refuse("generated columns are not supported", at, hint=hint)
            case _:
                self.refuse_feature(kind, at)

    def default(self, node: object, column: Column, at: int) -> Value:
        """The value of a default."""
        if isinstance(node, exp.Expression):
            try:
                return literals.value(column, node)
            except literals.LiteralError as error:
                at = self.source.start(node, at)
                hint = f"a default of type {column.sql_type} is {literals.EXAMPLES[column.type]}"
                self.refuse(f"wrong default for column {column.name}: {error}", at, hint=hint)
        self.refuse(f"wrong default for column {column.name}", at)

    def primary_key(self, node: exp.PrimaryKey) -> None:
        """`primary key (…)`."""
        at = self.source.start(node, self.at)
        self.key_options(node, "expressions")
        positions: list[int] = []
        for part in node.expressions:
            at = self.source.start(part, at)
            if not isinstance(part, exp.Identifier):
                self.refuse("a primary key is a list of columns", at)
            name = self.name(part, "column")
            if name not in self.names:
                known = ", ".join(self.names[:8])
                self.refuse(f"there is no column {name}", at, hint=f"there are: {known}")
            if self.names.index(name) in positions:
                self.refuse(f"column {name} is in the primary key twice", at)
            positions.append(self.names.index(name))
        if not positions:
            self.refuse("a primary key has at least one column", at)
        self.set_key(positions, at)

    def set_key(self, positions: list[int], at: int) -> None:
        """Takes the primary key, which there can be only one of."""
        if self.key:
            hint = "for a key of several columns: primary key (a, b)"
            self.refuse("there are two primary keys", at, hint=hint)
        self.key = positions

    def set_auto(self, position: int, type_: Type, default: Value, name: str, at: int) -> None:
        """Takes the auto-increment column, which there can be only one of."""
        if type_ != Type.INT:
            self.refuse(f"auto-increment column {name} is of type {type_.sql}, not int", at)
        if default is not None:
            self.refuse(f"auto-increment column {name} cannot have a default", at)
        if self.auto is not None:
            self.refuse("there are two auto-increment columns", at, hint="one is possible")
        self.auto = position

    # -------------------------------------------------------------- what is refused

    def once(self, said: object, what: str, name: str, at: int) -> None:
        """Refuses what is said a second time."""
        if said is not None:
            self.refuse(f"{what} is said twice for column {name}", at)

    def key_options(self, node: exp.Expression, *wanted: str) -> None:
        """Of a primary key's options, those that say nothing pass."""
        include = node.args.get("include")
        if isinstance(include, exp.IndexParameters):
            self.only(include, "primary key")
        self.only(node, "primary key", "include", *wanted)

    def refuse_entry(self, entry: exp.Expression) -> NoReturn:
        """Something in the parentheses that is neither a column nor a primary key."""
        at = self.source.start(entry, self.at)
        if isinstance(entry, exp.Identifier | exp.Column):
            hint = f"types are {types.NAMES}"
            self.refuse(f"column {entry.name} has no type", at, hint=hint)
        self.refuse_feature(entry, at)
