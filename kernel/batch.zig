//! The batch loop: calls, their transactions, their outcomes; and the one call inside a transaction of the host's.
//!
//! What is always true here: whatever the host must find again after a trap lies in memory (`loop`, `call`), never only
//! on the wasm stack, because a trap in a guest unwinds every kernel frame below it.
//!
//! A batch is a list of runs: `transition u32, count u32` and so many rows of arguments; count 0xffffffff stands for all
//! rows up to the end. An outcome is a head (`Outcome`) and a payload: the result row, or an abort's message.

const std = @import("std");
const builtin = @import("builtin");
const layout = @import("layout.zig");
const row_format = @import("row.zig");
const transaction = @import("transaction.zig");
const cursor = @import("cursor.zig");
const redo = @import("redo.zig");
const registry = @import("registry.zig");
const closing = @import("closing.zig");
const natives = @import("native.zig");
const Row = row_format.Row;
const Transition = registry.Transition;
const control = &layout.control;

pub const Status = enum(u32) { committed = 0, aborted = 1, trapped = 2, refused = 3 };

/// `code` of a trapped call: the host gives others for traps.
const reason_no_result = -1;

pub const Outcome = extern struct { status: Status, code: i32, lsn: u64, length: u32, reserved: u32 };

/// What `execute` and `resume` say.
pub const Progress = enum(u32) { done = 0, yielded = 1, malformed = 2, unknown_transition = 3, busy = 4 };

const Loop = struct { at: usize = 0, end: usize = 0, transition: u32 = 0, left: u32 = 0, seed: u64 = 0 };
var loop: Loop = .{};

/// The call that runs.
const Call = struct {
    active: bool = false,
    /// Inside a transaction of the host's: the call's end is not the transaction's.
    nested: bool = false,
    transition: *Transition = undefined,
    start: transaction.Mark = .{},
    was: Counters = .{},
    abort_code: i32 = 0,
    payload: u32 = 0, // bytes of result or message
    has_result: bool = false,
    args_bytes: usize = 0,
};
pub var call: Call = .{};

/// What is a transition's own, also inside a transaction of the host's.
const Counters = struct {
    read_only: bool = false,
    rows_written: u64 = 0,
    rows_written_max: u64 = 0,
    rows_scanned: u64 = 0,
    rows_scanned_max: u64 = 0,
};

pub var random_state: u64 = 0;
var serial: u64 = 0;

/// A transaction of the host's is open.
pub var host_open = false;

const dispatch = if (builtin.target.cpu.arch.isWasm()) struct {
    extern "dispatch" fn enter(transition: u32) i32;
    extern "dispatch" fn deep(never: u32) void;
} else struct {
    var enter_test: *const fn (u32) i32 = undefined;
    fn enter(transition: u32) i32 {
        return enter_test(transition);
    }
    fn deep(never: u32) void {
        _ = never;
    }
};

/// Traps when a guest that runs has left too little stack for the deepest of what the kernel does. Nothing has changed
/// then: whoever looks finds a read that did not come to its end.
pub fn makeSureOfStack() void {
    if (control.running == 0) return;
    const operation = control.operation;
    control.operation = .read;
    dispatch.deep(0);
    control.operation = operation;
}

// ---------------------------------------------------------------- batches

pub fn execute(length: usize, time: i64, seed: u64, budget: u64) Progress {
    if (host_open) return .busy;
    if (call.active) abandonLeftOver();
    const problem = survey(length);
    if (problem != .done) return problem;
    loop = .{ .end = length, .seed = seed };
    control.time = @max(control.time, time);
    control.calls_done = 0;
    return proceed(budget);
}

/// An exception between a trap and `abandon` left a call behind.
fn abandonLeftOver() void {
    transaction.rollback();
    cursor.closeAll();
    leave();
    control.operation = .none;
}

/// No call runs any more: a start function that runs now finds nothing of the last one's, and draws the same numbers
/// whenever it runs.
fn leave() void {
    call.active = false;
    control.running = 0;
    control.args_len = 0;
    transaction.doomed = false;
    random_state = 0;
}

