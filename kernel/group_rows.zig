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
        const encoded = try groups.encodeGroups(plan, sink.table.key_nullable, &own_key);
        const found = try sink.keys.put(sink.arena, encoded);
        if (found.new) try sink.list.add(sink.arena, try sink.load(sink.keys.get(found.number)));
        const group = &sink.list.items[found.number];
        group.rows += sink.times;
        for (plan.aggregates, group.accumulators) |*aggregate, *accumulator| {
            const value = groups.argument(plan, aggregate) orelse continue;
            if (aggregate.values) |values| {
                const order = try groups.orderOf(plan, aggregate);
                const change = try sink.changeValue(values, group, order, aggregate.kind, value);
                const times = if (aggregate.distinct) change else sink.times;
                if (times == 0) continue;
                if (isPercentile(aggregate.function) and accumulator.best.is_null == 0) {
                    if (groups.compare(aggregate.kind, value, accumulator.best) == .lt) accumulator.below += times;
                }
                accumulator.add(aggregate, value, times);
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
    fn load(sink: *Sink, encoded: []const u8) Error!Group {
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
        group.slot = sink.slotAt(encoded);
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
                .squares => {
                    const high: i128 = @as(i64, @bitCast(old.slot(at + 2).*));
                    one.sum = high << 64 | old.slot(at + 1).*;
                    one.squares = @bitCast([3]u64{ old.slot(at + 3).*, old.slot(at + 4).*, old.slot(at + 5).* });
                    at += 6;
                },
                .float_squares => {
                    one.floats.?.* = exact.Sum.read(old.tail(at + 1));
                    one.float_squares.?.* = exact.Squares.read(old.tail(at + 2));
                    at += 3;
                },
                .place => {
                    one.below = @bitCast(old.slot(at + 1).*);
                    one.best = .ofColumn(aggregate.kind, old, at + 2);
                    at += 3;
                },
                .count => at += 1,
            }
        }
        return group;
    }

    fn slotAt(sink: *Sink, encoded: []const u8) ?*u64 {
        if (sink.plan.groups > 0) return sink.table.tree.find(&own_key, encoded.len);
        var it = trees.Iterator(false){ .path = &path };
        return sink.table.findRow(it.first(&sink.table.tree) orelse return null);
    }

    fn rowOf(sink: *Sink, group: *const Group) Error!Row {
        const plan = sink.plan;
        const results = try sink.arena.slice(Cell, plan.aggregates.len);
        for (results, plan.aggregates, group.accumulators) |*result, *aggregate, *accumulator| {
            result.* = if (aggregate.function.isOrdered())
                try sink.ordered(aggregate, group, accumulator)
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
        const made = try sink.arena.slice(plans.Value, 1 + 6 * group.accumulators.len);
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
                    made[count] = bytes(try sink.arena.copy(one.floats.?.write(&buffer)));
                    count += 1;
                },
                .squares => {
                    for ([2]u64{ @truncate(@as(u128, @bitCast(one.sum))), @bitCast(@as(i64, @intCast(one.sum >> 64))) }) |part| {
                        made[count] = word(@bitCast(part));
                        count += 1;
                    }
                    for (@as([3]u64, @bitCast(one.squares))) |part| {
                        made[count] = word(@bitCast(part));
                        count += 1;
                    }
                },
                .float_squares => {
                    var buffer: [exact.square_bytes_max]u8 = undefined;
                    made[count] = bytes(try sink.arena.copy(one.floats.?.write(buffer[0..exact.bytes_max])));
                    made[count + 1] = bytes(try sink.arena.copy(one.float_squares.?.write(&buffer)));
                    count += 2;
                },
                .place => {
                    made[count] = word(one.below);
                    made[count + 1] = .{ .kind = aggregate.kind, .cell = one.best };
                    count += 2;
                },
                .count => {},
            }
        }
        return made[0..count];
    }

    // ------------------------------------------------------------ values that a group has, and how often

    /// One more of a value in a group, or one less. 1: it is there now; −1: it is not any more; 0: there are others.
    fn changeValue(sink: *Sink, values: *Table, group: *const Group, order: ?Cell, kind: Type, value: Cell) Error!i64 {
        var len = try prefix(values, group);
        var column = group.cells.len;
        if (order) |encoded| {
            len = try encode(values, column, .bytes, encoded, len);
            column += 1;
        }
        len = try encode(values, column, kind, value, len);
        column += 1;
        const old = table_format.live(values.tree.find(&own_key, len));
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
        const row = try sink.valueRow(values, group, order, kind, value, now);
        if (sink.mode == .loading) {
            try transaction.loadDerived(values, row);
        } else if (old) |there| try transaction.replaceDerived(values, there, row, null) else try transaction.putDerived(values, row);
        return if (before == 0) 1 else 0;
    }

    fn valueRow(sink: *Sink, values: *Table, group: *const Group, order: ?Cell, kind: Type, value: Cell, times: i64) Error!Row {
        const given = try sink.arena.slice(plans.Value, group.cells.len + 3);
        for (given[0..group.cells.len], group.cells, values.layout.types[0..group.cells.len]) |*one, cell, type_| one.* = .{ .kind = type_, .cell = cell };
        var count = group.cells.len;
        if (order) |cell| {
            given[count] = .{ .kind = .bytes, .cell = cell };
            count += 1;
        }
        given[count] = .{ .kind = kind, .cell = value };
        given[count + 1] = word(times);
        return plans.heapRowOf(given[0 .. count + 2]);
    }

    fn prefix(values: *const Table, group: *const Group) Error!usize {
        var at: usize = 0;
        for (group.cells, 0..) |cell, i| at = try encode(values, i, values.key_types[i], cell, at);
        return at;
    }

    /// Puts the value of a key column behind what is in `own_key`.
    fn encode(values: *const Table, column: usize, kind: Type, cell: Cell, at: usize) Error!usize {
        const nullable = if (values.key_nullable) |flags| flags[column] else false;
        return key.encodeCell(kind, cell, nullable, at, &own_key) catch error.KeyTooLong;
    }

    // ------------------------------------------------------------ what comes out of them

    fn ordered(sink: *Sink, aggregate: *const Aggregate, group: *const Group, accumulator: *groups.Accumulator) Error!Cell {
        const values = aggregate.values.?;
        const len = try prefix(values, group);
        const column = group.cells.len + @intFromBool(aggregate.order.len > 0);
        switch (aggregate.function) {
            .greatest => {
                var walk: Walk(true) = .{ .values = values, .len = len };
                return .ofColumn(aggregate.kind, walk.start(len, false) orelse return .none, column);
            },
            .least, .first => {
                var walk: Walk(false) = .{ .values = values, .len = len };
                return .ofColumn(aggregate.kind, walk.start(len, false) orelse return .none, column);
            },
            .array, .joined => {
                var items: Items = .{ .walk = .{ .values = values, .len = len }, .kind = aggregate.kind, .column = column, .once = aggregate.distinct };
                return groups.listed(sink.plan, aggregate, &items);
            },
            else => return percentileOf(aggregate, values, len, column, accumulator),
        }
    }

    /// The value at the place of a percentile is found from where it was last: not far, for with each value that came or
    /// went one of them has moved by one at most.
    fn percentileOf(aggregate: *const Aggregate, values: *Table, len: usize, column: usize, accumulator: *groups.Accumulator) Error!Cell {
        if (accumulator.count == 0) {
            accumulator.best = .none;
            accumulator.below = 0;
            return .none;
        }
        const place = groups.placeOf(aggregate, accumulator.count);
        const known = accumulator.best.is_null == 0;
        const from = if (known) try encode(values, column, aggregate.kind, accumulator.best, len) else len;
        var below = accumulator.below;
        var times: i64 = 0;
        var found: ?Row = null;
        if (place.index >= below) {
            var walk: Walk(false) = .{ .values = values, .len = len };
            found = walk.start(from, false);
            while (found) |row| : (found = walk.next()) {
                times = timesOf(aggregate, row, column);
                if (place.index < below + times) break;
                below += times;
            }
        } else {
            var walk: Walk(true) = .{ .values = values, .len = len };
            found = walk.start(from, true);
            while (found) |row| : (found = walk.next()) {
                times = timesOf(aggregate, row, column);
                below -= times;
                if (place.index >= below) break;
            }
        }
        const row = found orelse return error.InvalidRow; // the count says that it is there
        const low: Cell = .ofColumn(aggregate.kind, row, column);
        accumulator.best = low;
        accumulator.below = below;
        if (place.part == 0 or place.index + 1 < below + times) return groups.between(aggregate, low, low, place.part);
        var walk: Walk(false) = .{ .values = values, .len = len };
        const next = walk.start(try encode(values, column, aggregate.kind, low, len), true) orelse return error.InvalidRow;
        return groups.between(aggregate, low, .ofColumn(aggregate.kind, next, column), place.part);
    }

    fn timesOf(aggregate: *const Aggregate, row: Row, column: usize) i64 {
        return if (aggregate.distinct) 1 else @bitCast(row.slot(column + 1).*);
    }
};

