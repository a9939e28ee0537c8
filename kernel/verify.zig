//! `verify()`: every structure checks what it believes. Linear in the state; not while a transaction is open.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const tree = @import("tree.zig");
const views = @import("view.zig");
const foreign_keys = @import("foreign_key.zig");
const selections = @import("selection.zig");
const transaction = @import("transaction.zig");
const Table = table_format.Table;

/// Writes what is wrong into `out`; the length of it, 0 when all is well.
pub fn verify(out: []u8) usize {
    if (heap.check()) |problem| return say(out, problem, 0);
    if (transaction.changed()) return say(out, "a transaction is open", 0);
    var least: u64 = 0;
    const all = [_][]const ?*Table{ table_format.tables[0..table_format.tables_end], table_format.tables[layout.private_tables_first..] };
    for (all) |some| for (some) |maybe| if (maybe) |table| {
        var bytes: u64 = 0;
        if (verifyTable(table, &bytes)) |problem| return say(out, problem, table.number);
        least += bytes;
        if (!foreign_keys.areKept(table)) return say(out, "a row references one that is not there", table.number);
    };
    if (views.unwanted()) |table| return say(out, "a view that must be empty has a row", table.number);
    least += selections.heap_bytes;
    const other = views.verify() catch return say(out, "a view cannot be made anew", 0);
    if (other) |number| return say(out, "a view is not what its tables say", number);
    if (!std.mem.eql(u64, &table_format.recomputedState(), &table_format.state))
        return say(out, "the state's hash is not that of the tables", 0);
    if (least > heap.usedBytes()) return say(out, "rows and indexes take more than the heap has given out", 0);
    if (heap.usedBytes() - least > descriptors_bytes_max) return say(out, "the heap has lost memory", 0);
    return 0;
}

/// Tables, bindings and transitions besides rows and trees.
const descriptors_bytes_max = 96 * layout.MiB;

fn say(out: []u8, problem: []const u8, table: u32) usize {
    const text = std.fmt.bufPrint(out, "table {d}: {s}", .{ table, problem }) catch unreachable;
    return text.len;
}

fn verifyTable(table: *Table, bytes: *u64) ?[]const u8 {
    const report = tree.check(&table.tree);
    if (report.fault) |problem| return problem;
    if (report.leaves != table.rows) return "the number of rows is not that of the index";
    if (report.node_bytes != table.tree.node_bytes) return "the nodes of the index do not take what was counted";
    var row_bytes: u64 = 0;
    var hash = [2]u64{ 0, 0 };
    var it = tree.Iterator(false).init();
    var row = it.first(&table.tree);
    while (row) |found| : (row = it.next()) {
        row_bytes += heap.blockBytes(found.length());
        if (found.has(row_format.flag_dead | row_format.flag_fresh | row_format.flag_new_key)) return "a row carries a mark of a transaction";
        if (found.columns() > table.layout.columns) return "a row has too many columns";
        var column: u32 = 0;
        const checked = row_format.checkTypes(found.bytes(), table.layout.types[0..found.columns()], &column) catch
            return "a row is malformed";
        if (!checked.canonical) return "a row is not canonical";
        for (table.all()) |index| {
            const slot = index.tree.findRow(found) orelse return "a row is missing in an index";
            if (slot.* != tree.leafOf(found)) return "an index has another row in a row's place";
        }
        for (table.layout.nullable[0..found.columns()], 0..) |nullable, i| {
            if (!nullable and found.isNull(i)) return "a row has a null where there must be none";
        }
        if (table.auto != table_format.none_u16 and @as(i64, @bitCast(found.slot(table.auto).*)) > table.mark)
            return "a row is beyond the auto-increment mark";
        if (table.derived) continue;
        const value = row_format.hash(found, table.number);
        hash[0] +%= value[0];
        hash[1] +%= value[1];
    }
    if (row_bytes != table.row_bytes) return "the rows do not take what was counted";
    bytes.* = row_bytes + report.node_bytes;
    for (table.all()) |index| {
        const own = tree.check(&index.tree);
        if (own.fault) |problem| return problem;
        if (own.leaves != table.rows) return "the number of rows is not that of a secondary index";
        if (own.node_bytes != index.tree.node_bytes) return "the nodes of a secondary index do not take what was counted";
        bytes.* += own.node_bytes;
    }
    if (hash[0] != table.hash[0] or hash[1] != table.hash[1]) return "the hash is not that of the rows";
    return null;
}
