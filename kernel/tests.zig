//! Transactions from inside, natively: random operations beside a plain map, with everything that can end them.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const redo = @import("redo.zig");
const cursor = @import("cursor.zig");
const indexes = @import("index.zig");
const delta = @import("delta.zig");
const verification = @import("verify.zig");
const testing = std.testing;

/// Descriptor of `(id int primary key, name text null)` with this number.
fn descriptor(buffer: *align(8) [128]u8, number: u32) []const u8 {
    @memset(buffer, 0);
    std.mem.writeInt(u32, buffer[0..4], number, .little);
    std.mem.writeInt(u16, buffer[4..6], 2, .little);
    std.mem.writeInt(u16, buffer[6..8], 1, .little);
    std.mem.writeInt(u16, buffer[8..10], 0xffff, .little);
    buffer[16] = @backingInt(row_format.Type.int);
    buffer[17] = @backingInt(row_format.Type.text);
    buffer[19] = 1; // name may be null; the key column 0 begins at 20
    var defaults = row_format.Writer.begin(@intFromPtr(buffer) + 24, 2, row_format.padded(row_format.fixedBytes(2)));
    defaults.putNull(0);
    defaults.putNull(1);
    return buffer[0 .. 24 + defaults.row.length()];
}

fn indexDescriptor(number: u32, flags: u16, comptime places: anytype) [8 + 2 * places.len]u8 {
    var bytes: [8 + 2 * places.len]u8 = undefined;
    std.mem.writeInt(u32, bytes[0..4], number, .little);
    std.mem.writeInt(u16, bytes[4..6], flags, .little);
    std.mem.writeInt(u16, bytes[6..8], places.len, .little);
    inline for (places, 0..) |place, i| std.mem.writeInt(u16, bytes[8 + 2 * i ..][0..2], place, .little);
    return bytes;
}

/// How many entries of each operation the last chunk has: their heads are `93 operation 91`, and keys are below 128.
fn operations() [3]u32 {
    var found = [3]u32{ 0, 0, 0 };
    if (layout.control.delta_len == 0) return found;
    const bytes = layout.delta[32..@intCast(layout.control.delta_len)];
    for (0..bytes.len -| 3) |i| {
        if (bytes[i] == 0x93 and bytes[i + 1] < 3 and bytes[i + 2] == 0x91) found[bytes[i + 1]] += 1;
    }
    return found;
}

/// What a commit did to the keys, as the models before and after it say; an update may have come to nothing.
fn expectOperations(before: *Model, after: *Model) !void {
    const found = operations();
    var deletes: u32 = 0;
    var inserts: u32 = 0;
    var updates: u32 = 0;
    for (0..40) |i| {
        const id: i64 = @intCast(i);
        const was = before.get(id);
        const is = after.get(id);
        if (was != null and is == null) deletes += 1;
        if (was == null and is != null) inserts += 1;
        if (was != null and is != null and !std.meta.eql(was.?, is.?)) updates += 1;
    }
    try testing.expectEqual(deletes, found[0]);
    try testing.expectEqual(inserts, found[1]);
    try testing.expect(updates <= found[2]);
}

fn rowOf(buffer: *align(8) [64]u8, id: i64, name: ?[]const u8) []const u8 {
    const length = row_format.padded(row_format.fixedBytes(2) + if (name) |text| text.len else 0);
    var writer = row_format.Writer.begin(@intFromPtr(buffer), 2, length);
    writer.putWord(0, @bitCast(id));
    if (name) |text| writer.putTail(1, text) else writer.putNull(1);
    return buffer[0..length];
}

fn keyOf(buffer: *align(8) [64]u8, id: i64) []const u8 {
    var writer = row_format.Writer.begin(@intFromPtr(buffer), 1, 24);
    writer.putWord(0, @bitCast(id));
    return buffer[0..24];
}

const Model = std.AutoHashMap(i64, ?u8);

