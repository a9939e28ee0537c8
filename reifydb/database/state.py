"""The state as the host reads and writes it: rows by table and key, scans, the system's tables.

Everything here in a turn. No locks, no transactions, no log: those are its callers' business.
"""

from __future__ import annotations

from dataclasses import replace

from reifydb import config
from reifydb.config import checks_max, indexes_max, tables_max
from reifydb.database.expressions import EXPRESSION_FAILED, LIMIT_REACHED
from reifydb.database.faults import FOREIGN_KEY_BROKEN, host_refusal
from reifydb.database.foreign_keys import encoded
from reifydb.database.made_views import Made, view_refusal
from reifydb.database.progress import Reporter
from reifydb.database.refusals import refusal
from reifydb.database.scans import Scan
from reifydb.database.table_memory import TableMemory
from reifydb.database.tables import FIRST_TABLE, SYSTEM_TABLES, TABLES, Catalog, TableHandle
from reifydb.engine.catalog import Index, ParameterisedView, Table
from reifydb.engine.descriptors import index_descriptor, table_descriptor
from reifydb.engine.kernel import INPUT_BYTES_MAX, Kernel
from reifydb.engine.lookups import Find, LookupRefused, Lookups, look_up
from reifydb.engine.table_json import table_from_json, table_to_json, view_to_json
from reifydb.errors import DuplicateKeyError, KernelError, LimitError, ReifyDBError, SchemaError

Row = dict[str, object]

ALL = Scan(0, 0, b"", 0)
"""Every row in the order of the primary key."""


_SYSTEM_TABLES = tuple((table, table_descriptor(table)) for table in SYSTEM_TABLES)