/// The values of a group in their order, those that are gone left out. `own_key` begins with `len` bytes of the group.
fn Walk(comptime descending: bool) type {
    return struct {
        const Self = @This();
        values: *Table,
        len: usize,
        it: trees.Iterator(descending) = .{ .path = &path },

        /// From the first that does not lie before the first `from` bytes of `own_key`; `strictly`: that lies behind them.
        fn start(walk: *Self, from: usize, strictly: bool) ?Row {
            const tree = &walk.values.tree;
            return walk.live(if (from == 0) walk.it.first(tree) else walk.it.seek(tree, &own_key, from, strictly));
        }

        fn next(walk: *Self) ?Row {
            return walk.live(walk.it.next());
        }

        fn live(walk: *Self, from: ?Row) ?Row {
            var found = from;
            while (found) |row| : (found = walk.it.next()) {
                if (walk.len > 0 and !walk.begins(row)) return null;
                if (!row.has(row_format.flag_dead)) return row;
            }
            return null;
        }

        fn begins(walk: *Self, row: Row) bool {
            const own = walk.values.tree.keyOf(row, &other_key);
            return own >= walk.len and std.mem.eql(u8, other_key[0..walk.len], own_key[0..walk.len]);
        }
    };
}

var other_key: key.Buffer = undefined;

