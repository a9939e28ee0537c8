"""ETags of rows and the headers that name them."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

import reifydb
from reifydb.database.tables import TableHandle
from reifydb.errors import PreconditionFailedError, RequestError
from reifydb.gateway.http.etags import DIGEST_BYTES, Precondition, etag_of


def precondition(*headers: tuple[str, str]) -> Precondition:
    from multidict import CIMultiDict

    return Precondition(make_mocked_request("GET", "/", headers=CIMultiDict(headers)))


def refused(found: Precondition, etag: str | None) -> bool:
    try:
        found.check(etag)
    except PreconditionFailedError:
        return True
    return False


def test_an_etag_is_of_the_row_alone() -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create table t (id int primary key, n int, x text)")
        handle: TableHandle = db._state.catalog.get("t")
        rows: list[Any] = [
            {"id": 1, "n": 1, "x": "a"},
            {"id": 1, "n": None, "x": "a"},
            {"id": 1, "n": 1, "x": None},
            {"id": 1, "n": 1, "x": ""},
            {"id": 2, "n": 1, "x": "a"},
        ]
        etags = [etag_of(handle, row) for row in rows]
        assert len(set(etags)) == len(rows)
        assert {len(etag) for etag in etags} == {2 * DIGEST_BYTES}
        with db.transaction() as tx:
            tx.insert("t", rows[0])
        found = db.get("t", 1)
        assert found is not None
        assert etag_of(handle, found) == etags[0]
        db.execute("alter table t rename column n to m")
        found = db.get("t", 1)
        assert found is not None
        assert etag_of(db._state.catalog.get("t"), found) != etags[0]


@pytest.mark.parametrize(
    ("headers", "etag", "fails", "unchanged"),
    [
        ([], "a", False, False),
        ([], None, False, False),
        ([("If-Match", '"a"')], "a", False, False),
        ([("If-Match", '"a"')], "b", True, False),
        ([("If-Match", '"a"')], None, True, False),
        ([("If-Match", '"b" , W/"a"')], "a", False, False),
        ([("If-Match", '"b"'), ("if-match", '"a"')], "a", False, False),
        ([("If-Match", "*")], "a", False, False),
        ([("If-Match", "*")], None, True, False),
        ([("If-None-Match", "*")], "a", True, True),
        ([("If-None-Match", "*")], None, False, False),
        ([("If-None-Match", '"a"')], "a", True, True),
        ([("If-None-Match", '"a"')], "b", False, False),
    ],
)
def test_preconditions(
    headers: list[tuple[str, str]], etag: str | None, fails: bool, unchanged: bool
) -> None:
    found = precondition(*headers)
    assert refused(found, etag) is fails
    assert found.unchanged(etag) is unchanged


@pytest.mark.parametrize("value", ["a", '"a', '"a" "b"', ",", "* , *"])
def test_a_list_of_etags_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(RequestError, match="If-Match"):
        precondition(("If-Match", value))
