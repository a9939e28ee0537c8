//! An ordered index: an adaptive radix tree (Leis, Kemper, Neumann: "The Adaptive Radix Tree", ICDE 2013) over encoded
//! keys, whose leaves are rows.
//!
//! What is always true here:
//! - Keys are prefix-free (key.zig), so no key ends where another goes on.
//! - A child is an address; bit 0 says that it is a row. 0 is "none".
//! - A node holds the first eight bytes of its prefix, as a number whose first byte is the most significant. A longer
//!   prefix is completed from the key of any row below.
//! - Nodes of 4 and 16 have their bytes in ascending order; every node has at least two children.
//! - Removing never needs memory: where there is none for a smaller node, the larger one stays.
//!
//! The cost of a lookup is the length of the key at most, and for dense integers its number of distinct bytes.

const std = @import("std");
const heap = @import("heap.zig");
const key = @import("key.zig");
const Row = @import("row.zig").Row;

const Kind = enum(u8) { node4, node16, node48, node256 };

const Node = extern struct {
    kind: Kind,
    unused: u8,
    count: u16,
    prefix_len: u32,
    prefix: u64,
};
const Node4 = extern struct { node: Node, bytes: u64, children: [4]u64 };
const Node16 = extern struct { node: Node, bytes: [2]u64, children: [16]u64 };
const Node48 = extern struct { node: Node, index: [256]u8, children: [48]u64 };
const Node256 = extern struct { node: Node, children: [256]u64 };

// A node becomes smaller well below the size at which it would grow again.
const shrink_256 = 36;
const shrink_48 = 12;
const shrink_16 = 3;

pub fn leafOf(row: Row) u64 {
    return row.at | 1;
}

fn isLeaf(child: u64) bool {
    return child & 1 != 0;
}

fn rowOf(child: u64) Row {
    return .{ .at = child & ~@as(u64, 1) };
}

fn as(comptime T: type, node: anytype) *T {
    return switch (@TypeOf(node)) {
        u64 => @ptrFromInt(node),
        else => @ptrCast(node),
    };
}

fn sizeOf(kind: Kind) usize {
    return switch (kind) {
        .node4 => @sizeOf(Node4),
        .node16 => @sizeOf(Node16),
        .node48 => @sizeOf(Node48),
        .node256 => @sizeOf(Node256),
    };
}

const ones: u64 = 0x0101_0101_0101_0101;
const highs: u64 = 0x8080_8080_8080_8080;

/// Position of the first of eight bytes that equals `byte`; 8 when none does.
inline fn positionIn(word: u64, byte: u8) u32 {
    const x = word ^ (ones *% byte);
    const zero = (x -% ones) & ~x & highs;
    return @ctz(zero) >> 3; // 64 >> 3 = 8 when there is none
}

inline fn findChild(node: *Node, byte: u8) ?*u64 {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    switch (node.kind) {
        .node4 => {
            const n = as(Node4, node);
            const i = positionIn(n.bytes, byte);
            return if (i < n.node.count) &n.children[i] else null;
        },
        .node16 => {
            const n = as(Node16, node);
            var i = positionIn(n.bytes[0], byte);
            if (i == 8) i += positionIn(n.bytes[1], byte);
            return if (i < n.node.count) &n.children[i] else null;
        },
        .node48 => {
            const n = as(Node48, node);
            const i = n.index[byte];
            return if (i != 0) &n.children[i - 1] else null;
        },
        .node256 => {
            const n = as(Node256, node);
            return if (n.children[byte] != 0) &n.children[byte] else null;
        },
    }
}

