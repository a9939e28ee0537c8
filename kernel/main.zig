//! The kernel: all state of a database and all that must be fast. No I/O, no clock, no randomness.
//!
//! Here is what the host calls. A write's path: `execute` (batch.zig) → guest → `guest_update` (guest.zig) → `write`
//! (transaction.zig) → the tree (tree.zig) → `commit` (transaction.zig) → the record (redo.zig).
//!
//! Functions that may fail return a code of layout.zig; addresses and lengths go through the control block.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const cursor = @import("cursor.zig");
const indexes = @import("index.zig");
const delta = @import("delta.zig");
const selections = @import("selection.zig");
const redo = @import("redo.zig");
const registry = @import("registry.zig");
const batch = @import("batch.zig");
const calls = @import("calls.zig");
const verification = @import("verify.zig");
const guest = @import("guest.zig");
const lookup = @import("lookup.zig");
const views = @import("view.zig");
const closing = @import("closing.zig");
const foreign_keys = @import("foreign_key.zig");
const queries = @import("query.zig");
const evaluate = @import("evaluate.zig");

const control = &layout.control;

comptime {
    _ = guest; // its exports
    _ = lookup;
    _ = evaluate;
}

fn given(length: u64) layout.Error![]const u8 {
    if (length > layout.input_bytes_max) return error.LimitReached;
    return layout.input[0..@intCast(length)];
}

/// The control block. First call of all.
export fn open() u64 {
    return @intFromPtr(layout.open());
}

// ---------------------------------------------------------------- batches

export fn execute(length: u64, time: i64, seed: u64, budget: u64) u32 {
    return @backingInt(batch.execute(@intCast(length), time, seed, budget));
}

/// A batch of one call, in one crossing: what it says is in one word, with the highest bit set so that a caller can tell
/// it from what lies there when wasm traps. Bits 0-7: progress; 8: there is redo; 9: there is much; 10: log lines; 12: deltas.
export fn execute_one(length: u64, time_ns: i64, seed: u64) i64 {
    control.output_len = 0;
    const time = @divFloor(time_ns, 1000);
    const progress: u64 = @backingInt(batch.execute(@intCast(length), time, seed, 1));
    const redo_waits: u64 = @intFromBool(control.redo_len > 0);
    const redo_presses: u64 = @intFromBool(control.redo_len > redo_hand_over);
    const log_waits: u64 = @intFromBool(control.log_len > 0);
    const deltas_wait: u64 = @intFromBool(control.delta_len > 0 or control.delta_lost > 0);
    const waits = redo_waits << 8 | redo_presses << 9 | log_waits << 10 | deltas_wait << 12;
    return @bitCast(@as(u64, 1) << 63 | progress | waits);
}

/// So much redo is handed over without waiting for the log to ask.
const redo_hand_over = 64 << 10;

fn resumeBatch(budget: u64) callconv(.c) u32 {
    return @backingInt(batch.proceed(budget));
}
comptime {
    @export(&resumeBatch, .{ .name = "resume" });
}

export fn abandon(reason: i32) u32 {
    return batch.abandon(reason);
}

export fn retry() u32 {
    return batch.retry();
}

/// Reads a frame of calls (calls.zig): the length of what lies in the output then, 0 when the host must read it.
export fn read_calls(length: u64) u64 {
    const frame = given(length) catch return 0;
    return calls.read(frame.len) orelse 0;
}

/// Makes outcomes of such calls messages: the length of what lies in the output then.
export fn reply_to_calls(heads: u64, length: u64) u64 {
    return calls.reply(@intCast(heads), @intCast(length));
}

/// Which transition a frame of one call (calls.zig) is for; `none`: it is odd, and the host must read it.
export fn read_lone(length: u64) u32 {
    const frame = given(length) catch return layout.none_u32;
    const lone = calls.readLone(frame.len) orelse return layout.none_u32;
    return lone.transition;
}

/// Reads such a frame and is `execute_one` for it, and its answer, too: in bits 16-31 the length of its message, 0 when the
/// host must word it; from bit 32 on its transition. When it is odd nothing has happened, and it says so as progress 5.
export fn answer_lone(length: u64, time_ns: i64, seed: u64) i64 {
    const odd: i64 = @bitCast(@as(u64, 1) << 63 | 5);
    const frame = given(length) catch return odd;
    const lone = calls.readLone(frame.len) orelse return odd;
    const said = execute_one(lone.batch_bytes, time_ns, seed) | @as(i64, lone.transition) << 32;
    if (said & 0xff != @backingInt(batch.Progress.done)) return said;
    return said | @as(i64, calls.replyLone(lone.transition)) << 16;
}

