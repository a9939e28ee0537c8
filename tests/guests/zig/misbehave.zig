//! A guest that goes wrong in every way that a guest can, and has written before it does.
//!
//! It uses the ABI as it is, without the SDK: what it does, no SDK would. Every transition first puts
//! the row `(id, n)` into the table `victim`, so that a host that undoes too little shows it. Most
//! return what the host answered: an answer below zero is then the abort's code.

const victim = 0;
const picky = 1;

const schema =
    "create table victim (id int primary key, n int not null); " ++
    "create table picky (id int primary key, t text, d bytes, x float, flag bool, n int not null);";

extern "reifydb.v1" fn args(ptr: u32, cap: u32) i32;
extern "reifydb.v1" fn result(ptr: u32, len: u32) i32;
extern "reifydb.v1" fn abort(code: i32, ptr: u32, len: u32) i32;
extern "reifydb.v1" fn get(relation: i32, key: u32, key_len: u32, ptr: u32, cap: u32) i32;
extern "reifydb.v1" fn insert(relation: i32, rows: u32, len: u32) i32;
extern "reifydb.v1" fn update(relation: i32, rows: u32, len: u32) i32;
extern "reifydb.v1" fn upsert(relation: i32, rows: u32, len: u32) i32;
extern "reifydb.v1" fn delete(relation: i32, keys: u32, len: u32) i32;
extern "reifydb.v1" fn count(relation: i32) i64;
extern "reifydb.v1" fn scan(relation: i32, index: i32, flags: i32, bounds: u32, len: u32, limit: i32) i32;
extern "reifydb.v1" fn next(cursor: i32, ptr: u32, cap: u32) i32;
extern "reifydb.v1" fn close(cursor: i32) i32;
extern "reifydb.v1" fn caller(ptr: u32, cap: u32) i32;
extern "reifydb.v1" fn log(level: i32, ptr: u32, len: u32) i32;

pub const panic = @import("std").debug.no_panic;

/// Static, so that no function here has a frame in the guest's memory: what ends a recursion is the
/// host's stack.
var arguments: [8]u64 align(8) = undefined;
var row: [64]u64 align(8) = undefined;
var key: [64]u64 align(8) = undefined;
var bounds: [16]u64 align(8) = undefined;
var scratch: [2048]u8 align(8) = undefined;

/// State of the instance, initialised and not: whoever puts an instance back must put back both.
var calls_seen: i64 = 1000;
var calls_seen_too: i64 = undefined;

fn address(of: anytype) u32 {
    return @intCast(@intFromPtr(of));
}

fn argument(place: usize) i64 {
    return @bitCast(arguments[1 + place]);
}

/// A row of integers, with its nulls byte zero.
fn integers(into: []u64, values: anytype) u32 {
    into[0] = (8 + 8 * values.len + 8) | @as(u64, values.len) << 32;
    inline for (values, 1..) |value, i| into[i] = @bitCast(@as(i64, value));
    into[1 + values.len] = 0;
    return @intCast(8 + 8 * values.len + 8);
}

fn write(id: i64, n: i64) i32 {
    const len = integers(&row, .{ id, n });
    return upsert(victim, address(&row), len);
}

/// Pulls the arguments and puts the row `(id, n)`.
fn begin() void {
    _ = args(address(&arguments), @sizeOf(@TypeOf(arguments)));
    calls_seen += 1;
    calls_seen_too += 1;
    _ = write(argument(0), argument(1));
}

fn resultInt(value: i64) i32 {
    return result(address(&key), integers(&key, .{value}));
}

/// What a transition returns for a host's answer: success for a length or a count.
fn outcome(answer: i32) i32 {
    return if (answer < 0) answer else 0;
}

// ------------------------------------------------------------------ honest

/// Writes, and commits.
fn honest() i32 {
    begin();
    return 0;
}

/// How many calls this instance has seen: 1 in a fresh one. Its result tells both counters.
fn calls() i32 {
    _ = args(address(&arguments), @sizeOf(@TypeOf(arguments)));
    calls_seen += 1;
    calls_seen_too += 1;
    if (calls_seen - 1000 != calls_seen_too) return resultInt(-1);
    return resultInt(calls_seen_too);
}

