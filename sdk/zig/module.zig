//! A module: what it is called, the relations it binds, the functions that are its transitions.
//!
//! All of it is done at comptime: one exported `() -> i32` per transition, which pulls the arguments,
//! calls the function and hands over its result, and the custom section `reifydb.manifest`.

const std = @import("std");
const root = @import("root");
const arena = @import("arena.zig");
const codec = @import("codec.zig");
const host = @import("host.zig");
const manifest = @import("manifest.zig");

/// A function and what its type does not say.
pub const Transition = struct {
    function: *const anyopaque,
    Function: type,
    params: []const manifest.Param,
    result: manifest.Result,
    is_query: bool,
};

/// A parameter that is never logged: `.{ "user", reifydb.secret("password") }`.
pub fn secret(comptime name: []const u8) manifest.Secret {
    return .{ .name = name };
}

/// A function that may change rows. Zig does not tell the names of its parameters, so they are given
/// here, one for each; or none, if its only parameter is a struct: then its fields are the parameters.
pub fn transition(comptime function: anytype, comptime names: anytype) Transition {
    return describe(function, names, false);
}

/// A function that only reads.
pub fn query(comptime function: anytype, comptime names: anytype) Transition {
    return describe(function, names, true);
}

fn describe(comptime function: anytype, comptime names: anytype, comptime is_query: bool) Transition {
    @setEvalBranchQuota(1_000_000); // counted over all transitions of a module
    return .{
        .function = &function,
        .Function = @TypeOf(function),
        .params = manifest.params(@TypeOf(function), names),
        .result = manifest.result(Payload(@TypeOf(function))),
        .is_query = is_query,
    };
}

/// The module of this guest, to be found as `module` in its root file. `spec` has
///
/// - `name`; `schema`: the SQL of the tables it needs, if it brings any;
/// - `relations`: a tuple of the tables it uses; `transitions`: a struct of them by name;
/// - `operations`: a tuple of the operations of primitives that it calls, if there are any;
/// - `arena_bytes`: memory for the rows and texts of one call, a multiple of 8 (default 32 KiB).
pub fn module(comptime spec: anytype) type {
    return struct {
        pub const relations = spec.relations;
        pub const operations = if (@hasField(@TypeOf(spec), "operations")) spec.operations else .{};
        pub const arena_bytes: usize = if (@hasField(@TypeOf(spec), "arena_bytes")) spec.arena_bytes else arena.bytes_default;

        /// Exports the transitions and writes the manifest. For a comptime block of the root file.
        pub fn emit() void {
            comptime {
                if (arena_bytes % 8 != 0) @compileError("arena_bytes must be a multiple of 8");
                if (!@hasDecl(root, "panic") or @TypeOf(root.panic) != type or root.panic != @import("panic.zig"))
                    @compileError("the root file needs: pub const panic = reifydb.panic;");
                for (@typeInfo(@TypeOf(spec.transitions)).@"struct".field_names) |name| {
                    @export(&Export(@field(spec.transitions, name)).run, .{ .name = name });
                }
                _ = Section;
            }
        }

        const Section = struct {
            comptime {
                asm (manifest.section(manifest.json(spec)));
            }
        };
    };
}

/// What a transition looks like from outside.
fn Export(comptime self: Transition) type {
    return struct {
        const Args = manifest.Row(self.Function) orelse std.meta.ArgsTuple(self.Function);
        const ArgsRow = codec.Codec(codec.columnsOf(Args));
        const Result = Payload(self.Function);

        fn run() callconv(.c) i32 {
            arena.reset();
            call() catch |err| return host.fail(err);
            return 0;
        }

        inline fn call() !void {
            const function: *const self.Function = @ptrCast(@alignCast(self.function));
            const args = try arguments();
            const answer = @call(.auto, function, if (comptime manifest.Row(self.Function) == null) args else .{args});
            const value: Result = switch (@typeInfo(@TypeOf(answer))) {
                .error_union => try answer,
                else => answer,
            };
            if (Result != void) try handOver(value);
        }

        inline fn arguments() host.Error!Args {
            if (self.params.len == 0) return undefined;
            const into: []align(8) u8 = if (ArgsRow.is_bounded)
                &arena.Static(ArgsRow, ArgsRow.bytes_max).buffer
            else
                arena.free();
            const length = try host.check(host.abi.args(into.ptr, into.len));
            if (length > into.len) return error.ArenaFull;
            if (!ArgsRow.is_bounded) arena.keep(length);
            return ArgsRow.decode(Args, into.ptr);
        }

        inline fn handOver(value: Result) host.Error!void {
            const Row = codec.Codec(self.result.columns);
            const length = Row.size(value);
            const bytes: []align(8) u8 = if (Row.is_bounded)
                arena.Static(Row, Row.bytes_max).buffer[0..@intCast(length)]
            else
                try arena.outgoing(length);
            Row.encode(value, bytes.ptr, bytes.len);
            _ = try host.check(host.abi.result(bytes.ptr, bytes.len));
        }
    };
}

/// What a function returns when it returns no error.
fn Payload(comptime Function: type) type {
    const Return = @typeInfo(Function).@"fn".return_type.?;
    return switch (@typeInfo(Return)) {
        .error_union => |info| info.payload,
        else => Return,
    };
}