// ---------------------------------------------------------------- a transaction of the host's

export fn begin(time: i64, query: u32) i32 {
    if (batch.host_open) return layout.codeOf(error.LimitReached);
    control.time = @max(control.time, time);
    batch.call = .{};
    savepoints_len = 0;
    transaction.begin(query != 0);
    cursor.begin();
    batch.host_open = true;
    return 0;
}

/// 0, or a code: then nothing has been committed, the transaction is still open, and an outcome in the output says more.
export fn commit() i32 {
    control.operation = .write;
    defer control.operation = .none;
    closing.check() catch |err| {
        batch.tellHost(err);
        return layout.codeOf(err);
    };
    control.operation = .commit;
    redo.cause = .{};
    _ = transaction.commit();
    cursor.closeAll();
    batch.host_open = false;
    return 0;
}

/// Whether it could commit, as `commit` says it; nothing of it is undone or done.
export fn check_commit() i32 {
    control.operation = .write;
    defer control.operation = .none;
    closing.check() catch |err| {
        batch.tellHost(err);
        return layout.codeOf(err);
    };
    return 0;
}

export fn rollback() void {
    control.operation = .rollback;
    defer control.operation = .none;
    transaction.rollback();
    cursor.closeAll();
    batch.host_open = false;
    batch.call.active = false;
}

/// Opens a part of the transaction that can be undone alone. 0, or a code.
export fn savepoint() i32 {
    if (savepoints_len == savepoints_max) return layout.codeOf(error.LimitReached);
    savepoints[savepoints_len] = transaction.mark();
    savepoints_len += 1;
    return 0;
}

/// Ends the innermost part, keeping or undoing what it did.
export fn release(undo: u32) void {
    control.operation = .rollback;
    defer control.operation = .none;
    savepoints_len -= 1;
    if (undo != 0) transaction.rollbackTo(savepoints[savepoints_len]);
}

const savepoints_max = 64;
var savepoints: [savepoints_max]transaction.Mark = undefined;
var savepoints_len: usize = 0;

export fn call(transition: u32, length: u64, seed: u64) i32 {
    batch.callNested(transition, @intCast(length), seed) catch |err| return layout.codeOf(err);
    return 0;
}

/// The input: positions of the rows' columns in the table, u16 each, padded to 8 bytes; then the rows.
export fn write(how: u32, number: u32, columns: u32, length: u64) i32 {
    control.operation = .write;
    defer control.operation = .none;
    control.fault_index = 0;
    const written = writeRows(how, number, columns, length) catch |err| return layout.codeOf(err);
    return @intCast(written);
}

fn writeRows(how: u32, number: u32, columns: u32, length: u64) layout.Error!u32 {
    if (!batch.host_open or how > 2) return error.NoRelation;
    if (transaction.read_only) return error.ReadOnly;
    const table = table_format.get(number) orelse return error.NoRelation;
    const source = try given(length);
    if (columns > layout.columns_max) return error.InvalidRow;
    const rows_at = row_format.padded(2 * @as(usize, columns));
    if (source.len < rows_at) return error.InvalidRow;
    const positions: [*]const u16 = @ptrCast(@alignCast(source.ptr));
    const binding = try registry.makeBinding(table, positions[0..columns]);
    defer registry.freeBinding(binding);
    return transaction.write(@fromBackingInt(@intCast(how)), binding, source[rows_at..]);
}

export fn delete(number: u32, length: u64) i32 {
    control.operation = .write;
    defer control.operation = .none;
    control.fault_index = 0;
    const deleted = deleteRows(number, length) catch |err| return layout.codeOf(err);
    return @intCast(deleted);
}

fn deleteRows(number: u32, length: u64) layout.Error!u32 {
    if (!batch.host_open) return error.NoRelation;
    if (transaction.read_only) return error.ReadOnly;
    const table = table_format.get(number) orelse return error.NoRelation;
    return transaction.delete(table, try given(length));
}

export fn count(number: u32) i64 {
    const table = table_format.get(number) orelse return layout.codeOf(error.NoRelation);
    views.see(table) catch |err| return layout.codeOf(err);
    return @intCast(table.rows);
}

/// Bytes of the heap that the rows of a table take.
export fn row_bytes(number: u32) i64 {
    const table = table_format.get(number) orelse return layout.codeOf(error.NoRelation);
    return @intCast(table.row_bytes);
}

/// Bytes of the heap that an index takes besides the rows. `index`: its number, 0 for the primary key.
export fn index_bytes(number: u32, index: u32) i64 {
    const table = table_format.get(number) orelse return layout.codeOf(error.NoRelation);
    if (index == 0) return @intCast(table.tree.node_bytes);
    const found = indexes.find(table, index) orelse return layout.codeOf(error.NoRelation);
    return @intCast(found.tree.node_bytes);
}