/// The guest's stack pointer, as seen by a function that needs a frame.
fn stackPointer() i32 {
    var local: [4]u64 = undefined;
    asm volatile (""
        :
        : [local] "r" (&local),
        : .{ .memory = true });
    return resultInt(address(&local));
}

// ------------------------------------------------------------------ traps and loops

fn trap() i32 {
    begin();
    @trap();
}

fn outOfBounds() i32 {
    begin();
    const outside: *allowzero volatile u32 = @ptrFromInt(0xfffffff0);
    outside.* = 1;
    return 0;
}

fn divideByZero() i32 {
    begin();
    return asm volatile (
        \\ i32.const 1
        \\ i32.const 0
        \\ i32.div_s
        \\ local.set %[quotient]
        : [quotient] "=r" (-> i32),
    );
}

/// Calls through the table with an index outside of it.
fn callNothing() i32 {
    begin();
    const nothing: *const volatile usize = &nowhere;
    const function: *const fn () callconv(.c) i32 = @ptrFromInt(nothing.*);
    return function();
}
var nowhere: usize = 0x7fffffff;

fn loop() i32 {
    begin();
    while (true) asm volatile ("");
}

fn loopOfGets() i32 {
    begin();
    while (true) {
        const len = integers(&key, .{argument(0)});
        _ = get(victim, address(&key), len, address(&row), @sizeOf(@TypeOf(row)));
    }
}

fn loopOfWrites() i32 {
    begin();
    var i: i64 = 0;
    while (true) : (i +%= 1) _ = write(@mod(i *% 7919, 1000), i);
}

fn loopOfScans() i32 {
    begin();
    while (true) {
        const cursor = scan(victim, 0, 0, 0, 0, 0);
        while (next(cursor, address(&scratch), scratch.len) > 0) {}
        _ = close(cursor);
    }
}

fn loopOfLogs() i32 {
    begin();
    while (true) _ = log(20, address(&scratch), 8);
}

fn loopOfCounts() i32 {
    begin();
    while (true) _ = count(victim);
}

/// Goes on after an abort, for ever.
fn loopAfterAbort() i32 {
    begin();
    _ = abort(7, 0, 0);
    while (true) _ = write(argument(0), 0);
}

// ------------------------------------------------------------------ recursion

const Dive = enum { nothing, get, insert, update, upsert, delete, result, scan, log };

/// Calls itself until the stack ends, and the host at every depth. `phase` frames of another size come
/// first, so that different phases end at different places.
fn dive(comptime what: Dive) fn () i32 {
    return struct {
        fn run() i32 {
            begin();
            return padding(argument(2));
        }

        noinline fn padding(phase: i64) i32 {
            const deeper = if (phase > 0) padding(phase - 1) else down(1);
            asm volatile ("" ::: .{ .memory = true });
            return deeper +% 1;
        }

        noinline fn down(depth: i64) i32 {
            const len = integers(&row, .{ 1_000_000 + depth, depth });
            const at = address(&row);
            _ = switch (what) {
                .nothing => 0,
                .get => get(victim, address(&key), integers(&key, .{depth}), at, @sizeOf(@TypeOf(row))),
                .insert => insert(victim, at, len),
                .update => update(victim, at, integers(&row, .{ argument(0), depth })),
                .upsert => upsert(victim, at, len),
                .delete => delete(victim, address(&key), integers(&key, .{depth})),
                .result => resultInt(depth),
                .scan => close(scan(victim, 0, 0, 0, 0, 0)),
                .log => log(10, at, 0),
            };
            const deeper = down(depth + 1);
            asm volatile ("" ::: .{ .memory = true });
            return deeper +% 1;
        }
    }.run;
}

// ------------------------------------------------------------------ stray pointers

const Stray = enum { args, result, abort, get_key, get_row, insert, update, upsert, delete, scan, next, caller, log };

