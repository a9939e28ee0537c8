//! Rows, byte by byte as docs/formats.md draws them, from and to plain Zig structs.
//!
//! A `Codec` is made at comptime from a list of columns: what it compiles to is one load or store
//! per column. Text that is decoded points into the row, nothing is copied. Rows that the host hands
//! over are well-formed, so `decode` checks nothing; what goes out is checked by the host.

const std = @import("std");

/// A value of a `bytes` column: distinct from text, which is `[]const u8`.
pub const Bytes = struct { data: []const u8 };

/// A value of a `timestamp` column: microseconds since 1970-01-01T00:00:00Z.
pub const Timestamp = struct { micros: i64 };

/// A value of a `decimal(precision,scale)` column: so many `units` of 1/10^scale, exactly.
pub fn Decimal(comptime precision: comptime_int, comptime scale: comptime_int) type {
    if (precision < 1 or precision > 18 or scale < 0 or scale > precision)
        @compileError("a decimal has 1 to 18 digits, of which none or up to all are behind the point");
    return struct {
        units: i64,

        pub const decimal_precision = precision;
        pub const decimal_scale = scale;
    };
}

/// A value of a `uuid` column.
pub const Uuid = struct { bytes: [16]u8 };

/// A value of a `json` column: any JSON text. What is read is in its canonical form.
pub const Json = struct { text: []const u8 };

pub const Kind = enum { bool, int, float, text, bytes, timestamp, decimal, uuid, json };

/// One column: its name, and its type in Zig (optional: it can be null).
pub const Column = struct {
    name: [:0]const u8,
    type: type,

    pub fn nullable(comptime self: Column) bool {
        return @typeInfo(self.type) == .optional;
    }

    pub fn kind(comptime self: Column) Kind {
        return kindOf(self.type) orelse @compileError("column '" ++ self.name ++ "': " ++
            @typeName(self.type) ++ " is not a column type; these are bool, i64, f64, []const u8 " ++
            "(text), Bytes, Timestamp, Decimal(p, s), Uuid, Json of reifydb, and their optionals");
    }

    /// The type's name in the manifest.
    pub fn typeName(comptime self: Column) []const u8 {
        if (self.kind() != .decimal) return @tagName(self.kind());
        const T = Plain(self.type);
        return std.fmt.comptimePrint("decimal({d},{d})", .{ T.decimal_precision, T.decimal_scale });
    }
};

/// The kind of a column type; null when it is none.
pub fn kindOf(comptime T: type) ?Kind {
    return switch (Plain(T)) {
        bool => .bool,
        i64 => .int,
        f64 => .float,
        []const u8 => .text,
        Bytes => .bytes,
        Timestamp => .timestamp,
        Uuid => .uuid,
        Json => .json,
        else => |Other| if (@typeInfo(Other) == .@"struct" and @hasDecl(Other, "decimal_precision")) .decimal else null,
    };
}

/// The columns of a struct or tuple, in its order.
pub fn columnsOf(comptime T: type) []const Column {
    comptime {
        const info = @typeInfo(T).@"struct";
        var columns: [info.field_names.len]Column = undefined;
        for (&columns, info.field_names, info.field_types) |*column, name, Field| {
            column.* = .{ .name = name, .type = Field };
        }
        const all = columns;
        return &all;
    }
}

pub fn Codec(comptime columns: []const Column) type {
    return struct {
        const nulls_at = 8 + 8 * columns.len;
        const nulls_bytes = (columns.len + 7) / 8;
        const tail_at = nulls_at + nulls_bytes;

        /// Whether no value points into the row it was read from: there is no text, no bytes, no JSON.
        pub const is_bounded = for (columns) |column| {
            if (isLong(column)) break false;
        } else true;

        /// The length of a row at most, but for its texts.
        pub const bytes_max = max: {
            var bytes: usize = tail_at;
            for (columns) |column| bytes += if (column.kind() == .uuid) 16 else 0;
            break :max std.mem.alignForward(usize, bytes, 8);
        };

        /// The length of the row of `value`. It may be more than a guest's memory could hold.
        pub fn size(value: anytype) u64 {
            var bytes: u64 = tail_at;
            inline for (columns, 0..) |column, i| {
                if (comptime isLong(column) or column.kind() == .uuid) {
                    const long = field(value, i);
                    if (comptime column.nullable()) {
                        if (long) |present| bytes += tail(present);
                    } else bytes += tail(long);
                }
            }
            return std.mem.alignForward(u64, bytes, 8);
        }

        /// Writes the row of `value`, for which `out` has `length` bytes: those that `size` says.
        ///
        /// `value` is a struct with the columns' names, a tuple in their order, or, for one column,
        /// the value itself. A nullable column that a struct leaves out is null.
        pub fn encode(value: anytype, out: [*]align(8) u8, length: usize) void {
            store(u64, out + length - 8, 0); // the padding is in the last word; the rest is written
            store(u64, out, length | @as(u64, columns.len) << 32);
            var nulls: [nulls_bytes]u8 = @splat(0);
            var at: usize = tail_at;
            inline for (columns, 0..) |column, i| {
                const value_or_null = field(value, i);
                const slot = if (comptime column.nullable())
                    if (value_or_null) |present| put(present, out, &at) else null_slot: {
                        nulls[i / 8] |= 1 << i % 8;
                        break :null_slot 0;
                    }
                else
                    put(value_or_null, out, &at);
                store(u64, out + 8 + 8 * i, slot);
            }
            inline for (nulls, 0..) |byte, i| out[nulls_at + i] = byte;
        }

        /// The row as a `T` with one field per column, in the columns' order. Texts point into `row`.
        pub fn decode(comptime T: type, row: [*]align(8) const u8) T {
            var value: T = undefined;
            inline for (columns, @typeInfo(T).@"struct".field_names, 0..) |column, name, i| {
                const is_null = column.nullable() and row[nulls_at + i / 8] >> i % 8 & 1 == 1;
                @field(value, name) = if (is_null) nullOf(column.type) else valueOf(column, row, 8 + 8 * i);
            }
            return value;
        }

        inline fn field(value: anytype, comptime i: usize) columns[i].type {
            const T = @TypeOf(value);
            if (comptime @typeInfo(T) != .@"struct" or kindOf(T) != null) {
                if (columns.len != 1) @compileError("expected one value per column, found " ++ @typeName(T));
                return value;
            }
            const info = @typeInfo(T).@"struct";
            if (info.is_tuple) {
                if (info.field_names.len != columns.len) @compileError("expected one value per column");
                return value[i];
            }
            if (comptime @hasField(T, columns[i].name)) return @field(value, columns[i].name);
            if (comptime columns[i].nullable()) return null;
            @compileError("column '" ++ columns[i].name ++ "' is missing in " ++ @typeName(T));
        }
    };
}

