//! What docs/conformance.md asks of an SDK, in Zig: each type, each operation, each result.

const std = @import("std");
const reifydb = @import("reifydb");
const schema = @import("every_type/schema.zig");
const every = schema.every_type;
const note = schema.note;
const pair = schema.pair;
const item = schema.item;

fn nothing() void {}

/// The argument, as it came.
fn Echo(comptime T: type) type {
    return struct {
        fn run(value: T) T {
            return value;
        }
    };
}

fn echo(comptime T: type) @TypeOf(reifydb.query(nothing, .{})) {
    return reifydb.query(Echo(T).run, .{"value"});
}

fn echoRow(row: every.Row) every.Row {
    return row;
}

fn insert(row: every.Row) !void {
    try every.insert(row);
}

fn update(row: every.Row) !void {
    try every.update(row);
}

fn upsert(row: every.Row) !void {
    try every.upsert(row);
}

fn get(a: []const u8, b: i64) !every.Row {
    return every.need(.{ a, b });
}

fn find(a: []const u8, b: i64) !?i64 {
    const row = try every.get(.{ .b = b, .a = a }) orelse return null;
    return row.n;
}

fn delete(a: []const u8, b: i64) !bool {
    return every.delete(.{ a, b });
}

fn count() !i64 {
    return every.count();
}

const Many = enum { insert, update, upsert };

/// The rows (a, from) … (a, to − 1), whose text is `t`, in one crossing.
fn many(comptime operation: Many, a: []const u8, from: i64, to: i64, t: []const u8) !void {
    var rows: [32]every.Row = undefined;
    if (to < from or to - from > rows.len) return reifydb.abort(1, "too_many");
    const given = rows[0..@intCast(to - from)];
    for (given, 0..) |*row, i| row.* = .{
        .a = a,
        .b = from + @as(i64, @intCast(i)),
        .flag = i % 2 == 1,
        .n = @as(i64, @intCast(i)) * 10,
        .x = @as(f64, @floatFromInt(i)) / 4,
        .t = t,
        .d = .{ .data = t },
        .at = .{ .micros = -@as(i64, @intCast(i)) },
        .price = .{ .units = 25 * @as(i64, @intCast(i)) },
        .u = .{ .bytes = @splat(@intCast(i)) },
        .j = .{ .text = "{ \"b\": 1, \"a\": [ ] }" },
        .flag_null = null,
        .n_null = if (i % 3 == 0) null else from,
        .x_null = null,
        .t_null = if (i % 2 == 0) t else null,
        .d_null = null,
        .at_null = reifydb.now(),
        .price_null = null,
        .u_null = null,
        .j_null = null,
    };
    switch (operation) {
        .insert => try every.insertMany(given),
        .update => try every.updateMany(given),
        .upsert => try every.upsertMany(given),
    }
}

fn insertMany(a: []const u8, from: i64, to: i64, t: []const u8) !void {
    try many(.insert, a, from, to, t);
}

fn updateMany(a: []const u8, from: i64, to: i64, t: []const u8) !void {
    try many(.update, a, from, to, t);
}

fn upsertMany(a: []const u8, from: i64, to: i64, t: []const u8) !void {
    try many(.upsert, a, from, to, t);
}

/// Deletes the keys (a, from) … (a, to − 1) in one crossing; how many there were.
fn deleteMany(a: []const u8, from: i64, to: i64) !i64 {
    var keys: [64]struct { []const u8, i64 } = undefined;
    if (to < from or to - from > keys.len) return reifydb.abort(1, "too_many");
    const given = keys[0..@intCast(to - from)];
    for (given, 0..) |*key, i| key.* = .{ a, from + @as(i64, @intCast(i)) };
    return @intCast(try every.deleteMany(given));
}

/// The keys that a scan finds, as text: `a1 a2 b1`.
fn listed(options: anytype) ![]const u8 {
    const out = try reifydb.alloc(4096);
    var len: usize = 0;
    var rows = try every.scan(options);
    defer rows.close();
    while (try rows.next()) |row| {
        const piece = try std.fmt.bufPrint(out[len..], "{s}{s}{d}", .{ if (len > 0) " " else "", row.a, row.b });
        len += piece.len;
    }
    return out[0..len];
}

