//! A table's rows made anew beside it: its own are set aside while that happens, and what is different is told apart.

const std = @import("std");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const trees = @import("tree.zig");
const transaction = @import("transaction.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Row = row_format.Row;
const Table = table_format.Table;
const Error = @import("layout.zig").Error;

/// What a table had before it was made anew.
pub const Kept = struct { tree: trees.Tree, rows: u64, row_bytes: u64, last_lsn: u64, indexes_len: usize };

/// Leaves a table without rows.
pub fn setAside(table: *Table) Kept {
    const kept: Kept = .{ .tree = table.tree, .rows = table.rows, .row_bytes = table.row_bytes, .last_lsn = table.last_lsn, .indexes_len = table.indexes_len };
    table.tree = trees.Tree.init(table.tree.shape);
    table.rows = 0;
    table.row_bytes = 0;
    table.indexes_len = 0;
    return kept;
}

/// Puts back what was. The rows made instead are somebody else's from here on.
pub fn restore(table: *Table, kept: Kept) void {
    table.tree = kept.tree;
    table.rows = kept.rows;
    table.row_bytes = kept.row_bytes;
    table.last_lsn = kept.last_lsn;
    table.indexes_len = kept.indexes_len;
}

/// Puts back what was; whether what was made instead is something else.
pub fn putBack(table: *Table, kept: Kept) bool {
    var old = kept.tree;
    const different = table.rows != kept.rows or !sameRows(&table.tree, &old);
    table.tree.clear(true);
    restore(table, kept);
    return different;
}

/// Whether two trees have the same rows, to the last byte.
fn sameRows(a: *trees.Tree, b: *trees.Tree) bool {
    return (rowBehind(a, b) catch return false) == null;
}

/// The first row of a tree behind those of another one, with which it begins, to the last byte.
pub fn rowBehind(beginning: *trees.Tree, all: *trees.Tree) error{Differs}!?Row {
    var one = trees.Iterator(false){ .path = &path };
    var other = trees.Iterator(false).init();
    var left = one.first(beginning);
    var right = other.first(all);
    while (left) |x| : ({
        left = one.next();
        right = other.next();
    }) {
        const y = right orelse return error.Differs;
        if (!std.mem.eql(u8, x.bytes(), y.bytes())) return error.Differs;
    }
    return right;
}

/// Gives a table the rows of a tree that are other ones than its own. O(rows of both).
pub fn replaceRows(arena: *Arena, table: *Table, wanted: *trees.Tree) Error!void {
    var gone: arenas.List(Row) = .{};
    var come: arenas.List(Row) = .{};
    var old_rows = trees.Iterator(false){ .path = &path };
    var new_rows = trees.Iterator(false).init();
    var old = old_rows.first(&table.tree);
    var new = new_rows.first(wanted);
    while (old != null or new != null) {
        if (old) |row| if (row.has(row_format.flag_dead)) {
            old = old_rows.next();
            continue;
        };
        const order = if (old == null) std.math.Order.gt else if (new == null) std.math.Order.lt else orderOf(table, old.?, new.?);
        switch (order) {
            .lt => try gone.add(arena, old.?),
            .gt => try come.add(arena, new.?),
            .eq => if (!sameValues(old.?, new.?)) try come.add(arena, new.?),
        }
        if (order != .gt) old = old_rows.next();
        if (order != .lt) new = new_rows.next();
    }
    for (gone.items) |row| try transaction.removeDerived(table, row);
    for (come.items) |row| try transaction.putDerived(table, try transaction.copyOf(row));
}

fn orderOf(table: *Table, a: Row, b: Row) std.math.Order {
    const len = table.tree.keyOf(a, &own_key);
    const other = table.tree.keyOf(b, &other_key);
    return std.mem.order(u8, own_key[0..len], other_key[0..other]);
}

/// The same but for marks of the transaction.
pub fn sameValues(a: Row, b: Row) bool {
    return a.length() == b.length() and std.mem.eql(u8, a.bytes()[row_format.head_bytes..], b.bytes()[row_format.head_bytes..]);
}

var own_key: key.Buffer = undefined;
var other_key: key.Buffer = undefined;
var path: trees.Path = undefined;
