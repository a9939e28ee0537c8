//! The host functions of `reifydb.v1` as docs/abi.md defines them, and what their answers mean.
//!
//! Nothing here knows rows or tables: pointers and lengths go out, numbers come back. An answer
//! below zero is a code; `check` makes it an error, so that `try` is all a transition needs.

pub const abi = struct {
    pub extern "reifydb.v1" fn args(ptr: [*]u8, cap: usize) i32;
    pub extern "reifydb.v1" fn result(ptr: [*]const u8, len: usize) i32;
    pub extern "reifydb.v1" fn abort(code: i32, ptr: [*]const u8, len: usize) i32;
    pub extern "reifydb.v1" fn get(relation: i32, key: [*]const u8, key_len: usize, ptr: [*]u8, cap: usize) i32;
    pub extern "reifydb.v1" fn insert(relation: i32, rows: [*]const u8, len: usize) i32;
    pub extern "reifydb.v1" fn update(relation: i32, rows: [*]const u8, len: usize) i32;
    pub extern "reifydb.v1" fn upsert(relation: i32, rows: [*]const u8, len: usize) i32;
    pub extern "reifydb.v1" fn delete(relation: i32, keys: [*]const u8, len: usize) i32;
    pub extern "reifydb.v1" fn operate(operation: i32, row: [*]const u8, len: usize, ptr: [*]u8, cap: usize) i32;
    pub extern "reifydb.v1" fn count(relation: i32) i64;
    pub extern "reifydb.v1" fn generated() i64;
    pub extern "reifydb.v1" fn scan(relation: i32, index: i32, flags: i32, bounds: [*]const u8, len: usize, limit: i32) i32;
    pub extern "reifydb.v1" fn next(cursor: i32, ptr: [*]u8, cap: usize) i32;
    pub extern "reifydb.v1" fn close(cursor: i32) i32;
    pub extern "reifydb.v1" fn now() i64;
    pub extern "reifydb.v1" fn random() i64;
    pub extern "reifydb.v1" fn caller(ptr: [*]u8, cap: usize) i32;
    pub extern "reifydb.v1" fn log(level: i32, ptr: [*]const u8, len: usize) i32;
};

/// Everything that an operation can answer. The first fourteen are the codes of docs/abi.md.
pub const Error = error{
    /// The transaction was aborted before; nothing is done any more.
    Aborted,
    NotFound,
    DuplicateKey,
    NotNull,
    InvalidRow,
    InvalidNumber,
    ReadOnly,
    KeyTooLong,
    RowTooLong,
    NoRelation,
    LimitReached,
    OutOfMemory,
    TransactionTooLarge,
    Exhausted,
    CheckFailed,
    ExpressionFailed,
    /// Rows and texts of this call need more than the module's `arena_bytes`.
    ArenaFull,
    /// A code that this SDK does not know: the host is newer.
    UnknownCode,
};

/// The abort code of an error that a transition returned and that has no code of its own.
pub const unexpected_code = -100;

const codes = [_]Error{
    error.Aborted,          error.NotFound,    error.DuplicateKey,        error.NotNull,    error.InvalidRow,
    error.InvalidNumber,    error.ReadOnly,    error.KeyTooLong,          error.RowTooLong, error.NoRelation,
    error.LimitReached,     error.OutOfMemory, error.TransactionTooLarge, error.Exhausted,  error.CheckFailed,
    error.ExpressionFailed,
};

/// A length or a number as it is; a code as its error.
pub inline fn check(answer: i32) Error!usize {
    if (answer < 0) return failure(answer);
    return @as(u32, @bitCast(answer));
}

noinline fn failure(code: i32) Error {
    @branchHint(.cold);
    const place = -%(code +% 1);
    if (place < 0 or place >= codes.len) return error.UnknownCode;
    return codes[@intCast(place)];
}

/// The code of an error: that of docs/abi.md, or `unexpected_code`.
fn codeOf(err: anyerror) i32 {
    inline for (codes, 1..) |known, number| {
        if (err == known) return -@as(i32, number);
    }
    return unexpected_code;
}

/// Ends the transaction because a transition returned an error: the abort's message is the error's
/// name in snake_case. What the transition aborted with itself stays.
pub fn fail(err: anyerror) i32 {
    @branchHint(.cold);
    const code = codeOf(err);
    if (err == error.Aborted) return code;
    var message: [128]u8 = undefined;
    const name = snakeCase(@errorName(err), &message);
    _ = abi.abort(code, name.ptr, name.len);
    return code;
}

/// `InsufficientFunds` as `insufficient_funds`; what does not fit is cut.
pub fn snakeCase(name: []const u8, into: []u8) []const u8 {
    var len: usize = 0;
    for (name, 0..) |character, i| {
        const is_upper = character >= 'A' and character <= 'Z';
        if (len + 2 > into.len) break;
        if (is_upper and i > 0) {
            into[len] = '_';
            len += 1;
        }
        into[len] = if (is_upper) character + 32 else character;
        len += 1;
    }
    return into[0..len];
}
