//! Numbers and memory that the kernel shares with its host: limits, codes, the control block, the buffers.
//!
//! The host finds everything from one address, `control()`: the control block holds where the buffers lie and how long
//! they are. No cell is written by two threads; `running` alone is read by another thread (the watchdog).

const std = @import("std");

pub const MiB = 1 << 20;

// ---------------------------------------------------------------- limits, the same as in reifydb/config.py

pub const key_bytes_max = 1024;
pub const row_bytes_max = 8 * MiB;
pub const columns_max = 256;
pub const tables_max = 4096;
/// Numbers are never used twice.
pub const table_numbers_max = 1 << 20;
pub const transitions_max = 16_384;
pub const bindings_max = 16_384;
pub const operations_max = 16_384;
pub const cursors_max = 64;
pub const undo_entries_max = 1 << 21;
pub const redo_transaction_bytes_max = 64 * MiB;
pub const cause_bytes_max = 1024;
pub const caller_bytes_max = 256;
pub const abort_message_bytes_max = 1024;
pub const log_line_bytes_max = 1024;
pub const result_bytes_max = 8 * MiB;
pub const json_bytes_max = 1 * MiB;
pub const json_nesting_max = 64;
pub const json_number_digits_max = 1000;
pub const indexes_max = 32;
pub const checks_max = 32;
pub const foreign_keys_max = 32;
pub const views_max = 256;
pub const queries_max = 256;
/// Selects that are followed: of one table with a filter alone; the same with values; with the same values in what is
/// compared by `=`; others, which take tables of their own, those beside included.
pub const subscribed_shapes_max = 256;
pub const subscribed_selections_max = 65_536;
pub const subscribed_alike_max = 1000;
pub const subscribed_parameters_bytes_max = 4096;
pub const private_views_max = 2048;
/// Their tables have the last numbers there are.
pub const private_tables_max = 2048;
pub const private_tables_first = table_numbers_max - private_tables_max;
/// Of each of those: rows looked at when it is made or brought up to date, rows that a commit changes, and its rows.
pub const subscribed_view_scanned_max = 1 << 20;
pub const subscribed_view_changes_max = 65_536;
pub const subscribed_view_rows_max = 1 << 20;
/// Rows that a view with a limit skips and shows.
pub const top_rows_max = 100_000;
/// Rows of one query's answer that are kept, and rows that are looked at for it.
pub const query_rows_max = 1 << 20;
pub const query_scanned_max = 1 << 24;
/// Values of one group in an array or a text that an aggregate makes.
pub const aggregate_items_max = 10_000;
pub const program_instructions_max = 65_535;
pub const program_registers_max = 1024;
/// Texts that programs make while they look at one row.
pub const program_text_bytes_max = 16 * MiB;

/// Beyond these marks a batch gives way to the host, so that one more transaction always has room.
pub const redo_mark = 1 * MiB;
pub const output_mark = 1 * MiB;
pub const delta_mark = 1 * MiB;
pub const log_bytes_max = 64 << 10;

/// Changes of one commit, for all who listen together. A larger one makes them read anew.
pub const delta_bytes_max = 16 * MiB;
pub const walks_max = 64;
/// Room that is kept for heads of chunks: one for each table and each walk, for some commits.
pub const delta_heads_bytes = 1 * MiB;

pub const input_bytes_max = 16 * MiB;
pub const staging_bytes_max = 8 * MiB;
/// An outcome is a head and a result; a page of a scan is at least one row.
pub const output_bytes_max = output_mark + row_bytes_max + 4096;
/// What a record holds besides its changes: head, cause, caller.
pub const record_overhead_max = 4096;
pub const redo_bytes_max = redo_mark + redo_transaction_bytes_max + record_overhead_max;

// ---------------------------------------------------------------- codes of host functions (docs/abi.md)

pub const Code = enum(i32) {
    ok = 0,
    aborted = -1,
    not_found = -2,
    duplicate_key = -3,
    not_null = -4,
    invalid_row = -5,
    invalid_number = -6,
    read_only = -7,
    key_too_long = -8,
    row_too_long = -9,
    no_relation = -10,
    limit_reached = -11,
    out_of_memory = -12,
    transaction_too_large = -13,
    exhausted = -14,
    check_failed = -15,
    expression_failed = -16,
    assertion_failed = -17,
    foreign_key_broken = -18,
};

/// Which limit `limit_reached` is about, where more than one could be: `fault_index` says it.
pub const Limit = enum(u32) {
    other = 0,
    answer_rows = 1,
    scanned_rows = 2,
    views = 3,
    /// Selections of the same values; rows of what is kept for those who follow it, and changes of one commit in it.
    alike = 4,
    followed_rows = 5,
    followed_changes = 6,
    /// Rows that are looked at to make a view anew.
    anew_rows = 7,
    /// Values of one group that an aggregate makes an array or a text of.
    aggregate_items = 8,
};

/// Says which limit it was.
pub fn reached(limit: Limit) Error {
    control.fault_index = @backingInt(limit);
    return error.LimitReached;
}

