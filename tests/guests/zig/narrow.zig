//! A guest that knows three columns of `every_type`, in another order, and brings no schema: built, as
//! it were, before the others were added. Its updates leave them as they are.

const reifydb = @import("reifydb");

const Row = struct { n: i64, b: i64, a: []const u8 };
const narrow = reifydb.Table("every_type", Row, .{ "a", "b" });

fn get(a: []const u8, b: i64) !Row {
    return narrow.need(.{ a, b });
}

/// Adds to `n`; returns what it is then.
fn add(a: []const u8, b: i64, amount: i64) !i64 {
    var row = try narrow.need(.{ a, b });
    row.n = try reifydb.add(row.n, amount);
    try narrow.update(row);
    return row.n;
}

/// Fails when there is no such row: columns that must not be null would be missing.
fn upsert(row: Row) !void {
    try narrow.upsert(row);
}

/// Adds to `n` in all rows; how many there are.
fn addToAll(amount: i64) !i64 {
    var rows = try narrow.scan(.{});
    defer rows.close();
    var seen: i64 = 0;
    while (try rows.next()) |row| : (seen += 1) {
        try narrow.update(.{ .a = row.a, .b = row.b, .n = try reifydb.add(row.n, amount) });
    }
    return seen;
}

pub const panic = reifydb.panic;

pub const module = reifydb.module(.{
    .name = "narrow",
    .relations = .{narrow},
    .transitions = .{
        .get = reifydb.query(get, .{ "a", "b" }),
        .add = reifydb.transition(add, .{ "a", "b", "amount" }),
        .add_to_all = reifydb.transition(addToAll, .{"amount"}),
        .upsert = reifydb.transition(upsert, .{}),
    },
});

comptime {
    module.emit();
}
