//! Tables: what the host described (docs/formats.md, "Table descriptor"), their rows' index, hash and counter.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const Row = row_format.Row;
const Type = row_format.Type;
const Tree = @import("tree.zig").Tree;

pub const none_u16 = 0xffff;

/// Columns of a relation as somebody outside knows them: a module, or the host for one operation.
pub const Binding = struct {
    table: *Table,
    /// The outside columns, and where each is in the table.
    columns: row_format.Columns,
    positions: []const u16,
    /// For each column of the table the outside column, or none_u16.
    sources: []const u16,
    /// The same columns in the same order.
    identity: bool,

    pub fn outside(binding: *const Binding, column: u32) u32 {
        return if (column == layout.none_u32) column else binding.positions[column];
    }
};

pub const Table = struct {
    number: u32,
    columns: u16,
    auto: u16,
    types: []Type,
    nullable: []bool,
    key_positions: []u16,
    key_types: []Type,
    key_columns: row_format.Columns,
    key_identity: []u16, // 0, 1, 2 …: where the key's columns are in a key row
    defaults: Row,
    descriptor: []u8,
    tree: Tree,
    identity: Binding,
    rows: u64,
    hash: [2]u64,
    /// The highest auto-increment value given out or seen.
    mark: i64,
    /// The same as of the last commit.
    committed_mark: i64,

    /// The key columns of a row of the table.
    pub fn shape(table: *const Table) key.Shape {
        return .{ .types = table.key_types, .positions = table.key_positions };
    }

    /// The columns of a key row.
    pub fn keyShape(table: *const Table) key.Shape {
        return .{ .types = table.key_types, .positions = table.key_identity };
    }

    /// Where the leaf hangs that has the key of this row of the table.
    pub fn findRow(table: *Table, row: Row) ?*u64 {
        return table.tree.findRow(row);
    }

    pub fn addHash(table: *Table, row: Row) void {
        const value = row_format.hash(row, table.number);
        table.hash[0] +%= value[0];
        table.hash[1] +%= value[1];
        state[0] +%= value[0];
        state[1] +%= value[1];
    }

    pub fn subtractHash(table: *Table, row: Row) void {
        const value = row_format.hash(row, table.number);
        table.hash[0] -%= value[0];
        table.hash[1] -%= value[1];
        state[0] -%= value[0];
        state[1] -%= value[1];
    }
};

pub var tables: [layout.tables_max]?*Table = @splat(null);
/// Behind the highest number ever used.
pub var tables_end: u32 = 0;

pub fn get(number: u32) ?*Table {
    return if (number < layout.tables_max) tables[number] else null;
}

/// The live row behind a slot; null when there is none or it is deleted.
pub inline fn live(slot: ?*u64) ?Row {
    const found: Row = .{ .at = (slot orelse return null).* & ~@as(u64, 1) };
    return if (found.has(row_format.flag_dead)) null else found;
}

fn readU16(bytes: []const u8, at: usize) u16 {
    return std.mem.readInt(u16, bytes[at..][0..2], .little);
}

