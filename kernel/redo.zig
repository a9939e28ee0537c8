//! Redo: what a commit changed, as bytes for the log, and the way back from bytes to state (docs/formats.md, "Redo").
//!
//! Writing cannot fail: the transaction has kept its redo below the room that the buffer always has. Reading trusts
//! nothing: the log's checksums were right, but a reader that believes lengths is one bug away from wild writes.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const tree = @import("tree.zig");
const indexes = @import("index.zig");
const Row = row_format.Row;
const Table = table_format.Table;
const Type = row_format.Type;

const Change = enum(u8) {
    put = 1,
    delete = 2,
    created = 3,
    counter = 4,
    altered = 5,
    dropped = 6,
    index_created = 7,
    index_dropped = 8,
    _,
};

/// Who caused the transaction: set before it commits.
pub const Cause = struct {
    transition: u32 = 0,
    /// Arguments to be logged; null: left out.
    args: ?Row = null,
    types: []const Type = &.{},
};
pub var cause: Cause = .{};

// ---------------------------------------------------------------- writing

const Out = struct {
    at: [*]u8,

    inline fn byte(out: *Out, value: u8) void {
        out.at[0] = value;
        out.at += 1;
    }
    inline fn varint(out: *Out, value: u64) void {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        var rest = value;
        if (rest < 0x80) return out.byte(@intCast(rest));
        while (rest >= 0x80) : (rest >>= 7) out.byte(@intCast(rest & 0x7f | 0x80));
        out.byte(@intCast(rest));
    }
    inline fn zigzag(out: *Out, value: i64) void {
        out.varint(@bitCast((value << 1) ^ (value >> 63)));
    }
    inline fn word(out: *Out, value: u64) void {
        @as(*align(1) u64, @ptrCast(out.at)).* = value;
        out.at += 8;
    }
    inline fn raw(out: *Out, bytes: []const u8) void {
        @memcpy(out.at[0..bytes.len], bytes);
        out.at += bytes.len;
    }
    inline fn short(out: *Out, bytes: []const u8) void {
        out.varint(bytes.len);
        if (bytes.len > 64) return out.raw(bytes);
        var i: usize = 0; // a call of memcpy costs more than a few words
        while (i + 8 <= bytes.len) : (i += 8) {
            @as(*align(1) u64, @ptrCast(out.at + i)).* = @as(*align(1) const u64, @ptrCast(bytes.ptr + i)).*;
        }
        while (i < bytes.len) : (i += 1) out.at[i] = bytes[i];
        out.at += bytes.len;
    }

    /// The columns `positions` of a row, packed.
    fn packedRow(out: *Out, row: Row, types: []const Type, positions: []const u16) void {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        var local: Out = .{ .at = out.at }; // in a register, not in memory
        local.varint(types.len);
        const nulls = local.at;
        const null_bytes = (types.len + 7) / 8;
        local.at += null_bytes;
        for (nulls[0..null_bytes]) |*b| b.* = 0;
        const source_nulls: [*]const u8 = @ptrFromInt(row.at + row_format.head_bytes + 8 * @as(usize, row.columns()));
        for (types, positions, 0..) |kind, position, i| {
            if (source_nulls[position / 8] >> @intCast(position % 8) & 1 != 0) {
                nulls[i / 8] |= @as(u8, 1) << @intCast(i % 8);
                continue;
            }
            const value = row.slot(position).*;
            // Not a switch: the likely ones first are faster than a table of jumps.
            if (kind == .int) {
                local.zigzag(@bitCast(value));
            } else if (row_format.isVariable(kind)) {
                local.short(row.tail(position));
            } else if (kind == .float) {
                local.word(value);
            } else if (kind == .bool) {
                local.byte(@intCast(value & 1));
            } else local.zigzag(@bitCast(value));
        }
        out.at = local.at;
    }
};

const ascending: [layout.columns_max]u16 = blk: {
    var numbers: [layout.columns_max]u16 = undefined;
    @setEvalBranchQuota(2 * layout.columns_max);
    for (&numbers, 0..) |*n, i| n.* = i;
    break :blk numbers;
};

const record_head = 4 + 4 + 8;

