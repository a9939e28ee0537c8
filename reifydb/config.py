"""Limits and settings: every queue, buffer, loop and message has its number here, and its reason.

Units stand last. `docs/limits.md` lists them; a test compares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from reifydb.errors import RequestError

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# ---------------------------------------------------------------- fixed: part of formats and kernel

key_bytes_max = 1024
"""Encoded key. Keys are compared on each lookup; PostgreSQL allows 2,700, most need 8."""

row_bytes_max = 8 * MIB
"""One row with its text and bytes. Rows are handled whole."""

columns_max = 256
"""Columns of a table, parameters of a transition, columns of a result."""

json_bytes_max = MIB
"""One JSON value, in canonical form. It is checked and sorted as a whole, at some 100 MB a second,
and nothing can interrupt that."""

json_nesting_max = 64
"""Arrays and objects within each other in a JSON value."""

json_number_digits_max = 1000
"""Digits of a number in JSON that is not whole: none is rounded, so that each is kept."""

tables_max = 4096
"""Tables of a database, the system's included."""

table_numbers_max = 1 << 20
"""Tables ever made in a database: their numbers are never used twice."""

checks_max = 32
"""Check constraints of a table: each write computes all of them."""

foreign_keys_max = 32
"""Foreign keys of a table: each commit compares changed rows with all of them."""

indexes_max = 32
"""Secondary indexes of a table: each write looks at all of them."""

transitions_max = 16_384
"""Transitions of all installed modules together: the kernel's call table has a fixed size."""

bindings_max = 16_384
operations_max = 16_384
ring_capacity_max = 1_000_000
limiter_tokens_max = 1_000_000_000
limiter_period_us_max = 366 * 86_400 * 1_000_000
limiter_missing_max = 1 << 62
histogram_error_ppm_min = 1000
histogram_error_ppm_max = 100_000
"""Relations bound by all installed modules together."""

program_instructions_max = 65_535
"""Instructions of a program (docs/formats.md), which is what expressions of SQL become."""

program_registers_max = 1024
"""Registers of a program: its constants, its parameters, and what it works with."""

program_text_bytes_max = 16 * MIB
"""All texts together that a program makes for one row: they share a region that is used again."""

cursors_max = 64
"""Cursors open at a time in one transaction."""

redo_transaction_bytes_max = 64 * MIB
"""Redo of one transaction: it is one record, and one frame of the log must hold it."""

frame_bytes_max = redo_transaction_bytes_max + MIB
"""Body of one frame of the log. A reader refuses a longer one before it allocates anything."""

delta_bytes_max = 16 * MIB
"""Changes of one commit, encoded for all who listen together. After a larger one they read anew."""

walks_max = 64
"""Snapshots that are read at a time; further ones wait."""

cause_bytes_max = 1024
"""Arguments of a transition as they are logged. Longer ones are left out."""

caller_bytes_max = 256
"""Name of a caller, in UTF-8."""

abort_message_bytes_max = 1024
"""Message of an abort. A longer one is cut at a character's start."""

log_line_bytes_max = 1024
"""One line written by a guest. A longer one is cut."""

name_bytes_max = 63
"""Names of tables, columns, modules, transitions, parameters."""

manifest_bytes_max = 256 * KIB
"""A module's manifest. The bank's is 1 KiB; this holds some 3,000 columns."""

compile_cache_bytes_max = 256 * MIB
"""Compiled code kept on disk. The kernel's is below 2 MiB, a module's ten times its binary."""

frame_messages_max = 10_000
"""Messages in one WebSocket frame. A tick's batch of them takes some 10 ms."""

in_flight_max = 10_000
"""Requests of one WebSocket connection that are not yet answered."""

ws_frame_bytes_max = 4 * MIB
"""One WebSocket frame, in. Rows are up to 8 MiB, but those go over HTTP."""

group_calls_max = 1000
"""Calls of one group: one transaction, which keeps the engine."""

body_bytes_max = 16 * MIB
"""Body of one HTTP request: a row of 8 MiB, in base64, fits."""

bodies_bytes_max = 256 * MIB
"""Bodies of all HTTP requests that are being read or served. More are refused for the moment."""

body_ms_max = 30_000
"""How long the body of an HTTP request may take to arrive."""

header_ms_max = 10_000
"""How long a new connection may take to send its first request's headers: whoever opens thousands
and sends half a line each is not waited for. Apache allows 20 s, nginx 60."""

keepalive_ms_max = 75_000
"""How long a connection that asks for nothing is kept, longer than most proxies keep theirs."""

answer_ms_max = 60_000
"""How long an HTTP request waits for its answer: the disk may have stalled."""

sockets_max = 11_000
"""TCP connections of a server: its WebSockets, and a thousand of HTTP's."""

waiting_requests_max = 100_000
"""Requests of all connections that have arrived and not yet run; a second's work or so."""

waiting_peers_max = 30_000
"""Connections and HTTP requests that wait for an answer, or until what they did is durable: twice
all WebSockets, which may be both, and HTTP's."""

