//! What a transaction must keep to commit: foreign keys, expressions of views, assertions. And what the host is told
//! about where it does not.

const layout = @import("layout.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const trees = @import("tree.zig");
const cursor = @import("cursor.zig");
const foreign_keys = @import("foreign_key.zig");
const views = @import("view.zig");
const Row = row_format.Row;
const Table = table_format.Table;

/// Where it was seen, as in the control block: the payload of the outcome that says so. The row that is in the way
/// follows, as whoever reads its table sees it, if it is one.
pub const Fault = extern struct { table: u32, column: u32, row: u32, index: u32 };

/// Brings the views up to date and compares. When it fails, nothing has been undone yet.
pub fn check() layout.Error!void {
    try foreign_keys.check();
    try views.flush();
    const table = views.unwanted() orelse return;
    layout.fault(table.number, layout.none_u32, 0);
    return error.AssertionFailed;
}

/// Writes a `Fault` to `at`, where there is room for the largest row; its length. Before anything is undone.
pub fn tell(at: u64, err: layout.Error) u32 {
    const control = &layout.control;
    const fault: *Fault = @ptrFromInt(at);
    fault.* = .{ .table = control.fault_table, .column = control.fault_column, .row = control.fault_row, .index = control.fault_index };
    const row: Row, const table: *Table = switch (err) {
        error.AssertionFailed => .{ firstOf(control.fault_table) orelse return @sizeOf(Fault), table_format.get(control.fault_table).? },
        error.ForeignKeyBroken => .{ foreign_keys.culprit, table_format.get(control.fault_table) orelse return @sizeOf(Fault) },
        else => return @sizeOf(Fault),
    };
    const binding = &table.layout.visible;
    if (cursor.projectedBytes(binding, row) > layout.row_bytes_max) return @sizeOf(Fault);
    return @sizeOf(Fault) + cursor.project(binding, row, at + @sizeOf(Fault)).length();
}

fn firstOf(number: u32) ?Row {
    const table = table_format.get(number) orelse return null;
    var it = trees.Iterator(false){ .path = &path };
    var found = it.first(&table.tree);
    while (found) |row| : (found = it.next()) if (!row.has(row_format.flag_dead)) return row;
    return null;
}

var path: trees.Path = undefined;
