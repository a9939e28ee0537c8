//! The row format of docs/formats.md: reading, checking, writing.
//!
//! A `Row` is an address; what it points to has been checked or was written here. The reserved field of a *stored* row
//! holds the kernel's flags; whoever reads rows ignores it.

const std = @import("std");
const layout = @import("layout.zig");
const json = @import("json.zig");

/// A decimal's number is 64 and its precision, so that 65 to 82 are decimals; what its unit is the kernel need not know.
pub const Type = enum(u8) { bool = 1, int = 2, float = 3, text = 4, bytes = 5, timestamp = 6, uuid = 8, json = 9, _ };

pub const decimal_base = 64;
pub const decimal_precision_max = 18;
pub const uuid_bytes = 16;

/// The value lies in the row's tail.
pub inline fn isVariable(kind: Type) bool {
    const variable = comptime 1 << @backingInt(Type.text) | 1 << @backingInt(Type.bytes) |
        1 << @backingInt(Type.uuid) | 1 << @backingInt(Type.json);
    const number = @backingInt(kind);
    return number < 16 and @as(u16, variable) >> @intCast(number) & 1 != 0;
}

pub fn isKnown(kind: Type) bool {
    return switch (kind) {
        .bool, .int, .float, .text, .bytes, .timestamp, .uuid, .json => true,
        _ => isDecimal(kind),
    };
}

fn isDecimal(kind: Type) bool {
    const number = @backingInt(kind);
    return number > decimal_base and number <= decimal_base + decimal_precision_max;
}

/// For each precision the smallest number that has one digit too many.
const decimal_bounds: [decimal_precision_max + 1]u64 = blk: {
    var bounds: [decimal_precision_max + 1]u64 = undefined;
    var bound: u64 = 1;
    for (&bounds) |*one| {
        one.* = bound;
        bound *= 10;
    }
    break :blk bounds;
};

/// Whether a word is a value of its type, as far as that depends on the word.
pub fn fits(kind: Type, slot: u64) bool {
    return !isDecimal(kind) or fitsDecimal(kind, slot);
}

/// Of a type that is known and is a decimal.
pub fn fitsDecimal(kind: Type, slot: u64) bool {
    return @abs(@as(i64, @bitCast(slot))) < decimal_bounds[@backingInt(kind) - decimal_base];
}

pub const head_bytes = 8;

/// Bytes before the tail of a row of `columns` columns.
pub fn fixedBytes(columns: usize) usize {
    return head_bytes + 8 * columns + (columns + 7) / 8;
}

pub fn padded(length: usize) usize {
    return (length + 7) & ~@as(usize, 7);
}

const Head = extern struct { length: u32, columns: u16, flags: u16 };

/// Deleted, or replaced by a newer version: invisible, and freed at commit.
pub const flag_dead: u16 = 1;
/// Written by the transaction that is open.
pub const flag_fresh: u16 = 2;
/// Of a fresh row: nothing had this key before the transaction.
pub const flag_new_key: u16 = 4;

