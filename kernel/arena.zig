//! Memory for what lives as long as one query or one flush: taken piece by piece, given back as a whole.

const std = @import("std");
const heap = @import("heap.zig");

const block_bytes = 64 << 10;
const Block = extern struct { next: u64, size: u64 };

pub const Arena = struct {
    /// The blocks, the newest first.
    blocks: u64 = 0,
    at: u64 = 0,
    end: u64 = 0,

    /// So many bytes, aligned to 8, not cleared.
    pub fn take(arena: *Arena, bytes: usize) error{OutOfMemory}!u64 {
        @setRuntimeSafety(false); // hot; nothing is as large as an address can be
        const size = (bytes + 7) & ~@as(usize, 7);
        if (size > arena.end - arena.at) {
            @branchHint(.unlikely);
            return arena.takeBlock(size);
        }
        const at = arena.at;
        arena.at += size;
        return at;
    }

    noinline fn takeBlock(arena: *Arena, size: usize) error{OutOfMemory}!u64 {
        const whole = @max(block_bytes, size + @sizeOf(Block));
        if (whole > heap.size_max) return error.OutOfMemory;
        const block = try heap.allocate(whole);
        @as(*Block, @ptrFromInt(block)).* = .{ .next = arena.blocks, .size = whole };
        arena.blocks = block;
        const at = block + @sizeOf(Block);
        // A large piece has a block of its own; what is left of the one before goes on being used.
        if (whole > block_bytes and arena.end > arena.at) return at;
        arena.at = at + size;
        arena.end = block + whole;
        return at;
    }

    pub fn slice(arena: *Arena, comptime T: type, count: usize) error{OutOfMemory}![]T {
        if (count > heap.size_max) return error.OutOfMemory;
        const address = try arena.take(@max(1, count *% @sizeOf(T))); // checked, it would be a multiplication of 128 bits
        return @as([*]T, @ptrFromInt(address))[0..count];
    }

    pub fn create(arena: *Arena, comptime T: type) error{OutOfMemory}!*T {
        return @ptrFromInt(try arena.take(@sizeOf(T)));
    }

    pub fn copy(arena: *Arena, bytes: []const u8) error{OutOfMemory}![]u8 {
        const made = try arena.slice(u8, bytes.len);
        @memcpy(made, bytes);
        return made;
    }

    /// Gives everything back but one block of the usual size, which the next use begins with.
    pub fn reset(arena: *Arena) void {
        var block = arena.blocks;
        var kept: u64 = 0;
        if (block == 0) return;
        const newest: *const Block = @ptrFromInt(block);
        if (newest.next == 0 and newest.size == block_bytes) { // as nearly always
            arena.at = block + @sizeOf(Block);
            return;
        }
        while (block != 0) {
            const head: *Block = @ptrFromInt(block);
            const next = head.next;
            if (kept == 0 and head.size == block_bytes) kept = block else heap.free(block, head.size);
            block = next;
        }
        arena.* = .{};
        if (kept == 0) return;
        @as(*Block, @ptrFromInt(kept)).next = 0;
        arena.* = .{ .blocks = kept, .at = kept + @sizeOf(Block), .end = kept + block_bytes };
    }

    /// Gives everything back.
    pub fn free(arena: *Arena) void {
        var block = arena.blocks;
        while (block != 0) {
            const head: *Block = @ptrFromInt(block);
            const next = head.next;
            heap.free(block, head.size);
            block = next;
        }
        arena.* = .{};
    }
};

/// A list that grows in an arena: what it leaves behind when it grows is given back with the rest.
pub fn List(comptime T: type) type {
    return struct {
        const Self = @This();

        items: []T = &.{},
        capacity: usize = 0,

        pub fn add(list: *Self, arena: *Arena, item: T) error{OutOfMemory}!void {
            @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
            if (list.items.len == list.capacity) try list.grow(arena);
            list.items.len += 1;
            list.items[list.items.len - 1] = item;
        }

        noinline fn grow(list: *Self, arena: *Arena) error{OutOfMemory}!void {
            const larger = try arena.slice(T, @max(8, 2 * list.capacity));
            @memcpy(larger[0..list.items.len], list.items);
            list.capacity = larger.len;
            list.items = larger[0..list.items.len];
        }
    };
}

/// So many are found by looking at each of them.
const few = 8;