/// Each value as often as it is there, or once.
const Items = struct {
    walk: Walk(false),
    kind: Type,
    column: usize,
    once: bool,
    row: ?Row = null,
    left: i64 = 0,
    begun: bool = false,

    pub fn next(items: *Items) Error!?Cell {
        if (items.left == 0) {
            items.row = if (items.begun) items.walk.next() else items.walk.start(items.walk.len, false);
            items.begun = true;
            const row = items.row orelse return null;
            items.left = if (items.once) 1 else @bitCast(row.slot(items.column + 1).*);
        }
        items.left -= 1;
        return .ofColumn(items.kind, items.row.?, items.column);
    }
};

fn word(value: i64) plans.Value {
    return .{ .kind = .int, .cell = .ofInt(value) };
}

fn bytes(value: []const u8) plans.Value {
    return .{ .kind = .bytes, .cell = .ofTail(value) };
}

fn isPercentile(function: plans.Function) bool {
    return function == .continuous or function == .discrete;
}

/// What a group's row keeps of an aggregate, besides how many values count.
const State = enum { count, sum, floats, squares, float_squares, place };

fn states(function: plans.Function) State {
    return switch (function) {
        .sum_word, .average_int, .average_decimal, .every, .some => .sum,
        .sum_float, .average_float => .floats,
        .variance_word => .squares,
        .variance_float => .float_squares,
        .continuous, .discrete => .place,
        else => .count,
    };
}