/// Gives a host function a place outside of the guest's memory. `kind` says how: 0 pointer and length
/// wrap at 2^32, 1 just behind the end, 2 across the end, 3 the longest length, 4 the last address.
fn stray(comptime what: Stray) fn () i32 {
    return struct {
        fn run() i32 {
            begin();
            const end: u64 = @as(u64, @wasmMemorySize(0)) * 65536;
            const ptr: u32, const len: u32 = switch (argument(2)) {
                0 => .{ 0xfffffff0, 0x40 },
                1 => .{ @truncate(end), 0x40 },
                2 => .{ @truncate(end - 8), 0x40 },
                3 => .{ 16, 0xffffffff },
                else => .{ 0xffffffff, 0x40 },
            };
            const own = address(&key);
            const key_len = integers(&key, .{argument(0)});
            return outcome(switch (what) {
                .args => args(ptr, len),
                .result => result(ptr, len),
                .abort => abort(5, ptr, len),
                .get_key => get(victim, ptr, len, address(&row), @sizeOf(@TypeOf(row))),
                .get_row => get(victim, own, key_len, ptr, len),
                .insert => insert(victim, ptr, len),
                .update => update(victim, ptr, len),
                .upsert => upsert(victim, ptr, len),
                .delete => delete(victim, ptr, len),
                .scan => scan(victim, 0, 1, ptr, len, 0),
                .next => next(scan(victim, 0, 0, 0, 0, 0), ptr, len),
                .caller => caller(ptr, len),
                .log => log(20, ptr, len),
            });
        }
    }.run;
}

// ------------------------------------------------------------------ endings that lie

/// Aborts, writes on, sets a result and returns success.
fn abortThenWrite() i32 {
    begin();
    const message = "aborted";
    _ = abort(7, address(message), message.len);
    if (write(argument(0) + 1, 1) != -1) @trap();
    if (count(victim) != -1) @trap();
    _ = resultInt(1);
    return 0;
}

/// Aborts twice: the first counts.
fn abortTwice() i32 {
    begin();
    _ = abort(7, address("first"), 5);
    _ = abort(8, address("second"), 6);
    return 9;
}

/// Aborts, then traps: undone like any trap.
fn abortThenTrap() i32 {
    begin();
    _ = abort(7, 0, 0);
    @trap();
}

/// Aborts with the code `code` and a message of `bytes` bytes that are not UTF-8.
fn abortBadMessage() i32 {
    begin();
    @memset(&scratch, 0xff);
    _ = abort(@truncate(argument(2)), address(&scratch), @intCast(argument(3)));
    return 0;
}

/// Inserts the row again, ignores that it is a duplicate, and commits what it wrote.
fn swallowErrors() i32 {
    begin();
    if (insert(victim, address(&row), integers(&row, .{ argument(0), 0 })) != -3) @trap();
    if (update(victim, address(&row), integers(&row, .{ -1, 0 })) != -2) @trap();
    return 0;
}

/// Returns `code` and does not say why.
fn returnCode() i32 {
    begin();
    return @truncate(argument(2));
}

/// Writes although it is a query; returns the host's answer.
fn writeInQuery() i32 {
    _ = args(address(&arguments), @sizeOf(@TypeOf(arguments)));
    return outcome(write(argument(0), argument(1)));
}

/// The same with the other operations, ignoring the answers: it succeeds and has changed nothing.
fn writeInQueryAnyway() i32 {
    _ = args(address(&arguments), @sizeOf(@TypeOf(arguments)));
    const len = integers(&row, .{ argument(0), argument(1) });
    if (insert(victim, address(&row), len) != -7) @trap();
    if (update(victim, address(&row), len) != -7) @trap();
    if (delete(victim, address(&key), integers(&key, .{argument(0)})) != -7) @trap();
    return 0;
}

/// Promises a result and gives none.
fn noResult() i32 {
    begin();
    return 0;
}