/// The first child whose byte is at least (ascending) or at most (descending) `from`.
fn childFrom(node: *Node, from: i32, comptime descending: bool) ?struct { byte: u8, child: u64 } {
    if (from < 0 or from > 255) return null;
    switch (node.kind) {
        .node4, .node16 => {
            const bytes: [*]const u8 = if (node.kind == .node4)
                @ptrCast(&as(Node4, node).bytes)
            else
                @ptrCast(&as(Node16, node).bytes);
            const children: [*]const u64 = if (node.kind == .node4)
                &as(Node4, node).children
            else
                &as(Node16, node).children;
            if (descending) {
                var i: usize = node.count;
                while (i > 0) {
                    i -= 1;
                    if (bytes[i] <= from) return .{ .byte = bytes[i], .child = children[i] };
                }
            } else for (bytes[0..node.count], children[0..node.count]) |byte, child| {
                if (byte >= from) return .{ .byte = byte, .child = child };
            }
        },
        .node48, .node256 => {
            var byte = from;
            while (byte >= 0 and byte <= 255) : (byte += if (descending) -1 else 1) {
                const b: u8 = @intCast(byte);
                if (node.kind == .node256) {
                    const child = as(Node256, node).children[b];
                    if (child != 0) return .{ .byte = b, .child = child };
                } else {
                    const i = as(Node48, node).index[b];
                    if (i != 0) return .{ .byte = b, .child = as(Node48, node).children[i - 1] };
                }
            }
        },
    }
    return null;
}

fn anyLeaf(child: u64) Row {
    var at = child;
    while (!isLeaf(at)) at = childFrom(as(Node, at), 0, false).?.child;
    return rowOf(at);
}

/// Eight bytes of a key from `at` on, the first the most significant. Keys lie in buffers with eight bytes more.
inline fn wordAt(bytes: *const key.Buffer, at: usize) u64 {
    return std.mem.readInt(u64, bytes[at..][0..8], .big);
}

inline fn firstBytes(word: u64, count: u64) u64 {
    return if (count == 0) 0 else word & ~@as(u64, 0) << @intCast(64 - 8 * count);
}

// Not on the stack: with safety checks on, each would be filled there first.
var scratch: key.Buffer = undefined; // key of a row below the node at hand
var row_key: key.Buffer = undefined; // key of the row that is looked for

