//! Encoded keys: bytes whose order is the order of the values (docs/formats.md, "Encoded key").

const std = @import("std");
const layout = @import("layout.zig");
const row_format = @import("row.zig");
const Cell = @import("cell.zig").Cell;
const Row = row_format.Row;
const Type = row_format.Type;

/// Room for a key of an index (its columns, then the primary key), and eight bytes more so that a tree may load whole
/// words.
pub const Buffer = [2 * layout.key_bytes_max + 16]u8;

/// Which columns of a row make the key.
pub const Shape = struct {
    types: []const Type,
    positions: []const u16,
    /// What else a secondary index needs; null: the primary key.
    secondary: ?*const Secondary = null,
    /// Which columns of the primary key may be null: those of views, never those of tables.
    nullable: ?[]const bool = null,

    /// The key is one column of eight bytes: it fits a register, and so do comparisons.
    pub fn isWord(shape: Shape) bool {
        return shape.secondary == null and shape.nullable == null and shape.types.len == 1 and switch (shape.types[0]) {
            .bool, .text, .bytes, .uuid, .json => false,
            .int, .timestamp, .float, _ => true, // the others are decimals
        };
    }
};

/// What makes keys of a secondary index out of its columns: a byte before each column that may be null, and the primary
/// key behind them where they alone may stand twice.
pub const Secondary = struct {
    unique: bool,
    nullable: []const bool,
    primary: Shape,
    /// Of the table: rows may be too short to have a column.
    defaults: *const Row,
};

/// Nulls come last.
pub const before_value: u8 = 1;
const in_place_of_null: u8 = 2;

const sign: u64 = 1 << 63;

/// The order-preserving word of a number's slot.
pub inline fn wordOf(kind: Type, slot: u64) u64 {
    if (kind == .float) {
        const value = if (slot == sign) 0 else slot;
        return if (value & sign != 0) ~value else value ^ sign;
    }
    return slot ^ sign;
}

/// Encodes the key columns of a row, or as many of them as `count` says. Fails only when it does not fit.
pub fn encode(shape: Shape, count: usize, row: Row, out: *Buffer) error{KeyTooLong}!usize {
    return encodePrimary(shape, count, row, 0, layout.key_bytes_max, out);
}

fn encodePrimary(shape: Shape, count: usize, row: Row, start: usize, end: usize, out: *Buffer) error{KeyTooLong}!usize {
    var at = start;
    if (shape.nullable) |flags| {
        for (shape.types[0..count], shape.positions[0..count], flags[0..count]) |kind, position, nullable| {
            at = try encodeNullable(kind, row, position, nullable, row.isNull(position), at, end, out);
        }
        return at;
    }
    for (shape.types[0..count], shape.positions[0..count]) |kind, position| {
        at = try encodeValue(kind, row, position, at, end, out);
    }
    return at;
}

pub const Encoded = struct {
    len: usize,
    /// No other row has this key: it has no null and the index is unique.
    exclusive: bool,
};

/// Encodes a row's key in a secondary index.
pub fn encodeSecondary(shape: Shape, row: Row, out: *Buffer) error{KeyTooLong}!Encoded {
    const secondary = shape.secondary.?;
    var at: usize = 0;
    var exclusive = secondary.unique;
    for (shape.types, shape.positions, secondary.nullable) |kind, position, nullable| {
        const from = if (position < row.columns()) row else secondary.defaults.*;
        const is_null = from.isNull(position);
        if (is_null) exclusive = false;
        at = try encodeNullable(kind, from, position, nullable, is_null, at, layout.key_bytes_max, out);
    }
    if (exclusive) return .{ .len = at, .exclusive = true };
    const end = at + layout.key_bytes_max;
    at = try encodePrimary(secondary.primary, secondary.primary.types.len, row, at, end, out);
    return .{ .len = at, .exclusive = false };
}

/// Encodes a place: a row of the columns of a secondary index, then of the primary key. The same key as
/// `encodeSecondary` makes of a whole row.
pub fn encodePlace(shape: Shape, row: Row, out: *Buffer) error{KeyTooLong}!usize {
    const secondary = shape.secondary.?;
    const count = shape.types.len;
    var at = try encodeBound(shape, count, row, out);
    const has_null = for (0..count) |i| {
        if (row.isNull(i)) break true;
    } else false;
    if (secondary.unique and !has_null) return at;
    const end = at + layout.key_bytes_max;
    for (secondary.primary.types, 0..) |kind, i| {
        const nullable = if (secondary.primary.nullable) |flags| flags[i] else false;
        at = try encodeNullable(kind, row, count + i, nullable, row.isNull(count + i), at, end, out);
    }
    return at;
}

