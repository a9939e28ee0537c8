//! Histograms with a bounded relative error: DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile
//! sketch with relative-error guarantees", VLDB 2019). A row for each bucket that has values: the key, the bucket's number,
//! how many values, their sum, the least and the greatest.
//!
//! With γ = (1 + error) / (1 − error), bucket i holds what lies above γ^(i−1) and not above γ^i; 2 γ^i / (γ + 1) is at most
//! `error` away from all of it. Numbers order buckets as their values: negative ones lie below 0, which is the bucket of what
//! is smaller than `least`.

const std = @import("std");
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

/// What is nearer to 0 counts as 0; what is further away is refused. So there are few buckets.
const least = 1e-9;
const greatest = 1e15;

/// Added to a bucket's i, so that it is above 0 for every value that is. Larger than i for `least` at the smallest error.
const offset = 1 << 20;

/// Columns behind the key's, of which the first belongs to the primary key, too.
const bucket_column = 0;
const count_column = 1;
const sum_column = 2;
const min_column = 3;
const max_column = 4;
const own_columns = 5;

const Numbers = struct {
    count: i64 = 0,
    sum: f64 = 0,
    min: f64 = std.math.inf(f64),
    max: f64 = -std.math.inf(f64),

    fn of(row: Row, keys: usize) Numbers {
        return .{
            .count = @bitCast(row.slot(keys + count_column).*),
            .sum = @bitCast(row.slot(keys + sum_column).*),
            .min = @bitCast(row.slot(keys + min_column).*),
            .max = @bitCast(row.slot(keys + max_column).*),
        };
    }

    fn add(numbers: *Numbers, other: Numbers) error{Exhausted}!void {
        numbers.count = std.math.add(i64, numbers.count, other.count) catch return error.Exhausted;
        numbers.sum += other.sum;
        if (!std.math.isFinite(numbers.sum)) return error.Exhausted;
        numbers.min = @min(numbers.min, other.min);
        numbers.max = @max(numbers.max, other.max);
    }

    fn words(numbers: Numbers) [4]u64 {
        return .{ @bitCast(numbers.count), @bitCast(numbers.sum + 0.0), @bitCast(numbers.min + 0.0), @bitCast(numbers.max + 0.0) };
    }
};

/// Settings: the error, in millionths. Key, then the value and how often: how many values the bucket has now.
pub fn record(table: *Table, settings: []const i64, args: Row, at: u64) Error!usize {
    const keys = keysOf(table);
    const behind = argumentsBehind(table);
    const value: f64 = @bitCast(args.slot(behind).*);
    const count: i64 = @bitCast(args.slot(behind + 1).*);
    if (count < 1 or @abs(value) > greatest) {
        layout.fault(table.number, @intCast(keys + if (count < 1) @as(usize, count_column) else max_column), 0);
        return error.InvalidNumber;
    }
    const times: f64 = @floatFromInt(count);
    const now = try put(table, args, bucketOf(value, settings[0]), .{ .count = count, .sum = value * times, .min = value, .max = value });
    return natives.int(at, now);
}

/// Settings as above. Key, then q from 0 to 1: a value that is at most the error away from the one that has q · (n − 1) of the
/// n values before it; null when there is none.
pub fn quantile(table: *Table, settings: []const i64, args: Row, at: u64) Error!usize {
    const q: f64 = @bitCast(args.slot(argumentsBehind(table)).*);
    if (!(q >= 0 and q <= 1)) {
        layout.fault(table.number, layout.none_u32, 0);
        return error.InvalidNumber;
    }
    const keys = keysOf(table);
    const count = try countOf(table, args);
    if (count == 0) return natives.nothing(at);
    // As a float, a count may be larger than it is.
    const rank = @min(count - 1, @as(i128, @intFromFloat(@floor(q * @as(f64, @floatFromInt(count - 1))))));
    var walk = try Walk.begin(table, args);
    var before: i128 = 0;
    while (walk.next()) |row| {
        const numbers = Numbers.of(row, keys);
        before += numbers.count;
        if (before <= rank) continue;
        const bucket: i64 = @bitCast(row.slot(keys + bucket_column).*);
        return float(at, std.math.clamp(middleOf(bucket, settings[0]), numbers.min, numbers.max));
    }
    unreachable; // the counts are those of `countOf`
}

/// Key: how many values, their sum, the least and the greatest; null for those when there is none.
pub fn summary(table: *Table, args: Row, at: u64) Error!usize {
    const all = try total(table, args);
    const length = comptime row_format.padded(row_format.fixedBytes(4));
    var writer = row_format.Writer.begin(at, 4, length);
    for (all.words(), 0..) |word, i| if (i > 0 and all.count == 0) writer.putNull(i) else writer.putWord(i, word);
    return length;
}

/// Key: how many values it had, as far as 64 bits can say.
pub fn reset(table: *Table, args: Row, at: u64) Error!usize {
    const count = try countOf(table, args);
    var walk = try Walk.begin(table, args);
    while (walk.next()) |row| try transaction.remove(table, row); // a tombstone: the tree stays as it is
    return natives.int(at, @intCast(@min(count, std.math.maxInt(i64))));
}

