//! The first rows of another view, in the order of its key: `order by … limit … offset …`. That one keeps the first rows
//! of its own input, and some more (buffer.zig).

const std = @import("std");
const layout = @import("layout.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const trees = @import("tree.zig");
const transaction = @import("transaction.zig");
const changes = @import("changes.zig");
const evaluation = @import("evaluate.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Row = row_format.Row;
const Table = table_format.Table;
const Error = layout.Error;

/// Of a view whose rows are the first ones of another, in the order of that one's key.
pub const Top = struct {
    count: u64,
    skip: u64,
    /// The key there of the last row here, once it is known: rows behind it do not matter. Known as of `epoch`.
    last: key.Buffer = undefined,
    last_len: usize = 0,
    /// Its first column, where that is bytes: most rows differ there, and are told apart without making a key of them.
    first: key.Buffer = undefined,
    first_len: usize = 0,
    first_known: bool = false,
    known_at: u64 = 0,

    /// Whether what changed may change what is shown.
    fn concerns(top: *const Top, window: *const changes.Window) bool {
        if (top.known_at != transaction.epoch) return true;
        for (window.changes.items) |change| {
            if (change.old != 0 and !top.isBehind(window.table, .{ .at = change.old })) return true;
            if (change.new != 0 and !top.isBehind(window.table, .{ .at = change.new })) return true;
        }
        return false;
    }

    fn isBehind(top: *const Top, from: *Table, row: Row) bool {
        if (top.first_known) {
            const order = evaluation.order(row.tail(from.key_positions[0]), top.first[0..top.first_len]);
            if (order != .eq) return order == .gt;
        }
        const len = from.tree.keyOf(row, &own_key);
        return std.mem.order(u8, own_key[0..len], top.last[0..top.last_len]) == .gt;
    }

    /// Fills an empty table.
    pub fn fill(top: *Top, arena: *Arena, from: *Table, to: *Table) Error!void {
        for (try top.firstRows(arena, from)) |row| try transaction.loadDerived(to, try transaction.copyOf(row));
    }

    /// Brings a table up to date with what changed in the one that it is made of.
    pub fn run(top: *Top, arena: *Arena, window: *const changes.Window, to: *Table) Error!void {
        if (!top.concerns(window)) return;
        const wanted = try top.firstRows(arena, window.table);
        var keys: arenas.Strings = .{};
        for (wanted) |row| {
            const len = to.tree.keyOf(row, &own_key);
            _ = try keys.put(arena, own_key[0..len]);
        }
        var gone: arenas.List(Row) = .{};
        var it = trees.Iterator(false){ .path = &path };
        var next = it.first(&to.tree);
        while (next) |row| : (next = it.next()) {
            if (row.has(row_format.flag_dead)) continue;
            const len = to.tree.keyOf(row, &own_key);
            const found = try keys.put(arena, own_key[0..len]);
            if (found.new) try gone.add(arena, row);
        }
        for (gone.items) |row| try transaction.removeDerived(to, row);
        for (wanted) |row| try transaction.putDerived(to, try transaction.copyOf(row));
    }

    /// The rows that are to be shown.
    fn firstRows(top: *Top, arena: *Arena, from: *Table) Error![]Row {
        var found: arenas.List(Row) = .{};
        var skip = top.skip;
        top.known_at = 0;
        var it = trees.Iterator(false){ .path = &path };
        var next = it.first(&from.tree);
        while (next) |row| : (next = it.next()) {
            if (found.items.len == top.count) break;
            if (row.has(row_format.flag_dead)) continue;
            if (skip > 0) {
                skip -= 1;
                continue;
            }
            try found.add(arena, row);
        }
        if (found.items.len == top.count and top.count > 0) {
            const last = found.items[found.items.len - 1];
            top.last_len = from.tree.keyOf(last, &top.last);
            const position = from.key_positions[0];
            top.first_known = from.key_types[0] == .bytes and !from.layout.nullable[position];
            if (top.first_known) {
                top.first_len = last.tail(position).len;
                @memcpy(top.first[0..top.first_len], last.tail(position));
            }
            top.known_at = transaction.epoch;
        }
        return found.items;
    }
};

var own_key: key.Buffer = undefined;
var path: trees.Path = undefined;
