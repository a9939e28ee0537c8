"""Pages of scans: together they are the scan, whatever comes and goes between them."""

from __future__ import annotations

import contextlib
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import reifydb
from reifydb.errors import RequestError
from reifydb.gateway.pages import page_of
from reifydb.gateway.shapes import Shapes

TABLE = """
    create table thing (
        k text, n int, flag bool, size int, weight float, name text, data bytes, at timestamp,
        price decimal(8,2), code uuid, about json, primary key (k, n)
    );
    create index by_flag on thing (flag);
    create index by_size on thing (size, flag);
    create unique index once on thing (code, name);
    create index by_weight on thing (weight);
    create index by_all on thing (name, data, at, price, about);
    create index by_key on thing (n, k);
"""
INDEXES = [None, "by_flag", "by_size", "once", "by_weight", "by_all", "by_key"]


def some(draw: random.Random, number: int) -> dict[str, Any]:
    """A row with few different values, and many nulls."""

    def maybe(value: Any) -> Any:
        return None if draw.random() < 0.4 else value

    return {
        "k": draw.choice(["", "a", "a\0", "ü"]),
        "n": number,
        "flag": maybe(draw.random() < 0.5),
        "size": maybe(draw.choice([-(1 << 63), -1, 0, (1 << 63) - 1])),
        "weight": maybe(draw.choice([-1.5, -0.0, 0.0, -1e300, 1e300])),
        "name": maybe(draw.choice(["", "x", "x\0y", "𝄞"])),
        "data": maybe(draw.choice([b"", b"\0", b"\xff" * 40])),
        "at": maybe(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=draw.randrange(2))),
        "price": maybe(Decimal(draw.randrange(-2, 2)) / 4),
        "code": maybe(UUID(int=number)),
        "about": maybe(draw.choice([reifydb.JSON_NULL, {"b": [1, None]}, "x", 1.5, True])),
    }


def paged(db: reifydb.Database, limit: int, change: Any = None, **options: Any) -> list[Any]:
    """All rows, a page at a time."""
    rows: list[Any] = []
    cursor: str | None = None
    while True:
        page = page_of(db, Shapes(db).table("thing"), options, limit, cursor)
        assert len(page.rows) <= limit
        rows += page.rows
        if page.next is None:
            return rows
        cursor = page.next
        if change is not None:
            change(page.rows[-1])


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("reverse", [False, True])
def test_pages_together_are_the_scan(index: str | None, reverse: bool) -> None:
    with reifydb.open(":memory:") as db:
        db.execute(TABLE)
        draw = random.Random(7)
        with db.transaction() as tx:
            tx.insert_many("thing", [some(draw, i) for i in range(200)])
        expected = list(db.scan("thing", index=index, reverse=reverse))
        for limit in (1, 3, 199, 200, 201):
            assert paged(db, limit, index=index, reverse=reverse) == expected
        db.verify()


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("reverse", [False, True])
def test_rows_that_come_and_go_move_no_others(index: str | None, reverse: bool) -> None:
    with reifydb.open(":memory:") as db:
        db.execute(TABLE)
        draw = random.Random(8)
        stay = [some(draw, i) for i in range(0, 300, 3)]
        with db.transaction() as tx:
            tx.insert_many("thing", stay + [some(draw, i) for i in range(1, 300, 3)])

        def change(last: dict[str, Any]) -> None:
            with db.transaction() as tx:
                if last["n"] % 3:  # the one that the next page begins behind
                    tx.delete("thing", (last["k"], last["n"]))
                for row in (some(draw, draw.randrange(2, 300, 3)) for _ in range(3)):
                    with contextlib.suppress(reifydb.DuplicateKeyError):
                        tx.upsert("thing", row)

        found = paged(db, 2, change, index=index, reverse=reverse)
        expected = list(db.scan("thing", index=index, reverse=reverse))
        assert [row for row in found if row["n"] % 3 == 0] == [
            row for row in expected if row["n"] % 3 == 0
        ]


def test_bounds_hold_on_each_page() -> None:
    with reifydb.open(":memory:") as db:
        db.execute(TABLE)
        draw = random.Random(9)
        with db.transaction() as tx:
            tx.insert_many("thing", [some(draw, i) for i in range(200)])
        for options in (
            {"index": "by_size", "lower": (0,), "lower_exclusive": True},
            {"index": "by_size", "lower": (-1,), "upper": (0, False), "reverse": True},
            {"index": "by_size", "lower": (None,), "upper": (None,)},
            {"index": "by_flag", "upper": (None,), "upper_exclusive": True, "reverse": True},
            {"lower": ("a",), "upper": ("ü", 100), "upper_exclusive": True},
        ):
            expected = list(db.scan("thing", **options))  # type: ignore[arg-type]
            assert expected
            assert paged(db, 7, **options) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("cursor", ["", "x", "ü", "gQ", "kQE", 5, ["kQE"], "kwECAw", "k8DAwA"])
@pytest.mark.parametrize("index", [None, "by_flag"])
def test_what_is_no_cursor_of_this_scan_is_refused(cursor: object, index: str | None) -> None:
    with reifydb.open(":memory:") as db:
        db.execute(TABLE)
        with pytest.raises(RequestError):
            page_of(db, Shapes(db).table("thing"), {"index": index}, 5, cursor)
