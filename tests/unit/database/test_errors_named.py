"""Wrong input gets an error of ours: the right class, a text that names what was wrong and what
would be right; and nothing changes."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import pytest

import reifydb
from reifydb.errors import (
    DuplicateKeyError,
    LimitError,
    NotFoundError,
    NotNullError,
    RequestError,
    UnknownNameError,
    WrongTypeError,
)
from tests.guests.databases import no_trace

ACCOUNT = {"id": 70, "owner": "ada", "balance": 0}
PLACE = {"town": "a", "street": "x", "number": 1}


class Text(str):
    """A text is a text."""


WRONG: list[tuple[Callable[[Any], object], type[reifydb.ReifyDBError], list[str]]] = [
    # tables
    (
        lambda tx: tx.get("acount", 1),
        UnknownNameError,
        ["no table 'acount'", "did you mean 'account'?"],
    ),
    (
        lambda tx: tx.count("xyz"),
        UnknownNameError,
        ["'xyz'", "there are: account, every, note, place"],
    ),
    (lambda tx: list(tx.scan("accounts")), UnknownNameError, ["did you mean 'account'?"]),
    (lambda tx: tx.insert("Account", ACCOUNT), UnknownNameError, ["did you mean 'account'?"]),
    (lambda tx: tx.delete("", 1), UnknownNameError, ["no table ''"]),
    (lambda tx: tx.get(None, 1), UnknownNameError, ["None"]),
    (lambda tx: tx.get(["account"], 1), UnknownNameError, ["account"]),
    (lambda tx: tx.get(7, 1), UnknownNameError, ["'7'"]),
    (
        lambda tx: tx.insert("reifydb_module", {"name": "x"}),
        RequestError,
        ["table reifydb_module is the system's own"],
    ),
    (lambda tx: tx.delete("reifydb_table", 1), RequestError, ["the system's own"]),
    (lambda tx: tx.update_many("reifydb_table", [{"number": 1}]), RequestError, ["system's own"]),
    # columns
    (
        lambda tx: tx.insert("account", {**ACCOUNT, "ballance": 1}),
        UnknownNameError,
        ["no column in table account: 'ballance'", "did you mean 'balance'?"],
    ),
    (lambda tx: tx.update("account", {"id": 1, "x": 1}), UnknownNameError, ["there are: balance"]),
    (lambda tx: tx.insert("account", {1: 2}), UnknownNameError, ["table account", "'1'"]),
    (lambda tx: tx.insert("account", [1, "x", 2]), RequestError, ["account", "mapping", "list"]),
    (lambda tx: tx.insert("account", None), RequestError, ["account", "mapping", "NoneType"]),
    (lambda tx: tx.insert("account", "row"), RequestError, ["account", "mapping", "str"]),
    (lambda tx: tx.insert_many("account", [ACCOUNT, 7]), RequestError, ["account", "mapping"]),
    (lambda tx: tx.insert_many("account", None), RequestError, ["account", "NoneType"]),
    (lambda tx: tx.insert_many("account", 7), RequestError, ["account", "int"]),
    (lambda tx: tx.insert_many("account", ACCOUNT), RequestError, ["account", "dict"]),
    (lambda tx: tx.delete_many("account", None), RequestError, ["account", "NoneType"]),
    (lambda tx: tx.delete_many("account", 7), RequestError, ["account", "int"]),
    # values
    (
        lambda tx: tx.insert("account", {**ACCOUNT, "balance": "12"}),
        WrongTypeError,
        ["table account, column balance: expected int", "got str '12'"],
    ),
    (lambda tx: tx.insert("account", {**ACCOUNT, "balance": 1.0}), WrongTypeError, ["float 1.0"]),
    (
        lambda tx: tx.insert("account", {**ACCOUNT, "balance": 1 << 63}),
        WrongTypeError,
        ["balance", "from -9223372036854775808 to 9223372036854775807"],
    ),
    (lambda tx: tx.insert("account", {**ACCOUNT, "owner": 5}), WrongTypeError, ["owner", "text"]),
    (lambda tx: tx.insert("account", {**ACCOUNT, "owner": b"x"}), WrongTypeError, ["owner"]),
    (lambda tx: tx.insert("account", {**ACCOUNT, "owner": "\udc00"}), WrongTypeError, ["owner"]),
    (lambda tx: tx.insert("every", {"id": 1, "f": math.nan}), WrongTypeError, ["f", "finite"]),
    (lambda tx: tx.insert("every", {"id": 1, "f": "x"}), WrongTypeError, ["column f", "'x'"]),
    (lambda tx: tx.insert("every", {"id": 1, "b": 1}), WrongTypeError, ["column b", "bool"]),
    (lambda tx: tx.insert("every", {"id": 1, "d": "x"}), WrongTypeError, ["column d", "bytes"]),
    (
        lambda tx: tx.insert("every", {"id": 1, "at": dt.datetime(2024, 1, 1)}),
        WrongTypeError,
        ["column at", "time zone"],
    ),
    (lambda tx: tx.insert("every", {"id": 1, "at": "2024-01-01"}), WrongTypeError, ["column at"]),
    (
        lambda tx: tx.insert_many("account", [ACCOUNT, {**ACCOUNT, "id": "x"}]),
        WrongTypeError,
        ["table account, row 1, column id", "'x'"],
    ),
    (lambda tx: tx.insert("account", {**ACCOUNT, "owner": "x" * (9 << 20)}), LimitError, ["row"]),
    # nulls, keys, duplicates
    (
        lambda tx: tx.insert("account", {"id": 70, "owner": "x"}),
        NotNullError,
        ["table account: column balance must not be null"],
    ),
    (lambda tx: tx.insert("account", {**ACCOUNT, "owner": None}), NotNullError, ["column owner"]),
    (lambda tx: tx.insert("account", {"owner": "x", "balance": 0}), NotNullError, ["column id"]),
    (lambda tx: tx.insert("account", {**ACCOUNT, "id": None}), NotNullError, ["column id"]),
    (lambda tx: tx.insert("account", {}), NotNullError, ["column "]),
    (lambda tx: tx.update("account", {"id": 1, "owner": None}), NotNullError, ["column owner"]),
    (lambda tx: tx.upsert("account", {"id": 70, "owner": "x"}), NotNullError, ["balance"]),
    (
        lambda tx: tx.insert("account", {**ACCOUNT, "id": 3}),
        DuplicateKeyError,
        ["table account has a row with primary key 3 already"],
    ),
    (
        lambda tx: tx.insert("place", PLACE),
        DuplicateKeyError,
        ["table place", "('a', 'x', 1)"],
    ),
    (
        lambda tx: tx.update("account", {"id": 99, "balance": 1}),
        NotFoundError,
        ["table account has no row with primary key 99"],
    ),
    (lambda tx: tx.update("account", {"balance": 1}), NotNullError, ["column id"]),
    (lambda tx: tx.update("place", {**PLACE, "number": 9}), NotFoundError, ["('a', 'x', 9)"]),
    (lambda tx: tx.get("account", "x"), WrongTypeError, ["table account, key, column id", "'x'"]),
    (lambda tx: tx.get("account", None), WrongTypeError, ["column id", "never null"]),
    (lambda tx: tx.get("account", (1, 2)), RequestError, ["expected 1 value, got 2", "id int"]),
    (lambda tx: tx.get("account", ()), RequestError, ["expected 1 value, got 0"]),
    (lambda tx: tx.get("place", "a"), RequestError, ["expected 3 values, got 1", "town text"]),
    (lambda tx: tx.get("place", ("a", "x", "1")), WrongTypeError, ["column number", "'1'"]),
    (lambda tx: tx.get("place", ("a", None, 1)), WrongTypeError, ["column street"]),
    (lambda tx: tx.get("place", {"town": "a"}), RequestError, ["expected 3 values", "town text"]),
    (lambda tx: tx.delete("place", ("a", "x")), RequestError, ["expected 3 values, got 2"]),
    (lambda tx: tx.delete_many("account", [1, "x"]), WrongTypeError, ["key, column id", "'x'"]),
    (lambda tx: tx.get("place", ("x" * 2000, "", 1)), LimitError, ["key_bytes_max is 1,024"]),
    (
        lambda tx: tx.insert("place", {**PLACE, "town": "x" * 2000}),
        LimitError,
        ["table place: the key is too long", "key_bytes_max is 1,024"],
    ),
    # scans
    (lambda tx: tx.scan("account", limit=-1), RequestError, ["limit is -1"]),
    (lambda tx: tx.scan("account", limit="3"), RequestError, ["limit is '3'"]),
    (lambda tx: tx.scan("account", limit=2.0), RequestError, ["limit is 2.0"]),
    (lambda tx: tx.scan("account", lower="x"), WrongTypeError, ["key, column id", "'x'"]),
    (lambda tx: tx.scan("place", lower=("a", "b", 1, 2)), RequestError, ["1 to 3 values, got 4"]),
    (lambda tx: tx.scan("place", upper=()), RequestError, ["1 to 3 values, got 0"]),
    (lambda tx: tx.scan("place", lower=("a", 5)), WrongTypeError, ["column street", "int 5"]),
]


@pytest.fixture
def rich(db: reifydb.Database) -> reifydb.Database:
    db.execute(
        "create table every (id int primary key, f float, b bool, d bytes, at timestamp, t text)"
    )
    with db.transaction() as tx:
        tx.insert("place", PLACE)
    return db


@pytest.mark.parametrize(("use", "error", "words"), WRONG)
def test_wrong_input_is_named_and_changes_nothing(
    rich: reifydb.Database,
    use: Callable[[Any], object],
    error: type[reifydb.ReifyDBError],
    words: list[str],
) -> None:
    with no_trace(rich), rich.transaction() as tx:
        with pytest.raises(error) as caught:
            use(tx)
        assert type(caught.value).__module__ == "reifydb.errors"
        for word in words:
            assert word in str(caught.value)
        assert "?" not in str(caught.value).replace("'?", ""), "a column is not known by name"
    assert rich.count("account") == 10


@pytest.mark.parametrize(
    ("use", "error", "words"),
    [w for w in WRONG if w[0].__code__.co_names[:1] in {("get",), ("count",), ("scan",)}],
)
def test_the_database_itself_says_the_same(
    rich: reifydb.Database,
    use: Callable[[Any], object],
    error: type[reifydb.ReifyDBError],
    words: list[str],
) -> None:
    with no_trace(rich), pytest.raises(error) as caught:
        use(rich)
    for word in words:
        assert word in str(caught.value)


def test_right_input_of_unusual_kinds_is_taken(rich: reifydb.Database) -> None:
    at = dt.datetime(2024, 2, 29, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    with rich.transaction() as tx:
        tx.insert("every", {"id": True, "f": 3, "b": False, "d": bytearray(b"x"), "at": at})
        tx.insert("every", {"id": 2, "d": memoryview(b"yz"), "at": -1, "t": Text("sub")})
        tx.insert("every", {"id": 3, "f": -0.0, "t": "\0"})
    rows = list(rich.scan("every"))
    assert rows[0] == {"id": 1, "f": 3.0, "b": False, "d": b"x", "at": at, "t": None}
    assert rows[1]["at"] == dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC)
    assert (rows[1]["d"], rows[1]["t"]) == (b"yz", "sub")
    assert math.copysign(1, rows[2]["f"]) == 1.0  # type: ignore[arg-type]
    assert rows[2]["t"] == "\0"


def test_every_error_has_a_code_of_its_own_and_its_base_says_whom_it_concerns() -> None:
    classes = [getattr(reifydb, name) for name in reifydb.errors.__all__]
    codes = [cls.code for cls in classes]
    assert len(set(codes)) == len(codes)
    bases = (
        reifydb.RequestError,
        reifydb.TransactionError,
        reifydb.UnavailableError,
        reifydb.OperatorError,
        reifydb.ConnectionLostError,
    )
    for cls in classes:
        assert cls is reifydb.ReifyDBError or issubclass(cls, bases)
