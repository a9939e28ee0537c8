//! Aggregates: what is known of a group's rows, and what comes out of it.

const std = @import("std");
const layout = @import("layout.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const plans = @import("plan.zig");
const programs = @import("program.zig");
const exact = @import("exact_sum.zig");
const variance = @import("variance.zig");
const percentile = @import("percentile.zig");
const listings = @import("listing.zig");
const cells_of = @import("cell.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Row = row_format.Row;
const Type = row_format.Type;
const Plan = plans.Plan;
const Aggregate = plans.Aggregate;
const Cell = programs.Cell;
const Error = layout.Error;

const none = layout.none_u32;

pub const Accumulator = struct {
    /// Rows that count: those whose value is not null. Of distinct values: values.
    count: i64 = 0,
    /// Of whole numbers; of `every` and `some`: how many are true.
    sum: i128 align(8) = 0,
    floats: ?*exact.Sum = null,
    /// Of variances: of the squares of words, of floats.
    squares: u192 align(8) = 0,
    float_squares: ?*exact.Squares = null,
    /// The least or greatest, where it is kept here. Of a percentile: the value that was at its place last, if there was
    /// one, and how many stand before that.
    best: Cell = .none,
    below: i64 = 0,

    pub fn init(arena: *Arena, aggregate: *const Aggregate) Error!Accumulator {
        var made: Accumulator = .{};
        if (isFloat(aggregate.function)) {
            made.floats = try arena.create(exact.Sum);
            made.floats.?.* = .{};
        }
        if (aggregate.function == .variance_float) {
            made.float_squares = try arena.create(exact.Squares);
            made.float_squares.?.* = .{};
        }
        return made;
    }

    /// One more value, or with `times` −1 one less.
    pub fn add(accumulator: *Accumulator, aggregate: *const Aggregate, value: Cell, times: i64) void {
        accumulator.count += times;
        switch (aggregate.function) {
            .sum_word, .average_int, .average_decimal => accumulator.sum += @as(i128, @as(i64, @bitCast(value.value))) * times,
            .every, .some => accumulator.sum += @as(i128, value.value & 1) * times,
            .sum_float, .average_float => accumulator.floats.?.add(value.float(), times > 0),
            .variance_word => {
                const size: u192 = @abs(value.int());
                accumulator.sum += @as(i128, value.int()) * times;
                if (times > 0) accumulator.squares += size * size else accumulator.squares -= size * size;
            },
            .variance_float => {
                accumulator.floats.?.add(value.float(), times > 0);
                accumulator.float_squares.?.add(value.float(), times > 0);
            },
            else => {},
        }
    }

    /// Keeps the value when it is better than the one that is kept. `bytes` of texts are copied.
    pub fn consider(accumulator: *Accumulator, arena: *Arena, aggregate: *const Aggregate, value: Cell) Error!void {
        accumulator.count += 1;
        if (accumulator.best.is_null == 0) {
            const order = compare(aggregate.kind, value, accumulator.best);
            if (order != (if (aggregate.function == .least) std.math.Order.lt else .gt)) return;
        }
        accumulator.best = value;
        if (row_format.isVariable(aggregate.kind)) {
            const kept = try arena.copy(value.tail());
            accumulator.best.value = @intFromPtr(kept.ptr);
        }
    }

    /// What comes out.
    pub fn result(accumulator: *const Accumulator, aggregate: *const Aggregate) Error!Cell {
        switch (aggregate.function) {
            .count_rows, .count => return .ofInt(accumulator.count),
            .least, .greatest => return accumulator.best,
            else => {},
        }
        if (accumulator.count == 0) return .none;
        switch (aggregate.function) {
            .sum_word => {
                const sum = accumulator.sum;
                if (sum < std.math.minInt(i64) or sum > std.math.maxInt(i64)) return cells_of.failed(error.OutOfRange);
                if (!row_format.fits(aggregate.result, @bitCast(@as(i64, @intCast(sum))))) return cells_of.failed(error.OutOfRange);
                return .ofInt(@intCast(sum));
            },
            .average_int => {
                const average: f64 = @floatCast(@as(f128, @floatFromInt(accumulator.sum)) / @as(f128, @floatFromInt(accumulator.count)));
                return .ofFloat(average);
            },
            .average_decimal => {
                var scaled = accumulator.sum;
                for (0..aggregate.scale) |_| {
                    const product = @mulWithOverflow(scaled, 10);
                    if (product[1] != 0) return cells_of.failed(error.OutOfRange);
                    scaled = product[0];
                }
                const quotient = percentile.divideRounded(scaled, accumulator.count);
                if (quotient < std.math.minInt(i64) or quotient > std.math.maxInt(i64)) return cells_of.failed(error.OutOfRange);
                if (!row_format.fits(aggregate.result, @bitCast(@as(i64, @intCast(quotient))))) return cells_of.failed(error.OutOfRange);
                return .ofInt(@intCast(quotient));
            },
            .sum_float => return .ofFloat(accumulator.floats.?.value() orelse return cells_of.failed(error.OutOfRange)),
            .average_float => {
                const average = accumulator.floats.?.average(accumulator.count) orelse return cells_of.failed(error.OutOfRange);
                return .ofFloat(average);
            },
            .variance_word, .variance_float => return accumulator.varianceOf(aggregate),
            .every => return .ofInt(@intFromBool(accumulator.sum == accumulator.count)),
            .some => return .ofInt(@intFromBool(accumulator.sum > 0)),
            else => return error.InvalidRow,
        }
    }

    fn varianceOf(accumulator: *const Accumulator, aggregate: *const Aggregate) Error!Cell {
        const wanted: variance.Wanted = @bitCast(aggregate.detail);
        if (accumulator.count == 1 and !wanted.population) return .none;
        const found = if (accumulator.floats) |floats|
            variance.ofFloats(floats, accumulator.float_squares.?, accumulator.count, wanted)
        else
            variance.ofWords(.{ .sum = accumulator.sum, .squares = accumulator.squares }, accumulator.count, aggregate.scale, wanted);
        return .ofFloat(found orelse return cells_of.failed(error.OutOfRange));
    }
};

pub fn isFloat(function: plans.Function) bool {
    return switch (function) {
        .sum_float, .average_float, .variance_float => true,
        else => false,
    };
}

pub fn compare(kind: Type, a: Cell, b: Cell) std.math.Order {
    if (row_format.isVariable(kind)) return std.mem.order(u8, a.tail(), b.tail());
    return std.math.order(key.wordOf(kind, a.value), key.wordOf(kind, b.value));
}

/// A value that stands in an order, and the bytes that do: of the order that is asked for, where there is one, and of
/// itself.
pub const Item = struct { order: []const u8, cell: Cell };

var order_bytes: key.Buffer = undefined;

/// The bytes of the order of the row that the row program has just made, as one value; null: no order is asked for. Good
/// until the next one.
pub fn orderOf(plan: *const Plan, aggregate: *const Aggregate) Error!?Cell {
    if (aggregate.order.len == 0) return null;
    var at: usize = 0;
    for (aggregate.order) |one| {
        const kind = plan.row.program.outputs[one.output].type;
        at = try one.sort.encode(kind, plan.row.output(one.output), at, &order_bytes);
    }
    return .ofTail(order_bytes[0..at]);
}

/// What an aggregate is of a group's values in their order. `items` gives one after the other: `next`.
pub fn listed(plan: *const Plan, aggregate: *const Aggregate, items: anytype) Error!Cell {
    const separator: ?[]const u8 = if (aggregate.function == .array) null else separatorOf(plan, aggregate);
    var listing = try listings.Listing.begin(aggregate.kind, aggregate.scale, separator);
    var any = false;
    while (try items.next()) |cell| {
        any = true;
        try listing.add(cell);
    }
    return if (any) listing.end() else .none;
}

/// It is a constant or a parameter: in its register whatever has been run.
fn separatorOf(plan: *const Plan, aggregate: *const Aggregate) []const u8 {
    return if (aggregate.separator == none) "" else plan.row.output(aggregate.separator).tail();
}

/// A percentile, of the values at its place and behind it.
pub fn between(aggregate: *const Aggregate, low: Cell, high: Cell, part: u64) Error!Cell {
    if (aggregate.function == .discrete) return low;
    const found = percentile.between(aggregate.kind, low, high, part, aggregate.scale) orelse return cells_of.failed(error.OutOfRange);
    return if (row_format.fits(aggregate.result, found.value)) found else cells_of.failed(error.OutOfRange);
}

/// Where the percentile of so many values lies.
pub fn placeOf(aggregate: *const Aggregate, count: i64) percentile.Place {
    return percentile.placeOf(aggregate.detail, aggregate.function == .continuous, count);
}

/// The value that a row has for an aggregate; null: it does not count.
pub fn argument(plan: *const Plan, aggregate: *const Aggregate) ?Cell {
    if (aggregate.filter != none) {
        const filter = plan.row.output(aggregate.filter);
        if (filter.is_null != 0 or filter.value == 0) return null;
    }
    if (aggregate.argument == none) return .none;
    const cell = plan.row.output(aggregate.argument);
    if (aggregate.function == .array) return cell;
    if (aggregate.function == .first) for (aggregate.order) |one| {
        if (plan.row.output(one.output).is_null != 0) return null;
    };
    return if (cell.is_null != 0) null else cell;
}

/// For groups that are no key of a table: each may be null.
pub const all_nullable: []const bool = &(@as([layout.columns_max]bool, @splat(true)));

/// The encoded groups of the row that the row program has just made. `nullable` says which may be null; null: none.
pub fn encodeGroups(plan: *const Plan, nullable: ?[]const bool, out: *key.Buffer) Error![]const u8 {
    var at: usize = 0;
    for (plan.row.program.outputs[0..plan.groups], 0..) |output, i| {
        const cell = plan.row.cells[output.register];
        const may_be_null = if (nullable) |flags| flags[i] else false;
        at = key.encodeCell(output.type, cell, may_be_null, at, out) catch return error.KeyTooLong;
    }
    return out[0..at];
}

/// The groups of the row that the row program has just made, for keeps.
pub fn groupCells(plan: *const Plan, arena: *Arena) Error![]Cell {
    const cells = try arena.slice(Cell, plan.groups);
    for (cells, plan.row.program.outputs[0..plan.groups]) |*cell, output| {
        cell.* = plan.row.cells[output.register];
        if (cell.is_null == 0 and row_format.isVariable(output.type)) {
            const kept = try arena.copy(cell.tail());
            cell.value = @intFromPtr(kept.ptr);
        }
    }
    return cells;
}

/// A group's row, as having and final programs see it: its groups, then its aggregates.
pub fn groupRow(plan: *const Plan, arena: *Arena, groups: []const Cell, aggregates: []const Cell) Error!Row {
    var size = row_format.Size.of(plan.group_types.len);
    for (plan.group_types[0..groups.len], groups) |kind, cell| size.add(kind, cell.len);
    for (plan.group_types[groups.len..], aggregates) |kind, cell| size.add(kind, cell.len);
    const length = try size.end();
    var writer = row_format.Writer.begin(try arena.take(length), plan.group_types.len, length);
    for (groups, 0..) |cell, i| cell.put(&writer, i, plan.group_types[i]);
    for (aggregates, groups.len..) |cell, i| cell.put(&writer, i, plan.group_types[i]);
    return writer.row;
}
