from __future__ import annotations

import pytest

import reifydb
from reifydb.client.connection import (
    RECONNECT_FIRST_S,
    RECONNECT_LAST_S,
    reconnect_delay_s,
    socket_url,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:8042", "ws://localhost:8042/v1/ws"),
        ("https://db.example/", "wss://db.example/v1/ws"),
        ("https://example/db", "wss://example/db/v1/ws"),
        ("ws://[::1]:1/v1/ws", "ws://[::1]:1/v1/ws"),
    ],
)
def test_a_servers_address(url: str, expected: str) -> None:
    assert socket_url(url) == expected


@pytest.mark.parametrize("url", ["", "localhost:8042", "ftp://x", "http://", None])
def test_what_leads_to_no_server_is_refused(url: str) -> None:
    with pytest.raises(reifydb.RequestError):
        socket_url(url)


def test_the_wait_doubles_up_to_a_limit_and_is_drawn() -> None:
    longest = [reconnect_delay_s(attempt, 1.0) for attempt in (0, 1, 2, 50, 5000)]
    first = RECONNECT_FIRST_S
    assert longest == [first, 2 * first, 4 * first, RECONNECT_LAST_S, RECONNECT_LAST_S]
    assert reconnect_delay_s(3, 0.0) == 0.0


def test_an_ack_that_is_none_is_refused() -> None:
    with pytest.raises(reifydb.RequestError):
        reifydb.aconnect("http://localhost", ack="maybe")  # type: ignore[arg-type]


def test_nobody_there_is_said_in_time() -> None:
    with pytest.raises(reifydb.OfflineError, match="no connection to ws://127"):
        reifydb.connect("http://127.0.0.1:9", connect_s=0.3)
