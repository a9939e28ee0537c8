//! Calls as clients send them, and what they are answered (docs/wire.md, `call`), so that the host need not touch each
//! call of a frame: `read` makes a frame a part of a batch, `reply` makes its outcomes messages.
//!
//! What is always true here: a frame is read as a whole or not at all, and nothing but what every client sends is read.
//! Whatever is odd about one (options, arguments by name, a wrong type, a name that is not known, bytes that are no
//! msgpack) is left to the host, which knows all forms and all errors. Nothing here runs anything.

const std = @import("std");
const layout = @import("layout.zig");
const msgpack = @import("msgpack.zig");
const row_format = @import("row.zig");
const registry = @import("registry.zig");
const batch = @import("batch.zig");
const Reader = msgpack.Reader;
const Odd = msgpack.Odd;
const Transition = registry.Transition;

/// Stands before all that `read` makes: the part of a batch, then its runs, then the calls' ids as they came. Without
/// the part of the batch it is what `reply` needs to know.
const Head = extern struct { calls: u32, runs: u32, batch_bytes: u32, ids_bytes: u32 };

const Run = extern struct { transition: u32, count: u32 };

/// A frame that changes from one transition to another more often is left to the host.
const runs_max = 256;

var runs: [runs_max]Run = undefined;

const message_elements = 4; // "call", id, transition, arguments

// ---------------------------------------------------------------- a frame

/// Makes the frame in the input a `Head` and what follows it, in the output; how many bytes. Null: it is odd.
pub fn read(length: usize) ?usize {
    return readFrame(layout.input[0..length]) catch null;
}

fn readFrame(frame: []const u8) Odd!usize {
    var in: Reader = .{ .from = frame };
    // An array of arrays is many messages, an array that begins with a string is one.
    var left: usize = 1;
    if (frame.len > 3 and !(frame[0] == 0x90 | message_elements and Reader.isText(frame[1]))) left = try in.array();
    if (left == 0) return error.Odd;
    var head: Head = .{ .calls = @intCast(left), .runs = 0, .batch_bytes = 0, .ids_bytes = 0 };
    var made: Made = .{ .at = @sizeOf(Head) };
    var last: ?*const Transition = null;
    var run_at: usize = 0;
    while (left > 0) : (left -= 1) {
        if (try in.byte() != 0x90 | message_elements) return error.Odd;
        if (!std.mem.eql(u8, try in.raw(call_word.len), call_word)) return error.Odd;
        const id = try readId(&in);
        if (head.ids_bytes + id.len > layout.staging.len) return error.Odd;
        @memcpy(layout.staging[head.ids_bytes..][0..id.len], id);
        head.ids_bytes += @intCast(id.len);
        const name = try in.text();
        const transition = if (last != null and std.mem.eql(u8, last.?.name, name)) last.? else registry.named(name) orelse
            return error.Odd;
        if (transition != last) {
            if (head.runs == runs_max) return error.Odd;
            run_at = try made.room(@sizeOf(Run));
            runs[head.runs] = .{ .transition = transition.number, .count = 0 };
            head.runs += 1;
            last = transition;
        }
        runs[head.runs - 1].count += 1;
        runAt(run_at).* = runs[head.runs - 1];
        try readArguments(&in, transition, &made);
    }
    if (!in.ended()) return error.Odd;
    head.batch_bytes = @intCast(made.at - @sizeOf(Head));
    for (runs[0..head.runs]) |run| runAt(try made.room(@sizeOf(Run))).* = run;
    const ids_at = try made.room(row_format.padded(head.ids_bytes));
    @memcpy(layout.output[ids_at..][0..head.ids_bytes], layout.staging[0..head.ids_bytes]);
    @memset(layout.output[ids_at + head.ids_bytes .. made.at], 0);
    headAt(&layout.output, 0).* = head;
    return made.at;
}

const call_word = "\xa4call";

/// Where in the output what is made goes.
const Made = struct {
    at: usize,

    fn room(made: *Made, bytes: usize) Odd!usize {
        if (bytes > layout.input_bytes_max or made.at + bytes > layout.output.len) return error.Odd;
        defer made.at += bytes;
        return made.at;
    }
};

fn runAt(at: usize) *Run {
    return @ptrCast(@alignCast(&layout.output[at]));
}

fn headAt(buffer: [*]align(16) u8, at: usize) *Head {
    return @ptrCast(@alignCast(buffer + at));
}

/// The bytes of an id: a whole number or a string.
fn readId(in: *Reader) Odd![]const u8 {
    const start = in.at;
    const mark = try in.peek();
    if (Reader.isText(mark)) {
        _ = try in.text();
    } else if (mark == 0xcf) {
        _ = try in.raw(9); // may be too large for a sign
    } else _ = try in.int();
    return in.from[start..in.at];
}