fn scanAll(descending: bool, limit: i64, buffer_bytes: i64) ![]const u8 {
    return listed(.{ .descending = descending, .limit = small(limit), .buffer_bytes = @as(usize, @intCast(buffer_bytes)) });
}

fn scanPrefix(a: []const u8, descending: bool, limit: i64) ![]const u8 {
    return listed(.{ .prefix = .{a}, .descending = descending, .limit = small(limit) });
}

fn scanRange(a1: []const u8, b1: i64, a2: []const u8, b2: i64, descending: bool) ![]const u8 {
    return listed(.{ .lower = .{ a1, b1 }, .upper = .{ a2, b2 }, .descending = descending });
}

fn scanBetween(a1: []const u8, b1: i64, a2: []const u8, b2: i64, descending: bool) ![]const u8 {
    return listed(.{ .after = .{ a1, b1 }, .before = .{ a2, b2 }, .descending = descending });
}

fn scanAfterPrefix(a: []const u8, descending: bool) ![]const u8 {
    return listed(.{ .after = .{a}, .descending = descending });
}

fn scanBeforePrefix(a: []const u8, descending: bool) ![]const u8 {
    return listed(.{ .before = a, .descending = descending });
}

fn small(limit: i64) i32 {
    return @intCast(limit);
}

fn scanHalfOpen(a1: []const u8, b1: i64, a2: []const u8, b2: i64, descending: bool) ![]const u8 {
    return listed(.{ .lower = .{ a1, b1 }, .before = .{ a2, b2 }, .descending = descending });
}

fn scanFrom(a: []const u8, descending: bool) ![]const u8 {
    return listed(.{ .lower = .{a}, .descending = descending });
}

fn scanUpTo(a: []const u8, descending: bool) ![]const u8 {
    return listed(.{ .upper = .{a}, .descending = descending });
}

/// The numbers of the items that a scan finds, as text.
fn listedItems(options: anytype) ![]const u8 {
    const out = try reifydb.alloc(4096);
    var len: usize = 0;
    var rows = try item.scan(options);
    defer rows.close();
    while (try rows.next()) |row| {
        const piece = try std.fmt.bufPrint(out[len..], "{s}{d}", .{ if (len > 0) " " else "", row.id });
        len += piece.len;
    }
    return out[0..len];
}

fn itemsBy(order: i64, descending: bool, limit: i64) ![]const u8 {
    return switch (order) {
        0 => listedItems(.{ .descending = descending, .limit = small(limit) }),
        1 => listedItems(.{ .index = "item_by_colour", .descending = descending, .limit = small(limit) }),
        2 => listedItems(.{ .index = "item_by_code", .descending = descending, .limit = small(limit) }),
        else => listedItems(.{ .index = "item_by_price", .descending = descending, .limit = small(limit) }),
    };
}

fn itemsOfColour(colour: ?[]const u8, descending: bool, limit: i64) ![]const u8 {
    return listedItems(.{ .index = "item_by_colour", .prefix = .{colour}, .descending = descending, .limit = small(limit) });
}

fn itemsOfSize(colour: ?[]const u8, size: i64) ![]const u8 {
    return listedItems(.{ .index = "item_by_colour", .prefix = .{ colour, size } });
}

fn itemsBetween(colour1: ?[]const u8, size1: i64, colour2: ?[]const u8, size2: i64, descending: bool) ![]const u8 {
    return listedItems(.{
        .index = "item_by_colour",
        .lower = .{ colour1, size1 },
        .upper = .{ colour2, size2 },
        .descending = descending,
    });
}

fn itemsDearer(price: reifydb.Decimal(10, 2), descending: bool) ![]const u8 {
    return listedItems(.{ .index = "item_by_price", .after = price, .descending = descending });
}

fn itemOfCode(code: reifydb.Uuid) !item.Row {
    var rows = try item.scan(.{ .index = "item_by_code", .prefix = code, .limit = 1 });
    return try rows.next() orelse error.NotFound;
}