/// Encodes a bound: a row of the first `count` columns of a secondary index.
pub fn encodeBound(shape: Shape, count: usize, row: Row, out: *Buffer) error{KeyTooLong}!usize {
    var at: usize = 0;
    for (shape.types[0..count], shape.secondary.?.nullable[0..count], 0..) |kind, nullable, i| {
        at = try encodeNullable(kind, row, i, nullable, row.isNull(i), at, layout.key_bytes_max, out);
    }
    return at;
}

fn encodeNullable(kind: Type, row: Row, position: usize, nullable: bool, is_null: bool, start: usize, end: usize, out: *Buffer) error{KeyTooLong}!usize {
    const at = if (nullable) try encodeMark(is_null, start, end, out) else start;
    return if (is_null) at else encodeValue(kind, row, position, at, end, out);
}

fn encodeMark(is_null: bool, at: usize, end: usize, out: *Buffer) error{KeyTooLong}!usize {
    if (at == end) return error.KeyTooLong;
    out[at] = if (is_null) in_place_of_null else before_value;
    return at + 1;
}

/// Encodes one value at `at`; nothing may lie at `end` or behind it.
inline fn encodeValue(kind: Type, row: Row, position: usize, at: usize, end: usize, out: *Buffer) error{KeyTooLong}!usize {
    if (row_format.isVariable(kind)) return encodeTail(kind, row.tail(position), at, end, out);
    return encodeWord(kind, row.slot(position).*, at, end, out);
}

/// Encodes a value that lies in no row.
pub fn encodeCell(kind: Type, cell: Cell, nullable: bool, start: usize, out: *Buffer) error{KeyTooLong}!usize {
    const end = layout.key_bytes_max;
    const is_null = cell.is_null != 0;
    const at = if (nullable) try encodeMark(is_null, start, end, out) else start;
    if (is_null) return at;
    return if (row_format.isVariable(kind)) encodeTail(kind, cell.tail(), at, end, out) else encodeWord(kind, cell.value, at, end, out);
}

inline fn encodeWord(kind: Type, word: u64, at: usize, end: usize, out: *Buffer) error{KeyTooLong}!usize {
    @setRuntimeSafety(false); // hot, and whether it fits is asked before
    if (kind == .bool) {
        if (at + 1 > end) return error.KeyTooLong;
        out[at] = @intCast(word & 1);
        return at + 1;
    }
    if (at + 8 > end) return error.KeyTooLong;
    std.mem.writeInt(u64, out[at..][0..8], wordOf(kind, word), .big);
    return at + 8;
}

fn encodeTail(kind: Type, tail: []const u8, at: usize, end: usize, out: *Buffer) error{KeyTooLong}!usize {
    if (kind != .uuid) return encodeBytes(tail, at, end, out);
    if (at + row_format.uuid_bytes > end) return error.KeyTooLong;
    @memcpy(out[at..][0..row_format.uuid_bytes], tail);
    return at + row_format.uuid_bytes;
}

fn encodeBytes(value: []const u8, start: usize, end: usize, out: *Buffer) error{KeyTooLong}!usize {
    @setRuntimeSafety(false); // hot, and whether it fits is asked before each byte
    if (value.len > layout.key_bytes_max) return error.KeyTooLong;
    var at = start;
    var from: usize = 0;
    // Eight bytes none of which is zero stay as they are.
    while (from + 8 <= value.len and at + 9 < end) : (from += 8) {
        const word = std.mem.readInt(u64, value[from..][0..8], .little);
        if ((word -% ones) & ~word & highs != 0) break;
        std.mem.writeInt(u64, out[at..][0..8], word, .little);
        at += 8;
    }
    const rest = value[from..];
    if (at + 2 * rest.len + 2 <= end) {
        for (rest) |byte| {
            out[at..][0..2].* = .{ byte, 0xff };
            at += 1 + @as(usize, @intFromBool(byte == 0));
        }
    } else for (rest) |byte| {
        if (at + 2 > end) return error.KeyTooLong;
        out[at] = byte;
        at += 1;
        if (byte == 0) {
            out[at] = 0xff;
            at += 1;
        }
    }
    if (at + 2 > end) return error.KeyTooLong;
    out[at] = 0;
    out[at + 1] = 0;
    return at + 2;
}

const ones: u64 = 0x0101_0101_0101_0101;
const highs: u64 = 0x8080_8080_8080_8080;

test "words keep the order of floats" {
    const values = [_]f64{ -1e308, -2.5, -5e-324, 0.0, 5e-324, 1.0, 1.5, 1e308 };
    for (values[0 .. values.len - 1], values[1..]) |a, b| {
        try std.testing.expect(wordOf(.float, @bitCast(a)) < wordOf(.float, @bitCast(b)));
    }
    try std.testing.expectEqual(wordOf(.float, @bitCast(@as(f64, 0.0))), wordOf(.float, @bitCast(@as(f64, -0.0))));
}