/// One commit's record, written behind the others.
pub const Record = struct {
    start: [*]u8,
    out: Out,
    changes: u32,

    pub fn begin() Record {
        const start: [*]u8 = layout.redo[layout.control.redo_len..].ptr;
        var out: Out = .{ .at = start + record_head };
        out.varint(cause.transition);
        out.short(layout.caller[0..layout.control.caller_len]);
        if (cause.args) |args| {
            const length_at = out.at;
            out.at += 2; // a varint of two bytes: cause_bytes_max is below 2^14
            out.packedRow(args, cause.types, ascending[0..cause.types.len]);
            const length: usize = @intFromPtr(out.at) - @intFromPtr(length_at) - 2;
            if (length > layout.cause_bytes_max) {
                length_at[0] = 0;
                out.at = length_at + 1;
            } else {
                length_at[0] = @intCast(length & 0x7f | 0x80);
                length_at[1] = @intCast(length >> 7);
            }
        } else out.byte(0);
        return .{ .start = start, .out = out, .changes = 0 };
    }

    fn change(record: *Record, kind: Change, table: *Table) void {
        record.out.byte(@backingInt(kind));
        record.out.varint(table.number);
        record.changes += 1;
    }

    pub fn put(record: *Record, table: *Table, row: Row) void {
        record.change(.put, table);
        record.out.packedRow(row, table.layout.types[0..row.columns()], ascending[0..row.columns()]);
    }

    pub fn delete(record: *Record, table: *Table, row: Row) void {
        record.change(.delete, table);
        record.out.packedRow(row, table.key_types, table.key_positions);
    }

    pub fn created(record: *Record, table: *Table, descriptor: []const u8) void {
        record.change(.created, table);
        record.out.short(descriptor);
    }

    pub fn altered(record: *Record, table: *Table, descriptor: []const u8) void {
        record.change(.altered, table);
        record.out.short(descriptor);
    }

    pub fn dropped(record: *Record, table: *Table) void {
        record.change(.dropped, table);
    }

    pub fn indexCreated(record: *Record, index: *const indexes.Index) void {
        record.change(.index_created, index.table);
        var descriptor: [8 + 2 * layout.columns_max]u8 = undefined;
        record.out.short(indexes.describe(index, &descriptor));
    }

    pub fn indexDropped(record: *Record, index: *const indexes.Index) void {
        record.change(.index_dropped, index.table);
        record.out.varint(index.number);
    }

    pub fn counter(record: *Record, table: *Table) void {
        record.change(.counter, table);
        record.out.zigzag(table.mark);
    }

    /// Gives the commit its lsn. False, and nothing is left of the record, when there are no changes.
    pub fn end(record: *Record) bool {
        if (record.changes == 0) return false;
        const control = &layout.control;
        control.lsn += 1;
        const size: u32 = @intCast(@intFromPtr(record.out.at) - @intFromPtr(record.start));
        std.mem.writeInt(u32, record.start[0..4], size - 4, .little);
        std.mem.writeInt(u32, record.start[4..8], record.changes, .little);
        std.mem.writeInt(i64, record.start[8..16], control.time, .little);
        control.redo_len += size;
        control.redo_total += size;
        return true;
    }
};

// ---------------------------------------------------------------- reading

const Damaged = error{Damaged};

const In = struct {
    bytes: []const u8,
    at: usize = 0,

    fn take(in: *In, count: usize) Damaged![]const u8 {
        if (count > in.bytes.len - in.at) return error.Damaged;
        in.at += count;
        return in.bytes[in.at - count .. in.at];
    }
    fn byte(in: *In) Damaged!u8 {
        return (try in.take(1))[0];
    }
    fn varint(in: *In) Damaged!u64 {
        var value: u64 = 0;
        var shift: u32 = 0;
        while (true) : (shift += 7) {
            const b = try in.byte();
            if (shift > 63 or (shift == 63 and b > 1)) return error.Damaged;
            value |= @as(u64, b & 0x7f) << @intCast(shift);
            if (b < 0x80) return value;
        }
    }
    fn zigzag(in: *In) Damaged!i64 {
        const value = try in.varint();
        return @bitCast((value >> 1) ^ (0 -% (value & 1)));
    }
    fn slice(in: *In) Damaged![]const u8 {
        const length = try in.varint();
        if (length > in.bytes.len) return error.Damaged;
        return in.take(@intCast(length));
    }

    /// Unpacks a row of at most the columns `types` into a new block.
    fn packedRow(in: *In, types: []const Type) (Damaged || error{OutOfMemory})!Row {
        const columns = try in.varint();
        if (columns > types.len or columns == 0) return error.Damaged;
        const nulls = try in.take(@intCast((columns + 7) / 8));
        const start = in.at;
        var size = row_format.fixedBytes(@intCast(columns));
        for (types[0..@intCast(columns)], 0..) |kind, i| {
            if (nulls[i / 8] >> @intCast(i % 8) & 1 != 0) continue;
            switch (kind) {
                .bool => _ = try in.take(1),
                .int, .timestamp, _ => _ = try in.varint(),
                .float => _ = try in.take(8),
                .text, .bytes, .uuid, .json => size += (try in.slice()).len,
            }
        }
        if (size > layout.row_bytes_max) return error.Damaged;
        const length = row_format.padded(size);
        var writer = row_format.Writer.begin(try heap.allocate(length), @intCast(columns), length);
        in.at = start;
        for (types[0..@intCast(columns)], 0..) |kind, i| {
            if (nulls[i / 8] >> @intCast(i % 8) & 1 != 0) {
                writer.putNull(i);
                continue;
            }
            switch (kind) {
                .bool => writer.putWord(i, in.byte() catch unreachable),
                .int, .timestamp, _ => writer.putWord(i, @bitCast(in.zigzag() catch unreachable)),
                .float => writer.putWord(i, std.mem.readInt(u64, (in.take(8) catch unreachable)[0..8], .little)),
                .text, .bytes, .uuid, .json => writer.putTail(i, in.slice() catch unreachable),
            }
        }
        return writer.row;
    }
};

