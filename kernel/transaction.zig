//! The open transaction: operations on rows, the undo log, commit.
//!
//! What is always true here:
//! - One transaction at a time, changed in place. Rows are never overwritten: a change hangs a new row in the tree and
//!   keeps the old one, marked dead, until the end. So undoing needs no memory and cannot fail.
//! - A deleted row stays in the tree as a tombstone (dead, and still a leaf) until commit; a row that moved in a
//!   secondary index does so there.
//! - Everything that may fail is done before the first mutation of an operation; an operation on many rows is undone to
//!   where it began.
//! - `redo_bound` is at least what the redo of the changes so far will take, so commit cannot fail.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const redo = @import("redo.zig");
const tree = @import("tree.zig");
const indexes = @import("index.zig");
const delta = @import("delta.zig");
const scratch = @import("scratch.zig");
const views = @import("view.zig");
const foreign_keys = @import("foreign_key.zig");
const selections = @import("selection.zig");
const Index = indexes.Index;
const Row = row_format.Row;
const Table = table_format.Table;
const Binding = table_format.Binding;
const Error = layout.Error;

pub const Kind = enum(u32) { insert, update, delete, counter, index, create, alter, drop, create_index, drop_index, keys, more };

/// One mutation: of `subject.index` for the kinds that say so, else of `subject.table`. `old` and `new` are rows'
/// addresses; a counter keeps its old mark in `old`, `alter` the old layout's address, `drop_index` where it
/// stood, `keys` the first of the old foreign keys, `more` whether there was more than its view's buffer has.
pub const Undo = struct { subject: extern union { table: *Table, index: *Index }, kind: Kind, old: u64, new: u64 };

var undo: [layout.undo_entries_max]Undo = undefined;
var undo_len: usize = 0;
/// The views know of so much of it.
var flushed: usize = 0;
/// Goes up when rows have been taken back: what was known of them before may be wrong.
pub var epoch: u64 = 1;
var redo_bound: usize = 0;

pub var read_only = false;
pub var doomed = false;
pub var rows_written: u64 = 0;
pub var rows_written_max: u64 = layout.undo_entries_max;
pub var generated: i64 = 0;

var own_key: key.Buffer = undefined;

pub const Mark = struct { undo_len: usize = 0, redo_bound: usize = 0, generated: i64 = 0, flushed: usize = 0 };

pub fn begin(query: bool) void {
    std.debug.assert(undo_len == 0);
    read_only = query;
    doomed = false;
    rows_written = 0;
    rows_written_max = layout.undo_entries_max;
    generated = 0;
    redo_bound = 0;
}

pub fn mark() Mark {
    return .{ .undo_len = undo_len, .redo_bound = redo_bound, .generated = generated, .flushed = flushed };
}

pub fn changed() bool {
    return undo_len > 0;
}

/// Room for one change of a row and its leaves in `leaves` indexes.
fn room(bytes: usize, leaves: usize) Error!void {
    if (undo_len + 2 + leaves > layout.undo_entries_max or rows_written >= rows_written_max) return error.LimitReached;
    // Packed, a row takes less than its bytes and a third more, and the head of a change.
    if (redo_bound + bytes + bytes / 2 + 64 > layout.redo_transaction_bytes_max) return error.TransactionTooLarge;
}

fn remember(entry: Undo, bytes: usize) void {
    @setRuntimeSafety(false); // whoever calls has seen that there is room
    undo[undo_len] = entry;
    undo_len += 1;
    redo_bound += bytes + bytes / 2 + 64;
}

/// The same for what is not logged.
fn rememberDerived(entry: Undo) void {
    @setRuntimeSafety(false); // whoever calls has seen that there is room
    undo[undo_len] = entry;
    undo_len += 1;
}

/// Hangs a new row, or one that has moved, into an index. That there is room was seen before; only memory may be
/// missing.
fn hangIn(index: *Index, row: Row) Error!void {
    const replaced = try index.add(row);
    undo[undo_len] = .{ .subject = .{ .index = index }, .kind = .index, .old = replaced, .new = row.at };
    undo_len += 1;
}

// ---------------------------------------------------------------- operations

/// The live row with the key that a key row of `bytes` gives; its key columns must be exactly the primary key's.
pub fn get(table: *Table, bytes: []const u8) Error!?Row {
    return table_format.live(try find(table, bytes));
}

