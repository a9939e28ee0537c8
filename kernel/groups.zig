//! Aggregates: what is known of a group's rows, and what comes out of it.

const std = @import("std");
const layout = @import("layout.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const plans = @import("plan.zig");
const programs = @import("program.zig");
const exact = @import("exact_sum.zig");
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
    /// The least or greatest, where it is kept here.
    best: Cell = .none,

    pub fn init(arena: *Arena, aggregate: *const Aggregate) Error!Accumulator {
        var made: Accumulator = .{};
        if (isFloat(aggregate.function)) {
            made.floats = try arena.create(exact.Sum);
            made.floats.?.* = .{};
        }
        return made;
    }

    /// One more value, or with `times` −1 one less.
    pub fn add(accumulator: *Accumulator, aggregate: *const Aggregate, value: Cell, times: i64) void {
        accumulator.count += times;
        switch (aggregate.function) {
            .sum_word, .average_int, .average_decimal => accumulator.sum += @as(i128, @as(i64, @bitCast(value.value))) * times,
            .every, .some => accumulator.sum += @as(i128, value.value & 1) * times,
            .sum_float, .average_float => accumulator.floats.?.add(@bitCast(value.value), times > 0),
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
                if (sum < std.math.minInt(i64) or sum > std.math.maxInt(i64)) return overflow();
                if (!row_format.fits(aggregate.result, @bitCast(@as(i64, @intCast(sum))))) return overflow();
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
                    if (product[1] != 0) return overflow();
                    scaled = product[0];
                }
                const quotient = divideRounded(scaled, accumulator.count);
                if (quotient < std.math.minInt(i64) or quotient > std.math.maxInt(i64)) return overflow();
                if (!row_format.fits(aggregate.result, @bitCast(@as(i64, @intCast(quotient))))) return overflow();
                return .ofInt(@intCast(quotient));
            },
            .sum_float => return .ofFloat(accumulator.floats.?.value() orelse return overflow()),
            .average_float => {
                const average = accumulator.floats.?.average(accumulator.count) orelse return overflow();
                return .ofFloat(average);
            },
            .every => return .ofInt(@intFromBool(accumulator.sum == accumulator.count)),
            .some => return .ofInt(@intFromBool(accumulator.sum > 0)),
            else => return error.InvalidRow,
        }
    }
};

fn overflow() Error {
    layout.fault(none, 2, none); // out of range
    layout.control.fault_index = none;
    return error.ExpressionFailed;
}

pub fn isFloat(function: plans.Function) bool {
    return function == .sum_float or function == .average_float;
}

/// Half away from zero.
fn divideRounded(a: i128, b: i128) i128 {
    const quotient = @divTrunc(a, b);
    const rest = @abs(a - quotient * b);
    if (2 * rest < @abs(b)) return quotient;
    return if ((a < 0) == (b < 0)) quotient + 1 else quotient - 1;
}

pub fn compare(kind: Type, a: Cell, b: Cell) std.math.Order {
    if (row_format.isVariable(kind)) return std.mem.order(u8, a.tail(), b.tail());
    return std.math.order(key.wordOf(kind, a.value), key.wordOf(kind, b.value));
}

/// The value that a row has for an aggregate; null: it does not count.
pub fn argument(plan: *const Plan, aggregate: *const Aggregate) ?Cell {
    if (aggregate.filter != none) {
        const filter = plan.row.output(aggregate.filter);
        if (filter.is_null != 0 or filter.value == 0) return null;
    }
    if (aggregate.argument == none) return .none;
    const cell = plan.row.output(aggregate.argument);
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

test "division rounds half away from zero" {
    try std.testing.expectEqual(2, divideRounded(3, 2));
    try std.testing.expectEqual(-2, divideRounded(-3, 2));
    try std.testing.expectEqual(1, divideRounded(4, 3));
    try std.testing.expectEqual(-1, divideRounded(-4, 3));
    try std.testing.expectEqual(0, divideRounded(0, 7));
}
