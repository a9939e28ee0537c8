//! A value while a program runs (docs/formats.md, "Program"), and the ways in which a program fails.

const std = @import("std");
const layout = @import("layout.zig");
const row_format = @import("row.zig");
const Row = row_format.Row;
const Type = row_format.Type;

/// 16 bytes. Words (bool 0 and 1, int, timestamp, decimal as its unit, the bits of a float) are in `value`, and `len` is
/// 0. Texts, bytes, uuids and JSON lie where `value` says. Null has 0 in both: so whoever takes one kind for another
/// reads nonsense, but nothing that is not there.
pub const Cell = extern struct {
    value: u64 = 0,
    len: u32 = 0,
    is_null: u32 = 0,

    pub const none: Cell = .{ .is_null = 1 };

    pub inline fn ofWord(value: u64) Cell {
        return .{ .value = value };
    }
    pub inline fn ofInt(value: i64) Cell {
        return .{ .value = @bitCast(value) };
    }
    pub inline fn ofBool(value: bool) Cell {
        return .{ .value = @intFromBool(value) };
    }
    /// Of a float that is finite; −0.0 becomes 0.0.
    pub inline fn ofFloat(value: f64) Cell {
        return .{ .value = @bitCast(value + 0.0) };
    }
    pub inline fn ofTail(bytes: []const u8) Cell {
        @setRuntimeSafety(false);
        return .{ .value = @intFromPtr(bytes.ptr), .len = @intCast(bytes.len) };
    }
    /// Of a column that a row has; it leads into the row.
    pub inline fn ofColumn(kind: Type, row: Row, column: usize) Cell {
        @setRuntimeSafety(false);
        if (row.isNull(column)) return none;
        if (row_format.isVariable(kind)) return ofTail(row.tail(column));
        return if (kind == .float) ofFloat(@bitCast(row.slot(column).*)) else ofWord(row.slot(column).*);
    }

    /// Writes it as a column of a row.
    pub inline fn put(cell: Cell, writer: *row_format.Writer, column: usize, kind: Type) void {
        @setRuntimeSafety(false);
        if (cell.is_null != 0) return writer.putNull(column);
        if (row_format.isVariable(kind)) return writer.putTail(column, cell.tail());
        if (kind == .float) writer.putFloat(column, cell.value) else writer.putWord(column, cell.value);
    }

    pub inline fn int(cell: Cell) i64 {
        return @bitCast(cell.value);
    }
    pub inline fn float(cell: Cell) f64 {
        return @bitCast(cell.value);
    }
    pub inline fn tail(cell: Cell) []const u8 {
        @setRuntimeSafety(false);
        if (cell.len == 0) return &.{};
        return @as([*]const u8, @ptrFromInt(cell.value))[0..cell.len];
    }
    pub inline fn isFalse(cell: Cell) bool {
        return cell.value | cell.is_null == 0;
    }
    pub inline fn isTrue(cell: Cell) bool {
        return cell.value != 0; // of null it is 0
    }
};

pub const Failure = error{ DivisionByZero, OutOfRange, InvalidText, TextTooLong, NotFinite };

/// The number by which the host knows a failure.
pub fn codeOf(failure: Failure) u8 {
    return switch (failure) {
        error.DivisionByZero => 1,
        error.OutOfRange => 2,
        error.InvalidText => 3,
        error.TextTooLong => 4,
        error.NotFinite => 5,
    };
}

/// The error for a failure that is of no instruction: of an aggregate.
pub fn failed(failure: Failure) layout.Error {
    layout.fault(layout.none_u32, codeOf(failure), layout.none_u32);
    layout.control.fault_index = layout.none_u32;
    return error.ExpressionFailed;
}

test "minus zero is zero" {
    try std.testing.expectEqual(0, Cell.ofFloat(-0.0).value);
    try std.testing.expectEqual(0, Cell.ofFloat(0.0).value);
    try std.testing.expectEqual(-1.5, Cell.ofFloat(-1.5).float());
}
