//! msgpack (github.com/msgpack/msgpack/blob/master/spec.md): values of rows as the network has them, docs/wire.md's RAW.

const std = @import("std");
const row_format = @import("row.zig");
const Row = row_format.Row;

/// Writes, each value in its shortest form. Whoever writes has seen to it that there is room.
pub const Writer = struct {
    to: [*]u8,
    at: usize,
    end: usize,

    pub fn fits(out: *const Writer, bytes: usize) bool {
        return bytes <= out.end - @min(out.at, out.end);
    }
    pub inline fn byte(out: *Writer, value_: u8) void {
        out.to[out.at] = value_;
        out.at += 1;
    }
    inline fn big(out: *Writer, comptime T: type, mark: u8, number: T) void {
        out.byte(mark);
        std.mem.writeInt(T, out.to[out.at..][0..@sizeOf(T)], number, .big);
        out.at += @sizeOf(T);
    }
    pub fn array(out: *Writer, count: usize) void {
        if (count < 16) return out.byte(0x90 | @as(u8, @intCast(count)));
        out.big(u16, 0xdc, @intCast(count));
    }
    pub fn int(out: *Writer, number: i64) void {
        if (number >= 0) return out.unsigned(@intCast(number));
        if (number >= -32) return out.byte(@bitCast(@as(i8, @intCast(number))));
        if (number >= std.math.minInt(i8)) return out.big(u8, 0xd0, @bitCast(@as(i8, @intCast(number))));
        if (number >= std.math.minInt(i16)) return out.big(u16, 0xd1, @bitCast(@as(i16, @intCast(number))));
        if (number >= std.math.minInt(i32)) return out.big(u32, 0xd2, @bitCast(@as(i32, @intCast(number))));
        out.big(u64, 0xd3, @bitCast(number));
    }
    pub fn unsigned(out: *Writer, number: u64) void {
        if (number < 0x80) return out.byte(@intCast(number));
        if (number <= 0xff) return out.big(u8, 0xcc, @intCast(number));
        if (number <= 0xffff) return out.big(u16, 0xcd, @intCast(number));
        if (number <= 0xffff_ffff) return out.big(u32, 0xce, @intCast(number));
        out.big(u64, 0xcf, number);
    }
    fn text(out: *Writer, bytes: []const u8) void {
        if (bytes.len < 32) out.byte(0xa0 | @as(u8, @intCast(bytes.len))) else if (bytes.len <= 0xff)
            out.big(u8, 0xd9, @intCast(bytes.len))
        else if (bytes.len <= 0xffff)
            out.big(u16, 0xda, @intCast(bytes.len))
        else
            out.big(u32, 0xdb, @intCast(bytes.len));
        out.raw(bytes);
    }
    fn binary(out: *Writer, bytes: []const u8) void {
        if (bytes.len <= 0xff) out.big(u8, 0xc4, @intCast(bytes.len)) else if (bytes.len <= 0xffff)
            out.big(u16, 0xc5, @intCast(bytes.len))
        else
            out.big(u32, 0xc6, @intCast(bytes.len));
        out.raw(bytes);
    }
    pub fn raw(out: *Writer, bytes: []const u8) void {
        @memcpy(out.to[out.at..][0..bytes.len], bytes);
        out.at += bytes.len;
    }
    pub fn value(out: *Writer, kind: row_format.Type, row: Row, position: usize) void {
        if (row.isNull(position)) return out.byte(0xc0);
        const slot = row.slot(position).*;
        switch (kind) {
            .bool => out.byte(if (slot != 0) 0xc3 else 0xc2),
            .int, .timestamp, _ => out.int(@bitCast(slot)), // and decimals, in their unit
            .float => out.big(u64, 0xcb, slot),
            .text, .json => out.text(row.tail(position)),
            .bytes, .uuid => out.binary(row.tail(position)),
        }
    }
};

/// A value is not what it should be here; what else it is nobody knows yet.
pub const Odd = error{Odd};

/// Reads what is expected, and nothing else.
pub const Reader = struct {
    from: []const u8,
    at: usize = 0,

    pub fn ended(in: *const Reader) bool {
        return in.at == in.from.len;
    }
    pub fn peek(in: *const Reader) Odd!u8 {
        return if (in.at < in.from.len) in.from[in.at] else error.Odd;
    }
    pub fn byte(in: *Reader) Odd!u8 {
        const found = try in.peek();
        in.at += 1;
        return found;
    }
    pub fn raw(in: *Reader, bytes: usize) Odd![]const u8 {
        if (bytes > in.from.len - in.at) return error.Odd;
        defer in.at += bytes;
        return in.from[in.at..][0..bytes];
    }
    fn big(in: *Reader, comptime T: type) Odd!T {
        return std.mem.readInt(T, (try in.raw(@sizeOf(T)))[0..@sizeOf(T)], .big);
    }
    /// How many elements an array has.
    pub fn array(in: *Reader) Odd!usize {
        const mark = try in.byte();
        if (mark & 0xf0 == 0x90) return mark & 0x0f;
        return switch (mark) {
            0xdc => try in.big(u16),
            0xdd => try in.big(u32),
            else => error.Odd,
        };
    }
    /// A whole number that fits 64 bits with a sign.
    pub fn int(in: *Reader) Odd!i64 {
        const mark = try in.byte();
        if (mark < 0x80) return mark;
        if (mark >= 0xe0) return @as(i8, @bitCast(mark));
        return switch (mark) {
            0xcc => try in.big(u8),
            0xcd => try in.big(u16),
            0xce => try in.big(u32),
            0xcf => std.math.cast(i64, try in.big(u64)) orelse error.Odd,
            0xd0 => try in.big(i8),
            0xd1 => try in.big(i16),
            0xd2 => try in.big(i32),
            0xd3 => try in.big(i64),
            else => error.Odd,
        };
    }
    pub fn isText(mark: u8) bool {
        return mark & 0xe0 == 0xa0 or (mark >= 0xd9 and mark <= 0xdb);
    }
    pub fn text(in: *Reader) Odd![]const u8 {
        const mark = try in.byte();
        const bytes: usize = if (mark & 0xe0 == 0xa0) mark & 0x1f else switch (mark) {
            0xd9 => try in.big(u8),
            0xda => try in.big(u16),
            0xdb => try in.big(u32),
            else => return error.Odd,
        };
        const found = try in.raw(bytes);
        return if (row_format.isUtf8(found)) found else error.Odd;
    }
    pub fn binary(in: *Reader) Odd![]const u8 {
        const bytes: usize = switch (try in.byte()) {
            0xc4 => try in.big(u8),
            0xc5 => try in.big(u16),
            0xc6 => try in.big(u32),
            else => return error.Odd,
        };
        return in.raw(bytes);
    }
    /// A float that is finite; −0.0 is 0.0.
    pub fn float(in: *Reader) Odd!u64 {
        const number: f64 = switch (try in.peek()) {
            0xca => blk: {
                in.at += 1;
                break :blk @as(f32, @bitCast(try in.big(u32)));
            },
            0xcb => blk: {
                in.at += 1;
                break :blk @bitCast(try in.big(u64));
            },
            else => @floatFromInt(try in.int()),
        };
        if (!std.math.isFinite(number)) return error.Odd;
        return if (number == 0) 0 else @bitCast(number);
    }
};
