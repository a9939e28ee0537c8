"""The load generator speaks to each server as it should, and believes only what it is told."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgpack
import pytest

import reifydb
from bench.bank import MoneyError
from bench.served import hosts, pace
from bench.served.generator import Load, generate
from bench.served.tongues import (
    Http,
    Packed,
    Postgres,
    Redis,
    WebSocket,
    array,
    frame_at,
    masked,
    resp,
)

ACCOUNTS = 300
PAIRS = [(1, 2), (3, 4), (5, 60_000)]


def server_frame(payload: bytes, opcode: int = 2) -> bytes:
    """A frame that is not masked."""
    frame = bytearray(masked(payload, opcode))
    frame[1] &= 0x7F
    size = {126: 2, 127: 8}.get(frame[1], 0)
    return bytes(frame[: 2 + size] + frame[6 + size :])


def test_parts_of_what_was_packed() -> None:
    packed = Packed([b"a", b"bc", b"", b"d"])
    assert [packed.part(i, 2) for i in range(3)] == [b"abc", b"bc", b"d"]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_are_found_where_they_end(size: int) -> None:
    frame = server_frame(b"x" * size)
    opcode, body, end = frame_at(frame + b"more", 0) or (0, 0, 0)
    assert (opcode, end - body, end) == (2, size, len(frame))
    assert frame_at(frame[:-1], 0) is None


def test_calls_over_websocket_are_one_frame() -> None:
    tongue = WebSocket("", PAIRS, "committed")
    frame = tongue.request(0, 3)[6:]  # behind head and mask
    calls = msgpack.unpackb(frame)
    assert calls == [["call", i, "bank.transfer", [a, b, 1]] for i, (a, b) in enumerate(PAIRS)]
    assert array(3) == frame[:1]


def test_answers_are_counted_as_far_as_they_have_come() -> None:
    ok, error = ["ok", 1, 5, 9], ["error", 1, {"title": "Refused"}, 9]
    data = server_frame(msgpack.packb([ok, error, ok])) + server_frame(msgpack.packb(ok))
    tongue = WebSocket("", PAIRS, "committed")
    assert tongue.answers(data) == (3, 1, len(data))
    assert tongue.answers(data[:-1])[:2] == (2, 1)
    assert tongue.due(server_frame(b"?", 9)) == masked(b"?", 10)
    with pytest.raises(ConnectionError):
        tongue.answers(server_frame(b"", 8))


def test_redis_is_asked_in_commands_and_answers_in_lines() -> None:
    tongue = Redis("", PAIRS, "")
    assert tongue.request(1, 1) == resp("FCALL", "transfer", "2", "3", "4", "1")
    assert tongue.answers(b":99\r\n-ERR no\r\n:1") == (1, 1, 14)


def test_postgresql_is_ready_once_for_each_call() -> None:
    tongue = Postgres("", PAIRS, "")
    ready = b"Z\0\0\0\5I"
    assert tongue.request(0, 2).count(b"transfer\0") == 2
    assert tongue.answers(b"2\0\0\0\4" + ready + b"E...SERROR\0" + ready + ready[:5])[:2] == (1, 1)
    assert tongue.answers(ready[:5]) == (0, 0, 0)


def test_http_is_a_request_for_one_call_and_a_batch_for_several() -> None:
    tongue = Http("host", PAIRS, "committed")
    assert tongue.request(0, 1).endswith(b"\r\n\r\n[1, 2, 1]")
    batch = msgpack.unpackb(tongue.request(0, 2).split(b"\r\n\r\n")[1])
    assert batch == {"calls": [["bank.transfer", [1, 2, 1]], ["bank.transfer", [3, 4, 1]]]}
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"value":1}'
    assert tongue.answers(answer + answer[:-1]) == (1, 0, len(answer))
    with pytest.raises(ConnectionError):
        tongue.answers(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


def load(tongue: str, host: hosts.Host, window: int) -> Load:
    return Load(
        tongue,
        host.address,
        clients=2,
        window=window,
        accounts=ACCOUNTS,
        pairs=500,
        warm_s=0.0,
        measured_s=0.1,
        processes=[host.process],
        lag=tongue == "websocket",
    )


def test_our_server_makes_the_transfers_that_it_says_it_made(tmp_path: Path) -> None:
    folder = tmp_path / "reifydb"
    made = 0
    with hosts.reifydb_server(folder, ACCOUNTS) as host:
        for tongue in ("websocket", "http"):
            for window in (1, 7):
                found = generate(load(tongue, host, window))
                assert found["failed"] == 0
                assert found["made"] >= found["measured"] > 0
                made += found["made"]
    hosts.check_reifydb(folder, ACCOUNTS, made)
    with pytest.raises(MoneyError, match="transfers"):
        hosts.check_reifydb(folder, ACCOUNTS, made + 1)


@pytest.mark.skipif(hosts.redis_program() is None, reason="there is no Redis")
def test_redis_makes_them_too(tmp_path: Path) -> None:
    with hosts.redis_server(tmp_path / "redis", ACCOUNTS, "everysec") as host:
        found = generate(load("redis", host, 7))
        assert found["failed"] == 0 < found["made"]
        hosts.check_redis(host, ACCOUNTS)
        with pytest.raises(MoneyError):
            hosts.check_redis(host, ACCOUNTS - 1)


@pytest.mark.skipif(hosts.postgres_programs() is None, reason="there is no PostgreSQL")
def test_postgresql_makes_them_too() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,  # pytest's own is closed to other users
        hosts.postgres_server(Path(folder) / "postgres", ACCOUNTS, "off") as host,
    ):
        found = generate(load("postgres", host, 7))
        assert found["failed"] == 0 < found["made"]
        hosts.check_postgres(host, ACCOUNTS)


def test_the_servers_own_histograms_are_read(tmp_path: Path) -> None:
    with hosts.reifydb_server(tmp_path / "reifydb", 10) as host:
        before = pace.counted(host.address)
        with reifydb.connect(f"http://{host.address}") as db:
            db.call("bank.transfer", 1, 2, 1)
        found = pace.between(before, pace.counted(host.address))
    assert found["lag_count"] == found["flush_count"] == 1
    assert 0 < found["lag_p50_ms"] <= found["lag_p99_ms"]


def test_quantiles_lie_within_their_bucket() -> None:
    none: dict[float, float] = {0.001: 0, 0.002: 0, float("inf"): 0}
    assert pace.quantile(none, 0.5) is None
    some: dict[float, float] = {0.001: 5, 0.002: 10, float("inf"): 10}
    assert [pace.quantile(some, share) for share in (0.25, 0.5, 0.75, 1)] == [0.5, 1, 1.5, 2]
    beyond: dict[float, float] = {0.001: 5, float("inf"): 10}
    assert pace.quantile(beyond, 0.99) is None
