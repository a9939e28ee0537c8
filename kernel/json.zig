//! JSON: is it valid, and its canonical bytes (docs/formats.md, "Canonical JSON").
//!
//! Equal values have equal bytes, so that the state's hash, the order of keys and `update` without a change need no
//! notion of JSON. Numbers are never rounded: integers stay as they are written, others are decimals of all their digits.
//! The grammar is that of RFC 8259; as RFC 7493 demands, a key stands once in an object and strings are whole characters.
//!
//! No recursion: what is open lies in `frames`, so that the depth of a value costs no stack.

const std = @import("std");
const layout = @import("layout.zig");
const Error = error{ InvalidRow, InvalidNumber, RowTooLong };

/// An array, or an object and where its members begin in `members`.
const Frame = struct { is_object: bool, out_at: u32, members_at: u32 };

/// A member of an open object: where it lies in the output, from the quote of its key to behind its value.
const Member = struct { at: u32, end: u32 };

/// A member takes at least four bytes: `"":1`, but for the last one.
const members_max = layout.json_bytes_max / 4 + 1;

var frames: [layout.json_nesting_max]Frame = undefined;
var members: [members_max]Member = undefined;
var digits: [layout.json_number_digits_max]u8 = undefined;
var out: [layout.json_bytes_max]u8 = undefined;
var spare: [layout.json_bytes_max]u8 = undefined;

/// The canonical bytes of a value, good until the next call. `source` is valid UTF-8.
pub fn canonical(source: []const u8) Error![]const u8 {
    if (source.len > layout.json_bytes_max) return error.RowTooLong;
    var parser: Parser = .{ .source = source };
    try parser.run();
    return out[0..parser.len];
}