/// Checks of its own would take longer than all that it does; whoever asks has seen that the column is there.
pub const Row = struct {
    at: u64,

    inline fn head(row: Row) *Head {
        @setRuntimeSafety(false);
        return @ptrFromInt(row.at);
    }
    pub inline fn length(row: Row) u32 {
        @setRuntimeSafety(false);
        return row.head().length;
    }
    pub inline fn setLength(row: Row, bytes_: u32) void {
        @setRuntimeSafety(false);
        row.head().length = bytes_;
    }
    pub inline fn columns(row: Row) u16 {
        @setRuntimeSafety(false);
        return row.head().columns;
    }
    pub inline fn has(row: Row, flag: u16) bool {
        @setRuntimeSafety(false);
        return row.head().flags & flag != 0;
    }
    pub inline fn set(row: Row, flag: u16) void {
        @setRuntimeSafety(false);
        row.head().flags |= flag;
    }
    pub inline fn clear(row: Row, flag: u16) void {
        @setRuntimeSafety(false);
        row.head().flags &= ~flag;
    }
    pub inline fn slot(row: Row, column: usize) *u64 {
        @setRuntimeSafety(false);
        return @ptrFromInt(row.at + head_bytes + 8 * column);
    }
    pub inline fn isNull(row: Row, column: usize) bool {
        @setRuntimeSafety(false);
        const byte: *const u8 = @ptrFromInt(row.at + head_bytes + 8 * @as(usize, row.columns()) + column / 8);
        return byte.* >> @intCast(column % 8) & 1 != 0;
    }
    pub fn hasNulls(row: Row) bool {
        const columns_: usize = row.columns();
        const bits = @as([*]const u8, @ptrFromInt(row.at + head_bytes + 8 * columns_))[0 .. (columns_ + 7) / 8];
        return for (bits) |byte| {
            if (byte != 0) break true;
        } else false;
    }
    pub inline fn setNull(row: Row, column: usize) void {
        @setRuntimeSafety(false);
        const byte: *u8 = @ptrFromInt(row.at + head_bytes + 8 * @as(usize, row.columns()) + column / 8);
        byte.* |= @as(u8, 1) << @intCast(column % 8);
    }
    pub inline fn setWord(row: Row, column: usize, value: u64) void {
        @setRuntimeSafety(false);
        row.slot(column).* = value;
        const byte: *u8 = @ptrFromInt(row.at + head_bytes + 8 * @as(usize, row.columns()) + column / 8);
        byte.* &= ~(@as(u8, 1) << @intCast(column % 8));
    }
    /// The bytes of a text or bytes column that is not null.
    pub inline fn tail(row: Row, column: usize) []const u8 {
        @setRuntimeSafety(false);
        const value = row.slot(column).*;
        return @as([*]const u8, @ptrFromInt(row.at + (value & 0xffff_ffff)))[0..@intCast(value >> 32)];
    }
    pub inline fn bytes(row: Row) []const u8 {
        @setRuntimeSafety(false);
        return @as([*]const u8, @ptrFromInt(row.at))[0..row.length()];
    }
    pub inline fn words(row: Row) []const u64 {
        @setRuntimeSafety(false);
        return @as([*]const u64, @ptrFromInt(row.at))[0 .. row.length() / 8];
    }
};

/// Whether a column is the same in two rows that have it.
pub inline fn sameValue(kind: Type, a: Row, b: Row, column: usize) bool {
    const is_null = a.isNull(column);
    if (is_null != b.isNull(column)) return false;
    if (is_null) return true;
    if (isVariable(kind)) return std.mem.eql(u8, a.tail(column), b.tail(column));
    return a.slot(column).* == b.slot(column).*;
}

/// What a check of a row found out on the way.
pub const Checked = struct {
    row: Row,
    /// Bytes of all tails.
    tail_bytes: usize,
    /// The bytes are those that `write` would give.
    canonical: bool,
    /// Bytes of the row as it came in. `row` is another one when its JSON had to be made canonical.
    source_bytes: u32,
    /// JSON in it is not canonical.
    loose_json: bool = false,
};

const slot_negative_zero: u64 = 1 << 63;

/// The types of a row's columns, and what follows from them.
pub const Columns = struct {
    types: []const Type,
    /// Only columns whose every slot is a value, so few that their null bits and the padding are one word: `head` is
    /// the first word of such a row. Rows like that are checked by looking at two words.
    plain: bool,
    head: u64,

    pub fn init(types: []const Type) Columns {
        var plain = types.len > 0 and types.len <= 8;
        for (types) |kind| if (kind != .int and kind != .timestamp) {
            plain = false;
        };
        const length = padded(fixedBytes(types.len));
        return .{ .types = types, .plain = plain, .head = length | @as(u64, types.len) << 32 };
    }

    /// Whether the row at the start of `source` is plain, canonical and without nulls.
    pub inline fn isPlain(columns: *const Columns, source: []const u8) bool {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        if (!columns.plain or source.len < 16) return false;
        const first: [*]const u64 = @ptrCast(@alignCast(source.ptr));
        const length = columns.head & 0xffff_ffff;
        return first[0] & 0xffff_ffff_ffff == columns.head and length <= source.len and first[length / 8 - 1] == 0;
    }
};