/// A result that is not what was promised, an `int` that is not null: 0 two columns, 1 null, 2 empty,
/// 3 a length that lies, 4 no columns.
fn wrongResult() i32 {
    begin();
    const at = address(&key);
    switch (argument(2)) {
        0 => return outcome(result(at, integers(&key, .{ 1, 2 }))),
        1 => {
            const len = integers(&key, .{0});
            key[2] = 1;
            return outcome(result(at, len));
        },
        2 => return outcome(result(at, 0)),
        3 => {
            const len = integers(&key, .{1});
            key[0] += 8;
            return outcome(result(at, len));
        },
        else => {
            key[0] = 8;
            return outcome(result(at, 8));
        },
    }
}

// ------------------------------------------------------------------ too much

/// A result of `bytes` bytes, in memory that is made for it.
fn hugeResult() i32 {
    begin();
    const bytes: u32 = @intCast(argument(2));
    const start = grown(bytes + 64);
    const at: [*]u64 = @ptrFromInt(start);
    at[0] = bytes | @as(u64, 1) << 32;
    at[1] = 17 | @as(u64, bytes - 24) << 32;
    at[2] = 0;
    return outcome(result(start, bytes));
}

/// A log line of `bytes` bytes.
fn hugeLog() i32 {
    begin();
    const bytes: u32 = @intCast(argument(2));
    return outcome(log(20, grown(bytes), bytes));
}

/// A row whose text has `bytes` bytes.
fn hugeRow() i32 {
    begin();
    const bytes: u32 = @intCast(argument(2));
    const start = grown(bytes + 128);
    const at: [*]u64 = @ptrFromInt(start);
    const len = (57 + bytes + 7) / 8 * 8;
    at[0] = len | @as(u64, 6) << 32;
    at[1] = @bitCast(argument(0));
    at[2] = 57 | @as(u64, bytes) << 32;
    for (3..7) |slot| at[slot] = 0;
    const nulls: *u8 = @ptrFromInt(start + 56);
    nulls.* = 0b011100;
    return outcome(upsert(picky, start, len));
}

/// Writes `rows` rows, each in a crossing of its own.
fn manyRows() i32 {
    begin();
    var i: i64 = 0;
    while (i < argument(2)) : (i += 1) {
        const answer = write(argument(0) + 1 + i, i);
        if (answer < 0) return answer;
    }
    return 0;
}

/// Opens `cursors` cursors and closes none.
fn leakCursors() i32 {
    begin();
    var i: i64 = 0;
    while (i < argument(2)) : (i += 1) {
        const cursor = scan(victim, 0, 0, 0, 0, 0);
        if (cursor < 0) return cursor;
    }
    return 0;
}

/// Grows its memory by `pages`; 1 when that is refused.
fn growMemory() i32 {
    begin();
    return if (@wasmMemoryGrow(0, @intCast(argument(2))) < 0) 1 else 0;
}

fn growMemoryThenTrap() i32 {
    begin();
    _ = @wasmMemoryGrow(0, @intCast(argument(2)));
    @trap();
}

/// Overwrites all of its memory, the stack and every variable included, then traps.
fn dirtyThenTrap() i32 {
    begin();
    const all: [*]allowzero volatile u64 = @ptrFromInt(0);
    for (0..@wasmMemorySize(0) * 8192) |i| all[i] = 0xdddddddddddddddd;
    @trap();
}

/// Moves its stack pointer and does not put it back, because it traps.
fn leakStackThenTrap() i32 {
    begin();
    var local: [64]u64 = undefined;
    asm volatile (""
        :
        : [local] "r" (&local),
        : .{ .memory = true });
    @trap();
}

fn grown(bytes: u32) u32 {
    const pages = @wasmMemoryGrow(0, bytes / 65536 + 1);
    if (pages < 0) @trap();
    return @intCast(pages * 65536);
}

// ------------------------------------------------------------------ malformed rows

