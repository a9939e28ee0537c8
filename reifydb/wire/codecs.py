"""Frames: messages as bytes, in msgpack or JSON. Nothing here knows what the messages mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgpack

from reifydb.errors import RequestError
from reifydb.wire.dialects import PLAIN, RAW, Dialect

Data = bytes | str

EntryConverter = Callable[[int, list[Any], list[Any] | None], Any]
"""Makes an entry `[op, key, row]` of the kernel's values one of a dialect's."""


class Chunk(Protocol):
    """What a codec needs of a chunk (docs/formats.md, "Chunks")."""

    @property
    def changes(self) -> int:
        """How many entries."""

    @property
    def body(self) -> bytes:
        """The entries, msgpack, one behind the other."""


class Codec(Protocol):
    """How frames of one sub-protocol are read and written."""

    subprotocol: str
    dialect: Dialect

    def decode(self, data: Data) -> Any:
        """What a frame holds.

        Raises:
            RequestError: It is malformed.
        """

    def encode(self, messages: Sequence[Any]) -> Data:
        """A frame of these messages: one alone as itself, several as an array."""

    def entries(self, chunk: Chunk, convert: EntryConverter) -> Any:
        """A chunk's entries, made ready once for all who listen."""

    def begin(self, kind: str, id_: int | str, following: int) -> Any:
        """The beginning of a message of a stream, which so many elements follow."""

    def end(self, values: Sequence[Any], entries: Any) -> Any:
        """Its end: values and, last, entries made ready."""

    def join(self, begin: Any, end: Any) -> Any:
        """The message; it can be among `encode`'s."""


class Spliced:
    """Messages that are msgpack already; they can be among `MsgpackCodec.encode`'s.

    Attributes:
        data: They, one behind the other.
        count: How many.
    """

    __slots__ = ("count", "data")

    def __init__(self, data: bytes, count: int = 1) -> None:
        self.data, self.count = data, count

    def messages(self) -> list[Any]:
        """They as values. O(bytes)."""
        found: list[Any] = msgpack.unpackb(_array(self.count) + self.data)
        return found


class MsgpackCodec:
    """Binary frames."""

    subprotocol = "reifydb.v1.msgpack"
    dialect = RAW

    def decode(self, data: Data) -> Any:
        """See `Codec`."""
        if isinstance(data, str):
            raise RequestError("a text frame", hint="reifydb.v1.msgpack has binary frames")
        try:
            return msgpack.unpackb(data, strict_map_key=False, ext_hook=_refuse_ext)
        except RequestError:
            raise
        except Exception as error:  # whatever an unpacker may raise, it is the frame's fault
            reason = str(error) or type(error).__name__
            raise RequestError(f"not msgpack: {reason}") from None

    def encode(self, messages: Sequence[Any]) -> bytes:
        """See `Codec`."""
        count, spliced = len(messages), False
        for message in messages:
            if type(message) is Spliced:
                count += message.count - 1
                spliced = True
        if count == 1:
            return self._one(messages[0])
        if not spliced:
            packed: bytes = msgpack.packb(messages)
            return packed
        return _array(count) + b"".join(map(self._one, messages))

    @staticmethod
    def _one(message: Any) -> bytes:
        if type(message) is Spliced:
            return message.data
        packed: bytes = msgpack.packb(message)
        return packed

    def entries(self, chunk: Chunk, convert: EntryConverter) -> bytes:
        """See `Codec`: the kernel's bytes as they are."""
        del convert
        return _array(chunk.changes) + chunk.body

    def begin(self, kind: str, id_: int | str, following: int) -> bytes:
        """See `Codec`."""
        packed: bytes = _array(2 + following) + msgpack.packb(kind) + msgpack.packb(id_)
        return packed

    def end(self, values: Sequence[Any], entries: Any) -> bytes:
        """See `Codec`."""
        return b"".join([*map(msgpack.packb, values), entries])

    def join(self, begin: bytes, end: bytes) -> Spliced:
        """See `Codec`."""
        return Spliced(begin + end)


class JsonCodec:
    """Text frames."""

    subprotocol = "reifydb.v1.json"
    dialect = PLAIN

    def decode(self, data: Data) -> Any:
        """See `Codec`."""
        if not isinstance(data, str):
            raise RequestError("a binary frame", hint="reifydb.v1.json has text frames")
        try:
            read = _loads(data)
            if "\\ud" in data or "\\uD" in data:  # halves of a pair are no text, and cannot be sent
                _dumps(read).encode()
            return read
        except RequestError:
            raise
        except UnicodeEncodeError:
            raise RequestError("not JSON: half a surrogate pair") from None
        except (ValueError, RecursionError) as error:
            raise RequestError(f"not JSON: {error}") from None

    def encode(self, messages: Sequence[Any]) -> str:
        """See `Codec`."""
        return _dumps(messages[0] if len(messages) == 1 else messages)

    def entries(self, chunk: Chunk, convert: EntryConverter) -> list[Any]:
        """See `Codec`: transcoded."""
        whole = b"\xdd" + chunk.changes.to_bytes(4, "big") + chunk.body
        return [convert(*entry) for entry in msgpack.unpackb(whole)]

    def begin(self, kind: str, id_: int | str, following: int) -> list[Any]:
        """See `Codec`."""
        del following
        return [kind, id_]

    def end(self, values: Sequence[Any], entries: Any) -> list[Any]:
        """See `Codec`."""
        return [*values, entries]

    def join(self, begin: list[Any], end: list[Any]) -> list[Any]:
        """See `Codec`."""
        return begin + end


CODECS: dict[str, Codec] = {codec.subprotocol: codec for codec in (MsgpackCodec(), JsonCodec())}
"""By sub-protocol; the first is preferred."""

_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _array(count: int) -> bytes:
    """The head of a msgpack array."""
    if count < 16:
        return bytes([0x90 | count])
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")


def _refuse_ext(code: int, data: bytes) -> Any:
    del data
    raise RequestError(f"an extension type ({code}) where a plain value must stand")


def _refuse_constant(text: str) -> Any:
    raise RequestError(f"{text} is no JSON value")


_loads = json.JSONDecoder(parse_constant=_refuse_constant).decode
