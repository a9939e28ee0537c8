"""Results: a table for people, JSON files for later."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.measure import Result

RESULTS = Path(__file__).resolve().parent / "results"


def save(what: str, machine: Result, found: Result, folder: Path = RESULTS) -> Path:
    """Writes `<date>-<what>.json`; an older one of the same day is replaced."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{date.today().isoformat()}-{what}.json"
    text = json.dumps({"what": what, "machine": machine, "found": found}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def show(console: Console, machine: Result, results: dict[str, Result]) -> None:
    """Prints everything."""
    flush = machine["flush_us"]["4 KiB"]
    console.print(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB,"
        f" {machine['system']}\nPython {machine['python']}, wasmtime {machine['wasmtime']},"
        f" sqlite {machine['sqlite']}, source {machine['source']}\n"
        f"flush of 4 KiB: p50 {flush['p50']:,} µs, p99 {flush['p99']:,} µs;"
        f" load average {machine['load_before'][0]} before, {machine['load_after'][0]} after",
        highlight=False,
    )
    for what, found in results.items():
        _SHOW[what](console, found)


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0)
    )
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=True)
    return table


def _show_transfers(console: Console, found: Result) -> None:
    for alpha in (name for name in found if name.startswith("alpha")):
        table = _table(
            f"\nTransfers, {alpha}, {found['accounts']:,} accounts",
            *(
                "",
                "per s",
                "ratio",
                "median\nratio",
                "log/\nmemory",
                "CPU\nµs",
                "p50\nµs",
                "p99\nµs",
            ),
        )
        for row in found[alpha]["contenders"]:
            of_memory = row.get("of_memory")
            table.add_row(
                row["name"],
                f"{row['per_s']:,}",
                f"{row['ratio']:.2f}",
                f"{row['ratio_median']:.2f}",
                "" if of_memory is None else f"{of_memory:.0%}",
                _short(row["cpu_us_per_transfer"]),
                _short(row["latency_us"]["p50"]),
                _short(row["latency_us"]["p99"]),
            )
        console.print(table)
    console.print(
        f"per s: best turn; ratio: to {found['baseline']}, of best turns and of rounds;"
        "\nCPU: of a transfer, all threads; p50, p99: of a call or a batch;"
        "\nread: and all results decoded; the money was all there",
        style="dim",
        highlight=False,
    )


def _show_lag(console: Console, found: Result) -> None:
    table = _table(
        "\nDurability lag in ms",
        *("load", "per s", "durable\np50", "\np99", "waited\np50", "\np99", "oldest\np50"),
        *("\np99", "limit\np99"),
    )
    for load, row in found.items():
        shown = [
            f"{row[kind][of]:,.1f}"
            for kind in ("durable_ms", "waited_ms", "oldest_ms")
            for of in ("p50", "p99")
        ]
        table.add_row(load, f"{row['per_s']:,}", *shown, f"{row['limit_ms']:,.1f}")
    console.print(table)


