"""What `/metrics` shows: the counters of `Metrics`, and what the database says when it is asked.
O(tables + transitions), and one turn of the engine for the tables.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import TYPE_CHECKING

from reifydb.gateway.metrics import Metrics, counter, family, gauge, sample, samples

if TYPE_CHECKING:
    from reifydb.gateway.server import Server


def exposition(server: Server) -> str:
    """Everything, as Prometheus reads it."""
    lines = [*_calls(server.service.metrics), *_serving(server), *_database(server), *_process()]
    return "".join(f"{line}\n" for line in lines)


def _calls(metrics: Metrics) -> Iterator[str]:
    name = "reifydb_calls_total"
    yield from family(
        name,
        "counter",
        "Calls of transitions, by how they ended.",
        [
            sample(name, count, {"transition": transition, "outcome": outcome})
            for (transition, outcome), count in sorted(metrics.calls.items())
        ],
    )
    name = "reifydb_call_seconds"
    yield from family(
        name,
        "histogram",
        "From when a call's batch entered the engine until its outcome was there.",
        [
            line
            for transition, found in sorted(metrics.seconds.items())
            for line in found.lines(name, {"transition": transition})
        ],
    )
    name = "reifydb_batch_calls"
    yield from family(
        name, "histogram", "Calls that ran together.", metrics.batches.lines(name, {})
    )
    name = "reifydb_http_requests_total"
    yield from family(
        name,
        "counter",
        "HTTP requests, by how they were answered.",
        [
            sample(name, count, {"method": method, "route": route, "status": f"{status}"})
            for (method, route, status), count in sorted(metrics.requests.items())
        ],
    )
    name = "reifydb_http_request_seconds"
    yield from family(
        name,
        "histogram",
        "From when an HTTP request's headers were read until its answer was ready.",
        [
            line
            for route, found in sorted(metrics.request_seconds.items())
            for line in found.lines(name, {"route": route})
        ],
    )


def _serving(server: Server) -> Iterator[str]:
    service = server.service
    yield from gauge("reifydb_connections", "WebSocket connections.", len(server.connections))
    yield from gauge("reifydb_subscriptions", "Subscriptions.", service.feeds.count)
    yield from counter(
        "reifydb_subscription_restarts_total",
        "Subscribers that began anew: too slow, or their table changed.",
        service.feeds.restarts,
    )
    yield from counter(
        "reifydb_refused_total", "Requests refused by admission.", service.admission.refused
    )


def _database(server: Server) -> Iterator[str]:
    db = server.db
    lag = db.durability_lag
    yield from gauge("reifydb_incarnation", "How often the database was opened.", db.incarnation)
    yield from counter("reifydb_lsn", "The last commit.", db.lsn)
    yield from counter("reifydb_durable_lsn", "The last commit on disk.", db.durable_lsn)
    yield from gauge("reifydb_durability_lag_commits", "Commits not yet on disk.", lag.commits)
    yield from gauge("reifydb_durability_lag_bytes", "Bytes not yet on disk.", lag.bytes)
    yield from gauge(
        "reifydb_durability_lag_seconds", "Age of the oldest commit not yet on disk.", lag.ms / 1000
    )
    pace = db._log.pace
    for name, about, ages in (
        (
            "reifydb_durable_after_seconds",
            "How long the oldest commit of each flush was visible before it was on disk.",
            pace.lags,
        ),
        ("reifydb_flush_seconds", "How long each flush took.", pace.flushes),
    ):
        yield from family(name, "histogram", about, samples(name, ages, {}))
    control = db._kernel.control
    yield from gauge("reifydb_state_bytes", "Memory that rows take.", control.memory_used)
    yield from gauge("reifydb_state_limit_bytes", "… and may take.", control.memory_limit)
    name = "reifydb_table_bytes"
    yield from family(
        name,
        "gauge",
        "Memory that the rows of each table take, and its indexes, the primary key's among them.",
        [
            sample(name, size, {"table": table, "part": part})
            for table, memory in ((table, db.memory(table)) for table in sorted(db.tables))
            for part, size in (("rows", memory.rows), ("indexes", memory.total - memory.rows))
        ],
    )
    name = "reifydb_table_rows"
    yield from family(
        name,
        "gauge",
        "Rows of each table.",
        [sample(name, db.count(table), {"table": table}) for table in sorted(db.tables)],
    )
    views = [name for name, table in sorted(db.tables.items()) if table.derived]
    upkeep = {name: db.upkeep(name) for name in views}
    name = "reifydb_view_rows_in_total"
    yield from family(
        name,
        "counter",
        "Rows that came into the steps of each view, since it was made or the database was opened.",
        [sample(name, found.rows_in, {"view": view}) for view, found in upkeep.items()],
    )
    name = "reifydb_view_rows_out_total"
    yield from family(
        name,
        "counter",
        "Rows of each view that were inserted, updated or deleted since then.",
        [sample(name, found.rows_out, {"view": view}) for view, found in upkeep.items()],
    )


def _process() -> Iterator[str]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield from counter(
        "process_cpu_seconds_total",
        "CPU time, of the system and of the program.",
        usage.ru_utime + usage.ru_stime,
    )
    resident = resident_bytes()
    if resident is not None:
        yield from gauge("process_resident_memory_bytes", "Memory in use.", resident)


def resident_bytes() -> int | None:
    """Memory that this process has now; None where the system does not say (Linux does)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None
