"""`reifydb generate typescript`: what it writes. What type checkers make of it is tried where they
are, in tests/e2e/typescript.
"""

from __future__ import annotations

from reifydb.engine.catalog import Column, Table, Transition, Type
from reifydb.generate import generate_typescript

ID = Column("id", Type.INT, nullable=False)
PRICE = Column("price", Type.DECIMAL, precision=10, scale=2, default=0)
AT = Column("at", Type.TIMESTAMP, nullable=False)


def test_a_table_becomes_rows_as_they_are_read_inserted_and_updated() -> None:
    text = generate_typescript([Table("order_line", (ID, PRICE, AT), (2, 0), auto=0)])
    assert (
        text
        == """\
// Tables and transitions, typed. Made by `reifydb generate typescript`, not to be edited.

import type { Decimal, DecimalInput, Int, Timestamp, TimestampInput } from "@reifydb/client";

/** A row of table `order_line`, as it is read. */
export interface OrderLine {
  id: Int;
  price: Decimal | null;
  at: Timestamp;
}

/** A row for table `order_line`. */
export interface OrderLineInsert {
  id?: Int | null;
  price?: DecimalInput | null;
  at: TimestampInput;
}

/** The key of a row of table `order_line`, and what to change. */
export interface OrderLineUpdate {
  id: Int;
  price?: DecimalInput | null;
  at: TimestampInput;
}

/** For `connect<Schema>(…)`. */
export interface Schema {
  tables: {
    order_line: { row: OrderLine; insert: OrderLineInsert; update: OrderLineUpdate; \
key: [at: TimestampInput, id: Int] };
  };
  transitions: {};
}
"""
    )


def test_a_view_has_rows_that_nobody_writes_and_a_key_that_may_be_null() -> None:
    view = Table("prices", (PRICE,), (0, 1), derived=True, hidden=(ID,))
    text = generate_typescript([view])
    assert "/** A row of view `prices`. */\nexport interface Prices {" in text
    key = "[price: DecimalInput | null, id: Int]"
    assert f"prices: {{ row: Prices; insert: never; update: never; key: {key} }};" in text
    assert "PricesInsert" not in text


def test_a_transition_becomes_its_arguments_by_position_and_by_name_and_its_result() -> None:
    new = Column("new", Type.TEXT)
    found = [
        Transition("quote", (ID, new), (PRICE,)),
        Transition("status", (), (ID, AT), result_is_row=True),
        Transition("nothing", ()),
    ]
    text = generate_typescript([], {"shop": found})
    assert (
        '    "shop.quote": { params: [id: Int, new_: string | null]; '
        "named: { id: Int; new: string | null }; result: Decimal | null };\n"
        '    "shop.status": { params: []; named: Record<string, never>; '
        "result: ShopStatusResult };\n"
        '    "shop.nothing": { params: []; named: Record<string, never>; result: null };\n'
    ) in text
    assert "export interface ShopStatusResult {\n  id: Int;\n  at: Timestamp;\n}\n" in text


def test_interfaces_have_names_of_their_own() -> None:
    tables = [Table(name, (ID,), (0,)) for name in ("int", "schema", "a_b", "a__b", "_")]
    text = generate_typescript(tables)
    names = [line.split()[2] for line in text.splitlines() if line.startswith("export")]
    assert len(set(names)) == len(names) == 3 * len(tables) + 1
    assert {"IntRow", "SchemaRow", "AB", "ABRow", "Row", "Schema"} <= set(names)
