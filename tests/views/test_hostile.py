"""Queries and views that nobody should write: one of our errors, soon, and nothing is harmed."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

import reifydb
from reifydb import Database, KernelError, LimitError, ReifyDBError, SqlError, TransactionLimitError
from reifydb.errors import RequestError, WrongTypeError

QUERY_SECONDS_MAX, VIEW_SECONDS_MAX = 8, 40
"""Of CPU, for the worst: a query takes 1 to 3 s (`query_scanned_max`), on a slow machine more.
A view that is given up has made all its rows until then."""


@pytest.fixture(scope="module")
def db() -> Iterator[Database]:
    with reifydb.open(":memory:") as db:
        db.execute("""
            create table a (id int primary key, x int not null, t text, f float, d decimal(9,2),
                            at timestamp, j json, u uuid, by bytes, ok bool);
            create table b (id int primary key, aid int, y int not null);
        """)
        with db.transaction() as tx:
            tx.insert_many(
                "a", [{"id": i, "x": i % 5, "t": "x" * (i % 7), "f": i / 2} for i in range(400)]
            )
            tx.insert_many("b", [{"id": i, "aid": i % 100, "y": i} for i in range(400)])
        yield db
        db.verify()
        assert db.query("select count(*) as n from a").value() == 400


def attempt(db: Database, sql: Any, params: Any = None) -> ReifyDBError | None:
    """Asks, and makes a view of it: an answer, or one of our errors, but never of the kernel's."""
    found = None
    for work, seconds_max in (
        (lambda: db.query(sql, params), QUERY_SECONDS_MAX),
        (lambda: _view(db, sql), VIEW_SECONDS_MAX),
    ):
        begun = time.process_time()
        try:
            work()
        except KernelError:
            raise
        except ReifyDBError as error:
            found = found or error
        assert time.process_time() - begun < seconds_max
    return found


def _view(db: Database, sql: Any) -> None:
    db.execute(f"create view hostile as {sql}")
    db.execute("drop view if exists hostile")


NESTED = {
    "parentheses": lambda n: "select " + "(" * n + "x" + ")" * n + " as n from a",
    "calls": lambda n: "select " + "abs(" * n + "x" + ")" * n + " as n from a",
    "cases": lambda n: (
        "select " + "case when ok then 1 else " * n + "x" + " end" * n + " as n from a"
    ),
    "nots": lambda n: "select x from a where " + "not " * n + "ok",
    "signs": lambda n: "select " + "- " * n + "x as n from a",
    "sums": lambda n: "select " + "+".join(["x"] * n) + " as n from a",
    "texts": lambda n: "select " + "||".join(["t"] * n) + " as n from a",
    "ands": lambda n: "select x from a where " + " and ".join(["ok"] * n),
    "ors": lambda n: "select x from a where " + " or ".join(f"x = {i}" for i in range(n)),
    "lists": lambda n: "select x from a where x in (" + ", ".join(map(str, range(n))) + ")",
    "queries": lambda n: "select x from (" * n + "select x from a" + ") as q" * n,
    "unions": lambda n: " union ".join(["select x from a"] * n),
    "subqueries": lambda n: "select x from a where x in (" * n + "select y from b" + ")" * n,
    "values": lambda n: "select x + (" * n + "select max(y) from b" + ") as x from a" * n,
    "existences": lambda n: (
        "select x from a where " + " and ".join(["not exists (select 1 from b where y = x)"] * n)
    ),
}


@pytest.mark.parametrize("what", NESTED)
@pytest.mark.parametrize("depth", [30, 100, 1000])
def test_nested_deeply(db: Database, what: str, depth: int) -> None:
    error = attempt(db, NESTED[what](depth))
    assert depth > 30 or error is None or what in ("queries", "unions", "subqueries", "values")


@pytest.mark.parametrize("count", [3, 16, 17])
@pytest.mark.parametrize("on", ["a{i}.id = a{j}.id", "true", "a{i}.x < a{j}.id"])
@pytest.mark.parametrize(
    "what", ["a0.id", "sum(a0.x) as s, max(a1.t) as t, count(distinct a1.f) as n"]
)
def test_many_inputs(db: Database, count: int, on: str, what: str) -> None:
    joins = "".join(f" join a as a{i} on {on.format(i=i, j=i - 1)}" for i in range(1, count))
    error = attempt(db, f"select {what} from a as a0{joins}")
    if count > 16:
        assert isinstance(error, SqlError)
    elif on == "true" and count > 3:
        assert isinstance(error, LimitError)