/// Checks the row at the start of `source`, which must have exactly the columns `types`. `column` says which was wrong.
pub inline fn check(source: []const u8, columns: *const Columns, column: *u32) layout.Error!Checked {
    if (columns.isPlain(source)) {
        @branchHint(.likely);
        const row: Row = .{ .at = @intFromPtr(source.ptr) };
        return .{ .row = row, .tail_bytes = 0, .canonical = true, .source_bytes = row.length() };
    }
    return checkCanonical(source, columns.types, column);
}

/// `checkTypes`, and JSON is canonical afterwards: the row may be a copy, good until the next check.
pub fn checkCanonical(source: []const u8, types: []const Type, column: *u32) layout.Error!Checked {
    const checked = try checkTypes(source, types, column);
    if (!checked.loose_json) return checked;
    var copy = try checkTypes(try rewriteJson(checked.row, types), types, column);
    copy.source_bytes = checked.source_bytes;
    return copy;
}

var rewritten: [layout.row_bytes_max]u8 align(16) = undefined;

/// A copy of a checked row with canonical JSON.
fn rewriteJson(row: Row, types: []const Type) layout.Error![]const u8 {
    var size = Size.of(types.len);
    for (types, 0..) |kind, i| if (isVariable(kind) and !row.isNull(i)) {
        size.add(kind, if (kind == .json) (try json.canonical(row.tail(i))).len else row.tail(i).len);
    };
    const length = try size.end();
    var writer = Writer.begin(@intFromPtr(&rewritten), types.len, length);
    for (types, 0..) |kind, i| {
        if (kind == .json and !row.isNull(i)) {
            writer.putTail(i, try json.canonical(row.tail(i)));
        } else writer.copy(i, kind, row, i);
    }
    return rewritten[0..length];
}

pub noinline fn checkTypes(source: []const u8, types: []const Type, column: *u32) layout.Error!Checked {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    column.* = layout.none_u32;
    if (source.len < head_bytes) return error.InvalidRow;
    const row: Row = .{ .at = @intFromPtr(source.ptr) };
    const length: usize = row.length();
    const fixed = fixedBytes(types.len);
    if (length > source.len or length % 8 != 0 or length < fixed or row.columns() != types.len) return error.InvalidRow;
    if (length > layout.row_bytes_max) return error.RowTooLong;
    var tail_at = fixed;
    var canonical = true;
    var loose_json = false;
    const nulls: [*]const u8 = @ptrFromInt(row.at + head_bytes + 8 * types.len);
    for (types, 0..) |kind, i| {
        const value = row.slot(i).*;
        if (nulls[i / 8] >> @intCast(i % 8) & 1 != 0) {
            if (value != 0) canonical = false;
            continue;
        }
        column.* = @intCast(i);
        // Not a switch: the likely ones first are faster than a table of jumps.
        if (kind == .int) continue;
        if (isVariable(kind)) {
            const offset = value & 0xffff_ffff;
            const size = value >> 32;
            if (offset + size > length or (offset < fixed and size != 0)) return error.InvalidRow;
            if (kind == .text) {
                if (!isUtf8(row.tail(i))) return error.InvalidRow;
            } else if (kind == .uuid) {
                if (size != uuid_bytes) return error.InvalidRow;
            } else if (kind == .json and try isLoose(row.tail(i))) loose_json = true;
            if (offset != tail_at) canonical = false;
            tail_at += size;
            // Two columns may share bytes on their way in, not in a stored row.
            if (tail_at > layout.row_bytes_max) return error.RowTooLong;
        } else if (kind == .float) {
            if (value & 0x7ff0_0000_0000_0000 == 0x7ff0_0000_0000_0000) return error.InvalidNumber;
            if (value == slot_negative_zero) canonical = false;
        } else if (kind == .bool) {
            if (value > 1) return error.InvalidNumber;
        } else if (kind != .timestamp and !fitsDecimal(kind, value)) return error.InvalidNumber;
    }
    column.* = layout.none_u32;
    if (padded(tail_at) != length or loose_json) canonical = false;
    if (canonical) {
        const last = row.words()[length / 8 - 1];
        const unused = length - tail_at;
        if (unused != 0 and last >> @intCast(64 - 8 * unused) != 0) canonical = false;
        if (types.len % 8 != 0) {
            if (nulls[types.len / 8] >> @intCast(types.len % 8) != 0) canonical = false;
        }
    }
    return .{
        .row = row,
        .tail_bytes = tail_at - fixed,
        .canonical = canonical,
        .source_bytes = @intCast(length),
        .loose_json = loose_json,
    };
}

