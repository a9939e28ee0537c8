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
const plans = @import("plan.zig");
const scratch = @import("scratch.zig");
const changes_of = @import("changes.zig");
const programs = @import("program.zig");
const selections = @import("selection.zig");
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
    /// An expression could not be computed, or a limit was reached: nothing more comes.
    failed = 4,
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
    /// Not of all rows, and perhaps in the order of another index.
    range: ?selections.Range,

    fn tree(walk: *Walk) *trees.Tree {
        return if (walk.range) |*range| range.tree else &walk.table.tree;
    }

    fn hasRead(walk: *Walk, row: Row, key_row: *key.Buffer) bool {
        if (!walk.begun) return false;
        const len = walk.tree().keyOf(row, key_row);
        return std.mem.order(u8, key_row[0..len], walk.at[0..walk.at_len]) != .gt;
    }

    fn first(walk: *Walk, it: *trees.Iterator(false)) ?Row {
        if (walk.begun) return it.seek(walk.tree(), &walk.at, walk.at_len, true);
        return if (walk.range) |*range| range.first(it) else it.first(&walk.table.tree);
    }

    fn remember(walk: *Walk, row: Row) void {
        walk.at_len = walk.tree().keyOf(row, &walk.at);
        walk.begun = true;
    }
};

var walks: [layout.walks_max]Walk = undefined;
var walks_len: u32 = 0; // behind the last open one
var own_key: key.Buffer = undefined;

/// One change of a commit as it ends; the row as it is now, or as it was.
pub const Change = struct { operation: Operation, row: Row };

// ---------------------------------------------------------------- chunks

pub const Chunk = struct {
    head: *Head,
    out: msgpack.Writer,

    /// Null: not even the head fits.
    pub fn begin(kind: Kind, stream: u32, previous: u64) ?Chunk {
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
        if (change.operation == .delete) return chunk.addKey(.delete, table, change.row);
        if (!chunk.out.fits(entryBytesMax(table, change.row))) return false;
        chunk.putKey(change.operation, table, change.row);
        const visible = &table.layout.visible;
        chunk.out.array(visible.positions.len);
        for (visible.columns.types, visible.positions) |kind, position| {
            const from = if (position < change.row.columns()) change.row else table.layout.defaults;
            chunk.out.value(kind, from, position);
        }
        return true;
    }

    /// An entry of a row that is gone. False: it does not fit.
    pub fn addKey(chunk: *Chunk, operation: Operation, table: *const Table, row: Row) bool {
        if (!chunk.out.fits(entryBytesMax(table, row))) return false;
        chunk.putKey(operation, table, row);
        chunk.out.byte(0xc0);
        return true;
    }

    /// An entry of a row that shows what was made of it.
    pub fn addMade(chunk: *Chunk, operation: Operation, table: *const Table, row: Row, made: Row, outputs: []const programs.Output) bool {
        if (!chunk.out.fits(entryBytesMax(table, row) + 9 * outputs.len + 2 * made.length())) return false;
        chunk.putKey(operation, table, row);
        chunk.out.array(outputs.len);
        for (outputs, 0..) |output, i| chunk.out.value(output.type, made, i);
        return true;
    }

    fn putKey(chunk: *Chunk, operation: Operation, table: *const Table, row: Row) void {
        chunk.out.byte(0x93);
        chunk.out.byte(@backingInt(operation));
        chunk.out.array(table.key_positions.len);
        for (table.key_types, table.key_positions) |kind, position| chunk.out.value(kind, row, position);
        chunk.head.changes += 1;
    }

    pub fn end(chunk: *Chunk) void {
        const start = @intFromPtr(chunk.head) - @intFromPtr(&layout.delta) + @sizeOf(Head);
        chunk.head.length = @intCast(chunk.out.at - start);
        const padded = row_format.padded(chunk.out.at);
        @memset(layout.delta[chunk.out.at..padded], 0);
        control.delta_len = padded;
    }

    /// Leaves the head alone, which says that the changes did not fit.
    pub fn giveUp(chunk: *Chunk) void {
        chunk.head.kind = .too_large;
        chunk.head.changes = 0;
        chunk.out.at = @intFromPtr(chunk.head) - @intFromPtr(&layout.delta) + @sizeOf(Head);
        chunk.end();
    }
};

/// The last chunk of a stream: a code of layout.zig, and of what the control block says of the fault the table, the
/// column, the index and the row.
pub fn sayFailure(stream: u32, err: Error) void {
    var chunk = Chunk.begin(.failed, stream, 0) orelse return;
    const words = [_]u32{ @bitCast(layout.codeOf(err)), control.fault_table, control.fault_column, control.fault_index, control.fault_row };
    if (!chunk.out.fits(4 * words.len)) {
        control.delta_lost = 1;
        return;
    }
    chunk.out.raw(std.mem.asBytes(&words));
    chunk.end();
}

/// What an entry takes at most: its heads, and per value nine bytes and its tail.
fn entryBytesMax(table: *const Table, row: Row) usize {
    const columns = @as(usize, table.layout.columns) + table.key_types.len;
    return 16 + 9 * columns + 2 * row.length() + table.layout.defaults.length();
}

// ---------------------------------------------------------------- commits

/// Whether anybody must be told what changes in this table.
pub fn isListenedTo(table: *const Table) bool {
    return table.watched or table.walks > 0 or table.shapes != null;
}