SUBQUERIES = [
    "select id from a where " + " or ".join(f"x in (select y + {i} from b)" for i in range(16)),
    "select id from a where " + " and ".join(f"x in (select y + {i} from b)" for i in range(15)),
    "select " + ", ".join(f"(select sum(y + {i}) from b) as s{i}" for i in range(15)) + " from a",
    "select " + ", ".join(f"(select sum(y + {i}) from b) as s{i}" for i in range(100)) + " from a",
    "select id from a where t in (select repeat('x', 2000) || y::text from b)",
    "select id from a where t not in (select repeat(t, 1000) from a)",
    "select id, (select max(repeat(t, 1000)) from a as c where c.x = a.x) as t from a",
    "select id, (select sum(9223372036854775807) from b where aid = a.x) as s from a",
    "select id, (select max(10 / (y - 5)) from b where aid = a.x) as s from a",
    "select id, (select 10 / (y - 5) from b where id = a.x) as s from a",
    "select id from a where exists (select 1 from b join b as c on true join b as d on true)",
    "select id from a where not exists (select 1 from a as c where c.j = a.j and c.by = a.by)",
    "select id from a where id in (select id from a where id in (select id from a))",
    "select x in (select x from a) as i, count(*) as n from a group by 1 having x in (select 1)",
    "select (select (select (select max(y) from b) from b where id = 1) from b where id = 1) as n",
    "select exists (select exists (select exists (select 1 from b) from b) from b) as e from a",
    "select id from a where (select count(*) from b) in (select count(*) from b group by aid)",
    "select id from a where x in (select y from b where y in (select x from a where x = y))",
    "select id from a where null in (select null from b) or exists (select null from b)",
    "with a as (select id from a where exists (select 1 from b where aid = a.id)) select id from a",
]


@pytest.mark.parametrize("n", range(len(SUBQUERIES)))
def test_subqueries(db: Database, n: int) -> None:
    attempt(db, SUBQUERIES[n])


@pytest.mark.parametrize(
    "number",
    ["0", str(2**62), str(2**63 - 1), str(2**63), "9" * 50, "-1", "1.5", "'x'", "null", "1e3"],
)
def test_limits(db: Database, number: str) -> None:
    attempt(db, f"select id from a order by id limit {number}")
    attempt(db, f"select id from a order by id limit 3 offset {number}")
    attempt(db, f"select id from a order by id limit {number} offset {number}")


LONG = [
    "select t || repeat('x', 2000) as t from a order by 1",
    "select distinct repeat(t, 1000) as t from a",
    "select repeat(t, 1000) as t, count(*) as n from a group by 1",
    "select max(repeat(t, 1000)) as m, count(distinct repeat(t, 1000)) as n from a",
    "select repeat('x', 1000000000) as t from a",
    "select repeat(repeat('xxxxxxxxxx', 100000), 1000) as t from a",
    "select lpad(t, 100000000) as t from a",
    "select a.id from a join b on repeat(a.t, 2000) = cast(b.y as text)",
    "select replace(repeat('x', 10000), 'x', repeat('y', 10000)) as t from a",
    "select repeat(t, 1000) as t from a union select repeat(t, 999) as t from a",
    "select id from a where repeat('a', 2000) like repeat('%a', 200) || 'b'",
]


@pytest.mark.parametrize("sql", LONG)
def test_long_texts(db: Database, sql: str) -> None:
    attempt(db, sql)


@pytest.mark.parametrize("length", [1000, 1024, 2000, 100_000])
def test_long_texts_reach_views_in_a_row(db: Database, length: int) -> None:
    """What has room in the table may have none in a view's key: then the transaction is refused."""
    db.execute("""
        create view longest as select max(t) as t from a;
        create view texts as select t, count(*) as n from a group by t;
        create view sorted as select id, t from a order by t desc limit 3;
    """)
    before = [list(db.scan(name)) for name in ("longest", "texts", "sorted")]
    with db.transaction() as tx:
        tx.insert("a", {"id": 1000, "x": 1, "t": "z" * length})
        if length > 1000:
            with pytest.raises(TransactionLimitError, match="key_bytes_max"):
                tx.count("longest")
        assert (tx.count("a")) == 401
        tx.rollback()
    assert [list(db.scan(name)) for name in ("longest", "texts", "sorted")] == before
    db.verify()
    db.execute("drop view longest, texts, sorted")


PARAMETERS = [
    ("x = :p", {"p": "s"}),
    ("x = :p", {"p": 1.5}),
    ("x = :p", {"p": 2**63}),
    ("x = :p", {}),
    ("x = :p", None),
    ("x = :p", {"p": 1, "q": 2}),
    ("x = :p", [1, 2]),
    ("x = :p", "s"),
    ("x = :p", b"s"),
    ("x = :p", {1: 2}),
    ("x = :p", {"a"}),
    ("x = :p", 5),
    ("t = :p", {"p": "\ud800"}),
    ("t = :p", {"p": "x" * 20_000_000}),
    ("t = :p", {"p": b"x"}),
    ("by = :p", {"p": "x"}),
    ("f = :p", {"p": float("nan")}),
    ("f = :p", {"p": float("inf")}),
    ("f = :p", {"p": 10**400}),
    ("d = :p", {"p": 1.5}),
    ("at = :p", {"p": "2024"}),
    ("u = :p", {"p": "x"}),
    ("j = :p", {"p": float("nan")}),
    ("j = :p", {"p": object()}),
    ("x = ?", [object()]),
    ("x = $2", [1]),
    ("x = $0", [1]),
    ("x = $99999999999", [1]),
    ("x = ? and t = :p", [1]),
    (":p is null", {"p": 1}),
]