/// Gives `operation` (0 insert, 1 update, 2 upsert, 3 delete, 4 get, 5 scan) a row of `victim` that is
/// malformed in one of fifteen ways (`kind`); returns the host's answer.
fn malformedRow() i32 {
    begin();
    const operation = argument(2);
    const id = argument(0) + @intFromBool(operation == 0);
    const is_row = operation <= 2;
    var len = if (is_row) integers(&row, .{ id, 5 }) else integers(&row, .{id});
    switch (argument(3)) {
        0 => row[0] -= 8, // says it is shorter
        1 => row[0] += 8, // says it is longer
        2 => row[0] -= 4, // not a multiple of 8
        3 => row[0] = row[0] & ~@as(u64, 0xffffffff), // length 0
        4 => row[0] |= 0xfffffff8, // the longest length
        5 => row[0] -= 1 << 32, // a column less
        6 => row[0] += 1 << 32, // a column more than there is room for
        7 => row[0] |= 0xffff << 32, // 65535 columns
        8 => row[0] += 1 << 48, // reserved bits
        9 => len -= 8, // the last word is missing
        10 => len -= 1,
        11 => len = 4, // not even a header
        12 => len += 8, // eight bytes more, which are no row
        13 => row[if (is_row) 3 else 2] = if (is_row) 2 else 1, // null where none may be
        else => len = if (is_row) integers(&row, .{ id, 5, 6 }) else integers(&row, .{ id, 5, 6 }),
    }
    const at = address(&row);
    return outcome(switch (operation) {
        0 => insert(victim, at, len),
        1 => update(victim, at, len),
        2 => upsert(victim, at, len),
        3 => delete(victim, at, len),
        4 => get(victim, at, len, address(&scratch), scratch.len),
        else => scan(victim, 0, 1, at, len, 0),
    });
}

/// Upserts a row of `picky` with a value that it may not have (`kind`); returns the host's answer.
fn malformedValue() i32 {
    begin();
    row[0] = 64 | 6 << 32;
    row[1] = @bitCast(argument(0));
    row[2] = 57 | 4 << 32; // t: 4 of the 7 bytes behind the nulls
    row[3] = 61 | 3 << 32; // d: the other 3
    row[4] = 0;
    row[5] = 0;
    row[6] = 1;
    row[7] = 0;
    tail("abcd");
    switch (argument(2)) {
        0 => row[2] = 0 | 4 << 32, // the text lies in the header
        1 => row[2] = 8 | 8 << 32, // in the slots
        2 => row[2] = 61 | 4 << 32, // across the end
        3 => row[2] = 64 | 1 << 32, // behind it
        4 => row[2] = 0xfffffffc | 8 << 32, // wraps at 2^32
        5 => row[2] = 57 | 0xffffffff << 32,
        6 => row[3] = 57 | 0x80000000 << 32,
        7 => tail("\xffbcd"), // not UTF-8: no such byte
        8 => tail("\xc0\x80cd"), // overlong
        9 => tail("\xed\xa0\x80d"), // half of a surrogate pair
        10 => tail("ab\xe2\x82"), // cut
        11 => tail("\xf4\x90\x80\x80"), // beyond U+10FFFF
        12 => tail("\x80bcd"), // a continuation of nothing
        13 => row[4] = 0x7ff8000000000000, // NaN
        14 => row[4] = 0xfff8000000000001, // another
        15 => row[4] = 0x7ff0000000000000, // infinity
        16 => row[4] = 0xfff0000000000000,
        17 => row[5] = 2, // neither false nor true
        18 => row[5] = 1 << 63,
        19 => row[7] |= 0b100000, // null in a column that must not be null
        20 => row[7] |= 0b000001, // null in the key
        21 => row[4] = 0x8000000000000000, // −0.0: fine, and stored as 0.0
        22 => tail("\xf0\x9f\x92\xb0"), // fine
        23 => row[3] = row[2], // two values in the same bytes: fine
        24 => row[7] |= 0b11000000, // bits of columns that do not exist
        else => {},
    }
    return outcome(upsert(picky, address(&row), 64));
}

/// The bytes behind the nulls of a row of `picky`.
fn tail(comptime text: *const [4]u8) void {
    const bytes: [*]u8 = @ptrCast(&row[7]);
    bytes[1..8].* = (text ++ "efg").*;
}