fn find(table: *Table, bytes: []const u8) Error!?*u64 {
    if (table.key_columns.isPlain(bytes) and table.tree.word) {
        const slots: [*]const u64 = @ptrCast(@alignCast(bytes.ptr));
        return table.tree.findWord(key.wordOf(table.key_types[0], slots[1]));
    }
    var column: u32 = 0;
    const checked = row_format.check(bytes, &table.key_columns, &column) catch |err| {
        layout.fault(table.number, if (column == layout.none_u32) column else table.key_positions[column], 0);
        return err;
    };
    if (table.tree.word) {
        if (checked.row.isNull(0)) return error.NotNull;
        return table.tree.findWord(key.wordOf(table.key_types[0], checked.row.slot(0).*));
    }
    for (0..table.key_types.len) |i| if (checked.row.isNull(i) and (table.key_nullable == null or !table.key_nullable.?[i])) {
        layout.fault(table.number, table.key_positions[i], 0);
        return error.NotNull;
    };
    const len = try key.encode(table.keyShape(), table.key_types.len, checked.row, &own_key);
    return table.tree.find(&own_key, len);
}

pub const Write = enum(u32) { insert = 0, update = 1, upsert = 2 };

/// Inserts, updates or upserts each of the rows in `source`. How many; all or nothing.
pub fn write(how: Write, binding: *const Binding, source: []const u8) Error!u32 {
    if (binding.table.derived or binding.table.guarded) return error.ReadOnly;
    const at_start = mark();
    var at: usize = 0;
    var count: u32 = 0;
    while (at < source.len) {
        const length = writeOne(how, binding, source[at..]) catch |err| {
            layout.control.fault_row = count;
            rollbackTo(at_start);
            return err;
        };
        at += length;
        count += 1;
    }
    return count;
}

fn writeOne(how: Write, binding: *const Binding, source: []const u8) Error!usize {
    const table = binding.table;
    var column: u32 = 0;
    const checked = row_format.check(source, &binding.columns, &column) catch |err| {
        layout.fault(table.number, binding.outside(column), 0);
        return err;
    };
    const length = checked.source_bytes;
    if (how != .insert) {
        const slot = try findBound(binding, checked.row);
        if (table_format.live(slot) != null) {
            try updateRow(binding, checked, slot.?);
            return length;
        }
        if (how == .update) return error.NotFound;
    }
    try insertRow(binding, checked);
    return length;
}

/// Where the leaf hangs that has the key of an outside row; null as well when the key is to be given out.
fn findBound(binding: *const Binding, row: Row) Error!?*u64 {
    const table = binding.table;
    const first = table.key_positions[0];
    if (binding.identity and table.tree.word and first < binding.positions.len and !row.isNull(first))
        return table.tree.findWord(key.wordOf(table.key_types[0], row.slot(first).*));
    var positions: [layout.columns_max]u16 = undefined;
    for (table.key_positions, 0..) |position, i| {
        const source = binding.sources[position];
        if (source == table_format.none_u16 or row.isNull(source)) {
            if (position == table.auto) return null;
            layout.fault(table.number, position, 0);
            return error.NotNull;
        }
        positions[i] = source;
    }
    const shape: key.Shape = .{ .types = table.key_types, .positions = positions[0..table.key_types.len] };
    const len = key.encode(shape, table.key_types.len, row, &own_key) catch |err| {
        layout.fault(table.number, table.key_positions[0], 0);
        return err;
    };
    return table.tree.find(&own_key, len);
}

/// The row of the table that an outside row gives: its columns, and from `base` those that it does not have. With
/// `give_out` the auto-increment column may be null: its value is still to come.
fn assemble(binding: *const Binding, checked: row_format.Checked, base: Row, give_out: bool) Error!Row {
    const table = binding.table;
    const source = checked.row;
    if (binding.stores() and checked.canonical and !give_out) {
        for (table.layout.nullable, 0..) |nullable, i| if (!nullable and source.isNull(i)) {
            layout.fault(table.number, @intCast(i), 0);
            return error.NotNull;
        };
        const length = source.length();
        const at = try heap.allocate(length);
        const words = @as([*]u64, @ptrFromInt(at))[0 .. length / 8];
        for (words, source.words()) |*to, from| to.* = from;
        words[0] &= 0xffff_ffff_ffff; // flags
        return .{ .at = at };
    }
    var size = row_format.fixedBytes(table.layout.columns);
    for (table.layout.types, 0..) |kind, i| {
        const from, const column = pick(binding, source, base, i);
        const absent = column == table_format.none_u16;
        const is_null = absent or from.isNull(column);
        if (is_null and !table.layout.nullable[i] and !(give_out and i == table.auto)) {
            layout.fault(table.number, @intCast(i), 0);
            return error.NotNull;
        }
        if (!is_null and row_format.isVariable(kind)) size += from.tail(column).len;
    }
    const length = row_format.padded(size);
    if (length > layout.row_bytes_max) return error.RowTooLong;
    var writer = row_format.Writer.begin(try heap.allocate(length), table.layout.columns, length);
    for (table.layout.types, 0..) |kind, i| {
        const from, const column = pick(binding, source, base, i);
        if (column == table_format.none_u16) writer.putNull(i) else writer.copy(i, kind, from, column);
    }
    return writer.row;
}

