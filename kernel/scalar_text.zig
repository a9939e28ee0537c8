//! Functions of SQL on texts. Positions and lengths are in code points, and so is what a pattern's `_` stands for.
//!
//! A text in a row is UTF-8; still nothing here leads out of a slice if one is not: a code point is a byte and the
//! continuation bytes behind it. Letters that have two cases are those of ASCII. What is made lies in scratch.zig; what is
//! only a part of its operand is no copy.

const std = @import("std");
const scratch = @import("scratch.zig");
const Failure = @import("cell.zig").Failure;

inline fn isContinuation(byte: u8) bool {
    return byte & 0xc0 == 0x80;
}

/// Where the code point at `at` ends. There is one.
inline fn after(text: []const u8, at: usize) usize {
    var end = at + 1;
    while (end < text.len and isContinuation(text[end])) end += 1;
    return end;
}

/// Where the code point that ends at `end` begins. There is one.
inline fn before(text: []const u8, end: usize) usize {
    var at = end - 1;
    while (at > 0 and isContinuation(text[at])) at -= 1;
    return at;
}

/// Where the code point number `count` begins, or the end.
fn skip(text: []const u8, count: u64) usize {
    if (count >= text.len) return text.len;
    var at: usize = 0;
    for (0..@intCast(count)) |_| {
        if (at == text.len) break;
        at = after(text, at);
    }
    return at;
}

pub fn length(text: []const u8) i64 {
    var count: usize = 0;
    for (text) |byte| count += @intFromBool(!isContinuation(byte));
    return @intCast(count);
}

pub fn concat(a: []const u8, b: []const u8) Failure![]const u8 {
    if (b.len == 0) return a;
    if (a.len == 0) return b;
    if (scratch.isLast(a)) { // goes on where `a` ends
        @memcpy(try scratch.take(b.len), b);
        return a.ptr[0 .. a.len + b.len];
    }
    const made = try scratch.take(a.len + b.len);
    @memcpy(made[0..a.len], a);
    @memcpy(made[a.len..], b);
    return made;
}

pub fn lower(text: []const u8) Failure![]const u8 {
    const made = try scratch.take(text.len);
    for (made, text) |*to, byte| to.* = std.ascii.toLower(byte);
    return made;
}

pub fn upper(text: []const u8) Failure![]const u8 {
    const made = try scratch.take(text.len);
    for (made, text) |*to, byte| to.* = std.ascii.toUpper(byte);
    return made;
}

// ---------------------------------------------------------------- parts

/// From position `start`, which may lie before the text, counting from 1.
pub fn substr(text: []const u8, start: i64, count: ?i64) Failure![]const u8 {
    const first: u64 = @intCast(@max(start, 1) - 1);
    const from = skip(text, first);
    const wanted = count orelse return text[from..];
    if (wanted < 0) return error.OutOfRange;
    const end = start +| wanted; // position behind the last
    if (end <= 1) return text[0..0];
    const rest = text[from..];
    return rest[0..skip(rest, @as(u64, @intCast(end - 1)) -| first)];
}

/// Negative: all but so many at the end.
pub fn left(text: []const u8, count: i64) []const u8 {
    const kept = if (count >= 0) count else @max(0, length(text) +| count);
    return text[0..skip(text, @intCast(kept))];
}

/// Negative: all but so many at the start.
pub fn right(text: []const u8, count: i64) []const u8 {
    if (count < 0) return text[skip(text, @abs(count))..];
    return text[skip(text, @intCast(@max(0, length(text) -| count)))..];
}

pub const trim_left = 1;
pub const trim_right = 2;

/// Takes characters of `set` away.
pub fn trim(text: []const u8, set: []const u8, sides: i64) []const u8 {
    var start: usize = 0;
    var end = text.len;
    if (sides & trim_left != 0) while (start < end) {
        const next = after(text, start);
        if (!isIn(set, text[start..next])) break;
        start = next;
    };
    if (sides & trim_right != 0) while (end > start) {
        const previous = before(text, end);
        if (!isIn(set, text[previous..end])) break;
        end = previous;
    };
    return text[start..@max(start, end)];
}

fn isIn(set: []const u8, character: []const u8) bool {
    var at: usize = 0;
    while (at < set.len) {
        const next = after(set, at);
        if (std.mem.eql(u8, set[at..next], character)) return true;
        at = next;
    }
    return false;
}

/// Without white space around it, as texts may have that are read as something else.
pub fn trimmed(text: []const u8) []const u8 {
    return std.mem.trim(u8, text, " \t\n\r\x0b\x0c");
}