pub const Tree = struct {
    root: u64 = 0,
    /// What its nodes take in the heap.
    node_bytes: u64 = 0,
    shape: key.Shape,
    word: bool, // shape.isWord()

    pub fn init(shape: key.Shape) Tree {
        return .{ .shape = shape, .word = shape.isWord() };
    }

    /// The encoded key of a row that hangs here, or may: that it fits was checked on write.
    pub fn keyOf(tree: *const Tree, row: Row, out: *key.Buffer) usize {
        if (tree.shape.secondary != null) return (key.encodeSecondary(tree.shape, row, out) catch unreachable).len;
        return key.encode(tree.shape, tree.shape.types.len, row, out) catch unreachable;
    }

    inline fn rowWord(tree: *const Tree, row: Row) u64 {
        return key.wordOf(tree.shape.types[0], row.slot(tree.shape.positions[0]).*);
    }

    /// Where the leaf with this key hangs; null when there is none. `word`: an encoded key of eight bytes.
    pub fn findWord(tree: *Tree, word: u64) ?*u64 {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        var slot = &tree.root;
        var rest = word; // what is left of the key, the next byte the most significant
        if (slot.* == 0) return null;
        while (!isLeaf(slot.*)) {
            const node = as(Node, slot.*);
            const len = node.prefix_len;
            if (len != 0) {
                if ((rest ^ node.prefix) >> @intCast(64 - 8 * len) != 0) return null;
                rest <<= @intCast(8 * len);
            }
            slot = findChild(node, @intCast(rest >> 56)) orelse return null;
            rest <<= 8;
        }
        return if (tree.rowWord(rowOf(slot.*)) == word) slot else null;
    }

    /// The same for any key of `len` bytes.
    pub fn find(tree: *Tree, bytes: *const key.Buffer, len: usize) ?*u64 {
        if (tree.word) return tree.findWord(wordAt(bytes, 0));
        var slot = &tree.root;
        var depth: usize = 0;
        if (slot.* == 0) return null;
        while (!isLeaf(slot.*)) {
            const node = as(Node, slot.*);
            if (node.prefix_len != 0) {
                const kept = @min(node.prefix_len, 8);
                if (firstBytes(wordAt(bytes, depth) ^ node.prefix, kept) != 0) return null;
                depth += node.prefix_len; // what lies beyond eight bytes is compared at the leaf
            }
            if (depth >= len) return null;
            slot = findChild(node, bytes[depth]) orelse return null;
            depth += 1;
        }
        const found = tree.keyOf(rowOf(slot.*), &scratch);
        return if (std.mem.eql(u8, scratch[0..found], bytes[0..len])) slot else null;
    }

    /// The same where one with this key hangs for sure: its own key is not looked at.
    pub fn findKnown(tree: *Tree, bytes: *const key.Buffer) ?*u64 {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        var slot = &tree.root;
        var depth: usize = 0;
        if (slot.* == 0) return null;
        while (!isLeaf(slot.*)) {
            const node = as(Node, slot.*);
            depth += node.prefix_len;
            if (depth >= bytes.len) return null;
            slot = findChild(node, bytes[depth]) orelse return null;
            depth += 1;
        }
        return slot;
    }

    /// Where the leaf of this row's key hangs.
    pub fn findRow(tree: *Tree, row: Row) ?*u64 {
        if (tree.word) return tree.findWord(tree.rowWord(row));
        return tree.findLong(row);
    }

    noinline fn findLong(tree: *Tree, row: Row) ?*u64 {
        const len = tree.keyOf(row, &row_key);
        return tree.find(&row_key, len);
    }

    /// How many bytes of the node's prefix agree with the key from `depth` on. Leaves the whole prefix, when it is
    /// longer than eight bytes, in `scratch` from `depth` on.
    fn agreement(tree: *Tree, node: *Node, bytes: *const key.Buffer, depth: usize) usize {
        const len: usize = node.prefix_len;
        const difference = wordAt(bytes, depth) ^ node.prefix;
        const same: usize = @clz(difference) / 8;
        if (len <= 8) return @min(same, len);
        if (same < 8) return same;
        _ = tree.keyOf(anyLeaf(@intFromPtr(node)), &scratch);
        var i: usize = 8;
        while (i < len and scratch[depth + i] == bytes[depth + i]) i += 1;
        return i;
    }

    /// Byte `i` of a node's prefix, and the first eight bytes behind it.
    fn prefixFrom(tree: *Tree, node: *Node, depth: usize, i: usize) struct { byte: u8, after: u64 } {
        if (node.prefix_len <= 8) {
            const shifted = node.prefix << @intCast(8 * i);
            return .{ .byte = @intCast(shifted >> 56), .after = shifted << 8 };
        }
        _ = tree.keyOf(anyLeaf(@intFromPtr(node)), &scratch);
        return .{ .byte = scratch[depth + i], .after = wordAt(&scratch, depth + i + 1) };
    }

    /// Hangs `row` under its key. A row that is there already with this key is left, and where it hangs is returned.
    pub fn insert(tree: *Tree, bytes: *const key.Buffer, len: usize, row: Row) error{OutOfMemory}!?*u64 {
        var slot = &tree.root;
        var depth: usize = 0;
        while (true) {
            const at = slot.*;
            if (at == 0) {
                slot.* = leafOf(row);
                return null;
            }
            if (isLeaf(at)) {
                const other_len = tree.keyOf(rowOf(at), &scratch);
                var same = depth;
                const end = @min(len, other_len);
                while (same < end and scratch[same] == bytes[same]) same += 1;
                if (same == len and same == other_len) return slot;
                std.debug.assert(same < end); // prefix-free
                const node = try newNode4(tree, same - depth, wordAt(bytes, depth));
                put4(node, scratch[same], at);
                put4(node, bytes[same], leafOf(row));
                slot.* = @intFromPtr(node);
                return null;
            }
            const node = as(Node, at);
            if (node.prefix_len != 0) {
                const same = tree.agreement(node, bytes, depth);
                if (same < node.prefix_len) {
                    const above = try newNode4(tree, same, wordAt(bytes, depth));
                    const rest = tree.prefixFrom(node, depth, same);
                    node.prefix_len -= @intCast(same + 1);
                    node.prefix = firstBytes(rest.after, @min(node.prefix_len, 8));
                    put4(above, rest.byte, at);
                    put4(above, bytes[depth + same], leafOf(row));
                    slot.* = @intFromPtr(above);
                    return null;
                }
                depth += node.prefix_len;
            }
            if (findChild(node, bytes[depth])) |child| {
                slot = child;
                depth += 1;
                continue;
            }
            try addChild(tree, slot, node, bytes[depth], leafOf(row));
            return null;
        }
    }

    /// Takes the leaf with this key out. It must be there.
    pub fn remove(tree: *Tree, bytes: *const key.Buffer, len: usize) void {
        _ = len;
        var slot = &tree.root;
        if (isLeaf(slot.*)) {
            slot.* = 0;
            return;
        }
        var depth: usize = 0;
        while (true) {
            const node = as(Node, slot.*);
            depth += node.prefix_len;
            const byte = bytes[depth];
            const child = findChild(node, byte).?;
            if (isLeaf(child.*)) {
                removeChild(tree, slot, node, byte);
                return;
            }
            slot = child;
            depth += 1;
        }
    }

    /// Takes this row out, if it is what hangs under its key.
    pub fn removeExact(tree: *Tree, row: Row) void {
        if (tree.root == 0) return;
        const leaf = leafOf(row);
        if (tree.word) std.mem.writeInt(u64, row_key[0..8], tree.rowWord(row), .big) else _ = tree.keyOf(row, &row_key);
        var slot = &tree.root;
        if (isLeaf(slot.*)) {
            if (slot.* == leaf) slot.* = 0;
            return;
        }
        var depth: usize = 0;
        while (true) {
            const node = as(Node, slot.*);
            depth += node.prefix_len; // where it differs, another row is found, or none
            if (depth >= row_key.len) return;
            const byte = row_key[depth];
            const child = findChild(node, byte) orelse return;
            if (isLeaf(child.*)) {
                if (child.* == leaf) removeChild(tree, slot, node, byte);
                return;
            }
            slot = child;
            depth += 1;
        }
    }

    pub fn removeRow(tree: *Tree, row: Row) void {
        const len = tree.keyOf(row, &row_key);
        tree.remove(&row_key, len);
    }

    /// Frees all nodes, and with `free_rows` the rows too. Needs no memory and no depth of stack.
    pub fn clear(tree: *Tree, comptime free_rows: bool) void {
        const root = tree.root;
        tree.root = 0;
        if (root == 0) return;
        var depth: usize = 0;
        if (isLeaf(root)) {
            if (free_rows) freeRow(root);
            return;
        }
        walked[0] = .{ .node = root, .byte = -1 };
        depth = 1;
        while (depth > 0) {
            const top = &walked[depth - 1];
            const found = childFrom(as(Node, top.node), top.byte + 1, false) orelse {
                tree.release(as(Node, top.node));
                depth -= 1;
                continue;
            };
            top.byte = found.byte;
            if (isLeaf(found.child)) {
                if (free_rows) freeRow(found.child);
            } else {
                walked[depth] = .{ .node = found.child, .byte = -1 };
                depth += 1;
            }
        }
    }

    fn freeRow(leaf: u64) void {
        const row = rowOf(leaf);
        heap.free(row.at, row.length());
    }

    fn allocate(tree: *Tree, kind: Kind) error{OutOfMemory}!u64 {
        const node = try heap.allocate(sizeOf(kind));
        tree.node_bytes += heap.blockBytes(sizeOf(kind));
        return node;
    }

    fn release(tree: *Tree, node: *Node) void {
        tree.node_bytes -= heap.blockBytes(sizeOf(node.kind));
        heap.free(@intFromPtr(node), sizeOf(node.kind));
    }
};

