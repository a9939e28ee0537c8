//! Encoded keys: bytes whose order is the order of the values (docs/formats.md, "Encoded key").

const std = @import("std");
const layout = @import("layout.zig");
const row_format = @import("row.zig");
const Row = row_format.Row;
const Type = row_format.Type;

/// Room for a key, and eight bytes more so that a tree may load whole words.
pub const Buffer = [layout.key_bytes_max + 16]u8;

/// Which columns of a row make the key.
pub const Shape = struct {
    types: []const Type,
    positions: []const u16,

    /// The key is one column of eight bytes: it fits a register, and so do comparisons.
    pub fn isWord(shape: Shape) bool {
        return shape.types.len == 1 and switch (shape.types[0]) {
            .int, .timestamp, .float => true,
            else => false,
        };
    }
};

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
    var at: usize = 0;
    for (shape.types[0..count], shape.positions[0..count]) |kind, position| {
        switch (kind) {
            .bool => {
                if (at + 1 > layout.key_bytes_max) return error.KeyTooLong;
                out[at] = @intCast(row.slot(position).* & 1);
                at += 1;
            },
            .int, .timestamp, .float => {
                if (at + 8 > layout.key_bytes_max) return error.KeyTooLong;
                std.mem.writeInt(u64, out[at..][0..8], wordOf(kind, row.slot(position).*), .big);
                at += 8;
            },
            else => at = try encodeBytes(row.tail(position), at, out),
        }
    }
    return at;
}

fn encodeBytes(value: []const u8, start: usize, out: *Buffer) error{KeyTooLong}!usize {
    if (value.len > layout.key_bytes_max) return error.KeyTooLong;
    var at = start;
    for (value) |byte| {
        if (at + 2 > layout.key_bytes_max) return error.KeyTooLong;
        out[at] = byte;
        at += 1;
        if (byte == 0) {
            out[at] = 0xff;
            at += 1;
        }
    }
    if (at + 2 > layout.key_bytes_max) return error.KeyTooLong;
    out[at] = 0;
    out[at + 1] = 0;
    return at + 2;
}

test "words keep the order of floats" {
    const values = [_]f64{ -1e308, -2.5, -5e-324, 0.0, 5e-324, 1.0, 1.5, 1e308 };
    for (values[0 .. values.len - 1], values[1..]) |a, b| {
        try std.testing.expect(wordOf(.float, @bitCast(a)) < wordOf(.float, @bitCast(b)));
    }
    try std.testing.expectEqual(wordOf(.float, @bitCast(@as(f64, 0.0))), wordOf(.float, @bitCast(@as(f64, -0.0))));
}