/// The same as Zig errors, for use inside.
pub const Error = error{
    Aborted,
    NotFound,
    DuplicateKey,
    NotNull,
    InvalidRow,
    InvalidNumber,
    ReadOnly,
    KeyTooLong,
    RowTooLong,
    NoRelation,
    LimitReached,
    OutOfMemory,
    TransactionTooLarge,
    Exhausted,
    CheckFailed,
    ExpressionFailed,
    AssertionFailed,
    ForeignKeyBroken,
};

pub fn codeOf(err: Error) i32 {
    const code: Code = switch (err) {
        error.Aborted => .aborted,
        error.NotFound => .not_found,
        error.DuplicateKey => .duplicate_key,
        error.NotNull => .not_null,
        error.InvalidRow => .invalid_row,
        error.InvalidNumber => .invalid_number,
        error.ReadOnly => .read_only,
        error.KeyTooLong => .key_too_long,
        error.RowTooLong => .row_too_long,
        error.NoRelation => .no_relation,
        error.LimitReached => .limit_reached,
        error.OutOfMemory => .out_of_memory,
        error.TransactionTooLarge => .transaction_too_large,
        error.Exhausted => .exhausted,
        error.CheckFailed => .check_failed,
        error.ExpressionFailed => .expression_failed,
        error.AssertionFailed => .assertion_failed,
        error.ForeignKeyBroken => .foreign_key_broken,
    };
    return @backingInt(code);
}

// ---------------------------------------------------------------- the control block

/// Which kernel function runs. A trap that finds anything but `none` struck inside the kernel: a bug of ours.
pub const Operation = enum(u32) { none = 0, read = 1, write = 2, scan = 3, message = 4, commit = 5, rollback = 6 };

pub const none_u32 = 0xffff_ffff;

/// Field by field the same as in reifydb/engine/kernel.py.
pub const Control = extern struct {
    /// Serial of the transition that runs, 0 when none does. The watchdog's only look into the kernel.
    running: u64 = 0,
    transition: u32 = 0,
    operation: Operation = .none,
    args_at: u64 = 0,
    args_len: u64 = 0,
    lsn: u64 = 0,
    time: i64 = 0,
    output_len: u64 = 0,
    redo_len: u64 = 0,
    log_len: u64 = 0,
    log_dropped: u64 = 0,
    /// Where the last refused operation saw what was wrong: table, column (none_u32: not one), row of several.
    fault_table: u32 = none_u32,
    fault_column: u32 = none_u32,
    fault_row: u32 = none_u32,
    /// The secondary index of a duplicate or too long key; 0: the primary key.
    fault_index: u32 = 0,
    caller_len: u32 = 0,
    reserved: u32 = 0,
    calls_done: u64 = 0,
    memory_used: u64 = 0,
    memory_limit: u64 = std.math.maxInt(u64),
    state_hash: [2]u64 = .{ 0, 0 },
    input_at: u64 = 0,
    output_at: u64 = 0,
    redo_at: u64 = 0,
    staging_at: u64 = 0,
    caller_at: u64 = 0,
    log_at: u64 = 0,
    /// How much of the batch in the input has been run.
    consumed: u64 = 0,
    /// Bytes of redo ever written: tells the host how much of the buffer it has handed over already.
    redo_total: u64 = 0,
    delta_at: u64 = 0,
    delta_len: u64 = 0,
    /// Not even a head fitted: whoever listens to anything must read anew.
    delta_lost: u64 = 0,
    /// Of a view, an index or a foreign key that is being made: rows gone through, and how many there are. The host reads
    /// them from another thread.
    progress_rows: u64 = 0,
    progress_of: u64 = 0,
};

pub var control: Control = .{};
pub var input: [input_bytes_max]u8 align(16) = undefined;
pub var output: [output_bytes_max]u8 align(16) = undefined;
pub var redo: [redo_bytes_max]u8 align(16) = undefined;
pub var staging: [staging_bytes_max + 16]u8 align(16) = undefined;
pub var caller: [caller_bytes_max]u8 = undefined;
pub var log: [log_bytes_max]u8 align(8) = undefined;
pub var delta: [delta_mark + delta_bytes_max + delta_heads_bytes]u8 align(16) = undefined;

/// Fills in where the buffers lie. Once, before anything else.
pub fn open() *Control {
    control.input_at = @intFromPtr(&input);
    control.output_at = @intFromPtr(&output);
    control.redo_at = @intFromPtr(&redo);
    control.staging_at = @intFromPtr(&staging);
    control.caller_at = @intFromPtr(&caller);
    control.log_at = @intFromPtr(&log);
    control.delta_at = @intFromPtr(&delta);
    return &control;
}

/// Counts rows that long work goes through, and tells now and then.
pub const Progress = struct {
    rows: u64 = 0,

    pub fn begin(of: u64) Progress {
        control.progress_rows = 0;
        control.progress_of = of;
        return .{};
    }

    pub inline fn step(progress: *Progress) void {
        progress.rows += 1;
        if (progress.rows & 0xfff == 0) control.progress_rows = progress.rows;
    }
};

pub fn fault(table: u32, column: u32, row: u32) void {
    control.fault_table = table;
    control.fault_column = column;
    control.fault_row = row;
    control.fault_index = 0;
}
