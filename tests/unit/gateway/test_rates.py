"""Token buckets."""

from __future__ import annotations

import pytest

from reifydb.errors import OverloadedError
from reifydb.gateway import rates
from reifydb.gateway.rates import Rates, address_key


def allowed(of: Rates, key: str, now_s: float, count: int = 1) -> bool:
    try:
        of.take(key, count, now_s)
    except OverloadedError:
        return False
    return True


def test_a_seconds_worth_at_once_and_then_the_rate() -> None:
    of = Rates("x_max", 10)
    assert [allowed(of, "a", 5.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert allowed(of, "b", 5.0)
    assert sum(allowed(of, "a", 5.0 + i / 100) for i in range(1, 301)) == 30
    assert sum(allowed(of, "a", 100.0) for _ in range(30)) == 10


def test_it_is_said_when_to_come_back_and_that_is_right() -> None:
    of = Rates("x_max", 4)
    for _ in range(4):
        of.take("a", 1, 1.0)
    with pytest.raises(OverloadedError, match="x_max") as caught:
        of.take("a", 1, 1.0)
    assert caught.value.retry_after_s == 0.25
    assert not allowed(of, "a", 1.24)
    assert allowed(of, "a", 1.2501)


def test_many_at_once_are_owed() -> None:
    of = Rates("x_max", 10)
    of.take("a", 100, 0.0)
    with pytest.raises(OverloadedError) as caught:
        of.take("a", 1, 1.0)
    assert caught.value.retry_after_s == pytest.approx(8.1)
    assert allowed(of, "a", 9.2)


def test_less_than_one_a_second() -> None:
    of = Rates("x_max", 0.5)
    assert allowed(of, "a", 0.0)
    assert not allowed(of, "a", 1.9)
    assert allowed(of, "a", 2.1)


def test_no_rate_is_no_limit() -> None:
    of = Rates("x_max", None)
    assert all(allowed(of, "a", 0.0, 1000) for _ in range(100))


def test_not_more_are_remembered_than_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "rate_keys_max", 3)
    of = Rates("x_max", 1)
    for key in "abc":
        assert allowed(of, key, 0.0)
    assert not allowed(of, "a", 0.1)  # which is remembered for it now
    assert allowed(of, "d", 0.2)
    assert not allowed(of, "a", 0.3)
    assert allowed(of, "b", 0.3)  # forgotten


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::"),
        (None, ""),
        ("nonsense", ""),
    ],
)
def test_addresses_of_one_network_share_a_bucket(address: str | None, key: str) -> None:
    assert address_key(address) == key
