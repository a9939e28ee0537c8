//! Numbers as texts, and texts as numbers.
//!
//! A float is written with the fewest digits that read back as the same float, in the form that json.zig gives numbers,
//! but without `.0`. What is read may have white space around it; decimals and floats may have an exponent.

const std = @import("std");
const scratch = @import("scratch.zig");
const json = @import("json.zig");
const number = @import("scalar_number.zig");
const trimmed = @import("scalar_text.zig").trimmed;
const Failure = @import("cell.zig").Failure;
const float = std.fmt.float;

// ---------------------------------------------------------------- writing

/// The longest is a float with 17 digits, point, sign and exponent, or a decimal of 18 digits.
const Buffer = struct {
    bytes: [32]u8 = undefined,
    len: usize = 0,

    pub fn put(buffer: *Buffer, byte: u8) error{}!void {
        buffer.bytes[buffer.len] = byte;
        buffer.len += 1;
    }
    pub fn puts(buffer: *Buffer, bytes: []const u8) error{}!void {
        @memcpy(buffer.bytes[buffer.len..][0..bytes.len], bytes);
        buffer.len += bytes.len;
    }
    fn copy(buffer: *const Buffer) Failure![]const u8 {
        return scratch.copy(buffer.bytes[0..buffer.len]);
    }
};

/// The digits of a whole number.
fn digitsOf(value: u64, bytes: *[20]u8) []const u8 {
    var at: usize = bytes.len;
    var rest = value;
    while (true) {
        at -= 1;
        bytes[at] = '0' + @as(u8, @intCast(rest % 10));
        rest /= 10;
        if (rest == 0) return bytes[at..];
    }
}

pub fn ofInt(value: i64) Failure![]const u8 {
    return ofDecimal(value, 0);
}

pub fn ofDecimal(value: i64, scale: i64) Failure![]const u8 {
    var bytes: [20]u8 = undefined;
    const digits = digitsOf(@abs(value), &bytes);
    const behind: usize = @intCast(scale);
    var buffer: Buffer = .{};
    if (value < 0) try buffer.put('-');
    if (digits.len > behind) {
        try buffer.puts(digits[0 .. digits.len - behind]);
    } else try buffer.put('0');
    if (behind == 0) return buffer.copy();
    try buffer.put('.');
    for (digits.len..@max(digits.len, behind)) |_| try buffer.put('0');
    try buffer.puts(digits[digits.len -| behind..]);
    return buffer.copy();
}

pub fn ofFloat(value: f64) Failure![]const u8 {
    _ = try number.finite(value);
    const shortest = float.binaryToDecimal(u64, @bitCast(value), 52, 11, false, &float.Backend64_TablesFull);
    var bytes: [20]u8 = undefined;
    const digits = digitsOf(shortest.mantissa, &bytes);
    const counting = std.mem.trimEnd(u8, digits, "0");
    var buffer: Buffer = .{};
    if (shortest.sign and counting.len > 0) try buffer.put('-');
    const power = @as(i64, @intCast(digits.len)) + shortest.exponent;
    try json.putDecimal(&buffer, counting, power, "");
    return buffer.copy();
}

// ---------------------------------------------------------------- reading

pub fn toInt(text: []const u8) Failure!i64 {
    const word = trimmed(text);
    const is_negative = word.len > 0 and word[0] == '-';
    const digits = word[@intFromBool(is_negative or (word.len > 0 and word[0] == '+'))..];
    if (digits.len == 0) return error.InvalidText;
    var value: i64 = 0; // below zero there is one number more
    var fits = true;
    for (digits) |byte| {
        if (!std.ascii.isDigit(byte)) return error.InvalidText;
        const tens, const lost = @mulWithOverflow(value, 10);
        const all, const over = @subWithOverflow(tens, byte - '0');
        if (lost | over != 0) fits = false;
        value = all;
    }
    if (!fits) return error.OutOfRange;
    return if (is_negative) value else number.sub(0, value);
}

/// A number as it is written: digits, of which `whole` stand before the point, times 10^exponent.
const Written = struct {
    is_negative: bool,
    /// Digits, and maybe a point among them.
    mantissa: []const u8,
    whole: usize,
    exponent: i64,
};

const exponent_max = 1 << 40;

fn read(text: []const u8) Failure!Written {
    const word = trimmed(text);
    var at: usize = 0;
    const is_negative = word.len > 0 and word[0] == '-';
    if (is_negative or (word.len > 0 and word[0] == '+')) at = 1;
    const start = at;
    while (at < word.len and std.ascii.isDigit(word[at])) at += 1;
    const whole = at - start;
    var digits = whole;
    if (at < word.len and word[at] == '.') {
        at += 1;
        while (at < word.len and std.ascii.isDigit(word[at])) {
            at += 1;
            digits += 1;
        }
    }
    if (digits == 0) return error.InvalidText;
    const mantissa = word[start..at];
    const exponent = if (at < word.len) try readExponent(word[at..]) else 0;
    return .{ .is_negative = is_negative, .mantissa = mantissa, .whole = whole, .exponent = exponent };
}