/// Whether JSON is not canonical; an error when it is no JSON.
noinline fn isLoose(text: []const u8) layout.Error!bool {
    if (!isUtf8(text)) return error.InvalidRow;
    return !std.mem.eql(u8, try json.canonical(text), text);
}

pub fn isUtf8(text: []const u8) bool {
    var at: usize = 0;
    while (at + 8 <= text.len) : (at += 8) {
        const word = std.mem.readInt(u64, text[at..][0..8], .little);
        if (word & 0x8080_8080_8080_8080 != 0) return std.unicode.utf8ValidateSlice(text[at..]);
    }
    while (at < text.len) : (at += 1) {
        if (text[at] >= 0x80) return std.unicode.utf8ValidateSlice(text[at..]);
    }
    return true;
}

/// How long a row is to be, of which the values are known.
pub const Size = struct {
    bytes: usize,

    pub inline fn of(columns: usize) Size {
        return .{ .bytes = fixedBytes(columns) };
    }

    /// One value: so many bytes of it lie in the tail, if its kind has any there.
    pub inline fn add(size: *Size, kind: Type, tail_bytes: usize) void {
        if (isVariable(kind)) size.bytes += tail_bytes;
    }

    /// The padded length of the whole row.
    pub inline fn end(size: Size) error{RowTooLong}!usize {
        const length = padded(size.bytes);
        return if (length > layout.row_bytes_max) error.RowTooLong else length;
    }
};

/// Writes a row to the start of `out`, without the kernel's flags; its length.
pub fn copyTo(out: []align(8) u8, row: Row) usize {
    const words_ = row.words();
    const to = @as([*]u64, @ptrCast(out.ptr))[0..words_.len];
    if (words_.len > few_bytes / 8) @memcpy(to, words_) else for (words_, to) |from, *word| {
        word.* = from;
    }
    to[0] &= 0xffff_ffff_ffff;
    return 8 * words_.len;
}

/// What `@memcpy` does, and for few bytes faster: that is a call out of wasm.
inline fn copyBytes(to: u64, bytes: []const u8) void {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    const target: [*]u8 = @ptrFromInt(to);
    if (bytes.len > few_bytes) return @memcpy(target, bytes);
    var at: usize = 0;
    while (at + 8 <= bytes.len) : (at += 8) target[at..][0..8].* = bytes[at..][0..8].*;
    while (at < bytes.len) : (at += 1) target[at] = bytes[at];
}

const few_bytes = 64;