/// Reads through all heads, so that a malformed batch is refused before any of it has run.
fn survey(length: usize) Progress {
    var at: usize = 0;
    if (length > layout.input_bytes_max) return .malformed;
    while (at < length) {
        if (length - at < 8) return .malformed;
        const transition = readU32(at);
        var left = readU32(at + 4);
        at += 8;
        if (transition >= layout.transitions_max or registry.transitions[transition] == null) return .unknown_transition;
        while (left > 0 and !(left == layout.none_u32 and at == length)) {
            if (length - at < row_format.head_bytes) return .malformed;
            const size = readU32(at);
            if (size % 8 != 0 or size < row_format.head_bytes or size > length - at) return .malformed;
            at += size;
            if (left != layout.none_u32) left -= 1;
        }
    }
    return .done;
}

fn readU32(at: usize) u32 {
    return std.mem.readInt(u32, layout.input[at..][0..4], .little);
}

/// Runs calls until all are done, the budget of calls is used up or a buffer is full enough.
pub fn proceed(budget: u64) Progress {
    var left = budget;
    while (true) {
        while (loop.left == 0 or (loop.left == layout.none_u32 and loop.at == loop.end)) {
            if (loop.at == loop.end) return .done;
            loop.transition = readU32(loop.at);
            loop.left = readU32(loop.at + 4);
            loop.at += 8;
        }
        const full = control.redo_len > layout.redo_mark or control.output_len > layout.output_mark;
        if (left == 0 or full or control.delta_len > layout.delta_mark) return .yielded;
        left -= 1;
        runOne(registry.transitions[loop.transition].?);
    }
}

fn runOne(transition: *Transition) void {
    const size = readU32(loop.at);
    call = .{ .transition = transition, .args_bytes = size };
    const args = checkArguments(transition, layout.input[loop.at..][0..size], &canonical_args) catch |err| {
        settle(.refused, layout.codeOf(err), 0);
        return;
    };
    begin(transition);
    enter(transition, args);
}

pub const Arguments = [layout.row_bytes_max]u8;

/// The arguments as the transition gets them: as they came, or a copy with canonical JSON, which lies in `canonical`.
pub fn checkArguments(transition: *const Transition, source: []const u8, canonical: *align(16) Arguments) layout.Error![]const u8 {
    var column: u32 = 0;
    if (transition.params.isPlain(source)) return source;
    const checked = row_format.checkTypes(source, transition.params.types, &column) catch |err| {
        layout.fault(layout.none_u32, column, 0);
        return err;
    };
    for (transition.params_nullable, 0..) |nullable, i| if (!nullable and checked.row.isNull(i)) {
        layout.fault(layout.none_u32, @intCast(i), 0);
        return error.NotNull;
    };
    if (!checked.loose_json) return source;
    const made = try row_format.checkCanonical(source, transition.params.types, &column);
    @memcpy(canonical[0..made.row.length()], made.row.bytes());
    return canonical[0..made.row.length()];
}

var canonical_args: Arguments align(16) = undefined;

fn begin(transition: *const Transition) void {
    transaction.begin(transition.query);
    transaction.rows_written_max = transition.rows_written_max;
    cursor.begin();
    cursor.rows_scanned_max = transition.rows_scanned_max;
}

fn enter(transition: *Transition, args: []const u8) void {
    serial += 1;
    random_state = row_format.finish(loop.seed +% serial *% 0x9e37_79b9_7f4a_7c15);
    control.args_at = @intFromPtr(args.ptr);
    control.args_len = args.len;
    control.transition = transition.number;
    call.active = true;
    if (transition.native) |*native| return runNative(native, args);
    control.running = serial;
    const code = dispatch.enter(transition.number);
    control.running = 0;
    returned(code);
}

/// The kernel itself is what runs: no guest, and nothing that could run for too long.
fn runNative(native: *const natives.Native, args: []const u8) void {
    control.operation = .write;
    const length = native.run(.{ .at = @intFromPtr(args.ptr) }, payloadAt()) catch |err| {
        call.payload = closing.tell(payloadAt(), err);
        return undo(.refused, layout.codeOf(err));
    };
    control.operation = .none;
    call.payload = @intCast(length);
    call.has_result = true;
    returned(0);
}