def _short(value: float) -> str:
    """Three figures and more."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def _show_recovery(console: Console, found: Result) -> None:
    table = _table("\nRecovery", "", "")
    table.add_row("transfers logged", f"{found['transfers']:,}")
    table.add_row("bytes of log per commit", f"{found['log_bytes_per_commit']:,}")
    table.add_row("opening, seconds, best", f"{min(found['opening_s']):.2f}")
    table.add_row("transfers per s", f"{found['transfers_per_s']:,}")
    console.print(table)


def _show_memory(console: Console, found: Result) -> None:
    table = _table(
        f"\nBytes per row, {found['rows']:,} rows", "order of keys", "kernel", "process", "sqlite3"
    )
    for order in (name for name in found if name != "rows"):
        row = found[order]
        names = ("kernel_bytes_per_row", "process_bytes_per_row", "sqlite_bytes_per_row")
        table.add_row(order, *(f"{row[name]:.1f}" for name in names))
    console.print(table)


def _show_growth(console: Console, found: Result) -> None:
    table = _table(
        "\nGrowth, µs a transfer, best turn",
        *("accounts", f"call_packed {found['batch']:,}", "call", "bytes per row"),
    )
    for size in found["sizes"]:
        table.add_row(
            f"{size['accounts']:,}",
            _short(size["packed_us"]),
            _short(size["call_us"]),
            f"{size['kernel_bytes_per_row']:.1f}",
        )
    table.add_row(
        "last : first", f"{found['packed_us_growth']:.2f}", f"{found['call_us_growth']:.2f}", ""
    )
    console.print(table)


def _show_start(console: Console, found: Result) -> None:
    table = _table(
        f"\nStart, seconds, best run, {found['accounts']:,} accounts",
        *("compile cache", "import", "open", "first call", "together", "whole process"),
    )
    for kind in ("warm", "empty cache"):
        best = found[kind]["best"]
        names = ("import_s", "open_s", "first_call_s", "in_process_s", "process_s")
        table.add_row(kind.removesuffix(" cache"), *(f"{best[name]:.3f}" for name in names))
    console.print(table)


def _show_fresh(console: Console, found: Result) -> None:
    table = _table("\nA fresh database for a test, ms over an empty test", "", "")
    table.add_row("tests", f"{found['tests']:,}")
    table.add_row("best run", _short(found["ms_best"]))
    table.add_row("median", _short(found["ms_median"]))
    table.add_row("processor time, median", _short(found["cpu_ms_median"]))
    table.add_row("the first test", _short(found["first_ms_median"]))
    console.print(table)


def _show_served(console: Console, found: Result) -> None:
    for peer in found["skipped"]:
        console.print(f"skipped: {peer} is not there (--install-peers)", style="bold red")
    columns = ("", "mode", "per s", "of\nRedis", "of\nPG", "CPU", "gen.\nCPU")
    for alpha in (name for name in found if name.startswith("alpha")):
        table = _table(
            f"\nTransfers over the network, {alpha}, {found['accounts']:,} accounts",
            *(*columns, "p50\nms", "p99\nms", "lag\np99", "own\np99", "flush\np99"),
        )
        for row in found[alpha]["contenders"]:
            lag = row.get("lag_p99_ms")
            own, flush = row.get("server_lag_p99_ms"), row.get("server_flush_p99_ms")
            table.add_row(
                row["name"],
                f"{row['mode']} {row['connections']}×{row['under_way']}",
                f"{row['per_s']:,}",
                *("" if of not in row else _short(row[of]) for of in ("to_redis", "to_postgres")),
                *(_short(row[of]) for of in ("server_cpu_us", "generator_cpu_us")),
                *(_short(row["latency_ms"][of]) for of in ("p50", "p99")),
                *("" if value is None else _short(value) for value in (lag, own, flush)),
            )
        console.print(table)
    console.print(
        "mode: connections × calls under way on each; per s: best turn; of Redis: everysec, the"
        "\nsame mode; of PG: PostgreSQL, synchronous_commit off, mode B; CPU: µs of a transfer, the"
        "\nserver's and the generator's; lag: ms, as a client sees it, own: as"
        " the server counts it, flush: how long its flushes took; the money was all there",
        style="dim",
        highlight=False,
    )


def _show_connections(console: Console, found: Result) -> None:
    table = _table("\nConnections, CPU of the server in µs", "", "", "to an echo")
    for name in (name for name in found if name.startswith("calls")):
        row, count = found[name], name.rpartition(" ")[2]
        for kind in ("echo", "memory", "committed", "durable"):
            what = kind if kind == "echo" else f"call, {kind}"
            shown = f"{row[f'{kind}_ratio']:.2f}"
            table.add_row(f"{what}, {count} connections", _short(row[f"{kind}_us"]), shown)
    for name in (name for name in found if name.startswith("deliveries")):
        row = found[name]
        what = f"delivery to one of {row['subscribers']}, {row['commits_at_once']} commits a tick"
        table.add_row(what, _short(row["delivery_us"]), "")
    console.print(table)
    idle = found["idle"]
    console.print(f"{idle['connections']:,} idle connections: {idle['kib_each']} KiB each")


def _show_http(console: Console, found: Result) -> None:
    loop = "uvloop" if found["uvloop"] else "asyncio"
    loads = found["load_average"]
    for connections, contenders in found["connections"].items():
        table = _table(
            f"\nHTTP calls, {connections} connections, {loop},"
            f" load average {min(loads)} to {max(loads)}",
            *("", "CPU µs", "ratio", "per s", "CPU µs of the load"),
        )
        for name, row in contenders.items():
            table.add_row(
                name,
                _short(row["cpu_us"]),
                f"{row['ratio']:.2f}",
                f"{row['per_s']:,}",
                _short(row["load_cpu_us"]),
            )
        console.print(table)


def _show_feeds(console: Console, found: Result) -> None:
    table = _table("selects that are followed: one commit", "", "µs")
    for name, value in found["us_per_commit"].items():
        table.add_row(name, f"{value:.2f}")
    console.print(table)
    console.print(
        f"one of 10,000 concerned is {found['ratio']} times one of one; "
        f"beginning to follow: {found['us_to_begin_following']:.0f} µs"
    )


def _show_views(console: Console, found: Result) -> None:
    title = f"\nViews, µs that one costs a transaction of one row, {found['accounts']:,} accounts"
    table = _table(title, "", "µs", "SQLite", "ratio", "shortest", "ratio", "made in s")
    for name, row in found.items():
        if name != "accounts":
            wanted = ("us", "sqlite_us", "ratio", "shortest_us", "shortest_ratio", "made_s")
            table.add_row(name, *("" if key not in row else _short(row[key]) for key in wanted))
    console.print(table)


def _show_primitives(console: Console, found: Result) -> None:
    table = _table("\nPrimitives, µs an operation with its commit", "", "best", "median")
    for name, row in found.items():
        if isinstance(row, dict):
            table.add_row(name, f"{row['us_best']:.2f}", f"{row['us_median']:.2f}")
    console.print(table)
    taken = found["bytes of a counter's key"]
    console.print(f"a key of a counter takes {taken:.0f} bytes, the key itself included")


_SHOW = {
    "primitives": _show_primitives,
    "views": _show_views,
    "feeds": _show_feeds,
    "served": _show_served,
    "connections": _show_connections,
    "transfers": _show_transfers,
    "lag": _show_lag,
    "recovery": _show_recovery,
    "memory": _show_memory,
    "growth": _show_growth,
    "start": _show_start,
    "fresh": _show_fresh,
    "http": _show_http,
}
