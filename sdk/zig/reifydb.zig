//! ReifyDB's SDK for guests in Zig (0.17): transitions as ordinary functions over typed rows.
//!
//! ```zig
//! const reifydb = @import("reifydb");
//! const account = @import("schema.zig").account; // reifydb generate zig --schema schema.sql
//!
//! fn deposit(id: i64, amount: i64) !i64 {
//!     if (amount <= 0) return reifydb.abort(2, "non_positive_amount");
//!     var row = try account.need(id);
//!     row.balance = try reifydb.add(row.balance, amount);
//!     try account.update(row);
//!     return row.balance;
//! }
//!
//! pub const panic = reifydb.panic;
//! pub const module = reifydb.module(.{
//!     .name = "bank",
//!     .schema = @embedFile("schema.sql"),
//!     .relations = .{account},
//!     .transitions = .{ .deposit = reifydb.transition(deposit, .{ "id", "amount" }) },
//! });
//! comptime {
//!     module.emit();
//! }
//! ```
//!
//! **Errors.** A transition that returns an error aborts its transaction. `abort` chooses code and
//! message; an error of the SDK (`Error`) that is passed on aborts with its code of docs/abi.md, which
//! is below zero, any other one with `unexpected_code`; the message is its name in snake_case.
//! Codes of an application are above zero.
//!
//! **Traps.** A failed safety check (overflow of `+` in ReleaseSafe, an index out of bounds) logs a
//! line and traps: the transaction is undone, and the instance put back, which takes some 70 times
//! as long as an abort. `add`, `sub` and `mul` return `error.Overflow` instead.
//!
//! **Memory.** Nothing is allocated. Rows without text live in static buffers, others in one arena
//! that is empty again when the next transition starts. Globals of a guest are a cache: they may be
//! back at their first value in any call.
//!
//! Where things are: rows as bytes in codec.zig, operations on tables in table.zig, what a module
//! exports in module.zig and manifest.zig, the host's functions and codes in host.zig.

const std = @import("std");
const arena = @import("arena.zig");
const host = @import("host.zig");
const abi = host.abi;
const codec = @import("codec.zig");

pub const panic = @import("panic.zig");
pub const Table = @import("table.zig").Table;
pub const IndexedTable = @import("table.zig").IndexedTable;
pub const Operation = @import("operation.zig").Operation;
pub const module = @import("module.zig").module;
pub const transition = @import("module.zig").transition;
pub const query = @import("module.zig").query;
pub const secret = @import("module.zig").secret;
pub const Bytes = codec.Bytes;
pub const Timestamp = codec.Timestamp;
pub const Decimal = codec.Decimal;
pub const Uuid = codec.Uuid;
pub const Json = codec.Json;
pub const Error = host.Error;
pub const unexpected_code = host.unexpected_code;

/// Dooms the transaction with this code and message; to be returned: `return reifydb.abort(1, "…")`.
/// Code 0 counts as 1.
pub fn abort(code: i32, message: []const u8) error{Aborted} {
    _ = abi.abort(code, message.ptr, message.len);
    return error.Aborted;
}

/// The transaction's time, the same during all of it.
pub fn now() Timestamp {
    return .{ .micros = abi.now() };
}

/// 64 random bits of the transaction's seed.
pub fn random() u64 {
    return @bitCast(abi.random());
}

/// The name of who called; empty when embedded.
pub fn caller() Error![]const u8 {
    const into = arena.free();
    const length = try host.check(abi.caller(into.ptr, into.len));
    if (length > into.len) return error.ArenaFull;
    return (try arena.alloc(length))[0..length];
}

pub const Level = enum(i32) { debug = 10, info = 20, warning = 30, @"error" = 40 };

/// A line for the log of the database's host.
pub fn log(level: Level, text: []const u8) void {
    _ = abi.log(@backingInt(level), text.ptr, text.len);
}

/// The auto-increment value that the last insert of this transaction gave out; 0 when none.
pub fn generated() i64 {
    return abi.generated();
}

/// Memory that is good until the transition returns.
pub fn alloc(bytes: usize) Error![]u8 {
    return arena.alloc(bytes);
}

pub fn add(a: i64, b: i64) error{Overflow}!i64 {
    return std.math.add(i64, a, b);
}

pub fn sub(a: i64, b: i64) error{Overflow}!i64 {
    return std.math.sub(i64, a, b);
}

pub fn mul(a: i64, b: i64) error{Overflow}!i64 {
    return std.math.mul(i64, a, b);
}