@pytest.mark.parametrize("n", range(len(PARAMETERS)))
def test_wrong_parameters(db: Database, n: int) -> None:
    condition, params = PARAMETERS[n]
    with pytest.raises((RequestError, WrongTypeError, SqlError, LimitError)):
        db.query(f"select x from a where {condition}", params)  # type: ignore[arg-type]


TEXTS = [
    *(
        "",
        " ",
        ";",
        "select",
        "select 1; select 2",
        "\0",
        "select '\0'",
        "select '\ud800'",
        "\ud800",
    ),
    *("select x from nope", "select nope from a", "select a.x from b", "select 1 from"),
    *("select x from a, b", "select * from a natural join b", "select x from a having x"),
    *(
        "select sum(sum(x)) from a",
        "select x, count(*) from a",
        "select x from a group by count(*)",
    ),
    *("with recursive q as (select 1 union all select * from q) select * from q", "values (1)"),
    *("insert into a values (1)", "drop table a", "select x from a for update", "table a"),
    *(
        "select x from a order by 99",
        "select x from a group by 0",
        "select now()",
        "select random()",
    ),
    *(
        "select 1 / 0",
        "select x % 0 from a",
        "select 9223372036854775807 + x from a",
        "select 1e999",
    ),
    *("select 'x'::int", "select t::json from a", "select ln(0)", "select sqrt(-1)"),
    *('select x as "" from a', 'select x as "é" from a', f'select x as "{"n" * 1000}" from a'),
    *("select /* unclosed", "select 'unclosed", 'select "unclosed', "select $$x$$", "select x'ff'"),
    *("select sum(x) over () from a", "select (select 1)", "select x[1] from a", "select (1, 2)"),
    *(
        "select coalesce()",
        "select nullif(1)",
        "select case end",
        "select count(distinct *) from a",
    ),
    *("select interval '1 nope'", "select at + interval '99999999999999 years' from a"),
    *("select round(1.5, 99)", "select power(1e300, 2)", "select 'a' like 'a\\'"),
    "select " + ", ".join(f"{i} as c{i}" for i in range(300)),
    "select " + ", ".join(f"sum(x + {i}) as c{i}" for i in range(200)) + " from a",
    "select " + "x" * 2_000_000,
    "select x from a where t in (" + ", ".join(f"'{i}'" for i in range(5000)) + ")",
]


@pytest.mark.parametrize("n", range(len(TEXTS)))
def test_wrong_texts(db: Database, n: int) -> None:
    attempt(db, TEXTS[n])


@pytest.mark.parametrize("sql", [5, None, b"select 1", ["select 1"]])
def test_no_texts(db: Database, sql: Any) -> None:
    with pytest.raises((ReifyDBError, TypeError)):
        db.query(sql)


SOUND = (
    "select a.x, count(*) as n from a join b on b.aid = a.id group by a.x having count(*) > 1",
    "select a.id as n, y from a join b on b.aid = a.x where a.ok is null order by n desc limit 3",
    "select distinct case when x > 2 then t else 'y' || t end as t from a left join b on y = x",
    "select x from (select x, max(f) as f from a group by x) as q union select y from b",
    "select x from a where x not in (select y from b where aid = a.id) or exists (select t from a)",
    "select id, (select sum(y) from b where b.aid = a.id) as s from a where x in (select y from b)",
)


def test_texts_with_words_exchanged(db: Database) -> None:
    """Whatever comes of sound queries when words of them are dropped, doubled and moved."""
    rng = random.Random(5)
    words = [word for sql in SOUND for word in sql.split()]
    right = 0
    for _ in range(400):
        parts = rng.choice(SOUND).split()
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(parts))
            match rng.randrange(3):
                case 0:
                    del parts[at]
                case 1:
                    parts.insert(at, rng.choice(words))
                case 2:
                    parts[at] = rng.choice(words)
        right += attempt(db, " ".join(parts)) is None
    assert right > 10


def test_views_of_views_of_views(db: Database) -> None:
    made = 0
    db.execute("create view w0 as select id, x from a")
    try:
        for i in range(1, 60):
            db.execute(f"create view w{i} as select id, x + 1 as x from w{i - 1}")
            made = i
    except LimitError:
        pass
    with db.transaction() as tx:
        tx.update("a", {"id": 0, "x": 7})
    assert db.get(f"w{made}", 0) == {"id": 0, "x": 7 + made}
    with db.transaction() as tx:
        tx.update("a", {"id": 0, "x": 0})
    db.execute("drop view " + ", ".join(f"w{i}" for i in range(made, -1, -1)))
