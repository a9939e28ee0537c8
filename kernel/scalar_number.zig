//! Arithmetic as SQL means it: checked integers, decimals as whole numbers of their unit, floats that are always finite.
//!
//! What needs more than 64 bits on the way has 128; what needs more in the end is OutOfRange. Nothing wraps around.

const std = @import("std");
const Failure = @import("cell.zig").Failure;

pub const precision_max = 18;

const powers: [precision_max + 1]i64 = blk: {
    var made: [precision_max + 1]i64 = undefined;
    var value: i64 = 1;
    for (&made, 0..) |*one, k| {
        one.* = value;
        if (k < precision_max) value *= 10;
    }
    break :blk made;
};

/// 10^k. 0 ≤ k ≤ 18.
pub inline fn power10(k: i64) i64 {
    return powers[@intCast(k)];
}

fn narrow(value: i128) Failure!i64 {
    return std.math.cast(i64, value) orelse error.OutOfRange;
}

// ---------------------------------------------------------------- integers

pub inline fn add(a: i64, b: i64) Failure!i64 {
    const sum, const over = @addWithOverflow(a, b);
    return if (over != 0) error.OutOfRange else sum;
}

pub inline fn sub(a: i64, b: i64) Failure!i64 {
    const difference, const over = @subWithOverflow(a, b);
    return if (over != 0) error.OutOfRange else difference;
}

pub inline fn mul(a: i64, b: i64) Failure!i64 {
    const small = std.math.maxInt(i32);
    if (@as(u64, @bitCast(a +% small)) <= 2 * small and @as(u64, @bitCast(b +% small)) <= 2 * small) return a * b;
    return narrow(@as(i128, a) * b);
}

pub fn div(a: i64, b: i64) Failure!i64 {
    if (b == 0) return error.DivisionByZero;
    if (b == -1) return sub(0, a);
    return @divTrunc(a, b);
}

/// Has the sign of `a`.
pub fn mod(a: i64, b: i64) Failure!i64 {
    if (b == 0) return error.DivisionByZero;
    if (b == -1) return 0;
    return @rem(a, b);
}

// ---------------------------------------------------------------- decimals

pub fn fits(a: i64, precision: i64) bool {
    return @abs(a) < power10(precision);
}

pub fn scaleUp(a: i64, k: i64) Failure!i64 {
    return mul(a, power10(k));
}

pub const Rounding = enum { half_away, trunc, floor, ceil };

pub fn scaleDown(a: i64, k: i64, comptime rounding: Rounding) i64 {
    const unit = power10(k);
    const quotient = @divTrunc(a, unit);
    const rest = a - quotient * unit;
    const sign: i64 = if (a < 0) -1 else 1;
    return switch (rounding) {
        .trunc => quotient,
        .floor => quotient - @intFromBool(rest < 0),
        .ceil => quotient + @intFromBool(rest > 0),
        .half_away => quotient + if (2 * @abs(rest) >= unit) sign else 0,
    };
}

/// a·b / 10^k, half away from zero. 0 ≤ k ≤ 36.
pub fn mulDecimal(a: i64, b: i64, k: i64) Failure!i64 {
    const product = @as(i128, a) * b;
    const unit = if (k <= precision_max) power10(k) else @as(i128, power10(precision_max)) * power10(k - precision_max);
    if (product == @as(i64, @truncate(product)) and unit == @as(i64, @truncate(unit)))
        return roundedQuotient(i64, @truncate(product), @truncate(unit));
    return narrow(roundedQuotient(i128, product, unit));
}

/// Half away from zero. `b` is positive, and is the minimum's magnitude in no case that matters.
fn roundedQuotient(comptime T: type, a: T, b: T) T {
    const quotient = @divTrunc(a, b);
    const rest = @abs(@rem(a, b));
    if (rest < @abs(b) - rest) return quotient;
    return if (a < 0) quotient - 1 else quotient + 1;
}

