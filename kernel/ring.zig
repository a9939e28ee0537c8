//! Ring buffers: the last rows of each part, up to a capacity. The key is the part and a number that goes up by one, so a
//! part's rows always have numbers without a gap, and nothing needs to be known of a part besides its rows.

const layout = @import("layout.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const tree = @import("tree.zig");
const transaction = @import("transaction.zig");
const natives = @import("native.zig");
const Row = row_format.Row;
const Table = table_format.Table;
const Error = layout.Error;

/// Settings: the capacity. The part, then the further columns: the row's number. What is too old then goes.
pub fn push(table: *Table, settings: []const i64, args: Row, at: u64) Error!usize {
    const parts = table.key_types.len - 1;
    const before = if (try last(table, args)) |row| numberOf(table, row) else 0;
    const number = before + 1; // 2^63 rows are never pushed
    var columns: [layout.columns_max]natives.Part = undefined;
    columns[0] = .{ .word = @bitCast(number) };
    const count = table.layout.columns - parts;
    for (columns[1..count], parts..) |*part, argument| part.* = .{ .argument = @intCast(argument) };
    try transaction.insertWhole(table, try natives.compose(table, args, columns[0..count]));
    if (number > settings[0]) try removeAt(table, args, number - settings[0]);
    return natives.int(at, number);
}

/// Settings: the capacity. The part: how many rows it has.
pub fn length(table: *Table, settings: []const i64, args: Row, at: u64) Error!usize {
    const row = try last(table, args) orelse return natives.int(at, 0);
    return natives.int(at, @min(numberOf(table, row), settings[0]));
}

/// Settings: the capacity. The part: how many rows it had. The next one pushed has number 1.
pub fn clear(table: *Table, settings: []const i64, args: Row, at: u64) Error!usize {
    const row = try last(table, args) orelse return natives.int(at, 0);
    const end = numberOf(table, row);
    const count = @min(end, settings[0]);
    var number = end - count + 1;
    while (number <= end) : (number += 1) try removeAt(table, args, number);
    return natives.int(at, count);
}

fn numberOf(table: *const Table, row: Row) i64 {
    return @bitCast(row.slot(table.key_positions[table.key_positions.len - 1]).*);
}

/// The row with the highest number of the part that the arguments begin with.
fn last(table: *Table, args: Row) Error!?Row {
    const parts = table.key_types.len - 1;
    const shape: key.Shape = .{ .types = table.key_types, .positions = natives.leading[0..table.key_types.len] };
    const len = key.encode(shape, parts, args, &bound) catch |err| {
        layout.fault(table.number, 0, 0);
        return err;
    };
    var it = tree.Iterator(true).init();
    var found = it.seek(&table.tree, &bound, len, false);
    while (found) |row| : (found = it.next()) if (!row.has(row_format.flag_dead)) break;
    const row = found orelse return null;
    for (table.key_types[0..parts], 0..) |kind, i| if (!row_format.sameValue(kind, row, args, i)) return null;
    return row;
}

/// Takes a row away that is there.
fn removeAt(table: *Table, args: Row, number: i64) Error!void {
    const asked = try natives.numberedKey(table, args, number);
    const slot = try transaction.findBy(table, asked, natives.leading[0..table.key_types.len]);
    try transaction.remove(table, table_format.live(slot) orelse return error.NotFound);
}

var bound: key.Buffer = undefined;
