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
const reads = @import("reads.zig");
const Arena = arenas.Arena;
const Table = table_format.Table;
const Row = row_format.Row;

var own_key: key.Buffer = undefined;

/// A row before and after, by address; 0: there was none, there is none. Both 0: it came and went.
pub const Change = struct {
    old: u64,
    new: u64,
    /// Its last version, also when that is dead: known to the window it is in.
    last: u64 = 0,
};

/// So many changes are told apart by looking at each of them.
const few = 8;

/// A row as it was, under its key in an index.
pub const Old = struct { key: []const u8, at: u64 };

/// All rows as they were, in the order of an index.
const Olds = struct { tree: *const trees.Tree, rows: []Old };

pub const Window = struct {
    table: *Table,
    changes: arenas.List(Change) = .{},
    /// The number of the change that a version of a row belongs to, once there are more than a few.
    versions: arenas.Words = .{},
    /// For each index that was asked: made when it is, once the window is complete.
    sorted: arenas.List(Olds) = .{},
    /// In which columns the only row that has changed is another one; null: nobody has asked.
    differs: ?reads.Columns = null,
    /// The first changes.
    room: [few]Change = undefined,
    /// The next table that has a window.
    next: ?*Window = null,

    /// In which columns the only row that has changed is another one, or may be; all, when it has come or gone. Once the
    /// window is complete.
    pub inline fn different(window: *Window) reads.Columns {
        return window.differs orelse window.compare();
    }

    noinline fn compare(window: *Window) reads.Columns {
        const change = &window.changes.items[0];
        const found = if (window.changes.items.len != 1 or change.old == 0 or change.new == 0)
            reads.all
        else
            reads.different(window.table.layout.types, .{ .at = change.old }, .{ .at = change.new });
        window.differs = found;
        return found;
    }

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
        return window.numberOf(row.at) != null;
    }

    /// The number of the change whose last version this is.
    inline fn numberOf(window: *const Window, version: u64) ?u32 {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        if (window.changes.items.len > few) return window.versions.get(version);
        for (window.changes.items, 0..) |*change, i| if (change.last == version) return @intCast(i);
        return null;
    }

    /// One more entry of the undo log, about this table.
    pub inline fn note(window: *Window, arena: *Arena, entry: *const transaction.Undo) error{OutOfMemory}!void {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        const last = if (entry.new != 0) entry.new else entry.old;
        if (entry.old != 0) if (window.numberOf(entry.old)) |number| {
            const change = &window.changes.items[number];
            change.new = entry.new;
            change.last = last;
            if (window.changes.items.len > few) try window.versions.put(arena, last, number);
            return;
        };
        // What an insertion has in `old` was deleted before the window.
        const old = if (entry.kind == .insert) 0 else entry.old;
        const number: u32 = @intCast(window.changes.items.len);
        try window.changes.add(arena, .{ .old = old, .new = entry.new, .last = last });
        if (number == few) {
            for (window.changes.items, 0..) |*change, i| try window.versions.put(arena, change.last, @intCast(i));
        } else if (number > few) try window.versions.put(arena, last, number);
    }
};

/// The tables that have a window. Most transactions need one.
var open: ?*Window = null;
var first: Window = undefined;

/// Whether any has.
pub fn any() bool {
    return open != null;
}

/// All columns of a row matter to others.
pub const all_columns = std.math.maxInt(usize);

/// Reads a part of the undo log: the tables that views are made of get a window, or more in the one they have. A row of
/// which only columns behind the first `columns` are other ones is as it was: nobody else sees them.
pub fn collect(arena: *Arena, entries: []const transaction.Undo, columns: usize) error{OutOfMemory}!void {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    for (entries) |*entry| switch (entry.kind) {
        .insert, .update, .delete => {
            const table = entry.subject.table;
            if (table.feeds == 0) continue;
            if (columns != all_columns and entry.kind == .update and isSame(table, entry, columns)) continue;
            const window = table.window orelse try begin(arena, table);
            try window.note(arena, entry);
        },
        else => {},
    };
}

fn begin(arena: *Arena, table: *Table) error{OutOfMemory}!*Window {
    @setRuntimeSafety(false); // or `room` would be filled
    const window = if (open == null) &first else try arena.create(Window);
    window.* = .{ .table = table, .next = open };
    window.changes = .{ .items = window.room[0..0], .capacity = few };
    table.window = window;
    open = window;
    return window;
}

/// The flush has ended: no table has a window any more.
pub fn close() void {
    while (open) |window| {
        window.table.window = null;
        open = window.next;
    }
}

fn isSame(table: *const Table, entry: *const transaction.Undo, columns: usize) bool {
    for (table.layout.types[0..columns], 0..) |kind, i| {
        if (!row_format.sameValue(kind, .{ .at = entry.old }, .{ .at = entry.new }, i)) return false;
    }
    return true;
}
