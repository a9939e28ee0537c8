//! What has changed in a table since its views were last brought up to date: each row that has, as it was and as it is.
//!
//! A flush reads the undo log from where the last one ended. While it runs, `window` of a table says what it found, so
//! that whoever must see the table as it was before can: the rows of today but those that are new in the window, and
//! the old versions of those that changed.

const std = @import("std");
const key = @import("key.zig");
const trees = @import("tree.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Table = table_format.Table;
const Row = row_format.Row;

var own_key: key.Buffer = undefined;

/// A row before and after, by address; 0: there was none, there is none. Both 0: it came and went.
pub const Change = struct { old: u64, new: u64 };

/// A row as it was, under its key in an index.
pub const Old = struct { key: []const u8, at: u64 };

/// All rows as they were, in the order of an index.
const Olds = struct { tree: *const trees.Tree, rows: []Old };

pub const Window = struct {
    table: *Table,
    changes: arenas.List(Change) = .{},
    /// The number of the change that a version of a row belongs to.
    versions: arenas.Words = .{},
    /// For each index that was asked: made when it is, once the window is complete.
    sorted: arenas.List(Olds) = .{},

    /// The rows as they were in the order of an index, from the first on whose key is not below `from`.
    /// O(log changes), the first time O(changes · log changes).
    pub fn olds(window: *Window, arena: *Arena, tree: *const trees.Tree, from: []const u8) error{OutOfMemory}![]const Old {
        const rows = for (window.sorted.items) |one| {
            if (one.tree == tree) break one.rows;
        } else try window.sort(arena, tree);
        return rows[std.sort.lowerBound(Old, rows, from, order)..];
    }

    fn sort(window: *Window, arena: *Arena, tree: *const trees.Tree) error{OutOfMemory}![]Old {
        var found: arenas.List(Old) = .{};
        for (window.changes.items) |change| if (change.old != 0) {
            const row: Row = .{ .at = change.old };
            const bytes = try arena.copy(own_key[0..tree.keyOf(row, &own_key)]);
            try found.add(arena, .{ .key = bytes, .at = row.at });
        };
        std.sort.block(Old, found.items, {}, isBefore);
        try window.sorted.add(arena, .{ .tree = tree, .rows = found.items });
        return found.items;
    }

    fn order(from: []const u8, old: Old) std.math.Order {
        return std.mem.order(u8, from, old.key);
    }

    fn isBefore(_: void, a: Old, b: Old) bool {
        return std.mem.order(u8, a.key, b.key) == .lt;
    }

    /// Whether this live row was otherwise, or was not there, before the window.
    pub fn isNew(window: *const Window, row: Row) bool {
        return window.versions.get(row.at) != null;
    }

    /// One more entry of the undo log, about this table.
    pub fn note(window: *Window, arena: *Arena, entry: transaction.Undo) error{OutOfMemory}!void {
        if (entry.old != 0) if (window.versions.get(entry.old)) |number| {
            window.changes.items[number].new = entry.new;
            if (entry.new != 0) try window.versions.put(arena, entry.new, number);
            return;
        };
        const number: u32 = @intCast(window.changes.items.len);
        // What an insertion has in `old` was deleted before the window.
        const old = if (entry.kind == .insert) 0 else entry.old;
        try window.changes.add(arena, .{ .old = old, .new = entry.new });
        if (old != 0) try window.versions.put(arena, old, number);
        if (entry.new != 0) try window.versions.put(arena, entry.new, number);
    }
};

/// All columns of a row matter to others.
pub const all_columns = std.math.maxInt(usize);

/// Reads a part of the undo log: the tables that views are made of get a window, or more in the one they have. The
/// tables that have got one are added to `touched`. A row of which only columns behind the first `columns` are other
/// ones is as it was: nobody else sees them.
pub fn collect(arena: *Arena, entries: []const transaction.Undo, columns: usize, touched: *arenas.List(*Table)) error{OutOfMemory}!void {
    for (entries) |entry| switch (entry.kind) {
        .insert, .update, .delete => {
            const table = entry.subject.table;
            if (table.feeds == 0) continue;
            if (columns != all_columns and entry.kind == .update and isSame(table, entry, columns)) continue;
            const window = table.window orelse blk: {
                const made = try arena.create(Window);
                made.* = .{ .table = table };
                try touched.add(arena, table);
                table.window = made;
                break :blk made;
            };
            try window.note(arena, entry);
        },
        else => {},
    };
}

fn isSame(table: *const Table, entry: transaction.Undo, columns: usize) bool {
    for (table.layout.types[0..columns], 0..) |kind, i| {
        if (!row_format.sameValue(kind, .{ .at = entry.old }, .{ .at = entry.new }, i)) return false;
    }
    return true;
}