/// a·10^k / b, half away from zero. −18 ≤ k ≤ 36. As one learns it at school, 18 digits at a time.
pub fn divDecimal(a: i64, b: i64, k: i64) Failure!i64 {
    if (b == 0) return error.DivisionByZero;
    if (k >= 0 and k <= precision_max) if (mul(a, power10(k))) |scaled| return divRounded(scaled, b) else |_| {};
    const divisor: u128 = if (k < 0) @as(u128, @abs(b)) * @abs(power10(-k)) else @abs(b);
    var quotient: u128 = @abs(a) / divisor;
    var rest: u128 = @abs(a) % divisor;
    var digits = @max(k, 0);
    while (digits > 0) {
        if (quotient > std.math.maxInt(u64)) return error.OutOfRange;
        const step = @min(digits, precision_max);
        const unit: u128 = @intCast(power10(step));
        quotient = quotient * unit + rest * unit / divisor;
        rest = rest * unit % divisor;
        digits -= step;
    }
    if (rest >= divisor - rest) quotient += 1;
    if (quotient > 1 << 63) return error.OutOfRange;
    const value: i128 = @intCast(quotient);
    return narrow(if ((a < 0) == (b < 0)) value else -value);
}

fn divRounded(a: i64, b: i64) Failure!i64 {
    const quotient = try div(a, b);
    const rest = @abs(a -% quotient *% b);
    if (rest < @abs(b) - rest) return quotient;
    return if ((a < 0) == (b < 0)) quotient + 1 else quotient - 1;
}

// ---------------------------------------------------------------- floats

pub inline fn finite(value: f64) Failure!f64 {
    return if (std.math.isFinite(value)) value else error.NotFinite;
}

pub fn divFloat(a: f64, b: f64) Failure!f64 {
    if (b == 0) return error.DivisionByZero;
    return finite(a / b);
}

/// Has the sign of `a`.
pub fn modFloat(a: f64, b: f64) Failure!f64 {
    if (b == 0) return error.DivisionByZero;
    return @rem(a, b);
}

pub fn signFloat(a: f64) f64 {
    return if (a > 0) 1 else if (a < 0) -1 else 0;
}

/// Half to even, which no builtin does: beyond 2^52 there are no fractions, and adding it leaves none.
pub fn round(a: f64) f64 {
    const big = 1 << 52;
    if (@abs(a) >= big) return a;
    return if (a < 0) (a - big) + big else (a + big) - big;
}

pub fn sqrt(a: f64) Failure!f64 {
    return if (a < 0) error.OutOfRange else @sqrt(a);
}

pub fn power(a: f64, b: f64) Failure!f64 {
    if (a == 0 and b < 0) return error.OutOfRange;
    if (a < 0 and @trunc(b) != b) return error.OutOfRange;
    return finite(std.math.pow(f64, a, b));
}

pub fn exp(a: f64) Failure!f64 {
    return finite(@exp(a));
}

pub fn ln(a: f64) Failure!f64 {
    return if (a <= 0) error.OutOfRange else @log(a);
}

// ---------------------------------------------------------------- from one to the other

/// The nearest float. Two exact numbers divide into the nearest; beyond them text is the way that rounds once.
pub fn decimalToFloat(a: i64, scale: i64) f64 {
    if (scale == 0) return @floatFromInt(a);
    if (@abs(a) <= 1 << 53) return @as(f64, @floatFromInt(a)) / @as(f64, @floatFromInt(power10(scale)));
    var text: [32]u8 = undefined;
    const written = std.fmt.bufPrint(&text, "{d}e-{d}", .{ a, @abs(scale) }) catch unreachable;
    return std.fmt.parseFloat(f64, written) catch unreachable;
}

/// Half to even.
pub fn floatToInt(a: f64) Failure!i64 {
    const whole = round(a);
    const limit: f64 = 1 << 63;
    if (!(whole >= -limit and whole < limit)) return error.OutOfRange;
    return @trunc(whole);
}

/// a·10^scale, half away from zero of the exact value.
pub fn floatToDecimal(a: f64, scale: i64) Failure!i64 {
    const bits: u64 = @bitCast(a);
    const raw: i64 = @intCast(bits >> 52 & 0x7ff);
    const fraction = bits & ((1 << 52) - 1);
    const mantissa = if (raw == 0) fraction else fraction | 1 << 52;
    const exponent = (if (raw == 0) 1 else raw) - 1075;
    const product = @as(u128, mantissa) * @abs(power10(scale)); // below 2^113
    if (product == 0) return 0;
    var magnitude: u128 = undefined;
    if (exponent >= 0) {
        if (exponent > 63 or product > 1 << 64) return error.OutOfRange;
        magnitude = product << @intCast(exponent);
    } else if (exponent < -114) {
        magnitude = 0;
    } else {
        const below: u7 = @intCast(-exponent);
        magnitude = (product >> below) + (product >> (below - 1) & 1);
    }
    if (magnitude > 1 << 63) return error.OutOfRange;
    const value: i128 = @intCast(magnitude);
    return narrow(if (a < 0) -value else value);
}