export fn generated() i64 {
    return transaction.generated;
}

/// `index`: the number of a secondary index, 0 for the primary key.
export fn scan(number: u32, index: u32, flags: u32, length: u64, limit: u64) i32 {
    control.operation = .scan;
    defer control.operation = .none;
    control.fault_index = 0;
    const table = table_format.get(number) orelse return layout.codeOf(error.NoRelation);
    const bounds = given(length) catch |err| return layout.codeOf(err);
    const walked = if (index == 0) null else indexes.find(table, index) orelse return layout.codeOf(error.NoRelation);
    views.see(table) catch |err| return layout.codeOf(err);
    const binding = if (flags & cursor.flag_stored != 0) &table.layout.stored else &table.layout.visible;
    const opened = cursor.open(binding, walked, flags & ~cursor.flag_stored, bounds, limit) catch |err| return layout.codeOf(err);
    return @intCast(opened);
}

/// A page of at most about `bytes` into the output; its length, or a code.
export fn next(number: u32, bytes: u64) i64 {
    control.operation = .scan;
    defer control.operation = .none;
    var page = cursor.next(number, layout.output[0..@min(bytes, layout.output.len)]) catch |err| return layout.codeOf(err);
    if (page.needed > 0) page = cursor.next(number, &layout.output) catch |err| return layout.codeOf(err);
    return @intCast(page.bytes);
}

export fn close(number: u32) i32 {
    cursor.close(number) catch |err| return layout.codeOf(err);
    return 0;
}

// ---------------------------------------------------------------- schema and modules

/// Inside a transaction of the host's: logged with it. Outside: a table of the system's own, there from the start.
export fn create_table(length: u64) i32 {
    control.operation = .write;
    defer control.operation = .none;
    const source = given(length) catch |err| return layout.codeOf(err);
    if (batch.host_open) {
        transaction.createTable(source) catch |err| return layout.codeOf(err);
    } else table_format.enter(table_format.create(source) catch |err| return layout.codeOf(err));
    return 0;
}

/// A derived table for the length of one query, also while a transaction is open: nothing undoes it. One of the same
/// number that was left over goes.
export fn create_temporary(length: u64) i32 {
    control.operation = .write;
    defer control.operation = .none;
    const source = given(length) catch |err| return layout.codeOf(err);
    if (source.len >= 4) discard_temporary(std.mem.readInt(u32, source[0..4], .little));
    const table = table_format.create(source) catch |err| return layout.codeOf(err);
    if (table.derived) return 0;
    discard(table);
    return layout.codeOf(error.InvalidRow);
}

/// Takes such a table away, and what makes it; nothing happens when it is not there.
export fn discard_temporary(number: u32) void {
    const table = table_format.get(number) orelse return;
    if (table.derived) discard(table);
}

/// Takes a part of what was followed away. A code: the open transaction has written, and may have to undo what it wrote there.
export fn discard_private_view(number: u32) i32 {
    if (transaction.changed()) return layout.codeOf(error.LimitReached);
    discard_temporary(number);
    return 0;
}

fn discard(table: *table_format.Table) void {
    delta.closeAll(table);
    table_format.unhook(table);
    table_format.destroy(table);
}

/// The input: the table's new descriptor.
export fn alter_table(length: u64) i32 {
    const source = given(length) catch |err| return layout.codeOf(err);
    return changeSchema(transaction.alterTable, .{source});
}

export fn drop_table(number: u32) i32 {
    return changeSchema(transaction.dropTable, .{number});
}

/// The input: the index's descriptor. O(rows).
export fn create_index(number: u32, length: u64) i32 {
    const source = given(length) catch |err| return layout.codeOf(err);
    return changeSchema(transaction.createIndex, .{ number, source });
}

export fn drop_index(number: u32, index: u32) i32 {
    return changeSchema(transaction.dropIndex, .{ number, index });
}

fn changeSchema(comptime change: anytype, arguments: anytype) i32 {
    control.operation = .write;
    defer control.operation = .none;
    if (!batch.host_open) return layout.codeOf(error.NoRelation);
    const at_start = transaction.mark();
    @call(.auto, change, arguments) catch |err| {
        transaction.rollbackTo(at_start);
        return layout.codeOf(err);
    };
    return 0;
}

/// The input: programs of a table's constraints (`Table.defineChecks`).
export fn define_checks(number: u32, length: u64) i32 {
    const table = table_format.get(number) orelse return layout.codeOf(error.NoRelation);
    const source = given(length) catch |err| return layout.codeOf(err);
    table_format.defineChecks(table, source) catch |err| return layout.codeOf(err);
    return 0;
}

