"""Properties: what is rendered is read back the same, and no input raises anything but SqlError."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from reifydb.engine.catalog import NAME, Column, Index, Table, Type
from reifydb.engine.table_json import table_from_json, table_to_json
from reifydb.errors import SqlError
from reifydb.sql.create_table import parse_schema, render_create_table

WORDS = """
    account id owner a _ x1 name type date key index value primary check unique like period bucket
    truncate constraint foreign exclude default not null true false table select order by user if
    exists create text int bytes double timestamp array map struct generated identity comment title
    format path ttl with on references collate case any all n e b u x as alias in out materialized
    serial first after for
""".split()

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = (
    int((moment - EPOCH).total_seconds()) * 1_000_000
    for moment in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
)

names = st.sampled_from(WORDS) | st.from_regex(NAME, fullmatch=True)
defaults = {
    Type.BOOL: st.booleans(),
    Type.INT: st.integers(-(1 << 63), (1 << 63) - 1),
    Type.FLOAT: st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0),
    Type.TEXT: st.text(),
    Type.BYTES: st.binary(),
    Type.TIMESTAMP: st.integers(FIRST, LAST),
    Type.UUID: st.uuids().map(lambda value: value.bytes),
    Type.JSON: st.sampled_from(
        ["null", "{}", "[]", "1", "1.5", '"it\'s"', '{"a":[1,{"b":null}],"é":true}', '"\\u0000\\""']
    ),
}


@st.composite
def columns(draw: st.DrawFn, name: str, *, null: bool, default: bool) -> Column:
    """Any column: its type, and a default of it as the catalog keeps it."""
    type_, precision, scale = draw(st.sampled_from(Type)), 0, 0
    if type_ is Type.DECIMAL:
        precision = draw(st.integers(1, 18))
        scale = draw(st.integers(0, precision))
        most = 10**precision - 1
        kept = st.none() | st.integers(-most, most)
    else:
        kept = st.none() | defaults[type_]
    return Column(
        name,
        type_,
        nullable=null and draw(st.booleans()),
        default=draw(kept) if default else None,
        precision=precision,
        scale=scale,
    )


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Any table that `create table` can describe."""
    found = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    positions = st.lists(st.sampled_from(range(len(found))), min_size=1, unique=True)
    key = tuple(draw(positions))
    drawn = [
        draw(columns(name, null=position not in key, default=True))
        for position, name in enumerate(found)
    ]
    ints = [position for position in key if drawn[position].type is Type.INT]
    auto = draw(st.none() | st.sampled_from(ints)) if ints else None
    if auto is not None:
        drawn[auto] = replace(drawn[auto], default=None)
    used = st.lists(st.sampled_from(range(len(found))), min_size=1, unique=True).map(tuple)
    indexes = tuple(
        Index(index, draw(used), draw(st.booleans()), number)
        for number, index in enumerate(draw(st.lists(names, max_size=2, unique=True)), 1)
        if not index.startswith("reifydb_")
    )
    name = draw(names.filter(lambda name: not name.startswith("reifydb_")))
    indexes = tuple(replace(index, number=i) for i, index in enumerate(indexes, 1))
    return Table(name, tuple(drawn), key, auto, indexes=indexes)


def same(one: Table, other: Table) -> bool:
    """Equal, and the defaults of one type: `True == 1 == 1.0` is not enough."""
    kinds = [[type(column.default) for column in table.columns] for table in (one, other)]
    return one == other and kinds[0] == kinds[1]


@given(tables())
@settings(max_examples=300)
def test_a_rendered_table_is_read_back_the_same(table: Table) -> None:
    [statement] = parse_schema(render_create_table(table))
    assert same(statement.table, table)
    assert render_create_table(statement.table) == render_create_table(table)


@given(tables(), st.integers(0, 4096))
@settings(max_examples=300)
def test_a_table_in_json_is_read_back_the_same(table: Table, number: int) -> None:
    table = Table(table.name, table.columns, table.key, table.auto, number)
    assert same(table_from_json(table_to_json(table)), table)


def parses_or_is_refused(sql: str) -> None:
    with contextlib.suppress(SqlError):
        parse_schema(sql)


@given(st.text())
@settings(max_examples=300)
@example("\0")
@example("'")
@example("$")
@example("$$")
@example("/*")
@example("{{ x }}")
@example("{% raw")
@example("a\ufeffb")
def test_any_text_parses_or_is_refused(sql: str) -> None:
    parses_or_is_refused(sql)


FRAGMENTS = """
    create table if not exists t a b ( ) , ; . [ ] < > :: : = + - * / 'x' "q" '\\x00' 1 1.5 1e5 int
    text bytes timestamp double precision with time zone primary key not null default auto_increment
    generated always by as identity unique check references foreign constraint collate like
    partition inherits temp unlogged or replace select values struct array map decimal interval
    enum for using include desc asc stored comment on conflict do nothing case when then end cast
    E'x' x'00' $$x$$ @ # ? ~ | & ^ % { } \\ ` \0
""".replace("\n", " ").split()


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30))
@settings(max_examples=500)
def test_any_words_of_sql_parse_or_are_refused(words: list[str]) -> None:
    parses_or_is_refused(" ".join(words))
    parses_or_is_refused(f"create table t (a int primary key, {' '.join(words)})")
    parses_or_is_refused(f"create table t (a int primary key, b int {' '.join(words)})")


@given(tables(), st.data())
@settings(max_examples=300)
def test_a_damaged_statement_parses_or_is_refused(table: Table, data: st.DataObject) -> None:
    sql = render_create_table(table)
    start = data.draw(st.integers(0, len(sql)))
    end = data.draw(st.integers(start, min(len(sql), start + 20)))
    new = data.draw(st.text(max_size=5) | st.sampled_from(FRAGMENTS) | st.just(sql[start:end] * 2))
    parses_or_is_refused(sql[:start] + new + sql[end:])