/// The guest returned.
fn returned(code: i32) void {
    if (transaction.doomed) return undo(.aborted, call.abort_code);
    if (code != 0) {
        call.payload = 0;
        return undo(.aborted, code);
    }
    if (call.transition.results.types.len > 0 and !call.has_result) return undo(.trapped, reason_no_result);
    if (!call.nested) {
        control.operation = .write;
        closing.check() catch |err| {
            call.payload = closing.tell(payloadAt(), err);
            return undo(.refused, layout.codeOf(err));
        };
        redo.cause = .{ .transition = call.transition.number, .types = call.transition.params.types };
        if (!call.transition.secret) redo.cause.args = .{ .at = control.args_at };
        control.operation = .commit;
        _ = transaction.commit();
        control.operation = .none;
        cursor.closeAll();
    } else endNested();
    settle(.committed, 0, call.payload);
}

fn undo(status: Status, code: i32) void {
    control.operation = .rollback;
    if (call.nested) {
        transaction.rollbackTo(call.start);
        endNested();
    } else {
        transaction.rollback();
        cursor.closeAll();
    }
    control.operation = .none;
    settle(status, code, if (status == .trapped) 0 else call.payload);
}

/// Writes the outcome's head before its payload, which is there already.
fn settle(status: Status, code: i32, payload: u32) void {
    const at = control.output_len;
    const head: *Outcome = @ptrCast(@alignCast(&layout.output[at]));
    head.* = .{ .status = status, .code = code, .lsn = control.lsn, .length = payload, .reserved = 0 };
    control.output_len = at + @sizeOf(Outcome) + row_format.padded(payload);
    leave();
    if (!call.nested) {
        loop.at += call.args_bytes;
        control.consumed = loop.at;
        if (loop.left != layout.none_u32) loop.left -= 1;
        control.calls_done += 1;
    }
}

/// A transaction of the host's could not be committed: the outcome of that, at the start of the output, and nothing is
/// undone yet.
pub fn tellHost(err: layout.Error) void {
    const head: *Outcome = @ptrCast(@alignCast(&layout.output));
    const length = closing.tell(@intFromPtr(&layout.output) + @sizeOf(Outcome), err);
    head.* = .{ .status = .refused, .code = layout.codeOf(err), .lsn = control.lsn, .length = length, .reserved = 0 };
}

/// Room for a result or a message, behind the outcome that is to come.
fn payloadAt() u64 {
    return @intFromPtr(&layout.output) + control.output_len + @sizeOf(Outcome);
}

/// Ends the call that a trap or a deadline cut short, as if it had never been. 0; 1: the trap struck inside the kernel;
/// 2: no call was running.
pub fn abandon(reason: i32) u32 {
    if (control.operation != .none) return 1;
    if (!call.active) return 2;
    control.running = 0;
    if (transaction.doomed) undo(.aborted, call.abort_code) else undo(.trapped, reason);
    return 0;
}

/// Undoes the running call so that `resume` runs it again: it was struck in another one's place. As `abandon`.
pub fn retry() u32 {
    if (control.operation != .none) return 1;
    if (!call.active) return 2;
    control.running = 0;
    serial -= 1; // the same random numbers again
    if (call.nested) {
        transaction.rollbackTo(call.start);
        endNested();
    } else {
        transaction.rollback();
        cursor.closeAll();
    }
    leave();
    return 0;
}

// ---------------------------------------------------------------- one call inside a transaction of the host's

/// Arguments are the first `length` bytes of the input.
pub fn callNested(number: u32, length: usize, seed: u64) layout.Error!void {
    if (!host_open) return error.NoRelation;
    if (number >= layout.transitions_max or length > layout.input_bytes_max) return error.NoRelation;
    const transition = registry.transitions[number] orelse return error.NoRelation;
    const args = try checkArguments(transition, layout.input[0..length], &canonical_args);
    if (transaction.read_only and !transition.query) return error.ReadOnly;
    const was: Counters = .{
        .read_only = transaction.read_only,
        .rows_written = transaction.rows_written,
        .rows_written_max = transaction.rows_written_max,
        .rows_scanned = cursor.rows_scanned,
        .rows_scanned_max = cursor.rows_scanned_max,
    };
    transaction.read_only = transition.query;
    transaction.rows_written = 0;
    transaction.rows_written_max = transition.rows_written_max;
    cursor.rows_scanned = 0;
    cursor.rows_scanned_max = transition.rows_scanned_max;
    cursor.nested = true;
    loop.seed = seed;
    call = .{
        .transition = transition,
        .args_bytes = length,
        .nested = true,
        .start = transaction.mark(),
        .was = was,
    };
    enter(transition, args);
}