/// Where column `i` of the table comes from.
inline fn pick(binding: *const Binding, source: Row, base: Row, i: usize) struct { Row, u16 } {
    const outside = if (i < binding.sources.len) binding.sources[i] else table_format.none_u16;
    if (outside != table_format.none_u16) return .{ source, outside };
    const table = binding.table;
    if (i < base.columns() and !table.layout.dropped[i]) return .{ base, @intCast(i) };
    return .{ table.layout.defaults, @intCast(i) };
}

fn insertRow(binding: *const Binding, checked: row_format.Checked) Error!void {
    const table = binding.table;
    const row = try newRow(binding, checked);
    for (table.all()) |index| try hangIn(index, row);
}

/// Makes a new row and hangs it under its primary key.
fn newRow(binding: *const Binding, checked: row_format.Checked) Error!Row {
    const table = binding.table;
    const has_auto = table.auto != table_format.none_u16;
    try room(checked.row.length() + table.layout.defaults.length() + 16, table.indexes_len);
    const old_mark = table.mark;
    var new_mark = old_mark;
    const give_out = has_auto and isGenerated(binding, checked.row);
    if (give_out and old_mark == std.math.maxInt(i64)) {
        layout.fault(table.number, table.auto, 0);
        return error.Exhausted;
    }
    const row = try assemble(binding, checked, table.layout.defaults, has_auto);
    if (has_auto) {
        if (give_out) {
            new_mark = old_mark + 1;
            setValue(row, table.auto, new_mark);
        } else new_mark = @max(old_mark, @as(i64, @bitCast(row.slot(table.auto).*)));
    }
    try hangNew(table, row);
    if (new_mark != old_mark) {
        remember(.{ .subject = .{ .table = table }, .kind = .counter, .old = @bitCast(old_mark), .new = 0 }, 16);
        table.mark = new_mark;
    }
    if (give_out) generated = new_mark;
    return row;
}

/// Hangs a complete new row under its primary key; it is freed when it may not. There is room.
fn hangNew(table: *Table, row: Row) Error!void {
    errdefer heap.free(row.at, row.length());
    if (table.checks.len > 0) try check(table, row);
    const len = key.encode(table.shape(), table.key_types.len, row, &own_key) catch |err| {
        layout.fault(table.number, table.key_positions[0], 0);
        return err;
    };
    if (table.indexes_len > 0) {
        if (table_format.live(table.tree.find(&own_key, len)) != null) return duplicate(table);
        for (table.all()) |index| try index.check(row, 0);
    }
    const replaced = try hang(table, row, len);
    remember(.{ .subject = .{ .table = table }, .kind = .insert, .old = replaced, .new = row.at }, row.length());
    table.takeIn(row);
    table.rows += 1;
    rows_written += 1;
}

/// Hangs a new row under its primary key, whose encoding lies in `own_key`. The tombstone that hung there, or 0.
inline fn hang(table: *Table, row: Row, len: usize) Error!u64 {
    var replaced: u64 = 0;
    row.set(row_format.flag_fresh);
    if (try table.tree.insert(&own_key, len, row)) |slot| {
        if (table_format.live(slot) != null) return duplicate(table);
        replaced = slot.* & ~@as(u64, 1);
        slot.* = tree.leafOf(row);
    }
    if (replaced == 0 or (Row{ .at = replaced }).has(row_format.flag_new_key)) row.set(row_format.flag_new_key);
    return replaced;
}

/// Whether a row keeps the constraints of its table. What is null is not false.
noinline fn check(table: *const Table, row: Row) Error!void {
    const at = scratch.mark();
    defer scratch.release(at);
    for (table.checks) |*constraint| {
        constraint.run(&.{row}) catch |err| {
            layout.control.fault_table = table.number;
            return err;
        };
        const cell = constraint.output(0);
        if (cell.is_null != 0 or cell.value != 0) continue;
        layout.fault(table.number, layout.none_u32, 0);
        layout.control.fault_index = constraint.number;
        return error.CheckFailed;
    }
}

fn duplicate(table: *const Table) Error {
    layout.fault(table.number, table.key_positions[0], 0);
    return error.DuplicateKey;
}

fn isGenerated(binding: *const Binding, source: Row) bool {
    const outside = binding.sources[binding.table.auto];
    return outside == table_format.none_u16 or source.isNull(outside);
}

