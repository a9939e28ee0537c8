//! What bridges call: the host functions of docs/abi.md behind their pointers. A bridge copies what a guest points to
//! into `staging` first and copies out of the kernel afterwards, so a stray pointer never strikes in here.

const layout = @import("layout.zig");
const row_format = @import("row.zig");
const transaction = @import("transaction.zig");
const table_format = @import("table.zig");
const cursor = @import("cursor.zig");
const batch = @import("batch.zig");
const registry = @import("registry.zig");
const views = @import("view.zig");
const natives = @import("native.zig");
const Binding = table_format.Binding;
const Error = layout.Error;
const control = &layout.control;

inline fn staged(length: u32) []const u8 {
    return layout.staging[0..length];
}

/// Outside of a call a start function runs, and the open transaction and its cursors are somebody else's.
fn callRuns() Error!void {
    if (transaction.doomed) return error.Aborted;
    if (!batch.call.active) return error.NoRelation;
}

fn bindingOf(number: u32) Error!*const Binding {
    try callRuns();
    if (number >= layout.bindings_max) return error.NoRelation;
    return registry.bindings[number] orelse error.NoRelation;
}

fn writable(number: u32) Error!*const Binding {
    const binding = try bindingOf(number);
    if (transaction.read_only) return error.ReadOnly;
    return binding;
}

/// The address of the row, or a code.
export fn guest_get(number: u32, length: u32) i64 {
    control.operation = .read;
    defer control.operation = .none;
    return get(number, length) catch |err| layout.codeOf(err);
}

fn get(number: u32, length: u32) Error!i64 {
    const binding = try bindingOf(number);
    if (@as(*const u32, @ptrCast(&layout.staging)).* != length) return error.InvalidRow; // one row, no more
    control.operation = .write;
    try views.see(binding.table);
    control.operation = .read;
    const row = try transaction.get(binding.table, staged(length)) orelse return error.NotFound;
    return @intCast(try cursor.shown(binding, row));
}

fn write(how: transaction.Write, number: u32, length: u32) i32 {
    control.operation = .write;
    defer control.operation = .none;
    const binding = writable(number) catch |err| return layout.codeOf(err);
    const count = transaction.write(how, binding, staged(length)) catch |err| return layout.codeOf(err);
    return @intCast(count);
}

export fn guest_insert(number: u32, length: u32) i32 {
    return write(.insert, number, length);
}
export fn guest_update(number: u32, length: u32) i32 {
    return write(.update, number, length);
}
export fn guest_upsert(number: u32, length: u32) i32 {
    return write(.upsert, number, length);
}

export fn guest_delete(number: u32, length: u32) i32 {
    control.operation = .write;
    defer control.operation = .none;
    const binding = writable(number) catch |err| return layout.codeOf(err);
    const count = transaction.delete(binding.table, staged(length)) catch |err| return layout.codeOf(err);
    return @intCast(count);
}

/// The address of the result, a row; 0 when there is none; or a code.
export fn guest_operate(number: u32, length: u32) i64 {
    control.operation = .write;
    defer control.operation = .none;
    return operate(number, length) catch |err| layout.codeOf(err);
}

fn operate(number: u32, length: u32) Error!i64 {
    try callRuns();
    const transition = registry.operationOf(number) orelse return error.NoRelation;
    if (transaction.read_only and !transition.query) return error.ReadOnly;
    if (@as(*const u32, @ptrCast(&layout.staging)).* != length) return error.InvalidRow; // one row, no more
    const args = try batch.checkArguments(transition, staged(length), &canonical_args);
    const at_start = transaction.mark();
    const bytes = transition.native.?.run(.{ .at = @intFromPtr(args.ptr) }, @intFromPtr(&produced)) catch |err| {
        transaction.rollbackTo(at_start);
        return err;
    };
    return if (bytes == 0) 0 else @intCast(@intFromPtr(&produced));
}

var canonical_args: batch.Arguments align(16) = undefined;
/// What the last operation said.
var produced: [natives.result_bytes_max]u8 align(16) = undefined;

export fn guest_count(number: u32) i64 {
    const binding = bindingOf(number) catch |err| return layout.codeOf(err);
    control.operation = .write;
    defer control.operation = .none;
    views.see(binding.table) catch |err| return layout.codeOf(err);
    return @intCast(binding.table.rows);
}

export fn guest_generated() i64 {
    return if (batch.call.active) transaction.generated else 0;
}

export fn guest_scan(number: u32, index: u32, flags: u32, length: u32, limit: u32) i32 {
    control.operation = .scan;
    defer control.operation = .none;
    const binding = bindingOf(number) catch |err| return layout.codeOf(err);
    if (index > binding.indexes.len) return layout.codeOf(error.NoRelation);
    const walked = if (index == 0) null else binding.indexes[index - 1];
    if (flags > cursor.flags_of_guests) return layout.codeOf(error.InvalidRow);
    views.see(binding.table) catch |err| return layout.codeOf(err);
    const opened = cursor.open(binding, walked, flags, staged(length), limit) catch |err| return layout.codeOf(err);
    return @intCast(opened);
}

/// Bytes of the page, which lies at `guest_page()`; more than `capacity`: nothing was taken, so much is needed.
export fn guest_next(number: u32, capacity: u32) i32 {
    control.operation = .scan;
    defer control.operation = .none;
    callRuns() catch |err| return layout.codeOf(err);
    const got = cursor.next(number, cursor.staged_page[0..@min(capacity, cursor.staged_page.len)]) catch |err| return layout.codeOf(err);
    return @intCast(@max(got.bytes, got.needed));
}

export fn guest_page() u64 {
    return @intFromPtr(&cursor.staged_page);
}

export fn guest_close(number: u32) i32 {
    callRuns() catch |err| return layout.codeOf(err);
    cursor.close(number) catch |err| return layout.codeOf(err);
    return 0;
}

export fn guest_result(length: u32) i32 {
    control.operation = .message;
    defer control.operation = .none;
    if (transaction.doomed) return layout.codeOf(error.Aborted);
    batch.setResult(staged(length)) catch |err| return layout.codeOf(err);
    return 0;
}

export fn guest_abort(code: i32, length: u32) i32 {
    control.operation = .message;
    defer control.operation = .none;
    batch.setAbort(code, staged(length));
    return layout.codeOf(error.Aborted);
}

export fn guest_log(level: u32, length: u32) i32 {
    control.operation = .message;
    defer control.operation = .none;
    if (transaction.doomed) return layout.codeOf(error.Aborted);
    batch.writeLog(level, staged(length));
    return 0;
}

export fn guest_now() i64 {
    return control.time;
}

export fn guest_random() i64 {
    return @bitCast(batch.random());
}