pub const ReplayError = Damaged || error{ OutOfMemory, KeyTooLong };

/// Applies the records in `bytes`. How many there were; each takes the next lsn.
pub fn replay(bytes: []const u8) ReplayError!u32 {
    var records: u32 = 0;
    var in: In = .{ .bytes = bytes };
    while (in.at < bytes.len) : (records += 1) {
        const size = std.mem.readInt(u32, (try in.take(4))[0..4], .little);
        var record: In = .{ .bytes = try in.take(size) };
        try replayRecord(&record);
        layout.control.lsn += 1;
    }
    return records;
}

fn replayRecord(in: *In) ReplayError!void {
    const changes = std.mem.readInt(u32, (try in.take(4))[0..4], .little);
    const time = std.mem.readInt(i64, (try in.take(8))[0..8], .little);
    layout.control.time = @max(layout.control.time, time);
    _ = try in.varint(); // transition
    _ = try in.slice(); // caller
    _ = try in.slice(); // arguments
    for (0..changes) |_| {
        const kind: Change = @fromBackingInt(@intCast(try in.byte()));
        const number = try in.varint();
        if (number >= layout.table_numbers_max) return error.Damaged;
        if (kind == .created) {
            const table = table_format.create(try in.slice()) catch |err| return damaged(err);
            if (table.number != number) return error.Damaged;
            table_format.enter(table);
            continue;
        }
        const table = table_format.get(@intCast(number)) orelse return error.Damaged;
        switch (kind) {
            .put => {
                try replayPut(table, try in.packedRow(table.layout.types));
                table.touch(layout.control.lsn + 1);
            },
            .delete => {
                try replayDelete(table, try in.packedRow(table.key_types));
                table.touch(layout.control.lsn + 1);
            },
            .counter => {
                table.mark = try in.zigzag();
                table_format.commitMark(table);
            },
            .altered => {
                const altered, const old = table_format.alter(try in.slice()) catch |err| return damaged(err);
                table_format.freeLayout(&old);
                if (altered != table) return error.Damaged;
                table.touch(layout.control.lsn + 1);
            },
            .dropped => {
                table_format.unhook(table);
                table_format.drop(table);
                table_format.destroy(table);
            },
            .index_created => _ = indexes.create(table, try in.slice()) catch |err| return damaged(err),
            .index_dropped => {
                const index_number = try in.varint();
                if (index_number > layout.none_u32) return error.Damaged;
                const index = indexes.find(table, @intCast(index_number)) orelse return error.Damaged;
                _ = indexes.unhook(index);
                indexes.destroy(index);
            },
            else => return error.Damaged,
        }
    }
    if (in.at != in.bytes.len) return error.Damaged;
}

fn damaged(err: layout.Error) ReplayError {
    return if (err == error.OutOfMemory) error.OutOfMemory else error.Damaged;
}

var own_key: key.Buffer = undefined;

fn replayPut(table: *Table, row: Row) ReplayError!void {
    const len = try key.encode(table.shape(), table.key_types.len, row, &own_key);
    if (try table.tree.insert(&own_key, len, row)) |slot| {
        const old: Row = .{ .at = slot.* & ~@as(u64, 1) };
        table.subtractHash(old);
        table.giveBack(old);
        slot.* = tree.leafOf(row);
    } else table.rows += 1;
    table.takeIn(row);
    table.addHash(row);
}

fn replayDelete(table: *Table, key_row: Row) ReplayError!void {
    const len = try key.encode(table.keyShape(), table.key_types.len, key_row, &own_key);
    heap.free(key_row.at, key_row.length());
    const slot = table.tree.find(&own_key, len) orelse return error.Damaged;
    const old: Row = .{ .at = slot.* & ~@as(u64, 1) };
    table.subtractHash(old);
    table.tree.remove(&own_key, len);
    table.giveBack(old);
    table.rows -= 1;
}
