//! Timestamps: microseconds since 1970, and what the proleptic Gregorian calendar makes of them. Always UTC.
//!
//! From days to dates and back in whole numbers, as in Howard Hinnant's "chrono-compatible low-level date algorithms":
//! years begin in March, so that the day that comes and goes is the last, and repeat every 400.

const std = @import("std");
const scratch = @import("scratch.zig");
const trimmed = @import("scalar_text.zig").trimmed;
const Failure = @import("cell.zig").Failure;

const second = 1_000_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

pub const Date = struct { year: i64, month: i64, day: i64 };

pub fn dateOf(days: i64) Date {
    const shifted = days + 719_468; // since 0000-03-01
    const era = @divFloor(shifted, 146_097);
    const day_of_era = @mod(shifted, 146_097);
    const year_of_era = @divTrunc(day_of_era - @divTrunc(day_of_era, 1460) + @divTrunc(day_of_era, 36_524) - @divTrunc(day_of_era, 146_096), 365);
    const day_of_year = day_of_era - (365 * year_of_era + @divTrunc(year_of_era, 4) - @divTrunc(year_of_era, 100));
    const shifted_month = @divTrunc(5 * day_of_year + 2, 153);
    const month = if (shifted_month < 10) shifted_month + 3 else shifted_month - 9;
    return .{
        .year = year_of_era + era * 400 + @intFromBool(month <= 2),
        .month = month,
        .day = day_of_year - @divTrunc(153 * shifted_month + 2, 5) + 1,
    };
}

pub fn daysOf(date: Date) i64 {
    const year = date.year - @intFromBool(date.month <= 2);
    const era = @divFloor(year, 400);
    const year_of_era = @mod(year, 400);
    const shifted_month = if (date.month > 2) date.month - 3 else date.month + 9;
    const day_of_year = @divTrunc(153 * shifted_month + 2, 5) + date.day - 1;
    const day_of_era = year_of_era * 365 + @divTrunc(year_of_era, 4) - @divTrunc(year_of_era, 100) + day_of_year;
    return era * 146_097 + day_of_era - 719_468;
}

fn monthDays(year: i64, month: i64) i64 {
    if (month == 2) return if (@mod(year, 4) == 0 and (@mod(year, 100) != 0 or @mod(year, 400) == 0)) 29 else 28;
    return if (month == 4 or month == 6 or month == 9 or month == 11) 30 else 31;
}

fn timestamp(days: i64, time: i64) Failure!i64 {
    return std.math.cast(i64, @as(i128, days) * day + time) orelse error.OutOfRange;
}

/// 0 is Monday; 1970 began on a Thursday.
fn weekday(days: i64) i64 {
    return @mod(days + 3, 7);
}

// ---------------------------------------------------------------- functions

pub const Unit = enum(u8) { millisecond = 1, second = 2, minute = 3, hour = 4, day = 5, week = 6, month = 7, quarter = 8, year = 9 };

/// The start of the unit that `at` lies in.
pub fn truncate(at: i64, unit: Unit) Failure!i64 {
    const length: i64 = switch (unit) {
        .millisecond => 1000,
        .second => second,
        .minute => minute,
        .hour => hour,
        else => day,
    };
    const days = @divFloor(at, day);
    const date = dateOf(days);
    return switch (unit) {
        .millisecond, .second, .minute, .hour, .day => std.math.sub(i64, at, @mod(at, length)) catch error.OutOfRange,
        .week => timestamp(days - weekday(days), 0),
        .month => timestamp(days - date.day + 1, 0),
        .quarter => timestamp(daysOf(.{ .year = date.year, .month = date.month - @mod(date.month - 1, 3), .day = 1 }), 0),
        .year => timestamp(daysOf(.{ .year = date.year, .month = 1, .day = 1 }), 0),
    };
}

pub const Field = enum(u8) {
    year = 1,
    quarter = 2,
    month = 3,
    week = 4,
    day = 5,
    dow = 6,
    isodow = 7,
    doy = 8,
    hour = 9,
    minute = 10,
    second = 11,
    epoch = 12,
    milliseconds = 13,
    microseconds = 14,
    isoyear = 15,
};