fn recolour(colour: ?[]const u8, other: ?[]const u8) !i64 {
    var seen: i64 = 0;
    var rows = try item.scan(.{ .index = "item_by_colour", .prefix = .{colour}, .buffer_bytes = @as(usize, 64) });
    defer rows.close();
    while (try rows.next()) |row| : (seen += 1) {
        var changed = row;
        changed.colour = other;
        try item.update(changed);
    }
    return seen;
}

/// How many pairs of rows have the same `n`: a cursor inside a cursor.
fn samePairs() !i64 {
    var same: i64 = 0;
    var outer = try every.scan(.{ .buffer_bytes = 512 });
    defer outer.close();
    while (try outer.next()) |left| {
        var inner = try every.scan(.{ .buffer_bytes = 512 });
        defer inner.close();
        while (try inner.next()) |right| same += @intFromBool(left.n == right.n);
    }
    return same;
}

/// Deletes all rows, each while the cursor stands on it; how many.
fn clear() !i64 {
    var deleted: i64 = 0;
    var rows = try every.scan(.{});
    defer rows.close();
    while (try rows.next()) |row| deleted += @intFromBool(try every.delete(row));
    return deleted;
}

/// Inserts a note ahead of the cursor for each that it reads: found, when it is not in the page read already.
fn chase(last: i64) !i64 {
    var seen: i64 = 0;
    var rows = try note.scan(.{});
    defer rows.close();
    while (try rows.next()) |row| : (seen += 1) {
        if (row.id >= last or try note.get(row.id + 1) != null) continue;
        try note.insert(.{ .id = row.id + 1, .body = "", .mark = null });
    }
    return seen;
}

/// So many cursors at a time.
fn openCursors(cursors: i64) !i64 {
    var open: [100]note.Cursor = undefined;
    if (cursors < 0 or cursors > open.len) return reifydb.abort(1, "too_many");
    var seen: i64 = 0;
    for (open[0..@intCast(cursors)]) |*cursor| {
        cursor.* = try note.scan(.{ .buffer_bytes = @as(usize, 8) });
        if (try cursor.next() != null) seen += 1;
    }
    return seen;
}

fn cursorsInTurn(cursors: i64) !i64 {
    var seen: i64 = 0;
    for (0..@intCast(cursors)) |_| {
        var cursor = try note.scan(.{});
        defer cursor.close();
        if (try cursor.next() != null) seen += 1;
    }
    return seen;
}

/// A note with the next number; its number.
fn createNote(body: []const u8, mark: ?i64) !i64 {
    return note.create(.{ .body = body, .mark = mark });
}

fn insertNote(id: i64, body: []const u8) !i64 {
    try note.insert(.{ .id = id, .body = body, .mark = null });
    return reifydb.generated();
}

fn noteBody(id: i64) !?[]const u8 {
    const row = try note.get(id) orelse return null;
    return row.body;
}

fn textLength(value: []const u8) i64 {
    return @intCast(value.len);
}

/// So many times `x`.
fn letters(bytes: i64) ![]const u8 {
    const text = try reifydb.alloc(@intCast(bytes));
    @memset(text, 'x');
    return text;
}

fn writeNote(id: i64, bytes: i64) !void {
    try note.insert(.{ .id = id, .body = try letters(bytes), .mark = null });
}

fn fill(notes: i64, bytes: i64) !void {
    const body = try letters(bytes);
    for (0..@intCast(notes)) |_| _ = try note.create(.{ .body = body });
}

fn joined(first: []const u8, second: []const u8) ![]const u8 {
    const out = try reifydb.alloc(first.len + second.len);
    @memcpy(out[0..first.len], first);
    @memcpy(out[first.len..], second);
    return out;
}

fn twoBodies(first: i64, second: i64) ![]const u8 {
    const one = try note.need(first);
    const other = try note.need(second);
    return joined(one.body, other.body);
}

fn bodiesByMark() ![]const u8 {
    var all: []const u8 = "";
    var rows = try note.scan(.{ .buffer_bytes = @as(usize, 64) });
    defer rows.close();
    while (try rows.next()) |row| {
        const other = try note.get(row.mark orelse continue) orelse continue;
        all = try joined(all, other.body);
    }
    return all;
}

