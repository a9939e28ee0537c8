"""A database behind a server, over HTTP (docs/http.md).

One request at a time is all that a command needs, and HTTP without a library is there at once; only
`watch` is for the WebSocket, and takes the client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import click

from reifydb.cli.target import Answer, Args, Row
from reifydb.config import scan_rows_max
from reifydb.errors import ConnectionLostError, NotFoundError, UnavailableError
from reifydb.wire.problems import error_of

TIMEOUT_S = 60.0
"""How long a server may keep us waiting for its next bytes. Building an index takes a while."""

JSON_TYPE = "application/json"


class Remote:
    """See `Target`; `follow` besides."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise click.UsageError(f"{url!r} is no server's URL, such as http://127.0.0.1:7433.")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._url, self._base = url, parts.path.rstrip("/")
        self._connection = kind(parts.hostname, port, timeout=TIMEOUT_S)
        self._headers = {"Accept": JSON_TYPE}
        self._changes = False
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    # ------------------------------------------------------------------ as a target

    def schema(self) -> dict[str, Any]:
        """See `Target`."""
        found: dict[str, Any] = self._ask("GET", "/v1/schema")
        return found

    def tables(self) -> list[dict[str, Any]]:
        """See `Target`."""
        found: list[dict[str, Any]] = self._ask("GET", "/v1/tables")["tables"]
        return found

    def call(self, transition: str, args: Args) -> Answer:
        """See `Target`."""
        return Answer(**self._ask("POST", f"/v1/call/{_escaped(transition)}", args))

    def get(self, table: str, key: Sequence[Any]) -> Row | None:
        """See `Target`."""
        segments = "/".join(_escaped(_word(part)) for part in key)
        try:
            row: Row = self._ask("GET", f"/v1/tables/{_escaped(table)}/{segments}")
        except NotFoundError:
            return None
        return row

    def scan(self, table: str, options: Mapping[str, Any], limit: int | None) -> Iterator[Row]:
        """See `Target`. A page at a time; each page is of one moment."""
        query: dict[str, str] = {}
        for name, value in options.items():
            if isinstance(value, bool):
                query[name] = str(int(value))
            else:
                query[name] = value if name == "index" else json.dumps(value)
        while limit is None or limit > 0:
            query["limit"] = str(scan_rows_max if limit is None else min(limit, scan_rows_max))
            page = self._ask("GET", f"/v1/tables/{_escaped(table)}?{urlencode(query)}")
            yield from page["rows"]
            if page["next"] is None:
                return
            query["cursor"] = page["next"]
            if limit is not None:
                limit -= len(page["rows"])

    def query(self, sql: str, params: Any) -> dict[str, Any]:
        """See `Target`."""
        found: dict[str, Any] = self._ask("POST", "/v1/query", {"sql": sql, "params": params})
        return found

    def execute(self, sql: str) -> None:
        """See `Target`."""
        self._ask("POST", "/v1/schema", {"sql": sql})

    def plan_schema(self, sql: str) -> dict[str, Any]:
        """See `Target`."""
        found: dict[str, Any] = self._ask("POST", "/v1/schema?dry_run=1", {"sql": sql})
        return found

    def install(self, wasm: bytes, name: str, *, apply_schema: bool) -> dict[str, Any]:
        """See `Target`."""
        return self._put_module(wasm, name, apply_schema=apply_schema)

    def plan(self, wasm: bytes, name: str, *, apply_schema: bool) -> dict[str, Any]:
        """See `Target`."""
        return self._put_module(wasm, name, apply_schema=apply_schema, dry_run=True)

    def modules(self) -> list[dict[str, Any]]:
        """See `Target`."""
        found: list[dict[str, Any]] = self._ask("GET", "/v1/modules")["modules"]
        return found

    def remove(self, module: str) -> None:
        """See `Target`."""
        self._ask("DELETE", f"/v1/modules/{_escaped(module)}")

    def tokens(self) -> list[dict[str, Any]]:
        """See `Target`."""
        found: list[dict[str, Any]] = self._ask("GET", "/v1/tokens")["tokens"]
        return found

    def make_token(
        self, name: str, capabilities: Sequence[str], days: float | None
    ) -> dict[str, Any]:
        """See `Target`."""
        given = {"name": name, "capabilities": list(capabilities), "days": days}
        found: dict[str, Any] = self._ask("POST", "/v1/tokens", given)
        return found

    def revoke_token(self, name: str) -> None:
        """See `Target`."""
        self._ask("DELETE", f"/v1/tokens/{_escaped(name)}")

    def _put_module(self, wasm: bytes, name: str, **flags: bool) -> dict[str, Any]:
        query = urlencode({flag: int(value) for flag, value in flags.items()})
        found: dict[str, Any] = self._ask(
            "PUT", f"/v1/modules/{_escaped(name)}?{query}", wasm, content_type="application/wasm"
        )
        return found

    # ------------------------------------------------------------------ lines of guests

    def logs(self, level: str) -> list[dict[str, Any]]:
        """The lines that transitions have logged and the server has kept."""
        found: list[dict[str, Any]] = self._ask("GET", f"/v1/logs?{urlencode({'level': level})}")[
            "lines"
        ]
        return found

    def follow(self, level: str) -> Iterator[dict[str, Any]]:
        """The same, and then each line as it is logged, until the server ends."""
        self._connection.timeout = None
        path = f"/v1/logs?{urlencode({'level': level, 'follow': 1})}"
        response = self._send("GET", path, None, JSON_TYPE)
        while line := self._read(response.readline):
            yield json.loads(line)

    # ------------------------------------------------------------------ HTTP

    def _ask(
        self, method: str, path: str, body: Any = None, *, content_type: str = JSON_TYPE
    ) -> Any:
        """What the server answers.

        Raises:
            ReifyDBError: What its problem says.
            UnavailableError: It cannot be reached, or the connection broke.
        """
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        response = self._send(method, path, sent, content_type)
        body = self._read(response.read)
        return None if response.status == HTTPStatus.NO_CONTENT else _json(body)

    def _send(self, method: str, path: str, body: bytes | None, content_type: str) -> HTTPResponse:
        headers = self._headers | ({} if body is None else {"Content-Type": content_type})
        self._changes = method != "GET" and path != "/v1/query"
        try:
            if self._connection.sock is None:
                self._connection.connect()
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from None
        try:
            self._connection.request(method, self._base + path, body, headers)
            response = self._connection.getresponse()
        except (OSError, HTTPException) as error:
            raise self._lost(error) from None
        if response.status >= 400:
            raise error_of(_problem(response.status, self._read(response.read)))
        return response

    def _read(self, read: Any) -> bytes:
        try:
            found: bytes = read()
        except (OSError, HTTPException) as error:
            raise self._lost(error) from None
        return found

    def _unreachable(self, error: Exception) -> UnavailableError:
        hint = "is it running? reifydb serve" if isinstance(error, ConnectionRefusedError) else ""
        return UnavailableError(f"{self._url} cannot be reached: {_why(error)}", hint=hint)

    def _lost(self, error: Exception) -> UnavailableError | ConnectionLostError:
        """After a request was sent: one that changes something may have done so."""
        self._connection.close()
        message = f"the connection to {self._url} was lost: {_why(error)}"
        if self._changes:
            return ConnectionLostError(
                message, hint="it may have run, or not: look before you retry"
            )
        return UnavailableError(message)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _escaped(segment: str) -> str:
    return quote(segment, safe="")


def _word(value: Any) -> str:
    """A `PLAIN` value in a path: the server reads it by its column's type (wire/words.py)."""
    return value if isinstance(value, str) else json.dumps(value)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise UnavailableError("what answers there is no ReifyDB server: it is not JSON") from None


def _problem(status: int, body: bytes) -> dict[str, Any]:
    """The problem in a body; one made of the status when something else than a server answered."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if isinstance(found, dict) and "code" in found:
        return found
    return {"status": status, "detail": f"status {status}, and no problem of a ReifyDB server's"}