fn setValue(row: Row, column: usize, value: i64) void {
    row.slot(column).* = @bitCast(value);
    const nulls: *u8 = @ptrFromInt(row.at + row_format.head_bytes + 8 * @as(usize, row.columns()) + column / 8);
    nulls.* &= ~(@as(u8, 1) << @intCast(column % 8));
}

fn updateRow(binding: *const Binding, checked: row_format.Checked, slot: *u64) Error!void {
    const table = binding.table;
    const old: Row = .{ .at = slot.* & ~@as(u64, 1) };
    try room(checked.row.length() + old.length() + 16, table.indexes_len);
    try hangNext(table, slot, old, try assemble(binding, checked, old, false));
}

/// Hangs the next version of a row in its place; it is freed when it may not, or is the same. There is room.
fn hangNext(table: *Table, slot: *u64, old: Row, row: Row) Error!void {
    if (same(table, row, old)) {
        heap.free(row.at, row.length());
        return;
    }
    if (table.checks.len > 0) check(table, row) catch |err| {
        heap.free(row.at, row.length());
        return err;
    };
    if (table.indexes_len > 0) checkMoves(table, old, row) catch |err| {
        heap.free(row.at, row.length());
        return err;
    };
    swap(slot, old, row);
    remember(.{ .subject = .{ .table = table }, .kind = .update, .old = old.at, .new = row.at }, row.length());
    table.takeIn(row);
    rows_written += 1;
    if (table.indexes_len > 0) try move(table, old, row);
}

/// A new version takes the old one's place under the primary key.
inline fn swap(slot: *u64, old: Row, row: Row) void {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    row.set(row_format.flag_fresh);
    if (old.has(row_format.flag_new_key)) row.set(row_format.flag_new_key);
    slot.* = tree.leafOf(row);
    old.set(row_format.flag_dead);
}

/// Whether a new version of a row may stand where it would in the secondary indexes.
noinline fn checkMoves(table: *Table, old: Row, row: Row) Error!void {
    for (table.all()) |index| if (!index.sameKey(old, row)) try index.check(row, 0);
}

/// Hangs a new version into the secondary indexes, in the old one's place or beside it.
noinline fn move(table: *Table, old: Row, row: Row) Error!void {
    for (table.all()) |index| {
        if (index.sameKey(old, row)) index.replace(row) else try hangIn(index, row);
    }
}

/// Whether two versions of a row have the same values; the older one may be too short for some of the columns.
fn same(table: *const Table, new: Row, old: Row) bool {
    // Without dropped columns, which old rows may have values in, the same columns are the same words.
    if (new.columns() != old.columns() or !table.layout.visible.identity) return sameValues(table, new, old);
    if (new.length() != old.length()) return false;
    const new_words = new.words();
    const old_words = old.words();
    for (new_words[1..], old_words[1..]) |x, y| if (x != y) return false;
    return true;
}

noinline fn sameValues(table: *const Table, new: Row, old: Row) bool {
    for (table.layout.types, table.layout.dropped, 0..) |kind, dropped, i| {
        if (dropped) continue;
        const other = if (i < old.columns()) old else table.layout.defaults;
        if (!row_format.sameValue(kind, new, other, i)) return false;
    }
    return true;
}

/// Deletes by keys. How many there were; all or nothing.
pub fn delete(table: *Table, source: []const u8) Error!u32 {
    if (table.derived or table.guarded) return error.ReadOnly;
    const at_start = mark();
    var at: usize = 0;
    var count: u32 = 0;
    var number: u32 = 0;
    while (at < source.len) : (number += 1) {
        const length = deleteOne(table, source[at..], &count) catch |err| {
            layout.control.fault_row = number;
            rollbackTo(at_start);
            return err;
        };
        at += length;
    }
    return count;
}

fn deleteOne(table: *Table, source: []const u8, count: *u32) Error!usize {
    const slot = try find(table, source);
    const row: Row = .{ .at = @intFromPtr(source.ptr) };
    const old = table_format.live(slot) orelse return row.length();
    const at = undo_len;
    try remove(table, old);
    if (table.referenced != null) try foreign_keys.cascade(at);
    count.* += 1;
    return row.length();
}

/// Deletes a live row of a table.
pub fn remove(table: *Table, old: Row) Error!void {
    try room(old.length(), 0);
    old.set(row_format.flag_dead);
    remember(.{ .subject = .{ .table = table }, .kind = .delete, .old = old.at, .new = 0 }, old.length());
    table.rows -= 1;
    rows_written += 1;
}

// ---------------------------------------------------------------- rows of primitives

