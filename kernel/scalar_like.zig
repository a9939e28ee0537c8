//! `like`: `%` stands for any text, `_` for one character, all else for itself.
//!
//! Where a pattern fails behind a `%`, that `%` takes one character more: no other one before it need be looked at again.
//! So it takes O(text · pattern) at worst and no memory.

const std = @import("std");
const Failure = @import("cell.zig").Failure;

/// `how` as an instruction has it: bit 0: A is a; bits 8-31: the code point of the escape character, 0 for none.
/// InvalidText: the pattern ends in one.
pub fn like(text: []const u8, pattern: []const u8, how: i64) Failure!bool {
    var buffer: [4]u8 = undefined;
    const code: u21 = @intCast(how >> 8 & 0x1f_ffff);
    const len = if (code == 0) 0 else std.unicode.utf8Encode(code, &buffer) catch return error.InvalidText;
    const escape = buffer[0..len];
    if (len > 0) try checkEnd(pattern, escape);
    return if (how & 1 != 0) matches(true, text, pattern, escape) else matches(false, text, pattern, escape);
}

/// Something must follow each escape character.
fn checkEnd(pattern: []const u8, escape: []const u8) Failure!void {
    var at: usize = 0;
    while (at < pattern.len) : (at += 1) {
        if (!std.mem.startsWith(u8, pattern[at..], escape)) continue;
        at += escape.len;
        if (at == pattern.len) return error.InvalidText;
    }
}

fn matches(comptime ignore_case: bool, text: []const u8, pattern: []const u8, escape: []const u8) bool {
    var at: usize = 0;
    var next: usize = 0;
    // Behind the last % that was met, and where the text goes on if it takes as little as it may.
    var again_next: ?usize = null;
    var again_at: usize = 0;
    // What must stand there, if it is only one byte: one that begins a character.
    var wanted: ?u8 = null;
    while (true) {
        if (next == pattern.len) {
            if (at == text.len) return true;
        } else {
            const byte = pattern[next];
            const is_escaped = escape.len > 0 and byte == escape[0] and std.mem.startsWith(u8, pattern[next..], escape);
            if (is_escaped) {
                const literal = next + escape.len;
                if (at < text.len and isSame(ignore_case, text[at], pattern[literal])) {
                    at += 1;
                    next = literal + 1;
                    continue;
                }
            } else if (byte == '%') {
                next += 1;
                if (next == pattern.len) return true;
                again_next = next;
                wanted = if (ignore_case) null else literalByte(pattern[next], escape);
                if (wanted) |first| at = find(text, at, first) orelse return false;
                again_at = at;
                continue;
            } else if (at < text.len) {
                if (byte == '_') {
                    at = after(text, at);
                    next += 1;
                    continue;
                }
                if (isSame(ignore_case, text[at], byte)) {
                    at += 1;
                    next += 1;
                    continue;
                }
            }
        }
        next = again_next orelse return false;
        if (again_at == text.len) return false;
        again_at = after(text, again_at);
        if (wanted) |first| again_at = find(text, again_at, first) orelse return false;
        at = again_at;
    }
}

/// A byte of a pattern, unless it may stand for something else.
fn literalByte(byte: u8, escape: []const u8) ?u8 {
    if (byte == '%' or byte == '_' or (escape.len > 0 and byte == escape[0])) return null;
    return byte;
}

fn find(text: []const u8, start: usize, byte: u8) ?usize {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    for (text[start..], start..) |one, at| if (one == byte) return at;
    return null;
}

inline fn isSame(comptime ignore_case: bool, a: u8, b: u8) bool {
    return if (ignore_case) std.ascii.toLower(a) == std.ascii.toLower(b) else a == b;
}

fn after(text: []const u8, at: usize) usize {
    var end = at + 1;
    while (end < text.len and text[end] & 0xc0 == 0x80) end += 1;
    return end;
}

const backslash = '\\' << 8;

test "patterns" {
    const expect = std.testing.expect;
    for ([_][2][]const u8{
        .{ "", "" },       .{ "", "%" },                   .{ "abc", "a%" },     .{ "abc", "%c" },
        .{ "abc", "_b_" }, .{ "abc", "%b%" },              .{ "a%c", "a\\%c" },  .{ "a\\c", "a\\\\c" },
        .{ "abc", "%%" },  .{ "abab", "%ab" },             .{ "\u{e9}x", "_x" }, .{ "x\u{1f98a}", "%_" },
        .{ "aab", "%a_" }, .{ "mississippi", "%iss%ip%" }, .{ "a_b", "a\\_b" },  .{ "\u{e9}", "\\\u{e9}" },
    }) |case| try expect(try like(case[0], case[1], backslash));
    for ([_][2][]const u8{
        .{ "", "_" }, .{ "abc", "ab" }, .{ "abc", "a\\%c" }, .{ "\u{e9}", "__" }, .{ "ABC", "abc" }, .{ "abc", "%b" }, .{ "abc", "____" },
    }) |case| try expect(!try like(case[0], case[1], backslash));
    try expect(try like("ABC", "aBc", 1));
    try expect(try like("a%", "a!%", '!' << 8));
    try expect(try like("a\u{e9}", "a\u{e9}\u{e9}", 0xe9 << 8));
    try expect(try like("a\\", "_\\", 0));
    try std.testing.expectError(error.InvalidText, like("x", "\\", backslash));
    try std.testing.expectError(error.InvalidText, like("", "\\\\\\", backslash));
}
