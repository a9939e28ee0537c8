"""`insert`, `update` and `delete` from SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from reifydb.engine.catalog import Column, OpenView, Table, Tables, Type
from reifydb.errors import did_you_mean
from reifydb.sql.dml import Change, Delete, Insert, Update
from reifydb.sql.expression_reader import ExpressionReader
from reifydb.sql.expressions import (
    ColumnRef,
    Constant,
    Expression,
    Kind,
    column_kind,
)
from reifydb.sql.kinds import cast, is_number
from reifydb.sql.parameters import Parameters
from reifydb.sql.query import Query, Select
from reifydb.sql.query_reader import QueryReader, check_depth, outputs_of, recast
from reifydb.sql.reader import CAST_HINT, Reader
from reifydb.sql.scope import Scope, ScopeInput
from reifydb.sql.source import Source
from reifydb.sql.subqueries import Subqueries

CHANGE_HINT = (
    "insert into … (…) values (…), …; insert into … (…) select …; "
    "update … set … = … where …; delete from … where …"
)


def read_change(
    sql: str,
    tables: Tables,
    parameters: Sequence[Kind] | None = None,
) -> Change:
    """The change that a text is. O(length), as `read_query`.

    Args:
        sql: One `insert`, `update` or `delete`.
        tables: What a name in `from` means; None: nothing.
        parameters: As of `read_query`.

    Raises:
        SqlError: Not SQL, not supported, or not about what there is; with line, column and hint.
    """
    source = Source(sql, CHANGE_HINT)
    trees = list(source.statements())
    if len(trees) != 1:
        source.refuse(f"one change is expected, not {len(trees)}", trees[1][1] if trees else None)
    return read_change_tree(source, *trees[0], tables, parameters)


def read_change_tree(
    source: Source,
    tree: exp.Expression,
    at: int,
    tables: Tables,
    parameters: Sequence[Kind] | None = None,
) -> Change:
    """As `read_change`, of a statement of a script."""
    check_depth(source, tree, at)
    found = Parameters(source, tree, parameters)
    with source.enough_stack(at):
        change = ChangeReader(source, at, tables, found).change(tree)
    return replace(change, parameters=found.finished(), parameter_names=tuple(found.names))


class ChangeReader(Reader):
    """Reads one change; see `Reader`."""

    def __init__(
        self,
        source: Source,
        at: int,
        tables: Tables,
        parameters: Parameters,
    ) -> None:
        super().__init__(source, at)
        self.tables, self.parameters = tables, parameters
        self.queries = QueryReader(source, at, tables, parameters, unique_names=False)

    def change(self, tree: exp.Expression) -> Change:
        """Any change."""
        match tree:
            case exp.Insert():
                return self.insert(tree)
            case exp.Update():
                return self.update(tree)
            case exp.Delete():
                return self.delete(tree)
        self.refuse("this is not a change of rows", hint=CHANGE_HINT)

    # -------------------------------------------------------------- insert

    def insert(self, tree: exp.Insert) -> Insert:
        """`insert into`."""
        self.only(tree, "insert", "this", "expression")
        target, names = tree.this, None
        if isinstance(target, exp.Schema):
            self.only(target, "insert", "this", "expressions")
            target, names = target.this, target.expressions
        table, _ = self.target(target)
        columns = self.columns(table, names)
        rows = tree.args.get("expression")
        if isinstance(rows, exp.Values):
            self.only(rows, "values", "expressions")
            return self.values(table, columns, rows.expressions)
        if rows is None:
            self.refuse("insert takes values (…), or a query", hint=CHANGE_HINT)
        return self.from_query(table, columns, self.queries.query(rows, {}))

    def columns(self, table: Table, names: Sequence[Any] | None) -> list[int]:
        """Positions of the columns that are named; without names all."""
        if names is None:
            return list(range(len(table.columns)))
        found: list[int] = []
        for node in names:
            at = self.source.start(node, self.at)
            position = self.position(table, node, at)
            if position in found:
                self.refuse(f"column {table.columns[position].name} is there twice", at)
            found.append(position)
        return found

    def position(self, table: Table, node: Any, at: int) -> int:
        """The position of a column by its name."""
        name = self.name(node, "column")
        position = table.position(name)
        if position is None:
            hint = did_you_mean(name, [column.name for column in table.columns])
            self.refuse(f"there is no column {name} in {table.name}", at, hint=hint)
        return position

    def values(self, table: Table, columns: list[int], rows: Sequence[Any]) -> Insert:
        """`values (…), …`; a column that is `default` in all rows is left out."""
        cells = [list(row.expressions) if isinstance(row, exp.Tuple) else [row] for row in rows]
        for row, values in zip(rows, cells, strict=True):
            if len(values) != len(columns):
                message = f"{len(values)} values for {len(columns)} columns"
                self.refuse(message, self.source.start(row, self.at))
        kept = [i for i in range(len(columns)) if not all(_is_default(row[i]) for row in cells)]
        reader = ExpressionReader(self.source, self.at, Scope(), self.parameters, "values")
        reader.subqueries = Subqueries(self.queries, {})
        made = tuple(
            tuple(self.value(reader, table, columns[i], row[i]) for i in kept) for row in cells
        )
        return Insert(table, tuple(columns[i] for i in kept), made)

    def from_query(self, table: Table, columns: list[int], query: Query) -> Insert:
        """Rows of a query, its outputs cast to the columns."""
        outputs = outputs_of(query)
        if len(outputs) != len(columns):
            self.refuse(f"{len(outputs)} columns of the query for {len(columns)} columns")
        kinds = []
        for position, value in zip(columns, outputs, strict=True):
            column = table.columns[position]
            self.check_assignable(value, column, value.at if isinstance(query, Select) else self.at)
            kinds.append(column_kind(column))
        return Insert(table, tuple(columns), query=recast(query, kinds))

    # -------------------------------------------------------------- update, delete

    def update(self, tree: exp.Update) -> Update:
        """`update … set …`."""
        self.only(tree, "update", "this", "expressions", "where")
        table, alias = self.target(tree.this)
        reader = self.reader(table, alias)
        sets: list[tuple[int, Expression]] = []
        reader.clause = "set"
        for node in tree.expressions:
            at = self.source.start(node, self.at)
            if not isinstance(node, exp.EQ) or not isinstance(node.this, exp.Column):
                self.refuse("set takes COLUMN = EXPRESSION", at)
            self.only(node.this, "set", "this")
            position = self.position(table, node.this.this, at)
            if any(position == other for other, _ in sets):
                self.refuse(f"column {table.columns[position].name} is set twice", at)
            sets.append((position, self.value(reader, table, position, node.args["expression"])))
        return Update(table, tuple(sets), self.where(tree, reader))

    def delete(self, tree: exp.Delete) -> Delete:
        """`delete from`."""
        self.only(tree, "delete", "this", "where")
        table, alias = self.target(tree.this)
        return Delete(table, self.where(tree, self.reader(table, alias)))

    def where(self, tree: exp.Expression, reader: ExpressionReader) -> Expression | None:
        """The condition, if there is one."""
        reader.clause, where = "where", tree.args.get("where")
        return None if where is None else reader.condition(where.this, "where")

    # -------------------------------------------------------------- parts

    def target(self, node: Any) -> tuple[Table, str]:
        """The table that is changed, and what its columns are called by."""
        if not isinstance(node, exp.Table):
            self.refuse("a table has a name", hint=CHANGE_HINT)
        alias = node.args.get("alias")
        name = self.table_name(exp.Table(**{**node.args, "alias": None}))
        table = self.tables(name)
        if table is None:
            self.refuse(f"there is no table {name}", self.source.start(node, self.at))
        if isinstance(table, OpenView):
            hint = "write the tables that it is made of"
            self.refuse(f"{name} is a view", self.source.start(node, self.at), hint=hint)
        return table, name if alias is None else self.name(alias.this, "table")

    def reader(self, table: Table, alias: str) -> ExpressionReader:
        """A reader of expressions over one row of the table."""
        columns = tuple(
            ColumnRef(0, place, column.name, column_kind(column), column.nullable)
            for place, column in zip(table.places, table.columns, strict=True)
        )
        scope = Scope([ScopeInput(alias, columns)])
        reader = ExpressionReader(self.source, self.at, scope, self.parameters, "set")
        reader.aggregate_hint = "a change looks at one row"
        reader.subqueries = Subqueries(self.queries, {})
        return reader

    def value(self, reader: ExpressionReader, table: Table, position: int, node: Any) -> Expression:
        """What a column is given, in the column's kind."""
        column, at = table.columns[position], self.source.start(node, self.at)
        kind = column_kind(column)
        if _is_default(node):
            if position == table.auto:
                hint = "leave the column out, so that all rows get a number"
                self.refuse("an auto-increment column has no default for some rows", at, hint=hint)
            return Constant(column.default, kind, at)  # type: ignore[arg-type]
        value = reader.read(node, kind)
        self.check_assignable(value, column, value.at)
        return cast(value, kind)

    def check_assignable(self, value: Expression, column: Column, at: int) -> None:
        """A value goes into a column if nothing of it can be rounded away."""
        kind, found = column_kind(column), value.kind
        if found == kind:
            return
        fits = is_number(found) and is_number(kind)
        fits = fits and not (kind.type is Type.INT or found.type is Type.FLOAT)
        if kind.type in (Type.INT, Type.DECIMAL) and isinstance(value, Constant):
            fits = isinstance(cast(value, kind), Constant)
        elif fits and kind.type is Type.DECIMAL:
            fits = found.scale <= kind.scale
        if not fits:
            message = f"column {column.name} is {kind.sql}, not {found.sql}"
            self.refuse(message, at, hint=CAST_HINT)


def _is_default(node: Any) -> bool:
    """`default`, which the parser takes for a variable or for a column."""
    if isinstance(node, exp.Var):
        return str(node.this).lower() == "default"
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier):
        plain = not node.this.args.get("quoted") and node.args.get("table") is None
        return plain and str(node.this.this).lower() == "default"
    return False