fn scanBodies(buffer_bytes: i64) ![]const u8 {
    const out = try reifydb.alloc(4096);
    var len: usize = 0;
    var rows = try note.scan(.{ .buffer_bytes = @as(usize, @intCast(buffer_bytes)) });
    defer rows.close();
    while (try rows.next()) |row| {
        const piece = try std.fmt.bufPrint(out[len..], "{s}{d}:{d}", .{ if (len > 0) " " else "", row.id, row.body.len });
        len += piece.len;
    }
    return out[0..len];
}

/// A table of fixed width: no arena is needed.
fn putPair(low: i64, high: reifydb.Timestamp, value: f64) !f64 {
    const old = try pair.get(.{ low, high });
    try pair.upsert(.{ .low = low, .high = high, .value = value });
    return if (old) |row| row.value else 0;
}

fn putItem(row: item.Row) !void {
    try item.upsert(row);
}

fn getItem(id: i64) !item.Row {
    return item.need(id);
}

fn putUnits(id: i64, units: i64) !void {
    try item.upsert(.{ .id = id, .colour = null, .size = 0, .price = .{ .units = units }, .code = null, .tags = null });
}

fn putTags(id: i64, tags: []const u8) !void {
    try item.upsert(.{ .id = id, .colour = null, .size = 0, .price = null, .code = null, .tags = .{ .text = tags } });
}

const Facts = struct { now: reifydb.Timestamp, random: i64, caller: []const u8 };

fn facts() !Facts {
    return .{ .now = reifydb.now(), .random = @bitCast(reifydb.random()), .caller = try reifydb.caller() };
}

const Draws = struct { first: i64, second: i64 };

fn dice() Draws {
    const first = reifydb.random();
    return .{ .first = @bitCast(first), .second = @bitCast(reifydb.random()) };
}

fn logLine(text: []const u8) void {
    reifydb.log(.warning, text);
}

fn logLevels(text: []const u8) void {
    inline for (.{ .debug, .info, .warning, .@"error" }) |level| reifydb.log(level, text);
}

fn login(user: []const u8, password: []const u8) !bool {
    return !std.mem.eql(u8, user, password);
}

fn abortAfterWrite(id: i64, code: i64, message: []const u8) !void {
    try note.insert(.{ .id = id, .body = "", .mark = null });
    return reifydb.abort(@intCast(code), message);
}

/// Aborts, then goes on as if nothing had happened, writes and returns success.
fn abortIsFinal(id: i64) !i64 {
    const doomed: error{Aborted}!void = reifydb.abort(9, "final"); // Zig lets nobody drop an error
    doomed catch {};
    note.insert(.{ .id = id, .body = "", .mark = null }) catch {};
    return 1;
}

/// An abort below many calls, each of which has written.
fn abortAtDepth(id: i64, depth: i64) !void {
    try note.insert(.{ .id = id, .body = "deep", .mark = depth });
    if (depth == 0) return reifydb.abort(@intCast(100 + id), "deep");
    try abortAtDepth(id + 1, depth - 1);
    try note.update(.{ .id = id, .body = "not reached", .mark = null });
}

fn goOnAfterAbort(id: i64, what: i64) !i64 {
    const row: note.Row = .{ .id = id, .body = "", .mark = null };
    try note.insert(row);
    var rows = try note.scan(.{});
    const doomed: error{Aborted}!void = reifydb.abort(8, "gone");
    doomed catch {};
    const other: note.Row = .{ .id = id + 1, .body = "", .mark = null };
    switch (what) {
        0 => _ = note.get(id) catch {},
        1 => note.insert(other) catch {},
        2 => note.update(row) catch {},
        3 => note.upsert(other) catch {},
        4 => _ = note.delete(id) catch {},
        5 => _ = note.count() catch {},
        6 => _ = note.scan(.{}) catch {},
        7 => _ = rows.next() catch {},
        8 => rows.close(),
        9 => reifydb.log(.info, "after the abort"),
        10 => {
            const again: error{Aborted}!void = reifydb.abort(9, "again");
            again catch {};
        },
        else => {},
    }
    return 1;
}

