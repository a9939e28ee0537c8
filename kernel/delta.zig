//! Deltas: what each commit changed in a table that somebody listens to, as chunks of msgpack that the host passes on
//! (docs/formats.md, "Chunks"); and walks, which read a whole table a little at a time while commits go on.
//!
//! What is always true here:
//! - A chunk has at most one entry for each key, and what it says is what a reader before and after the commit sees.
//! - A walk has read all rows up to its place and none behind. Changes of rows that it has read are forwarded to it,
//!   others it will find: so at its end whoever followed it has the table as of one lsn, and no writer has waited.
//! - A commit cannot fail here: a chunk that does not fit is replaced by its head alone, which says so.

const std = @import("std");
const layout = @import("layout.zig");
const key = @import("key.zig");
const msgpack = @import("msgpack.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const trees = @import("tree.zig");
const Row = row_format.Row;
const Table = table_format.Table;
const Error = layout.Error;
const control = &layout.control;

pub const Operation = enum(u8) { delete = 0, insert = 1, update = 2 };

const Kind = enum(u32) {
    /// The changes of one commit.
    delta = 0,
    /// There were too many: whoever listens must read the table anew.
    too_large = 1,
    /// Rows of a walk.
    page = 2,
    /// The last ones.
    last_page = 3,
};

const Head = extern struct { kind: Kind, stream: u32, lsn: u64, previous: u64, changes: u32, length: u32 };

/// The stream of a walk is this and its number, that of a table its number.
const walk_base: u32 = 1 << 31;

/// A place in a table, between two rows.
const Walk = struct {
    table: *Table,
    open: bool = false,
    /// The key of the last row read.
    at: key.Buffer,
    at_len: usize,
    begun: bool,

    fn hasRead(walk: *const Walk, row: Row, key_row: *key.Buffer) bool {
        if (!walk.begun) return false;
        const len = walk.table.tree.keyOf(row, key_row);
        return std.mem.order(u8, key_row[0..len], walk.at[0..walk.at_len]) != .gt;
    }
};

var walks: [layout.walks_max]Walk = undefined;
var walks_len: u32 = 0; // behind the last open one
var own_key: key.Buffer = undefined;

/// One change of a commit as it ends; the row as it is now, or as it was.
pub const Change = struct { operation: Operation, row: Row };

// ---------------------------------------------------------------- chunks

const Chunk = struct {
    head: *Head,
    out: msgpack.Writer,

    /// Null: not even the head fits.
    fn begin(kind: Kind, stream: u32, previous: u64) ?Chunk {
        const at = control.delta_len;
        if (at + @sizeOf(Head) > layout.delta.len) {
            control.delta_lost = 1;
            return null;
        }
        const head: *Head = @ptrCast(@alignCast(&layout.delta[at]));
        head.* = .{ .kind = kind, .stream = stream, .lsn = control.lsn, .previous = previous, .changes = 0, .length = 0 };
        // Heads always fit, whatever else does.
        const room_end = layout.delta.len - layout.delta_heads_bytes;
        return .{ .head = head, .out = .{ .to = &layout.delta, .at = at + @sizeOf(Head), .end = @max(room_end, at + @sizeOf(Head)) } };
    }

    fn add(chunk: *Chunk, table: *const Table, change: Change) bool {
        if (!chunk.out.fits(entryBytesMax(table, change.row))) return false;
        chunk.out.byte(0x93);
        chunk.out.byte(@backingInt(change.operation));
        chunk.out.array(table.key_positions.len);
        for (table.key_types, table.key_positions) |kind, position| chunk.out.value(kind, change.row, position);
        if (change.operation == .delete) {
            chunk.out.byte(0xc0);
        } else {
            const visible = &table.layout.visible;
            chunk.out.array(visible.positions.len);
            for (visible.columns.types, visible.positions) |kind, position| {
                const from = if (position < change.row.columns()) change.row else table.layout.defaults;
                chunk.out.value(kind, from, position);
            }
        }
        chunk.head.changes += 1;
        return true;
    }

    fn end(chunk: *Chunk) void {
        const start = @intFromPtr(chunk.head) - @intFromPtr(&layout.delta) + @sizeOf(Head);
        chunk.head.length = @intCast(chunk.out.at - start);
        const padded = row_format.padded(chunk.out.at);
        @memset(layout.delta[chunk.out.at..padded], 0);
        control.delta_len = padded;
    }

    /// Leaves the head alone, which says that the changes did not fit.
    fn giveUp(chunk: *Chunk) void {
        chunk.head.kind = .too_large;
        chunk.head.changes = 0;
        chunk.out.at = @intFromPtr(chunk.head) - @intFromPtr(&layout.delta) + @sizeOf(Head);
        chunk.end();
    }
};

/// What an entry takes at most: its heads, and per value nine bytes and its tail.
fn entryBytesMax(table: *const Table, row: Row) usize {
    const columns = @as(usize, table.layout.columns) + table.key_types.len;
    return 16 + 9 * columns + 2 * row.length() + table.layout.defaults.length();
}

// ---------------------------------------------------------------- commits

/// Whether anybody must be told what changes in this table.
pub fn isListenedTo(table: *const Table) bool {
    return table.watched or table.walks > 0;
}

/// Tells whoever listens to a table what the commit changed in it. `changes.next()` gives a `Change` at a time and is
/// gone through once for each listener.
pub fn tell(table: *Table, changes: anytype) void {
    if (table.watched) emit(table, table.number, null, changes);
    if (table.walks == 0) return;
    for (walks[0..walks_len], 0..) |*walk, i| {
        if (walk.open and walk.table == table) emit(table, walk_base + @as(u32, @intCast(i)), walk, changes);
    }
}

fn emit(table: *Table, stream: u32, walk: ?*const Walk, changes: anytype) void {
    var chunk = Chunk.begin(.delta, stream, table.previous_lsn) orelse return;
    var all = changes;
    while (all.next()) |change| {
        if (walk) |one| if (!one.hasRead(change.row, &own_key)) continue;
        if (!chunk.add(table, change)) return chunk.giveUp();
    }
    if (walk != null and chunk.head.changes == 0) return; // nothing was begun, as `delta_len` says
    chunk.end();
}

// ---------------------------------------------------------------- walks

/// Begins a walk over a table; its number.
pub fn open(table: *Table) Error!u32 {
    const number = for (&walks, 0..) |*walk, i| {
        if (i >= walks_len or !walk.open) break i;
    } else return error.LimitReached;
    const walk = &walks[number];
    walk.table = table;
    walk.open = true;
    walk.begun = false;
    walk.at_len = 0;
    table.walks += 1;
    walks_len = @max(walks_len, @as(u32, @intCast(number)) + 1);
    return @intCast(number);
}

pub fn close(number: u32) void {
    if (number >= walks_len or !walks[number].open) return;
    walks[number].open = false;
    walks[number].table.walks -= 1;
    while (walks_len > 0 and !walks[walks_len - 1].open) walks_len -= 1;
}

/// Ends all walks over a table whose columns have changed, or that goes away.
pub fn closeAll(table: *const Table) void {
    var number = walks_len;
    while (number > 0) {
        number -= 1;
        if (number < walks_len and walks[number].open and walks[number].table == table) close(number);
    }
}

/// Reads on: about `bytes`, at least one row. Whether it has come to the end. Not while a transaction is open.
pub fn step(number: u32, bytes: usize) Error!bool {
    if (number >= walks_len or !walks[number].open) return error.NoRelation;
    const walk = &walks[number];
    const table = walk.table;
    var it = trees.Iterator(false).init();
    var found = if (walk.begun)
        it.seek(&table.tree, &walk.at, walk.at_len, true)
    else
        it.first(&table.tree);
    var chunk = Chunk.begin(.page, walk_base + number, table.last_lsn) orelse return error.LimitReached;
    const start = chunk.out.at;
    while (found) |row| : (found = it.next()) {
        if (chunk.out.at - start >= bytes) break;
        if (!chunk.add(table, .{ .operation = .insert, .row = row })) {
            if (chunk.head.changes > 0) break;
            return error.LimitReached; // the host has not fetched what lies here
        }
        walk.at_len = table.tree.keyOf(row, &walk.at);
        walk.begun = true;
    }
    if (found == null) chunk.head.kind = .last_page;
    chunk.end();
    return found == null;
}