class State:
    """One kernel's rows.

    Attributes:
        catalog: The tables by name; replaced as a whole when the schema changes.
        made_views: What is known of views, by the numbers of their tables.
        reporter: Who is told how far long work has come.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.catalog = kernel, Catalog()
        self.made_views: dict[int, Made] = {}
        self.reporter = Reporter(kernel)
        self._lookups = Lookups(kernel)
        for table, descriptor in _SYSTEM_TABLES:
            self.create_in_kernel(table, descriptor)

    def put(self, source: bytes) -> None:
        """Lays bytes where the kernel looks for them."""
        if len(source) > INPUT_BYTES_MAX:
            raise LimitError(
                f"{len(source):,} bytes in one operation",
                limit="input_bytes_max",
                value=INPUT_BYTES_MAX,
                hint="use several",
            )
        self.kernel.input[: len(source)] = source

    def get(self, table: str, key: object) -> Row | None:
        """The row with this primary key, by column name; None when there is none."""
        lookups = self._lookups
        if lookups.catalog is not self.catalog:
            lookups.renew(self.catalog)
        try:
            find, names = lookups.made[table]
        except (KeyError, TypeError):
            find, names = self._look_up(table)
        try:
            found = find(key if type(key) is tuple else (key,), key)
        except LookupRefused as refused:
            raise self.read_refusal(refused.code, table, key) from None
        return None if found is None else dict(zip(names, found, strict=True))

    def _look_up(self, table: str) -> tuple[Find, tuple[str, ...]]:
        handle, function = self.catalog.get(table), self.kernel.call["get_row"]
        asked = handle.keys.columns, handle.keys.encode
        find = look_up(self.kernel, function, handle.number, asked, handle.rows)
        made = self._lookups.made[table] = find, handle.names
        return made

    def count(self, table: str) -> int:
        """Number of rows of a table."""
        count = self.kernel.call["count"](self.catalog.get(table).number)
        if count < 0:
            raise self.read_refusal(count, table, None)
        return count

    def memory(self, table: str) -> TableMemory:
        """What a table takes of the memory for state."""
        handle, call = self.catalog.get(table), self.kernel.call
        return TableMemory(
            call["row_bytes"](handle.number),
            call["index_bytes"](handle.number, 0),
            {
                index.name: call["index_bytes"](handle.number, index.number)
                for index in handle.table.indexes
            },
        )

    def open_cursor(self, handle: TableHandle, scan: Scan) -> int:
        """Opens a cursor in the kernel: its number, or the code of a refusal."""
        self.put(scan.bounds)
        return self.kernel.call["scan"](
            handle.number, scan.number, scan.flags, len(scan.bounds), scan.limit
        )

    def scan_all(self, handle: TableHandle, scan: Scan) -> list[bytes]:
        """All pages of a scan, as of now."""
        kernel = self.kernel
        try:
            kernel.call["begin"](0, 1)
            cursor = self.open_cursor(handle, scan)
            if cursor < 0:
                raise self.read_refusal(cursor, handle.name, None)
            pages = []
            while page := self.page(handle, cursor, 1 << 20):
                pages.append(page)
            return pages
        finally:
            kernel.call["rollback"]()

    def page(self, handle: TableHandle, cursor: int, bytes_max: int) -> bytes:
        """The next page of a cursor, of about so many bytes; empty at its end."""
        kernel = self.kernel
        length = kernel.call["next"](cursor, bytes_max)
        if length < 0:
            raise refusal(length, kernel.control, self.catalog, handle.name, None)
        return bytes(kernel.output[:length])

    def rows_of(self, table: Table) -> list[Row]:
        """All rows of a system table; also while a transaction is open."""
        handle = self.catalog.get(table.name)
        kernel = self.kernel
        cursor = self.open_cursor(handle, ALL)
        rows: list[Row] = []
        while page := self.page(handle, cursor, 1 << 20):
            rows += handle.rows.decode_many_mappings(page)
        kernel.call["close"](cursor)
        return rows

    def write_system(self, table: Table, *rows: Row) -> None:
        """Upserts rows of a system table, one or more, all with the same columns; inside the open
        transaction.
        """
        handle = self.catalog.get(table.name)
        projection = handle.projection(rows[0])
        packed = projection.encode_many(rows)
        self.put(packed)
        code = self.kernel.call["write"](2, handle.number, projection.count, len(packed))
        if code < 0:
            raise refusal(code, self.kernel.control, self.catalog, table.name, None)

    def delete_system(self, table: Table, key: object) -> None:
        """Deletes a row of a system table; inside the open transaction."""
        handle = self.catalog.get(table.name)
        packed = handle.keys.encode(key)
        self.put(packed)
        self.kernel.call["delete"](handle.number, len(packed))

    def create_in_kernel(self, table: Table, descriptor: bytes) -> None:
        """Makes a table without its indexes: inside the open transaction, or a system table."""
        self.put(descriptor)
        code = self.kernel.call["create_table"](len(descriptor))
        if code == -11:
            raise LimitError("too many tables", limit="tables_max", value=tables_max)
        self._expect(code, table)

    def create_temporary(self, table: Table) -> None:
        """Makes a derived table for the length of one query; nothing undoes it."""
        descriptor = table_descriptor(table)
        self.put(descriptor)
        self._expect(self.kernel.call["create_temporary"](len(descriptor)), table)

    def create_table(self, table: Table) -> None:
        """Makes a table and its indexes inside the open transaction."""
        self.create_in_kernel(table, table_descriptor(table))
        self.define_checks(table)
        self.describe(table)
        for index in table.indexes:
            self.create_index(table, index)
        if table.foreign_keys:
            self.define_foreign_keys(table)

    def define_foreign_keys(self, table: Table) -> None:
        """Makes the kernel keep these foreign keys of a table and no others, which the catalog has
        and whose indexes are there. O(rows).

        Raises:
            ForeignKeyError: A row that is there breaks one.
        """
        source = encoded(table, self.catalog)
        self.put(source)
        with self.reporter.doing(f"foreign keys of table {table.name}"):
            code = self.kernel.call["define_foreign_keys"](table.number, len(source))
        if code == FOREIGN_KEY_BROKEN:
            raise host_refusal(self, code)
        self._expect(code, table)

    def define_checks(self, table: Table) -> None:
        """Makes the kernel keep a table's constraints; a table without is left alone."""
        if not table.checks:
            return
        from reifydb.sql.checks import read_check
        from reifydb.sql.programs import compile_program

        if len(table.checks) > checks_max:
            message = f"table {table.name} has too many checks"
            raise LimitError(message, limit="checks_max", value=checks_max)
        source = b""
        for check in table.checks:
            program = compile_program((read_check(check.sql, table),), (0,)).encoded
            source += len(program).to_bytes(8, "little") + program + bytes(-len(program) % 8)
        self.put(source)
        self._expect(self.kernel.call["define_checks"](table.number, len(source)), table)

    def alter_table(self, table: Table) -> None:
        """Gives a table other columns inside the open transaction."""
        descriptor = table_descriptor(table)
        self.put(descriptor)
        code = self.kernel.call["alter_table"](len(descriptor))
        if code == -4:
            name = table.columns[-1].name
            raise SchemaError(
                f"table {table.name} has rows, and column {name} would be null in them",
                hint=f"give it a default: {name} … not null default …",
            )
        self._expect(code, table)
        self.describe(table)

    def drop_table(self, table: Table) -> None:
        """Takes a table away inside the open transaction. Its number is never used again: a row
        without a definition stays.
        """
        self.drop_in_kernel(table)
        self.write_system(TABLES, {"number": table.number, "name": "", "definition": ""})
        self.catalog = self.catalog.without(table)

    def drop_in_kernel(self, table: Table) -> None:
        """The same, but the schema does not know of it."""
        self._expect(self.kernel.call["drop_table"](table.number), table)

    def create_index(self, table: Table, index: Index) -> None:
        """Makes an index of the rows that are there, inside the open transaction; `describe` says
        so in the schema.

        Raises:
            DuplicateKeyError: It is unique, and they are not.
            LimitError: A row's key is too long, or the table has too many indexes.
        """
        descriptor = index_descriptor(table, index)
        self.put(descriptor)
        with self.reporter.doing(f"index {index.name}"):
            code = self.kernel.call["create_index"](table.number, len(descriptor))
        if code == -3:
            raise DuplicateKeyError(
                f"index {index.name} cannot be unique: two rows of table {table.name} have the "
                "same values in its columns"
            )
        if code == -11:
            message = f"table {table.name} has too many indexes"
            raise LimitError(message, limit="indexes_max", value=indexes_max)
        if code in (-8, -12):
            raise refusal(code, self.kernel.control, self.catalog, table.name, None)
        self._expect(code, table)

    def drop_index(self, table: Table, index: Index) -> None:
        """Takes an index away inside the open transaction."""
        self._expect(self.kernel.call["drop_index"](table.number, index.number), table)

    def describe(self, table: Table) -> None:
        """Writes what a table is now into the schema, and has the catalog say so."""
        definition = table_to_json(replace(table, number=0))
        row = {"number": table.number, "name": table.name, "definition": definition}
        self.write_system(TABLES, row)
        self.catalog = self.catalog.with_table(table)

    def create_view(self, view: ParameterisedView) -> None:
        """Writes a view with parameters into the schema, inside the open transaction: that is all
        there is of it.

        Raises:
            LimitError: There are too many.
        """
        if len(self.catalog.parameterised) >= config.parameterised_views_max:
            raise LimitError(
                "too many views with parameters",
                limit="parameterised_views_max",
                value=config.parameterised_views_max,
            )
        definition = view_to_json(replace(view, number=0))
        row = {"number": view.number, "name": view.name, "definition": definition}
        self.write_system(TABLES, row)
        self.catalog = self.catalog.with_view(view)

    def drop_view(self, view: ParameterisedView) -> None:
        """Takes it away. Its number is never used again, as a table's."""
        self.write_system(TABLES, {"number": view.number, "name": "", "definition": ""})
        self.catalog = self.catalog.without_view(view)

    def read_refusal(self, code: int, table: str, key: object) -> ReifyDBError:
        """The error for a refused operation on a table, or on a view that could not be brought up
        to date for it.
        """
        control = self.kernel.control
        limited = code == LIMIT_REACHED and control.fault_index != 0
        if limited or code == EXPRESSION_FAILED:
            fault = self.catalog.by_number.get(control.fault_table)
            if fault is not None and fault.table.derived:
                return view_refusal(code, control, self.catalog, self.made_views)
        return refusal(code, self.kernel.control, self.catalog, table, key)

    def _expect(self, code: int, table: Table) -> None:
        if code in (-12, -13):
            raise refusal(code, self.kernel.control, self.catalog, table.name, None)
        if code < 0:
            raise KernelError(f"the kernel refused table {table.name}: it answered {code}")

    def build_indexes(self) -> None:
        """After the log has been replayed.

        Raises:
            KernelError: The rows contradict a unique index, or memory is used up.
        """
        code = self.kernel.call["build_indexes"]()
        if code < 0:
            raise KernelError(f"the indexes cannot be built: the kernel answered {code}")

    def read_catalog(self) -> list[Table]:
        """Reads the schema from its table, after recovery. The views are returned: what they are
        follows from their queries and the tables.
        """
        tables: list[Table] = []
        views: list[Table] = []
        parameterised: list[ParameterisedView] = []
        following = FIRST_TABLE
        for row in self.rows_of(TABLES):
            number = row["number"]
            assert isinstance(number, int)
            following = max(following, number + 1)
            if row["definition"]:
                found = table_from_json(str(row["definition"]))
                if isinstance(found, ParameterisedView):
                    parameterised.append(replace(found, number=number))
                    continue
                table = replace(found, number=number)
                (tables if table.view is None else views).append(table)
        self.catalog = Catalog(tables, following, parameterised)
        for table in tables:
            self.define_checks(table)
            if table.foreign_keys:
                self.define_foreign_keys(table)
        return views
