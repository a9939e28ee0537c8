//! Foreign keys: rows whose columns must be the key of a row of another table, or of their own.
//!
//! What is always true here:
//! - They are compared when a transaction ends (`check`), so in it rows may come in any order.
//! - What is deleted takes with it what references it at once, where the key says so (`cascade`): the undo log is the
//!   list of what is still to be looked at, so neither memory nor stack is needed for it.
//! - Both sides are found by an index: the referenced one by a whole unique key, the referencing one by the first
//!   columns of an index of its own. A key with a null references nothing.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const trees = @import("tree.zig");
const transaction = @import("transaction.zig");
const indexes = @import("index.zig");
const Cell = @import("cell.zig").Cell;
const Index = indexes.Index;
const Row = row_format.Row;
const Table = table_format.Table;
const Error = layout.Error;

pub const ForeignKey = struct {
    child: *Table,
    parent: *Table,
    /// Its place among those of its table.
    number: u32,
    /// What references a row that is deleted is deleted with it.
    cascade: bool,
    /// Where referenced and referencing rows are found; null: by the primary key.
    parent_index: ?*Index,
    child_index: ?*Index,
    /// Places in a referencing row in the order of the referenced key, and the other way round.
    from_child: []u16,
    from_parent: []u16,
    /// Of the same table, and of the same referenced one.
    next: ?*ForeignKey = null,
    next_of_parent: ?*ForeignKey = null,

    /// Neither of its tables is on its way out.
    fn holds(one: *const ForeignKey) bool {
        return table_format.get(one.child.number) == one.child;
    }

    /// Whether the row that another one references is there.
    fn isKept(one: *const ForeignKey, row: Row) bool {
        const tree = if (one.parent_index) |index| &index.tree else &one.parent.tree;
        const len = (encode(one.child, row, one.from_child, one.parent_index) catch return false) orelse return true;
        return table_format.live(tree.find(&own_key, len)) != null;
    }

    /// Whether a row's place among the referenced ones is taken, by itself or by another.
    fn isStillThere(one: *const ForeignKey, old: Row) bool {
        if (one.parent_index) |index| {
            const encoded = key.encodeSecondary(index.tree.shape, old, &own_key) catch return false;
            return table_format.live(index.tree.find(&own_key, encoded.len)) != null;
        }
        return table_format.live(one.parent.findRow(old)) != null;
    }

    fn referencing(one: *const ForeignKey, parent: Row) Referencing {
        return .{
            .tree = if (one.child_index) |index| &index.tree else &one.child.tree,
            .len = (encode(one.parent, parent, one.from_parent, one.child_index) catch null) orelse 0,
        };
    }
};

/// The live rows that reference one row.
const Referencing = struct {
    tree: *trees.Tree,
    /// Of what they begin with, in `prefix`; 0: there are none.
    len: usize,
    it: trees.Iterator(false) = .{ .path = &path },
    begun: bool = false,

    fn next(self: *Referencing) ?Row {
        if (self.len == 0) return null;
        if (!self.begun) @memcpy(prefix[0..self.len], own_key[0..self.len]);
        var found = if (self.begun) self.it.next() else self.it.seek(self.tree, &prefix, self.len, false);
        self.begun = true;
        while (found) |row| : (found = self.it.next()) {
            const own = self.tree.keyOf(row, &own_key);
            if (own < self.len or !std.mem.eql(u8, own_key[0..self.len], prefix[0..self.len])) return null;
            if (!row.has(row_format.flag_dead)) return row;
        }
        return null;
    }
};

var own_key: key.Buffer = undefined;
var prefix: key.Buffer = undefined;
var path: trees.Path = undefined;

/// Columns of a row as the first ones of a key; null: one of them is null.
fn encode(of: *const Table, row: Row, places: []const u16, index: ?*const Index) error{KeyTooLong}!?usize {
    var len: usize = 0;
    for (places, 0..) |place, i| {
        const from = if (place < row.columns()) row else of.layout.defaults;
        if (from.isNull(place)) return null;
        const kind = of.layout.types[place];
        const nullable = if (index) |one| one.secondary.nullable[i] else false;
        len = try key.encodeCell(kind, Cell.ofColumn(kind, from, place), nullable, len, &own_key);
    }
    return len;
}

