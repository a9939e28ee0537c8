"""Views with parameters give what their select gives with the values written into it: used with
literals, with parameters, in a view that is kept, and followed. A run is a function of its seed.
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

import reifydb
from reifydb import Snapshot

COLUMNS = {
    "i": "int",
    "f": "float",
    "t": "text",
    "at": "timestamp",
    "d": "decimal(10,2)",
    "u": "uuid",
    "j": "json",
    "b": "bool",
}
LITERALS = {
    "i": ("0", "1", "-2", "7", "null"),
    "f": ("0.5", "-1.5", "2", "1e3", "null"),
    "t": ("''", "'a'", "'it''s'", "'ä:x'", "null"),
    "at": ("'2024-01-31'", "timestamp '2024-02-01 12:00:00+00'", "null"),
    "d": ("1.50", "-2", "0.05", "'10.25'", "null"),
    "u": ("'00000000-0000-0000-0000-000000000001'", "null"),
    "j": ("""'{"a":[1,null]}'""", "'3'", "null"),
    "b": ("true", "false", "null"),
}
"""Of each column's type, as they stand beside it."""

SELECTS: tuple[tuple[str, Mapping[str, str]], ...] = (
    *((f"select id, {c} from thing where {c} = :x", {"x": c}) for c in COLUMNS if c != "j"),
    ("select id from thing where j = :x", {"x": "j"}),
    ("select id, i + :x as more from thing where i < :y or f > :z", {"x": "i", "y": "i", "z": "f"}),
    ("select id, coalesce(t, :x) as t, :y::decimal(10,2) as d from thing", {"x": "t", "y": "d"}),
    ("select t, count(*) filter (where i > :x) as n from thing group by t", {"x": "i"}),
    ("select b, sum(d) as d from thing where d > :x group by b having sum(d) < :y", {
        "x": "d",
        "y": "d",
    }),
    ("select distinct t, b from thing where b is distinct from :x", {"x": "b"}),
    ("select id, i from thing where i >= :x order by i desc, id limit :n offset :m", {
        "x": "i",
        "n": "n",
        "m": "n",
    }),
    ("select id from thing where i = :x union select id from thing where t = :y", {
        "x": "i",
        "y": "t",
    }),
    ("select id from thing where f < :x except select id from thing where f < :y", {
        "x": "f",
        "y": "f",
    }),
    (("select t, id, place from (select *, row_number() over (partition by t order by i, id) as"
     " place from thing where at < :x) as q where place <= :n"), {"x": "at", "n": "n"}),
    ("select id from thing where t in (select t from thing where i > :x)", {"x": "i"}),
    (("select id from thing as o where exists (select 1 from thing as p where p.t = o.t"
     " and p.i = :x)"), {"x": "i"}),
    (("select a.id, b.id as other from thing a left join thing b on b.id = a.i and b.t <> :x"
     " where a.u = :y or a.b"), {"x": "t", "y": "u"}),
    ("select t, string_agg(u::text, :x order by id) as all_of from thing group by t", {"x": "t"}),
    ("select case when i > :x then :y else t end as t, id from thing", {"x": "i", "y": "t"}),
    (("with few as (select id, t from thing where id < :x) select f.id, c.n from few f join"
     " (select t, count(*) as n from thing where i <> :x group by t) c on c.t = f.t"), {"x": "i"}),
)  # fmt: skip

SEEDS = range(6)


def first_seed() -> int:
    given = os.environ.get("REIFYDB_PARAMETERS_SEED")
    if given is not None:
        return int(given)
    return 1 if os.environ.get("CI") else random.SystemRandom().randrange(10**9)


def drawn(rng: random.Random, kind: str) -> str:
    return str(rng.randrange(4)) if kind == "n" else rng.choice(LITERALS[kind])


def written(sql: str, values: Mapping[str, str]) -> str:
    """The select with the values in it."""
    return re.sub(r"(?<!:):([a-z]+)\b", lambda match: f" {values[match[1]]}", sql)


def plain(db: reifydb.Database, literals: Mapping[str, str], kinds: Mapping[str, str]) -> Any:
    """What literals mean, as values of Python's."""
    found = {}
    for name, text in literals.items():
        kind = COLUMNS.get(kinds[name], "int")
        found[name] = db.query(f"select cast({text} as {kind}) as v").value()
    return found


