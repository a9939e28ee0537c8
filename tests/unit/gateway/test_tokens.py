"""Tokens: shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import reifydb
from reifydb.errors import RequestError, UnauthenticatedError, UnknownNameError
from reifydb.gateway.tokens import PREFIX, Tokens

OPTIONS = reifydb.Options(reserve_bytes=4096)


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with reifydb.open(":memory:", options=OPTIONS) as opened:
        yield opened


def test_a_token_grants_what_it_was_made_with(db: reifydb.Database) -> None:
    tokens = Tokens(db)
    assert not tokens.any
    token = tokens.make("teller", ["read:account", "call:bank.*"])
    assert re.fullmatch(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}", token)
    grant = tokens.grant(token)
    assert (grant.name, grant.capabilities) == ("teller", {"call:bank.*", "read:account"})
    assert tokens.any
    assert [(each.name, each.capabilities, each.expires_us) for each in tokens.list()] == [
        ("teller", ("call:bank.*", "read:account"), None)
    ]


def test_two_tokens_are_never_the_same(db: reifydb.Database) -> None:
    tokens = Tokens(db)
    made = {tokens.make(f"t{n}", []) for n in range(50)}
    assert len(made) == len(tokens.list()) == 50


def test_what_is_no_token_grants_nothing(db: reifydb.Database) -> None:
    tokens = Tokens(db)
    token = tokens.make("teller", ["call"])
    digest = hashlib.sha256(token.encode()).hexdigest()
    for wrong in ("", "x", token[:-1], token + "x", token.upper(), digest, "\ud800", "teller"):
        with pytest.raises(UnauthenticatedError, match="not known"):
            tokens.grant(wrong)


def test_a_token_that_was_removed_grants_nothing(db: reifydb.Database) -> None:
    tokens = Tokens(db)
    token = tokens.make("teller", ["call"])
    tokens.remove("teller")
    with pytest.raises(UnauthenticatedError):
        tokens.grant(token)
    assert not tokens.any
    assert tokens.make("teller", ["call"]) != token
    with pytest.raises(UnknownNameError, match="teler") as caught:
        tokens.remove("teler")
    assert "teller" in caught.value.hint


def test_a_token_expires(db: reifydb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(db)
    token, now_s = tokens.make("brief", ["call"], days=1), time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + 86_399)
    assert tokens.grant(token).name == "brief"
    monkeypatch.setattr(time, "time", lambda: now_s + 86_401)
    with pytest.raises(UnauthenticatedError, match="expired"):
        tokens.grant(token)


def test_names_are_given_once_and_have_a_length(db: reifydb.Database) -> None:
    tokens = Tokens(db)
    tokens.make("teller", [])
    for name in ("teller", "", "x" * 101):
        with pytest.raises(RequestError):
            tokens.make(name, ["call"])
    with pytest.raises(RequestError, match="is no capability"):
        tokens.make("other", ["calls"])
    assert [token.name for token in tokens.list()] == ["teller"]


def test_the_folder_has_no_token_but_knows_it_again(tmp_path: Path) -> None:
    with reifydb.open(tmp_path / "db", options=OPTIONS) as db:
        token = Tokens(db).make("teller", ["call"])
    kept = [path.read_bytes() for path in (tmp_path / "db").rglob("*") if path.is_file()]
    assert any(hashlib.sha256(token.encode()).digest() in data for data in kept)
    assert not any(token.removeprefix(PREFIX).encode() in data for data in kept)
    with reifydb.open(tmp_path / "db", options=OPTIONS) as db:
        assert Tokens(db).grant(token).name == "teller"