/// Makes an empty table. Bad descriptors are the host's mistakes: refused, without saying what.
pub fn create(source: []const u8) layout.Error!*Table {
    if (source.len < 16) return error.InvalidRow;
    const number = std.mem.readInt(u32, source[0..4], .little);
    const columns = readU16(source, 4);
    const keys = readU16(source, 6);
    const auto = readU16(source, 8);
    if (number == 0 or number >= layout.tables_max) return error.LimitReached;
    if (tables[number] != null) return error.DuplicateKey;
    if (columns == 0 or columns > layout.columns_max or keys == 0 or keys > columns) return error.InvalidRow;
    const keys_at = (16 + 2 * @as(usize, columns) + 1) & ~@as(usize, 1);
    const defaults_at = row_format.padded(keys_at + 2 * @as(usize, keys));
    if (source.len < defaults_at or (auto != none_u16 and auto >= columns)) return error.InvalidRow;

    const descriptor = try heap.allocateSlice(u8, source.len);
    errdefer heap.freeSlice(u8, descriptor);
    @memcpy(descriptor, source);
    const types: []Type = @ptrCast(descriptor[16..][0..columns]);
    for (types) |kind| if (!row_format.isKnown(kind)) return error.InvalidRow;
    var column: u32 = 0;
    const checked = try row_format.checkTypes(descriptor[defaults_at..], types, &column);

    const table = try heap.create(Table);
    errdefer heap.destroy(Table, table);
    const nullable = try heap.allocateSlice(bool, columns);
    errdefer heap.freeSlice(bool, nullable);
    const key_types = try heap.allocateSlice(Type, keys);
    errdefer heap.freeSlice(Type, key_types);
    const key_positions = try heap.allocateSlice(u16, keys);
    errdefer heap.freeSlice(u16, key_positions);
    const numbers = try heap.allocateSlice(u16, columns);
    errdefer heap.freeSlice(u16, numbers);
    for (numbers, 0..) |*n, i| n.* = @intCast(i);
    for (nullable, descriptor[16 + columns ..][0..columns]) |*n, flags| n.* = flags & 1 != 0;
    if (auto != none_u16) nullable[auto] = false;
    for (key_types, key_positions, 0..) |*kind, *position, i| {
        position.* = readU16(descriptor, keys_at + 2 * i);
        if (position.* >= columns) return error.InvalidRow;
        for (key_positions[0..i]) |other| if (other == position.*) return error.InvalidRow;
        kind.* = types[position.*];
        nullable[position.*] = false;
    }
    table.* = .{
        .number = number,
        .columns = columns,
        .auto = auto,
        .types = types,
        .nullable = nullable,
        .key_types = key_types,
        .key_columns = row_format.Columns.init(key_types),
        .key_positions = key_positions,
        .key_identity = numbers[0..keys],
        .defaults = checked.row,
        .descriptor = descriptor,
        .tree = Tree.init(.{ .types = key_types, .positions = key_positions }),
        .identity = .{ .table = table, .columns = row_format.Columns.init(types), .positions = numbers, .sources = numbers, .identity = true },
        .rows = 0,
        .hash = .{ 0, 0 },
        .mark = 0,
        .committed_mark = 0,
    };
    tables[number] = table;
    tables_end = @max(tables_end, number + 1);
    return table;
}

/// Takes an empty table away: its creation is undone.
pub fn destroy(table: *Table) void {
    std.debug.assert(table.tree.root == 0);
    tables[table.number] = null;
    heap.freeSlice(u16, @constCast(table.identity.positions));
    heap.freeSlice(u16, table.key_positions);
    heap.freeSlice(Type, table.key_types);
    heap.freeSlice(bool, table.nullable);
    heap.freeSlice(u8, table.descriptor);
    heap.destroy(Table, table);
}

/// 128 bits over all relations and their counters, as of the last commit: the same state gives the same, in whatever
/// order it came about. Kept with each change, because it is asked for while a transaction is open.
pub var state: [2]u64 = .{ 0, 0 };

fn ofMark(number: u32, mark: i64) [2]u64 {
    const a = row_format.finish(@as(u64, number) +% 0x9e37_79b9_7f4a_7c15);
    return .{ row_format.finish(a ^ @as(u64, @bitCast(mark))), a };
}

/// A table's creation has been committed.
pub fn enter(table: *Table) void {
    const value = ofMark(table.number, table.committed_mark);
    state[0] +%= value[0];
    state[1] +%= value[1];
}

/// The reverse of `enter`.
pub fn leave(table: *Table) void {
    const value = ofMark(table.number, table.committed_mark);
    state[0] -%= value[0];
    state[1] -%= value[1];
}

/// A table's counter has been committed.
pub fn commitMark(table: *Table) void {
    state[0] -%= ofMark(table.number, table.committed_mark)[0];
    table.committed_mark = table.mark;
    state[0] +%= ofMark(table.number, table.committed_mark)[0];
}

/// The same from scratch, for verify; not while a transaction is open.
pub fn recomputedState() [2]u64 {
    var sum = [2]u64{ 0, 0 };
    for (tables[0..tables_end]) |maybe| if (maybe) |table| {
        const value = ofMark(table.number, table.mark);
        sum[0] +%= table.hash[0] +% value[0];
        sum[1] +%= table.hash[1] +% value[1];
    };
    return sum;
}
