//! Rows natively: `zig test codec_test.zig`.

const std = @import("std");
const codec = @import("codec.zig");
const host = @import("host.zig");
const expectEqual = std.testing.expectEqual;
const expectEqualSlices = std.testing.expectEqualSlices;

const Account = struct { id: i64, owner: []const u8, balance: i64 };
const Accounts = codec.Codec(codec.columnsOf(Account));

var buffer: [512]u8 align(8) = undefined;

fn encode(comptime Rows: type, value: anytype) []align(8) const u8 {
    @memset(&buffer, 0xaa);
    const length: usize = @intCast(Rows.size(value));
    Rows.encode(value, &buffer, length);
    for (buffer[length..]) |byte| std.debug.assert(byte == 0xaa); // nothing is written behind it
    return buffer[0..length];
}

test "the example of docs/formats.md" {
    const expected =
        "\x28\x00\x00\x00\x03\x00\x00\x00" ++
        "\x07\x00\x00\x00\x00\x00\x00\x00" ++
        "\x21\x00\x00\x00\x03\x00\x00\x00" ++
        "\xff\xff\xff\xff\xff\xff\xff\xff" ++
        "\x00ada\x00\x00\x00\x00";
    const row = encode(Accounts, Account{ .id = 7, .owner = "ada", .balance = -1 });
    try expectEqualSlices(u8, expected, row);
    const back = Accounts.decode(Account, row.ptr);
    try expectEqual(7, back.id);
    try expectEqual(-1, back.balance);
    try expectEqualSlices(u8, "ada", back.owner);
}

test "texts of every length come back, and the padding is zero" {
    const text = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!?0123456789";
    for (0..text.len + 1) |length| {
        const row = encode(Accounts, .{ 1, text[0..length], 2 });
        try expectEqual(std.mem.alignForward(usize, 33 + length, 8), row.len);
        try expectEqualSlices(u8, text[0..length], Accounts.decode(Account, row.ptr).owner);
        for (row[33 + length ..]) |byte| try expectEqual(0, byte);
    }
}

test "an empty text whose pointer is anything is not null" {
    var nowhere: []const u8 = undefined;
    nowhere.len = 0;
    const row = encode(Accounts, .{ 1, nowhere, 2 });
    try expectEqual(0, row[32]);
    try expectEqual(33, row[16]);
    try expectEqual(0, Accounts.decode(Account, row.ptr).owner.len);
}

const Loose = struct {
    flag: ?bool,
    n: ?i64,
    x: ?f64,
    t: ?[]const u8,
    d: ?codec.Bytes,
    at: ?codec.Timestamp,
    last: ?i64,
    b8: bool,
    n9: ?i64,
};

test "nulls are bits after the slots, and their slots are zero" {
    const Rows = codec.Codec(codec.columnsOf(Loose));
    const nothing = encode(Rows, .{ .b8 = true });
    try expectEqual(8 + 9 * 8 + 8, nothing.len);
    try expectEqualSlices(u8, &.{ 0x7f, 0x01 }, nothing[80..82]);
    for (nothing[8..64]) |byte| try expectEqual(0, byte);
    try expectEqual(Loose{
        .flag = null,
        .n = null,
        .x = null,
        .t = null,
        .d = null,
        .at = null,
        .last = null,
        .b8 = true,
        .n9 = null,
    }, Rows.decode(Loose, nothing.ptr));
    const full: Loose = .{
        .flag = false,
        .n = std.math.minInt(i64),
        .x = -0.5,
        .t = "",
        .d = .{ .data = "\x00\xff" },
        .at = .{ .micros = -1 },
        .last = 0,
        .b8 = false,
        .n9 = 9,
    };
    const row = encode(Rows, full);
    try expectEqualSlices(u8, &.{ 0, 0 }, row[80..82]);
    const back = Rows.decode(Loose, row.ptr);
    try expectEqualSlices(u8, "\x00\xff", back.d.?.data);
    try expectEqual(0, back.t.?.len);
    try expectEqual(full.n, back.n);
    try expectEqual(full.x, back.x);
    try expectEqual(full.at, back.at);
    try expectEqual(full.n9, back.n9);
    try expectEqual(false, back.flag.?);
}

const Exact = struct { price: ?codec.Decimal(10, 2), id: codec.Uuid, other: ?codec.Uuid, doc: ?codec.Json };

test "decimals are numbers, uuids 16 bytes of the tail, JSON is text" {
    const Rows = codec.Codec(codec.columnsOf(Exact));
    const id: codec.Uuid = .{ .bytes = "0123456789abcdef".* };
    const full: Exact = .{ .price = .{ .units = -1250 }, .id = id, .other = id, .doc = .{ .text = "[1]" } };
    const row = encode(Rows, full);
    try expectEqual(41 + 16 + 16 + 3 + 4, row.len);
    try expectEqualSlices(u8, "0123456789abcdef0123456789abcdef[1]", row[41..76]);
    const back = Rows.decode(Exact, row.ptr);
    try expectEqual(-1250, back.price.?.units);
    try expectEqual(id, back.other.?);
    try expectEqualSlices(u8, "[1]", back.doc.?.text);
    const Ids = codec.Codec(codec.columnsOf(Exact)[0..3]);
    try std.testing.expect(Ids.is_bounded and !Rows.is_bounded);
    try expectEqual(72, Ids.bytes_max);
    const short = encode(Ids, .{ null, id, null });
    try expectEqual(56, short.len);
    try expectEqualSlices(u8, &id.bytes, short[33..49]);
    try expectEqualSlices(u8, "decimal(10,2)", comptime codec.columnsOf(Exact)[0].typeName());
}

test "a row without columns, and keys in three forms" {
    const None = codec.Codec(&.{});
    try expectEqualSlices(u8, &.{ 8, 0, 0, 0, 0, 0, 0, 0 }, encode(None, .{}));
    const Key = codec.Codec(&.{ .{ .name = "a", .type = []const u8 }, .{ .name = "b", .type = i64 } });
    var by_name: [64]u8 = undefined;
    const named = encode(Key, .{ .b = 5, .a = "x", .other = true });
    @memcpy(by_name[0..named.len], named);
    try expectEqualSlices(u8, by_name[0..named.len], encode(Key, .{ "x", 5 }));
    const Single = codec.Codec(&.{.{ .name = "at", .type = codec.Timestamp }});
    try expectEqual(9, encode(Single, codec.Timestamp{ .micros = 9 })[8]);
}

test "names of errors as messages" {
    var into: [12]u8 = undefined;
    try expectEqualSlices(u8, "not_found", host.snakeCase("NotFound", &into));
    try expectEqualSlices(u8, "already_so", host.snakeCase("already_so", &into));
    try expectEqual(11, host.snakeCase("LongerThanItMayBe", &into).len);
}