fn readExponent(text: []const u8) Failure!i64 {
    if (text[0] | 0x20 != 'e') return error.InvalidText;
    const is_signed = text.len > 1 and (text[1] == '-' or text[1] == '+');
    const digits = text[1 + @as(usize, @intFromBool(is_signed)) ..];
    if (digits.len == 0) return error.InvalidText;
    var exponent: i64 = 0;
    for (digits) |byte| {
        if (!std.ascii.isDigit(byte)) return error.InvalidText;
        exponent = @min(10 * exponent + (byte - '0'), exponent_max);
    }
    return if (is_signed and text[1] == '-') -exponent else exponent;
}

/// Half away from zero, for which the first digit too many is enough to know.
pub fn toDecimal(text: []const u8, scale: i64) Failure!i64 {
    const written = try read(text);
    var left = @as(i64, @intCast(written.whole)) + written.exponent + scale; // digits that count
    var value: u64 = 0;
    for (written.mantissa) |byte| {
        if (byte == '.') continue;
        const digit = byte - '0';
        if (left <= 0) {
            if (left == 0 and digit >= 5) value += 1;
            break;
        }
        value = try shifted(value, digit);
        left -= 1;
    } else if (value != 0) {
        while (left > 0) : (left -= 1) value = try shifted(value, 0);
    }
    const signed: i128 = if (written.is_negative) -@as(i128, value) else value;
    return std.math.cast(i64, signed) orelse error.OutOfRange;
}

fn shifted(value: u64, digit: u64) Failure!u64 {
    if (value > std.math.maxInt(i64) / 10) return error.OutOfRange;
    return 10 * value + digit;
}

/// The nearest; what is nearer to zero than to any other float is zero.
pub fn toFloat(text: []const u8) Failure!f64 {
    _ = try read(text);
    const value = std.fmt.parseFloat(f64, trimmed(text)) catch return error.InvalidText;
    return if (std.math.isFinite(value)) value else error.OutOfRange;
}

// ---------------------------------------------------------------- tests

const testing = std.testing;

test "numbers are written as they are read" {
    scratch.reset();
    for ([_][]const u8{ "0", "7", "-9223372036854775808", "9223372036854775807" }) |text|
        try testing.expectEqualStrings(text, try ofInt(try toInt(text)));
    for ([_][]const u8{ "0.00", "-0.05", "0.50", "123456789012345.67", "-92233720368547758.08" }) |text|
        try testing.expectEqualStrings(text, try ofDecimal(try toDecimal(text, 2), 2));
    for ([_][]const u8{ "0", "1", "-1.5", "100", "0.1", "0.0001", "1e-05", "1e+16", "1234567890123456", "5e-324", "1.7976931348623157e+308", "-2.5e-07" }) |text|
        try testing.expectEqualStrings(text, try ofFloat(try toFloat(text)));
    try testing.expectEqualStrings("0.000000000000000001", try ofDecimal(1, 18));
    try testing.expectEqualStrings("0", try ofFloat(-0.0));
}

test "decimals are rounded half away from zero" {
    try testing.expectEqual(13, toDecimal("1.25", 1));
    try testing.expectEqual(-13, toDecimal(" -1.25 ", 1));
    try testing.expectEqual(1, toDecimal(".05", 1));
    try testing.expectEqual(0, toDecimal(".049", 1));
    try testing.expectEqual(0, toDecimal("9e-99", 1));
    try testing.expectEqual(150, toDecimal("1.5e1", 1));
    try testing.expectEqual(0, toDecimal("0e999999999999999", 1));
    try testing.expectEqual(std.math.minInt(i64), toDecimal("-9223372036854775808", 0));
    try testing.expectError(error.OutOfRange, toDecimal("9223372036854775807.5", 0));
    try testing.expectError(error.OutOfRange, toDecimal("1e999999999999999", 1));
}

test "what is no number" {
    for ([_][]const u8{ "", " ", "+", "-", "1x", "1 2", "0x1", "1_0", "--1", "99999999999999999999x" }) |text|
        try testing.expectError(error.InvalidText, toInt(text));
    for ([_][]const u8{ "", ".", "-.", "e1", "1e", "1e+", "1.2.3", "inf", "nan", "0x1p3", "1_0", "1e5x" }) |text| {
        try testing.expectError(error.InvalidText, toFloat(text));
        try testing.expectError(error.InvalidText, toDecimal(text, 2));
    }
    try testing.expectError(error.OutOfRange, toInt("9223372036854775808"));
    try testing.expectError(error.OutOfRange, toInt("99999999999999999999"));
    try testing.expectError(error.OutOfRange, toFloat("1e309"));
    try testing.expectEqual(0, toFloat("1e-400"));
}
