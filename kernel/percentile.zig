//! Percentiles: which of a group's values, in their order, is asked for, and what lies between two of them.
//!
//! Where a percentile falls between two values, a continuous one lies between them in proportion. A fraction is a whole
//! number of 10^−18, so that the place and what comes out are exact, and rounded once.

const std = @import("std");
const row_format = @import("row.zig");
const exact = @import("exact_sum.zig");
const Quotient = @import("exact_ratio.zig").Quotient;
const Cell = @import("cell.zig").Cell;
const Type = row_format.Type;

/// A fraction of 1.
pub const whole: u64 = 1_000_000_000_000_000_000;

/// A place among values: the one that `index` others stand before, and so much of the way to the next one.
pub const Place = struct { index: i64, part: u64 = 0 };

/// Where a percentile of `count` values lies, which is above zero.
pub fn placeOf(fraction: u64, continuous: bool, count: i64) Place {
    const all: u128 = @intCast(count);
    if (continuous) {
        const at = (all - 1) * fraction;
        return .{ .index = @intCast(at / whole), .part = @intCast(at % whole) };
    }
    // The first value that so much of all is not behind.
    const before = (all * fraction + (whole - 1)) / whole;
    return .{ .index = @intCast(@max(before, 1) - 1) };
}

/// What lies between two numbers of a type, `part` of the way. `digits`: of decimals, so many more than they have. Null: it
/// is out of range.
pub fn between(kind: Type, low: Cell, high: Cell, part: u64, digits: u32) ?Cell {
    if (kind == .float) {
        var sum: exact.Sum = .{};
        sum.addTimes(low.float(), whole - part, true);
        sum.addTimes(high.float(), part, true);
        return .ofFloat(sum.average(whole) orelse return null);
    }
    const sum = @as(i128, low.int()) * (whole - part) + @as(i128, high.int()) * part;
    if (kind == .int) {
        const size: [2]u64 = @bitCast(@abs(sum));
        const quotient = Quotient.of(&size, whole) orelse return .ofFloat(0.0);
        const value = quotient.nearest() orelse return null;
        return .ofFloat(if (sum < 0) -value else value);
    }
    var unit: i128 = whole;
    for (0..digits) |_| unit = @divExact(unit, 10);
    const rounded = divideRounded(sum, unit);
    if (rounded < std.math.minInt(i64) or rounded > std.math.maxInt(i64)) return null;
    return .ofInt(@intCast(rounded));
}

/// Half away from zero.
pub fn divideRounded(a: i128, b: i128) i128 {
    const quotient = @divTrunc(a, b);
    const rest = @abs(a - quotient * b);
    if (2 * rest < @abs(b)) return quotient;
    return if ((a < 0) == (b < 0)) quotient + 1 else quotient - 1;
}

test "division rounds half away from zero" {
    try std.testing.expectEqual(2, divideRounded(3, 2));
    try std.testing.expectEqual(-2, divideRounded(-3, 2));
    try std.testing.expectEqual(1, divideRounded(4, 3));
    try std.testing.expectEqual(-1, divideRounded(-4, 3));
    try std.testing.expectEqual(0, divideRounded(0, 7));
}

test "places of percentiles" {
    const half = whole / 2;
    try std.testing.expectEqual(Place{ .index = 0 }, placeOf(half, true, 1));
    try std.testing.expectEqual(Place{ .index = 0, .part = half }, placeOf(half, true, 2));
    try std.testing.expectEqual(Place{ .index = 1 }, placeOf(half, true, 3));
    try std.testing.expectEqual(Place{ .index = 9 }, placeOf(whole, true, 10));
    try std.testing.expectEqual(Place{ .index = 0 }, placeOf(0, true, 10));
    try std.testing.expectEqual(Place{ .index = 0 }, placeOf(0, false, 10));
    try std.testing.expectEqual(Place{ .index = 0 }, placeOf(half, false, 2));
    try std.testing.expectEqual(Place{ .index = 1 }, placeOf(half, false, 3));
    try std.testing.expectEqual(Place{ .index = 9 }, placeOf(whole, false, 10));
    try std.testing.expectEqual(Place{ .index = 1 }, placeOf(whole / 10 + 1, false, 10));
}

test "what lies between is exact" {
    const half = whole / 2;
    const least: Cell = .ofInt(std.math.minInt(i64));
    const most: Cell = .ofInt(std.math.maxInt(i64));
    try std.testing.expectEqual(-0.5, between(.int, least, most, half, 0).?.float());
    try std.testing.expectEqual(9223372036854775807.0, between(.int, most, most, 0, 0).?.float());
    try std.testing.expectEqual(1.1, between(.int, .ofInt(1), .ofInt(2), whole / 10, 0).?.float());
    try std.testing.expectEqual(0.0, between(.float, .ofFloat(-1e308), .ofFloat(1e308), half, 0).?.float());
    try std.testing.expectEqual(0.15000000000000002, between(.float, .ofFloat(0.1), .ofFloat(0.2), half, 0).?.float());
    const decimal: Type = @fromBackingInt(row_format.decimal_base + 4);
    try std.testing.expectEqual(1_250_000, between(decimal, .ofInt(100), .ofInt(150), half, 4).?.int());
    try std.testing.expectEqual(-3, between(decimal, .ofInt(-2), .ofInt(-3), half, 0).?.int());
}
