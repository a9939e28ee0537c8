"""Work that takes long: in the server's thread, while the event loop serves others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reifydb.gateway.audit import Deed, record
from reifydb.gateway.http.exchange import Exchange

T = TypeVar("T")


async def durably(exchange: Exchange, deed: Deed, function: Callable[[], T]) -> T:
    """Runs a function that changes the database, and waits until its change is durable, if the
    client wants that. Nothing of it is undone when the client is gone. The log says what was done.

    Raises:
        ReifyDBError: As the function does; or the change will not become durable.
    """
    server = exchange.server
    if server.service.draining:
        raise server.draining_error()
    db, durable = server.db, exchange.session.durable

    who, address = exchange.grant.name, exchange.request.remote or ""

    def work() -> T:
        try:
            result = function()
            if durable:
                db.wait_durable()
        except BaseException as error:
            record(deed, who, address, error, db._kernel.lsn_cell.value)
            raise
        record(deed, who, address, None, db._kernel.lsn_cell.value)
        return result

    result = await server.thread.run(work)
    exchange.lsn = db.lsn
    return result