fn askAfterAbort() !void {
    const id = try note.create(.{ .body = "asked" });
    const before = reifydb.now().micros;
    const doomed: error{Aborted}!void = reifydb.abort(8, "gone");
    doomed catch {};
    _ = reifydb.random();
    _ = try reifydb.caller();
    if (reifydb.now().micros != before or reifydb.generated() != id) @trap();
}

/// What an operation that answered this code returns.
fn fail(code: i64) !void {
    const answers = [_]reifydb.Error{
        error.Aborted,          error.NotFound,    error.DuplicateKey,        error.NotNull,    error.InvalidRow,
        error.InvalidNumber,    error.ReadOnly,    error.KeyTooLong,          error.RowTooLong, error.NoRelation,
        error.LimitReached,     error.OutOfMemory, error.TransactionTooLarge, error.Exhausted,  error.CheckFailed,
        error.ExpressionFailed,
    };
    return answers[@intCast(-1 - code)];
}

fn putText(id: i64, body: reifydb.Bytes) !void {
    try note.insert(.{ .id = id, .body = body.data, .mark = null });
}

fn putFloat(bits: i64) !void {
    try pair.upsert(.{ .low = 0, .high = .{ .micros = 0 }, .value = @bitCast(bits) });
}

fn ownError() !void {
    return error.SomethingUnforeseen;
}

/// Overflow traps here (and nowhere is it ignored: the build is ReleaseSafe).
fn addOrTrap(a: i64, b: i64) i64 {
    return a + b;
}

fn addOrAbort(a: i64, b: i64) !i64 {
    return reifydb.add(a, b);
}

fn subOrAbort(a: i64, b: i64) !i64 {
    return reifydb.sub(a, b);
}

fn mulOrAbort(a: i64, b: i64) !i64 {
    return reifydb.mul(a, b);
}

pub const panic = reifydb.panic;