/// Writes a canonical row column by column. `begin` clears what must be clear; the caller knows the size.
pub const Writer = struct {
    row: Row,
    tail_at: usize,

    /// `length` is the padded length of the whole row.
    pub fn begin(at: u64, columns: usize, length: usize) Writer {
        const row: Row = .{ .at = at };
        row.head().* = .{ .length = @intCast(length), .columns = @intCast(columns), .flags = 0 };
        const fixed = fixedBytes(columns);
        const nulls_at = head_bytes + 8 * columns;
        // More than one would be a call out of wasm.
        const nulls = @as([*]u8, @ptrFromInt(at))[nulls_at..fixed];
        if (nulls.len == 1) nulls[0] = 0 else @memset(nulls, 0);
        if (length > fixed) @as(*align(8) u64, @ptrFromInt(at + length - 8)).* &= lowBytes(fixed, length);
        return .{ .row = row, .tail_at = fixed };
    }

    /// Clears the padding word as far as it lies behind the fixed part.
    fn lowBytes(fixed: usize, length: usize) u64 {
        const kept = if (fixed > length - 8) fixed - (length - 8) else 0;
        return if (kept == 0) 0 else (@as(u64, 1) << @intCast(8 * kept)) - 1;
    }

    pub inline fn putNull(writer: *Writer, column: usize) void {
        writer.row.slot(column).* = 0;
        writer.row.setNull(column);
    }

    pub inline fn putWord(writer: *Writer, column: usize, value: u64) void {
        writer.row.slot(column).* = value;
    }

    /// −0.0 is 0.0 wherever a value is kept.
    pub inline fn putFloat(writer: *Writer, column: usize, value: u64) void {
        writer.putWord(column, if (value == slot_negative_zero) 0 else value);
    }

    pub inline fn putTail(writer: *Writer, column: usize, value: []const u8) void {
        writer.row.slot(column).* = writer.tail_at | @as(u64, value.len) << 32;
        copyBytes(writer.row.at + writer.tail_at, value);
        writer.tail_at += value.len;
    }

    /// Copies column `from` of a checked row.
    pub inline fn copy(writer: *Writer, column: usize, kind: Type, source: Row, from: usize) void {
        if (source.isNull(from)) return writer.putNull(column);
        switch (kind) {
            .text, .bytes, .uuid, .json => writer.putTail(column, source.tail(from)),
            .float => writer.putFloat(column, source.slot(from).*),
            else => writer.putWord(column, source.slot(from).*),
        }
    }
};

/// 128 bits that depend on every value of a canonical row and on its table. Two lanes of multiplications that do not
/// wait for each other; the finisher is that of MurmurHash3 (Appleby). Not keyed: it guards against faults, not
/// against an author of rows.
pub fn hash(row: Row, table: u32) [2]u64 {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    const words_ = row.words();
    var a: u64 = 0x9e37_79b9_7f4a_7c15 ^ (@as(u64, table) << 32 | words_.len);
    var b: u64 = 0xc2b2_ae3d_27d4_eb4f +% @as(u64, row.columns());
    for (words_[1..]) |word| {
        a = (a ^ word) *% 0xff51_afd7_ed55_8ccd;
        a ^= a >> 32;
        b = std.math.rotl(u64, b +% word *% 0x87c3_7b91_1142_53d5, 31) *% 0x4cf5_ad43_2745_937f;
    }
    return .{ finish(a +% b), finish(b ^ std.math.rotl(u64, a, 17)) };
}

pub fn finish(value: u64) u64 {
    var x = value;
    x = (x ^ (x >> 33)) *% 0xff51_afd7_ed55_8ccd;
    x = (x ^ (x >> 33)) *% 0xc4ce_b9fe_1a85_ec53;
    return x ^ (x >> 33);
}

const testing = std.testing;

test "the example of docs/formats.md is canonical" {
    var bytes align(8) = [_]u8{
        40,   0,    0,    0,    3,    0,    0,    0,    7, 0,   0,   0,   0, 0, 0, 0, 33, 0, 0, 0, 3, 0, 0, 0,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 'a', 'd', 'a', 0, 0, 0, 0,
    };
    var column: u32 = 0;
    const types = [_]Type{ .int, .text, .int };
    const checked = try checkTypes(&bytes, &types, &column);
    try testing.expect(checked.canonical);
    try testing.expectEqual(3, checked.tail_bytes);
    bytes[39] = 1; // padding
    try testing.expect(!(try checkTypes(&bytes, &types, &column)).canonical);
    bytes[32] = 8; // null bit of a column that is not there
    try testing.expect(!(try checkTypes(&bytes, &types, &column)).canonical);
}

