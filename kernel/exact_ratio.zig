//! Quotients of whole numbers of any length, and their square roots, rounded to a double once: the nearest there is, ties
//! to even. What an aggregate keeps is whole numbers; here they become what is shown.

const std = @import("std");
const exact = @import("exact_sum.zig");

/// A number above zero: `bits`, of which the highest is set, and something less than their unit if there is `more`, times
/// two to `exponent`.
pub const Quotient = struct {
    bits: u128,
    more: bool,
    exponent: i64,

    /// `numerator`, the lowest word first, by `denominator`, which is above zero. Null: zero. O(bits of the denominator).
    pub fn of(numerator: []const u64, denominator: u256) ?Quotient {
        const own = bitsOf(numerator);
        if (own == 0) return null;
        const wanted: usize = 256 - @clz(denominator);
        const taken = @min(own, wanted);
        var left = own - taken; // bits of the numerator that the rest does not have yet
        var rest = @as(u320, bitsFrom(numerator, left, taken)) << @intCast(wanted - taken);
        var exponent = @as(i64, @intCast(left)) - @as(i64, @intCast(wanted - taken));
        var bits: u128 = 0;
        while (true) {
            bits <<= 1;
            if (rest >= denominator) {
                rest -= denominator;
                bits |= 1;
            }
            if (bits >> 127 != 0) break;
            rest <<= 1;
            if (left > 0) {
                left -= 1;
                rest |= numerator[left / 64] >> @intCast(left % 64) & 1;
            }
            exponent -= 1;
        }
        return .{ .bits = bits, .more = rest != 0 or anyBelow(numerator, left), .exponent = exponent };
    }

    /// The same times two to `by`.
    pub fn scaled(quotient: Quotient, by: i64) Quotient {
        return .{ .bits = quotient.bits, .more = quotient.more, .exponent = quotient.exponent + by };
    }

    /// Its square root, to 63 bits at least.
    pub fn root(quotient: Quotient) Quotient {
        var bits = quotient.bits;
        var more = quotient.more;
        const odd = @mod(quotient.exponent, 2) != 0;
        if (odd) {
            more = more or bits & 1 != 0;
            bits >>= 1;
        }
        const found = rootOf(bits);
        return .{
            .bits = found,
            .more = more or @as(u128, found) * found != bits,
            .exponent = @divExact(quotient.exponent + @intFromBool(odd), 2),
        };
    }

    /// The nearest double; null: beyond all of them.
    pub fn nearest(quotient: Quotient) ?f64 {
        var words: [exact.limbs]u64 = @splat(0);
        const shift = quotient.exponent - exact.unit;
        if (shift >= 0) {
            if (shift + (128 - @clz(quotient.bits)) > 64 * exact.limbs) return null;
            const place: usize = @intCast(shift);
            const wide: [3]u64 = @bitCast(@as(u192, quotient.bits) << @intCast(place % 64));
            for (wide, place / 64..) |word, i| if (word != 0) {
                words[i] = word;
            };
            return exact.Sum.nearest(words, false, .lt, quotient.more);
        }
        if (shift < -128) return 0.0;
        const cut: u8 = @intCast(-shift);
        const whole = @as(u256, quotient.bits);
        const kept: [2]u64 = @bitCast(@as(u128, @intCast(whole >> cut)));
        @memcpy(words[0..2], &kept);
        const below = whole & ((@as(u256, 1) << cut) - 1);
        var rest = std.math.order(below, @as(u256, 1) << (cut - 1));
        if (rest == .eq and quotient.more) rest = .gt;
        return exact.Sum.nearest(words, false, rest, quotient.more or below != 0);
    }
};

/// The greatest whole number whose square is not above.
fn rootOf(number: u128) u64 {
    var found: u64 = 0;
    var bit: u64 = 1 << 63;
    while (bit != 0) : (bit >>= 1) {
        const tried = found | bit;
        if (@as(u128, tried) * tried <= number) found = tried;
    }
    return found;
}

fn bitsOf(words: []const u64) usize {
    var top = words.len;
    while (top > 0 and words[top - 1] == 0) top -= 1;
    return if (top == 0) 0 else 64 * top - @clz(words[top - 1]);
}

/// `count` bits, at most 256, from bit `from` on.
fn bitsFrom(words: []const u64, from: usize, count: usize) u256 {
    var found: u320 = 0;
    var i: usize = 5;
    while (i > 0) {
        i -= 1;
        const at = from / 64 + i;
        found = found << 64 | (if (at < words.len) words[at] else 0);
    }
    found >>= @intCast(from % 64);
    return @truncate(found & ((@as(u320, 1) << @intCast(count)) - 1));
}

fn anyBelow(words: []const u64, bit: usize) bool {
    for (words[0 .. bit / 64]) |word| if (word != 0) return true;
    return bit % 64 != 0 and words[bit / 64] & ((@as(u64, 1) << @intCast(bit % 64)) - 1) != 0;
}

fn expectQuotient(expected: f64, numerator: []const u64, denominator: u256, exponent: i64) !void {
    const found = Quotient.of(numerator, denominator).?.scaled(exponent);
    try std.testing.expectEqual(expected, found.nearest().?);
}

test "quotients are the nearest double" {
    try expectQuotient(0.1, &.{1}, 10, 0);
    try expectQuotient(1.0 / 3.0, &.{ 1, 0 }, 3, 0);
    try expectQuotient(2.0 / 3.0, &.{2}, 3, 0);
    try expectQuotient(9007199254740992.0, &.{9007199254740993}, 1, 0); // a tie goes to the even one
    try expectQuotient(9007199254740994.0, &.{ 3, 9007199254740993 }, 1 << 64, 0);
    try expectQuotient(5e-324, &.{1}, 1, -1074);
    try expectQuotient(0.0, &.{1}, 2, -1074); // a tie, and zero is even
    try expectQuotient(5e-324, &.{ 1, 1 }, 1 << 65, -1074);
    try expectQuotient(1e-323, &.{3}, 2, -1074);
    try expectQuotient(0.0, &.{1}, 1, -2000);
    try expectQuotient(1.7976931348623157e308, &.{0xffff_ffff_ffff_f800}, 1, 960);
    try std.testing.expectEqual(null, Quotient.of(&.{1}, 1).?.scaled(1024).nearest());
    try std.testing.expectEqual(null, Quotient.of(&.{1}, 1).?.scaled(99_999).nearest());
    try std.testing.expectEqual(null, Quotient.of(&.{ 0, 0 }, 7));
}

test "square roots are the nearest double" {
    var prng = std.Random.DefaultPrng.init(11);
    const random = prng.random();
    for (0..2000) |_| {
        const number = random.int(u64) >> random.int(u6);
        const exponent = 2 * random.intRangeAtMost(i64, -300, 300);
        if (number == 0) continue;
        const found = Quotient.of(&.{number}, 1).?.scaled(exponent).root().nearest().?;
        // The root of what a double holds is rounded as hardware does.
        if (number < 1 << 53) {
            const whole: f64 = @floatFromInt(number);
            try std.testing.expectEqual(std.math.ldexp(@sqrt(whole), @intCast(@divExact(exponent, 2))), found);
        }
        const squared = Quotient.of(&@as([2]u64, @bitCast(@as(u128, number) * number)), 1).?.root();
        try std.testing.expect(!squared.more);
        try std.testing.expectEqual(@as(f64, @floatFromInt(number)), squared.nearest().?);
    }
}