/// Seconds, the epoch and milliseconds are in units of their last digit: microseconds, and 1/1000 of a millisecond.
pub fn extract(at: i64, field: Field) i64 {
    const days = @divFloor(at, day);
    const time = @mod(at, day);
    const date = dateOf(days);
    return switch (field) {
        .year => numbered(date.year),
        .quarter => @divTrunc(date.month + 2, 3),
        .month => date.month,
        .day => date.day,
        .dow => @mod(weekday(days) + 1, 7),
        .isodow => weekday(days) + 1,
        .doy => days - firstDay(date.year) + 1,
        .hour => @divTrunc(time, hour),
        .minute => @mod(@divTrunc(time, minute), 60),
        .second, .milliseconds, .microseconds => @mod(time, minute),
        .epoch => at,
        // A week belongs to the year that its Thursday lies in.
        .week => blk: {
            const thursday = days - weekday(days) + 3;
            break :blk @divTrunc(thursday - firstDay(dateOf(thursday).year), 7) + 1;
        },
        .isoyear => numbered(dateOf(days - weekday(days) + 3).year),
    };
}

fn firstDay(year: i64) i64 {
    return daysOf(.{ .year = year, .month = 1, .day = 1 });
}

/// Before the year 1 was the year 1 BC, −1 in SQL.
fn numbered(year: i64) i64 {
    return if (year > 0) year else year - 1;
}

/// The day becomes the month's last if the month is too short.
pub fn addMonths(at: i64, count: i64) Failure!i64 {
    if (@abs(count) > 12 * 600_000) return error.OutOfRange;
    const date = dateOf(@divFloor(at, day));
    const months = date.year * 12 + date.month - 1 + count;
    const year = @divFloor(months, 12);
    const month = @mod(months, 12) + 1;
    const days = daysOf(.{ .year = year, .month = month, .day = @min(date.day, monthDays(year, month)) });
    return timestamp(days, @mod(at, day));
}

// ---------------------------------------------------------------- texts

/// `2024-01-31 12:00:00+00`, with the fraction's digits but zeros at the end; ` BC` behind years before 1.
pub fn text(at: i64) Failure![]const u8 {
    const date = dateOf(@divFloor(at, day));
    const time = @mod(at, day);
    var buffer: [48]u8 = undefined;
    var len: usize = 0;
    const year = if (date.year > 0) date.year else 1 - date.year;
    var width: usize = 4;
    while (width < 6 and @abs(year) >= std.math.pow(u64, 10, width)) width += 1;
    put(&buffer, &len, year, width, "-");
    put(&buffer, &len, date.month, 2, "-");
    put(&buffer, &len, date.day, 2, " ");
    put(&buffer, &len, @divTrunc(time, hour), 2, ":");
    put(&buffer, &len, @mod(@divTrunc(time, minute), 60), 2, ":");
    put(&buffer, &len, @mod(@divTrunc(time, second), 60), 2, "");
    const fraction = @mod(time, second);
    if (fraction != 0) {
        buffer[len] = '.';
        len += 1;
        put(&buffer, &len, fraction, 6, "");
        while (buffer[len - 1] == '0') len -= 1;
    }
    const end = if (date.year > 0) "+00" else "+00 BC";
    @memcpy(buffer[len..][0..end.len], end);
    return scratch.copy(buffer[0 .. len + end.len]);
}

fn put(buffer: *[48]u8, len: *usize, value: i64, width: usize, end: []const u8) void {
    var rest: u64 = @intCast(value);
    for (0..width) |i| {
        buffer[len.* + width - 1 - i] = '0' + @as(u8, @intCast(rest % 10));
        rest /= 10;
    }
    len.* += width;
    @memcpy(buffer[len.*..][0..end.len], end);
    len.* += end.len;
}

