"""`insert`, `update` and `delete` of SQL: what they say is computed by a query, then written like
any rows. For scripts and tests; transitions are what is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reifydb.errors import SqlError

if TYPE_CHECKING:
    from reifydb.database.rows import Values
    from reifydb.database.transaction import Transaction
    from reifydb.engine.catalog import Table
    from reifydb.sql.dml import Change, Delete, Insert, Update
    from reifydb.sql.expressions import Expression
    from reifydb.sql.query import Query, Select


def is_change(sql: str) -> bool:
    """Whether a text begins like a statement that changes rows. Comments aside, nothing is read."""
    rest = sql.lstrip()
    while rest.startswith("--"):
        rest = rest.partition("\n")[2].lstrip()
    word = rest[:6].lower()
    return word in ("insert", "update", "delete") and not rest[6:7].isalnum()


class RowChange:
    """One statement in one transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def run(self, sql: str, params: Values | None) -> int:
        """How many rows it inserted, updated or deleted; all of them or none.

        Raises:
            SqlError: It is not supported, or not about what there is.
        """
        from reifydb.sql.dml import Delete, Insert
        from reifydb.sql.dml_reader import read_change

        change = read_change(sql, self._tx._db._state.catalog.visible_table, None)
        self._sql, self._params, self._change = sql, params, change
        if isinstance(change, Insert):
            return self._insert(change)
        return self._delete(change) if isinstance(change, Delete) else self._update(change)

    def _answer(self, query: Query) -> list[tuple[object, ...]]:
        from dataclasses import replace

        change: Change = self._change
        query = replace(query, parameters=change.parameters, parameter_names=change.parameter_names)
        return self._tx._query_once(self._sql, query, self._params)

    def _insert(self, change: Insert) -> int:
        names = [change.table.columns[i].name for i in change.columns]
        if change.query is not None:
            found = self._answer(change.query)
        else:
            found = [self._answer(_values(row))[0] for row in change.rows]
        rows = [dict(zip(names, values, strict=True)) for values in found]
        return self._tx.insert_many(change.table.name, rows) if rows else 0

    def _update(self, change: Update) -> int:
        table = change.table
        for position, value in change.sets:
            if position in table.key:
                name = table.columns[position].name
                raise SqlError(
                    f"{name} is in the primary key of {table.name}, which stays (character "
                    f"{value.at})",
                    hint="delete the row and insert another",
                )
        places = [*table.key, *(position for position, _ in change.sets)]
        names = [table.columns[i].name for i in places]
        values = (*_key(table), *(value for _, value in change.sets))
        found = self._answer(_select(table, values, change.where))
        rows = [dict(zip(names, row, strict=True)) for row in found]
        return self._tx.update_many(table.name, rows) if rows else 0

    def _delete(self, change: Delete) -> int:
        found = self._answer(_select(change.table, _key(change.table), change.where))
        keys = [key[0] if len(key) == 1 else key for key in found]
        return self._tx.delete_many(change.table.name, keys)


def _key(table: Table) -> tuple[Expression, ...]:
    from reifydb.sql.expressions import ColumnRef, column_kind

    return tuple(
        ColumnRef(0, table.places[i], column.name, column_kind(column), nullable=False)
        for i, column in zip(table.key, table.key_columns, strict=True)
    )


def _values(row: tuple[Expression, ...]) -> Select:
    from reifydb.sql.lookups import join_lookups
    from reifydb.sql.query import Output, Select

    outputs = tuple(Output(f"v{i}", one) for i, one in enumerate(row))
    return join_lookups(Select(inputs=(), outputs=outputs))


def _select(table: Table, values: tuple[Expression, ...], where: Expression | None) -> Select:
    from reifydb.sql.lookups import join_lookups
    from reifydb.sql.query import Input, Output, Select

    outputs = tuple(Output(f"v{i}", value) for i, value in enumerate(values))
    inputs = (Input(table, table.name, name=table.name),)
    return join_lookups(Select(inputs=inputs, outputs=outputs, where=where))