// ---------------------------------------------------------------- made and dropped

/// Makes a table's foreign keys anew, and compares its rows with them. What it had is returned, in no list any more.
/// `source`: for each the referenced table, its index and the own one (0: the primary key), u32 each, flags u16 (1: deletes
/// cascade), columns u16, then as many pairs of places u16 in a referencing and in a referenced row, padded to 4 bytes.
pub fn define(table: *Table, source: []const u8) Error!?*ForeignKey {
    var first: ?*ForeignKey = null;
    errdefer free(first);
    var last: ?*ForeignKey = null;
    var at: usize = 0;
    var number: u32 = 0;
    while (at < source.len) : (number += 1) {
        if (number == layout.foreign_keys_max or source.len - at < 16) return error.InvalidRow;
        const count = std.mem.readInt(u16, source[at + 14 ..][0..2], .little);
        const length = 16 + 4 * @as(usize, count);
        if (count == 0 or source.len - at < length) return error.InvalidRow;
        const made = try make(table, number, source[at..][0..length]);
        if (last) |one| one.next = made else first = made;
        last = made;
        at += length;
    }
    var left = first;
    while (left) |one| : (left = one.next) try compareAll(one);
    const before = table.keys;
    exchange(table, first);
    return before;
}

fn make(table: *Table, number: u32, source: []const u8) Error!*ForeignKey {
    const parent = table_format.get(std.mem.readInt(u32, source[0..4], .little)) orelse return error.NoRelation;
    const flags = std.mem.readInt(u16, source[12..14], .little);
    if (flags > 1 or table.derived or parent.derived) return error.InvalidRow;
    const parent_index = try indexOf(parent, std.mem.readInt(u32, source[4..8], .little));
    const child_index = try indexOf(table, std.mem.readInt(u32, source[8..12], .little));
    const pairs = source[16..];
    const made = try heap.create(ForeignKey);
    errdefer heap.destroy(ForeignKey, made);
    const from_child = try heap.allocateSlice(u16, pairs.len / 4);
    errdefer heap.freeSlice(u16, from_child);
    const from_parent = try heap.allocateSlice(u16, pairs.len / 4);
    errdefer heap.freeSlice(u16, from_parent);
    const parent_order = if (parent_index) |index| index.positions else parent.key_positions;
    const child_order = if (child_index) |index| index.positions else table.key_positions;
    if (parent_order.len != from_child.len or child_order.len < from_parent.len) return error.InvalidRow;
    for (from_child, parent_order) |*place, wanted| place.* = partner(pairs, 2, wanted) orelse return error.InvalidRow;
    for (from_parent, child_order[0..from_parent.len]) |*place, wanted| place.* = partner(pairs, 0, wanted) orelse return error.InvalidRow;
    for (from_child, parent_order) |own, other| {
        if (own >= table.layout.columns or other >= parent.layout.columns) return error.InvalidRow;
        if (table.layout.types[own] != parent.layout.types[other]) return error.InvalidRow;
    }
    made.* = .{
        .child = table,
        .parent = parent,
        .number = number,
        .cascade = flags == 1,
        .parent_index = parent_index,
        .child_index = child_index,
        .from_child = from_child,
        .from_parent = from_parent,
    };
    return made;
}

fn indexOf(table: *Table, number: u32) Error!?*Index {
    return if (number == 0) null else indexes.find(table, number) orelse error.NoRelation;
}

/// The place that stands beside another one in a pair; `side`: where that other one stands.
fn partner(pairs: []const u8, side: usize, place: u16) ?u16 {
    var at: usize = 0;
    while (at < pairs.len) : (at += 4) {
        if (std.mem.readInt(u16, pairs[at + side ..][0..2], .little) == place) return std.mem.readInt(u16, pairs[at + 2 - side ..][0..2], .little);
    }
    return null;
}