/// Reads `YYYY-MM-DD`, then maybe a blank or T, `HH:MM`, `:SS`, a fraction (rounded to microseconds), then maybe a zone:
/// `Z`, `±HH`, `±HH:MM`, `±HHMM`; none is UTC. Then maybe ` BC`. A year has four to six digits.
pub fn parse(source: []const u8) Failure!i64 {
    var reader: Reader = .{ .rest = trimmed(source) };
    const is_bc = reader.takeEnd(" BC") or reader.takeEnd(" bc");
    var year = try reader.number(4, 6);
    if (year == 0) return error.InvalidText;
    if (is_bc) year = 1 - year;
    try reader.expect('-');
    const month = try reader.within(1, 12);
    try reader.expect('-');
    const date: Date = .{ .year = year, .month = month, .day = try reader.within(1, monthDays(year, month)) };
    var time: i64 = 0;
    if (reader.rest.len > 0) {
        if (!reader.take(' ') and !reader.take('T') and !reader.take('t')) return error.InvalidText;
        time = try reader.time();
        time -= try reader.zone();
    }
    if (reader.rest.len > 0) return error.InvalidText;
    return timestamp(daysOf(date), time);
}

const Reader = struct {
    rest: []const u8,

    fn take(reader: *Reader, byte: u8) bool {
        if (reader.rest.len == 0 or reader.rest[0] != byte) return false;
        reader.rest = reader.rest[1..];
        return true;
    }

    fn takeEnd(reader: *Reader, comptime end: []const u8) bool {
        if (!std.mem.endsWith(u8, reader.rest, end)) return false;
        reader.rest = std.mem.trimEnd(u8, reader.rest[0 .. reader.rest.len - end.len], " ");
        return true;
    }

    fn expect(reader: *Reader, byte: u8) Failure!void {
        if (!reader.take(byte)) return error.InvalidText;
    }

    fn digit(reader: *Reader) ?i64 {
        if (reader.rest.len == 0 or !std.ascii.isDigit(reader.rest[0])) return null;
        defer reader.rest = reader.rest[1..];
        return reader.rest[0] - '0';
    }

    fn number(reader: *Reader, least: usize, most: usize) Failure!i64 {
        var value: i64 = 0;
        for (0..most) |i| value = 10 * value + (reader.digit() orelse if (i < least) return error.InvalidText else break);
        return value;
    }

    fn within(reader: *Reader, low: i64, high: i64) Failure!i64 {
        const value = try reader.number(2, 2);
        return if (value < low or value > high) error.InvalidText else value;
    }

    fn time(reader: *Reader) Failure!i64 {
        var value = try reader.within(0, 23) * hour;
        try reader.expect(':');
        value += try reader.within(0, 59) * minute;
        if (!reader.take(':')) return value;
        value += try reader.within(0, 59) * second;
        if (!reader.take('.')) return value;
        if (reader.rest.len == 0 or !std.ascii.isDigit(reader.rest[0])) return error.InvalidText;
        var unit: i64 = second / 10;
        while (reader.digit()) |digit_| : (unit = @divTrunc(unit, 10)) {
            if (unit > 0) value += digit_ * unit else {
                if (digit_ >= 5) value += 1;
                break;
            }
        }
        while (reader.digit()) |_| {}
        return value;
    }

    /// How far the zone is ahead of UTC.
    fn zone(reader: *Reader) Failure!i64 {
        reader.rest = std.mem.trimStart(u8, reader.rest, " ");
        if (reader.rest.len == 0 or reader.take('Z') or reader.take('z')) return 0;
        const is_west = reader.take('-');
        if (!is_west) try reader.expect('+');
        var ahead = try reader.within(0, 15) * hour;
        const has_minutes = reader.take(':') or reader.rest.len > 0;
        if (has_minutes) ahead += try reader.within(0, 59) * minute;
        return if (is_west) -ahead else ahead;
    }
};

// ---------------------------------------------------------------- tests

const testing = std.testing;

test "each day has a date, and the next day the next" {
    try testing.expectEqual(0, daysOf(.{ .year = 1970, .month = 1, .day = 1 }));
    var start: i64 = -107_000_000;
    while (start < 107_000_000) : (start += 250_007) {
        var previous = dateOf(start);
        for (0..1500) |i| {
            const days = start + 1 + @as(i64, @intCast(i));
            const date = dateOf(days);
            try testing.expectEqual(days, daysOf(date));
            const expected: Date = if (previous.day < monthDays(previous.year, previous.month))
                .{ .year = previous.year, .month = previous.month, .day = previous.day + 1 }
            else if (previous.month < 12)
                .{ .year = previous.year, .month = previous.month + 1, .day = 1 }
            else
                .{ .year = previous.year + 1, .month = 1, .day = 1 };
            try testing.expectEqual(expected, date);
            previous = date;
        }
    }
}