/// Where the leaf hangs whose key is the columns `positions` of a row, which are of the key's types and not null.
pub fn findBy(table: *Table, row: Row, positions: []const u16) Error!?*u64 {
    if (table.tree.word) return table.tree.findWord(key.wordOf(table.key_types[0], row.slot(positions[0]).*));
    const len = key.encode(.{ .types = table.key_types, .positions = positions }, positions.len, row, &own_key) catch |err| {
        layout.fault(table.number, table.key_positions[0], 0);
        return err;
    };
    return table.tree.find(&own_key, len);
}

/// Inserts a row that has all columns, in a block that is the transaction's from here on. Its key must be new. When this
/// fails, whoever calls undoes what is remembered since before.
pub fn insertWhole(table: *Table, row: Row) Error!void {
    room(row.length(), table.indexes_len) catch |err| {
        heap.free(row.at, row.length());
        return err;
    };
    try hangNew(table, row);
    for (table.all()) |index| try hangIn(index, row);
}

/// The same for the next version of the live row that hangs at `slot` and has the same key.
pub fn replaceWhole(table: *Table, slot: *u64, row: Row) Error!void {
    const old: Row = .{ .at = slot.* & ~@as(u64, 1) };
    room(row.length() + old.length() + 16, table.indexes_len) catch |err| {
        heap.free(row.at, row.length());
        return err;
    };
    try hangNext(table, slot, old, row);
}

// ---------------------------------------------------------------- rows of views

/// A row of a view that is being made: nobody has seen it, and nothing is remembered.
pub fn loadDerived(table: *Table, row: Row) Error!void {
    hangDerived(table, row) catch |err| {
        heap.free(row.at, row.length());
        return err;
    };
    table.rows += 1;
    table.takeIn(row);
    for (table.all()) |index| _ = try index.add(row);
}

fn hangDerived(table: *Table, row: Row) Error!void {
    const len = try key.encode(table.shape(), table.key_types.len, row, &own_key);
    if (try table.tree.insert(&own_key, len, row) != null) return duplicate(table);
}

/// A view's row as it is now, in a block that is the transaction's from here on.
pub fn putDerived(table: *Table, row: Row) Error!void {
    const len = key.encode(table.shape(), table.key_types.len, row, &own_key) catch |err| {
        layout.fault(table.number, table.key_positions[0], 0);
        heap.free(row.at, row.length());
        return err;
    };
    return putDerivedAt(table, row, &own_key, len);
}

/// The same where its encoded key is known.
pub fn putDerivedAt(table: *Table, row: Row, bytes: *const key.Buffer, len: usize) Error!void {
    const slot = findOrHang(table, row, bytes, len) catch |err| {
        heap.free(row.at, row.length());
        return err;
    };
    var replaced: u64 = 0;
    if (slot) |there| {
        if (table_format.live(there)) |old| return replaceDerived(table, old, row, there);
        replaced = there.* & ~@as(u64, 1);
        there.* = tree.leafOf(row);
    }
    row.set(row_format.flag_fresh);
    if (replaced == 0 or (Row{ .at = replaced }).has(row_format.flag_new_key)) row.set(row_format.flag_new_key);
    rememberDerived(.{ .subject = .{ .table = table }, .kind = .insert, .old = replaced, .new = row.at });
    table.takeIn(row);
    table.rows += 1;
    for (table.all()) |index| try hangIn(index, row);
}

inline fn findOrHang(table: *Table, row: Row, bytes: *const key.Buffer, len: usize) Error!?*u64 {
    if (undo_len + 2 + table.indexes_len > layout.undo_entries_max) return error.LimitReached;
    return table.tree.insert(bytes, len, row);
}

/// The same where the row that it replaces is known, and has the same key; and perhaps where that hangs.
pub fn replaceDerived(table: *Table, old: Row, row: Row, slot: ?*u64) Error!void {
    if (sameWords(row, old)) {
        heap.free(row.at, row.length());
        return;
    }
    (if (undo_len + 2 + table.indexes_len > layout.undo_entries_max) error.LimitReached else if (table.indexes_len > 0) checkMoves(table, old, row) else {}) catch |err| {
        heap.free(row.at, row.length());
        return err;
    };
    swap(slot orelse table.findRow(old).?, old, row);
    rememberDerived(.{ .subject = .{ .table = table }, .kind = .update, .old = old.at, .new = row.at });
    table.takeIn(row);
    if (table.indexes_len > 0) try move(table, old, row);
}

/// The same where the new version differs, and no index looks at it.
pub inline fn swapDerived(table: *Table, old: Row, row: Row, slot: *u64) void {
    @setRuntimeSafety(false); // hot; whoever calls has seen that there is room
    swap(slot, old, row);
    rememberDerived(.{ .subject = .{ .table = table }, .kind = .update, .old = old.at, .new = row.at });
    table.takeIn(row);
}

