"""Views through the Python client: what it keeps of a subscription is what the view shows."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

import reifydb
from tests.e2e.gateway.test_views import AT, CODE, views

SAID = (CODE, datetime.fromisoformat(AT), Decimal("1.50"))
KEYS: dict[str, list[Any]] = {
    "grown": [1, 3, 4],
    "by_city": ["bern", "null", None],
    "by_age": [20, 36, 40, None],
    "said": [SAID],
    "oldest": [1, 4],
    "pair": [(1, 3), (1, 4), (3, 1)],
}


@pytest.mark.parametrize("name", KEYS)
async def test_a_view_is_read_and_followed_like_a_table(name: str) -> None:
    async with views() as served, reifydb.aconnect(served.url) as client:
        db = served.db
        table = client.tables[name]
        assert table.derived
        assert [c.name for c in table.key_columns] == [c.name for c in db.tables[name].key_columns]
        assert [row async for row in client.scan(name)] == list(db.scan(name))
        assert await client.count(name) == len(KEYS[name])
        for key in KEYS[name]:
            assert await client.get(name, key) == db.get(name, key) is not None
        async with client.subscribe(name) as changes:
            snapshot = await changes.get()
            assert isinstance(snapshot, reifydb.Snapshot)
            assert list(snapshot.keys) == KEYS[name]
            state = dict(zip(snapshot.keys, snapshot.rows, strict=True))
            with db.transaction() as tx:
                tx.update("person", {"id": 2, "age": 50})
                tx.update("person", {"id": 1, "city": None})
                tx.delete("person", 4)
                tx.insert("friend", {"a": 2, "b": 2})
                tx.delete("event", SAID)
            delta = await changes.get()
            assert isinstance(delta, reifydb.Delta)
            for change in delta.changes:
                if change.row is None:
                    del state[change.key]
                else:
                    state[change.key] = change.row
            for key, row in state.items():
                assert db.get(name, key) == row
            assert len(state) == db.count(name)


async def test_a_write_to_a_view_is_refused_with_the_servers_error() -> None:
    async with views() as served, reifydb.aconnect(served.url) as client:
        for write in (
            client.insert("by_city", {"city": "x", "people": 1}),
            client.update("by_city", {"city": "bern", "people": 1}),
            client.upsert("by_city", {"city": "bern", "people": 1}),
            client.delete("pair", (1, 3)),
        ):
            with pytest.raises(reifydb.RequestError, match="is a view") as error:
                await write
            assert error.value.hint == "write the tables that it is made of"


async def test_long_scans_of_a_view_with_a_hidden_key_lead_through_all_pages() -> None:
    async with views() as served, reifydb.aconnect(served.url) as client:
        with served.db.transaction() as tx:
            many = range(100, 25_100)
            tx.insert_many("person", [{"id": i, "name": f"n{i % 7}", "age": 18} for i in many])
        for reverse in (False, True):
            found = [row async for row in client.scan("grown", reverse=reverse)]
            assert found == list(served.db.scan("grown", reverse=reverse))
            assert len(found) == 25_003