test "texts" {
    scratch.reset();
    const cases = [_]struct { i64, []const u8 }{
        .{ 0, "1970-01-01 00:00:00+00" },
        .{ 1_706_702_400_000_000, "2024-01-31 12:00:00+00" },
        .{ -1, "1969-12-31 23:59:59.999999+00" },
        .{ 1_500_000, "1970-01-01 00:00:01.5+00" },
        .{ std.math.maxInt(i64), "294247-01-10 04:00:54.775807+00" },
        .{ std.math.minInt(i64), "290309-12-21 19:59:05.224192+00 BC" },
        .{ -62_135_596_800_000_001, "0001-12-31 23:59:59.999999+00 BC" },
    };
    for (cases) |case| {
        try testing.expectEqualStrings(case[1], try text(case[0]));
        try testing.expectEqual(case[0], try parse(case[1]));
    }
    try testing.expectEqual(1_706_702_400_000_000, parse(" 2024-01-31T13:30+01:30 "));
    try testing.expectEqual(1_706_702_400_000_000, parse("2024-01-31 03:30:00.0000004-0830"));
    try testing.expectEqual(1_706_659_200_000_000, parse("2024-01-31"));
    try testing.expectEqual(1, parse("1970-01-01 00:00:00.0000005 Z"));
    for ([_][]const u8{
        "",                    "2024",                   "2024-1-31",             "2024-02-30",  "2023-02-29",           "0000-01-01",  "2024-01-31 24:00",
        "2024-01-31 12:00:60", "2024-01-31 12:00:00.",   "2024-01-31 12:00:00+1", "2024-13-01",  "2024-01-31 12:00:00x", "2024-01-31x", "2024-01-31 12",
        "2024-01-31 12:00+16", "2024-01-31 12:00+01:60", "1000000-01-01",         "-2024-01-01",
    }) |bad| try testing.expectError(error.InvalidText, parse(bad));
    try testing.expectError(error.OutOfRange, parse("294247-01-10 04:00:54.775808"));
}

test "parts of a timestamp" {
    const at = try parse("2024-12-30 12:34:56.789");
    for ([_]struct { Field, i64 }{
        .{ .year, 2024 }, .{ .isoyear, 2025 }, .{ .week, 1 },            .{ .quarter, 4 }, .{ .month, 12 },
        .{ .day, 30 },    .{ .dow, 1 },        .{ .isodow, 1 },          .{ .doy, 365 },   .{ .hour, 12 },
        .{ .minute, 34 }, .{ .epoch, at },     .{ .second, 56_789_000 },
    }) |case| try testing.expectEqual(case[1], extract(at, case[0]));
    try testing.expectEqual(-1, extract(try parse("0001-06-01 BC"), .year));
    for ([_]struct { Unit, []const u8 }{
        .{ .millisecond, "2024-12-30 12:34:56.789" }, .{ .second, "2024-12-30 12:34:56" },
        .{ .minute, "2024-12-30 12:34" },             .{ .hour, "2024-12-30 12:00" },
        .{ .day, "2024-12-30" },                      .{ .week, "2024-12-30" },
        .{ .month, "2024-12-01" },                    .{ .quarter, "2024-10-01" },
        .{ .year, "2024-01-01" },
    }) |case| try testing.expectEqual(try parse(case[1]), try truncate(at, case[0]));
    for ([_]Unit{ .hour, .day, .week, .month, .quarter, .year }) |unit|
        try testing.expectError(error.OutOfRange, truncate(std.math.minInt(i64), unit));
}

test "months have ends" {
    try testing.expectEqual(try parse("2024-02-29 01:00"), try addMonths(try parse("2024-01-31 01:00"), 1));
    try testing.expectEqual(try parse("2023-02-28"), try addMonths(try parse("2024-02-29"), -12));
    try testing.expectEqual(try parse("2023-12-31"), try addMonths(try parse("2024-01-31"), -1));
    try testing.expectError(error.OutOfRange, addMonths(0, std.math.minInt(i64)));
    try testing.expectError(error.OutOfRange, addMonths(std.math.maxInt(i64), 1));
}
