//! Rows that come and go, until what comes and goes both has cancelled out.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const plans = @import("plan.zig");
const arenas = @import("arena.zig");
const Buffer = @import("buffer.zig").Buffer;
const Arena = arenas.Arena;
const Row = row_format.Row;
const Table = table_format.Table;
const Error = layout.Error;

pub const Difference = struct {
    plan: *const plans.Plan,
    arena: *Arena,
    table: *Table,
    /// What of the rows is kept, if not all are.
    buffer: ?*Buffer,
    times: i64 = 1,
    rows: arenas.Strings = .{},
    weights: arenas.List(i64) = .{},

    pub fn take(difference: *Difference, rows: []const Row) Error!bool {
        const plan = difference.plan;
        try plan.row.run(rows);
        const order = try plans.orderOf(plan, &order_key);
        if (difference.buffer) |buffer| {
            const len = try plans.viewKeyOf(plan, difference.table, order, &own_key);
            if (buffer.isBehind(difference.table, own_key[0..len])) {
                try plans.checkViewRow(plan, order);
                return true;
            }
        }
        const row = try plans.viewRowOf(plan, order, difference.arena);
        const found = try difference.rows.put(difference.arena, row.bytes());
        if (found.new) try difference.weights.add(difference.arena, 0);
        difference.weights.items[found.number] += difference.times;
        return true;
    }

    /// What goes first, so that a row that changes finds its place free.
    pub fn apply(difference: *Difference) Error!void {
        const table = difference.table;
        for (difference.weights.items, 0..) |weight, i| if (weight < 0) {
            try remove(table, .{ .at = @intFromPtr(difference.rows.get(i).ptr) });
        };
        for (difference.weights.items, 0..) |weight, i| if (weight > 0) {
            const bytes = difference.rows.get(i);
            if (difference.buffer) |buffer| {
                try buffer.trim(difference.plan, table);
                if (buffer.leavesOut(table, .{ .at = @intFromPtr(bytes.ptr) })) continue;
            }
            const at = try heap.allocate(bytes.len);
            @memcpy(@as([*]u8, @ptrFromInt(at)), bytes);
            try transaction.putDerived(table, .{ .at = at });
        };
    }
};

fn remove(table: *Table, row: Row) Error!void {
    const old = table_format.live(table.findRow(row)) orelse return error.NotFound; // it was there, says the plan
    try transaction.removeDerived(table, old);
}

var order_key: key.Buffer = undefined;
var own_key: key.Buffer = undefined;
