"""Broken in changes of the schema. See `broken_twins.py`."""

from __future__ import annotations

from typing import Any

from reifydb.engine.catalog import Table
from reifydb.errors import DuplicateKeyError
from reifydb.sql.statements import CreateTable, DropTable, Statement
from tests.histories.twin import Twin
from tests.histories.twin_relation import Relation, Row


class AddedColumnIsNull(Twin):
    """Rows that are there have null in a column that is added, whatever its default."""

    def _carried(self, row: Row, table: Table, *, renamed: bool) -> Row:
        if renamed:
            return super()._carried(row, table, renamed=renamed)
        return {column.name: row.get(column.name) for column in table.columns}


class DroppedColumnComesBack(Twin):
    """A column that is added shows what was in the one dropped last."""

    last: dict[int, object]

    def _carried(self, row: Row, table: Table, *, renamed: bool) -> Row:
        made = super()._carried(row, table, renamed=renamed)
        self.__dict__.setdefault("last", {})
        for name, value in row.items():
            if name not in made and not renamed:
                self.last[id(table)] = value
        for name in made:
            if name not in row and not renamed and self.last:
                made[name] = next(iter(self.last.values()))
        return made


class ColumnsForgottenOnReopening(Twin):
    """Opened again, rows that an added column never touched have null in it."""

    def _carried(self, row: Row, table: Table, *, renamed: bool) -> Row:
        made = super()._carried(row, table, renamed=renamed)
        if not renamed:
            short = {c.name for c in table.columns if c.name not in row and c.nullable}
            self.__dict__.setdefault("short", []).append((made, short))
        return made

    def reopened(self) -> None:
        super().reopened()
        for row, names in self.__dict__.pop("short", []):
            row.update({name: None for name in names if name in row})


class DroppedTableComesBack(Twin):
    """A table made under the name of one that was dropped has the rows of that."""

    def _execute(self, statement: Statement) -> None:
        gone = self.__dict__.setdefault("gone", {})
        if isinstance(statement, DropTable) and statement.table in self.relations:
            gone[statement.table] = self.relations[statement.table]
        super()._execute(statement)
        if isinstance(statement, CreateTable) and statement.table.name in gone:
            old, new = gone[statement.table.name], self.relations[statement.table.name]
            if old.table.columns == new.table.columns:
                new.rows, new.order = dict(old.rows), list(old.order)


class DroppedIndexStaysUnique(Twin):
    """A unique index that was dropped binds writers all the same."""

    def _altered(self, relation: Relation, table: Table) -> Relation:
        left = {index.name for index in table.indexes}
        names = [column.name for column in relation.table.columns]
        gone = self.__dict__.setdefault("gone", [])
        for index in relation.table.indexes:
            if index.name not in left and index.unique:
                gone.append((relation, [names[i] for i in index.columns]))
        return super()._altered(relation, table)

    def _check_indexes(self, relation: Relation, row: Row, old: Row | None) -> None:
        super()._check_indexes(relation, row, old)
        for of, names in self.__dict__.get("gone", []):
            given = [row.get(name) for name in names]
            if of is relation and None not in given:
                others = (r for r in relation.rows.values() if r is not old)
                if any([r.get(name) for name in names] == given for r in others):
                    raise DuplicateKeyError("an index that is not there")


class RefusedScriptLeavesItsBeginning(Twin):
    """A script whose second statement is refused has done the first."""

    def _undo_script(self, relations: dict[str, Relation], states: list[Any]) -> None:
        pass


class RenamedColumnKeepsItsName(Twin):
    """Rows that are there have a renamed column under its old name."""

    def _carried(self, row: Row, table: Table, *, renamed: bool) -> Row:
        return dict(row) if renamed else super()._carried(row, table, renamed=renamed)
