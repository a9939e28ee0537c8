//! Rate limiters: a bucket of tokens for each key, which fills up at a constant rate (a token bucket; as "GCRA" in ITU-T
//! I.371, where the time until it is full is kept instead). A key that has no row has a full bucket.
//!
//! What is missing from a full bucket is kept exactly, in tokens times microseconds of the period: a token is `period` of
//! these, and each microsecond `rate` of them come back.

const std = @import("std");
const layout = @import("layout.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const natives = @import("native.zig");
const Row = row_format.Row;
const Table = table_format.Table;
const Error = layout.Error;

/// Columns behind the key's.
const taken_at = 1;
const missing = 2;

/// Settings: tokens of a period, its microseconds, and how many tokens a bucket holds.
const Bucket = struct {
    rate: i128,
    period: i128,
    burst: i128,
    missing: i128,

    /// As it is now.
    fn of(table: *const Table, settings: []const i64, row: ?Row) Bucket {
        var bucket: Bucket = .{ .rate = settings[0], .period = settings[1], .burst = settings[2], .missing = 0 };
        const one = row orelse return bucket;
        const keys = table.key_types.len;
        const then: i128 = @as(i64, @bitCast(one.slot(keys + taken_at).*));
        const was: i128 = @as(i64, @bitCast(one.slot(keys + missing).*));
        bucket.missing = @max(0, was - bucket.rate * @max(0, layout.control.time - then));
        return bucket;
    }

    fn whole(bucket: Bucket) i64 {
        return @intCast(@divFloor(bucket.burst * bucket.period - bucket.missing, bucket.period));
    }

    fn tokens(bucket: Bucket) f64 {
        const left: f64 = @floatFromInt(bucket.burst * bucket.period - bucket.missing);
        return left / @as(f64, @floatFromInt(bucket.period));
    }

    /// Microseconds until so many tokens are there, which the bucket can hold.
    fn until(bucket: Bucket, count: i64) i64 {
        const wanted = bucket.missing + count * bucket.period - bucket.burst * bucket.period;
        return if (wanted <= 0) 0 else @intCast(@divFloor(wanted + bucket.rate - 1, bucket.rate));
    }
};

/// Key, then how many tokens: whether they were there, how many whole ones are left, and the microseconds until they would be
/// there: null when that is never.
pub fn take(table: *Table, settings: []const i64, args: Row, at: u64) Error!usize {
    const argument = natives.argumentsBehindKey(table);
    const count: i64 = @bitCast(args.slot(argument).*);
    if (count < 0) {
        layout.fault(table.number, layout.none_u32, 0);
        return error.InvalidNumber;
    }
    const found = try natives.find(table, args);
    var bucket = Bucket.of(table, settings, if (found) |one| one[0] else null);
    if (count > bucket.burst) return answer(at, false, bucket.whole(), null);
    const wait = bucket.until(count);
    if (wait > 0) return answer(at, false, bucket.whole(), wait);
    bucket.missing += @as(i128, count) * bucket.period;
    if (count > 0) try write(table, args, found, bucket);
    return answer(at, true, bucket.whole(), 0);
}

/// Key, then how many tokens: as `take` would say it, and nothing is taken.
pub fn peek(table: *Table, settings: []const i64, args: Row, at: u64) Error!usize {
    const count: i64 = @bitCast(args.slot(natives.argumentsBehindKey(table)).*);
    if (count < 0) return error.InvalidNumber;
    const found = try natives.find(table, args);
    const bucket = Bucket.of(table, settings, if (found) |one| one[0] else null);
    if (count > bucket.burst) return answer(at, false, bucket.whole(), null);
    const wait = bucket.until(count);
    return answer(at, wait == 0, bucket.whole(), wait);
}

/// Key: whether there was a row; the bucket is full again.
pub fn reset(table: *Table, args: Row, at: u64) Error!usize {
    const found = try natives.find(table, args) orelse return natives.int(at, 0);
    try transaction.remove(table, found[0]);
    return natives.int(at, 1);
}

fn write(table: *Table, args: Row, found: ?natives.Found, bucket: Bucket) Error!void {
    const parts = [_]natives.Part{
        .{ .word = @bitCast(bucket.tokens()) },
        .{ .word = @bitCast(layout.control.time) },
        .{ .word = @bitCast(@as(i64, @intCast(bucket.missing))) },
    };
    const one = found orelse return transaction.insertWhole(table, try natives.compose(table, args, &parts));
    const row = try transaction.copyOf(one[0]);
    for (parts, table.key_types.len..) |part, column| row.slot(column).* = part.word;
    return transaction.replaceWhole(table, one[1], row);
}

fn answer(at: u64, allowed: bool, remaining: i64, wait: ?i64) usize {
    const bytes = comptime row_format.padded(row_format.fixedBytes(3));
    var writer = row_format.Writer.begin(at, 3, bytes);
    writer.putWord(0, @intFromBool(allowed));
    writer.putWord(1, @bitCast(remaining));
    if (wait) |microseconds| writer.putWord(2, @bitCast(microseconds)) else writer.putNull(2);
    return bytes;
}
