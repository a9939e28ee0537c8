"""No text raises anything but SqlError, and what is read can be compiled and run."""

import contextlib
import inspect
import random
import sys

import pytest
from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from reifydb.engine.catalog import Table
from reifydb.errors import SqlError
from reifydb.sql.create_table import parse_schema
from reifydb.sql.dml_reader import read_change
from reifydb.sql.programs import compile_program
from reifydb.sql.query import Select
from reifydb.sql.query_reader import read_query
from tests.unit.sql.conftest import SCHEMA

TABLES: dict[str, Table] = {made.table.name: made.table for made in parse_schema(SCHEMA)}

WORDS = """
    select from where group by having order limit offset distinct all union except intersect
    with as item part id name price made weight ok doc code raw n label p q * , ( ) + - / % ^
    || = <> < >= -> ->> . :: : ? $1 :x 1 1.5 1e3 'a' '2024-01-01' null true false and or not
    is in between like ilike escape case when then else end cast int text decimal(10,2) float
    timestamp interval json extract year date_trunc coalesce nullif greatest count sum avg min
    max filter lower substr round trim position join inner left right full cross on using
    natural exists any over partition values insert into update set delete default returning
    default recursive asc desc nulls first last ; "id" "a b" e'x' $$x$$ array[1] -- /* */ [ ]
    { } ~ !~ @> && | & # << at time zone collate row current_timestamp now() lateral unnest
    tablesample for fetch rows only window grouping rollup
""".split()

VALID = """
select i.id, count(*) filter (where p.n > 1) as c from item i left join part p on p.item_id = i.id
and p.label like 'a%' where i.price > :x group by i.id having sum(p.n) > 2 order by c desc nulls
last limit 10 offset 1

with q as (select id, n * 2 as m from item where ok union all select id, n from part) select
distinct m, case when m > 1 then 'a' else null end from q where m between 1 and 5 order by 1

select name || 'x', doc -> 'a' ->> 0, extract(year from made), made + interval '1 month',
cast(price as int), round(price, 1), coalesce(name, label), code = :code from item join part on
part.id in (1, 2, 3) and name is not distinct from label

insert into part (id, label, item_id) values (1, :x, 2), (default, 'b', 3)

update item set price = price * 2, name = lower(name) where id = $1 and not ok
""".strip().split("\n\n")


def read_any(sql: str) -> None:
    for read in (read_query, read_change):
        with contextlib.suppress(SqlError):
            found = read(sql, TABLES.get)
            if isinstance(found, Select) and not found.grouped:
                outputs = [output.value for output in found.outputs]
                compile_program(outputs, range(len(found.inputs)), found.parameters)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))
@example("select")
@example("select (")
@example("select " + "(" * 40 + "1" + ")" * 40)
@example("select " + "not " * 400 + "true")
@example("select " + "- " * 400 + "1")
@example("select " + "1 + " * 2000 + "1")
@example("select 1" + " union select 1" * 400)
@example("select * from " + "(select * from " * 30 + "item" + ") as q" * 30)
@example("select case " + "when true then 1 " * 500 + "end")
@example("select \x00")
@example("select '")
@example("select :x::int + :x")
@example("select $300")
@example("select $1e5")
@example("select 1 limit 99999999999999999999")
@example("select \N{SNOWMAN}")
def test_no_text_raises_anything_else(sql: str) -> None:
    read_any(sql)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(VALID), st.randoms(use_true_random=False), st.integers(1, 4))
def test_no_changed_text_raises_anything_else(sql: str, dice: random.Random, count: int) -> None:
    words = sql.split()
    for _ in range(count):
        at = dice.randrange(len(words))
        match dice.randrange(4):
            case 0:
                words[at] = dice.choice(WORDS)
            case 1:
                del words[at]
                words = words or ["x"]
            case 2:
                words.insert(at, dice.choice(WORDS))
            case _:
                other = dice.randrange(len(words))
                words[at], words[other] = words[other], words[at]
    changed = " ".join(words)
    note(changed)
    read_any(changed)


def test_little_stack_is_said_as_an_error() -> None:
    long = "select " + "1 + " * 95 + "1"
    read_any(long)
    with pytest.raises(SqlError, match="nested too deep"):
        deeper(sys.getrecursionlimit() - 150 - len(inspect.stack()), long)


def deeper(levels: int, sql: str) -> None:
    if levels > 0:
        deeper(levels - 1, sql)
    else:
        read_query(sql, TABLES.get)