pub const module = reifydb.module(.{
    .name = "every_type",
    .schema = @embedFile("every_type/schema.sql"),
    .relations = .{ note, every, pair, item },
    .transitions = .{
        .nothing = reifydb.transition(nothing, .{}),
        .echo_bool = echo(bool),
        .echo_int = echo(i64),
        .echo_float = echo(f64),
        .echo_text = echo([]const u8),
        .echo_bytes = echo(reifydb.Bytes),
        .echo_timestamp = echo(reifydb.Timestamp),
        .echo_decimal = echo(reifydb.Decimal(10, 2)),
        .echo_uuid = echo(reifydb.Uuid),
        .echo_json = echo(reifydb.Json),
        .echo_bool_null = echo(?bool),
        .echo_int_null = echo(?i64),
        .echo_float_null = echo(?f64),
        .echo_text_null = echo(?[]const u8),
        .echo_bytes_null = echo(?reifydb.Bytes),
        .echo_timestamp_null = echo(?reifydb.Timestamp),
        .echo_decimal_null = echo(?reifydb.Decimal(10, 2)),
        .echo_uuid_null = echo(?reifydb.Uuid),
        .echo_json_null = echo(?reifydb.Json),
        .echo_row = reifydb.query(echoRow, .{}),
        .insert = reifydb.transition(insert, .{}),
        .update = reifydb.transition(update, .{}),
        .upsert = reifydb.transition(upsert, .{}),
        .get = reifydb.query(get, .{ "a", "b" }),
        .find = reifydb.query(find, .{ "a", "b" }),
        .delete = reifydb.transition(delete, .{ "a", "b" }),
        .delete_in_query = reifydb.query(delete, .{ "a", "b" }),
        .count = reifydb.query(count, .{}),
        .insert_many = reifydb.transition(insertMany, .{ "a", "from", "to", "t" }),
        .update_many = reifydb.transition(updateMany, .{ "a", "from", "to", "t" }),
        .upsert_many = reifydb.transition(upsertMany, .{ "a", "from", "to", "t" }),
        .delete_many = reifydb.transition(deleteMany, .{ "a", "from", "to" }),
        .scan_all = reifydb.query(scanAll, .{ "descending", "limit", "buffer_bytes" }),
        .scan_prefix = reifydb.query(scanPrefix, .{ "a", "descending", "limit" }),
        .scan_range = reifydb.query(scanRange, .{ "a1", "b1", "a2", "b2", "descending" }),
        .scan_between = reifydb.query(scanBetween, .{ "a1", "b1", "a2", "b2", "descending" }),
        .scan_half_open = reifydb.query(scanHalfOpen, .{ "a1", "b1", "a2", "b2", "descending" }),
        .scan_from = reifydb.query(scanFrom, .{ "a", "descending" }),
        .scan_up_to = reifydb.query(scanUpTo, .{ "a", "descending" }),
        .scan_after_prefix = reifydb.query(scanAfterPrefix, .{ "a", "descending" }),
        .scan_before_prefix = reifydb.query(scanBeforePrefix, .{ "a", "descending" }),
        .items_by = reifydb.query(itemsBy, .{ "order", "descending", "limit" }),
        .items_of_colour = reifydb.query(itemsOfColour, .{ "colour", "descending", "limit" }),
        .items_of_size = reifydb.query(itemsOfSize, .{ "colour", "size" }),
        .items_between = reifydb.query(itemsBetween, .{ "colour1", "size1", "colour2", "size2", "descending" }),
        .items_dearer = reifydb.query(itemsDearer, .{ "price", "descending" }),
        .item_of_code = reifydb.query(itemOfCode, .{"code"}),
        .recolour = reifydb.transition(recolour, .{ "colour", "other" }),
        .put_item = reifydb.transition(putItem, .{}),
        .get_item = reifydb.query(getItem, .{"id"}),
        .put_units = reifydb.transition(putUnits, .{ "id", "units" }),
        .put_tags = reifydb.transition(putTags, .{ "id", "tags" }),
        .same_pairs = reifydb.query(samePairs, .{}),
        .clear = reifydb.transition(clear, .{}),
        .chase = reifydb.transition(chase, .{"last"}),
        .open_cursors = reifydb.transition(openCursors, .{"cursors"}),
        .cursors_in_turn = reifydb.transition(cursorsInTurn, .{"cursors"}),
        .create_note = reifydb.transition(createNote, .{ "body", "mark" }),
        .insert_note = reifydb.transition(insertNote, .{ "id", "body" }),
        .note_body = reifydb.query(noteBody, .{"id"}),
        .put_pair = reifydb.transition(putPair, .{ "low", "high", "value" }),
        .text_length = reifydb.query(textLength, .{"value"}),
        .write_note = reifydb.transition(writeNote, .{ "id", "bytes" }),
        .fill = reifydb.transition(fill, .{ "notes", "bytes" }),
        .two_bodies = reifydb.query(twoBodies, .{ "first", "second" }),
        .bodies_by_mark = reifydb.query(bodiesByMark, .{}),
        .scan_bodies = reifydb.query(scanBodies, .{"buffer_bytes"}),
        .facts = reifydb.query(facts, .{}),
        .dice = reifydb.query(dice, .{}),
        .log_line = reifydb.query(logLine, .{"text"}),
        .log_levels = reifydb.query(logLevels, .{"text"}),
        .login = reifydb.transition(login, .{ "user", reifydb.secret("password") }),
        .abort_after_write = reifydb.transition(abortAfterWrite, .{ "id", "code", "message" }),
        .abort_is_final = reifydb.transition(abortIsFinal, .{"id"}),
        .abort_at_depth = reifydb.transition(abortAtDepth, .{ "id", "depth" }),
        .go_on_after_abort = reifydb.transition(goOnAfterAbort, .{ "id", "what" }),
        .ask_after_abort = reifydb.transition(askAfterAbort, .{}),
        .fail = reifydb.transition(fail, .{"code"}),
        .put_text = reifydb.transition(putText, .{ "id", "body" }),
        .put_float = reifydb.transition(putFloat, .{"bits"}),
        .own_error = reifydb.transition(ownError, .{}),
        .add_or_trap = reifydb.query(addOrTrap, .{ "a", "b" }),
        .add_or_abort = reifydb.query(addOrAbort, .{ "a", "b" }),
        .sub_or_abort = reifydb.query(subOrAbort, .{ "a", "b" }),
        .mul_or_abort = reifydb.query(mulOrAbort, .{ "a", "b" }),
    },
});

comptime {
    module.emit();
}