const Parser = struct {
    source: []const u8,
    at: usize = 0,
    len: usize = 0,
    depth: usize = 0,
    members_len: usize = 0,

    fn run(parser: *Parser) Error!void {
        while (true) {
            if (try parser.value()) continue; // opened something, and stands before a value in it
            while (true) {
                const next = parser.peek();
                if (parser.depth == 0) return if (next == null) {} else error.InvalidRow;
                const frame = &frames[parser.depth - 1];
                if (frame.is_object) parser.endMember();
                const byte = next orelse return error.InvalidRow;
                parser.at += 1;
                if (byte == ',') {
                    try parser.put(',');
                    if (frame.is_object) try parser.member();
                    break;
                }
                if (byte != @as(u8, if (frame.is_object) '}' else ']')) return error.InvalidRow;
                try parser.close();
            }
        }
    }

    /// Takes a value, or opens one that is not empty: then true.
    fn value(parser: *Parser) Error!bool {
        const byte = parser.peek() orelse return error.InvalidRow;
        switch (byte) {
            '{', '[' => {
                parser.at += 1;
                const is_object = byte == '{';
                if (parser.depth == frames.len) return error.InvalidRow;
                frames[parser.depth] = .{
                    .is_object = is_object,
                    .out_at = @intCast(parser.len),
                    .members_at = @intCast(parser.members_len),
                };
                parser.depth += 1;
                try parser.put(byte);
                if (parser.peek() == @as(u8, if (is_object) '}' else ']')) {
                    parser.at += 1;
                    try parser.close();
                    return false;
                }
                if (is_object) try parser.member();
                return true;
            },
            '"' => try parser.string(),
            't' => try parser.word("true"),
            'f' => try parser.word("false"),
            'n' => try parser.word("null"),
            '-', '0'...'9' => try parser.number(),
            else => return error.InvalidRow,
        }
        return false;
    }

    /// The next byte that is not white space.
    fn peek(parser: *Parser) ?u8 {
        while (parser.at < parser.source.len) : (parser.at += 1) {
            switch (parser.source[parser.at]) {
                ' ', '\t', '\n', '\r' => {},
                else => |byte| return byte,
            }
        }
        return null;
    }

    fn put(parser: *Parser, byte: u8) Error!void {
        if (parser.len == out.len) return error.RowTooLong;
        out[parser.len] = byte;
        parser.len += 1;
    }

    fn puts(parser: *Parser, bytes: []const u8) Error!void {
        if (bytes.len > out.len - parser.len) return error.RowTooLong;
        @memcpy(out[parser.len..][0..bytes.len], bytes);
        parser.len += bytes.len;
    }

    fn word(parser: *Parser, comptime expected: []const u8) Error!void {
        if (!std.mem.startsWith(u8, parser.source[parser.at..], expected)) return error.InvalidRow;
        parser.at += expected.len;
        try parser.puts(expected);
    }

    // ------------------------------------------------------------ objects

    /// A key and its colon.
    fn member(parser: *Parser) Error!void {
        if (parser.peek() != '"') return error.InvalidRow;
        if (parser.members_len == members.len) return error.RowTooLong;
        members[parser.members_len] = .{ .at = @intCast(parser.len), .end = 0 };
        parser.members_len += 1;
        try parser.string();
        if (parser.peek() != ':') return error.InvalidRow;
        parser.at += 1;
        try parser.put(':');
    }

    /// The last member of the innermost object ends here. Only of one that has members.
    fn endMember(parser: *Parser) void {
        members[parser.members_len - 1].end = @intCast(parser.len);
    }

    fn close(parser: *Parser) Error!void {
        parser.depth -= 1;
        const frame = frames[parser.depth];
        if (frame.is_object) {
            try parser.sort(frame, members[frame.members_at..parser.members_len]);
            parser.members_len = frame.members_at;
        }
        try parser.put(if (frame.is_object) '}' else ']');
    }

    fn sort(parser: *Parser, frame: Frame, own: []Member) Error!void {
        if (isSorted(own)) return;
        std.sort.heap(Member, own, {}, isBefore);
        if (!isSorted(own)) return error.InvalidRow; // a key twice
        var len: usize = 0;
        for (own, 0..) |one, i| {
            if (i > 0) {
                spare[len] = ',';
                len += 1;
            }
            const bytes = out[one.at..one.end];
            @memcpy(spare[len..][0..bytes.len], bytes);
            len += bytes.len;
        }
        const start = frame.out_at + 1;
        std.debug.assert(start + len == parser.len);
        @memcpy(out[start..][0..len], spare[0..len]);
    }

    fn isSorted(own: []const Member) bool {
        if (own.len < 2) return true;
        for (own[0 .. own.len - 1], own[1..]) |a, b| if (!isBefore({}, a, b)) return false;
        return true;
    }

    fn isBefore(_: void, a: Member, b: Member) bool {
        var left: Characters = .{ .text = &out, .at = a.at + 1 };
        var right: Characters = .{ .text = &out, .at = b.at + 1 };
        while (true) {
            const x = left.next();
            const y = right.next();
            if (x != y) return (x orelse return true) < (y orelse return false);
            if (x == null) return false;
        }
    }

    // ------------------------------------------------------------ strings

    fn string(parser: *Parser) Error!void {
        parser.at += 1;
        try parser.put('"');
        while (parser.at < parser.source.len) {
            const byte = parser.source[parser.at];
            parser.at += 1;
            switch (byte) {
                '"' => return parser.put('"'),
                '\\' => try parser.escape(),
                0...31 => return error.InvalidRow,
                else => try parser.put(byte),
            }
        }
        return error.InvalidRow;
    }

    fn escape(parser: *Parser) Error!void {
        if (parser.at == parser.source.len) return error.InvalidRow;
        parser.at += 1;
        switch (parser.source[parser.at - 1]) {
            '"' => try parser.puts("\\\""),
            '\\' => try parser.puts("\\\\"),
            '/' => try parser.put('/'),
            'b' => try parser.puts("\\b"),
            'f' => try parser.puts("\\f"),
            'n' => try parser.puts("\\n"),
            'r' => try parser.puts("\\r"),
            't' => try parser.puts("\\t"),
            'u' => try parser.character(),
            else => return error.InvalidRow,
        }
    }

    fn character(parser: *Parser) Error!void {
        var code: u21 = try parser.unit();
        if (code >= 0xd800 and code < 0xe000) {
            if (code >= 0xdc00 or !std.mem.startsWith(u8, parser.source[parser.at..], "\\u")) return error.InvalidRow;
            parser.at += 2;
            const low = try parser.unit();
            if (low < 0xdc00 or low > 0xdfff) return error.InvalidRow;
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        switch (code) {
            '"' => try parser.puts("\\\""),
            '\\' => try parser.puts("\\\\"),
            8 => try parser.puts("\\b"),
            9 => try parser.puts("\\t"),
            10 => try parser.puts("\\n"),
            12 => try parser.puts("\\f"),
            13 => try parser.puts("\\r"),
            0...7, 11, 14...31 => {
                const hex = "0123456789abcdef";
                try parser.puts(&.{ '\\', 'u', '0', '0', hex[@intCast(code >> 4)], hex[@intCast(code & 15)] });
            },
            else => {
                var utf8: [4]u8 = undefined;
                const size = std.unicode.utf8Encode(code, &utf8) catch return error.InvalidRow;
                try parser.puts(utf8[0..size]);
            },
        }
    }

    /// Four hexadecimal digits.
    fn unit(parser: *Parser) Error!u16 {
        if (parser.source.len - parser.at < 4) return error.InvalidRow;
        var code: u16 = 0;
        for (parser.source[parser.at..][0..4]) |byte| {
            const nibble = switch (byte) {
                '0'...'9' => byte - '0',
                'a'...'f' => byte - 'a' + 10,
                'A'...'F' => byte - 'A' + 10,
                else => return error.InvalidRow,
            };
            code = code << 4 | nibble;
        }
        parser.at += 4;
        return code;
    }

    // ------------------------------------------------------------ numbers

    fn number(parser: *Parser) Error!void {
        const is_negative = parser.source[parser.at] == '-';
        if (is_negative) parser.at += 1;
        // The digits that count, and the power of ten of the place before the first of them: 0.00123 is 123 and -2.
        var count: usize = 0;
        var power: i64 = 0;
        const first = parser.digit() orelse return error.InvalidRow;
        if (first == '0') {
            if (parser.digit() != null) return error.InvalidRow;
        } else {
            digits[0] = first;
            count = 1;
            while (parser.digit()) |byte| try append(&count, byte);
            power = @intCast(count);
        }
        if (!try parser.fraction(&count, &power)) {
            try inRange(digits[0..count], power);
            if (is_negative and count > 0) try parser.put('-');
            return if (count == 0) parser.put('0') else parser.puts(digits[0..count]);
        }
        while (count > 0 and digits[count - 1] == '0') count -= 1;
        try inRange(digits[0..count], power);
        if (is_negative and count > 0) try parser.put('-');
        try putDecimal(parser, digits[0..count], power, ".0");
    }

    fn digit(parser: *Parser) ?u8 {
        if (parser.at == parser.source.len) return null;
        const byte = parser.source[parser.at];
        if (byte < '0' or byte > '9') return null;
        parser.at += 1;
        return byte;
    }

    fn append(count: *usize, byte: u8) Error!void {
        if (count.* == digits.len) return error.InvalidNumber;
        digits[count.*] = byte;
        count.* += 1;
    }

    /// What follows the whole part; whether anything does, so that the number is no integer.
    fn fraction(parser: *Parser, count: *usize, power: *i64) Error!bool {
        var is_decimal = false;
        if (parser.at < parser.source.len and parser.source[parser.at] == '.') {
            is_decimal = true;
            parser.at += 1;
            const start = parser.at;
            while (parser.digit()) |byte| {
                if (byte == '0' and count.* == 0) power.* -= 1 else try append(count, byte);
            }
            if (parser.at == start) return error.InvalidRow;
        }
        if (parser.at < parser.source.len and (parser.source[parser.at] | 0x20) == 'e') {
            is_decimal = true;
            parser.at += 1;
            var is_negative = false;
            if (parser.at < parser.source.len and (parser.source[parser.at] == '-' or parser.source[parser.at] == '+')) {
                is_negative = parser.source[parser.at] == '-';
                parser.at += 1;
            }
            const start = parser.at;
            var exponent: i64 = 0;
            while (parser.digit()) |byte| exponent = @min(exponent * 10 + (byte - '0'), 1 << 40);
            if (parser.at == start) return error.InvalidRow;
            power.* += if (is_negative) -exponent else exponent;
        }
        return is_decimal;
    }

    /// Refuses what a double cannot hold: from the largest one on, and what is as good as nothing.
    fn inRange(own: []const u8, power: i64) Error!void {
        if (own.len == 0) return;
        if (power > 309 or power < -323) return error.InvalidNumber;
        const limit = "17976931348623158";
        if (power == 309 and std.mem.order(u8, own, limit) != .lt) return error.InvalidNumber;
    }
};

/// A number that is no integer, as Python writes a float: digits without zeros at the end, a point, an exponent from 16
/// digits on. `digits` begin and end with none of 0, and the first of them is that of 10^(power - 1); none: zero. `whole`
/// stands behind a number that needs no point: ".0", or nothing.
pub fn putDecimal(sink: anytype, own: []const u8, power: i64, comptime whole: []const u8) !void {
    if (own.len == 0) return sink.puts("0" ++ whole);
    if (power > -4 and power <= 0) {
        try sink.puts("0.");
        for (0..@intCast(-power)) |_| try sink.put('0');
        return sink.puts(own);
    }
    if (power > 0 and power <= 16) {
        const before: usize = @intCast(power);
        for (0..before) |i| try sink.put(if (i < own.len) own[i] else '0');
        if (before >= own.len) return sink.puts(whole);
        try sink.put('.');
        return sink.puts(own[before..]);
    }
    try sink.put(own[0]);
    if (own.len > 1) {
        try sink.put('.');
        try sink.puts(own[1..]);
    }
    var text: [8]u8 = undefined;
    const exponent = @abs(power - 1);
    const sign: u8 = if (power < 1) '-' else '+';
    try sink.puts(std.fmt.bufPrint(&text, "e{c}{d:0>2}", .{ sign, exponent }) catch unreachable);
}

/// The bytes that a canonical string stands for, up to its quote or the end of the text.
pub const Characters = struct {
    text: []const u8,
    /// Behind the string's first quote, to begin with.
    at: usize,

    pub fn next(characters: *Characters) ?u8 {
        const byte = characters.take();
        if (byte == '"') return null;
        if (byte != '\\') return byte;
        const escaped = characters.take() orelse return null;
        return switch (escaped) {
            'b' => 8,
            't' => 9,
            'n' => 10,
            'f' => 12,
            'r' => 13,
            'u' => {
                if (characters.text.len - characters.at < 4) return null;
                characters.at += 4;
                return std.fmt.parseInt(u8, characters.text[characters.at - 2 .. characters.at], 16) catch null;
            },
            else => escaped,
        };
    }

    fn take(characters: *Characters) ?u8 {
        if (characters.at == characters.text.len) return null;
        defer characters.at += 1;
        return characters.text[characters.at];
    }
};

const testing = std.testing;

fn expectCanonical(expected: []const u8, source: []const u8) !void {
    try testing.expectEqualStrings(expected, try canonical(source));
    try testing.expectEqualStrings(expected, try canonical(expected));
}

test "white space goes, order comes" {
    try expectCanonical("{}", " { } ");
    try expectCanonical("[]", "[\n]");
    try expectCanonical("[1,[2,{}],null,true,false]", " [ 1 , [ 2 , { } ] , null , true , false ] ");
    try expectCanonical("{\"a\":{\"c\":2,\"d\":1},\"b\":[{\"x\":1,\"y\":2}]}", "{\"b\":[{\"y\":2,\"x\":1}],\"a\":{\"d\":1,\"c\":2}}");
    try expectCanonical("{\"\":0,\"\\u0000\":1,\"\\\"\":2,\"A\":3,\"\\\\\":4,\"a\":5,\"aa\":6,\"\u{e9}\":7,\"\u{10000}\":8}", "{\"\\ud800\\udc00\":8,\"\u{e9}\":7,\"aa\":6,\"a\":5,\"\\u005c\":4,\"\\u0041\":3,\"\\u0022\":2,\"\\u0000\":1,\"\":0}");
}

test "strings have the shortest escapes" {
    try expectCanonical("\"/\\b\\f\\n\\r\\t\\u001f\x7f\u{e9}\u{1f98a}\"", "\"\\/\\u0008\\u000C\\u000a\\r\\t\\u001F\x7f\\u00e9\\ud83e\\udd8a\"");
    for ([_][]const u8{ "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\n\"", "'a'" }) |source|
        try testing.expectError(error.InvalidRow, canonical(source));
}

test "numbers keep their value" {
    const cases = [_][2][]const u8{
        .{ "0", "-0" },                                                                        .{ "0.0", "-0.0" },                  .{ "0.0", "0e99999999999" },
        .{ "1.0", "1.000" },                                                                   .{ "100.0", "1e2" },                 .{ "100.0", "1E+2" },
        .{ "-1.5", "-1.50" },                                                                  .{ "0.0001", "1e-4" },               .{ "1e-05", "0.00001" },
        .{ "1000000000000000.0", "1e15" },                                                     .{ "1e+16", "10000000000000000.0" }, .{ "1.25e-07", "125e-9" },
        .{ "12345678901234567890123", "12345678901234567890123" },                             .{ "5e-324", "5e-324" },             .{ "1.7976931348623157e+308", "1.7976931348623157e308" },
        .{ "0.1000000000000000055511151231257827", "1000000000000000055511151231257827e-34" }, .{ "12.5", "0.0125e3" },             .{ "1200.0", "12.0E2" },
    };
    for (cases) |case| try expectCanonical(case[0], case[1]);
    for ([_][]const u8{ "1e309", "-1e309", "1.7976931348623159e308", "1e-400", "1e999999999999999999999999" }) |source|
        try testing.expectError(error.InvalidNumber, canonical(source));
    for ([_][]const u8{ "01", "-", "1.", ".5", "1e", "1e+", "+1", "0x1", "NaN", "Infinity", "1 2", "--1" }) |source|
        try testing.expectError(error.InvalidRow, canonical(source));
    const many: [layout.json_number_digits_max + 1]u8 = @splat('1');
    try testing.expectError(error.InvalidNumber, canonical(&many));
}

test "what is not JSON is refused" {
    for ([_][]const u8{ "", " ", "{", "[", "}", "]", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{1:2}", "[1 2]", "{\"a\":1 \"b\":2}", "tru", "nul", "[1}", "{\"a\":1]", "1,2", "[]]", "{\"a\":1,\"a\":2}", "{\"a\":1,\"b\":2,\"\\u0061\":3}" }) |source|
        try testing.expectError(error.InvalidRow, canonical(source));
    var deep: [2 * layout.json_nesting_max]u8 = undefined;
    @memset(deep[0..layout.json_nesting_max], '[');
    @memset(deep[layout.json_nesting_max..], ']');
    try expectCanonical(&deep, &deep);
    const deeper = "[" ++ @as([layout.json_nesting_max]u8, @splat('[')) ++ @as([layout.json_nesting_max + 1]u8, @splat(']'));
    try testing.expectError(error.InvalidRow, canonical(deeper));
}

test "many members in the wrong order" {
    var source: [layout.json_bytes_max]u8 = undefined;
    var len: usize = 1;
    source[0] = '{';
    const count = 60_000;
    for (0..count) |i| {
        const text = try std.fmt.bufPrint(source[len..], "\"{d:0>6}\":[],", .{(i * 7919) % count});
        len += text.len;
    }
    source[len - 1] = '}';
    const made = try canonical(source[0..len]);
    try testing.expectEqual(len, made.len);
    try testing.expectEqualStrings("{\"000000\":[],\"000001\":[],", made[0..25]);
    source[len - 6] = source[len - 20]; // some key twice, maybe
    _ = canonical(source[0..len]) catch |err| try testing.expectEqual(error.InvalidRow, err);
}
