//! Queries of the host's: a plan is run over what is there, and its answer handed out a page at a time.
//!
//! A query's plan is kept under a number, so that running it again is one crossing. One answer lies here at a time.

const std = @import("std");
const layout = @import("layout.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const plans = @import("plan.zig");
const joins = @import("join.zig");
const groups = @import("groups.zig");
const views = @import("view.zig");
const lone = @import("lone.zig");
const programs = @import("program.zig");
const scratch = @import("scratch.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Row = row_format.Row;
const Plan = plans.Plan;
const Cell = programs.Cell;
const Error = layout.Error;

const Query = struct {
    plan: *Plan,
    arena: Arena,
    /// It finds at most one row, by a whole primary key, and of each other input the same.
    is_point: bool = false,
};

var queries: [layout.queries_max]?Query = @splat(null);

/// What lives as long as one answer; the answer, and how much of it has been handed out.
var arena: Arena = .{};
var answer: arenas.List(Found) = .{};
var handed_out: usize = 0;

/// A row of the answer: its columns; and what it is sorted by, as bytes.
const Found = struct { row: u64, order: []const u8 };

/// Keeps a plan under a number.
pub fn define(number: u32, source: []const u8) Error!void {
    if (number >= queries.len) return error.LimitReached;
    forget(number);
    var query: Query = .{ .plan = undefined, .arena = .{} };
    errdefer query.arena.free();
    query.plan = try plans.make(&query.arena, source);
    if (query.plan.drivers.len == 0) {
        plans.release(query.plan);
        return error.InvalidRow;
    }
    for (query.plan.runners) |runner| runner.program.begin(runner.cells);
    query.is_point = isPoint(query.plan);
    queries[number] = query;
}

fn isPoint(plan: *const Plan) bool {
    const driver = &plan.drivers[0];
    if (plan.grouped or plan.inputs.len == 0 or plan.outers.len > 0 or !lone.isDirect(plan, driver)) return false;
    const exclusive = plans.driver_lower_exclusive | plans.driver_upper_exclusive;
    if (driver.index != null or driver.flags & exclusive != 0) return false;
    const lower = driver.lower orelse return false;
    const upper = driver.upper orelse return false;
    return lower.outputs() == plan.inputs[driver.input].key_types.len and lower.program.isSame(upper.program);
}

/// Whether `runPoint` may run a query.
pub fn isPointAt(number: u32) bool {
    return if (queries[number]) |*query| query.is_point else false;
}

/// Runs a query that finds at most one row, and writes it to `out`: its length, 0 when there is none.
pub fn runPoint(number: u32, parameters: []const u8, out: []align(8) u8) Error!usize {
    if (number >= queries.len) return error.NoRelation;
    const query = if (queries[number]) |*one| one else return error.NoRelation;
    if (!query.is_point) return error.NoRelation;
    const plan = query.plan;
    if (answer.items.len > 0) end();
    const checked = try plan.row.program.checkParameters(parameters);
    plans.setParameters(plan, checked.row);
    for (plan.inputs) |table| try views.see(table);
    defer arena.reset();
    const driver = &plan.drivers[0];
    const from = driver.lower.?;
    try from.run(&.{});
    const found = try lone.byKey(from, plan.inputs[driver.input]) orelse return 0;
    if (!try lone.together(&arena, plan, driver, found.at, &point_rows)) return 0;
    try plan.row.run(&point_rows);
    return plans.rowInto(out, plan.row, plan.columns());
}

var point_rows: lone.Rows = undefined;

pub fn forget(number: u32) void {
    if (number >= queries.len) return;
    if (queries[number]) |*query| {
        plans.release(query.plan);
        query.arena.free();
        queries[number] = null;
    }
}

/// Runs a query: its answer is there to be handed out. `parameters`: their row.
pub fn run(number: u32, parameters: []const u8, limit: u64, offset: u64) Error!void {
    if (number >= queries.len) return error.NoRelation;
    const query = if (queries[number]) |*one| one else return error.NoRelation;
    const plan = query.plan;
    end();
    errdefer end();
    const checked = try plan.row.program.checkParameters(parameters);
    plans.setParameters(plan, checked.row);
    for (plan.inputs) |table| try views.see(table);
    var collector: Collector = .{ .plan = plan, .skip = offset, .left = limit };
    collector.sorted = plan.sorts.len == 0 or plan.drivers[0].flags & plans.driver_sorted != 0;
    if (plan.grouped) {
        var sink: Grouping = .{ .plan = plan };
        var join: joins.Join(Grouping) = .{ .plan = plan, .arena = &arena, .sink = &sink };
        if (plan.global) _ = try sink.groupOf("");
        _ = try join.all(&plan.drivers[0]);
        try sink.finish(&collector);
    } else {
        var join: joins.Join(Collector) = .{ .plan = plan, .arena = &arena, .sink = &collector };
        if (limit > 0) _ = try join.all(&plan.drivers[0]);
    }
    try collector.finish(limit, offset);
}

/// The answer, or what was there of it, goes.
pub fn end() void {
    answer = .{};
    handed_out = 0;
    arena.reset();
}

/// Writes the next rows of the answer to `out`, at least one; the bytes written, 0 at the end.
pub fn page(out: []u8) Error!usize {
    var written: usize = 0;
    while (handed_out < answer.items.len) : (handed_out += 1) {
        const bytes = (Row{ .at = answer.items[handed_out].row }).bytes();
        if (bytes.len > out.len - written) {
            if (written == 0) return error.RowTooLong;
            return written;
        }
        @memcpy(out[written..][0..bytes.len], bytes);
        written += bytes.len;
    }
    if (written == 0) end();
    return written;
}

/// So many rows of the answer have not been handed out.
pub fn left() usize {
    return answer.items.len - handed_out;
}

/// Rows that come out: kept, each once if that is asked for, and as many as there may be.
const Collector = struct {
    plan: *const Plan,
    /// They come in the order in which they are wanted.
    sorted: bool = true,
    skip: u64,
    left: u64,
    known: arenas.Strings = .{},
    order: key.Buffer = undefined,

    pub fn take(collector: *Collector, rows: []const Row) Error!bool {
        try collector.plan.row.run(rows);
        return collector.keep();
    }

    /// Keeps what the last program has put out. Whether more is wanted.
    fn keep(collector: *Collector) Error!bool {
        const plan = collector.plan;
        const last = plan.last();
        const columns = plan.columns();
        if (collector.sorted and !plan.distinct and collector.skip > 0) {
            collector.skip -= 1;
            return true;
        }
        const row = try plans.arenaRow(&arena, last, columns);
        if (plan.distinct) {
            if (!(try collector.known.put(&arena, row.bytes())).new) return true;
            if (collector.sorted and collector.skip > 0) {
                collector.skip -= 1;
                return true;
            }
        }
        if (answer.items.len == layout.query_rows_max) return layout.reached(.answer_rows);
        const order = if (collector.sorted) "" else try arena.copy(try plans.orderOf(plan, &collector.order));
        try answer.add(&arena, .{ .row = row.at, .order = order });
        if (!collector.sorted) return true;
        collector.left -= 1;
        return collector.left > 0;
    }

    fn finish(collector: *Collector, limit: u64, offset: u64) Error!void {
        if (collector.sorted) return;
        std.sort.block(Found, answer.items, {}, before);
        const first: usize = @intCast(@min(offset, answer.items.len));
        answer.items = answer.items[first..];
        answer.items.len = @intCast(@min(limit, answer.items.len));
    }

    fn before(_: void, a: Found, b: Found) bool {
        return std.mem.order(u8, a.order, b.order) == .lt;
    }
};

/// Groups of rows, and what is known of them.
const Grouping = struct {
    plan: *const Plan,
    keys: arenas.Strings = .{},
    list: arenas.List(Group) = .{},
    /// For aggregates of distinct values: those seen, behind the numbers of group and aggregate.
    seen: arenas.Strings = .{},
    buffer: key.Buffer = undefined,

    const Group = struct {
        cells: []Cell,
        accumulators: []groups.Accumulator,
        /// For each aggregate, where its values must be known in their order.
        items: []arenas.List(groups.Item),
        rows: i64,
    };

    pub fn take(grouping: *Grouping, rows: []const Row) Error!bool {
        const plan = grouping.plan;
        try plan.row.run(rows);
        const number = try grouping.groupOf(try groups.encodeGroups(plan, groups.all_nullable, &grouping.buffer));
        const group = &grouping.list.items[number];
        group.rows += 1;
        for (plan.aggregates, group.accumulators, 0..) |*aggregate, *accumulator, i| {
            const value = groups.argument(plan, aggregate) orelse continue;
            if (aggregate.distinct and !try grouping.isNew(number, i, aggregate, value)) continue;
            switch (aggregate.function) {
                .least, .greatest => try accumulator.consider(&arena, aggregate, value),
                .continuous, .discrete, .first, .array, .joined => try grouping.keep(&group.items[i], aggregate, value),
                else => accumulator.add(aggregate, value, 1),
            }
        }
        return true;
    }

    fn groupOf(grouping: *Grouping, bytes: []const u8) Error!usize {
        const found = try grouping.keys.put(&arena, bytes);
        if (!found.new) return found.number;
        const plan = grouping.plan;
        if (found.number == layout.query_rows_max) return layout.reached(.answer_rows);
        const accumulators = try arena.slice(groups.Accumulator, plan.aggregates.len);
        for (accumulators, plan.aggregates) |*one, *aggregate| one.* = try groups.Accumulator.init(&arena, aggregate);
        const cells = try groups.groupCells(plan, &arena);
        const items = try arena.slice(arenas.List(groups.Item), plan.aggregates.len);
        for (items) |*one| one.* = .{};
        try grouping.list.add(&arena, .{ .cells = cells, .accumulators = accumulators, .items = items, .rows = 0 });
        return found.number;
    }

    /// Keeps a value with its place in the order; where only the first is wanted, the first so far.
    fn keep(grouping: *Grouping, items: *arenas.List(groups.Item), aggregate: *const plans.Aggregate, value: Cell) Error!void {
        var at: usize = 0;
        if (try groups.orderOf(grouping.plan, aggregate)) |order| {
            at = key.encodeCell(.bytes, order, false, at, &grouping.buffer) catch return error.KeyTooLong;
        }
        at = key.encodeCell(aggregate.kind, value, true, at, &grouping.buffer) catch return error.KeyTooLong;
        const order = grouping.buffer[0..at];
        if (aggregate.function == .first and items.items.len > 0) {
            if (std.mem.order(u8, order, items.items[0].order) != .lt) return;
            items.items.len = 0;
        }
        var kept = value;
        if (row_format.isVariable(aggregate.kind)) kept = if (value.is_null != 0) .none else .ofTail(try arena.copy(value.tail()));
        try items.add(&arena, .{ .order = try arena.copy(order), .cell = kept });
    }

    fn isNew(grouping: *Grouping, group: usize, number: usize, aggregate: *const plans.Aggregate, value: Cell) Error!bool {
        var at: usize = 12;
        std.mem.writeInt(u64, grouping.buffer[0..8], group, .little);
        std.mem.writeInt(u32, grouping.buffer[8..12], @intCast(number), .little);
        at = key.encodeCell(aggregate.kind, value, true, at, &grouping.buffer) catch return error.KeyTooLong;
        return (try grouping.seen.put(&arena, grouping.buffer[0..at])).new;
    }

    fn finish(grouping: *Grouping, collector: *Collector) Error!void {
        const plan = grouping.plan;
        for (grouping.list.items) |*group| {
            const at = scratch.mark();
            defer scratch.release(at);
            const results = try arena.slice(Cell, plan.aggregates.len);
            for (results, plan.aggregates, group.accumulators, group.items) |*result, *aggregate, *accumulator, items| {
                const kept = aggregate.function.isOrdered() and aggregate.function != .least and aggregate.function != .greatest;
                result.* = if (kept) try grouping.resultOf(aggregate, items.items) else try accumulator.result(aggregate);
            }
            const row = [1]Row{try groups.groupRow(plan, &arena, group.cells, results)};
            if (plan.having) |having| if (!try having.holds(&row)) continue;
            try plan.final.?.run(&row);
            if (collector.left == 0 or !try collector.keep()) return;
        }
    }

    fn resultOf(grouping: *Grouping, aggregate: *const plans.Aggregate, items: []groups.Item) Error!Cell {
        if (items.len == 0) return .none;
        if (aggregate.function == .first) return items[0].cell;
        std.sort.block(groups.Item, items, {}, isBefore);
        if (aggregate.function == .array or aggregate.function == .joined) {
            var walk: Items = .{ .items = items };
            return groups.listed(grouping.plan, aggregate, &walk);
        }
        const place = groups.placeOf(aggregate, @intCast(items.len));
        const index: usize = @intCast(place.index);
        const next = if (place.part == 0) index else index + 1;
        return groups.between(aggregate, items[index].cell, items[next].cell, place.part);
    }

    const Items = struct {
        items: []const groups.Item,
        at: usize = 0,

        pub fn next(walk: *Items) Error!?Cell {
            if (walk.at == walk.items.len) return null;
            defer walk.at += 1;
            return walk.items[walk.at].cell;
        }
    };

    fn isBefore(_: void, a: groups.Item, b: groups.Item) bool {
        return std.mem.order(u8, a.order, b.order) == .lt;
    }
};