/// Arguments by position as a canonical row.
fn readArguments(in: *Reader, transition: *const Transition, made: *Made) Odd!void {
    const types = transition.params.types;
    if (try in.array() != types.len) return error.Odd;
    const fixed = row_format.fixedBytes(types.len);
    // What is left of the frame is as much as all tails can have.
    const start = made.at;
    if (start + row_format.padded(fixed + in.from.len - in.at) > layout.output.len) return error.Odd;
    var writer = row_format.Writer.begin(@intFromPtr(&layout.output[start]), types.len, row_format.padded(fixed));
    for (types, transition.params_nullable, 0..) |kind, nullable, i| {
        if (try in.peek() == 0xc0) {
            if (!nullable) return error.Odd;
            in.at += 1;
            writer.putNull(i);
        } else try readValue(in, kind, &writer, i);
    }
    const length = row_format.padded(writer.tail_at);
    if (length > layout.row_bytes_max) return error.Odd;
    @memset(layout.output[start + writer.tail_at .. start + length], 0);
    writer.row.setLength(@intCast(length));
    made.at = start + length;
}

fn readValue(in: *Reader, kind: row_format.Type, writer: *row_format.Writer, column: usize) Odd!void {
    switch (kind) {
        .int, .timestamp => writer.putWord(column, @bitCast(try in.int())),
        .text => writer.putTail(column, try in.text()),
        .bool => writer.putWord(column, switch (try in.byte()) {
            0xc2 => 0,
            0xc3 => 1,
            else => return error.Odd,
        }),
        .float => writer.putWord(column, try in.float()),
        .bytes => writer.putTail(column, try in.binary()),
        .uuid => {
            const bytes = try in.binary();
            if (bytes.len != row_format.uuid_bytes) return error.Odd;
            writer.putTail(column, bytes);
        },
        .json => return error.Odd,
        _ => {
            const units: u64 = @bitCast(try in.int());
            if (!row_format.fitsDecimal(kind, units)) return error.Odd;
            writer.putWord(column, units);
        },
    }
}

// ---------------------------------------------------------------- outcomes

/// Stands before the messages for one frame.
const Reply = extern struct {
    /// How many of its calls have outcomes: fewer than it has when the batch ended before.
    calls: u32,
    /// How many of those did not commit, each with a `Gap` behind the messages: errors are worded by the host.
    gaps: u32,
    /// Where among all outcomes its own begin and end.
    outcomes_at: u64,
    outcomes_end: u64,
    messages_bytes: u64,
    /// Of the last outcome.
    lsn: u64,
};

/// A call that did not commit: where its answer belongs among the messages, and what the host must know to word it.
const Gap = extern struct {
    messages_at: u64,
    outcome_at: u64,
    /// How many messages are before it.
    told: u32,
    transition: u32,
    /// Where among the ids its own begins and ends.
    id_at: u32,
    id_end: u32,
};

/// A frame has no more calls (reifydb/config.py, `frame_messages_max`).
const gaps_max = 10_000;

var gaps: [gaps_max]Gap = undefined;

/// The input: for each frame what `read` has made, without the part of the batch; for calls that are not of a frame a
/// `Head` without runs; then, from `heads` on, the outcomes of the whole batch. Leaves a `Reply` and messages in the
/// output for each frame; how many bytes.
pub fn reply(heads: usize, length: usize) usize {
    var at: usize = 0;
    var outcomes: Outcomes = .{ .start = heads, .at = heads, .end = length };
    var out: msgpack.Writer = .{ .to = &layout.output, .at = 0, .end = layout.output.len };
    while (at + @sizeOf(Head) <= heads) {
        const head = headAt(&layout.input, at).*;
        at += @sizeOf(Head);
        if (head.runs == 0) {
            for (0..head.calls) |_| _ = outcomes.next() orelse break;
            continue;
        }
        // The host finds out by itself what became of frames for which there is no room.
        const gaps_bytes = @sizeOf(Gap) * @as(usize, head.calls);
        if (head.calls > gaps_max or !out.fits(@sizeOf(Reply) + 8 + gaps_bytes)) break;
        const runs_bytes = @sizeOf(Run) * @as(usize, head.runs);
        const own_runs: [*]const Run = @ptrCast(@alignCast(&layout.input[at]));
        var ids: Reader = .{ .from = layout.input[at + runs_bytes ..][0..head.ids_bytes] };
        at += runs_bytes + row_format.padded(head.ids_bytes);
        replyTo(own_runs[0..head.runs], &ids, &outcomes, &out, gaps_bytes);
    }
    return out.at;
}

