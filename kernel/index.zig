//! Secondary indexes: trees over some columns of a table, whose leaves are the same rows as those of the primary key.
//!
//! What is always true here:
//! - Each live row of the table has one leaf in each of its indexes.
//! - Rows that the open transaction deleted, or moved to another key, keep their leaf until it ends, and are skipped
//!   because they are dead. So undoing needs no memory here either.
//! - While the log is replayed, indexes are empty: they are built when it has ended (`buildAll`), because on its way
//!   a record may break what holds before and after it.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const trees = @import("tree.zig");
const Row = row_format.Row;
const Type = row_format.Type;
const Table = table_format.Table;
const Error = layout.Error;

pub const Index = struct {
    table: *Table,
    number: u32,
    types: []Type,
    positions: []u16,
    secondary: key.Secondary,
    tree: trees.Tree,

    /// Refuses a row whose key is too long, or is that of another live row than `except`.
    pub fn check(index: *Index, row: Row, except: u64) Error!void {
        const encoded = key.encodeSecondary(index.tree.shape, row, &own_key) catch |err| {
            index.fault();
            return err;
        };
        if (!encoded.exclusive) return;
        const there = table_format.live(index.tree.find(&own_key, encoded.len)) orelse return;
        if (there.at == except) return;
        index.fault();
        return error.DuplicateKey;
    }

    /// Hangs a row in. A dead one that hung there is returned, 0 when there was none.
    pub fn add(index: *Index, row: Row) error{OutOfMemory}!u64 {
        const len = index.tree.keyOf(row, &own_key);
        const slot = try index.tree.insert(&own_key, len, row) orelse return 0;
        const replaced = slot.* & ~@as(u64, 1);
        slot.* = trees.leafOf(row);
        return replaced;
    }

    /// Undoes `add`.
    pub fn putBack(index: *Index, row: Row, replaced: u64) void {
        if (replaced == 0) return index.tree.removeRow(row);
        index.tree.findRow(row).?.* = trees.leafOf(.{ .at = replaced });
    }

    /// Hangs another version of the same row, with the same key, in its place.
    pub fn replace(index: *Index, row: Row) void {
        index.tree.findRow(row).?.* = trees.leafOf(row);
    }

    /// Takes a dead row out, unless another one hangs in its place.
    pub fn sweep(index: *Index, row: Row) void {
        index.tree.removeExact(row);
    }

    /// Whether two versions of a row have the same key.
    pub fn sameKey(index: *const Index, a: Row, b: Row) bool {
        for (index.types, index.positions) |kind, position| {
            if (!row_format.sameValue(kind, index.from(a, position), index.from(b, position), position)) return false;
        }
        return true;
    }

    fn from(index: *const Index, row: Row, position: u16) Row {
        return if (position < row.columns()) row else index.table.layout.defaults;
    }

    /// Hangs all rows of the table in.
    pub fn build(index: *Index) Error!void {
        var progress = layout.Progress.begin(index.table.rows);
        var it = trees.Iterator(false).init();
        var found = it.first(&index.table.tree);
        while (found) |row| : (found = it.next()) {
            if (row.has(row_format.flag_dead)) continue;
            progress.step();
            try index.check(row, 0);
            _ = try index.add(row);
        }
    }

    fn fault(index: *const Index) void {
        layout.fault(index.table.number, index.positions[0], 0);
        layout.control.fault_index = index.number;
    }
};

var own_key: key.Buffer = undefined;

fn readU16(bytes: []const u8, at: usize) u16 {
    return std.mem.readInt(u16, bytes[at..][0..2], .little);
}

/// Makes an index without rows from its descriptor (docs/formats.md) and hangs it behind the others of its table.
pub fn create(table: *Table, source: []const u8) Error!*Index {
    if (source.len < 8) return error.InvalidRow;
    const number = std.mem.readInt(u32, source[0..4], .little);
    const flags = readU16(source, 4);
    const columns = readU16(source, 6);
    if (flags > 1 or columns == 0 or columns > layout.columns_max) return error.InvalidRow;
    if (number == 0 or source.len != 8 + 2 * @as(usize, columns)) return error.InvalidRow;
    if (find(table, number) != null) return error.DuplicateKey;
    if (table.indexes_len == layout.indexes_max) return error.LimitReached;

    const index = try heap.create(Index);
    errdefer heap.destroy(Index, index);
    const types = try heap.allocateSlice(Type, columns);
    errdefer heap.freeSlice(Type, types);
    const positions = try heap.allocateSlice(u16, columns);
    errdefer heap.freeSlice(u16, positions);
    const nullable = try heap.allocateSlice(bool, columns);
    errdefer heap.freeSlice(bool, nullable);
    for (types, positions, nullable, 0..) |*kind, *position, *n, i| {
        position.* = readU16(source, 8 + 2 * i);
        if (position.* >= table.layout.columns or table.layout.dropped[position.*]) return error.InvalidRow;
        for (positions[0..i]) |other| if (other == position.*) return error.InvalidRow;
        kind.* = table.layout.types[position.*];
        n.* = table.layout.nullable[position.*];
    }
    index.* = .{
        .table = table,
        .number = number,
        .types = types,
        .positions = positions,
        .secondary = .{
            .unique = flags & 1 != 0,
            .nullable = nullable,
            .primary = table.shape(),
            .defaults = &table.layout.defaults,
        },
        .tree = trees.Tree.init(.{ .types = types, .positions = positions, .secondary = &index.secondary }),
    };
    table.indexes[table.indexes_len] = index;
    table.indexes_len += 1;
    return index;
}

/// Writes the descriptor of an index; `create` reads it.
pub fn describe(index: *const Index, out: *[8 + 2 * layout.columns_max]u8) []const u8 {
    std.mem.writeInt(u32, out[0..4], index.number, .little);
    std.mem.writeInt(u16, out[4..6], @intFromBool(index.secondary.unique), .little);
    std.mem.writeInt(u16, out[6..8], @intCast(index.positions.len), .little);
    for (index.positions, 0..) |position, i| std.mem.writeInt(u16, out[8 + 2 * i ..][0..2], position, .little);
    return out[0 .. 8 + 2 * index.positions.len];
}

pub fn find(table: *const Table, number: u32) ?*Index {
    for (table.all()) |index| if (index.number == number) return index;
    return null;
}

/// Takes an index out of its table's list; where it stood.
pub fn unhook(index: *Index) usize {
    const table = index.table;
    const at = std.mem.indexOfScalar(*Index, table.all(), index).?;
    std.mem.copyForwards(*Index, table.indexes[at..], table.indexes[at + 1 .. table.indexes_len]);
    table.indexes_len -= 1;
    return at;
}

/// Puts it back there.
pub fn hook(index: *Index, at: usize) void {
    const table = index.table;
    std.mem.copyBackwards(*Index, table.indexes[at + 1 .. table.indexes_len + 1], table.indexes[at..table.indexes_len]);
    table.indexes[at] = index;
    table.indexes_len += 1;
}

/// Frees an index that is in no list any more.
pub fn destroy(index: *Index) void {
    index.tree.clear(false);
    heap.freeSlice(bool, @constCast(index.secondary.nullable));
    heap.freeSlice(u16, index.positions);
    heap.freeSlice(Type, index.types);
    heap.destroy(Index, index);
}

/// Builds every index from the rows: the log has been replayed.
pub fn buildAll() Error!void {
    for (table_format.tables[0..table_format.tables_end]) |maybe| if (maybe) |table| {
        for (table.all()) |index| {
            index.tree.clear(false);
            try index.build();
        }
    };
}
