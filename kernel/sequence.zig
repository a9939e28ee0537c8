//! Sequences: one row, the name and the last value given out. It is there from the first value on.

const std = @import("std");
const layout = @import("layout.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const natives = @import("native.zig");
const Table = table_format.Table;
const Error = layout.Error;

const value_column = 1;

/// Settings: where it starts, and the step. The next value.
pub fn next(table: *Table, settings: []const i64, at: u64) Error!usize {
    const args = table.layout.defaults;
    const found = try natives.find(table, args) orelse {
        const row = try natives.compose(table, args, &.{.{ .word = @bitCast(settings[0]) }});
        try transaction.insertWhole(table, row);
        return natives.int(at, settings[0]);
    };
    const last: i64 = @bitCast(found[0].slot(value_column).*);
    const value = std.math.add(i64, last, settings[1]) catch {
        layout.fault(table.number, value_column, 0);
        return error.Exhausted;
    };
    const row = try transaction.copyOf(found[0]);
    row.slot(value_column).* = @bitCast(value);
    try transaction.replaceWhole(table, found[1], row);
    return natives.int(at, value);
}

/// The last value given out; null before the first.
pub fn current(table: *Table, at: u64) Error!usize {
    const found = try natives.find(table, table.layout.defaults) orelse return natives.nothing(at);
    return natives.int(at, @bitCast(found[0].slot(value_column).*));
}