/// Numbers that name nothing (`kind`); returns the host's answer.
fn noSuchThing() i32 {
    begin();
    const key_len = integers(&key, .{argument(0)});
    const row_len = integers(&row, .{ argument(0), 1 });
    const k = address(&key);
    const r = address(&row);
    return outcome(switch (argument(2)) {
        0 => get(2, k, key_len, r, 0),
        1 => get(-1, k, key_len, r, 0),
        2 => insert(99, r, row_len),
        3 => update(0x7fffffff, r, row_len),
        4 => upsert(-0x80000000, r, row_len),
        5 => delete(2, k, key_len),
        6 => if (count(2) < 0) -10 else 0,
        7 => scan(2, 0, 0, 0, 0, 0),
        8 => scan(victim, 1, 0, 0, 0, 0), // no such index
        9 => scan(victim, -1, 0, 0, 0, 0),
        10 => next(0, r, 64), // no such cursor
        11 => next(-1, r, 64),
        12 => next(0x7fffffff, r, 64),
        13 => close(0),
        14 => closeTwice(),
        15 => scan(victim, 0, 3, k, key_len, 0), // two bounds promised, one given
        16 => scan(victim, 0, 0, k, key_len, 0), // a bound given, none promised
        else => scan(victim, 0, -1, k, key_len, -1), // flags that nobody knows
    });
}

fn closeTwice() i32 {
    const cursor = scan(victim, 0, 0, 0, 0, 0);
    if (close(cursor) != 0) @trap();
    return close(cursor);
}

// ------------------------------------------------------------------ the module

const Listed = struct {
    name: []const u8,
    function: fn () i32,
    /// Behind `id` and `n`.
    params: []const []const u8 = &.{},
    result: []const u8 = "null",
    is_query: bool = false,
};

const int = "{\"type\":\"int\"}";
const text_result = "{\"type\":\"text\"}";

const transitions = [_]Listed{
    .{ .name = "honest", .function = honest },
    .{ .name = "calls", .function = calls, .result = int, .is_query = true },
    .{ .name = "stack_pointer", .function = stackPointer, .result = int, .is_query = true },
    .{ .name = "trap", .function = trap },
    .{ .name = "out_of_bounds", .function = outOfBounds },
    .{ .name = "divide_by_zero", .function = divideByZero },
    .{ .name = "call_nothing", .function = callNothing },
    .{ .name = "loop", .function = loop },
    .{ .name = "loop_of_gets", .function = loopOfGets },
    .{ .name = "loop_of_writes", .function = loopOfWrites },
    .{ .name = "loop_of_scans", .function = loopOfScans },
    .{ .name = "loop_of_logs", .function = loopOfLogs },
    .{ .name = "loop_of_counts", .function = loopOfCounts },
    .{ .name = "loop_after_abort", .function = loopAfterAbort },
} ++ dives() ++ strays() ++ [_]Listed{
    .{ .name = "abort_then_write", .function = abortThenWrite, .result = int },
    .{ .name = "abort_twice", .function = abortTwice },
    .{ .name = "abort_then_trap", .function = abortThenTrap },
    .{ .name = "abort_bad_message", .function = abortBadMessage, .params = &.{ "code", "bytes" } },
    .{ .name = "swallow_errors", .function = swallowErrors },
    .{ .name = "return_code", .function = returnCode, .params = &.{"code"} },
    .{ .name = "write_in_query", .function = writeInQuery, .is_query = true },
    .{ .name = "write_in_query_anyway", .function = writeInQueryAnyway, .is_query = true },
    .{ .name = "no_result", .function = noResult, .result = int },
    .{ .name = "wrong_result", .function = wrongResult, .params = &.{"kind"}, .result = int },
    .{ .name = "huge_result", .function = hugeResult, .params = &.{"bytes"}, .result = text_result },
    .{ .name = "huge_log", .function = hugeLog, .params = &.{"bytes"} },
    .{ .name = "huge_row", .function = hugeRow, .params = &.{"bytes"} },
    .{ .name = "many_rows", .function = manyRows, .params = &.{"rows"} },
    .{ .name = "leak_cursors", .function = leakCursors, .params = &.{"cursors"} },
    .{ .name = "grow_memory", .function = growMemory, .params = &.{"pages"} },
    .{ .name = "grow_memory_then_trap", .function = growMemoryThenTrap, .params = &.{"pages"} },
    .{ .name = "dirty_then_trap", .function = dirtyThenTrap },
    .{ .name = "leak_stack_then_trap", .function = leakStackThenTrap },
    .{ .name = "malformed_row", .function = malformedRow, .params = &.{ "operation", "kind" } },
    .{ .name = "malformed_value", .function = malformedValue, .params = &.{"kind"} },
    .{ .name = "no_such_thing", .function = noSuchThing, .params = &.{"kind"} },
};

