//! Transitions that return what they saw, for histories of many threads (tests/serial).

const reifydb = @import("reifydb");
const schema = @import("serial/schema.zig");
const cell = schema.cell;
const entry = schema.entry;

const Pair = struct { source: i64, target: i64 };
const Sum = struct { count: i64, total: i64, digest: i64 };

/// Moves `amount` between two cells, those that are not there hold 0; returns what they held before.
/// Writes first and aborts then, so that there is something to undo.
fn move(source: i64, target: i64, amount: i64) !Pair {
    const from = if (try cell.get(source)) |row| row.n else 0;
    try cell.upsert(.{ .id = source, .n = from - amount });
    const to = if (try cell.get(target)) |row| row.n else 0;
    try cell.upsert(.{ .id = target, .n = to + amount });
    if (from < amount) return reifydb.abort(1, "too little");
    return .{ .source = from, .target = to };
}

/// Sets a cell; returns what it held, null when it was not there.
fn put(id: i64, n: i64) !?i64 {
    const before = try cell.get(id);
    try cell.upsert(.{ .id = id, .n = n });
    return if (before) |row| row.n else null;
}

/// Deletes a cell; returns what it held, null when it was not there.
fn take(id: i64) !?i64 {
    const before = try cell.get(id) orelse return null;
    _ = try cell.delete(id);
    return before.n;
}

/// How many cells there are, what they hold, and a number that depends on which holds what.
fn sum() !Sum {
    var found: Sum = .{ .count = 0, .total = 0, .digest = 0 };
    var rows = try cell.scan(.{});
    defer rows.close();
    while (try rows.next()) |row| {
        found.count += 1;
        found.total += row.n;
        found.digest = @mod(found.digest * 31 + row.id * 7 + row.n, 1_000_003);
    }
    return found;
}

/// Reads all cells and writes one: `sum`, and its digest into a cell.
fn collect(id: i64) !Sum {
    const found = try sum();
    try cell.upsert(.{ .id = id, .n = found.digest });
    return found;
}

/// Notes a number; returns the number of the note, which is given out.
fn note(n: i64) !i64 {
    return entry.create(.{ .n = n });
}

/// Writes, then traps.
fn trap(id: i64, n: i64) !i64 {
    try cell.upsert(.{ .id = id, .n = n });
    _ = try entry.create(.{ .n = n });
    @trap();
}

/// Writes, then never ends.
fn spin(id: i64, n: i64) !i64 {
    try cell.upsert(.{ .id = id, .n = n });
    var turns: i64 = 0;
    while (true) {
        turns +%= 1;
        if (try cell.count() < 0) return turns;
    }
}

pub const panic = reifydb.panic;

pub const module = reifydb.module(.{
    .name = "serial",
    .schema = @embedFile("serial/schema.sql"),
    .relations = schema.relations,
    .transitions = .{
        .move = reifydb.transition(move, .{ "source", "target", "amount" }),
        .put = reifydb.transition(put, .{ "id", "n" }),
        .take = reifydb.transition(take, .{"id"}),
        .sum = reifydb.query(sum, .{}),
        .collect = reifydb.transition(collect, .{"id"}),
        .note = reifydb.transition(note, .{"n"}),
        .trap = reifydb.transition(trap, .{ "id", "n" }),
        .spin = reifydb.transition(spin, .{ "id", "n" }),
    },
});

comptime {
    module.emit();
}