fn replyTo(own_runs: []const Run, ids: *Reader, outcomes: *Outcomes, out: *msgpack.Writer, gaps_bytes: usize) void {
    const made: *Reply = @ptrCast(@alignCast(&layout.output[out.at]));
    out.at += @sizeOf(Reply);
    const first = out.at;
    made.* = .{ .calls = 0, .gaps = 0, .outcomes_at = outcomes.at - outcomes.start, .outcomes_end = 0, .messages_bytes = 0, .lsn = 0 };
    all: for (own_runs) |run| {
        const transition = registry.transitions[run.transition] orelse break;
        for (0..run.count) |_| {
            const outcome_at = outcomes.at - outcomes.start;
            const outcome = outcomes.next() orelse break :all;
            const id_at = ids.at;
            const id = readId(ids) catch break :all;
            made.lsn = outcome.lsn;
            // Heads of values and of the message: no value takes more than 9 bytes beside its tail.
            const room = 64 + id.len + 9 * transition.results.types.len + outcome.length;
            if (outcome.status == .committed and out.fits(room + gaps_bytes)) {
                writeMessage(out, id, transition, outcome);
            } else {
                gaps[made.gaps] = .{
                    .messages_at = out.at - first,
                    .outcome_at = outcome_at,
                    .told = made.calls - made.gaps,
                    .transition = run.transition,
                    .id_at = @intCast(id_at),
                    .id_end = @intCast(ids.at),
                };
                made.gaps += 1;
            }
            made.calls += 1;
        }
    }
    made.outcomes_end = outcomes.at - outcomes.start;
    made.messages_bytes = out.at - first;
    const end = row_format.padded(out.at);
    @memset(layout.output[out.at..end], 0);
    out.at = end;
    std.debug.assert(out.fits(gaps_bytes));
    out.raw(std.mem.sliceAsBytes(gaps[0..made.gaps]));
}

fn writeMessage(out: *msgpack.Writer, id: []const u8, transition: *const Transition, outcome: *const batch.Outcome) void {
    out.raw(ok_word);
    out.raw(id);
    const types = transition.results.types;
    if (outcome.length == 0) {
        out.byte(0xc0);
    } else {
        const row: row_format.Row = .{ .at = @intFromPtr(outcome) + @sizeOf(batch.Outcome) };
        if (transition.result_is_row) out.array(types.len);
        for (types, 0..) |kind, i| out.value(kind, row, i);
    }
    out.unsigned(outcome.lsn);
}

const ok_word = "\x94\xa2ok";

// ---------------------------------------------------------------- a call that came alone

/// Where in the output its answer goes. An outcome that reaches so far is left to the host.
pub const lone_answer_at = 8 << 10;

const lone_id_bytes_max = 256;
var lone_id: [lone_id_bytes_max]u8 = undefined;
var lone_id_len: usize = 0;

const Lone = struct { transition: u32, batch_bytes: u32 };

/// The same as `read` for a frame of one call; the part of a batch is put into the input, where it runs from, and the
/// id is kept. Null: it is odd, or has more calls.
pub fn readLone(length: usize) ?Lone {
    _ = read(length) orelse return null;
    const head = headAt(&layout.output, 0).*;
    if (head.calls != 1 or head.ids_bytes > lone_id_bytes_max) return null;
    const made = layout.output[@sizeOf(Head)..][0..head.batch_bytes];
    @memcpy(layout.input[0..made.len], made);
    lone_id_len = head.ids_bytes;
    @memcpy(lone_id[0..lone_id_len], layout.staging[0..lone_id_len]);
    return .{ .transition = runs[0].transition, .batch_bytes = head.batch_bytes };
}

/// Makes the outcome at the start of the output a message; its length, below 64 KiB; 0: the host must word it.
pub fn replyLone(number: u32) u16 {
    const transition = registry.transitions[number] orelse return 0;
    const outcome: *const batch.Outcome = @ptrCast(@alignCast(&layout.output));
    const outcome_bytes = @sizeOf(batch.Outcome) + row_format.padded(outcome.length);
    if (outcome.status != .committed or outcome_bytes > lone_answer_at) return 0;
    var out: msgpack.Writer = .{ .to = &layout.output, .at = lone_answer_at, .end = layout.output.len };
    writeMessage(&out, lone_id[0..lone_id_len], transition, outcome);
    return std.math.cast(u16, out.at - lone_answer_at) orelse 0;
}

/// Outcomes in the input, one behind the other.
const Outcomes = struct {
    start: usize,
    at: usize,
    end: usize,

    fn next(all: *Outcomes) ?*const batch.Outcome {
        if (all.at + @sizeOf(batch.Outcome) > all.end) return null;
        const found: *const batch.Outcome = @ptrCast(@alignCast(&layout.input[all.at]));
        all.at += @sizeOf(batch.Outcome) + row_format.padded(found.length);
        return found;
    }
};
