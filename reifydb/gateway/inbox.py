"""Frames at once: from aiohttp's parser to a connection, without a future and a task's step.

aiohttp's parser puts messages into a queue, from which a task takes them; that is a third of what a
call costs that comes alone. Here the queue hands data on as it comes, while the task has nothing
else to do. Pings, the end of a connection and what comes while the task is busy go the usual way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.http_websocket import WebSocketReader, WSMessage

try:
    from aiohttp._websocket.reader import WebSocketDataQueue
except ImportError:  # another version: everything goes the usual way
    WebSocketDataQueue = object  # type: ignore[assignment, misc]

_DATA = frozenset({WSMsgType.BINARY, WSMsgType.TEXT})

_LIMIT_BYTES = 1 << 16
"""What waits in the queue beyond this keeps aiohttp from reading on."""


class Inbox(WebSocketDataQueue):
    """The queue of one connection.

    Attributes:
        open: Data is handed on as it comes. Whoever takes messages out opens it when there are none
            and it waits for one; it closes when one is put in.
        take: What takes data at once. What it raises is kept as `error`, and a message of type
            ERROR put in.
        take_alone: Is asked first when nothing else has come together with it, and takes and
            answers it at once, or does nothing and says so. Raises nothing.
        taken: Called when all that has come together was taken.
        heard: Something has come since this was last set to False.
    """

    open = False
    heard = True
    error: Exception | None = None
    take: Callable[[Any], None]
    take_alone: Callable[[Any], bool]
    taken: Callable[[], None]
    _first: tuple[Any, int] | None = None  # has come, and nothing else so far
    _more = False

    def feed_data(self, data: Any, size: int) -> None:
        """See aiohttp: a message has come."""
        first = self._first
        if first is not None:
            self._first, self._more = None, True
            self._hand_on(*first)
        elif self.open and not self._more and data[0] in _DATA:
            self._first = data, size
            return
        self._hand_on(data, size)

    def end(self) -> None:
        """All that has come together was fed."""
        first = self._first
        if first is not None:
            self._first = None
            if self.take_alone(first[0][1]):
                return
            self._hand_on(*first)
        self._more = False
        self.taken()

    def _hand_on(self, data: Any, size: int) -> None:
        if self.open and data[0] in _DATA:
            try:
                self.take(data[1])
                return
            except Exception as error:
                self.error = error
                data, size = WSMessage(WSMsgType.ERROR, error, None), 0
        self.open = False
        super().feed_data(data, size)


class _Parser:
    """aiohttp's parser, as the connection's protocol sees it."""

    __slots__ = ("_feed", "_inbox", "feed_eof")

    def __init__(self, parser: WebSocketReader, inbox: Inbox) -> None:
        self._feed, self._inbox, self.feed_eof = parser.feed_data, inbox, parser.feed_eof

    def feed_data(self, data: bytes) -> Any:
        """Some bytes have come."""
        inbox = self._inbox
        inbox.heard = True
        found = self._feed(data)
        inbox.end()
        return found


class Socket(web.WebSocketResponse):
    """A WebSocket with such a queue, where aiohttp lets us: all this is private to it.

    Attributes:
        inbox: The queue; None: everything goes the usual way.
    """

    inbox: Inbox | None = None

    def _post_start(self, request: Any, *rest: Any) -> None:
        early = request.protocol._message_tail  # came with the handshake: the parser has it now
        super()._post_start(request, *rest)
        if early:
            return
        with contextlib.suppress(AttributeError, TypeError):
            self._use_inbox(request)

    def _use_inbox(self, request: web.BaseRequest) -> None:
        protocol: Any = request.protocol
        protocol._payload_parser  # noqa: B018  # where there is none, nothing is changed
        inbox = Inbox(protocol, _LIMIT_BYTES, loop=asyncio.get_running_loop())
        parser = WebSocketReader(inbox, self._max_msg_size, compress=False, decode_text=True)
        # Instead of the one that has just been set.
        protocol._payload_parser = _Parser(parser, inbox)
        self._reader, self._parser, self.inbox = inbox, parser, inbox
