"""Broken in secondary indexes. See `broken_twins.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reifydb.engine.catalog import Index, Table
from reifydb.errors import DuplicateKeyError
from tests.histories.twin import Twin
from tests.histories.twin_relation import Relation, Row


class NullsFirst(Twin):
    """Nulls come first in an index."""

    def _entries(self, relation: Relation, index: Index) -> list[tuple[bytes, bytes]]:
        found = super()._entries(relation, index)
        return [(b"\0" + k[1:] if k[:1] == b"\x02" else k, at) for k, at in found]


class IndexForgetsMovedRows(Twin):
    """A row that an update moved in an index is not found there any more."""

    def _update(self, relation: Relation, row: Row) -> None:
        super()._update(relation, row)
        self.__dict__.setdefault("moved", set()).add(relation.encoded(relation.key_of(row)))

    def _entries(self, relation: Relation, index: Index) -> list[tuple[bytes, bytes]]:
        moved = self.__dict__.get("moved", set())
        found = super()._entries(relation, index)
        return [(key, at) for key, at in found if at not in moved or len(found) < 3]


class EqualKeysInAnyOrder(Twin):
    """Rows with equal columns of an index are in no order of their primary key."""

    def _between_in_index(self, relation: Relation, name: str, **options: Any) -> list[bytes]:
        index = relation.table.index(name)
        order = super()._between_in_index(relation, name, **options)
        assert index is not None
        keys = {at: relation.index_key(index, relation.rows[at]) for at in order}
        other_way = list(reversed(order))
        return sorted(other_way, key=keys.__getitem__, reverse=options.get("reverse", False))


class IndexBoundOffByOne(Twin):
    """Inclusive and exclusive are mixed up at the lower bound of an index."""

    def _between_in_index(self, relation: Relation, name: str, **options: Any) -> list[bytes]:
        if "lower" in options:
            options["lower_exclusive"] = not options.get("lower_exclusive", False)
        return super()._between_in_index(relation, name, **options)


class IndexPrefixIsAWholeKey(Twin):
    """A bound of an index's first columns is compared as if it were all of them."""

    @staticmethod
    def _cut(key: bytes, edge: bytes) -> bytes:
        return key


class NullBoundIsNone(Twin):
    """A bound that is null is taken for no bound."""

    def _between_in_index(self, relation: Relation, name: str, **options: Any) -> list[bytes]:
        sound = {k: v for k, v in options.items() if not isinstance(v, tuple) or v != (None,)}
        return super()._between_in_index(relation, name, **sound)


class IndexNotUndone(Twin):
    """After an abort an index has rows where the transaction had moved them."""

    def _undo_to(self, length: int) -> None:
        left = self.__dict__.setdefault("left", {})
        if length == 0:
            for relation, at, row, _ in self.undo:
                if row is not None and at in relation.rows:
                    left[id(relation), at] = relation.rows[at]
        super()._undo_to(length)

    def _put(self, relation: Relation, at: bytes, row: Row | None) -> None:
        self.__dict__.setdefault("left", {}).pop((id(relation), at), None)
        super()._put(relation, at, row)

    def _entries(self, relation: Relation, index: Index) -> list[tuple[bytes, bytes]]:
        left = self.__dict__.get("left", {})
        names = relation.columns.keys()
        rows = {at: left.get((id(relation), at), row) for at, row in relation.rows.items()}
        sound = {at: r if r.keys() == names else relation.rows[at] for at, r in rows.items()}
        return [(relation.index_key(index, row), at) for at, row in sound.items()]


class UniqueIgnoredOnUpdate(Twin):
    """An update may break a unique index."""

    def _check_indexes(self, relation: Relation, row: Row, old: Row | None) -> None:
        if old is None:
            super()._check_indexes(relation, row, old)


class UniqueIgnoredWithinManyRows(Twin):
    """Rows of one operation may collide with each other in a unique index."""

    def _whole(self, items: Sequence[Any], change: Callable[[Any], Any]) -> list[Any]:
        self.many = len(items) > 1
        return super()._whole(items, change)

    def _check_indexes(self, relation: Relation, row: Row, old: Row | None) -> None:
        try:
            super()._check_indexes(relation, row, old)
        except DuplicateKeyError:
            if not self.many:
                raise


class UniqueBeforePrimaryKey(Twin):
    """A row that violates both is told of the unique index."""

    def _insert(self, relation: Relation, row: Row) -> object:
        try:
            return super()._insert(relation, row)
        except DuplicateKeyError:
            given = {n: row.get(n, self._default(c)) for n, c in relation.columns.items()}
            if relation.auto is None:
                self._check_indexes(relation, relation.full(given), None)
            raise


class UniqueNulls(Twin):
    """Two nulls are equal in a unique index."""

    def _check_indexes(self, relation: Relation, row: Row, old: Row | None) -> None:
        super()._check_indexes(relation, row, old)
        for index in relation.table.indexes:
            key = relation.index_key(index, row)
            others = [r for r in relation.rows.values() if r is not old]
            if index.unique and any(relation.index_key(index, r) == key for r in others):
                raise DuplicateKeyError("twice")


class UniqueIndexOfAnything(Twin):
    """A unique index can be made of rows that are not."""

    def _check_new_index(self, table: Table, relation: Relation) -> None:
        pass