/// Byte strings, each with a number: its place in the order in which they came. Open addressing, once they are many.
pub const Strings = struct {
    const Entry = struct { hash: u64, bytes: []const u8 };

    entries: List(Entry) = .{},
    places: []u32 = &.{}, // 0: empty; else the entry's number and one

    pub const Found = struct { number: usize, new: bool };

    /// The number of this string; it is copied when it is new.
    pub fn put(strings: *Strings, arena: *Arena, bytes: []const u8) error{OutOfMemory}!Found {
        if (strings.entries.items.len < few) return strings.putAmongFew(arena, bytes);
        const hash = hashOf(bytes);
        if (2 * (strings.entries.items.len + 1) > strings.places.len) try strings.grow(arena);
        var at: usize = @intCast(hash & (strings.places.len - 1));
        while (strings.places[at] != 0) : (at = (at + 1) & (strings.places.len - 1)) {
            const entry = strings.entries.items[strings.places[at] - 1];
            if (entry.hash == hash and std.mem.eql(u8, entry.bytes, bytes))
                return .{ .number = strings.places[at] - 1, .new = false };
        }
        const number = strings.entries.items.len;
        try strings.entries.add(arena, .{ .hash = hash, .bytes = try arena.copy(bytes) });
        strings.places[at] = @intCast(number + 1);
        return .{ .number = number, .new = true };
    }

    fn putAmongFew(strings: *Strings, arena: *Arena, bytes: []const u8) error{OutOfMemory}!Found {
        for (strings.entries.items, 0..) |entry, i| {
            if (std.mem.eql(u8, entry.bytes, bytes)) return .{ .number = i, .new = false };
        }
        try strings.entries.add(arena, .{ .hash = 0, .bytes = try arena.copy(bytes) });
        return .{ .number = strings.entries.items.len - 1, .new = true };
    }

    pub fn get(strings: *const Strings, number: usize) []const u8 {
        return strings.entries.items[number].bytes;
    }

    noinline fn grow(strings: *Strings, arena: *Arena) error{OutOfMemory}!void {
        const places = try arena.slice(u32, @max(4 * few, 2 * strings.places.len));
        @memset(places, 0);
        if (strings.places.len == 0) for (strings.entries.items) |*entry| {
            entry.hash = hashOf(entry.bytes);
        };
        for (strings.entries.items, 1..) |entry, number| {
            var at: usize = @intCast(entry.hash & (places.len - 1));
            while (places[at] != 0) at = (at + 1) & (places.len - 1);
            places[at] = @intCast(number);
        }
        strings.places = places;
    }
};

pub fn hashOf(bytes: []const u8) u64 {
    return std.hash.Wyhash.hash(0, bytes);
}

/// Numbers of addresses; the same as `Strings` for words that are not 0.
pub const Words = struct {
    keys: []u64 = &.{},
    values: []u32 = &.{},
    count: usize = 0,

    pub fn get(words: *const Words, key: u64) ?u32 {
        if (words.keys.len <= few) {
            for (words.keys[0..words.count], words.values[0..words.count]) |one, value| if (one == key) return value;
            return null;
        }
        var at = place(key, words.keys.len);
        while (words.keys[at] != 0) : (at = (at + 1) & (words.keys.len - 1)) {
            if (words.keys[at] == key) return words.values[at];
        }
        return null;
    }

    pub fn put(words: *Words, arena: *Arena, key: u64, value: u32) error{OutOfMemory}!void {
        if (words.keys.len <= few and words.count < few) return words.putAmongFew(arena, key, value);
        if (words.keys.len <= few or 2 * (words.count + 1) > words.keys.len) try words.grow(arena);
        words.set(key, value);
    }

    fn putAmongFew(words: *Words, arena: *Arena, key: u64, value: u32) error{OutOfMemory}!void {
        if (words.keys.len == 0) {
            words.keys = try arena.slice(u64, few);
            words.values = try arena.slice(u32, few);
        }
        for (words.keys[0..words.count], words.values[0..words.count]) |one, *old| if (one == key) {
            old.* = value;
            return;
        };
        words.keys[words.count] = key;
        words.values[words.count] = value;
        words.count += 1;
    }

    fn set(words: *Words, key: u64, value: u32) void {
        var at = place(key, words.keys.len);
        while (words.keys[at] != 0 and words.keys[at] != key) at = (at + 1) & (words.keys.len - 1);
        if (words.keys[at] == 0) words.count += 1;
        words.keys[at] = key;
        words.values[at] = value;
    }

    noinline fn grow(words: *Words, arena: *Arena) error{OutOfMemory}!void {
        const old = words.*;
        const size = @max(4 * few, 2 * old.keys.len);
        words.* = .{ .keys = try arena.slice(u64, size), .values = try arena.slice(u32, size) };
        @memset(words.keys, 0);
        const there = if (old.keys.len <= few) old.count else old.keys.len;
        for (old.keys[0..there], old.values[0..there]) |key, value| if (key != 0) words.set(key, value);
    }

    fn place(key: u64, size: usize) usize {
        return @intCast((key *% 0x9e37_79b9_7f4a_7c15) >> 20 & (size - 1));
    }
};

test "an arena gives pieces that do not overlap, and everything back" {
    const before = heap.usedBytes();
    var arena: Arena = .{};
    for (0..3) |_| {
        const small = try arena.slice(u64, 10);
        const large = try arena.slice(u8, 1 << 20);
        const after = try arena.slice(u64, 10);
        @memset(small, 1);
        @memset(large, 2);
        @memset(after, 3);
        for (small) |x| try std.testing.expectEqual(1, x);
        for (large) |x| try std.testing.expectEqual(2, x);
        arena.reset();
    }
    arena.free();
    try std.testing.expectEqual(before, heap.usedBytes());
}

test "strings and words are numbered" {
    var arena: Arena = .{};
    defer arena.free();
    var strings: Strings = .{};
    var words: Words = .{};
    var buffer: [20]u8 = undefined;
    for (0..2) |again| for (0..3000) |i| {
        const text = std.fmt.bufPrint(&buffer, "x{d}", .{i * i}) catch unreachable;
        const found = try strings.put(&arena, text);
        try std.testing.expectEqual(i, found.number);
        try std.testing.expectEqual(again == 0, found.new);
        try std.testing.expectEqualStrings(text, strings.get(i));
        try words.put(&arena, 8 * (i + 1), @intCast(i));
        try std.testing.expectEqual(@as(u32, @intCast(i)), words.get(8 * (i + 1)).?);
    };
    try std.testing.expectEqual(null, words.get(4));
    try std.testing.expectEqual(3000, words.count);
}