/// Puts back what is the host's. Not at the end of `callNested`: a trap would unwind it.
fn endNested() void {
    transaction.read_only = call.was.read_only;
    transaction.rows_written = call.was.rows_written;
    transaction.rows_written_max = call.was.rows_written_max;
    cursor.rows_scanned = call.was.rows_scanned;
    cursor.rows_scanned_max = call.was.rows_scanned_max;
    cursor.closeNested();
}

// ---------------------------------------------------------------- what the running call says

pub fn setResult(source: []const u8) layout.Error!void {
    if (!call.active or call.transition.results.types.len == 0) return error.InvalidRow;
    var column: u32 = 0;
    const checked = try row_format.check(source, &call.transition.results, &column);
    for (call.transition.results_nullable, 0..) |nullable, i| {
        if (!nullable and checked.row.isNull(i)) return error.NotNull;
    }
    const length = row_format.padded(row_format.fixedBytes(call.transition.results.types.len) + checked.tail_bytes);
    if (length > call.transition.result_bytes_max) return error.LimitReached;
    if (checked.canonical) {
        const words = @as([*]u64, @ptrFromInt(payloadAt()))[0 .. length / 8];
        for (words, checked.row.words()) |*to, from| to.* = from;
        words[0] &= 0xffff_ffff_ffff; // what is reserved is 0
    } else {
        var writer = row_format.Writer.begin(payloadAt(), call.transition.results.types.len, length);
        for (call.transition.results.types, 0..) |kind, i| writer.copy(i, kind, checked.row, i);
    }
    call.payload = @intCast(length);
    call.has_result = true;
}

/// Outside of a call (a start function runs) there is nothing to abort.
pub fn setAbort(code: i32, message: []const u8) void {
    if (transaction.doomed or !call.active) return;
    transaction.doomed = true;
    call.abort_code = if (code == 0) 1 else code;
    const kept = validPrefix(message[0..@min(message.len, layout.abort_message_bytes_max)]);
    const payload: [*]u8 = @ptrFromInt(payloadAt());
    @memset(payload[0..row_format.padded(kept.len)], 0); // the same batch gives the same bytes
    @memcpy(payload, kept);
    call.payload = @intCast(kept.len);
}

/// The longest part of `text` from its start that is valid UTF-8.
pub fn validPrefix(text: []const u8) []const u8 {
    var at: usize = 0;
    while (at < text.len) {
        const size = std.unicode.utf8ByteSequenceLength(text[at]) catch break;
        if (at + size > text.len or !std.unicode.utf8ValidateSlice(text[at..][0..size])) break;
        at += size;
    }
    return text[0..at];
}

pub fn random() u64 {
    random_state +%= 0x9e37_79b9_7f4a_7c15; // splitmix64 (Steele, Lea, Flood)
    var x = random_state;
    x = (x ^ (x >> 30)) *% 0xbf58_476d_1ce4_e5b9;
    x = (x ^ (x >> 27)) *% 0x94d0_49bb_1331_11eb;
    return x ^ (x >> 31);
}

const LogHead = extern struct { level: u32, length: u32, transition: u32, reserved: u32 };

pub fn writeLog(level: u32, text: []const u8) void {
    const kept = validPrefix(text[0..@min(text.len, layout.log_line_bytes_max)]);
    const size = @sizeOf(LogHead) + row_format.padded(kept.len);
    if (control.log_len + size > layout.log_bytes_max) {
        control.log_dropped += 1;
        return;
    }
    const head: *LogHead = @ptrCast(@alignCast(&layout.log[control.log_len]));
    const transition = if (call.active) control.transition else layout.none_u32; // a start function's line
    head.* = .{ .level = level, .length = @intCast(kept.len), .transition = transition, .reserved = 0 };
    @memcpy(layout.log[control.log_len + @sizeOf(LogHead) ..][0..kept.len], kept);
    control.log_len += size;
}
