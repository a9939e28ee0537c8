//! An operation of a primitive that a guest calls: a counter's `add`, a sequence's `next`.

const root = @import("root");
const arena = @import("arena.zig");
const codec = @import("codec.zig");
const host = @import("host.zig");
const tables = @import("table.zig");
const manifest = @import("manifest.zig");
const Error = host.Error;

/// The operation `name` of a primitive. `ArgsType`: a struct of its arguments in their order; `ResultType`: what it
/// gives, a value, a struct, or void.
pub fn Operation(comptime primitive: []const u8, comptime name: []const u8, comptime ArgsType: type, comptime ResultType: type) type {
    return struct {
        const Self = @This();
        const Row = codec.Codec(params);
        const ResultRow = codec.Codec(result.columns);

        pub const Args = ArgsType;
        pub const Result = ResultType;
        pub const primitive_name = primitive;
        pub const operation_name = name;
        pub const params = codec.columnsOf(ArgsType);
        pub const result = manifest.result(ResultType);

        /// Runs it inside this transaction. What it refuses is an error, and has changed nothing: `error.CheckFailed`
        /// out of bounds, `error.Exhausted` out of 64 bits.
        pub fn call(args: Args) Error!Result {
            const bytes = try tables.encode(Row, args);
            const into: []align(8) u8 = if (ResultRow.is_bounded)
                &arena.Static(ResultRow, ResultRow.bytes_max).buffer
            else
                arena.free()[0 .. arena.free().len - if (Row.is_bounded) 0 else bytes.len];
            const length = try host.check(host.abi.operate(number(), bytes.ptr, bytes.len, into.ptr, into.len));
            if (Result == void) return;
            if (length > into.len) return error.ArenaFull;
            if (!ResultRow.is_bounded) arena.keep(length);
            const One = if (result.is_row) Result else struct { value: Result };
            const row = ResultRow.decode(One, into.ptr);
            return if (result.is_row) row else row.value;
        }

        inline fn number() i32 {
            return comptime for (root.module.operations, 0..) |One, i| {
                if (One == Self) break i;
            } else @compileError("operation '" ++ primitive ++ "." ++ name ++ "' is not among the module's operations");
        }
    };
}
