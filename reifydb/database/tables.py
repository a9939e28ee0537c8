"""Tables as the database's methods see them: codecs, projections, and the system's own tables."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

from reifydb.database.view_parts import as_it_was
from reifydb.engine.catalog import Column, OpenView, ParameterisedView, Table, Type, with_article
from reifydb.engine.keys import KeyCodec
from reifydb.engine.rows import row_codec
from reifydb.errors import RequestError, UnknownNameError
from reifydb.primitives import operations_of

FIRST_TABLE = 16
"""Number of the first table of the user's; below are the system's."""


def _system(number: int, name: str, *columns: Column) -> Table:
    return Table(name, columns, key=(0,), number=number)


TABLES = _system(
    1,
    "reifydb_table",
    Column("number", Type.INT, nullable=False),
    Column("name", Type.TEXT, nullable=False),
    Column("definition", Type.TEXT, nullable=False),
)
MODULES = _system(
    2,
    "reifydb_module",
    Column("name", Type.TEXT, nullable=False),
    Column("sha256", Type.TEXT, nullable=False),
    Column("limits", Type.TEXT, nullable=False),
    Column("wasm", Type.BYTES, nullable=False),
    Column("bindings", Type.TEXT),
)
TRANSITIONS = _system(
    3,
    "reifydb_transition",
    Column("number", Type.INT, nullable=False),
    Column("module", Type.TEXT, nullable=False),
    Column("name", Type.TEXT, nullable=False),
)
SYSTEM_TABLES = (TABLES, MODULES, TRANSITIONS)
"""Schema and modules are rows like others: logged, recovered, hashed. These tables themselves are
there from the start, in every database; what they gain is nullable and stands last."""

TOKENS = Table(
    "reifydb_token",
    (
        Column("name", Type.TEXT, nullable=False),
        Column("sha256", Type.BYTES, nullable=False),
        Column("capabilities", Type.JSON, nullable=False),
        Column("expires", Type.TIMESTAMP),
    ),
    key=(0,),
)
"""A table of the system's that is made when it is first written; its number is the next one."""

SYSTEM_PREFIX = "reifydb_"
"""Names of the system's tables begin so, and no others."""


class TableHandle:
    """One table, with what encodes and decodes its rows."""

    def __init__(self, table: Table) -> None:
        self.table, self.name, self.number = table, table.name, table.number
        what = f"table {table.name}"
        self.rows = row_codec(table.columns, what=what)
        # Of rows with what a view does not show of them; None: they show all.
        self.stored = (
            row_codec((*table.columns, *table.hidden), what=what) if table.hidden else None
        )
        self.keys = KeyCodec(table.key_columns, what=what, nullable=table.derived)
        self._keys = row_codec(table.key_columns, what=what)
        self.names = tuple(c.name for c in table.columns)
        self.auto = None if table.auto is None else table.columns[table.auto].name
        self.key_names = tuple(c.name for c in table.key_columns)
        self.auto_or_key = self.auto or self.key_names[0]
        self.places = table.places
        self.by_place = dict(zip(self.places, self.names, strict=True))
        self._indexes = {
            index.name: (
                index.number,
                KeyCodec(
                    [table.columns[i] for i in index.columns],
                    what=f"table {table.name}, index {index.name}",
                    nullable=True,
                ),
            )
            for index in table.indexes
        }
        self._projections: dict[tuple[str, ...], Projection] = {}

    def place(self, index: str | None, values: Sequence[object]) -> bytes:
        """Where a row stands in the order of an index: its values in the columns of that, then its
        primary key; in the order of the primary key only that.

        Raises:
            WrongTypeError, RequestError: They are none.
        """
        if index is None:
            return self.keys.encode(tuple(values))
        _, keys = self.index(index)
        codec = row_codec((*keys.columns, *self.keys.columns), what=f"{keys.what}, place")
        return codec.encode(tuple(values))

    def index(self, name: str) -> tuple[int, KeyCodec]:
        """Number and bounds of the secondary index of this name.

        Raises:
            UnknownNameError: There is none.
        """
        try:
            return self._indexes[name]
        except (KeyError, TypeError):
            what = f"index of table {self.name}:"
            raise UnknownNameError(what, str(name), self._indexes) from None

    def projection(self, row: object) -> Projection:
        """The columns that a row given by name has, in its order.

        Raises:
            RequestError: It is not a mapping.
            UnknownNameError: There is no column of a name.
        """
        if not isinstance(row, Mapping):
            kind = type(row).__name__
            raise RequestError(f"table {self.name}: expected a row as a mapping, got a {kind}")
        names = tuple(row)
        known = self._projections.get(names)
        if known is not None:
            return known
        for name in names:
            if name not in self.names:
                raise UnknownNameError(f"column in table {self.name}:", str(name), self.names)
        if len(self._projections) >= PROJECTIONS_MAX:
            self._projections.clear()
        # A row without columns still says something of its key: that it is to be given out.
        made = self._projections[names] = Projection(self.table, names or (self.auto_or_key,))
        return made

    def key_of(self, row: Mapping[str, object], generated: int = 0) -> object:
        """The primary key of a row that has it: its value, or a tuple; as the table holds it.

        Args:
            row: By name. The auto-increment column may be missing or None.
            generated: The value that was given out for it.
        """
        key = tuple(
            generated if name == self.auto and row.get(name) is None else row[name]
            for name in self.key_names
        )
        held = self._keys.decode(self._keys.encode(key))
        return held[0] if len(held) == 1 else held


