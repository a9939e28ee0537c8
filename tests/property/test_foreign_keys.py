"""Random transactions on tables with foreign keys, beside sqlite3 with keys that are deferred.

A transaction commits in both or in neither, and what is there then is the same: after aborts, after
constraints came and went, and after the database was opened again. A run is a function of its seed.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import reifydb
from reifydb.errors import DuplicateKeyError, ForeignKeyError, NotFoundError

TABLES = {
    "country": "id int primary key, code int, name text not null",
    "place": "a int, b text, x int, primary key (a, b)",
    "person": """
        id int primary key, country int references country, code int,
        a int, b text, boss int references person on delete no action,
        foreign key (b, a) references place (b, a) on delete cascade
    """,
    "post": """
        id int primary key, author int not null references person (id) on delete cascade,
        code int references country (code) on delete restrict, answers int,
        foreign key (answers) references post (id) on delete cascade
    """,
    "profile": "person int primary key references person on delete cascade, said text",
}
UNIQUE = "create unique index country_code on country (code)"
KEYS = {"country": ("id",), "place": ("a", "b"), "person": ("id",), "post": ("id",)} | {
    "profile": ("person",)
}
COLUMNS = {
    "country": ("id", "code", "name"),
    "place": ("a", "b", "x"),
    "person": ("id", "country", "code", "a", "b", "boss"),
    "post": ("id", "author", "code", "answers"),
    "profile": ("person", "said"),
}
REQUIRED = {("country", "name"), ("post", "author")}
ADDED = "alter table person add constraint late foreign key (code) references country (code)"
ADDED_CHECK = """
select count(*) from person where code is not null and code not in
(select code from country where code is not null)
"""


class Abort(Exception):
    """A transaction that gives up."""


class Run:
    """One run."""

    def __init__(self, seed: int, path: str) -> None:
        self.rng, self.path, self.figures = random.Random(seed), path, Counter[str]()
        self.late = False
        self.db = self._open()
        self.db.execute(
            f"create table country ({TABLES['country']}); {UNIQUE};"
            + ";".join(f"create table {n} ({t})" for n, t in TABLES.items() if n != "country")
        )
        self.sqlite = sqlite3.connect(":memory:", isolation_level=None)
        self.sqlite.execute("pragma foreign_keys = on")
        for name, columns in TABLES.items():
            # Like ours: what `restrict` says of deletes is compared at the end.
            deferred = columns.replace("on delete restrict", "")
            self.sqlite.execute(f"create table {name} ({deferred})")
        self.sqlite.execute(UNIQUE)

    def _open(self) -> Any:
        return reifydb.open(self.path, options=reifydb.Options(reserve_bytes=4096))

    def close(self) -> None:
        self.db.close()
        self.sqlite.close()

    def value(self, column: str) -> object:
        if column in ("name", "said", "b"):
            return self.rng.choice(("x", "y", "a\0b", "", "z" * 40))
        return self.rng.randrange(8)

    def row(self, table: str, *, whole: bool) -> dict[str, object]:
        row = {}
        for column in COLUMNS[table]:
            required = column in KEYS[table] or (whole and (table, column) in REQUIRED)
            if required:
                row[column] = self.value(column)
            elif self.rng.random() < 0.75:
                null = self.rng.random() < 0.3 and (table, column) not in REQUIRED
                row[column] = None if null else self.value(column)
        return row

    def write(self, tx: Any) -> None:
        rng = self.rng
        table = rng.choice(list(TABLES))
        how = rng.choice(("insert", "insert", "update", "upsert", "delete", "delete_many"))
        if how.startswith("delete"):
            keys = [tuple(self.value(c) for c in KEYS[table]) for _ in range(rng.randrange(1, 4))]
            keys = keys[:1] if how == "delete" else keys
            plain = [key if len(key) > 1 else key[0] for key in keys]
            tx.delete(table, plain[0]) if how == "delete" else tx.delete_many(table, plain)
            where = " and ".join(f"{column} = ?" for column in KEYS[table])
            for key in keys:
                self.sqlite.execute(f"delete from {table} where {where}", key)
            return
        row = self.row(table, whole=how != "update")
        expected = self.mirrored(how, table, row)
        got = ""
        try:
            getattr(tx, how)(table, row)
        except (DuplicateKeyError, NotFoundError) as error:
            got = error.code
        assert got == expected, (how, table, row)

    def mirrored(self, how: str, table: str, row: dict[str, object]) -> str:
        key = tuple(row[column] for column in KEYS[table])
        where = " and ".join(f"{column} = ?" for column in KEYS[table])
        found = f"select 1 from {table} where {where}"
        there = self.sqlite.execute(found, key).fetchone() is not None
        if how == "update" and not there:
            return "not_found"
        try:
            if how == "insert" or not there:
                names, marks = ", ".join(row), ", ".join("?" * len(row))
                sql = f"insert into {table} ({names}) values ({marks})"
                self.sqlite.execute(sql, tuple(row.values()))
            elif sets := [column for column in row if column not in KEYS[table]]:
                said = ", ".join(f"{column} = ?" for column in sets)
                sql = f"update {table} set {said} where {where}"
                self.sqlite.execute(sql, (*(row[column] for column in sets), *key))
        except sqlite3.IntegrityError as error:
            if "UNIQUE" not in str(error):
                raise
            return "duplicate_key"
        return ""

    def transaction(self) -> None:
        self.figures["transactions"] += 1
        abort = self.rng.random() < 0.15
        self.sqlite.execute("begin")
        self.sqlite.execute("pragma defer_foreign_keys = on")
        committed = False
        try:
            with self.db.transaction() as tx:
                for _ in range(self.rng.randrange(1, 7)):
                    self.write(tx)
                self.compare(tx)
                late = self.late and self.sqlite.execute(ADDED_CHECK).fetchone()[0] > 0
                if abort:
                    raise Abort
            committed = True
        except Abort:
            self.figures["aborted"] += 1
        except ForeignKeyError as error:
            self.figures["refused"] += 1
            without = "" if error.row else ", without a row"
            self.figures[f"refused by {error.constraint}{without}"] += 1
        if abort:
            return self.sqlite.execute("rollback") and None
        try:
            if late:
                raise sqlite3.IntegrityError
            self.sqlite.execute("commit")
        except sqlite3.IntegrityError:
            self.sqlite.execute("rollback")
            assert not committed, "committed although a row references nothing"
        else:
            assert committed, "refused although every row references one"
        return None

    def constrain(self) -> None:
        """A foreign key more on a table with rows, or less."""
        if self.late:
            self.db.execute("alter table person drop constraint late")
            self.late = False
            return
        broken = self.sqlite.execute(ADDED_CHECK).fetchone()[0]
        try:
            self.db.execute(ADDED)
            assert not broken
            self.late = True
            self.figures["constraints added"] += 1
        except ForeignKeyError:
            assert broken
            self.figures["constraints refused"] += 1

    def reopen(self) -> None:
        if self.path != ":memory:":
            self.db.close()
            self.db = self._open()
            self.figures["reopened"] += 1

    def compare(self, source: Any) -> None:
        for table, columns in COLUMNS.items():
            ours = Counter(tuple(row[c] for c in columns) for row in source.scan(table))
            sql = f"select {', '.join(columns)} from {table}"
            theirs = Counter(self.sqlite.execute(sql).fetchall())
            assert ours == theirs, table

    def run(self, transactions: int) -> None:
        while self.figures["transactions"] < transactions:
            draw = self.rng.random()
            if draw < 0.02:
                self.constrain()
            elif draw < 0.03:
                self.reopen()
            else:
                self.transaction()
            self.db.verify()
            self.compare(self.db)


def first_seed() -> int:
    given = os.environ.get("REIFYDB_KEYS_SEED")
    if given is not None:
        return int(given)
    return 1 if os.environ.get("CI") else random.SystemRandom().randrange(10**9)


@pytest.mark.parametrize("shard", range(6))
def test_foreign_keys_are_those_of_sqlite(shard: int, tmp_path: Path) -> None:
    seed = first_seed() + shard
    print(f"REIFYDB_KEYS_SEED={seed - shard}")
    run = Run(seed, str(tmp_path / "db") if shard % 2 else ":memory:")
    with contextlib.closing(run):
        run.run(1500)
    figures = run.figures
    assert figures["refused"] > 200, figures
    assert figures["transactions"] - figures["refused"] > 300, figures
    assert not any("without" in name for name in figures)
    assert sum(name.startswith("refused by") for name in figures) >= 5, figures