test "a row that leads out of itself is refused" {
    var bytes: [40]u8 align(8) = @splat(0);
    const types = [_]Type{.text};
    var column: u32 = 0;
    for (0..8) |length_words| {
        for ([_]u64{ 0, 8, 16, 17, 24, 32, 0xffff_ffff }) |offset| {
            for ([_]u64{ 0, 1, 7, 8, 0xffff_ffff }) |size| {
                std.mem.writeInt(u32, bytes[0..4], @intCast(8 * length_words), .little);
                std.mem.writeInt(u32, bytes[4..8], 1, .little);
                std.mem.writeInt(u64, bytes[8..16], offset | size << 32, .little);
                const checked = checkTypes(&bytes, &types, &column) catch continue;
                const tail = checked.row.tail(0);
                try testing.expect(8 * length_words <= bytes.len);
                if (tail.len > 0) {
                    try testing.expect(@intFromPtr(tail.ptr) >= @intFromPtr(&bytes) + 17);
                    try testing.expect(@intFromPtr(tail.ptr) + tail.len <= @intFromPtr(&bytes) + 8 * length_words);
                }
            }
        }
    }
}

test "writing gives canonical rows whatever was there before" {
    var buffer: [64]u8 align(8) = @splat(0xaa);
    var writer = Writer.begin(@intFromPtr(&buffer), 2, padded(fixedBytes(2) + 3));
    writer.putWord(0, 5);
    writer.putTail(1, "xyz");
    var column: u32 = 0;
    const checked = try checkTypes(&buffer, &.{ .int, .text }, &column);
    try testing.expect(checked.canonical);
    @memset(&buffer, 0xaa);
    writer = Writer.begin(@intFromPtr(&buffer), 2, padded(fixedBytes(2)));
    writer.putNull(0);
    writer.putNull(1);
    try testing.expect((try checkTypes(&buffer, &.{ .int, .text }, &column)).canonical);
}

test "a decimal has no more digits than its precision" {
    const one: Type = @fromBackingInt(decimal_base + 1);
    const most: Type = @fromBackingInt(decimal_base + decimal_precision_max);
    for ([_]i64{ 9, -9, 0 }) |value| try testing.expect(fitsDecimal(one, @bitCast(value)));
    for ([_]i64{ 10, -10, std.math.minInt(i64) }) |value| try testing.expect(!fitsDecimal(one, @bitCast(value)));
    try testing.expect(fitsDecimal(most, 999_999_999_999_999_999));
    try testing.expect(!fitsDecimal(most, 1_000_000_000_000_000_000));
    for ([_]u8{ 0, 7, 10, 64, 83, 255 }) |number| try testing.expect(!isKnown(@fromBackingInt(number)));
}

test "JSON becomes canonical, the rest stays" {
    var bytes: [80]u8 align(8) = undefined;
    const types = [_]Type{ .json, .int, .text };
    const loose = "{\"b\": 1, \"a\": 2}";
    var writer = Writer.begin(@intFromPtr(&bytes), 3, padded(fixedBytes(3) + loose.len + 3));
    writer.putTail(0, loose);
    writer.putWord(1, 7);
    writer.putTail(2, "xyz");
    var column: u32 = 0;
    const checked = try checkCanonical(&bytes, &types, &column);
    try testing.expect(checked.canonical);
    try testing.expectEqual(padded(fixedBytes(3) + loose.len + 3), checked.source_bytes);
    try testing.expectEqualStrings("{\"a\":2,\"b\":1}", checked.row.tail(0));
    try testing.expectEqualStrings("xyz", checked.row.tail(2));
}