queue_delay_ms_max = 500
"""When requests have waited longer than this for a second, new ones are refused for a while."""

guest_lines_max = 1000
"""Lines of guests that a server keeps for those who ask later."""

guest_readers_max = 16
"""Clients that follow the lines of guests."""

page_bytes_max = 4 * MIB
"""Rows of one page, which ends with the row that reaches it."""

write_ms_max = 30_000
"""How long a client may read nothing of the answer that it is sent over HTTP."""

rate_keys_max = 100_000
"""Tokens, and addresses, whose requests a second are counted. Of more of them the one that has
asked for nothing for longest is forgotten, and begins anew."""

connections_max = 10_000
"""WebSocket connections of a server; some 50 KiB each."""

subscriptions_max = 100
"""Subscriptions of one WebSocket connection."""

outgoing_bytes_max = MIB
"""What one connection has not read yet; beyond it nothing is read from it, or kept ready for it."""

walk_stall_ms_max = 1000
"""How long a subscriber may read nothing of its snapshot while others wait for one of the walks;
then it begins anew when it reads again."""

scan_rows_max = 10_000
"""Rows of one scan over the wire: a client asks for the next ones."""

query_bytes_max = 64 * 1024
"""SQL text of one query over the wire, in UTF-8: the parser takes up to 0.3 s for it, in which
nobody else is served."""

answer_rows_max = 10_000
"""Rows of one query's answer over the wire."""

answer_bytes_max = 4 * MIB
"""The same in bytes of the kernel's rows. It is made on the thread that serves everyone."""

client_waiting_max = 100_000
"""Requests of one client that wait to be sent: for a connection, or for answers to others."""

client_changes_max = 65_536
"""Changes that wait in a client for the reader of a subscription. With more to come the
subscription is left; once they are read, it is taken up again behind them. So whoever reads slowly
gets on, whatever comes at once."""

client_retries_max = 5
"""How often a client asks again for a read that the server refuses for now."""

sql_bytes_max = MIB
"""SQL text of one call, in UTF-8. The parser takes up to 5 s and 300 MB for this much."""

query_rows_max = 1 << 20
"""Rows of one answer, and groups of one query."""

query_scanned_max = 1 << 24
"""Rows that the joins of one query, or of one change of a view, look at before they are given up,
those of the table they begin with apart: an index is missing, mostly. Takes 1 to 3 s."""

queries_kept_max = 256
"""Queries whose plans the kernel keeps, to run again without parsing."""

views_max = 256
"""Views of one database, those beside others included."""

top_rows_max = 100_000
"""Rows that a view with a limit skips and shows, and rows of one part that are numbered."""

top_spare_rows_min = 64
"""Rows that such a view keeps besides, at least: when so many more went than came, all of its input
is gone through again."""

aggregate_items_max = 10_000
"""Values of one group in an array or a text that an aggregate makes. Making one takes up to 5 ms,
each time that its group changes."""

recompute_rows_max = 1 << 20
"""What `max_rows` of a view that is made anew after each change may be. 0.1 s a transaction."""

subscribed_shapes_max = 256
"""Different selects of one table with a filter that are followed at a time, whatever their values:
each costs every commit that changes its table 0.1 µs for each row."""

subscribed_selections_max = 65_536
"""Such selects with their values. Those that differ in a value compared by `=` cost a commit that
does not concern them nothing."""

subscribed_alike_max = 1000
"""Such selects of one text with the same values in what is compared by `=`, or with nothing that
is: a commit looks at each of them."""

subscribed_parameters_bytes_max = 4096
"""Values of one such select, as a row."""

subscribed_views_max = 64
"""Other selects that are followed at a time; each is kept up to date as a view is."""

subscribed_view_parts_max = 32
"""Tables that one of those takes."""

subscribed_view_scanned_max = 1 << 20
"""Rows that are looked at to make one of those, or to bring it up to date. 0.1 s."""

subscribed_view_changes_max = 65_536
"""Rows that one commit changes in one of those."""

subscribed_view_rows_max = 1 << 20
"""Rows of one of those."""

sql_nesting_max = 32
"""Parentheses within parentheses in SQL. People need ten; more only uses up the stack."""

sql_depth_max = 100
"""Expressions within expressions: `a || b || c` counts two, a chain of `and` or `or` one. Reading
one takes about four levels of Python's stack, which has 1,000."""

query_inputs_max = 16
"""Tables and queries in one `from`, with those that its subqueries take."""

parameterised_views_max = 4096
"""Views with parameters, as many as there may be tables."""

expanded_views_max = 64
"""Views with parameters in one query, those in them included: each is read anew, in 1 ms or so."""

expanded_depth_max = 16
"""Views with parameters within each other. A level takes some 16 levels of Python's stack; what was
made with little of it in use must be made again when the database is opened with more."""


# ------------------------------------------------------------------ settings of one open database