// ---------------------------------------------------------------- search

pub fn startsWith(text: []const u8, prefix: []const u8) bool {
    return std.mem.startsWith(u8, text, prefix);
}

/// Of the first occurrence, from 1; 0: it is not there.
pub fn position(text: []const u8, wanted: []const u8) i64 {
    const at = std.mem.find(u8, text, wanted) orelse return 0;
    return 1 + length(text[0..at]);
}

pub fn replace(text: []const u8, from: []const u8, to: []const u8) Failure![]const u8 {
    if (from.len == 0) return text;
    var found: usize = 0;
    var at: usize = 0;
    while (std.mem.findPos(u8, text, at, from)) |place| : (at = place + from.len) found += 1;
    if (found == 0) return text;
    const made = try scratch.take(text.len - found * from.len + found * to.len);
    var len: usize = 0;
    at = 0;
    while (std.mem.findPos(u8, text, at, from)) |place| : (at = place + from.len) {
        len = append(made, len, text[at..place]);
        len = append(made, len, to);
    }
    _ = append(made, len, text[at..]);
    return made;
}

fn append(made: []u8, len: usize, part: []const u8) usize {
    @memcpy(made[len..][0..part.len], part);
    return len + part.len;
}

// ---------------------------------------------------------------- made longer, turned around

pub fn repeat(text: []const u8, count: i64) Failure![]const u8 {
    if (count <= 0 or text.len == 0) return text[0..0];
    const made = try scratch.take(text.len *| @as(u64, @intCast(count)));
    var at: usize = 0;
    while (at < made.len) : (at += text.len) @memcpy(made[at..][0..text.len], text);
    return made;
}

/// So many characters long: cut at the end, or filled up on the left with `fill`, again and again from its start.
pub fn padLeft(text: []const u8, count: i64, fill: []const u8) Failure![]const u8 {
    const kept = left(text, @max(count, 0));
    const padding = try padded(count, text, fill) orelse return kept;
    return concat(padding, kept);
}

pub fn padRight(text: []const u8, count: i64, fill: []const u8) Failure![]const u8 {
    const kept = left(text, @max(count, 0));
    const padding = try padded(count, text, fill) orelse return kept;
    return concat(kept, padding);
}

/// What is missing; null: nothing.
fn padded(count: i64, text: []const u8, fill: []const u8) Failure!?[]const u8 {
    const missing = count -| length(text);
    const width = length(fill);
    if (missing <= 0 or width == 0) return null;
    const whole = try repeat(fill, @divTrunc(missing, width));
    return try concat(whole, left(fill, @rem(missing, width)));
}

pub fn reverse(text: []const u8) Failure![]const u8 {
    const made = try scratch.take(text.len);
    var at: usize = 0;
    while (at < text.len) {
        const next = after(text, at);
        @memcpy(made[text.len - next ..][0 .. next - at], text[at..next]);
        at = next;
    }
    return made;
}

// ---------------------------------------------------------------- bool, uuid

pub fn ofBool(value: bool) []const u8 {
    return if (value) "true" else "false";
}

/// As PostgreSQL reads them: also a beginning that leaves no doubt.
pub fn toBool(text: []const u8) Failure!bool {
    const word = trimmed(text);
    if (word.len == 0) return error.InvalidText;
    for ([_][]const u8{ "true", "yes", "on", "1" }) |whole| if (isBeginning(word, whole)) return true;
    for ([_][]const u8{ "false", "no", "off", "0" }) |whole| if (isBeginning(word, whole)) return false;
    return error.InvalidText;
}

fn isBeginning(word: []const u8, whole: []const u8) bool {
    if (word.len == 1 and word[0] | 0x20 == 'o') return false; // on, or off?
    return word.len <= whole.len and std.ascii.eqlIgnoreCase(word, whole[0..word.len]);
}

pub fn ofUuid(bytes: []const u8) Failure![]const u8 {
    if (bytes.len != 16) return error.InvalidText;
    const made = try scratch.take(36);
    var at: usize = 0;
    for (bytes, 0..) |byte, i| {
        if (i == 4 or i == 6 or i == 8 or i == 10) {
            made[at] = '-';
            at += 1;
        }
        const hex = "0123456789abcdef";
        made[at] = hex[byte >> 4];
        made[at + 1] = hex[byte & 15];
        at += 2;
    }
    return made;
}

