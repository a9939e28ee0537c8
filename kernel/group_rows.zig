//! The rows of a view of groups: what is known of a group is read from its row, changed, and written back.

const std = @import("std");
const layout = @import("layout.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const trees = @import("tree.zig");
const transaction = @import("transaction.zig");
const plans = @import("plan.zig");
const groups = @import("groups.zig");
const exact = @import("exact_sum.zig");
const programs = @import("program.zig");
const scratch = @import("scratch.zig");
const heap = @import("heap.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Row = row_format.Row;
const Table = table_format.Table;
const Type = row_format.Type;
const Plan = plans.Plan;
const Cell = programs.Cell;
const Aggregate = plans.Aggregate;
const Error = layout.Error;

/// A view that is being filled, whose rows nobody has seen and nothing undoes; or one that changes.
pub const Mode = enum { loading, changing };

const Group = struct {
    cells: []Cell,
    accumulators: []groups.Accumulator,
    rows: i64,
    /// Its row in the view as it was, and where that hangs as long as nothing else is hung in or taken out.
    old: ?Row,
    slot: ?*u64 = null,
};

var own_key: key.Buffer = undefined;
var path: trees.Path = undefined;

pub const Sink = struct {
    table: *Table,
    plan: *const Plan,
    arena: *Arena,
    mode: Mode,
    times: i64 = 1,
    keys: arenas.Strings = .{},
    list: arenas.List(Group) = .{},

    pub fn init(table: *Table, plan: *const Plan, arena: *Arena, mode: Mode) Sink {
        return .{ .table = table, .plan = plan, .arena = arena, .mode = mode };
    }

    /// The one group of a view that has it whatever there is.
    pub fn addGlobal(sink: *Sink) Error!void {
        _ = try sink.keys.put(sink.arena, "");
        try sink.list.add(sink.arena, try sink.load(""));
    }

    pub fn take(sink: *Sink, rows: []const Row) Error!bool {
        const plan = sink.plan;
        try plan.row.run(rows);
        const bytes = try groups.encodeGroups(plan, sink.table.key_nullable, &own_key);
        const found = try sink.keys.put(sink.arena, bytes);
        if (found.new) try sink.list.add(sink.arena, try sink.load(sink.keys.get(found.number)));
        const group = &sink.list.items[found.number];
        group.rows += sink.times;
        for (plan.aggregates, group.accumulators) |*aggregate, *accumulator| {
            const value = groups.argument(plan, aggregate) orelse continue;
            if (aggregate.values) |values| {
                const change = try sink.changeValue(values, group, aggregate, value);
                if (aggregate.distinct) {
                    if (change != 0) accumulator.add(aggregate, value, change);
                } else accumulator.count += sink.times;
            } else accumulator.add(aggregate, value, sink.times);
        }
        return true;
    }

    /// Writes all groups that were touched.
    pub fn finish(sink: *Sink) Error!void {
        for (sink.list.items) |*group| {
            if (group.rows == 0 and !sink.plan.global) {
                if (group.old) |old| try transaction.removeDerived(sink.table, old);
                continue;
            }
            const at = scratch.mark();
            defer scratch.release(at);
            const row = try sink.rowOf(group);
            if (sink.mode == .loading) {
                try transaction.loadDerived(sink.table, row);
            } else if (group.old) |old| {
                try transaction.replaceDerived(sink.table, old, row, if (sink.list.items.len == 1) group.slot else null);
            } else try transaction.putDerived(sink.table, row);
        }
    }

    // ------------------------------------------------------------ a group's row

    /// What the view knows of the group of the row at hand.
    fn load(sink: *Sink, bytes: []const u8) Error!Group {
        const plan = sink.plan;
        const accumulators = try sink.arena.slice(groups.Accumulator, plan.aggregates.len);
        for (accumulators, plan.aggregates) |*one, *aggregate| one.* = try groups.Accumulator.init(sink.arena, aggregate);
        var group: Group = .{
            .cells = try groups.groupCells(plan, sink.arena),
            .accumulators = accumulators,
            .rows = 0,
            .old = null,
        };
        if (sink.mode == .loading) return group;
        group.slot = sink.slotAt(bytes);
        const old = table_format.live(group.slot) orelse return group;
        group.old = old;
        var at = plan.final.?.outputs();
        group.rows = @bitCast(old.slot(at).*);
        at += 1;
        for (accumulators, plan.aggregates) |*one, aggregate| {
            one.count = @bitCast(old.slot(at).*);
            switch (states(aggregate.function)) {
                .sum => {
                    const high: i128 = @as(i64, @bitCast(old.slot(at + 2).*));
                    one.sum = high << 64 | old.slot(at + 1).*;
                    at += 3;
                },
                .floats => {
                    one.floats.?.* = exact.Sum.read(old.tail(at + 1));
                    at += 2;
                },
                .count => at += 1,
            }
        }
        return group;
    }

    fn slotAt(sink: *Sink, bytes: []const u8) ?*u64 {
        if (sink.plan.groups > 0) return sink.table.tree.find(&own_key, bytes.len);
        var it = trees.Iterator(false){ .path = &path };
        return sink.table.findRow(it.first(&sink.table.tree) orelse return null);
    }

    fn rowOf(sink: *Sink, group: *const Group) Error!Row {
        const plan = sink.plan;
        const results = try sink.arena.slice(Cell, plan.aggregates.len);
        for (results, plan.aggregates, group.accumulators) |*result, *aggregate, *accumulator| {
            result.* = if (aggregate.values != null and !aggregate.distinct)
                try extreme(aggregate, group)
            else if (aggregate.function == .count_rows and aggregate.filter == layout.none_u32)
                .ofInt(group.rows)
            else
                try accumulator.result(aggregate);
        }
        const final = plan.final.?;
        try final.run(&.{try groups.groupRow(plan, sink.arena, group.cells, results)});
        return plans.heapRow(final, final.outputs(), try sink.stateOf(group));
    }

    /// What must be remembered of a group, as columns behind those that are shown.
    fn stateOf(sink: *Sink, group: *const Group) Error![]const plans.Value {
        const made = try sink.arena.slice(plans.Value, 1 + 3 * group.accumulators.len);
        made[0] = word(group.rows);
        var count: usize = 1;
        for (group.accumulators, sink.plan.aggregates) |*one, aggregate| {
            made[count] = word(one.count);
            count += 1;
            switch (states(aggregate.function)) {
                .sum => {
                    made[count] = word(@bitCast(@as(u64, @truncate(@as(u128, @bitCast(one.sum))))));
                    made[count + 1] = word(@intCast(one.sum >> 64));
                    count += 2;
                },
                .floats => {
                    var buffer: [exact.bytes_max]u8 = undefined;
                    const bytes = try sink.arena.copy(one.floats.?.write(&buffer));
                    made[count] = .{ .kind = .bytes, .cell = .ofTail(bytes) };
                    count += 1;
                },
                .count => {},
            }
        }
        return made[0..count];
    }

    // ------------------------------------------------------------ values that a group has, and how often

    /// One more of a value in a group, or one less. 1: it is there now; −1: it is not any more; 0: there are others.
    fn changeValue(sink: *Sink, values: *Table, group: *const Group, aggregate: *const Aggregate, value: Cell) Error!i64 {
        var len = try prefix(values, group);
        const flags = values.key_nullable;
        const nullable = if (flags) |all| all[group.cells.len] else false;
        len = key.encodeCell(aggregate.kind, value, nullable, len, &own_key) catch return error.KeyTooLong;
        const old = table_format.live(values.tree.find(&own_key, len));
        const column = group.cells.len + 1;
        const before: i64 = if (old) |row| @bitCast(row.slot(column).*) else 0;
        const now = before + sink.times;
        if (now == 0) {
            try transaction.removeDerived(values, old.?);
            return -1;
        }
        if (sink.mode == .loading) if (old) |there| {
            there.slot(column).* = @bitCast(now);
            return 0;
        };
        const row = try sink.valueRow(values, group, aggregate.kind, value, now);
        if (sink.mode == .loading) {
            try transaction.loadDerived(values, row);
        } else if (old) |there| try transaction.replaceDerived(values, there, row, null) else try transaction.putDerived(values, row);
        return if (before == 0) 1 else 0;
    }

    fn valueRow(sink: *Sink, values: *Table, group: *const Group, kind: Type, value: Cell, times: i64) Error!Row {
        const given = try sink.arena.slice(plans.Value, group.cells.len + 2);
        for (given[0..group.cells.len], group.cells, values.layout.types[0..group.cells.len]) |*one, cell, type_| one.* = .{ .kind = type_, .cell = cell };
        given[group.cells.len] = .{ .kind = kind, .cell = value };
        given[group.cells.len + 1] = word(times);
        return plans.heapRowOf(given);
    }

    fn prefix(values: *const Table, group: *const Group) Error!usize {
        var at: usize = 0;
        for (group.cells, 0..) |cell, i| {
            const nullable = if (values.key_nullable) |flags| flags[i] else false;
            at = key.encodeCell(values.key_types[i], cell, nullable, at, &own_key) catch return error.KeyTooLong;
        }
        return at;
    }

    /// The least or the greatest value that a group has.
    fn extreme(aggregate: *const Aggregate, group: *const Group) Error!Cell {
        const values = aggregate.values.?;
        const len = try prefix(values, group);
        const row = (if (aggregate.function == .least) first(false, values, len) else first(true, values, len)) orelse
            return .none;
        return .ofColumn(aggregate.kind, row, group.cells.len);
    }

    fn first(comptime descending: bool, values: *Table, len: usize) ?Row {
        var it = trees.Iterator(descending){ .path = &path };
        var found = if (len == 0) it.first(&values.tree) else it.seek(&values.tree, &own_key, len, false);
        while (found) |row| : (found = it.next()) {
            if (len > 0 and !begins(values, row, len)) return null;
            if (!row.has(row_format.flag_dead)) return row;
        }
        return null;
    }

    fn begins(values: *Table, row: Row, len: usize) bool {
        const own = values.tree.keyOf(row, &other_key);
        return own >= len and std.mem.eql(u8, other_key[0..len], own_key[0..len]);
    }
    var other_key: key.Buffer = undefined;
};

fn word(value: i64) plans.Value {
    return .{ .kind = .int, .cell = .ofInt(value) };
}

const State = enum { count, sum, floats };

fn states(function: plans.Function) State {
    return switch (function) {
        .sum_word, .average_int, .average_decimal, .every, .some => .sum,
        .sum_float, .average_float => .floats,
        else => .count,
    };
}