/// A node on a path, and the byte of the child that the path goes on with.
pub const Step = struct { node: u64, byte: i32 };

/// The path of `clear` and of `check`.
var walked: [@sizeOf(key.Buffer)]Step = undefined;

// ---------------------------------------------------------------- nodes

fn newNode4(tree: *Tree, prefix_len: usize, prefix: u64) error{OutOfMemory}!*Node4 {
    const node = as(Node4, try tree.allocate(.node4));
    node.node = .{
        .kind = .node4,
        .unused = 0,
        .count = 0,
        .prefix_len = @intCast(prefix_len),
        .prefix = firstBytes(prefix, @min(prefix_len, 8)),
    };
    node.bytes = 0;
    return node;
}

fn put4(node: *Node4, byte: u8, child: u64) void {
    putSorted(&node.node, @ptrCast(&node.bytes), &node.children, byte, child);
}

fn putSorted(node: *Node, bytes: [*]u8, children: [*]u64, byte: u8, child: u64) void {
    var i: usize = node.count;
    while (i > 0 and bytes[i - 1] > byte) : (i -= 1) {
        bytes[i] = bytes[i - 1];
        children[i] = children[i - 1];
    }
    bytes[i] = byte;
    children[i] = child;
    node.count += 1;
}

fn takeSorted(node: *Node, bytes: [*]u8, children: [*]u64, byte: u8) void {
    var i: usize = 0;
    while (bytes[i] != byte) i += 1;
    node.count -= 1;
    while (i < node.count) : (i += 1) {
        bytes[i] = bytes[i + 1];
        children[i] = children[i + 1];
    }
}