/// 32 hexadecimal digits; hyphens may follow groups of four, and braces stand around all.
pub fn toUuid(text: []const u8) Failure![]const u8 {
    var rest = trimmed(text);
    if (rest.len >= 2 and rest[0] == '{' and rest[rest.len - 1] == '}') rest = rest[1 .. rest.len - 1];
    const made = try scratch.take(16);
    var digits: usize = 0;
    for (rest, 0..) |byte, i| {
        if (byte == '-') {
            if (digits == 0 or digits == 32 or digits % 4 != 0 or rest[i - 1] == '-') return error.InvalidText;
            continue;
        }
        const digit = std.fmt.charToDigit(byte, 16) catch return error.InvalidText;
        if (digits == 32) return error.InvalidText;
        if (digits % 2 == 0) made[digits / 2] = digit << 4 else made[digits / 2] |= digit;
        digits += 1;
    }
    if (digits != 32) return error.InvalidText;
    return made;
}

// ---------------------------------------------------------------- tests

const testing = std.testing;

test "parts are cut between characters" {
    const text = "a\u{e9}\u{1f98a}z";
    try testing.expectEqual(4, length(text));
    try testing.expectEqualStrings("\u{e9}\u{1f98a}", try substr(text, 2, 2));
    try testing.expectEqualStrings("a", try substr(text, -1, 3));
    try testing.expectEqualStrings("", try substr(text, -5, 3));
    try testing.expectEqualStrings(text, try substr(text, std.math.minInt(i64), null));
    try testing.expectEqualStrings("z", try substr(text, 4, std.math.maxInt(i64)));
    try testing.expectError(error.OutOfRange, substr(text, 1, -1));
    try testing.expectEqualStrings("a\u{e9}\u{1f98a}", left(text, -1));
    try testing.expectEqualStrings("", left(text, std.math.minInt(i64)));
    try testing.expectEqualStrings("\u{1f98a}z", right(text, 2));
    try testing.expectEqualStrings("", right(text, std.math.minInt(i64)));
    try testing.expectEqualStrings(text, right(text, std.math.maxInt(i64)));
    try testing.expectEqualStrings("\u{1f98a}", trim(text, "za\u{e9}", trim_left | trim_right));
    scratch.reset();
    try testing.expectEqualStrings("z\u{1f98a}\u{e9}a", try reverse(text));
}

test "texts grow" {
    scratch.reset();
    const ab = try concat("a", "b");
    const abc = try concat(ab, "c");
    try testing.expectEqual(ab.ptr, abc.ptr);
    try testing.expectEqualStrings("abd", try concat(ab, "d"));
    try testing.expectEqualStrings("abc", abc);
    try testing.expectEqualStrings("xyxabc", try padLeft(abc, 6, "xy"));
    try testing.expectEqualStrings("ab", try padLeft(abc, 2, "xy"));
    try testing.expectEqualStrings("abcxyx", try padRight(abc, 6, "xy"));
    try testing.expectEqualStrings("1-2-3", try replace("1, 2, 3", ", ", "-"));
    try testing.expectError(error.TextTooLong, repeat("ab", std.math.maxInt(i64)));
    scratch.reset();
}

test "bytes that are no UTF-8 lead nowhere" {
    scratch.reset();
    for ([_][]const u8{ "\x80", "\x80\x80", "\xff\x80", "a\xe9", "\xf0" }) |bytes| {
        _ = try substr(bytes, 1, 1);
        _ = trim(bytes, bytes, trim_left | trim_right);
        _ = left(bytes, -1);
        _ = right(bytes, 1);
        try testing.expectEqual(bytes.len, (try reverse(bytes)).len);
        _ = try padLeft(bytes, 3, bytes);
    }
}

test "bools and uuids" {
    scratch.reset();
    for ([_][]const u8{ "t", "TRUE", " tru ", "y", "on", "1" }) |text| try testing.expect(try toBool(text));
    for ([_][]const u8{ "f", "False", "n", "of", "0" }) |text| try testing.expect(!try toBool(text));
    for ([_][]const u8{ "", "o", "truer", "2", "01" }) |text| try testing.expectError(error.InvalidText, toBool(text));
    const text = "00112233-4455-6677-8899-aabbccddeeff";
    try testing.expectEqualStrings(text, try ofUuid(try toUuid(text)));
    try testing.expectEqualStrings(text, try ofUuid(try toUuid(" {00112233445566778899AABBCCDDEEFF} ")));
    for ([_][]const u8{ "", "-", text ++ "0", text ++ "-", "-" ++ text, "{" ++ text, "0" ++ text[2..] ++ "0-", "g" ++ text[1..] }) |bad|
        try testing.expectError(error.InvalidText, toUuid(bad));
}
