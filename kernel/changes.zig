//! What has changed in a table since its views were last brought up to date: each row that has, as it was and as it is.
//!
//! A flush reads the undo log from where the last one ended. While it runs, `window` of a table says what it found, so
//! that whoever must see the table as it was before can: the rows of today but those that are new in the window, and
//! the old versions of those that changed.

const std = @import("std");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Table = table_format.Table;
const Row = row_format.Row;

/// A row before and after, by address; 0: there was none, there is none. Both 0: it came and went.
pub const Change = struct { old: u64, new: u64 };

pub const Window = struct {
    table: *Table,
    changes: arenas.List(Change) = .{},
    /// The number of the change that a version of a row belongs to.
    versions: arenas.Words = .{},

    /// Whether this live row was otherwise, or was not there, before the window.
    pub fn isNew(window: *const Window, row: Row) bool {
        return window.versions.get(row.at) != null;
    }

    fn note(window: *Window, arena: *Arena, entry: transaction.Undo) error{OutOfMemory}!void {
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

/// Reads a part of the undo log: the tables that views are made of get a window, or more in the one they have. The
/// tables that have got one are added to `touched`.
pub fn collect(arena: *Arena, entries: []const transaction.Undo, touched: *arenas.List(*Table)) error{OutOfMemory}!void {
    for (entries) |entry| switch (entry.kind) {
        .insert, .update, .delete => {
            const table = entry.subject.table;
            if (table.feeds == 0) continue;
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