/// A node of another kind with the same head, and no children yet.
fn copyHead(tree: *Tree, node: *Node, kind: Kind) error{OutOfMemory}!*Node {
    const other = as(Node, try tree.allocate(kind));
    other.* = node.*;
    other.kind = kind;
    return other;
}

fn addChild(tree: *Tree, slot: *u64, node: *Node, byte: u8, child: u64) error{OutOfMemory}!void {
    switch (node.kind) {
        .node4 => {
            const n = as(Node4, node);
            if (node.count < 4) return put4(n, byte, child);
            const larger = as(Node16, try copyHead(tree, node, .node16));
            larger.bytes = .{ n.bytes & 0xffff_ffff, 0 };
            @memcpy(larger.children[0..4], &n.children);
            putSorted(&larger.node, @ptrCast(&larger.bytes), &larger.children, byte, child);
            slot.* = @intFromPtr(larger);
        },
        .node16 => {
            const n = as(Node16, node);
            if (node.count < 16) return putSorted(node, @ptrCast(&n.bytes), &n.children, byte, child);
            const larger = as(Node48, try copyHead(tree, node, .node48));
            @memset(&larger.index, 0);
            const bytes: *const [16]u8 = @ptrCast(&n.bytes);
            for (bytes, n.children, 0..) |b, c, i| {
                larger.index[b] = @intCast(i + 1);
                larger.children[i] = c;
            }
            @memset(larger.children[16..], 0);
            put48(larger, byte, child);
            slot.* = @intFromPtr(larger);
        },
        .node48 => {
            const n = as(Node48, node);
            if (node.count < 48) return put48(n, byte, child);
            const larger = as(Node256, try copyHead(tree, node, .node256));
            for (&larger.children, n.index) |*c, i| c.* = if (i != 0) n.children[i - 1] else 0;
            larger.children[byte] = child;
            larger.node.count += 1;
            slot.* = @intFromPtr(larger);
        },
        .node256 => {
            as(Node256, node).children[byte] = child;
            node.count += 1;
            return;
        },
    }
    tree.release(node);
}

fn put48(node: *Node48, byte: u8, child: u64) void {
    var free: usize = node.node.count;
    if (node.children[free] != 0) { // after a removal the gaps are elsewhere
        free = 0;
        while (node.children[free] != 0) free += 1;
    }
    node.children[free] = child;
    node.index[byte] = @intCast(free + 1);
    node.node.count += 1;
}

