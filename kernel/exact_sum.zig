//! Sums of floats without rounding: a number with so many bits that every finite double, and two to the 62 of them, fit.
//! What was added can be taken away again, in any order, and the sum that is shown is rounded once.
//!
//! After Kulisch, "Computer Arithmetic and Validity", ch. 8: bit 0 stands for 2^−1074, the smallest double there is.

const std = @import("std");

pub const limbs = 34; // 2,098 bits of doubles, and 78 for their number and the sign
/// The unit of a sum is two to this.
pub const unit = -1074;

pub const bytes_max = 4 + 8 * limbs;

pub const Sum = struct {
    /// Two's complement, the lowest first.
    words: [limbs]u64 = @splat(0),

    /// Adds a finite double, or takes it away.
    pub fn add(sum: *Sum, number: f64, adding: bool) void {
        sum.addTimes(number, 1, adding);
    }

    /// The same, so many times. All that is in the sum together is less than 2^77 doubles.
    pub fn addTimes(sum: *Sum, number: f64, times: u64, adding: bool) void {
        const parts = Parts.of(number) orelse return;
        const wide = @as(u192, @as(u128, parts.mantissa) * times) << @intCast(parts.shift % 64);
        const at = parts.shift / 64;
        if (parts.negative != adding) plus(&sum.words, at, @bitCast(wide)) else minus(&sum.words, at, @bitCast(wide));
    }

    fn isNegative(sum: *const Sum) bool {
        return sum.words[limbs - 1] >> 63 != 0;
    }

    pub fn magnitude(sum: *const Sum) [limbs]u64 {
        return if (sum.isNegative()) sum.negated() else sum.words;
    }

    fn negated(sum: *const Sum) [limbs]u64 {
        var made = sum.words;
        var carry: u1 = 1;
        for (&made) |*word| word.*, carry = @addWithOverflow(~word.*, carry);
        return made;
    }

    /// The nearest double, ties to even; null: beyond all of them.
    pub fn value(sum: *const Sum) ?f64 {
        return nearest(sum.magnitude(), sum.isNegative(), .eq, false);
    }

    /// The nearest double to the sum by `count`, which is above 0.
    pub fn average(sum: *const Sum, count: i64) ?f64 {
        var words = sum.magnitude();
        var rest: u128 = 0;
        const divisor: u128 = @intCast(count);
        var i: usize = limbs;
        while (i > 0) {
            i -= 1;
            const part = rest << 64 | words[i];
            words[i] = @intCast(part / divisor);
            rest = part % divisor;
        }
        return nearest(words, sum.isNegative(), std.math.order(2 * rest, divisor), rest != 0);
    }

    /// `rest`: how what lies below the words compares with half of their unit; `more`: there is some.
    pub fn nearest(words: [limbs]u64, negative: bool, rest: std.math.Order, more: bool) ?f64 {
        var top: usize = limbs;
        while (top > 0 and words[top - 1] == 0) top -= 1;
        const bits = if (top == 0) 0 else 64 * top - @clz(words[top - 1]); // of the number
        var result: u64 = undefined;
        if (bits <= 53) {
            // Subnormals, and the first normal numbers, whose unit is the same: their bits are the number.
            result = words[0];
            if (more and (rest == .gt or (rest == .eq and result & 1 != 0))) result += 1;
        } else {
            const cut = bits - 53;
            var mantissa = take(words, cut);
            const half = words[(cut - 1) / 64] >> @intCast((cut - 1) % 64) & 1 != 0;
            if (half and (more or anyBelow(words, cut - 1) or mantissa & 1 != 0)) mantissa += 1;
            var exponent: u64 = cut + 1;
            if (mantissa == 1 << 53) {
                mantissa >>= 1;
                exponent += 1;
            }
            if (exponent >= 0x7ff) return null;
            result = exponent << 52 | (mantissa & 0xf_ffff_ffff_ffff);
        }
        return @bitCast(if (negative and result != 0) result | 1 << 63 else result);
    }

    /// 53 bits from bit `from` on.
    fn take(words: [limbs]u64, from: usize) u64 {
        const low = words[from / 64] >> @intCast(from % 64);
        const high = if (from % 64 == 0 or from / 64 + 1 == limbs) 0 else words[from / 64 + 1] << @intCast(64 - from % 64);
        return (low | high) & ((1 << 53) - 1);
    }

    fn anyBelow(words: [limbs]u64, bit: usize) bool {
        for (words[0 .. bit / 64]) |word| if (word != 0) return true;
        return bit % 64 != 0 and words[bit / 64] & ((@as(u64, 1) << @intCast(bit % 64)) - 1) != 0;
    }

    /// Its words, as `writeWords` does.
    pub fn write(sum: *const Sum, out: *[bytes_max]u8) []const u8 {
        const words = sum.magnitude();
        return writeWords(&words, sum.isNegative(), out);
    }

    /// What `write` wrote.
    pub fn read(bytes: []const u8) Sum {
        var sum: Sum = .{};
        if (readWords(&sum.words, bytes)) sum.words = sum.negated();
        return sum;
    }
};

/// The sum of the squares of doubles, in the same way: its unit is the square of that of a sum, and it has room for as many
/// of them. It is never below zero.
pub const Squares = struct {
    words: [square_limbs]u64 = @splat(0),

    pub fn add(squares: *Squares, number: f64, adding: bool) void {
        const parts = Parts.of(number) orelse return;
        const shift = 2 * parts.shift;
        const wide = @as(u192, @as(u128, parts.mantissa) * parts.mantissa) << @intCast(shift % 64);
        if (adding) plus(&squares.words, shift / 64, @bitCast(wide)) else minus(&squares.words, shift / 64, @bitCast(wide));
    }

    pub fn write(squares: *const Squares, out: *[square_bytes_max]u8) []const u8 {
        return writeWords(&squares.words, false, out);
    }

    pub fn read(bytes: []const u8) Squares {
        var squares: Squares = .{};
        _ = readWords(&squares.words, bytes);
        return squares;
    }
};

