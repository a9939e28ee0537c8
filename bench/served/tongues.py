"""How the load generator speaks to whoever is measured: requests packed before the clock starts,
answers that are counted rather than parsed. Whoever is measured gets the same treatment: one `send`
for all calls that go out together, one `recv` for what has come.

Everybody gets their own way of keeping many calls under way on a connection: we take many calls in
a frame, Redis takes commands one behind the other, PostgreSQL takes triples of Bind, Execute and
Sync (https://www.postgresql.org/docs/15/protocol.html); over HTTP several calls are a batch.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol

import msgpack

AMOUNT = 1
TRANSFER = "bank.transfer"

Pairs = Sequence[tuple[int, int]]


class Tongue(Protocol):
    """How to speak to one kind of server. Made once with the stream of transfers."""

    def connect(self) -> socket.socket:
        """A connection that is ready for requests."""

    def request(self, start: int, count: int) -> bytes:
        """Transfers `start` to `start + count` of the stream, which does not end within them."""

    def answers(self, data: bytes) -> tuple[int, int, int]:
        """How many transfers these bytes say were made, how many were not, and how many of the
        bytes that took; the rest is the beginning of more.
        """

    def due(self, data: bytes) -> bytes:
        """What these bytes, which are answers, ask to be sent at once; mostly nothing."""


class Packed:
    """Requests, one behind the other, and where each begins."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._bytes = b"".join(requests)
        self._starts = [0, *accumulate(map(len, requests))]

    def part(self, start: int, count: int) -> bytes:
        """Those from `start` on, so many."""
        return self._bytes[self._starts[start] : self._starts[start + count]]


def _connected(address: str) -> socket.socket:
    """`host:port`, or the path of a socket."""
    if address.startswith("/"):
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        found.connect(address)
        return found
    host, _, port = address.rpartition(":")
    found = socket.create_connection((host, int(port)))
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


class _Quiet:
    """Nothing is ever asked of whoever listens."""

    def due(self, data: bytes) -> bytes:
        """See `Tongue`."""
        del data
        return b""


# ------------------------------------------------------------------ WebSocket


IDS = 128
"""Ids that calls carry in turn. More calls than that on one connection have some in common: nobody
looks."""


class WebSocket:
    """`reifydb.v1.msgpack` over WebSocket (RFC 6455). Frames are masked with zeros: the server does
    all the work of unmasking, the generator none.
    """

    def __init__(self, address: str, pairs: Pairs, ack: str) -> None:
        self._address, self._ack = address, ack
        pack = msgpack.packb
        self._calls = Packed(
            [pack(["call", i % IDS, TRANSFER, [a, b, AMOUNT]]) for i, (a, b) in enumerate(pairs)]
        )

    def connect(self) -> socket.socket:
        """See `Tongue`."""
        found = open_websocket(self._address, "/v1/ws", "reifydb.v1.msgpack")
        found.sendall(masked(msgpack.packb(["hello", {"ack": self._ack}])))
        for _ in range(2):  # one comes unasked, one is the answer
            read_frame(found)
        return found

    def request(self, start: int, count: int) -> bytes:
        """See `Tongue`."""
        calls = self._calls.part(start, count)
        return masked(calls if count == 1 else array(count) + calls)

    def answers(self, data: bytes) -> tuple[int, int, int]:
        """See `Tongue`."""
        made = failed = at = 0
        while (frame := frame_at(data, at)) is not None:
            opcode, body, at = frame
            if opcode == _CLOSE:
                raise ConnectionError(f"the server closed: {data[body:at]!r}")
            if opcode == _BINARY:
                made += data.count(_OK, body, at)
                failed += data.count(_ERROR, body, at)
        return made, failed, at

    def due(self, data: bytes) -> bytes:
        """See `Tongue`: a ping is answered."""
        at, said = 0, b""
        while data and (frame := frame_at(data, at)) is not None:
            opcode, body, at = frame
            if opcode == _PING:
                said += masked(data[body:at], _PONG)
        return said