/// Gives a table these foreign keys in place of those it has, which are in no list any more.
pub fn exchange(table: *Table, first: ?*ForeignKey) void {
    var left = table.keys;
    while (left) |one| : (left = one.next) {
        var link = &one.parent.referenced;
        while (link.* != one) link = &link.*.?.next_of_parent;
        link.* = one.next_of_parent;
    }
    table.keys = first;
    left = first;
    while (left) |one| : (left = one.next) {
        one.next_of_parent = one.parent.referenced;
        one.parent.referenced = one;
    }
}

/// Frees foreign keys that are in no list any more.
pub fn free(first: ?*ForeignKey) void {
    var left = first;
    while (left) |one| {
        left = one.next;
        heap.freeSlice(u16, one.from_parent);
        heap.freeSlice(u16, one.from_child);
        heap.destroy(ForeignKey, one);
    }
}

// ---------------------------------------------------------------- rows

/// The row that a foreign key was broken by, until the transaction is undone.
pub var culprit: Row = .{ .at = 0 };

fn broken(one: *const ForeignKey, row: Row) Error {
    layout.fault(one.child.number, layout.none_u32, 0);
    layout.control.fault_index = one.number;
    culprit = row;
    return error.ForeignKeyBroken;
}

/// Compares every row of a table with one of its foreign keys.
fn compareAll(one: *const ForeignKey) Error!void {
    if (firstBroken(one)) |row| return broken(one, row);
}

fn firstBroken(one: *const ForeignKey) ?Row {
    var progress = layout.Progress.begin(one.child.rows);
    var it = trees.Iterator(false){ .path = &path };
    var found = it.first(&one.child.tree);
    while (found) |row| : (found = it.next()) {
        progress.step();
        if (!row.has(row_format.flag_dead) and !one.isKept(row)) return row;
    }
    return null;
}

/// Whether all rows of a table keep its foreign keys: for verify.
pub fn areKept(table: *const Table) bool {
    var left = table.keys;
    while (left) |one| : (left = one.next) if (firstBroken(one) != null) return false;
    return true;
}

/// Compares what the open transaction has changed: new rows with those that they reference, and those that reference
/// what is gone.
pub fn check() Error!void {
    for (transaction.since(0)) |entry| switch (entry.kind) {
        .insert, .update, .delete => {
            const table = entry.subject.table;
            if (table.keys != null and entry.kind != .delete) try checkNew(table, entry);
            if (table.referenced != null and entry.kind != .insert) try checkOld(table, .{ .at = entry.old });
        },
        else => {},
    };
}

fn checkNew(table: *const Table, entry: transaction.Undo) Error!void {
    const row: Row = .{ .at = entry.new };
    if (row.has(row_format.flag_dead) or table_format.get(table.number) != table) return;
    var left = table.keys;
    while (left) |one| : (left = one.next) if (!one.isKept(row)) return broken(one, row);
}

fn checkOld(table: *const Table, old: Row) Error!void {
    if (old.has(row_format.flag_fresh)) return; // what references it is new as well
    var left = table.referenced;
    while (left) |one| : (left = one.next_of_parent) {
        if (!one.holds() or one.isStillThere(old)) continue;
        var rows = one.referencing(old);
        if (rows.next()) |row| return broken(one, row);
    }
}

/// Deletes what references rows that were deleted since an entry of the undo log, and what references that.
pub fn cascade(from: usize) Error!void {
    var at = from;
    while (at < transaction.entries()) : (at += 1) {
        const entry = transaction.since(at)[0];
        if (entry.kind != .delete) continue;
        var left = entry.subject.table.referenced;
        while (left) |one| : (left = one.next_of_parent) {
            if (!one.cascade or !one.holds()) continue;
            var rows = one.referencing(.{ .at = entry.old });
            while (rows.next()) |row| try transaction.remove(one.child, row);
        }
    }
}