/// The input: a table's foreign keys, all of them (`foreign_key.define`). Outside of a transaction it has none so far: it is
/// being recovered. O(rows). A refusal for a row leaves an outcome in the output.
export fn define_foreign_keys(number: u32, length: u64) i32 {
    control.operation = .write;
    defer control.operation = .none;
    defineForeignKeys(number, length) catch |err| {
        batch.tellHost(err);
        return layout.codeOf(err);
    };
    return 0;
}

fn defineForeignKeys(number: u32, length: u64) layout.Error!void {
    const source = try given(length);
    if (batch.host_open) return transaction.defineKeys(number, source);
    const table = table_format.get(number) orelse return error.NoRelation;
    foreign_keys.free(try foreign_keys.define(table, source));
}

/// The input: the plan of a view, whose table is there and empty. O(rows of its inputs).
export fn define_view(number: u32, length: u64) i32 {
    control.operation = .write;
    defer control.operation = .none;
    const source = given(length) catch |err| return layout.codeOf(err);
    views.define(number, source, !batch.host_open, 0) catch |err| return layout.codeOf(err);
    return 0;
}

/// The same for a part of what somebody follows who has no view of it (`View.owner`); not while a transaction is open.
export fn define_private_view(number: u32, length: u64, owner: u32) i32 {
    control.operation = .write;
    defer control.operation = .none;
    if (batch.host_open) return layout.codeOf(error.NoRelation);
    const source = given(length) catch |err| return layout.codeOf(err);
    views.define(number, source, false, owner) catch |err| return layout.codeOf(err);
    return 0;
}

/// How many rows came into a view, and how many of its rows changed, since it was made or opened; two words to the output.
export fn view_counters(number: u32) i32 {
    const view = views.find(number) orelse return layout.codeOf(error.NoRelation);
    std.mem.writeInt(u64, layout.output[0..8], view.rows_in, .little);
    std.mem.writeInt(u64, layout.output[8..16], view.rows_out, .little);
    return 0;
}

// ---------------------------------------------------------------- queries

/// The input: a plan, to be kept under a number. 1: it finds at most one row, and `find_row` runs it; 0, or a code.
export fn define_query(number: u32, length: u64) i32 {
    const source = given(length) catch |err| return layout.codeOf(err);
    control.fault_index = 0;
    queries.define(number, source) catch |err| return layout.codeOf(err);
    return @intFromBool(queries.isPointAt(number));
}

export fn forget_query(number: u32) void {
    queries.forget(number);
}

/// Runs a query. The input: the row of its parameters. The first page of its answer goes to the output: its length, with
/// `more_follows` when there are further ones; or a code.
export fn run_query(number: u32, length: u64, limit: u64, offset: u64) i64 {
    control.operation = .scan;
    defer control.operation = .none;
    const parameters = given(length) catch |err| return layout.codeOf(err);
    control.fault_index = 0;
    queries.run(number, parameters, limit, offset) catch |err| return layout.codeOf(err);
    return nextPage();
}

/// The next page of the answer; 0 at its end.
export fn query_page() i64 {
    control.operation = .scan;
    defer control.operation = .none;
    return nextPage();
}

fn nextPage() i64 {
    const length: i64 = @intCast(queries.page(&layout.output) catch |err| return layout.codeOf(err));
    if (queries.left() > 0) return length | more_follows;
    queries.end();
    return length;
}

const more_follows: i64 = 1 << 40;

export fn end_query() void {
    queries.end();
}

export fn define_binding(number: u32, length: u64) i32 {
    const source = given(length) catch |err| return layout.codeOf(err);
    registry.defineBinding(number, source) catch |err| return layout.codeOf(err);
    return 0;
}

export fn define_transition(number: u32, length: u64) i32 {
    const source = given(length) catch |err| return layout.codeOf(err);
    registry.defineTransition(number, source) catch |err| return layout.codeOf(err);
    return 0;
}

/// The input: what a transition that is defined runs in place of a guest (`native.Native.read`).
export fn define_native(number: u32, length: u64) i32 {
    const source = given(length) catch |err| return layout.codeOf(err);
    registry.defineNative(number, source) catch |err| return layout.codeOf(err);
    return 0;
}

/// Binds an operation of a module to such a transition; 0 forgets it.
export fn define_operation(number: u32, transition: u32) i32 {
    registry.defineOperation(number, transition) catch |err| return layout.codeOf(err);
    return 0;
}

// ---------------------------------------------------------------- deltas