// ---------------------------------------------------------------- tests

const testing = std.testing;
const min = std.math.minInt(i64);
const max = std.math.maxInt(i64);

test "integers are checked" {
    try testing.expectError(error.OutOfRange, add(max, 1));
    try testing.expectError(error.OutOfRange, sub(min, 1));
    try testing.expectError(error.OutOfRange, mul(min, -1));
    try testing.expectError(error.OutOfRange, mul(1 << 32, 1 << 31));
    try testing.expectEqual(min, mul(1 << 32, -(1 << 31)));
    try testing.expectError(error.OutOfRange, div(min, -1));
    try testing.expectEqual(0, mod(min, -1));
    try testing.expectEqual(-3, div(-7, 2));
    try testing.expectEqual(-1, mod(-7, 2));
    try testing.expectEqual(1, mod(7, -2));
    try testing.expectError(error.DivisionByZero, mod(7, 0));
}

test "decimals round half away from zero, and once" {
    try testing.expectEqual(2, scaleDown(15, 1, .half_away));
    try testing.expectEqual(-2, scaleDown(-15, 1, .half_away));
    try testing.expectEqual(-1, scaleDown(-14, 1, .half_away));
    try testing.expectEqual(-2, scaleDown(-11, 1, .floor));
    try testing.expectEqual(-1, scaleDown(-11, 1, .ceil));
    try testing.expectEqual(9, scaleDown(max, 18, .trunc));
    try testing.expectEqual(-9, scaleDown(min, 18, .half_away));
    try testing.expectEqual(2, mulDecimal(15, 15, 2));
    try testing.expectEqual(-3, mulDecimal(-25, 1, 1));
    try testing.expectEqual(850_705_917_302_346_159, mulDecimal(min, min, 20));
    try testing.expectError(error.OutOfRange, mulDecimal(max, max, 18));
    try testing.expectEqual(333333, divDecimal(1, 3, 6));
    try testing.expectEqual(-666667, divDecimal(-2, 3, 6));
    try testing.expectEqual(1, divDecimal(5, 1, -1));
    try testing.expectEqual(0, divDecimal(-4, 1, -1));
    try testing.expectEqual(min, divDecimal(min, 1, 0));
    try testing.expectError(error.OutOfRange, divDecimal(min, -1, 0));
    try testing.expectError(error.OutOfRange, divDecimal(1, 1, 36));
    try testing.expectEqual(1_000_000_000_000_000_000, divDecimal(999_999_999_999_999_999, 999_999_999_999_999_999, 18));
    try testing.expectEqual(1, divDecimal(1, 1_000_000_000_000_000_000, 18));
}

test "floats become whole numbers half to even, decimals half away" {
    for ([_][2]f64{ .{ 0.5, 0 }, .{ 1.5, 2 }, .{ -2.5, -2 }, .{ 4503599627370495.5, 4503599627370496 }, .{ 1e300, 1e300 } }) |case|
        try testing.expectEqual(case[1], round(case[0]));
    try testing.expectEqual(min, floatToInt(-9223372036854775808.0));
    try testing.expectError(error.OutOfRange, floatToInt(9223372036854775808.0));
    try testing.expectEqual(13, floatToDecimal(1.25, 1));
    try testing.expectEqual(-13, floatToDecimal(-1.25, 1));
    try testing.expectEqual(115, floatToDecimal(1.15, 2)); // 1.149999…
    try testing.expectEqual(11, floatToDecimal(1.15, 1));
    try testing.expectEqual(0, floatToDecimal(5e-324, 18));
    try testing.expectError(error.OutOfRange, floatToDecimal(1e308, 0));
    try testing.expectEqual(0.1, decimalToFloat(1, 1));
    try testing.expectEqual(0.123456789012345678, decimalToFloat(123456789012345678, 18));
}

test "floats are finite" {
    try testing.expectError(error.NotFinite, exp(1000));
    try testing.expectError(error.NotFinite, power(10, 400));
    try testing.expectError(error.OutOfRange, power(-8, 0.5));
    try testing.expectError(error.OutOfRange, power(0, -1));
    try testing.expectError(error.OutOfRange, ln(0));
    try testing.expectError(error.OutOfRange, sqrt(-1));
    try testing.expectEqual(-8, power(-2, 3));
}
