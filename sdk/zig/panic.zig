//! What a guest does when a safety check of Zig fails: one line in the log, then a trap, which undoes
//! the transaction. Nothing is formatted, so that the checks of ReleaseSafe cost a guest few bytes.
//!
//! The names are those that the compiler looks for in a root's `panic`.

const abi = @import("host.zig").abi;
const Level = @import("reifydb.zig").Level;

pub fn call(message: []const u8, _: ?usize) noreturn {
    @branchHint(.cold);
    _ = abi.log(@backingInt(Level.@"error"), message.ptr, message.len);
    @trap();
}

pub fn sentinelMismatch(_: anytype, _: anytype) noreturn {
    call("panic: sentinel mismatch", null);
}
pub fn unwrapError(_: anyerror) noreturn {
    call("panic: error where none was expected", null);
}
pub fn outOfBounds(_: usize, _: usize) noreturn {
    call("panic: index out of bounds", null);
}
pub fn startGreaterThanEnd(_: usize, _: usize) noreturn {
    call("panic: slice starts after its end", null);
}
pub fn inactiveUnionField(_: anytype, _: anytype) noreturn {
    call("panic: inactive union field", null);
}
pub fn sliceCastLenRemainder(_: usize) noreturn {
    call("panic: slice length does not divide", null);
}
pub fn reachedUnreachable() noreturn {
    call("panic: reached unreachable code", null);
}
pub fn unwrapNull() noreturn {
    call("panic: null where a value was expected", null);
}
pub fn castToNull() noreturn {
    call("panic: cast to a null pointer", null);
}
pub fn incorrectAlignment() noreturn {
    call("panic: incorrect alignment", null);
}
pub fn invalidErrorCode() noreturn {
    call("panic: invalid error code", null);
}
pub fn unexpectedErrorCode(_: anyerror) noreturn {
    call("panic: unexpected error", null);
}
pub fn integerOutOfBounds() noreturn {
    call("panic: integer does not fit its type", null);
}
pub fn integerOverflow() noreturn {
    call("panic: integer overflow", null);
}
pub fn shlOverflow() noreturn {
    call("panic: left shift overflow", null);
}
pub fn shrOverflow() noreturn {
    call("panic: right shift overflow", null);
}
pub fn divideByZero() noreturn {
    call("panic: division by zero", null);
}
pub fn exactDivisionRemainder() noreturn {
    call("panic: exact division has a remainder", null);
}
pub fn integerPartOutOfBounds() noreturn {
    call("panic: float does not fit the integer", null);
}
pub fn corruptSwitch() noreturn {
    call("panic: switch on a corrupt value", null);
}
pub fn shiftRhsTooBig() noreturn {
    call("panic: shift by too much", null);
}
pub fn invalidEnumValue() noreturn {
    call("panic: invalid enum value", null);
}
pub fn forLenMismatch() noreturn {
    call("panic: for loop over different lengths", null);
}
pub fn copyLenMismatch() noreturn {
    call("panic: copy between different lengths", null);
}
pub fn memcpyAlias() noreturn {
    call("panic: copy between overlapping memory", null);
}
pub fn noreturnReturned() noreturn {
    call("panic: noreturn function returned", null);
}
pub fn loadUninstantiableType() noreturn {
    call("panic: value of an impossible type", null);
}
