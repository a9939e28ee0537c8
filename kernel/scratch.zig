//! Where the texts lie that a program makes: a region that only grows until whoever runs programs resets it, for each row.
//!
//! So a text is good until the next row, and an evaluation allocates nothing that must be freed.

const std = @import("std");
const layout = @import("layout.zig");

var region: [layout.program_text_bytes_max]u8 align(16) = undefined;
var used: usize = 0;

/// `count` bytes, not cleared, good until `reset`.
pub fn take(count: usize) error{TextTooLong}![]u8 {
    if (count > region.len - used) return error.TextTooLong;
    defer used += count;
    return region[used..][0..count];
}

pub fn copy(bytes: []const u8) error{TextTooLong}![]const u8 {
    const made = try take(bytes.len);
    @memcpy(made, bytes);
    return made;
}

/// Gives the end of what was taken last back: a text became shorter than it might have been.
pub fn giveBack(count: usize) void {
    used -= count;
}

/// Where the next text will lie: what is taken from here on goes with `release`.
pub inline fn mark() usize {
    return used;
}

pub inline fn release(to: usize) void {
    used = to;
}

/// What has been taken since a mark.
pub inline fn since(from: usize) []const u8 {
    return region[from..used];
}

/// Whether `bytes` end where the next bytes will be taken.
pub fn isLast(bytes: []const u8) bool {
    return @intFromPtr(bytes.ptr) >= @intFromPtr(&region) and @intFromPtr(bytes.ptr) + bytes.len == @intFromPtr(&region) + used;
}

pub fn reset() void {
    used = 0;
}

test "the region ends, and begins anew" {
    reset();
    defer reset();
    const all = try take(layout.program_text_bytes_max);
    try std.testing.expectError(error.TextTooLong, take(1));
    try std.testing.expectEqual(0, (try take(0)).len);
    giveBack(8);
    try std.testing.expectEqual(@intFromPtr(all.ptr) + all.len - 8, @intFromPtr((try take(8)).ptr));
    reset();
    try std.testing.expectEqual(all.ptr, (try take(1)).ptr);
}