_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10
_OK, _ERROR = b"\x94\xa2ok", b"\xa5error"


class Echo(WebSocket):
    """The same frames to a server that sends them back: `bench.served.echo`."""

    def connect(self) -> socket.socket:
        """See `Tongue`."""
        return open_websocket(self._address, "/")

    def answers(self, data: bytes) -> tuple[int, int, int]:
        """See `Tongue`: each frame is what one call was."""
        made = at = 0
        while (frame := frame_at(data, at)) is not None:
            _, _, at = frame
            made += 1
        return made, 0, at


def open_websocket(address: str, path: str, protocol: str = "") -> socket.socket:
    """A connection after its handshake."""
    found = _connected(address)
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {address}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        *([f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []),
    ]
    found.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = found.recv(1)
        if not byte:
            raise ConnectionError(f"no WebSocket at {address}{path}: {head!r}")
        head += byte
    if b" 101 " not in head:
        raise ConnectionError(f"no WebSocket at {address}{path}: {head!r}")
    return found


def masked(payload: bytes, opcode: int = _BINARY) -> bytes:
    """A frame of a client's."""
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB4x", 0x80 | opcode, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack(">BBH4x", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ4x", 0x80 | opcode, 0x80 | 127, size)
    return head + payload


def frame_at(data: bytes, at: int) -> tuple[int, int, int] | None:
    """The server's frame at `at`: opcode, begin and end of its payload; None: not all is there."""
    have = len(data) - at
    if have < 2:
        return None
    size, body = data[at + 1], at + 2
    if size == 126:
        if have < 4:
            return None
        size, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
    elif size == 127:
        if have < 10:
            return None
        size, body = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
    end = body + size
    return (data[at] & 15, body, end) if end <= len(data) else None


def read_frame(connection: socket.socket) -> bytes:
    """The next frame's payload, byte by byte: whatever follows is left."""
    data = b""
    while (frame := frame_at(data, 0)) is None:
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError("the server closed")
        data += byte
    return data[frame[1] :]


def array(count: int) -> bytes:
    """The head of a msgpack array."""
    if count < 16:
        return bytes([0x90 | count])
    return b"\xdc" + count.to_bytes(2, "big")


# ------------------------------------------------------------------ HTTP