fn removeChild(tree: *Tree, slot: *u64, node: *Node, byte: u8) void {
    switch (node.kind) {
        .node4 => {
            const n = as(Node4, node);
            takeSorted(node, @ptrCast(&n.bytes), &n.children, byte);
            if (node.count > 1) return;
            slot.* = n.children[0];
            if (!isLeaf(slot.*)) lengthen(as(Node, slot.*), node, @truncate(n.bytes));
            tree.release(node);
        },
        .node16 => {
            const n = as(Node16, node);
            takeSorted(node, @ptrCast(&n.bytes), &n.children, byte);
            if (node.count > shrink_16) return;
            const smaller = as(Node4, copyHead(tree, node, .node4) catch return);
            smaller.bytes = n.bytes[0];
            @memcpy(smaller.children[0..shrink_16], n.children[0..shrink_16]);
            slot.* = @intFromPtr(smaller);
            tree.release(node);
        },
        .node48 => {
            const n = as(Node48, node);
            n.children[n.index[byte] - 1] = 0;
            n.index[byte] = 0;
            node.count -= 1;
            if (node.count > shrink_48) return;
            const smaller = as(Node16, copyHead(tree, node, .node16) catch return);
            smaller.node.count = 0;
            smaller.bytes = .{ 0, 0 };
            const bytes: *[16]u8 = @ptrCast(&smaller.bytes);
            for (n.index, 0..) |i, b| if (i != 0) {
                bytes[smaller.node.count] = @intCast(b);
                smaller.children[smaller.node.count] = n.children[i - 1];
                smaller.node.count += 1;
            };
            slot.* = @intFromPtr(smaller);
            tree.release(node);
        },
        .node256 => {
            const n = as(Node256, node);
            n.children[byte] = 0;
            node.count -= 1;
            if (node.count > shrink_256) return;
            const smaller = as(Node48, copyHead(tree, node, .node48) catch return);
            @memset(&smaller.index, 0);
            @memset(&smaller.children, 0);
            var count: usize = 0;
            for (n.children, 0..) |c, b| if (c != 0) {
                smaller.children[count] = c;
                count += 1;
                smaller.index[b] = @intCast(count);
            };
            slot.* = @intFromPtr(smaller);
            tree.release(node);
        },
    }
}

/// Gives `child` the prefix of `above`, which goes away, and the byte that led from there.
fn lengthen(child: *Node, above: *Node, byte: u8) void {
    const above_len: u64 = above.prefix_len;
    var prefix = above.prefix;
    if (above_len < 8) {
        prefix |= @as(u64, byte) << @intCast(56 - 8 * above_len);
        if (above_len < 7) prefix |= child.prefix >> @intCast(8 * (above_len + 1));
    }
    child.prefix_len += @intCast(above_len + 1);
    child.prefix = firstBytes(prefix, @min(child.prefix_len, 8));
}

// ---------------------------------------------------------------- in order

pub const Path = [@sizeOf(key.Buffer)]Step;

/// One place in a tree, moving in one direction. Valid until the tree changes: seek again after that.
pub fn Iterator(comptime descending: bool) type {
    return struct {
        const Self = @This();

        depth: usize = 0,
        leaf: u64 = 0,
        path: [*]Step,

        /// Room for the path: a node consumes at least one byte of the key. One iterator of a direction at a time, but for
        /// those that bring their own.
        var steps: Path = undefined;

        pub fn init() Self {
            return .{ .path = &steps };
        }

        /// Goes to the first row, in this direction, whose key's first `len` bytes do not lie before `bytes`; with
        /// `strictly` do lie behind them. The row, or null at the end.
        pub fn seek(it: *Self, tree: *Tree, bytes: *const key.Buffer, len: usize, strictly: bool) ?Row {
            it.depth = 0;
            it.leaf = 0;
            if (tree.root == 0) return null;
            var at = tree.root;
            var depth: usize = 0;
            while (true) {
                if (isLeaf(at)) {
                    const own = tree.keyOf(rowOf(at), &scratch);
                    const order = std.mem.order(u8, scratch[0..@min(own, len)], bytes[0..len]);
                    if (order == (if (descending) .lt else .gt) or (order == .eq and !strictly)) return it.arrive(at);
                    return it.next();
                }
                const node = as(Node, at);
                const prefix_len: usize = node.prefix_len;
                const same = tree.agreement(node, bytes, depth);
                // The bytes behind the end of `bytes` are not part of it.
                if (depth + @min(same, prefix_len) >= len) return if (strictly) it.next() else it.descend(at);
                if (same < prefix_len) {
                    const mine = tree.prefixFrom(node, depth, same).byte;
                    const behind = if (descending) mine < bytes[depth + same] else mine > bytes[depth + same];
                    return if (behind) it.descend(at) else it.next();
                }
                depth += prefix_len;
                const wanted = bytes[depth];
                it.push(at, wanted);
                const child = findChild(node, wanted) orelse return it.next();
                at = child.*;
                depth += 1;
            }
        }

        /// The first row of all.
        pub fn first(it: *Self, tree: *Tree) ?Row {
            it.depth = 0;
            it.leaf = 0;
            return if (tree.root == 0) null else it.descend(tree.root);
        }

        pub fn next(it: *Self) ?Row {
            while (it.depth > 0) {
                const top = &it.path[it.depth - 1];
                const from = if (descending) top.byte - 1 else top.byte + 1;
                if (childFrom(as(Node, top.node), from, descending)) |found| {
                    top.byte = found.byte;
                    return it.descend(found.child);
                }
                it.depth -= 1;
            }
            return null;
        }

        fn push(it: *Self, node: u64, byte: u8) void {
            it.path[it.depth] = .{ .node = node, .byte = byte };
            it.depth += 1;
        }

        fn arrive(it: *Self, leaf: u64) Row {
            it.leaf = leaf;
            return rowOf(leaf);
        }

        fn descend(it: *Self, from: u64) Row {
            var at = from;
            while (!isLeaf(at)) {
                const found = childFrom(as(Node, at), if (descending) 255 else 0, descending).?;
                it.push(at, found.byte);
                at = found.child;
            }
            return it.arrive(at);
        }
    };
}