def _check(settings: object) -> None:
    """Refuses settings that are not numbers above zero of their kind, before they do harm.

    Raises:
        RequestError: Names the setting and what it must be.
    """
    for field in fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        kinds = str(field.type)
        if value is None and "None" in kinds:
            continue
        fits = (int, float) if "float" in kinds else (int,)
        whole = "number" if float in fits else "whole number"
        right = isinstance(value, fits) and not isinstance(value, bool) and math.isfinite(value)
        least = 0 if field.name in MAY_BE_ZERO else 1 if fits == (int,) else None
        if not right or value >= 1 << 62 or (value <= 0 if least is None else value < least):
            above = "0 or more" if least == 0 else "above 0"
            raise RequestError(f"{field.name} is {value!r}; it must be a finite {whole}, {above}")


MAY_BE_ZERO = frozenset(
    """flush_interval_ms reserve_bytes delta_retention_bytes_max delta_retention_commits_max
    durability_lag_bytes_max durability_lag_ms_max durability_stall_ms_max transaction_ms_max
    engine_wait_ms_max globals_max tables_max imports_max locals_max table_elements_max
    rows_written_max rows_scanned_max""".split()
)
"""Settings for which nothing at all makes sense."""


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of an open database; each has the default that suits most.

    Attributes:
        durability_lag_ms_max: No commit becomes visible while the oldest commit that is not yet
            durable is older than this.
        durability_lag_bytes_max: … or while more than this waits to be written.
        durability_stall_ms_max: Writers wait for the disk at most this long, then are refused.
        flush_interval_ms: The log writer gathers commits for this long, then writes and flushes.
        segment_bytes_max: A segment of the log is sealed when it has grown to this.
        reserve_bytes: Ballast on the disk, freed when the disk is full so that closing works.
        engine_wait_ms_max: How long a thread waits for another one's transaction.
        transaction_ms_max: An interactive transaction that is older is rolled back at its next use.
        deadline_ms: What one transition may take, unless its module was installed with another.
        memory_bytes_max: What the kernel may use for state.
        slice_ms: A batch gives way to the log writer and to Ctrl-C about this often.
        outbox_commits_max: Deltas that wait for one subscriber; beyond it, it gets a new snapshot.
        outbox_bytes_max: … or so many bytes of them.
        delta_retention_commits_max: Deltas kept of each relation for subscribers that come back.
        delta_retention_bytes_max: … or so many bytes of them.
    """

    durability_lag_ms_max: float = 10.0
    durability_lag_bytes_max: int = 64 * MIB
    durability_stall_ms_max: float = 1000.0
    flush_interval_ms: float = 1.0
    segment_bytes_max: int = 64 * MIB
    reserve_bytes: int = 16 * MIB
    engine_wait_ms_max: float = 10_000.0
    transaction_ms_max: float = 10_000.0
    deadline_ms: float = 1000.0
    memory_bytes_max: int = 1024 * GIB
    slice_ms: float = 1.0
    outbox_commits_max: int = 1000
    outbox_bytes_max: int = MIB
    delta_retention_commits_max: int = 1000
    delta_retention_bytes_max: int = MIB

    def __post_init__(self) -> None:
        """Checks each of them.

        Raises:
            RequestError: One is not a number it could be.
        """
        _check(self)


@dataclass(frozen=True, slots=True)
class ModuleLimits:
    """What one module may use.

    Attributes:
        module_bytes_max: The uploaded binary.
        functions_max, function_bytes_max, locals_max, imports_max, exports_max, nesting_max: Shape
            of the binary, checked before it is compiled: compile bombs are small.
        memory_pages_max: Pages of 64 KiB of one instance.
        table_elements_max: Elements of each table.
        globals_max, tables_max: Mutable globals and tables: each is put back after a trap.
        compile_cpu_s_max, compile_bytes_max: Time and address space of the compiling process.
        compile_wall_s_max: When it is given up although it has not used that time.
        artefact_bytes_max: The compiled code.
        deadline_ms: What one transition may take; None: the database's.
        rows_written_max, rows_scanned_max: Of one transaction.
        result_bytes_max: A transition's result.
    """

    module_bytes_max: int = 4 * MIB
    functions_max: int = 5000
    function_bytes_max: int = 128 * KIB
    locals_max: int = 1000
    imports_max: int = 64
    exports_max: int = 256
    nesting_max: int = 256
    memory_pages_max: int = 256
    table_elements_max: int = 10_000
    globals_max: int = 1000
    tables_max: int = 8
    compile_cpu_s_max: int = 5
    compile_bytes_max: int = 2 * GIB
    compile_wall_s_max: float = 60.0
    artefact_bytes_max: int = 128 * MIB
    deadline_ms: float | None = None
    rows_written_max: int = 1_000_000
    rows_scanned_max: int = 10_000_000
    result_bytes_max: int = MIB

    def __post_init__(self) -> None:
        """Checks each of them.

        Raises:
            RequestError: One is not a number it could be.
        """
        _check(self)
