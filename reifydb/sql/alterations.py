"""`create index`, `alter table` and `drop` from syntax trees."""

from __future__ import annotations

from typing import NoReturn

from sqlglot import exp

from reifydb.engine.catalog import Column
from reifydb.sql.definitions import Definition
from reifydb.sql.foreign_keys import KeyReader, KeyText
from reifydb.sql.reader import RESERVED_PREFIX, Reader
from reifydb.sql.source import ASSERTION, SUPPORTED
from reifydb.sql.statements import (
    AddColumn,
    AddForeignKey,
    CreateIndex,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropTable,
    DropView,
    RenameColumn,
    RenameTable,
    Statement,
)


class Alteration(Reader):
    """One statement being read; see `Reader`."""

    def read(self, tree: exp.Expression) -> list[Statement]:
        """What the statement says: several where it has several actions or names."""
        match tree:
            case exp.Create() if tree.args.get("kind") == "INDEX":
                return [self.create_index(tree)]
            case exp.Alter() if tree.args.get("kind") == "TABLE":
                return self.alter_table(tree)
            case exp.Drop() if tree.args.get("kind") in ("TABLE", "INDEX", "VIEW"):
                return self.drop(tree)
        self.refuse("this statement is not supported", hint=SUPPORTED)

    # -------------------------------------------------------------- indexes

    def create_index(self, tree: exp.Create) -> CreateIndex:
        """`create index`."""
        self.properties(tree)
        self.only(tree, "create index", "this", "kind", "exists", "unique")
        index = tree.this
        assert isinstance(index, exp.Index)
        if index.this is None:
            self.refuse("an index has a name", hint="create index NAME on TABLE (COLUMN, …)")
        self.only(index, "create index", "this", "table", "params")
        params = index.args.get("params")
        if not isinstance(params, exp.IndexParameters) or not params.args.get("columns"):
            self.refuse("an index has at least one column")
        self.only(params, "create index", "columns")
        columns = [self.index_column(part) for part in params.args["columns"]]
        for name in columns:
            if columns.count(name) > 1:
                self.refuse(f"column {name} is in the index twice")
        name = self.name(index.this, "index")
        if name.startswith(RESERVED_PREFIX):
            self.refuse(f"index name {name} is reserved")
        return CreateIndex(
            name,
            self.table_name(index.args.get("table")),
            tuple(columns),
            bool(tree.args.get("unique")),
            bool(tree.args.get("exists")),
        )

    def index_column(self, part: exp.Expression) -> str:
        """A column of an index: its name, and nothing that would be another order."""
        at = self.source.start(part, self.at)
        if isinstance(part, exp.Ordered):
            if part.args.get("desc"):
                hint = "leave the word out: an index is scanned in both directions"
                self.refuse("an index in descending order is not supported", at, hint=hint)
            if part.args.get("nulls_first"):
                self.refuse("nulls come last in an index", at, hint="leave the words out")
            part = part.this
        if not isinstance(part, exp.Column):
            self.refuse("an index has columns, not expressions", at)
        self.only(part, "a column's name", "this")
        return self.name(part.this, "column")

    # -------------------------------------------------------------- tables

    def alter_table(self, tree: exp.Alter) -> list[Statement]:
        """`alter table`."""
        table = self.table_name(tree.this)
        if tree.args.get("options"):
            self.refuse("something is missing here", hint="rename column … to …, or rename to …")
        self.only(tree, "alter table", "this", "kind", "actions")
        return [self.action(table, action) for action in tree.args.get("actions") or ()]

    def action(self, table: str, action: exp.Expression) -> Statement:
        """One action of `alter table`."""
        match action:
            case exp.ColumnDef():
                return AddColumn(table, self.new_column(action))
            case exp.RenameColumn():
                self.only(action, "rename column", "this", "to")
                old, new = self.column_name(action.this), self.column_name(action.args["to"])
                return RenameColumn(table, old, new)
            case exp.AlterRename():
                self.only(action, "rename to", "this")
                return RenameTable(table, self.table_name(action.this))
            case exp.Drop() if action.args.get("kind") == "COLUMN":
                self.only(action, "drop column", "tables", "kind")
                [column] = action.args["tables"]
                return DropColumn(table, self.column_name(column))
            case exp.Drop() if action.args.get("kind") == "CONSTRAINT":
                self.only(action, "drop constraint", "tables", "kind", "exists")
                [said] = action.args["tables"]
                name = self.name(said.this, "constraint")
                return DropConstraint(table, name, bool(action.args.get("exists")))
            case exp.AddConstraint() if len(action.expressions) == 1:
                return AddForeignKey(table, self.new_key(action.expressions[0]))
        self.refuse_action()

    def new_key(self, node: exp.Expression) -> KeyText:
        """The foreign key that `add constraint` adds."""
        name = None
        if isinstance(node, exp.Constraint) and len(node.expressions) == 1:
            self.only(node, "constraint", "this", "expressions")
            name, node = self.name(node.this, "constraint"), node.expressions[0]
        if not isinstance(node, exp.ForeignKey):
            self.refuse_action()
        return KeyReader(self.source, self.at).of_table(name, node)

    def refuse_action(self) -> NoReturn:
        """An action that there is not."""
        hint = (
            "add column, drop column, rename column … to …, rename to …, add foreign key …, "
            "drop constraint …"
        )
        self.refuse("this change of a table is not supported", hint=hint)

    def new_column(self, node: exp.ColumnDef) -> Column:
        """The column that `add column` adds."""
        definition = Definition(self.source, self.at)
        if node.args.get("exists"):
            self.refuse("add column if not exists is not supported")
        definition.column(node)
        [column] = definition.columns
        at = self.source.start(node, self.at)
        if definition.key:
            self.refuse("a new column cannot be the primary key", at)
        if definition.checks:
            hint = "create the table with it, or check in the transition that writes it"
            self.refuse("a new column cannot have a check", at, hint=hint)
        if definition.references:
            hint = f"add it, then: alter table … add foreign key ({column.name}) references …"
            self.refuse("a new column cannot have references", at, hint=hint)
        if definition.auto is not None:
            self.refuse("a new column cannot be auto-increment", at)
        return column

    def column_name(self, node: object) -> str:
        """The name of a column that is there."""
        if not isinstance(node, exp.Column):
            self.refuse("a column has a name")
        self.only(node, "a column's name", "this")
        return self.name(node.this, "column")

    def drop(self, tree: exp.Drop) -> list[Statement]:
        """`drop table`, `drop index`, `drop view`, `drop assertion`, of one name or several."""
        kind = str(tree.args["kind"]).lower()
        assertion = bool(tree.meta.get(ASSERTION))
        self.only(tree, f"drop {kind}", "tables", "kind", "exists")
        if_exists = bool(tree.args.get("exists"))
        tables = tree.args.get("tables") or ()
        if kind == "table":
            return [DropTable(self.table_name(table), if_exists) for table in tables]
        if kind == "view":
            return [DropView(self.table_name(view), if_exists, assertion) for view in tables]
        return [DropIndex(self.index_name(table), if_exists) for table in tables]

    def index_name(self, node: object) -> str:
        """The name of an index, which the parser takes for a table's."""
        if not isinstance(node, exp.Table) or node.args.get("db"):
            self.refuse("an index has a name without a dot")
        self.only(node, "an index's name", "this")
        return self.name(node.this, "index")
