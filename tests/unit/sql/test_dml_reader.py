"""What insert, update and delete mean, and which are refused."""

from collections.abc import Callable

import pytest

from reifydb.engine.catalog import Table
from reifydb.errors import SqlError
from reifydb.sql.create_table import parse_schema
from reifydb.sql.dml import Change, Delete, Insert, Update
from reifydb.sql.dml_reader import read_change
from reifydb.sql.expressions import FLOAT, ColumnRef, Constant, Kind, Operation, Parameter
from reifydb.sql.programs import compile_program

Read = Callable[[str], Change]


@pytest.fixture
def read(tables: dict[str, Table]) -> Read:
    extra = parse_schema(
        "create table counted (id int primary key auto_increment, n int default 7, d decimal(4,2))"
    )
    known = tables | {statement.table.name: statement.table for statement in extra}
    return lambda sql: read_change(sql, known.get)


def test_an_insert_has_rows_of_expressions(read: Read) -> None:
    change = read("insert into part (id, label, item_id) values (1, 'a' || :x, 2), (:y, 'b', 3)")
    assert isinstance(change, Insert)
    assert change.columns == (0, 3, 1)
    assert [len(row) for row in change.rows] == [3, 3]
    assert change.parameter_names == ("x", "y")
    assert [kind.sql for kind in change.parameters] == ["text", "int"]
    compile_program(change.rows[0], [], change.parameters)


def test_without_names_all_columns_are_given(read: Read) -> None:
    change = read("insert into part values (1, 2, null, 'x')")
    assert isinstance(change, Insert)
    assert change.columns == (0, 1, 2, 3)


def test_literals_become_what_the_column_is(read: Read, tables: dict[str, Table]) -> None:
    change = read(
        "insert into item (id, price, made, weight, doc, code, raw) values (1, 2, '2024-01-31', 1,"
        " '{\"a\": 1}', '3b241101-e2bb-4255-8caf-4136c566a962', '\\x00')"
    )
    assert isinstance(change, Insert)
    [row] = change.rows
    assert [value.kind.sql for value in row] == [
        tables["item"].columns[position].sql_type for position in change.columns
    ]
    assert all(isinstance(value, Constant) for value in row)


def test_defaults_are_left_out_or_written_down(read: Read) -> None:
    change = read("insert into counted values (default, 1, default), (default, default, 2.5)")
    assert isinstance(change, Insert)
    assert change.columns == (1, 2)
    values = [[value.value for value in row if isinstance(value, Constant)] for row in change.rows]
    assert values == [[1, None], [7, 250]]


def test_an_insert_may_come_from_a_query(read: Read) -> None:
    change = read(
        "insert into item (id, weight, made) select id, n + 1, '2024-01-01'::timestamp from part"
    )
    assert isinstance(change, Insert)
    assert change.query is not None
    assert change.query.kinds[1] == FLOAT


def test_an_update_sets_columns_of_the_row(read: Read) -> None:
    change = read(
        "update item as i set price = price * 2::int, n = i.n + :by, ok = default where i.id = :id"
    )
    assert isinstance(change, Update)
    assert [position for position, _ in change.sets] == [2, 9, 5]
    assert change.sets[0][1].kind.sql == "decimal(10,2)"
    assert change.where is not None
    assert change.parameter_names == ("by", "id")


def test_a_delete_has_a_condition(read: Read) -> None:
    change = read("delete from part where item_id in (1, $1)")
    assert isinstance(change, Delete)
    assert isinstance(change.where, Operation)
    assert change.where.args[2] == Parameter(0, Kind(change.parameters[0].type))
    everything = read("delete from part")
    assert isinstance(everything, Delete)
    assert everything.where is None
    assert isinstance(change.where.args[0], ColumnRef)


@pytest.mark.parametrize(
    ("sql", "column", "said"),
    [
        ("select 1", None, "not a change"),
        ("delete from part; delete from part", 19, "one change is expected"),
        ("truncate part", None, "not a change"),
        ("insert into parts values (1)", 13, "there is no table parts"),
        ("insert into part (idd) values (1)", 19, "did you mean 'id'"),
        ("insert into part (id, id) values (1, 2)", 23, "twice"),
        ("insert into part (id) values (1, 2)", None, "2 values for 1 columns"),
        ("insert into part default values", None, "default"),
        ("insert into part (id) values (id)", 31, "there is no column id"),
        ("insert into part (id) values (1) on conflict do nothing", None, "conflict"),
        ("insert into part (id) values (1) returning id", None, "returning"),
        ("insert into part (id) values ('x')", 31, "not a number"),
        ("insert into part (id) values (1.5)", 31, "column id is int, not decimal(2,1)"),
        ("insert into part (id, label) values (1, 2)", 41, "column label is text, not int"),
        ("insert into item (price) values (1.234)", 34, "column price is decimal(10,2)"),
        ("insert into item (price) values (1e3)", 34, "column price is decimal(10,2), not float"),
        ("insert into item (price) values (100000000)", 34, "column price is decimal(10,2)"),
        ("insert into item (id) select 'x'", None, "column id is int, not text"),
        ("insert into item (id) select 1, 2", None, "2 columns of the query"),
        ("insert into counted values (default, 1, 1), (5, 1, 1)", None, "auto-increment"),
        ("update part set id = id + 0.5", 22, "column id is int"),
        ("update part set idd = 1", 17, "did you mean 'id'"),
        ("update part set id = 1, id = 2", 25, "set twice"),
        ("update part set (id, n) = (1, 2)", 18, "COLUMN = EXPRESSION"),
        ("update part set p.id = 1", None, "set"),
        ("update part set n = count(*)", 21, "one row"),
        ("update part set n = 1 from item", None, "from"),
        ("update part set n = 1 where n", 29, "where takes a condition"),
        ("update part set n = 1 returning n", None, "returning"),
        ("delete from part using item", None, "using"),
        ("with q as (select 1) delete from part", None, "with"),
        ("insert into reifydb_tables values (1)", None, "reserved"),
    ],
)
def test_what_is_refused(read: Read, sql: str, column: int | None, said: str) -> None:
    with pytest.raises(SqlError) as caught:
        read(sql)
    assert said in str(caught.value)
    if column is not None:
        assert caught.value.column == column