/// A copy of a row, to become its next version.
pub inline fn copyOf(old: Row) Error!Row {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    const words = old.words();
    const at = try heap.allocate(8 * words.len);
    const copy: [*]u64 = @ptrFromInt(at);
    copy[0] = words[0] & 0xffff_ffff_ffff; // flags
    for (words[1..], copy[1..]) |from, *to| to.* = from;
    return .{ .at = at };
}

/// Whether there is room for one more change of a row of a view.
pub inline fn hasRoom() bool {
    return undo_len + 2 <= layout.undo_entries_max;
}

pub fn removeDerived(table: *Table, old: Row) Error!void {
    if (undo_len + 2 > layout.undo_entries_max) return error.LimitReached;
    old.set(row_format.flag_dead);
    rememberDerived(.{ .subject = .{ .table = table }, .kind = .delete, .old = old.at, .new = 0 });
    table.rows -= 1;
}

fn sameWords(new: Row, old: Row) bool {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    if (new.length() != old.length()) return false;
    for (new.words()[1..], old.words()[1..]) |x, y| if (x != y) return false;
    return true;
}

/// A view's buffer has all rows of its input, or does not any more.
pub fn rememberMore(table: *Table, was: bool) Error!void {
    if (!hasRoom()) return error.LimitReached;
    rememberDerived(.{ .subject = .{ .table = table }, .kind = .more, .old = @intFromBool(was), .new = 0 });
}

/// What the views do not know yet of this transaction.
pub fn unflushed() []const Undo {
    return undo[flushed..undo_len];
}

/// They know everything now.
pub fn setFlushed() void {
    flushed = undo_len;
}

/// The part of the undo log since a mark.
pub fn since(from: usize) []const Undo {
    return undo[from..undo_len];
}

pub fn entries() usize {
    return undo_len;
}

// ---------------------------------------------------------------- the schema

/// Room for one change of the schema, whose redo holds `bytes`.
fn schemaRoom(bytes: usize) Error!void {
    if (undo_len + 2 > layout.undo_entries_max) return error.LimitReached;
    if (redo_bound + 2 * bytes + 64 > layout.redo_transaction_bytes_max) return error.TransactionTooLarge;
}

/// Makes a table, as part of this transaction.
pub fn createTable(descriptor: []const u8) Error!void {
    try schemaRoom(descriptor.len);
    const table = try table_format.create(descriptor);
    remember(.{ .subject = .{ .table = table }, .kind = .create, .old = 0, .new = 0 }, descriptor.len);
}

/// Gives a table more columns, or takes some away.
pub fn alterTable(descriptor: []const u8) Error!void {
    try schemaRoom(descriptor.len);
    const saved = try heap.create(table_format.Layout);
    errdefer heap.destroy(table_format.Layout, saved);
    const table, const old = try table_format.alter(descriptor);
    saved.* = old;
    remember(.{ .subject = .{ .table = table }, .kind = .alter, .old = @intFromPtr(saved), .new = 0 }, descriptor.len);
}

/// Takes a table away with all that is in it.
pub fn dropTable(number: u32) Error!void {
    try schemaRoom(0);
    const table = table_format.get(number) orelse return error.NoRelation;
    table_format.unhook(table);
    remember(.{ .subject = .{ .table = table }, .kind = .drop, .old = 0, .new = 0 }, 0);
}

/// Makes an index and hangs all rows in.
pub fn createIndex(number: u32, descriptor: []const u8) Error!void {
    try schemaRoom(descriptor.len);
    const table = table_format.get(number) orelse return error.NoRelation;
    const index = try indexes.create(table, descriptor);
    index.build() catch |err| {
        _ = indexes.unhook(index);
        indexes.destroy(index);
        return err;
    };
    remember(.{ .subject = .{ .index = index }, .kind = .create_index, .old = 0, .new = 0 }, descriptor.len);
}

/// Takes an index away.
pub fn dropIndex(number: u32, index_number: u32) Error!void {
    try schemaRoom(0);
    const table = table_format.get(number) orelse return error.NoRelation;
    const index = indexes.find(table, index_number) orelse return error.NoRelation;
    const at = indexes.unhook(index);
    remember(.{ .subject = .{ .index = index }, .kind = .drop_index, .old = at, .new = 0 }, 0);
}

/// Makes a table's foreign keys anew; `source` as `foreign_key.define` takes it. O(rows).
pub fn defineKeys(number: u32, source: []const u8) Error!void {
    try schemaRoom(0);
    const table = table_format.get(number) orelse return error.NoRelation;
    const before = try foreign_keys.define(table, source);
    remember(.{ .subject = .{ .table = table }, .kind = .keys, .old = @intFromPtr(before), .new = 0 }, 0);
}

