//! Variances without rounding: of n values with the sum S and the sum of squares Q, n·Q − S² by n², or by n·(n − 1).
//!
//! All of it is whole numbers, however near to each other n·Q and S² are: nothing is lost where they cancel, and what came
//! and went again has left nothing. The result is rounded once.

const std = @import("std");
const exact = @import("exact_sum.zig");
const Quotient = @import("exact_ratio.zig").Quotient;

/// Which one is asked for.
pub const Wanted = packed struct(u64) {
    /// Of the population: by n². Else of a sample: by n·(n − 1).
    population: bool,
    /// Its square root: the standard deviation.
    root: bool,
    unused: u62 = 0,
};

/// Sums of whole numbers: 2^62 of them, their squares below 2^126.
pub const Sums = struct { sum: i128, squares: u192 };

/// Of whole numbers whose unit is 10^−scale. `count` is at least 1, and at least 2 unless it is of the population. Null:
/// beyond all doubles.
pub fn ofWords(sums: Sums, count: i64, scale: u32, wanted: Wanted) ?f64 {
    const sum: [2]u64 = @bitCast(@abs(sums.sum));
    const squares: [3]u64 = @bitCast(sums.squares);
    var room: [5]u64 = undefined;
    difference(&room, @intCast(count), &squares, &sum);
    var denominator = divisor(count, wanted);
    for (0..2 * scale) |_| denominator *= 10;
    return result(&room, denominator, 0, wanted);
}

/// Of doubles.
pub fn ofFloats(sum: *const exact.Sum, squares: *const exact.Squares, count: i64, wanted: Wanted) ?f64 {
    const words = sum.magnitude();
    var room: [exact.square_limbs + 1]u64 = undefined;
    difference(&room, @intCast(count), &squares.words, &words);
    return result(&room, divisor(count, wanted), 2 * exact.unit, wanted);
}

fn divisor(count: i64, wanted: Wanted) u256 {
    const own: u256 = @intCast(count);
    return own * (if (wanted.population) own else own - 1);
}

fn result(numerator: []const u64, denominator: u256, exponent: i64, wanted: Wanted) ?f64 {
    const found = (Quotient.of(numerator, denominator) orelse return 0.0).scaled(exponent);
    return (if (wanted.root) found.root() else found).nearest();
}

/// `room` becomes count · squares − sum². It is not below zero, so that what overflows on the way comes back.
fn difference(room: []u64, count: u64, squares: []const u64, sum: []const u64) void {
    std.debug.assert(room.len > squares.len);
    var carry: u64 = 0;
    for (squares, room[0..squares.len]) |word, *out| {
        const product = @as(u128, word) * count + carry;
        out.* = @truncate(product);
        carry = @intCast(product >> 64);
    }
    room[squares.len] = carry;
    @memset(room[squares.len + 1 ..], 0);
    var first: usize = 0;
    var end = sum.len;
    while (end > 0 and sum[end - 1] == 0) end -= 1;
    while (first < end and sum[first] == 0) first += 1;
    for (first..end) |i| {
        var borrow: u64 = 0;
        var at = first + i;
        for (sum[first..end]) |word| {
            const product = @as(u128, sum[i]) * word + borrow;
            room[at], const under = @subWithOverflow(room[at], @as(u64, @truncate(product)));
            borrow = @as(u64, @intCast(product >> 64)) + under;
            at += 1;
        }
        while (borrow != 0 and at < room.len) : (at += 1) {
            room[at], borrow = @subWithOverflow(room[at], borrow);
        }
    }
}

fn expectWords(expected: f64, values: []const i64, scale: u32, wanted: Wanted) !void {
    var sums: Sums = .{ .sum = 0, .squares = 0 };
    for (values) |value| {
        sums.sum += value;
        sums.squares += @as(u192, @abs(value)) * @abs(value);
    }
    try std.testing.expectEqual(expected, ofWords(sums, @intCast(values.len), scale, wanted).?);
}

fn expectFloats(expected: ?f64, values: []const f64, wanted: Wanted) !void {
    var sum: exact.Sum = .{};
    var squares: exact.Squares = .{};
    for (values) |value| {
        sum.add(value, true);
        squares.add(value, true);
    }
    try std.testing.expectEqual(expected, ofFloats(&sum, &squares, @intCast(values.len), wanted));
    var buffer: [exact.square_bytes_max]u8 = undefined;
    try std.testing.expectEqual(squares, exact.Squares.read(squares.write(&buffer)));
    for (values) |value| squares.add(value, false);
    try std.testing.expectEqual(exact.Squares{}, squares);
}

const sample: Wanted = .{ .population = false, .root = false };
const population: Wanted = .{ .population = true, .root = false };
const deviation: Wanted = .{ .population = false, .root = true };

test "variances of whole numbers are exact" {
    try expectWords(0.0, &.{7}, 0, population);
    try expectWords(2.5, &.{ 1, 2, 3, 4, 5 }, 0, sample);
    try expectWords(2.0, &.{ 1, 2, 3, 4, 5 }, 0, population);
    try expectWords(0.025, &.{ 10, 20, 30, 40, 50 }, 2, sample);
    try expectWords(1.5811388300841898, &.{ 1, 2, 3, 4, 5 }, 0, deviation);
    // n·Q and S² agree in their first 120 bits.
    const big = 1 << 62;
    try expectWords(1.0, &.{ big - 1, big, big + 1 }, 0, sample);
    const least: i64 = std.math.minInt(i64);
    try expectWords(8.507059173023462e37, &.{ least, std.math.maxInt(i64) }, 0, population);
}

test "variances of doubles are exact" {
    try expectFloats(0.0, &.{0.1}, population);
    try expectFloats(1.0, &.{ 1e15, 1e15 + 1, 1e15 + 2 }, sample);
    try expectFloats(0.0, &.{ 0.1, 0.1, 0.1 }, sample);
    try expectFloats(0.0, &.{ 5e-324, 0.0 }, population);
    try expectFloats(null, &.{ 1.7976931348623157e308, -1.7976931348623157e308 }, population);
    try expectFloats(1.7976931348623157e308, &.{ 1.7976931348623157e308, -1.7976931348623157e308 }, .{ .population = true, .root = true });
    try expectFloats(1.3104166666666667e200, &.{ 1e100, 1e100, 2.5e100, 0.25e100, 1e100, -1e100 }, sample);
}