/// `dive_nothing`, `dive_get` …
fn dives() [@typeInfo(Dive).@"enum".field_names.len]Listed {
    var all: [@typeInfo(Dive).@"enum".field_names.len]Listed = undefined;
    for (&all, @typeInfo(Dive).@"enum".field_names) |*listed, name| {
        listed.* = .{ .name = "dive_" ++ name, .function = dive(@field(Dive, name)), .params = &.{"phase"} };
    }
    return all;
}

/// `stray_args`, `stray_result` …
fn strays() [@typeInfo(Stray).@"enum".field_names.len]Listed {
    var all: [@typeInfo(Stray).@"enum".field_names.len]Listed = undefined;
    for (&all, @typeInfo(Stray).@"enum".field_names) |*listed, name| {
        listed.* = .{ .name = "stray_" ++ name, .function = stray(@field(Stray, name)), .params = &.{"kind"} };
    }
    return all;
}

fn Export(comptime function: fn () i32) type {
    return struct {
        fn run() callconv(.c) i32 {
            return function();
        }
    };
}

fn manifest() []const u8 {
    var json: []const u8 = "{\"abi\":1,\"name\":\"misbehave\",\"schema\":\"" ++ schema ++ "\",\"relations\":[" ++
        "{\"name\":\"victim\",\"columns\":[{\"name\":\"id\",\"type\":\"int\"},{\"name\":\"n\",\"type\":\"int\"}]}," ++
        "{\"name\":\"picky\",\"columns\":[{\"name\":\"id\",\"type\":\"int\"}," ++
        "{\"name\":\"t\",\"type\":\"text\",\"nullable\":true},{\"name\":\"d\",\"type\":\"bytes\",\"nullable\":true}," ++
        "{\"name\":\"x\",\"type\":\"float\",\"nullable\":true},{\"name\":\"flag\",\"type\":\"bool\",\"nullable\":true}," ++
        "{\"name\":\"n\",\"type\":\"int\"}]}],\"transitions\":[";
    for (transitions, 0..) |listed, i| {
        json = json ++ (if (i > 0) "," else "") ++ "{\"name\":\"" ++ listed.name ++
            "\",\"params\":[{\"name\":\"id\",\"type\":\"int\"},{\"name\":\"n\",\"type\":\"int\"}";
        for (listed.params) |param| json = json ++ ",{\"name\":\"" ++ param ++ "\",\"type\":\"int\"}";
        json = json ++ "],\"result\":" ++ listed.result ++ (if (listed.is_query) ",\"query\":true}" else "}");
    }
    return json ++ "]}";
}

comptime {
    @setEvalBranchQuota(100_000);
    for (transitions) |listed| @export(&Export(listed.function).run, .{ .name = listed.name });
    var quoted: [2 * manifest().len]u8 = undefined;
    var len: usize = 0;
    for (manifest()) |character| {
        if (character == '"') {
            quoted[len] = '\\';
            len += 1;
        }
        quoted[len] = character;
        len += 1;
    }
    asm (".section .custom_section.reifydb.manifest,\"\",@\n.ascii \"" ++ quoted[0..len] ++ "\"\n");
}