PROJECTIONS_MAX = 256
"""Different sets of columns of one table that are remembered."""


class Projection:
    """Some columns of a table, as the kernel's `write` wants them: positions, then rows."""

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        positions = [table.position(name) for name in names]
        columns = [table.columns[i] for i in positions if i is not None]
        places = [table.places[i] for i in positions if i is not None]
        self.count = len(columns)
        head = struct.pack(f"<{self.count}H", *places)
        self.head = head + bytes(-len(head) % 8)
        self.codec = row_codec(columns, what=f"table {table.name}")

    def encode(self, row: Mapping[str, object]) -> bytes:
        """One row, whose names are those of this projection in this order."""
        return self.head + self.codec.encode(tuple(row.values()) or (None,))

    def encode_many(self, rows: Sequence[Mapping[str, object]]) -> bytes:
        """Several rows, all of this projection's names in this order."""
        return self.head + self.codec.encode_many([tuple(row.values()) or (None,) for row in rows])


_SYSTEM_HANDLES = tuple(TableHandle(table) for table in SYSTEM_TABLES)


class Catalog:
    """The tables by name. Replaced as a whole when the schema changes.

    Attributes:
        parameterised: Views with parameters, by name: no tables, but no table has their names.
        next_number: Of the next table: one that none has or ever had.
    """

    def __init__(
        self,
        tables: Sequence[Table] = (),
        next_number: int = FIRST_TABLE,
        views: Iterable[ParameterisedView] = (),
    ) -> None:
        self._set((*_SYSTEM_HANDLES, *map(TableHandle, tables)), next_number, views)

    def _set(
        self,
        handles: Iterable[TableHandle],
        next_number: int,
        views: Iterable[ParameterisedView],
    ) -> None:
        self.parameterised = {view.name: view for view in views}
        self.handles = {handle.name: handle for handle in handles}
        self.by_number = {handle.number: handle for handle in self.handles.values()}
        self.next_number = max(next_number, max(self.by_number) + 1)

    def get(self, name: str) -> TableHandle:
        """The table of this name.

        Raises:
            UnknownNameError: There is none.
        """
        try:
            return self.handles[name]
        except (KeyError, TypeError):
            self.refuse_parameterised(name)
            raise UnknownNameError("table", str(name), self.user_names) from None

    def refuse_parameterised(self, name: object) -> None:
        """Refuses the name of a view with parameters where a table's or a view's is needed.

        Raises:
            RequestError: It is one.
        """
        found = self.parameterised.get(name) if isinstance(name, str) else None
        if found is not None:
            raise without_rows(found)

    def is_taken(self, name: str) -> bool:
        """Whether a table or a view has this name."""
        return name in self.handles or name in self.parameterised

    def visible_table(self, name: str) -> Table | OpenView | None:
        """What a query means by this name; None when there is nothing."""
        view = self.parameterised.get(name)
        if view is not None:
            return OpenView(view, as_it_was(view.reads, self))
        found = self.handles.get(name)
        return None if found is None else found.table

    def behind(self, names: Iterable[str]) -> frozenset[str]:
        """These names and what views with parameters among them read, those in them included."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                view = self.parameterised.get(name)
                waiting += () if view is None else (read for read, _ in view.reads)
        return frozenset(found)

    def writable(self, name: str) -> TableHandle:
        """The same, but one whose rows anybody may write.

        Raises:
            RequestError: It is the system's, a view or a primitive.
        """
        handle = self.changeable(name)
        if handle.table.primitive is not None:
            names = [operation.name for operation in operations_of(handle.table)]
            raise RequestError(
                f"{name} is {with_article(handle.table.word)}: its own operations write it",
                hint=f"call {', '.join(f'{name}.{one}' for one in names)}",
            )
        return handle

    def changeable(self, name: str) -> TableHandle:
        """The same, but a table or a primitive of the user's.

        Raises:
            RequestError: It is the system's: changed by `execute` and `install` only. Or a view.
        """
        handle = self.get(name)
        if name.startswith(SYSTEM_PREFIX):
            raise RequestError(
                f"table {name} is the system's own", hint="execute and install change it"
            )
        if handle.table.derived:
            raise RequestError(f"{name} is a view", hint="write the tables that it is made of")
        return handle

    @property
    def user_names(self) -> list[str]:
        """Names of the tables that are not the system's."""
        return [name for name in self.handles if not name.startswith(SYSTEM_PREFIX)]

    def table_of_index(self, name: str) -> Table | None:
        """The table that has the index of this name; None when there is none."""
        tables = (handle.table for handle in self.handles.values())
        return next((table for table in tables if table.index(name) is not None), None)

    @property
    def index_names(self) -> list[str]:
        """Names of all indexes."""
        return [index.name for h in self.handles.values() for index in h.table.indexes]

    def with_table(self, table: Table) -> Catalog:
        """This catalog with a table that is new, or another one than it was under its number."""
        new = TableHandle(table)
        handles = [new if h.number == table.number else h for h in self.handles.values()]
        return self._copy(handles if table.number in self.by_number else [*handles, new])

    def without(self, table: Table) -> Catalog:
        """This catalog without a table."""
        return self._copy(h for h in self.handles.values() if h.number != table.number)

    def with_view(self, view: ParameterisedView) -> Catalog:
        """This catalog with a view with parameters that is new."""
        copy = Catalog.__new__(Catalog)
        following = max(self.next_number, view.number + 1)
        copy._set(self.handles.values(), following, (*self.parameterised.values(), view))
        return copy

    def without_view(self, view: ParameterisedView) -> Catalog:
        """This catalog without a view with parameters."""
        copy = Catalog.__new__(Catalog)
        left = (one for one in self.parameterised.values() if one.number != view.number)
        copy._set(self.handles.values(), self.next_number, left)
        return copy

    def _copy(self, handles: Iterable[TableHandle]) -> Catalog:
        copy = Catalog.__new__(Catalog)
        copy._set(handles, self.next_number, self.parameterised.values())
        return copy


def without_rows(view: ParameterisedView) -> RequestError:
    """What is said where a view with parameters is named as if it had rows of its own."""
    hint = f"ask for it in a query: select … from {view.signature}"
    return RequestError(f"view {view.name} has parameters, and no rows without them", hint=hint)
