//! The first rows of each group of another view, with their places in it: `row_number()` up to a bound.
//!
//! That view's key is the group, then the order within one; here the key is the group and what tells rows apart. A change
//! costs the first rows of the groups that changed, however many others there are.

const std = @import("std");
const layout = @import("layout.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const trees = @import("tree.zig");
const transaction = @import("transaction.zig");
const changes = @import("changes.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Row = row_format.Row;
const Table = table_format.Table;
const Error = layout.Error;

pub const Places = struct {
    /// So many rows of each group.
    count: u64,
    /// How many columns of the key are the group.
    groups: u32,
    /// The column that a row's place is written to.
    column: u32,

    /// What the host says behind the table's number.
    pub fn read(source: *const [16]u8) Error!Places {
        const places: Places = .{
            .count = std.mem.readInt(u64, source[0..8], .little),
            .groups = std.mem.readInt(u32, source[8..12], .little),
            .column = std.mem.readInt(u32, source[12..16], .little),
        };
        return if (places.count > layout.top_rows_max) error.LimitReached else places;
    }

    /// Whether a view of such rows can be made of a table.
    pub fn fits(places: *const Places, from: *const Table) bool {
        const types = from.layout.types;
        return places.groups <= from.key_types.len and places.column < types.len and types[places.column] == .int;
    }

    /// Fills an empty table.
    pub fn fill(places: *const Places, from: *Table, to: *Table) Error!void {
        var before: key.Buffer = undefined;
        var before_len: ?usize = null;
        var place: u64 = 0;
        var it = trees.Iterator(false){ .path = &path };
        var next = it.first(&from.tree);
        while (next) |row| : (next = it.next()) {
            if (row.has(row_format.flag_dead)) continue;
            const group = try places.groupOf(from, row);
            if (before_len == null or !std.mem.eql(u8, group, before[0..before_len.?])) {
                before_len = group.len;
                @memcpy(before[0..group.len], group);
                place = 0;
            }
            place += 1;
            if (place <= places.count) try transaction.loadDerived(to, try places.placed(row, place));
        }
    }

    /// Brings a table up to date with what changed in the one that it is made of.
    pub fn run(places: *const Places, window: *const changes.Window, to: *Table, arena: *Arena) Error!void {
        const from = window.table;
        var touched: arenas.Strings = .{};
        for (window.changes.items) |change| for ([_]u64{ change.old, change.new }) |at| {
            if (at != 0) _ = try touched.put(arena, try places.groupOf(from, .{ .at = at }));
        };
        for (0..touched.entries.items.len) |i| try places.bring(from, to, touched.get(i), arena);
    }

    fn bring(places: *const Places, from: *Table, to: *Table, group: []const u8, arena: *Arena) Error!void {
        const wanted = try rowsOf(from, group, places.count, arena);
        const shown = try rowsOf(to, group, std.math.maxInt(u64), arena);
        var keys: arenas.Strings = .{};
        for (wanted) |row| {
            const len = to.tree.keyOf(row, &own_key);
            _ = try keys.put(arena, own_key[0..len]);
        }
        for (shown) |row| {
            const len = to.tree.keyOf(row, &own_key);
            if ((try keys.put(arena, own_key[0..len])).new) try transaction.removeDerived(to, row);
        }
        for (wanted, 1..) |row, place| try transaction.putDerived(to, try places.placed(row, place));
    }

    /// The encoded group of a row of the other view. Good until the next one.
    fn groupOf(places: *const Places, from: *Table, row: Row) Error![]const u8 {
        return own_key[0..try key.encode(from.tree.shape, places.groups, row, &own_key)];
    }

    /// A copy of a row with its place in it.
    fn placed(places: *const Places, row: Row, place: u64) Error!Row {
        const made = try transaction.copyOf(row);
        made.slot(places.column).* = place;
        return made;
    }
};

/// The first rows of a table whose keys begin so, at most `most`.
fn rowsOf(table: *Table, prefix: []const u8, most: u64, arena: *Arena) Error![]Row {
    var found: arenas.List(Row) = .{};
    @memcpy(own_key[0..prefix.len], prefix);
    var it = trees.Iterator(false){ .path = &path };
    var next = if (prefix.len == 0) it.first(&table.tree) else it.seek(&table.tree, &own_key, prefix.len, false);
    while (next) |row| : (next = it.next()) {
        if (found.items.len == most) break;
        const len = table.tree.keyOf(row, &other_key);
        if (!std.mem.startsWith(u8, other_key[0..len], prefix)) break;
        if (!row.has(row_format.flag_dead)) try found.add(arena, row);
    }
    return found.items;
}

var own_key: key.Buffer = undefined;
var other_key: key.Buffer = undefined;
var path: trees.Path = undefined;