/// The foreign keys that a `keys` replaced.
fn savedKeys(entry: Undo) ?*foreign_keys.ForeignKey {
    return @ptrFromInt(entry.old);
}

/// The layout that its table had after an entry of the undo log: what the next `alter` behind it replaced, or the
/// present one. What follows it in the log fits that layout, and perhaps no later one.
fn layoutAfter(at: usize) *const table_format.Layout {
    const table = undo[at].subject.table;
    for (undo[at + 1 .. undo_len]) |entry| {
        if (entry.kind == .alter and entry.subject.table == table) return savedLayout(entry);
    }
    return &table.layout;
}

/// The layout that an `alter` replaced.
fn savedLayout(entry: Undo) *table_format.Layout {
    return @ptrFromInt(entry.old);
}

// ---------------------------------------------------------------- the end of a transaction

/// As if nothing had happened since `to`. Cannot fail.
pub fn rollbackTo(to: Mark) void {
    if (undo_len > to.undo_len) epoch += 1;
    while (undo_len > to.undo_len) {
        undo_len -= 1;
        takeBack(undo[undo_len]);
    }
    redo_bound = to.redo_bound;
    generated = to.generated;
    flushed = to.flushed;
}

fn takeBack(entry: Undo) void {
    const new: Row = .{ .at = entry.new };
    const old: Row = .{ .at = entry.old };
    const table = entry.subject.table; // but of the kinds that are about an index
    switch (entry.kind) {
        .insert => {
            if (entry.old != 0) table.findRow(new).?.* = tree.leafOf(old) else table.tree.removeRow(new);
            table.rows -= 1;
            table.giveBack(new);
        },
        .update => {
            table.findRow(new).?.* = tree.leafOf(old);
            for (table.all()) |index| if (index.sameKey(old, new)) index.replace(old);
            old.clear(row_format.flag_dead);
            table.giveBack(new);
        },
        .delete => {
            old.clear(row_format.flag_dead);
            table.rows += 1;
        },
        .counter => table.mark = @bitCast(entry.old),
        .index => entry.subject.index.putBack(new, entry.old),
        .create => {
            table_format.unhook(table);
            table_format.destroy(table);
        },
        .alter => {
            table_format.freeLayout(&table.layout);
            table.layout = savedLayout(entry).*;
            heap.destroy(table_format.Layout, savedLayout(entry));
        },
        .drop => table_format.restore(table),
        .create_index => {
            _ = indexes.unhook(entry.subject.index);
            indexes.destroy(entry.subject.index);
        },
        .drop_index => indexes.hook(entry.subject.index, @intCast(entry.old)),
        .more => table.view.?.buffer.?.more = entry.old != 0,
        .keys => {
            const made = table.keys;
            foreign_keys.exchange(table, savedKeys(entry));
            foreign_keys.free(made);
        },
    }
}

pub fn rollback() void {
    rollbackTo(.{});
}

/// Whether this row, which the transaction found and changed, has nothing in its place now.
fn gone(table: *Table, old: Row) bool {
    return table_format.live(table.findRow(old)) == null;
}

/// Ends the transaction: hashes, redo, lsn, deltas. Cannot fail. True when it changed anything.
pub fn commit() bool {
    if (undo_len == 0) return false;
    const lsn = layout.control.lsn + 1;
    var listened_to = false;
    var record = redo.Record.begin();
    for (undo[0..undo_len], 0..) |entry, i| {
        const table = entry.subject.table; // but of the kinds that are about an index
        switch (entry.kind) {
            .insert, .update, .delete => {
                if (table.derived and !delta.isListenedTo(table)) {
                    table.touch(lsn);
                    continue;
                }
                rehash(entry);
                const change = settled(entry) orelse continue;
                if (!table.derived) switch (change.operation) {
                    .delete => record.delete(table, change.row),
                    .insert, .update => record.put(table, change.row),
                };
                table.touch(lsn);
                if (delta.isListenedTo(table)) listened_to = true;
            },
            // Several counters of one table in one transaction are one change: after the first, the marks agree.
            .counter => if (table.mark != table.committed_mark) {
                record.counter(table);
                table_format.commitMark(table);
            },
            .index, .keys, .more => {},
            .create => {
                if (!table.derived) record.created(table, layoutAfter(i).descriptor);
                table_format.enter(table);
            },
            .alter => {
                record.altered(table, layoutAfter(i).descriptor);
                table.touch(lsn); // whoever knows the rows knows them with other columns
                delta.closeAll(table);
            },
            .drop => {
                if (!table.derived) record.dropped(table);
                table_format.drop(table);
                delta.closeAll(table);
            },
            .create_index => if (!entry.subject.index.table.derived) record.indexCreated(entry.subject.index),
            .drop_index => if (!entry.subject.index.table.derived) record.indexDropped(entry.subject.index),
        }
    }
    const any = record.end();
    if (!any) untouch(lsn);
    if (listened_to) tellListeners();
    sweep();
    return any;
}