fn expectEqual(table: *table_format.Table, model: *Model) !void {
    var buffer: [64]u8 align(8) = undefined;
    try testing.expectEqual(model.count(), table.rows);
    for (0..40) |id| {
        const found = try transaction.get(table, keyOf(&buffer, @intCast(id)));
        const expected = model.get(@intCast(id));
        try testing.expectEqual(expected != null, found != null);
        if (expected) |name| {
            const row = found.?;
            try testing.expectEqual(name == null, row.isNull(1));
            if (name) |letter| try testing.expectEqual(letter, row.tail(1)[0]);
        }
    }
}

fn expectVerified() !void {
    var out: [256]u8 = undefined;
    const length = verification.verify(&out);
    if (length > 0) std.debug.print("{s}\n", .{out[0..length]});
    try testing.expectEqual(0, length);
}

test "random transactions equal a map, through savepoints, rollbacks and commits" {
    _ = layout.open();
    var bytes: [128]u8 align(8) = undefined;
    const table = try table_format.create(descriptor(&bytes, 100));
    table_format.enter(table);
    _ = try indexes.create(table, &indexDescriptor(1, 0, .{1}));
    _ = try indexes.create(table, &indexDescriptor(2, 1, .{ 1, 0 }));
    table.watched = true;
    var committed = Model.init(testing.allocator);
    defer committed.deinit();
    var random_state = std.Random.DefaultPrng.init(7);
    const random = random_state.random();
    var buffer: [64]u8 align(8) = undefined;
    const used_before = heap.usedBytes();

    for (0..3000) |_| {
        const hash_before = table_format.state;
        const row_bytes_before = table.row_bytes;
        const lsn_before = layout.control.lsn;
        var open = try committed.clone();
        transaction.begin(false);
        cursor.begin();
        var saved: ?Model = null;
        var mark: transaction.Mark = .{};
        for (0..random.uintLessThan(usize, 12)) |_| {
            const id: i64 = random.uintLessThan(u8, 40);
            const letter: ?u8 = if (random.uintLessThan(u8, 4) == 0) null else random.intRangeAtMost(u8, 'a', 'z');
            const name: [30]u8 = @splat(letter orelse 0);
            const text: ?[]const u8 = if (letter == null) null else name[0 .. 1 + random.uintLessThan(usize, 30)];
            const row = rowOf(&buffer, id, text);
            switch (random.uintLessThan(u8, 8)) {
                0, 1 => if (transaction.write(.insert, &table.layout.visible, row)) |_| {
                    try testing.expect(!open.contains(id));
                    try open.put(id, letter);
                } else |err| {
                    try testing.expectEqual(error.DuplicateKey, err);
                    try testing.expect(open.contains(id));
                },
                2, 3 => if (transaction.write(.update, &table.layout.visible, row)) |_| {
                    try testing.expect(open.contains(id));
                    try open.put(id, letter);
                } else |err| try testing.expectEqual(error.NotFound, err),
                4 => {
                    _ = try transaction.write(.upsert, &table.layout.visible, row);
                    try open.put(id, letter);
                },
                5, 6 => {
                    const count = try transaction.delete(table, keyOf(&buffer, id));
                    try testing.expectEqual(@intFromBool(open.remove(id)), count);
                },
                else => if (saved) |*model| {
                    transaction.rollbackTo(mark);
                    open.deinit();
                    open = try model.clone();
                } else {
                    mark = transaction.mark();
                    saved = try open.clone();
                },
            }
            try expectEqual(table, &open);
        }
        if (saved) |*model| model.deinit();
        if (random.uintLessThan(u8, 3) == 0) {
            transaction.rollback();
            open.deinit();
            try testing.expectEqual(hash_before, table_format.state);
            try testing.expectEqual(row_bytes_before, table.row_bytes);
            try testing.expectEqual(lsn_before, layout.control.lsn);
        } else {
            redo.cause = .{};
            layout.control.redo_len = 0;
            layout.control.delta_len = 0;
            const changed = transaction.commit();
            try testing.expectEqual(lsn_before + @intFromBool(changed), layout.control.lsn);
            try testing.expectEqual(changed and table.last_lsn == layout.control.lsn, layout.control.delta_len > 0);
            try expectOperations(&committed, &open);
            committed.deinit();
            committed = open;
        }
        try expectEqual(table, &committed);
        try expectVerified();
    }
    // Whatever happened, memory follows the state.
    transaction.begin(false);
    for (0..40) |id| _ = try transaction.delete(table, keyOf(&buffer, @intCast(id)));
    _ = transaction.commit();
    try testing.expectEqual(0, table.tree.root);
    try testing.expectEqual(0, table.row_bytes + table.tree.node_bytes);
    try testing.expectEqual(used_before, heap.usedBytes());
    layout.control.redo_len = 0;
}

