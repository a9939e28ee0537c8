"""The two forms that bodies have, JSON and msgpack: chosen by Content-Type and Accept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgpack

from reifydb.errors import RequestError
from reifydb.wire.codecs import Chunk, Codec, Data, EntryConverter, JsonCodec, MsgpackCodec
from reifydb.wire.dialects import Dialect

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class WithHeaders(Protocol):
    """What says which forms a client sends and wants."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Of any case."""


class _Unencoded:
    """A codec of messages that stay what they are: an answer goes into a body, not into a frame."""

    def __init__(self, codec: Codec) -> None:
        self.subprotocol, self.dialect = "http", codec.dialect

    def decode(self, data: Data) -> Any:
        """See `Codec`."""
        return data

    def encode(self, messages: Sequence[Any]) -> Any:
        """See `Codec`."""
        return messages

    def entries(self, chunk: Chunk, convert: EntryConverter) -> Any:
        """See `Codec`; HTTP has no subscriptions."""
        del chunk, convert
        raise AssertionError("HTTP has no subscriptions")

    def begin(self, kind: str, id_: int | str, following: int) -> Any:
        """See `Codec`; HTTP has no subscriptions."""
        del kind, id_, following
        raise AssertionError("HTTP has no subscriptions")

    def end(self, values: Sequence[Any], entries: Any) -> Any:
        """See `Codec`; HTTP has no subscriptions."""
        del values, entries
        raise AssertionError("HTTP has no subscriptions")

    def join(self, begin: Any, end: Any) -> Any:
        """See `Codec`; HTTP has no subscriptions."""
        del begin, end
        raise AssertionError("HTTP has no subscriptions")


class Form:
    """How bodies are read and written.

    Attributes:
        content_type: What an answer says that it is; `problem_type` when it is a problem.
        codec: For the session of an exchange: of this form's dialect.
    """

    def __init__(self, content_type: str, problem_type: str, codec: Codec) -> None:
        self.content_type, self.problem_type = content_type, problem_type
        self.codec: Codec = _Unencoded(codec)
        self.dialect: Dialect = codec.dialect
        self._codec = codec

    def read(self, body: bytes) -> Any:
        """What a body holds.

        Raises:
            RequestError: It is malformed.
        """
        if self is MSGPACK:
            return self._codec.decode(body)
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise RequestError(f"not JSON in UTF-8: {error}") from None
        return self._codec.decode(text)

    def write(self, value: Any) -> bytes:
        """A body."""
        if self is MSGPACK:
            packed: bytes = msgpack.packb(value)
            return packed
        return _encode(value).encode()

    def write_outcome(self, value: Any, lsn: int, incarnation: int) -> bytes:
        """What a call is answered with."""
        if self is MSGPACK:
            return self.write({"value": value, "lsn": lsn, "incarnation": incarnation})
        shown = str(value) if type(value) is int else "null" if value is None else _encode(value)
        return f'{{"value":{shown},"lsn":{lsn},"incarnation":{incarnation}}}'.encode()

    def write_problem(self, problem: dict[str, Any]) -> bytes:
        """A body that is a problem. It quotes what the client sent, which may be anything."""
        if self is MSGPACK:
            packed: bytes = msgpack.packb(problem, unicode_errors="surrogatepass")
            return packed
        return json.dumps(problem).encode()


JSON = Form("application/json", "application/problem+json", JsonCodec())
MSGPACK = Form("application/msgpack", "application/problem+msgpack", MsgpackCodec())

_MSGPACK_TYPES = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")


def form_of_body(request: WithHeaders) -> Form:
    """The form of what a client sends: msgpack if it says so, JSON whatever else it says, for
    `curl -d` and many others do not say it.
    """
    content_type = request.headers.get("Content-Type")
    if content_type is None or content_type == "application/json":
        return JSON
    return MSGPACK if content_type.partition(";")[0].strip().lower() in _MSGPACK_TYPES else JSON


def form_of_answer(request: WithHeaders) -> Form:
    """The form that a client wants to have: what it accepts first, else what it sends itself."""
    accepted = request.headers.get("Accept")
    if accepted is None or accepted == "*/*":
        return form_of_body(request)
    for one in accepted.lower().split(","):
        kind = one.partition(";")[0].strip()
        if kind in _MSGPACK_TYPES or kind == "application/problem+msgpack":
            return MSGPACK
        if kind in ("application/json", "application/problem+json", "application/*"):
            return JSON
        if kind == "*/*":
            return form_of_body(request)
    return JSON
