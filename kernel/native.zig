//! Native transitions: what primitives do, run by the kernel in place of a guest. The rows of a primitive are those of a
//! table that is written here only, so undo, redo, views, deltas and hashes are a table's.
//!
//! An operation checks before it changes anything where it can; where it fails later, whoever runs it undoes it.

const std = @import("std");
const layout = @import("layout.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const heap = @import("heap.zig");
const transaction = @import("transaction.zig");
const counters = @import("counter.zig");
const histograms = @import("histogram.zig");
const rings = @import("ring.zig");
const limiters = @import("limiter.zig");
const sequences = @import("sequence.zig");
const Row = row_format.Row;
const Table = table_format.Table;
const Error = layout.Error;

/// As in reifydb/primitives.
pub const Operation = enum(u32) {
    counter_add = 1,
    counter_get = 2,
    counter_set = 3,
    counter_reset = 4,
    sequence_next = 5,
    sequence_current = 6,
    ring_push = 7,
    ring_length = 8,
    ring_clear = 9,
    limiter_take = 10,
    limiter_peek = 11,
    limiter_reset = 12,
    histogram_record = 13,
    histogram_quantile = 14,
    histogram_summary = 15,
    histogram_reset = 16,
    histogram_merge = 17,
    _,
};

pub const result_bytes_max = layout.result_bytes_max;

/// An operation and the table that it is about.
pub const Native = struct {
    operation: Operation,
    table: u32,
    /// What the declaration says; each operation knows what is where.
    settings: [settings_max]i64,

    const settings_max = 8;

    /// `source`: operation u32, table u32, then up to 8 settings, i64.
    pub fn read(source: []const u8) Error!Native {
        if (source.len < 8 or source.len > 8 + 8 * settings_max or source.len % 8 != 0) return error.InvalidRow;
        var native: Native = .{
            .operation = @fromBackingInt(std.mem.readInt(u32, source[0..4], .little)),
            .table = std.mem.readInt(u32, source[4..8], .little),
            .settings = @splat(0),
        };
        var at: usize = 8;
        while (at < source.len) : (at += 8) native.settings[at / 8 - 1] = std.mem.readInt(i64, source[at..][0..8], .little);
        return native;
    }

    /// Runs it with arguments that have been checked. Its result goes to `at`, where there is room for
    /// `result_bytes_max`: how many bytes of it there are.
    pub fn run(native: *const Native, args: Row, at: u64) Error!usize {
        layout.fault(native.table, layout.none_u32, 0);
        const table = table_format.get(native.table) orelse return error.NoRelation;
        return switch (native.operation) {
            .counter_add => counters.add(table, args, at),
            .counter_get => counters.get(table, args, at),
            .counter_set => counters.set(table, args, at),
            .counter_reset => counters.reset(table, args, at),
            .sequence_next => sequences.next(table, &native.settings, at),
            .sequence_current => sequences.current(table, at),
            .ring_push => rings.push(table, &native.settings, args, at),
            .ring_length => rings.length(table, &native.settings, args, at),
            .ring_clear => rings.clear(table, &native.settings, args, at),
            .limiter_take => limiters.take(table, &native.settings, args, at),
            .limiter_peek => limiters.peek(table, &native.settings, args, at),
            .histogram_record => histograms.record(table, &native.settings, args, at),
            .histogram_quantile => histograms.quantile(table, &native.settings, args, at),
            .histogram_summary => histograms.summary(table, args, at),
            .histogram_reset => histograms.reset(table, args, at),
            .histogram_merge => histograms.merge(table, args, at),
            .limiter_reset => limiters.reset(table, args, at),
            _ => error.NoRelation,
        };
    }
};

/// 0, 1, 2 …: where the key's columns are in arguments that begin with them.
pub const leading: [layout.columns_max]u16 = positions: {
    var found: [layout.columns_max]u16 = undefined;
    for (&found, 0..) |*position, i| position.* = @intCast(i);
    break :positions found;
};

/// It was declared without a key: its only row has the key that is the default of the only column of that.
pub inline fn isKeyless(table: *const Table) bool {
    return table.layout.defaults.columns() > 0 and !table.layout.defaults.isNull(0);
}

/// How many of an operation's arguments are the key; what else it takes stands behind them.
pub inline fn argumentsBehindKey(table: *const Table) usize {
    return if (isKeyless(table)) 0 else table.key_types.len;
}

/// A live row, and where it hangs.
pub const Found = struct { Row, *u64 };

/// The row with the key that the arguments begin with.
pub fn find(table: *Table, args: Row) Error!?Found {
    const source = if (isKeyless(table)) table.layout.defaults else args;
    const slot = try transaction.findBy(table, source, leading[0..table.key_types.len]) orelse return null;
    const row = table_format.live(slot) orelse return null;
    return .{ row, slot };
}

/// What goes into a column of a row that is made.
pub const Part = union(enum) { nothing, word: u64, argument: u16 };

/// A new row: what the arguments begin with, or the key of a primitive without one, then the parts, one for each further
/// column.
pub fn compose(table: *const Table, args: Row, parts: []const Part) Error!Row {
    return composeOf(table, table.layout.types, args, parts, null);
}

/// The key of a row whose last part is a number: what the arguments begin with, and that. Good until the next one.
pub fn numberedKey(table: *const Table, args: Row, number: i64) Error!Row {
    return composeOf(table, table.key_types, args, &.{.{ .word = @bitCast(number) }}, &numbered_key);
}

/// The first part of a key that stands among the arguments, from one on. Good until the next one.
pub fn keyAmong(table: *const Table, args: Row, from: usize, count: usize) Error!Row {
    var parts: [layout.columns_max]Part = undefined;
    for (parts[0..count], from..) |*part, argument| part.* = .{ .argument = @intCast(argument) };
    return composeOf(table, table.key_types[0..count], args, parts[0..count], &key_among);
}

/// Room for any key that can be found: its columns, and no more text than `key_bytes_max`.
const KeyRow = [row_format.padded(row_format.fixedBytes(layout.columns_max) + layout.key_bytes_max)]u8;
var numbered_key: KeyRow align(16) = undefined;
var key_among: KeyRow align(16) = undefined;

fn composeOf(table: *const Table, types: []const row_format.Type, args: Row, parts: []const Part, place: ?*align(16) KeyRow) Error!Row {
    const keys = types.len - parts.len;
    const source = if (isKeyless(table)) table.layout.defaults else args;
    var size = row_format.Size.of(types.len);
    for (types, 0..) |kind, i| {
        const from, const column = if (i < keys) .{ source, i } else switch (parts[i - keys]) {
            .argument => |column| .{ args, column },
            else => continue,
        };
        if (row_format.isVariable(kind) and !from.isNull(column)) size.add(kind, from.tail(column).len);
    }
    const length = try size.end();
    if (place) |bytes| if (length > bytes.len) {
        layout.fault(table.number, table.key_positions[0], 0);
        return error.KeyTooLong;
    };
    const at = if (place) |bytes| @intFromPtr(bytes) else try heap.allocate(length);
    var writer = row_format.Writer.begin(at, types.len, length);
    for (types, 0..) |kind, i| {
        if (i < keys) writer.copy(i, kind, source, i) else switch (parts[i - keys]) {
            .nothing => writer.putNull(i),
            .word => |word| writer.putWord(i, word),
            .argument => |column| writer.copy(i, kind, args, column),
        }
    }
    return writer.row;
}

/// A result of one column that is null.
pub fn nothing(at: u64) usize {
    const length = comptime row_format.padded(row_format.fixedBytes(1));
    var writer = row_format.Writer.begin(at, 1, length);
    writer.putNull(0);
    return length;
}

/// A result of one int.
pub fn int(at: u64, value: i64) usize {
    const length = comptime row_format.padded(row_format.fixedBytes(1));
    var writer = row_format.Writer.begin(at, 1, length);
    writer.putWord(0, @bitCast(value));
    return length;
}