test "what commits wrote is what replay reads, and replay refuses every cut of it" {
    _ = layout.open();
    var bytes: [128]u8 align(8) = undefined;
    var buffer: [64]u8 align(8) = undefined;
    layout.control.redo_len = 0;
    transaction.begin(false);
    try transaction.createTable(descriptor(&bytes, 101));
    const table = table_format.get(101).?;
    for (0..20) |id| _ = try transaction.write(.insert, &table.layout.visible, rowOf(&buffer, @intCast(id), "name"));
    _ = transaction.commit();
    transaction.begin(false);
    _ = try transaction.delete(table, keyOf(&buffer, 3));
    _ = try transaction.write(.update, &table.layout.visible, rowOf(&buffer, 4, null));
    _ = transaction.commit();
    const length: usize = @intCast(layout.control.redo_len);
    const log = try testing.allocator.dupe(u8, layout.redo[0..length]);
    defer testing.allocator.free(log);

    // The same records once more, under another table's number: as if into an empty state.
    const hash = table.hash;
    const row_bytes = table.row_bytes;
    forget(table);
    try testing.expectEqual(2, try redo.replay(log));
    const again = table_format.get(101).?;
    try testing.expectEqual(19, again.rows);
    try testing.expectEqual(hash, again.hash);
    try testing.expectEqual(row_bytes, again.row_bytes);
    try expectVerified();

    for (0..log.len) |cut| {
        forget(table_format.get(101));
        const first: usize = std.mem.readInt(u32, log[0..4], .little) + 4;
        const expected: redo.ReplayError!u32 = if (cut == 0) 0 else if (cut == first) 1 else error.Damaged;
        try testing.expectEqual(expected, redo.replay(log[0..cut]));
    }
    forget(table_format.get(101));
    try expectVerified();
    layout.control.redo_len = 0;
}

test "bytes that were counted wrongly are noticed" {
    _ = layout.open();
    var bytes: [128]u8 align(8) = undefined;
    var buffer: [64]u8 align(8) = undefined;
    transaction.begin(false);
    try transaction.createTable(descriptor(&bytes, 102));
    const table = table_format.get(102).?;
    for (0..20) |id| _ = try transaction.write(.insert, &table.layout.visible, rowOf(&buffer, @intCast(id), "name"));
    _ = transaction.commit();
    layout.control.redo_len = 0;
    try expectVerified();
    var out: [256]u8 = undefined;
    for ([_]*u64{ &table.row_bytes, &table.tree.node_bytes }) |counter| {
        counter.* += 8;
        try testing.expect(verification.verify(&out) > 0);
        counter.* -= 8;
    }
    try expectVerified();
    forget(table);
}

/// Takes a table and its rows away without a trace, as nothing outside of this test may.
fn forget(maybe: ?*table_format.Table) void {
    const table = maybe orelse return;
    var it = @import("tree.zig").Iterator(false).init();
    while (it.first(&table.tree)) |row| {
        table.subtractHash(row);
        table.tree.removeRow(row);
        table.giveBack(row);
    }
    table_format.unhook(table);
    table_format.drop(table);
    table_format.destroy(table);
}
