//! Memory for rows, tree nodes and descriptors: size classes with free lists over one growing region.
//!
//! What is always true here: every byte between `base` and `top` belongs to exactly one block, live or free; a block's
//! class follows from its size, so whoever frees says the size it asked for. Blocks are aligned to 8, so the lowest bits
//! of an address are free for tags. Blocks of one class are never joined or split: what a workload frees in one class
//! serves that class again.

const std = @import("std");
const builtin = @import("builtin");
const layout = @import("layout.zig");

const wasm = builtin.target.cpu.arch.isWasm();
const granule = 8;
const small_max = 512;
const small_classes = small_max / granule + 1;
const steps = 4; // classes per doubling above small_max: at most a fifth is wasted
const large_exponent_first = 9;
const large_exponent_last = 24;
const classes = small_classes + steps * (large_exponent_last - large_exponent_first + 1);

pub const size_max = 1 << (large_exponent_last + 1);

var free_lists: [classes]u64 = @splat(0);
var base: u64 = 0;
var top: u64 = 0;
var mapped: u64 = 0; // end of the memory that is there
var free_bytes: u64 = 0;

var native: if (wasm) void else [512 * layout.MiB]u8 align(16) = undefined;

fn classOf(size: usize) usize {
    if (size <= small_max) return (@max(size, 16) + granule - 1) / granule;
    const t: u64 = size - 1;
    const exponent: u6 = @intCast(63 - @clz(t));
    const step: usize = @intCast((t >> (exponent - 2)) & 3);
    return small_classes + (@as(usize, exponent) - large_exponent_first) * steps + step;
}

/// What a block for `size` bytes takes.
pub fn blockBytes(size: usize) usize {
    if (size <= small_max) return (@max(size, 16) + granule - 1) / granule * granule;
    const t: u64 = size - 1;
    const exponent: u6 = @intCast(63 - @clz(t));
    const step: u64 = (t >> (exponent - 2)) & 3;
    return (@as(u64, 1) << exponent) + (step + 1) * (@as(u64, 1) << (exponent - 2));
}

fn start() void {
    if (wasm) {
        const symbol = struct {
            extern var __heap_base: u8;
        };
        base = std.mem.alignForward(u64, @intFromPtr(&symbol.__heap_base), 64);
        mapped = @as(u64, @wasmMemorySize(0)) << 16;
    } else {
        base = @intFromPtr(&native);
        mapped = base + native.len;
    }
    top = base;
}

/// A block of at least `size` bytes, not cleared.
pub fn allocate(size: usize) error{OutOfMemory}!u64 {
    std.debug.assert(size > 0 and size <= size_max);
    if (size <= small_max) {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        const class = classOf(size);
        const small = free_lists[class];
        if (small != 0) {
            free_lists[class] = @as(*const u64, @ptrFromInt(small)).*;
            free_bytes -= class * granule;
            return small;
        }
    }
    const class = classOf(size);
    const block = free_lists[class];
    if (block != 0) {
        @branchHint(.likely);
        free_lists[class] = @as(*const u64, @ptrFromInt(block)).*;
        free_bytes -= blockBytes(size);
        return block;
    }
    return carve(blockBytes(size));
}

noinline fn carve(bytes: usize) error{OutOfMemory}!u64 {
    if (base == 0) start();
    const above = top + bytes;
    if (above - base > layout.control.memory_limit) return error.OutOfMemory;
    if (above > mapped) try grow(above - mapped);
    const block = top;
    top = above;
    layout.control.memory_used = top - base;
    return block;
}

fn grow(missing: u64) error{OutOfMemory}!void {
    if (!wasm) return error.OutOfMemory;
    const wanted = (@max(missing, 64 * layout.MiB) + 65535) >> 16;
    if (@wasmMemoryGrow(0, wanted) < 0) {
        const least = (missing + 65535) >> 16;
        if (@wasmMemoryGrow(0, least) < 0) return error.OutOfMemory;
    }
    mapped = @as(u64, @wasmMemorySize(0)) << 16;
}

pub fn free(block: u64, size: usize) void {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    const class = classOf(size);
    @as(*u64, @ptrFromInt(block)).* = free_lists[class];
    free_lists[class] = block;
    free_bytes += blockBytes(size);
}

/// A cleared value of type `T`.
pub fn create(comptime T: type) error{OutOfMemory}!*T {
    const value: *T = @ptrFromInt(try allocate(@sizeOf(T)));
    @memset(std.mem.asBytes(value), 0);
    return value;
}

pub fn destroy(comptime T: type, value: *T) void {
    free(@intFromPtr(value), @sizeOf(T));
}

pub fn allocateSlice(comptime T: type, count: usize) error{OutOfMemory}![]T {
    const address = try allocate(@max(1, count * @sizeOf(T)));
    return @as([*]T, @ptrFromInt(address))[0..count];
}

pub fn freeSlice(comptime T: type, slice: []T) void {
    free(@intFromPtr(slice.ptr), @max(1, slice.len * @sizeOf(T)));
}

/// Bytes in blocks that are in use.
pub fn usedBytes() u64 {
    return top - base - free_bytes;
}

/// The first address that was never given out.
pub fn end() u64 {
    if (base == 0) start();
    return top;
}

/// Walks every free list: null, or what is wrong.
pub fn check() ?[]const u8 {
    var counted: u64 = 0;
    for (&free_lists, 0..) |head, class| {
        var block = head;
        while (block != 0) {
            if (block < base or block >= top or block % granule != 0) return "a free list leads out of the heap";
            counted += bytesOfClass(class);
            if (counted > top - base) return "a free list has a loop";
            block = @as(*const u64, @ptrFromInt(block)).*;
        }
    }
    if (counted != free_bytes) return "the free lists do not add up";
    return null;
}

fn bytesOfClass(class: usize) usize {
    if (class < small_classes) return class * granule;
    const large = class - small_classes;
    const exponent: u6 = @intCast(large / steps + large_exponent_first);
    return (@as(usize, 1) << exponent) + (large % steps + 1) * (@as(usize, 1) << (exponent - 2));
}

test "every size has a class whose blocks are large enough and not much larger" {
    var size: usize = 1;
    while (size < size_max) : (size += 1 + size / 97) {
        const bytes = blockBytes(size);
        try std.testing.expect(bytes >= size and bytes <= @max(16, size + size / 4 + 8));
        try std.testing.expectEqual(bytes, bytesOfClass(classOf(size)));
        try std.testing.expectEqual(classOf(size), classOf(bytes));
    }
}

test "a freed block serves the next request of its class, and the books balance" {
    const before = usedBytes();
    const a = try allocate(48);
    const b = try allocate(41);
    try std.testing.expect(a != b);
    free(a, 48);
    try std.testing.expectEqual(a, try allocate(45));
    free(a, 45);
    free(b, 41);
    try std.testing.expectEqual(before, usedBytes());
    try std.testing.expectEqual(null, check());
}
