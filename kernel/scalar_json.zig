//! Looking into JSON. It is canonical (json.zig), so it has no white space, and each value in it is canonical: what is
//! found is a part of the text, not a copy.

const std = @import("std");
const json = @import("json.zig");
const scratch = @import("scratch.zig");
const Failure = @import("cell.zig").Failure;

/// Where the string that begins at `at` ends, behind its quote.
fn afterString(text: []const u8, at: usize) usize {
    var end = at + 1;
    while (end < text.len and text[end] != '"') end += if (text[end] == '\\') 2 else 1;
    return @min(end + 1, text.len);
}

/// Where the value that begins at `at` ends.
fn afterValue(text: []const u8, at: usize) usize {
    var end = at;
    var depth: usize = 0;
    while (end < text.len) {
        switch (text[end]) {
            '"' => {
                end = afterString(text, end);
                if (depth == 0) return end;
                continue;
            },
            '{', '[' => depth += 1,
            '}', ']' => {
                if (depth == 0) return end; // behind a number or word that was the last in something
                depth -= 1;
                if (depth == 0) return end + 1;
            },
            ',' => if (depth == 0) return end,
            else => {},
        }
        end += 1;
    }
    return end;
}

/// The values in an array or object, one after the other.
const Values = struct {
    text: []const u8,
    at: usize,
    is_object: bool,
    /// Of an object: the member's key, from its quote to its quote.
    key: []const u8 = "",

    fn of(text: []const u8) ?Values {
        if (text.len < 2 or (text[0] != '{' and text[0] != '[')) return null;
        return .{ .text = text, .at = 0, .is_object = text[0] == '{' };
    }

    fn next(values: *Values) ?[]const u8 {
        const text = values.text;
        var at = values.at + 1; // behind a bracket or a comma
        if (at + 1 >= text.len) return null; // that was the end; an empty one is two bytes long
        if (values.is_object) {
            const end = afterString(text, at);
            values.key = text[at..end];
            at = @min(end + 1, text.len);
        }
        values.at = afterValue(text, at);
        return text[at..values.at];
    }
};

/// The value of a member of an object, or null: it has none of this name, or is no object.
pub fn member(text: []const u8, name: []const u8) ?[]const u8 {
    var values = Values.of(text) orelse return null;
    if (!values.is_object) return null;
    while (values.next()) |value| if (isKey(values.key, name)) return value;
    return null;
}

fn isKey(key: []const u8, name: []const u8) bool {
    if (key.len < 2 + name.len) return false; // escapes only make it longer
    const raw = key[1 .. key.len - 1];
    if (std.mem.findScalar(u8, raw, '\\') == null) return std.mem.eql(u8, raw, name);
    var characters: json.Characters = .{ .text = key, .at = 1 };
    for (name) |byte| if (characters.next() != byte) return false;
    return characters.next() == null;
}

/// An element of an array, from 0, or before its end if negative. Null: it has none there, or is no array.
pub fn element(text: []const u8, index: i64) ?[]const u8 {
    var values = Values.of(text) orelse return null;
    if (values.is_object) return null;
    var left = index;
    if (left < 0) left += length(text) orelse return null;
    if (left < 0) return null;
    while (values.next()) |value| : (left -= 1) if (left == 0) return value;
    return null;
}

/// How many members or elements. Null: neither object nor array.
pub fn length(text: []const u8) ?i64 {
    var values = Values.of(text) orelse return null;
    var count: i64 = 0;
    while (values.next()) |_| count += 1;
    return count;
}

/// What a string says; of all else its JSON. Null: JSON's null.
pub fn contents(text: []const u8) Failure!?[]const u8 {
    if (std.mem.eql(u8, text, "null")) return null;
    if (text.len < 2 or text[0] != '"') return text;
    if (std.mem.findScalar(u8, text, '\\') == null) return text[1 .. text.len - 1];
    const made = try scratch.take(text.len);
    var characters: json.Characters = .{ .text = text, .at = 1 };
    var len: usize = 0;
    while (characters.next()) |byte| : (len += 1) made[len] = byte;
    scratch.giveBack(made.len - len);
    return made[0..len];
}

pub fn kind(text: []const u8) []const u8 {
    if (text.len == 0) return "null";
    return switch (text[0]) {
        '{' => "object",
        '[' => "array",
        '"' => "string",
        't', 'f' => "boolean",
        'n' => "null",
        else => "number",
    };
}

/// The canonical form of what must be JSON.
pub fn parse(text: []const u8) Failure![]const u8 {
    const made = json.canonical(text) catch |err| return switch (err) {
        error.RowTooLong => error.TextTooLong,
        else => error.InvalidText,
    };
    return scratch.copy(made);
}

// ---------------------------------------------------------------- tests

const testing = std.testing;

test "ways into a value" {
    const text = "{\"\":[],\"a\":[1,[2,{\"x\":\"],}\"}],\"\\\"\"],\"b\\n\":{\"c\":null},\"z\":false}";
    try testing.expectEqualStrings(text, try json.canonical(text));
    try testing.expectEqualStrings("[]", member(text, "").?);
    try testing.expectEqualStrings("{\"c\":null}", member(text, "b\n").?);
    try testing.expectEqualStrings("false", member(text, "z").?);
    try testing.expectEqual(null, member(text, "b"));
    try testing.expectEqual(null, member(text, "b\\n"));
    const array = member(text, "a").?;
    try testing.expectEqual(3, length(array));
    try testing.expectEqualStrings("1", element(array, 0).?);
    try testing.expectEqualStrings("[2,{\"x\":\"],}\"}]", element(array, -2).?);
    try testing.expectEqualStrings("\"\\\"\"", element(array, 2).?);
    try testing.expectEqual(null, element(array, 3));
    try testing.expectEqual(null, element(array, -4));
    try testing.expectEqual(null, element(array, std.math.minInt(i64)));
    try testing.expectEqual(null, element(text, 0));
    try testing.expectEqual(null, member(array, "a"));
    try testing.expectEqual(0, length("{}"));
    try testing.expectEqual(null, length("12"));
}

test "contents and kinds" {
    scratch.reset();
    try testing.expectEqualStrings("a\"\\\x01\u{e9}/", (try contents("\"a\\\"\\\\\\u0001\u{e9}/\"")).?);
    try testing.expectEqualStrings("", (try contents("\"\"")).?);
    try testing.expectEqualStrings("[1]", (try contents("[1]")).?);
    try testing.expectEqual(null, try contents("null"));
    try testing.expectEqualStrings("number", kind("-1"));
    try testing.expectEqualStrings("{\"a\":1}", try parse(" { \"a\" : 1 } "));
    try testing.expectError(error.InvalidText, parse("{"));
}

test "bytes that are no JSON lead nowhere" {
    scratch.reset();
    for ([_][]const u8{ "", "{", "[", "\"", "\"\\", "{\"", "{\"a", "{\"a\"", "{\"a\":", "[1,", "[\"\\", "{}}", "\"\\u1" }) |text| {
        _ = member(text, "a");
        _ = element(text, 1);
        _ = element(text, -1);
        _ = try contents(text);
        _ = kind(text);
    }
}