pub const square_limbs = 67; // 4,196 bits of squares, and 92 for their number
pub const square_bytes_max = 4 + 8 * square_limbs;

/// A double that is not zero: `mantissa` times the unit, `shift` bits further up.
const Parts = struct {
    mantissa: u64,
    shift: u32,
    negative: bool,

    fn of(number: f64) ?Parts {
        const bits: u64 = @bitCast(number);
        const exponent: u32 = @intCast(bits >> 52 & 0x7ff);
        var mantissa: u64 = bits & 0xf_ffff_ffff_ffff;
        if (mantissa == 0 and exponent == 0) return null;
        if (exponent != 0) mantissa |= 1 << 52;
        return .{ .mantissa = mantissa, .shift = if (exponent == 0) 0 else exponent - 1, .negative = bits >> 63 != 0 };
    }
};

fn plus(words: []u64, at: usize, parts: [3]u64) void {
    var carry: u1 = 0;
    var i = at;
    while (i < words.len and (i < at + parts.len or carry != 0)) : (i += 1) {
        const first = @addWithOverflow(words[i], if (i < at + parts.len) parts[i - at] else 0);
        const second = @addWithOverflow(first[0], carry);
        words[i] = second[0];
        carry = first[1] | second[1];
    }
}

fn minus(words: []u64, at: usize, parts: [3]u64) void {
    var borrow: u1 = 0;
    var i = at;
    while (i < words.len and (i < at + parts.len or borrow != 0)) : (i += 1) {
        const first = @subWithOverflow(words[i], if (i < at + parts.len) parts[i - at] else 0);
        const second = @subWithOverflow(first[0], borrow);
        words[i] = second[0];
        borrow = first[1] | second[1];
    }
}

/// The words between the first and the last that are not 0, behind their place and the sign.
fn writeWords(words: []const u64, negative: bool, out: []u8) []const u8 {
    var first: usize = 0;
    var end: usize = words.len;
    while (end > 0 and words[end - 1] == 0) end -= 1;
    while (first < end and words[first] == 0) first += 1;
    std.mem.writeInt(u16, out[0..2], @intCast(first), .little);
    std.mem.writeInt(u16, out[2..4], @intFromBool(negative), .little);
    for (words[first..end], 0..) |word, i| std.mem.writeInt(u64, out[4 + 8 * i ..][0..8], word, .little);
    return out[0 .. 4 + 8 * (end - first)];
}

/// What `writeWords` wrote, into words that are 0; whether it is negative.
fn readWords(words: []u64, bytes: []const u8) bool {
    if (bytes.len < 4) return false;
    const first = std.mem.readInt(u16, bytes[0..2], .little);
    for (0..(bytes.len - 4) / 8) |i| words[first + i] = std.mem.readInt(u64, bytes[4 + 8 * i ..][0..8], .little);
    return std.mem.readInt(u16, bytes[2..4], .little) != 0;
}

fn expectSum(expected: f64, values: []const f64) !void {
    var sum: Sum = .{};
    for (values) |value| sum.add(value, true);
    try std.testing.expectEqual(expected, sum.value().?);
    var buffer: [bytes_max]u8 = undefined;
    try std.testing.expectEqual(sum, Sum.read(sum.write(&buffer)));
    for (values) |value| sum.add(value, false);
    try std.testing.expectEqual(Sum{}, sum);
}

test "sums of floats are exact and rounded once" {
    try expectSum(0.0, &.{});
    try expectSum(1.0, &.{ 1e16, 1.0, -1e16 });
    try expectSum(0.1, &.{0.1});
    try expectSum(-0.1, &.{-0.1});
    try expectSum(5e-324, &.{5e-324});
    try expectSum(-5e-324, &.{ 5e-324, -1e-323 });
    try expectSum(2.2250738585072014e-308, &.{2.2250738585072014e-308});
    try expectSum(1.7976931348623157e308, &.{ 1.7976931348623157e308, 1e300, -1e300 });
    try expectSum(0.30000000000000004, &.{ 0.1, 0.2, 0.00000000000000000001 });
    try expectSum(9007199254740992.0, &.{ 9007199254740992.0, 1.0 });
    try expectSum(9007199254740994.0, &.{ 9007199254740992.0, 1.0, 1.0 });
    try expectSum(9007199254740996.0, &.{ 9007199254740994.0, 1.0 });
    var sum: Sum = .{};
    sum.add(1.7976931348623157e308, true);
    sum.add(1.7976931348623157e308, true);
    try std.testing.expectEqual(null, sum.value());
    try std.testing.expectEqual(1.7976931348623157e308, sum.average(2).?);
}

test "averages are the nearest double" {
    var prng = std.Random.DefaultPrng.init(7);
    const random = prng.random();
    for (0..2000) |_| {
        var sum: Sum = .{};
        const count = random.intRangeAtMost(i64, 1, 50);
        var whole: i64 = 0;
        for (0..@intCast(count)) |_| {
            const value = random.intRangeAtMost(i64, -1000, 1000);
            whole += value;
            sum.add(@floatFromInt(value), true);
        }
        const expected = @as(f64, @floatFromInt(whole)) / @as(f64, @floatFromInt(count));
        try std.testing.expectEqual(if (whole == 0) 0.0 else expected, sum.average(count).?);
    }
}
