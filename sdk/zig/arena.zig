//! The memory of one call: rows that were read, with the texts that point into them.
//!
//! One static buffer, empty again at the start of each transition. What is kept grows from its front;
//! a row on its way out lies at its far end only while the host function reads it. There is no
//! freeing in between, so a call that reads many texts needs a larger `arena_bytes` (see `module`).
//! Sizes are multiples of 8, as rows are.

const root = @import("root");
const std = @import("std");
const Error = @import("host.zig").Error;

/// Unless the module says otherwise: with the stack it leaves the guest at one page of memory, and
/// putting a guest back to its first state costs in proportion to its pages.
pub const bytes_default = 32 * 1024;

const bytes_max = if (@hasDecl(root, "module")) root.module.arena_bytes else bytes_default;

var memory: [bytes_max]u8 align(8) = undefined;
var kept: usize = 0;

/// Forgets everything: the next call starts.
pub inline fn reset() void {
    kept = 0;
}

/// The part that nothing is kept in yet.
pub inline fn free() []align(8) u8 {
    @setRuntimeSafety(false); // `kept` is a multiple of 8 and at most bytes_max: see `keep`
    return @alignCast(memory[kept..]);
}

/// Keeps the first `bytes` of what is free, which are a multiple of 8; the caller has seen that they are there.
pub inline fn keep(bytes: usize) void {
    kept +%= bytes;
}

/// `bytes` at the far end, for rows on their way out: good until the next operation.
pub inline fn outgoing(bytes: u64) Error![]align(8) u8 {
    @setRuntimeSafety(false);
    const space = free();
    if (bytes > space.len) return error.ArenaFull;
    return @alignCast(space[space.len - @as(usize, @intCast(bytes)) ..]);
}

/// `bytes` that stay until the call ends.
pub fn alloc(bytes: usize) Error![]align(8) u8 {
    const space = free();
    if (bytes > space.len) return error.ArenaFull;
    keep(std.mem.alignForward(usize, bytes, 8));
    return space[0..bytes];
}

/// Gives `space` back, if nothing was kept since.
pub fn release(space: []align(8) u8) void {
    const end = @intFromPtr(space.ptr) - @intFromPtr(&memory) + std.mem.alignForward(usize, space.len, 8);
    if (end == kept) kept = @intFromPtr(space.ptr) - @intFromPtr(&memory);
}

/// A buffer of its own for each kind of row without texts: they need no arena.
pub fn Static(comptime Owner: type, comptime bytes: usize) type {
    return struct {
        const owner = Owner;
        pub var buffer: [bytes]u8 align(8) = undefined;
    };
}