/// The tables came to nothing, but a view was read in between: its rows are new versions of what they were.
noinline fn untouch(lsn: u64) void {
    for (undo[0..undo_len]) |entry| switch (entry.kind) {
        .insert, .update, .delete => {
            const table = entry.subject.table;
            if (table.last_lsn == lsn) table.last_lsn = table.previous_lsn;
        },
        else => {},
    };
}

/// What an entry comes to at the end, if it is the one that says what has become of its key: each key that has changed
/// has exactly one.
inline fn settled(entry: Undo) ?delta.Change {
    const table = entry.subject.table;
    const new: Row = .{ .at = entry.new };
    const old: Row = .{ .at = entry.old };
    if (entry.kind != .delete and !new.has(row_format.flag_dead)) {
        return .{ .operation = if (new.has(row_format.flag_new_key)) .insert else .update, .row = new };
    }
    // Here the last version before the transaction is the one that counts.
    if (entry.kind == .insert or old.has(row_format.flag_fresh) or !gone(table, old)) return null;
    return .{ .operation = .delete, .row = old };
}

/// Brings a table's hash from the row before to the row now.
inline fn rehash(entry: Undo) void {
    const table = entry.subject.table;
    const new: Row = .{ .at = entry.new };
    const old: Row = .{ .at = entry.old };
    if (entry.kind != .delete and !new.has(row_format.flag_dead)) table.addHash(new);
    if (entry.kind != .insert and !old.has(row_format.flag_fresh)) table.subtractHash(old);
}

/// The changes of one table in the transaction that ends, those that delete first.
const Changes = struct {
    table: *const Table,
    at: usize = 0,
    deletes: bool = true,

    pub fn next(changes: *Changes) ?delta.Change {
        while (true) {
            while (changes.at < undo_len) {
                const entry = undo[changes.at];
                changes.at += 1;
                switch (entry.kind) {
                    .insert, .update, .delete => if (entry.subject.table == changes.table) {
                        const change = settled(entry) orelse continue;
                        if ((change.operation == .delete) == changes.deletes) return change;
                    },
                    else => {},
                }
            }
            if (!changes.deletes) return null;
            changes.deletes = false;
            changes.at = 0;
        }
    }
};

/// Each table once, at the first of its entries.
fn tellListeners() void {
    const lsn = layout.control.lsn;
    for (undo[0..undo_len]) |entry| switch (entry.kind) {
        .insert, .update, .delete => {
            const table = entry.subject.table;
            if (table.told_lsn == lsn or table.last_lsn != lsn or !delta.isListenedTo(table)) continue;
            table.told_lsn = lsn;
            delta.tell(table, Changes{ .table = table });
            if (table.shapes != null) selections.tell(table, undo[0..undo_len]);
        },
        else => {},
    };
}

noinline fn sweepMoves(table: *Table, old: Row, new: Row) void {
    for (table.all()) |index| if (!index.sameKey(old, new)) index.sweep(old);
}

/// Frees what the transaction replaced, and takes tombstones out of the trees.
fn sweep() void {
    for (undo[0..undo_len]) |entry| {
        const table = entry.subject.table; // but of the kinds that are about an index
        switch (entry.kind) {
            .insert => (Row{ .at = entry.new }).clear(row_format.flag_fresh | row_format.flag_new_key),
            .update => {
                const new: Row = .{ .at = entry.new };
                const old: Row = .{ .at = entry.old };
                new.clear(row_format.flag_fresh | row_format.flag_new_key);
                if (table.indexes_len > 0) sweepMoves(table, old, new);
                table.giveBack(old);
            },
            .delete => {
                const old: Row = .{ .at = entry.old };
                for (table.all()) |index| index.sweep(old);
                table.tree.removeExact(old);
                table.giveBack(old);
            },
            .counter, .index, .create, .create_index, .more => {},
            .alter => {
                table_format.freeLayout(savedLayout(entry));
                heap.destroy(table_format.Layout, savedLayout(entry));
            },
            .drop => table_format.destroy(table),
            .drop_index => indexes.destroy(entry.subject.index),
            .keys => foreign_keys.free(savedKeys(entry)),
        }
    }
    undo_len = 0;
    flushed = 0;
    redo_bound = 0;
}