/// Tells whoever listens to a table what the commit changed in it. `changes.next()` gives a `Change` at a time and is
/// gone through once for each listener.
pub fn tell(table: *Table, changes: anytype) void {
    if (table.watched) emit(table, table.number, null, changes);
    if (table.walks == 0) return;
    for (walks[0..walks_len], 0..) |*walk, i| {
        if (!walk.open or walk.table != table or walk.range != null) continue;
        emit(table, walk_base + @as(u32, @intCast(i)), walk, changes);
    }
}

/// Tells the walks over selections what a commit changed in what they have read: rows before and after, which have all
/// columns; 0: there was or is none.
pub fn tellRanges(table: *Table, changed: []const changes_of.Change) error{OutOfMemory}!void {
    if (table.walks == 0) return;
    for (walks[0..walks_len], 0..) |*walk, i| {
        if (!walk.open or walk.table != table) continue;
        const range = &(walk.range orelse continue);
        if (!range.selection.failed) try emitRange(walk, range.selection, @intCast(i), changed);
    }
}

fn emitRange(walk: *Walk, selection: *selections.Selection, number: u32, changed: []const changes_of.Change) error{OutOfMemory}!void {
    selection.prepare();
    var chunk = Chunk.begin(.delta, walk_base + number, selection.last_lsn) orelse return;
    for (changed) |change| {
        const added = enterRange(walk, selection, &chunk, change) catch |err| switch (err) {
            error.OutOfMemory => return error.OutOfMemory,
            else => return selections.fail(selection, err), // nothing was begun, as `delta_len` says
        };
        if (!added) return chunk.giveUp();
    }
    if (chunk.head.changes > 0) chunk.end(); // else nothing was begun, as `delta_len` says
}

/// What a change comes to for a walk. False: it does not fit.
fn enterRange(walk: *Walk, selection: *const selections.Selection, chunk: *Chunk, change: changes_of.Change) Error!bool {
    const mark = scratch.mark();
    defer scratch.release(mark);
    if (try hasNow(walk, selection, change.new)) |row| {
        const made = try selection.made(&selections.arena, row);
        return chunk.addMade(.update, walk.table, row, made, selection.outputs());
    }
    const row = try hasNow(walk, selection, change.old) orelse return true;
    return chunk.addKey(.delete, walk.table, row);
}

/// A row, if it is in the selection and where the walk has been.
fn hasNow(walk: *Walk, selection: *const selections.Selection, at: u64) Error!?Row {
    if (at == 0) return null;
    const row: Row = .{ .at = at };
    return if (walk.hasRead(row, &own_key) and try selection.shows(row)) row else null;
}

fn emit(table: *Table, stream: u32, walk: ?*Walk, changes: anytype) void {
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
pub fn open(table: *Table, selection: ?*selections.Selection) Error!u32 {
    const number = for (&walks, 0..) |*walk, i| {
        if (i >= walks_len or !walk.open) break i;
    } else return error.LimitReached;
    const walk = &walks[number];
    walk.range = null;
    if (selection) |one| {
        walk.range = @as(selections.Range, undefined);
        try walk.range.?.init(one);
    }
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

/// Ends the walks over a selection that goes away.
pub fn closeOf(selection: *const selections.Selection) void {
    var number = walks_len;
    while (number > 0) {
        number -= 1;
        if (number >= walks_len or !walks[number].open) continue;
        if (walks[number].range) |range| if (range.selection == selection) close(number);
    }
}

/// Reads on: about `bytes`, at least one row. Whether it has come to the end. Not while a transaction is open.
pub fn step(number: u32, bytes: usize) Error!bool {
    if (number >= walks_len or !walks[number].open) return error.NoRelation;
    const walk = &walks[number];
    const table = walk.table;
    if (walk.range) |*range| return stepRange(walk, range, number, bytes);
    var it = trees.Iterator(false).init();
    var found = walk.first(&it);
    var chunk = Chunk.begin(.page, walk_base + number, table.last_lsn) orelse return error.LimitReached;
    const start = chunk.out.at;
    while (found) |row| : (found = it.next()) {
        if (chunk.out.at - start >= bytes) break;
        if (!chunk.add(table, .{ .operation = .insert, .row = row })) {
            if (chunk.head.changes > 0) break;
            return error.LimitReached; // the host has not fetched what lies here
        }
        walk.remember(row);
    }
    if (found == null) chunk.head.kind = .last_page;
    chunk.end();
    return found == null;
}

/// The same for a selection: so much is looked at, whatever is found.
fn stepRange(walk: *Walk, range: *selections.Range, number: u32, bytes: usize) Error!bool {
    const selection = range.selection;
    defer selections.arena.reset();
    selection.prepare();
    var it = trees.Iterator(false).init();
    var found = walk.first(&it);
    var chunk = Chunk.begin(.page, walk_base + number, selection.last_lsn) orelse return error.LimitReached;
    var looked_at: usize = 0;
    while (found) |row| : (found = it.next()) {
        if (looked_at >= bytes) break;
        if (range.isOver(row, &own_key)) {
            found = null;
            break;
        }
        looked_at += row.length();
        const mark = scratch.mark();
        defer scratch.release(mark);
        const whole = try plans.widened(&selections.arena, walk.table, row);
        if (try selection.shows(whole)) {
            const made = try selection.made(&selections.arena, whole);
            looked_at += made.length();
            if (!chunk.addMade(.insert, walk.table, whole, made, selection.outputs())) {
                if (chunk.head.changes > 0) break;
                return error.LimitReached; // the host has not fetched what lies here
            }
        }
        walk.remember(row);
    }
    if (found == null) chunk.head.kind = .last_page;
    if (found == null or chunk.head.changes > 0) chunk.end();
    return found == null;
}
