"""The state as the host reads and writes it: rows by table and key, scans, the system's tables.

Everything here in a turn. No locks, no transactions, no log: those are its callers' business.
"""

from __future__ import annotations

from collections.abc import Sequence

from reifydb.config import tables_max
from reifydb.database.refusals import refusal
from reifydb.database.tables import SYSTEM_TABLES, TABLES, Catalog, TableHandle, numbered
from reifydb.engine.catalog import Table
from reifydb.engine.descriptors import table_descriptor
from reifydb.engine.kernel import INPUT_BYTES_MAX, Kernel
from reifydb.engine.table_json import table_from_json, table_to_json
from reifydb.errors import KernelError, LimitError

Row = dict[str, object]


class State:
    """One kernel's rows.

    Attributes:
        catalog: The tables by name; replaced as a whole when the schema changes.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.catalog = kernel, Catalog()
        for table in SYSTEM_TABLES:
            self.create_in_kernel(table)

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
        handle = self.catalog.get(table)
        packed = handle.keys.encode(key)
        kernel = self.kernel
        kernel.input[: len(packed)] = packed
        at = kernel.call["get"](handle.number, len(packed))
        if at == -2:
            return None
        if at < 0:
            raise refusal(at, kernel.control, self.catalog, table, key)
        return handle.rows.decode_mapping(kernel.row_at(at))

    def count(self, table: str) -> int:
        """Number of rows of a table."""
        return self.kernel.call["count"](self.catalog.get(table).number)

    def scan_all(self, handle: TableHandle, flags: int, bounds: bytes, limit: int) -> list[bytes]:
        """All pages of a scan, as of now."""
        kernel = self.kernel
        try:
            kernel.call["begin"](0, 1)
            self.put(bounds)
            cursor = kernel.call["scan"](handle.number, flags, len(bounds), limit)
            if cursor < 0:
                raise refusal(cursor, kernel.control, self.catalog, handle.name, None)
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
        cursor = kernel.call["scan"](handle.number, 0, 0, 0)
        rows: list[Row] = []
        while page := self.page(handle, cursor, 1 << 20):
            rows += handle.rows.decode_many_mappings(page)
        kernel.call["close"](cursor)
        return rows

    def write_system(self, table: Table, row: Row) -> None:
        """Upserts a row of a system table; inside the open transaction."""
        handle = self.catalog.get(table.name)
        projection = handle.projection(row)
        packed = projection.encode(row)
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

    def create_in_kernel(self, table: Table) -> None:
        """Makes a table: inside the open transaction, or one of the system's."""
        descriptor = table_descriptor(table)
        self.put(descriptor)
        code = self.kernel.call["create_table"](len(descriptor))
        if code == -11:
            raise LimitError("too many tables", limit="tables_max", value=tables_max)
        if code < 0:
            raise KernelError(f"the kernel refused table {table.name}: it answered {code}")

    def create_tables(self, tables: Sequence[Table]) -> Catalog:
        """Makes tables inside the open transaction; the catalog that has them."""
        for table in tables:
            self.create_in_kernel(table)
            definition = table_to_json(numbered(table, 0))
            row = {"number": table.number, "name": table.name, "definition": definition}
            self.write_system(TABLES, row)
        return self.catalog.with_tables(tables)

    def read_catalog(self) -> None:
        """Reads the schema from its table, after recovery."""
        tables = []
        for row in self.rows_of(TABLES):
            table = table_from_json(str(row["definition"]))
            number = row["number"]
            assert isinstance(number, int)
            tables.append(numbered(table, number))
        self.catalog = Catalog(tables)