/// From now on, or no longer, each commit that changes the table leaves a chunk.
export fn watch(number: u32, on: u32) i32 {
    const table = table_format.get(number) orelse return layout.codeOf(error.NoRelation);
    table.watched = on != 0;
    return 0;
}

/// The last commit that changed rows or columns of the table.
export fn last_lsn(number: u32) i64 {
    const table = table_format.get(number) orelse return layout.codeOf(error.NoRelation);
    return @intCast(table.last_lsn);
}

/// Writes the hash of a table's rows, hidden columns and all, to the output: 16 bytes.
export fn table_hash(number: u32) i32 {
    const table = table_format.get(number) orelse return layout.codeOf(error.NoRelation);
    for (table.hash, 0..) |word, i| std.mem.writeInt(u64, layout.output[8 * i ..][0..8], word, .little);
    return 0;
}

/// Begins to read a table a little at a time. The walk's number, or a code.
export fn walk_open(number: u32) i32 {
    const table = table_format.get(number) orelse return layout.codeOf(error.NoRelation);
    if (views.isBroken(table)) return layout.codeOf(error.NoRelation);
    return @intCast(delta.open(table, null) catch |err| return layout.codeOf(err));
}

/// The input: a select of one table that may be followed with values (selection.zig).
export fn define_shape(number: u32, length: u64) i32 {
    const source = given(length) catch |err| return layout.codeOf(err);
    selections.define(number, source) catch |err| return layout.codeOf(err);
    return 0;
}

export fn forget_shape(number: u32) void {
    selections.forget(number);
}

/// From now on each commit that changes what such a select shows leaves a chunk. The input: the row of its values.
export fn open_selection(number: u32, shape: u32, length: u64) i32 {
    control.fault_index = 0;
    const values = given(length) catch |err| return layout.codeOf(err);
    selections.open(number, shape, values) catch |err| return layout.codeOf(err);
    return 0;
}

export fn close_selection(number: u32) void {
    selections.close(number);
}

/// `walk_open` for a selection.
export fn walk_selection(number: u32) i32 {
    const selection = selections.find(number) orelse return layout.codeOf(error.NoRelation);
    return @intCast(delta.open(selection.shape.table, selection) catch |err| return layout.codeOf(err));
}

/// Reads about so many bytes on, as a chunk. 1: that was the end; 0, or a code.
export fn walk_step(walk: u32, bytes: u64) i32 {
    control.operation = .scan;
    defer control.operation = .none;
    if (batch.host_open) return layout.codeOf(error.LimitReached);
    return @intFromBool(delta.step(walk, @intCast(bytes)) catch |err| return layout.codeOf(err));
}

export fn walk_close(walk: u32) void {
    delta.close(walk);
}

// ---------------------------------------------------------------- recovery and checks

/// Applies records of the log that lie in the redo buffer, which is large enough for any. How many, or −1: malformed,
/// −12: out of memory.
export fn replay(length: u64) i64 {
    if (length > layout.redo.len or control.redo_len != 0) return -1;
    return redo.replay(layout.redo[0..@intCast(length)]) catch |err| switch (err) {
        error.OutOfMemory => layout.codeOf(error.OutOfMemory),
        else => -1,
    };
}

/// Builds the secondary indexes: the log has been replayed. 0, or a code.
export fn build_indexes() i32 {
    indexes.buildAll() catch |err| return layout.codeOf(err);
    return 0;
}

/// Puts the hash of the whole state into the control block.
export fn hash_state() void {
    control.state_hash = table_format.state;
}

/// Where the memory that is in use ends: so much has to move to a fresh store.
export fn end() u64 {
    return heap.end();
}

/// 0, or the length of a text in the output that says what is wrong.
export fn verify() u64 {
    return verification.verify(&layout.output);
}

test {
    _ = @import("heap.zig");
    _ = @import("row.zig");
    _ = @import("json.zig");
    _ = @import("msgpack.zig");
    _ = @import("key.zig");
    _ = @import("cell.zig");
    _ = @import("scratch.zig");
    _ = @import("scalar_number.zig");
    _ = @import("number_text.zig");
    _ = @import("scalar_text.zig");
    _ = @import("scalar_like.zig");
    _ = @import("scalar_time.zig");
    _ = @import("scalar_json.zig");
    _ = @import("evaluate.zig");
    _ = @import("tree.zig");
    _ = @import("arena.zig");
    _ = @import("exact_sum.zig");
    _ = @import("exact_ratio.zig");
    _ = @import("variance.zig");
    _ = @import("percentile.zig");
    _ = @import("listing.zig");
    _ = @import("groups.zig");
    _ = @import("tests.zig");
}