// ---------------------------------------------------------------- checks

pub const Report = struct { leaves: u64 = 0, node_bytes: u64 = 0, fault: ?[]const u8 = null };

/// Walks everything: heads, order of bytes, sizes, and that each row is found under its own key.
pub fn check(tree: *Tree) Report {
    var report: Report = .{};
    if (tree.root == 0) return report;
    var it = Iterator(false).init();
    var previous: key.Buffer = undefined;
    var previous_len: usize = 0;
    var own: key.Buffer = undefined;
    var row = it.first(tree);
    while (row) |found| : (row = it.next()) {
        report.leaves += 1;
        const len = tree.keyOf(found, &own);
        if (report.leaves > 1 and std.mem.order(u8, previous[0..previous_len], own[0..len]) != .lt)
            report.fault = "rows are not in order";
        const slot = tree.find(&own, len);
        if (slot == null or slot.?.* != leafOf(found)) report.fault = "a row is not found under its key";
        @memcpy(previous[0..len], own[0..len]);
        previous_len = len;
    }
    checkNodes(tree.root, &report);
    return report;
}

/// Every node below `root`, without recursion: a key may lead through two thousand of them.
fn checkNodes(root: u64, report: *Report) void {
    if (isLeaf(root)) return;
    walked[0] = .{ .node = root, .byte = -1 };
    var depth: usize = 1;
    checkNode(as(Node, root), report);
    while (depth > 0) {
        const top = &walked[depth - 1];
        const found = childFrom(as(Node, top.node), top.byte + 1, false) orelse {
            depth -= 1;
            continue;
        };
        top.byte = found.byte;
        if (isLeaf(found.child)) continue;
        if (depth == walked.len) {
            report.fault = "a path is longer than a key";
            continue;
        }
        checkNode(as(Node, found.child), report);
        walked[depth] = .{ .node = found.child, .byte = -1 };
        depth += 1;
    }
}

fn checkNode(node: *Node, report: *Report) void {
    report.node_bytes += heap.blockBytes(sizeOf(node.kind));
    const room: u16 = switch (node.kind) {
        .node4 => 4,
        .node16 => 16,
        .node48 => 48,
        .node256 => 256,
    };
    if (node.count < 2 or node.count > room) report.fault = "a node has too few or too many children";
    var counted: u16 = 0;
    var from: i32 = 0;
    while (childFrom(node, from, false)) |found| {
        counted += 1;
        if (found.byte < from) report.fault = "the bytes of a node are not in order";
        from = @as(i32, found.byte) + 1;
    }
    if (counted != node.count) report.fault = "a node's count is wrong";
}

// ---------------------------------------------------------------- tests

const testing = std.testing;
const row_format = @import("row.zig");

fn textRow(text: []const u8) !Row {
    const length = row_format.padded(row_format.fixedBytes(1) + text.len);
    var writer = row_format.Writer.begin(try heap.allocate(length), 1, length);
    writer.putTail(0, text);
    return writer.row;
}

fn intRow(value: i64) !Row {
    const length = row_format.padded(row_format.fixedBytes(1));
    var writer = row_format.Writer.begin(try heap.allocate(length), 1, length);
    writer.putWord(0, @bitCast(value));
    return writer.row;
}