/// The columns with every one nullable: for rows that leave columns to their default or counter.
pub fn nullableColumns(comptime columns: []const Column) []const Column {
    comptime {
        var loose: [columns.len]Column = columns[0..columns.len].*;
        for (&loose) |*column| {
            if (!column.nullable()) column.type = ?column.type;
        }
        const all = loose;
        return &all;
    }
}

/// The length that a row says it has.
pub inline fn lengthOf(row: [*]align(8) const u8) usize {
    return load(u32, row);
}

fn Plain(comptime T: type) type {
    return switch (@typeInfo(T)) {
        .optional => |info| info.child,
        else => T,
    };
}

fn isLong(comptime column: Column) bool {
    return switch (column.kind()) {
        .text, .bytes, .json => true,
        else => false,
    };
}

inline fn data(long: anytype) []const u8 {
    return switch (@TypeOf(long)) {
        Bytes => long.data,
        Json => long.text,
        else => long,
    };
}

/// What a value adds to the row's tail.
inline fn tail(value: anytype) u64 {
    return if (@TypeOf(value) == Uuid) 16 else data(value).len;
}

inline fn nullOf(comptime T: type) T {
    return if (@typeInfo(T) == .optional) null else unreachable;
}

/// The slot of a value that is not null; a text or bytes go to the tail, at `at`, which moves on.
inline fn put(value: anytype, row: [*]u8, at: *usize) u64 {
    switch (@TypeOf(value)) {
        bool => return @intFromBool(value),
        i64, f64 => return @bitCast(value),
        Timestamp => return @bitCast(value.micros),
        Uuid => {
            const slot = at.* | @as(u64, 16) << 32;
            row[at.*..][0..16].* = value.bytes;
            at.* +%= 16;
            return slot;
        },
        []const u8, Bytes, Json => {
            const long = data(value);
            const slot = at.* | @as(u64, long.len) << 32;
            copy(row + at.*, long);
            at.* +%= long.len;
            return slot;
        },
        else => return @bitCast(value.units),
    }
}

inline fn valueOf(comptime column: Column, row: [*]align(8) const u8, comptime at: usize) Plain(column.type) {
    switch (comptime column.kind()) {
        .bool => return row[at] != 0,
        .int => return load(i64, row + at),
        .float => return load(f64, row + at),
        .timestamp => return .{ .micros = load(i64, row + at) },
        .decimal => return .{ .units = load(i64, row + at) },
        .uuid => return .{ .bytes = (row + load(u32, row + at))[0..16].* },
        .text, .bytes, .json => {
            const long = (row + load(u32, row + at))[0..load(u32, row + at + 4)];
            return switch (comptime column.kind()) {
                .bytes => .{ .data = long },
                .json => .{ .text = long },
                else => long,
            };
        },
    }
}

inline fn load(comptime T: type, from: [*]const u8) T {
    return @as(*align(1) const T, @ptrCast(from)).*;
}

inline fn store(comptime T: type, to: [*]u8, value: T) void {
    @as(*align(1) T, @ptrCast(to)).* = value;
}

/// Copies by words: texts in rows are short, and `memory.copy` costs more than a few stores.
noinline fn copy(to: [*]u8, from: []const u8) void {
    if (from.len < 8) {
        if (from.len & 4 != 0) store(u32, to, load(u32, from.ptr));
        if (from.len & 2 != 0) store(u16, to + (from.len & 4), load(u16, from.ptr + (from.len & 4)));
        if (from.len & 1 != 0) to[from.len - 1] = from[from.len - 1];
    } else if (from.len <= 64) {
        var at: usize = 0;
        const last = from.len - 8;
        while (at < last) : (at += 8) store(u64, to + at, load(u64, from.ptr + at));
        store(u64, to + last, load(u64, from.ptr + last));
    } else @memcpy(to, from);
}
