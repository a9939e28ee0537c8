//! Values of a group one behind the other: an array, or a text.
//!
//! What is made lies in scratch memory, piece by piece: nothing else may take any while a listing is made.

const std = @import("std");
const layout = @import("layout.zig");
const json = @import("json.zig");
const scratch = @import("scratch.zig");
const row_format = @import("row.zig");
const number_text = @import("number_text.zig");
const time = @import("scalar_time.zig");
const text = @import("scalar_text.zig");
const cells = @import("cell.zig");
const Cell = cells.Cell;
const Failure = cells.Failure;
const Type = row_format.Type;
const Error = layout.Error;

pub const Listing = struct {
    /// Of the values; `scale` of decimals.
    kind: Type,
    scale: u32,
    /// What stands between texts; null: it is an array.
    separator: ?[]const u8,
    /// Where it begins in scratch memory.
    start: usize,
    count: u32 = 0,

    pub fn begin(kind: Type, scale: u32, separator: ?[]const u8) Error!Listing {
        const start = scratch.mark();
        if (separator == null) try put("[");
        return .{ .kind = kind, .scale = scale, .separator = separator, .start = start };
    }

    pub fn add(listing: *Listing, cell: Cell) Error!void {
        if (listing.count == layout.aggregate_items_max) return layout.reached(.aggregate_items);
        listing.count += 1;
        if (listing.count > 1) try put(listing.separator orelse ",");
        if (listing.separator != null) return put(cell.tail());
        listing.element(cell) catch |failure| return cells.failed(failure);
    }

    /// What has come together, good until scratch memory is given back.
    pub fn end(listing: *const Listing) Error!Cell {
        if (listing.separator != null) return .ofTail(scratch.since(listing.start));
        try put("]");
        const made = json.canonical(scratch.since(listing.start)) catch |err| return cells.failed(switch (err) {
            error.RowTooLong => error.TextTooLong,
            error.InvalidRow, error.InvalidNumber => error.InvalidText, // JSON within JSON is nested too deep
        });
        const start = scratch.mark();
        try put(made);
        return .ofTail(scratch.since(start));
    }

    fn element(listing: *const Listing, cell: Cell) Failure!void {
        if (cell.is_null != 0) {
            _ = try scratch.copy("null");
            return;
        }
        switch (listing.kind) {
            .bool => _ = try scratch.copy(if (cell.isTrue()) "true" else "false"),
            .int => _ = try number_text.ofInt(cell.int()),
            .float => {
                const made = try number_text.ofFloat(cell.float());
                if (std.mem.findAny(u8, made, ".e") == null) _ = try scratch.copy(".0");
            },
            .json => _ = try scratch.copy(cell.tail()),
            .text => try quoted(cell.tail()),
            .timestamp => {
                _ = try scratch.copy("\"");
                _ = try time.text(cell.int());
                _ = try scratch.copy("\"");
            },
            .uuid => {
                _ = try scratch.copy("\"");
                _ = try text.ofUuid(cell.tail());
                _ = try scratch.copy("\"");
            },
            .bytes => unreachable, // the host has refused it
            _ => _ = try number_text.ofDecimal(cell.int(), listing.scale),
        }
    }
};

/// A text as a string of JSON, not yet canonical.
fn quoted(value: []const u8) Failure!void {
    const out = try scratch.take(6 * value.len + 2);
    var at: usize = 1;
    out[0] = '"';
    for (value) |byte| {
        if (byte < 0x20 or byte == '"' or byte == '\\') {
            _ = std.fmt.bufPrint(out[at..][0..6], "\\u{x:0>4}", .{byte}) catch unreachable;
            at += 6;
        } else {
            out[at] = byte;
            at += 1;
        }
    }
    out[at] = '"';
    scratch.giveBack(out.len - at - 1);
}

fn put(bytes: []const u8) Error!void {
    _ = scratch.copy(bytes) catch |failure| return cells.failed(failure);
}

fn expectArray(expected: []const u8, kind: Type, scale: u32, values: []const Cell) !void {
    scratch.reset();
    defer scratch.reset();
    _ = try scratch.copy("what was there before");
    var listing = try Listing.begin(kind, scale, null);
    for (values) |cell| try listing.add(cell);
    try std.testing.expectEqualStrings(expected, (try listing.end()).tail());
}

test "arrays are canonical JSON" {
    try expectArray("[]", .int, 0, &.{});
    try expectArray("[1,null,-2]", .int, 0, &.{ .ofInt(1), .none, .ofInt(-2) });
    try expectArray("[1.0,1e+300,-0.5]", .float, 0, &.{ .ofFloat(1), .ofFloat(1e300), .ofFloat(-0.5) });
    try expectArray("[1.5,2.0]", @fromBackingInt(row_format.decimal_base + 5), 2, &.{ .ofInt(150), .ofInt(200) });
    try expectArray("[true,false]", .bool, 0, &.{ .ofBool(true), .ofBool(false) });
    try expectArray("[\"a\\\"\\\\\\n\u{e9}\",\"\"]", .text, 0, &.{ .ofTail("a\"\\\n\u{e9}"), .ofTail("") });
    try expectArray("[{\"a\":1},\"x\"]", .json, 0, &.{ .ofTail("{\"a\":1}"), .ofTail("\"x\"") });
    try expectArray("[\"1970-01-01 00:00:00+00\"]", .timestamp, 0, &.{.ofInt(0)});
}

test "texts stand one behind the other, and there is a limit" {
    scratch.reset();
    defer scratch.reset();
    var listing = try Listing.begin(.text, 0, ", ");
    for ([_][]const u8{ "a", "", "b" }) |one| try listing.add(.ofTail(one));
    try std.testing.expectEqualStrings("a, , b", (try listing.end()).tail());
    var many = try Listing.begin(.int, 0, null);
    for (0..layout.aggregate_items_max) |_| try many.add(.ofInt(1));
    try std.testing.expectError(error.LimitReached, many.add(.ofInt(1)));
}