class Http(_Quiet):
    """Over HTTP/1.1: a call in JSON is a request; several are one batch, in msgpack."""

    def __init__(self, address: str, pairs: Pairs, ack: str) -> None:
        self._address, self._ack = address, ack
        url = f"/v1/call/{TRANSFER}?ack={ack}"
        self._single = Packed(
            [self._post(url, json.dumps([a, b, AMOUNT]).encode()) for a, b in pairs]
        )
        self._calls = Packed([msgpack.packb([TRANSFER, [a, b, AMOUNT]]) for a, b in pairs])

    def _post(self, url: str, body: bytes, kind: str = "application/json") -> bytes:
        head = (
            f"POST {url} HTTP/1.1\r\nHost: {self._address}\r\nContent-Type: {kind}\r\n"
            f"Accept: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def connect(self) -> socket.socket:
        """See `Tongue`."""
        return _connected(self._address)

    def request(self, start: int, count: int) -> bytes:
        """See `Tongue`."""
        if count == 1:
            return self._single.part(start, 1)
        calls = self._calls.part(start, count)
        body = b"\x81\xa5calls" + array(count) + calls
        return self._post(f"/v1/batch?ack={self._ack}", body, "application/msgpack")

    def answers(self, data: bytes) -> tuple[int, int, int]:
        """See `Tongue`."""
        made = failed = at = 0
        while (end := data.find(b"\r\n\r\n", at)) >= 0:
            place = data.find(b"Content-Length: ", at, end) + 16
            body, size = end + 4, int(data[place : data.index(b"\r", place)])
            if len(data) < body + size:
                break
            here = data.count(b"value", body, body + size)
            if here == 0 and data[at + 9 : at + 12] != b"200":
                raise ConnectionError(f"refused: {data[at : body + size]!r:.500}")
            made += here
            failed += data.count(b"\xa5error", body, body + size)
            at = body + size
        return made, failed, at


# ------------------------------------------------------------------ Redis


class Redis(_Quiet):
    """`FCALL transfer 2 from to amount` (https://redis.io/docs/reference/protocol-spec/)."""

    def __init__(self, address: str, pairs: Pairs, ack: str) -> None:
        del ack
        self._address = address
        self._calls = Packed(
            [resp("FCALL", "transfer", "2", str(a), str(b), str(AMOUNT)) for a, b in pairs]
        )

    def connect(self) -> socket.socket:
        """See `Tongue`."""
        return _connected(self._address)

    def request(self, start: int, count: int) -> bytes:
        """See `Tongue`."""
        return self._calls.part(start, count)

    def answers(self, data: bytes) -> tuple[int, int, int]:
        """See `Tongue`: each answer is a line, of `:` and what is left, or of `-` and why not."""
        end = data.rfind(b"\n") + 1
        return data.count(b":", 0, end), data.count(b"-", 0, end), end


def resp(*words: str) -> bytes:
    """A command."""
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    return f"*{len(words)}\r\n{''.join(parts)}".encode()


# ------------------------------------------------------------------ PostgreSQL


class Postgres(_Quiet):
    """One prepared `select transfer($1, $2, $3)` for each connection, values in binary."""

    def __init__(self, address: str, pairs: Pairs, ack: str) -> None:
        del ack
        self._address = address
        tail = _message(b"E", b"\0" + bytes(4)) + _message(b"S", b"")
        self._calls = Packed([_bind(a, b) + tail for a, b in pairs])

    def connect(self) -> socket.socket:
        """See `Tongue`."""
        found = _connected(self._address)
        words = b"user\0bench\0database\0postgres\0\0"
        found.sendall(struct.pack(">II", len(words) + 8, 196_608) + words)
        _until_ready(found)
        query = b"transfer\0select transfer($1, $2, $3)\0"
        found.sendall(_message(b"P", query + struct.pack(">HIII", 3, 20, 20, 20)) + _SYNC)
        _until_ready(found)
        return found

    def request(self, start: int, count: int) -> bytes:
        """See `Tongue`."""
        return self._calls.part(start, count)

    def answers(self, data: bytes) -> tuple[int, int, int]:
        """See `Tongue`: each ends with ReadyForQuery."""
        last = data.rfind(_READY)
        if last >= 0 and last + len(_READY) + 1 > len(data):
            last = data.rfind(_READY, 0, last)
        if last < 0:
            return 0, 0, 0
        end = last + len(_READY) + 1
        failed = data.count(b"SERROR\0", 0, end)
        return data.count(_READY, 0, end) - failed, failed, end


_READY = b"Z\0\0\0\5"


def _message(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack(">I", len(content) + 4) + content


_SYNC = _message(b"S", b"")


def _bind(a: int, b: int) -> bytes:
    values = struct.pack(">HIqIqIq", 3, 8, a, 8, b, 8, AMOUNT)
    return _message(b"B", b"\0transfer\0" + struct.pack(">HH", 1, 1) + values + b"\0\1\0\1")


def _until_ready(connection: socket.socket) -> None:
    data = b""
    while data[-6:-1] != _READY:
        more = connection.recv(65536)
        if not more or b"SFATAL\0" in data:
            raise ConnectionError(f"PostgreSQL refuses: {data!r}")
        data += more
    if b"SERROR\0" in data:
        raise ConnectionError(f"PostgreSQL refuses: {data!r}")


TONGUES: dict[str, Any] = {
    "echo": Echo,
    "websocket": WebSocket,
    "http": Http,
    "redis": Redis,
    "postgres": Postgres,
}
"""By name: `(address, pairs, ack)` makes a `Tongue`."""