/// Key, then another key: what that has is added to the first: how many values it has now.
pub fn merge(table: *Table, args: Row, at: u64) Error!usize {
    const keys = keysOf(table);
    const other = try natives.keyAmong(table, args, keys, keys);
    var walk = try Walk.begin(table, other);
    while (walk.next()) |row| {
        const numbers = Numbers.of(row, keys);
        const bucket: i64 = @bitCast(row.slot(keys + bucket_column).*);
        walk.remember(row); // what is put next may change the tree
        _ = try put(table, args, bucket, numbers);
    }
    return natives.int(at, (try total(table, args)).count);
}

fn keysOf(table: *const Table) usize {
    return table.key_types.len - 1;
}

/// Where an operation's arguments are that stand behind the key, to which the bucket does not belong.
fn argumentsBehind(table: *const Table) usize {
    return if (natives.isKeyless(table)) 0 else keysOf(table);
}

fn logOfGamma(millionths: i64) f64 {
    const share = @as(f64, @floatFromInt(millionths)) / 1e6;
    return @log((1 + share) / (1 - share));
}

fn bucketOf(value: f64, millionths: i64) i64 {
    const size = @abs(value);
    if (size < least) return 0;
    const i: i64 = @intFromFloat(@ceil(@log(size) / logOfGamma(millionths)));
    return if (value > 0) i + offset else -(i + offset);
}

fn middleOf(bucket: i64, millionths: i64) f64 {
    if (bucket == 0) return 0;
    const log_gamma = logOfGamma(millionths);
    const i: f64 = @floatFromInt(@as(i64, @intCast(@abs(bucket))) - offset);
    const size = 2 * @exp(i * log_gamma) / (@exp(log_gamma) + 1);
    return if (bucket > 0) size else -size;
}

/// Adds to a bucket: how many values it has now.
fn put(table: *Table, args: Row, bucket: i64, more: Numbers) Error!i64 {
    const keys = keysOf(table);
    const asked = try natives.numberedKey(table, args, bucket);
    const slot = try transaction.findBy(table, asked, natives.leading[0..table.key_types.len]);
    var numbers: Numbers = if (table_format.live(slot)) |row| Numbers.of(row, keys) else .{};
    numbers.add(more) catch {
        layout.fault(table.number, @intCast(keys + count_column), 0);
        return error.Exhausted;
    };
    const words = numbers.words();
    if (table_format.live(slot)) |row| {
        const next = try transaction.copyOf(row);
        for (words, keys + count_column..) |word, column| next.slot(column).* = word;
        try transaction.replaceWhole(table, slot.?, next);
        return numbers.count;
    }
    var parts: [own_columns]natives.Part = undefined;
    parts[bucket_column] = .{ .word = @bitCast(bucket) };
    for (words, parts[count_column..]) |word, *part| part.* = .{ .word = word };
    try transaction.insertWhole(table, try natives.compose(table, args, &parts));
    return numbers.count;
}

fn countOf(table: *Table, args: Row) Error!i128 {
    var count: i128 = 0;
    var walk = try Walk.begin(table, args);
    while (walk.next()) |row| count += Numbers.of(row, keysOf(table)).count;
    return count;
}

fn total(table: *Table, args: Row) Error!Numbers {
    var all: Numbers = .{};
    var walk = try Walk.begin(table, args);
    while (walk.next()) |row| all.add(Numbers.of(row, keysOf(table))) catch {
        layout.fault(table.number, @intCast(keysOf(table) + count_column), 0);
        return error.Exhausted;
    };
    return all;
}

fn float(at: u64, value: f64) usize {
    return natives.int(at, @bitCast(value + 0.0));
}

/// The buckets of one key, from the lowest value on.
const Walk = struct {
    table: *Table,
    /// Where the next one lies behind, and the part of it that all of this key's begin with.
    from: key.Buffer,
    from_len: usize,
    prefix_len: usize,
    it: tree.Iterator(false),
    started: bool = false,
    sought: bool = false,

    fn begin(table: *Table, args: Row) Error!Walk {
        var walk: Walk = undefined;
        walk.table = table;
        walk.it = tree.Iterator(false).init();
        walk.started = false;
        walk.sought = false;
        const source = if (natives.isKeyless(table)) table.layout.defaults else args;
        const shape: key.Shape = .{ .types = table.key_types, .positions = natives.leading[0..table.key_types.len] };
        walk.prefix_len = key.encode(shape, keysOf(table), source, &walk.from) catch |err| {
            layout.fault(table.number, 0, 0);
            return err;
        };
        walk.from_len = walk.prefix_len;
        return walk;
    }

    fn next(walk: *Walk) ?Row {
        var found = if (walk.started and !walk.sought) walk.it.next() else walk.it.seek(&walk.table.tree, &walk.from, walk.from_len, walk.started);
        walk.started = true;
        walk.sought = false;
        while (found) |row| : (found = walk.it.next()) if (!row.has(row_format.flag_dead)) break;
        const row = found orelse return null;
        const len = walk.table.tree.keyOf(row, &own);
        if (len < walk.prefix_len or !std.mem.eql(u8, own[0..walk.prefix_len], walk.from[0..walk.prefix_len])) return null;
        return row;
    }

    /// The tree may change: the next one is looked for.
    fn remember(walk: *Walk, row: Row) void {
        walk.from_len = walk.table.tree.keyOf(row, &walk.from);
        walk.sought = true;
    }

    var own: key.Buffer = undefined;
};
