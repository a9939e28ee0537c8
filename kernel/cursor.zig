//! Scans: cursors that hand out rows in key order, a page at a time, and projections.
//!
//! A cursor remembers the key where it stands, not a place in the tree: it stays right whatever its transaction writes
//! between two pages, and costs one seek a page.

const std = @import("std");
const layout = @import("layout.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const tree = @import("tree.zig");
const Index = @import("index.zig").Index;
const Row = row_format.Row;
const Binding = table_format.Binding;
const Error = layout.Error;

pub const flag_lower: u32 = 1;
pub const flag_upper: u32 = 2;
pub const flag_lower_exclusive: u32 = 4;
pub const flag_upper_exclusive: u32 = 8;
pub const flag_descending: u32 = 16;
/// The bound that the cursor starts at is a whole place: of a secondary index its columns, then the primary key.
pub const flag_place: u32 = 32;
/// Of the host's scans: rows are as they are stored, what a view does not show among it.
pub const flag_stored: u32 = 64;
pub const flags_of_guests: u32 = 31;

const Cursor = struct {
    open: bool = false,
    nested: bool = false,
    binding: *const Binding,
    /// What is walked; null: the primary key.
    index: ?*Index,
    descending: bool,
    left: u64, // rows until the limit
    /// The next row's key does not lie before this (strictly: lies behind it), in the cursor's direction.
    from: key.Buffer,
    from_len: usize,
    strictly: bool,
    /// … and not behind this.
    end: key.Buffer,
    end_len: usize,
    has_end: bool,
    end_exclusive: bool,
    finished: bool,

    fn walked(cursor: *const Cursor) *tree.Tree {
        return if (cursor.index) |index| &index.tree else &cursor.binding.table.tree;
    }
};

var cursors: [layout.cursors_max]Cursor = undefined;
var open_count: u32 = 0;

/// A call inside the host's transaction runs: it sees its own cursors only, and they end with it.
pub var nested = false;

pub var rows_scanned: u64 = 0;
pub var rows_scanned_max: u64 = std.math.maxInt(u64);

pub fn closeAll() void {
    if (open_count == 0) return;
    for (&cursors) |*cursor| cursor.open = false;
    open_count = 0;
}

pub fn closeNested() void {
    for (cursors[0..open_count]) |*cursor| if (cursor.nested) {
        cursor.open = false;
    };
    nested = false;
}

pub fn begin() void {
    closeAll();
    nested = false;
    rows_scanned = 0;
    rows_scanned_max = std.math.maxInt(u64);
}

/// Opens a cursor over an index, by default the primary key. `bounds`: the lower, then the upper key or key prefix, as
/// `flags` say.
pub fn open(binding: *const Binding, index: ?*Index, flags: u32, bounds: []const u8, limit: u64) Error!u32 {
    if (flags > 63) return error.InvalidRow;
    const number = for (&cursors, 0..) |*cursor, i| {
        if (i >= open_count or !cursor.open) break i;
    } else return error.LimitReached;
    const cursor = &cursors[number];
    cursor.binding = binding;
    cursor.index = index;
    cursor.descending = flags & flag_descending != 0;
    cursor.left = if (limit == 0) std.math.maxInt(u64) else limit;
    cursor.finished = false;
    const first, const last = if (cursor.descending)
        .{ flag_upper, flag_lower }
    else
        .{ flag_lower, flag_upper };
    var at: usize = 0;
    inline for (.{ flag_lower, flag_upper }) |bound| {
        const is_start = bound == first;
        const buffer = if (is_start) &cursor.from else &cursor.end;
        const len = if (is_start) &cursor.from_len else &cursor.end_len;
        len.* = 0;
        if (flags & bound != 0) len.* = if (is_start and flags & flag_place != 0)
            try placeKey(binding, index, bounds, &at, buffer)
        else
            try boundKey(binding, index, bounds, &at, buffer);
    }
    if (at != bounds.len) return error.InvalidRow;
    cursor.strictly = flags & first != 0 and flags & (first << 2) != 0;
    cursor.has_end = flags & last != 0;
    cursor.end_exclusive = flags & (last << 2) != 0;
    cursor.open = true;
    cursor.nested = nested;
    if (number == open_count) open_count += 1;
    return @intCast(number);
}

/// The key of the row that stands, or stood, at a place.
fn placeKey(binding: *const Binding, index: ?*Index, bounds: []const u8, at: *usize, out: *key.Buffer) Error!usize {
    const one = index orelse return boundKey(binding, null, bounds, at, out);
    const table = binding.table;
    if (bounds.len < at.* + row_format.head_bytes) return error.InvalidRow;
    const count = one.types.len + table.key_types.len;
    var types: [2 * layout.columns_max]row_format.Type = undefined;
    @memcpy(types[0..one.types.len], one.types);
    @memcpy(types[one.types.len..count], table.key_types);
    const row: Row = .{ .at = @intFromPtr(bounds.ptr) + at.* };
    if (row.columns() != count) return error.InvalidRow;
    var column: u32 = 0;
    const checked = try row_format.checkCanonical(bounds[at.*..], types[0..count], &column);
    for (0..count) |i| {
        const nullable = i < one.types.len and one.secondary.nullable[i];
        if (!nullable and checked.row.isNull(i)) return error.NotNull;
    }
    at.* += checked.source_bytes;
    return key.encodePlace(one.tree.shape, checked.row, out);
}

fn boundKey(binding: *const Binding, index: ?*Index, bounds: []const u8, at: *usize, out: *key.Buffer) Error!usize {
    const table = binding.table;
    const types = if (index) |one| one.types else table.key_types;
    const positions = if (index) |one| one.positions else table.key_positions;
    if (bounds.len < at.* + row_format.head_bytes) return error.InvalidRow;
    const row: Row = .{ .at = @intFromPtr(bounds.ptr) + at.* };
    const columns = row.columns();
    if (columns == 0 or columns > types.len) return error.InvalidRow;
    var column: u32 = 0;
    const checked = row_format.checkCanonical(bounds[at.*..], types[0..columns], &column) catch |err| {
        layout.fault(table.number, if (column == layout.none_u32) column else positions[column], 0);
        return err;
    };
    for (0..columns) |i| {
        const nullable = if (index) |one| one.secondary.nullable[i] else if (table.key_nullable) |flags| flags[i] else false;
        if (!nullable and checked.row.isNull(i)) {
            layout.fault(table.number, positions[i], 0);
            return error.NotNull;
        }
    }
    at.* += checked.source_bytes;
    if (index) |one| return key.encodeBound(one.tree.shape, columns, checked.row, out);
    return key.encode(table.keyShape(), columns, checked.row, out);
}

pub fn close(number: u32) Error!void {
    (try get(number)).open = false;
}

fn get(number: u32) Error!*Cursor {
    if (number >= open_count or !cursors[number].open or cursors[number].nested != nested) return error.NoRelation;
    return &cursors[number];
}

/// What a page came to: bytes written, or how much room the next row needs when it did not fit.
pub const Page = struct { bytes: usize, needed: usize };

/// Writes as many further rows as fit behind each other into `out`.
pub fn next(number: u32, out: []u8) Error!Page {
    const cursor = try get(number);
    return if (cursor.descending) page(true, cursor, out) else page(false, cursor, out);
}

fn page(comptime descending: bool, cursor: *Cursor, out: []u8) Error!Page {
    var written: usize = 0;
    var last: ?Row = null;
    if (cursor.finished or cursor.left == 0) return .{ .bytes = 0, .needed = 0 };
    const index = cursor.walked();
    var it = tree.Iterator(descending).init();
    var found = if (cursor.from_len == 0 and !cursor.strictly)
        it.first(index)
    else
        it.seek(index, &cursor.from, cursor.from_len, cursor.strictly);
    while (found) |row| : (found = it.next()) {
        if (cursor.has_end and isBehind(descending, cursor, row)) break;
        if (row.has(row_format.flag_dead)) continue;
        if (rows_scanned >= rows_scanned_max) return error.LimitReached;
        const length = projectedBytes(cursor.binding, row);
        if (length > out.len - written) {
            stopAt(cursor, row, false);
            return .{ .bytes = written, .needed = if (written == 0) length else 0 };
        }
        _ = project(cursor.binding, row, @intFromPtr(out.ptr) + written);
        written += length;
        last = row;
        rows_scanned += 1;
        cursor.left -= 1;
        if (cursor.left == 0) return .{ .bytes = written, .needed = 0 };
    }
    // Whoever reads the last rows may still write behind them: the end is the page without rows.
    if (last) |row| stopAt(cursor, row, true) else cursor.finished = true;
    return .{ .bytes = written, .needed = 0 };
}

fn stopAt(cursor: *Cursor, row: Row, strictly: bool) void {
    cursor.from_len = cursor.walked().keyOf(row, &cursor.from);
    cursor.strictly = strictly;
}

var own_key: key.Buffer = undefined;

fn isBehind(comptime descending: bool, cursor: *const Cursor, row: Row) bool {
    const own = cursor.walked().keyOf(row, &own_key);
    const len = @min(own, cursor.end_len);
    return switch (std.mem.order(u8, own_key[0..len], cursor.end[0..cursor.end_len])) {
        .eq => cursor.end_exclusive,
        .lt => descending,
        .gt => !descending,
    };
}

// ---------------------------------------------------------------- projections

/// Bytes of a row as its binding sees it.
pub fn projectedBytes(binding: *const Binding, row: Row) usize {
    if (binding.shows(row)) return row.length();
    var size = row_format.fixedBytes(binding.columns.types.len);
    for (binding.columns.types, binding.positions) |kind, position| {
        if (!row_format.isVariable(kind)) continue;
        const from = source(binding, row, position);
        if (!from.isNull(position)) size += from.tail(position).len;
    }
    return row_format.padded(size);
}

fn source(binding: *const Binding, row: Row, position: u16) Row {
    return if (position < row.columns()) row else binding.table.layout.defaults;
}

/// Writes a row as its binding sees it to `at`, where there is room for `projectedBytes`.
pub fn project(binding: *const Binding, row: Row, at: u64) Row {
    if (binding.shows(row)) {
        const words = row.words();
        const copied = @as([*]u64, @ptrFromInt(at))[0..words.len];
        for (copied, words) |*to, from| to.* = from;
        copied[0] &= 0xffff_ffff_ffff; // flags are the kernel's own
        return .{ .at = at };
    }
    var writer = row_format.Writer.begin(at, binding.columns.types.len, projectedBytes(binding, row));
    for (binding.columns.types, binding.positions, 0..) |kind, position, i| {
        writer.copy(i, kind, source(binding, row, position), position);
    }
    return writer.row;
}

/// Where a row that is not as its binding sees it is projected to; also a page of a guest's scan.
pub var staged_page: [layout.row_bytes_max]u8 align(16) = undefined;

/// The address of a row as its binding sees it: itself, or a projection that is good until the next one.
pub fn shown(binding: *const Binding, row: Row) Error!u64 {
    if (binding.shows(row)) return row.at;
    if (projectedBytes(binding, row) > staged_page.len) return error.RowTooLong;
    return project(binding, row, @intFromPtr(&staged_page)).at;
}