const text_shape: key.Shape = .{ .types = &.{.text}, .positions = &.{0} };
const int_shape: key.Shape = .{ .types = &.{.int}, .positions = &.{0} };

/// Random inserts and removals beside a sorted list; order and seeks compared in both directions.
fn randomised(shape: key.Shape, seed: u64, rounds: usize, comptime make: anytype) !void {
    var random_state = std.Random.DefaultPrng.init(seed);
    const random = random_state.random();
    const allocator = testing.allocator;
    const before = heap.usedBytes();
    var tree = Tree.init(shape);
    var rows: std.ArrayList(Row) = .empty;
    defer rows.deinit(allocator);
    var own: key.Buffer = undefined;
    for (0..rounds) |_| {
        if (rows.items.len > 0 and random.uintLessThan(u8, 10) < 4) {
            const i = random.uintLessThan(usize, rows.items.len);
            const row = rows.swapRemove(i);
            tree.removeRow(row);
            try testing.expectEqual(null, tree.findRow(row));
            heap.free(row.at, row.length());
        } else {
            const row: Row = try make(random);
            const len = tree.keyOf(row, &own);
            if (try tree.insert(&own, len, row)) |slot| {
                try testing.expect(slot.* != leafOf(row));
                heap.free(row.at, row.length());
            } else try rows.append(allocator, row);
        }
        const report = if (rows.items.len % 64 == 0) check(&tree) else Report{ .leaves = rows.items.len };
        try testing.expectEqual(null, report.fault);
        try testing.expectEqual(rows.items.len, report.leaves);
        if (rows.items.len % 64 == 0) try testing.expectEqual(report.node_bytes, tree.node_bytes);
    }
    inline for (.{ false, true }) |descending| {
        for (0..200) |i| {
            const bound: Row = try make(random);
            defer heap.free(bound.at, bound.length());
            var bound_key: key.Buffer = undefined;
            var bound_len = tree.keyOf(bound, &bound_key);
            if (i % 3 == 0) bound_len = random.uintLessThan(usize, bound_len + 1);
            const strictly = random.boolean();
            var expected: usize = 0;
            for (rows.items) |row| {
                const len = tree.keyOf(row, &own);
                const order = std.mem.order(u8, own[0..@min(len, bound_len)], bound_key[0..bound_len]);
                const wanted: std.math.Order = if (descending) .lt else .gt;
                if (order == wanted or (order == .eq and !strictly)) expected += 1;
            }
            var it = Iterator(descending).init();
            var found: usize = 0;
            var row = it.seek(&tree, &bound_key, bound_len, strictly);
            while (row != null) : (row = it.next()) found += 1;
            try testing.expectEqual(expected, found);
        }
    }
    while (rows.pop()) |row| {
        tree.removeRow(row);
        heap.free(row.at, row.length());
    }
    try testing.expectEqual(0, tree.root);
    try testing.expectEqual(0, tree.node_bytes);
    try testing.expectEqual(before, heap.usedBytes());
}

fn denseInt(random: std.Random) !Row {
    return intRow(random.intRangeAtMost(i64, -700, 700));
}
fn anyInt(random: std.Random) !Row {
    return intRow(random.int(i64));
}
fn shortText(random: std.Random) !Row {
    var buffer: [4]u8 = undefined;
    const len = random.uintLessThan(usize, 5);
    for (buffer[0..len]) |*byte| byte.* = "ab\x00\xff"[random.uintLessThan(usize, 4)];
    return textRow(buffer[0..len]);
}
fn longText(random: std.Random) !Row {
    var buffer: [60]u8 = @splat('x');
    const len = random.uintLessThan(usize, 60);
    if (len > 0) buffer[random.uintLessThan(usize, len)] = 'y';
    if (len > 20) buffer[random.uintLessThan(usize, len)] = 'w';
    return textRow(buffer[0..len]);
}

test "a tree equals a list: dense integers" {
    try randomised(int_shape, 1, 6000, denseInt);
}
test "a tree equals a list: any integers" {
    try randomised(int_shape, 2, 3000, anyInt);
}
test "a tree equals a list: short texts with zero bytes" {
    try randomised(text_shape, 3, 3000, shortText);
}
test "a tree equals a list: long common prefixes" {
    try randomised(text_shape, 4, 3000, longText);
}
