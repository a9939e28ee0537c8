//! Counters: a row for each key, the key's columns and then the value. A key that has no row counts 0. A bound is a check of
//! the table.

const std = @import("std");
const layout = @import("layout.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const natives = @import("native.zig");
const Row = row_format.Row;
const Table = table_format.Table;
const Error = layout.Error;

/// Key, then how much: the value now.
pub fn add(table: *Table, args: Row, at: u64) Error!usize {
    const amount: i64 = @bitCast(args.slot(natives.argumentsBehindKey(table)).*);
    const found = try natives.find(table, args);
    const before = if (found) |one| valueOf(table, one[0]) else 0;
    const now = std.math.add(i64, before, amount) catch return full(table);
    try write(table, args, found, now);
    return natives.int(at, now);
}

/// Key: the value.
pub fn get(table: *Table, args: Row, at: u64) Error!usize {
    const found = try natives.find(table, args);
    return natives.int(at, if (found) |one| valueOf(table, one[0]) else 0);
}

/// Key, then the value: what it was.
pub fn set(table: *Table, args: Row, at: u64) Error!usize {
    const now: i64 = @bitCast(args.slot(natives.argumentsBehindKey(table)).*);
    const found = try natives.find(table, args);
    const before = if (found) |one| valueOf(table, one[0]) else 0;
    try write(table, args, found, now);
    return natives.int(at, before);
}

/// Key: what the value was; the key is not there any more.
pub fn reset(table: *Table, args: Row, at: u64) Error!usize {
    const found = try natives.find(table, args) orelse return natives.int(at, 0);
    const before = valueOf(table, found[0]);
    try transaction.remove(table, found[0]);
    return natives.int(at, before);
}

inline fn valueOf(table: *const Table, row: Row) i64 {
    return @bitCast(row.slot(table.layout.columns - 1).*);
}

fn write(table: *Table, args: Row, found: ?natives.Found, value: i64) Error!void {
    const column = table.layout.columns - 1;
    if (found) |one| {
        const next = try transaction.copyOf(one[0]);
        next.slot(column).* = @bitCast(value);
        return transaction.replaceWhole(table, one[1], next);
    }
    const row = try natives.compose(table, args, &.{.{ .word = @bitCast(value) }});
    return transaction.insertWhole(table, row);
}

fn full(table: *const Table) Error {
    layout.fault(table.number, table.layout.columns - 1, 0);
    return error.Exhausted;
}
