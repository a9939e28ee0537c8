"""Capabilities: what is not granted is refused."""

from __future__ import annotations

import pytest

from reifydb.errors import ForbiddenError, RequestError
from reifydb.gateway.grants import EVERYTHING, KINDS, check_capability, grant_of

NAMED = ("call", "read", "write", "subscribe")


@pytest.mark.parametrize("kind", KINDS)
def test_a_capability_alone_is_for_all(kind: str) -> None:
    grant = grant_of("someone", [kind])
    assert grant.may(kind)
    assert grant.may(kind, "bank.transfer")
    for other in set(KINDS) - {kind}:
        assert not grant.may(other)
        assert not grant.may(other, "bank.transfer")


@pytest.mark.parametrize("kind", NAMED)
def test_a_capability_with_a_name_is_for_that_alone(kind: str) -> None:
    grant = grant_of("someone", [f"{kind}:account"])
    assert grant.may(kind, "account")
    for name in ("", "accounts", "accoun", "account.x", "*", "Account"):
        assert not grant.may(kind, name), name


def test_a_star_is_for_all_of_one_module() -> None:
    grant = grant_of("teller", ["call:bank.*"])
    assert grant.may("call", "bank.transfer")
    for name in ("banks.transfer", "ban.transfer", "shop.bank.transfer", ".transfer", ""):
        assert not grant.may("call", name), name


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ForbiddenError, match=r"teller may not call bank\.open") as caught:
        grant_of("teller", ["call:bank.total"]).require("call", "bank.open")
    assert caught.value.capability == "call:bank.open"
    with pytest.raises(ForbiddenError) as caught:
        grant_of("teller", []).require("modules", "bank")
    assert caught.value.capability == "modules"


def test_nothing_granted_is_nothing_allowed() -> None:
    assert not any(grant_of("nobody", []).may(kind, "x") for kind in KINDS)


def test_without_tokens_everything_is_allowed() -> None:
    assert all(EVERYTHING.may(kind, "x") for kind in KINDS)


@pytest.mark.parametrize(
    "wrong", ["", "calls", "call:", ":x", "schema:x", "modules:bank", "operations:", "CALL", "*"]
)
def test_what_is_no_capability_is_refused(wrong: str) -> None:
    with pytest.raises(RequestError, match="is no capability"):
        check_capability(wrong)
    with pytest.raises(RequestError):
        grant_of("someone", ["call", wrong])