def counted(rows: Iterable[Mapping[str, object]]) -> Counter[str]:
    return Counter(repr(tuple(row.values())) for row in rows)


def fill(db: reifydb.Database, rng: random.Random) -> None:
    names = ", ".join(COLUMNS)
    for i in range(rng.randrange(5, 40)):
        values = ", ".join(drawn(rng, column) for column in COLUMNS)
        db.execute(f"insert into thing (id, {names}) values ({i}, {values})")


def arguments(rng: random.Random, values: Mapping[str, str]) -> str:
    """Values in order, or the last of them by name in any order."""
    positional = rng.randrange(len(values) + 1)
    names = list(values)
    named = [f"{name} => {values[name]}" for name in names[positional:]]
    rng.shuffle(named)
    return ", ".join([*(values[name] for name in names[:positional]), *named])


@pytest.mark.parametrize("number", SEEDS)
def test_a_use_is_the_select_with_the_values_in_it(number: int) -> None:
    seed = first_seed() + number
    print(f"REIFYDB_PARAMETERS_SEED={seed - number}")
    rng = random.Random(seed)
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    answered = followed = kept = 0
    with reifydb.open(":memory:") as db:
        db.execute(f"create table thing (id int primary key, {columns})")
        db.execute("create index by_i on thing (i); create index by_t on thing (t, b)")
        fill(db, rng)
        for place, (sql, kinds) in enumerate(SELECTS):
            # In the order in which they stand in the text.
            order = dict.fromkeys(re.findall(r"(?<!:):([a-z]+)\b", sql))
            name, inner = f"v{place}", f"inner{place}"
            shown = f"{sql.replace('::', '@').replace(':', ':p_').replace('@', '::')}"
            db.execute(f"create view {inner} as {shown}")
            passed = ", ".join(f"p_{one} => :{one}" for one in sorted(order))
            db.execute(f"create view outer_{place} as select * from {inner}({passed})")
            db.execute(f"create view {name} as {sql}")
            assert [one.name for one in db.parameterised_views[name].parameters] == list(order)
            for _ in range(4):
                literals = {one: drawn(rng, kinds[one]) for one in order}
                text = written(sql, literals)
                if any(kinds[one] == "n" for one in order) and literals.get("n") == "0":
                    literals["n"] = "1"  # what is kept has a first row
                    text = written(sql, literals)
                expected = counted(db.query(text))
                used = f"select * from {name}({arguments(rng, literals)})"
                assert counted(db.query(used)) == expected, (text, used)
                values = plain(db, literals, kinds)
                names = ", ".join(f":{one}" for one in order)
                open_use = f"select * from {name}({names})"
                assert counted(db.query(open_use, values)) == expected, (text, values)
                outer = ", ".join(f"{one} => :{one}" for one in order)
                through = f"select * from outer_{place}({outer})"
                assert counted(db.query(through, values)) == expected, (text, values)
                answered += bool(expected)
                with db.subscribe(open_use, values) as changes:
                    snapshot = changes.get()
                    assert isinstance(snapshot, Snapshot)
                    assert counted(snapshot.rows) == expected, (text, values)
                    followed += 1
                db.execute(f"create view kept as {used}")
                assert counted(db.scan("kept")) == expected, (text, used)
                fill_more(db, rng)
                assert counted(db.scan("kept")) == counted(db.query(text)), (text, used)
                assert counted(db.query(used)) == counted(db.query(text)), (text, used)
                db.execute("drop view kept")
                kept += 1
        db.verify()
    assert answered > len(SELECTS)
    assert followed == kept == 4 * len(SELECTS)


def fill_more(db: reifydb.Database, rng: random.Random) -> None:
    """A row is changed, and one is gone or new."""
    column = rng.choice(list(COLUMNS))
    db.execute(f"update thing set {column} = {drawn(rng, column)} where id = {rng.randrange(9)}")
    if rng.random() < 0.5:
        db.execute(f"delete from thing where id = {rng.randrange(40)}")
    else:
        key = db.query("select max(id) as id from thing").value()
        values = f"{(key or 0) + 1}, {drawn(rng, 't')}, {drawn(rng, 'i')}"
        db.execute(f"insert into thing (id, t, i) values ({values})")
