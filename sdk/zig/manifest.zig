//! The custom section `reifydb.manifest`: the JSON of docs/abi.md, written at comptime.

const std = @import("std");
const codec = @import("codec.zig");

pub const Param = struct { name: []const u8, type: type, secret: bool };

pub const Secret = struct { name: []const u8 };

pub const Result = struct {
    columns: []const codec.Column,
    is_row: bool,
};

/// The parameters of a function: its types with these names, or the fields of its only parameter.
pub fn params(comptime Function: type, comptime names: anytype) []const Param {
    comptime {
        const types = @typeInfo(Function).@"fn".param_types;
        if (Row(Function)) |Fields| return fieldsAsParams(Fields, names.len);
        if (types.len != names.len) @compileError(std.fmt.comptimePrint(
            "{s} has {d} parameters, but {d} names are given",
            .{ @typeName(Function), types.len, names.len },
        ));
        var all: [types.len]Param = undefined;
        for (&all, types, names) |*param, Type, given| {
            const is_secret = @TypeOf(given) == Secret;
            param.* = .{ .name = if (is_secret) given.name else given, .type = Type.?, .secret = is_secret };
        }
        const done = all;
        return &done;
    }
}

/// The struct that a function takes as its only parameter, whose fields are the arguments.
pub fn Row(comptime Function: type) ?type {
    const types = @typeInfo(Function).@"fn".param_types;
    if (types.len != 1) return null;
    const Only = types[0].?;
    return if (@typeInfo(Only) == .@"struct" and codec.kindOf(Only) == null) Only else null;
}

fn fieldsAsParams(comptime Fields: type, comptime names: usize) []const Param {
    if (names != 0) @compileError("the fields of " ++ @typeName(Fields) ++ " name the parameters: give no names");
    const columns = codec.columnsOf(Fields);
    var all: [columns.len]Param = undefined;
    for (&all, columns) |*param, column| {
        param.* = .{ .name = column.name, .type = column.type, .secret = false };
    }
    const done = all;
    return &done;
}

/// The result that a function's return type is: nothing, a value, or a row.
pub fn result(comptime T: type) Result {
    comptime {
        if (T == void) return .{ .columns = &.{}, .is_row = false };
        if (codec.kindOf(T) != null) return .{ .columns = &.{.{ .name = "value", .type = T }}, .is_row = false };
        if (@typeInfo(T) == .@"struct") return .{ .columns = codec.columnsOf(T), .is_row = true };
        @compileError("a transition returns nothing, a column type or a struct of them, not " ++ @typeName(T));
    }
}

pub fn json(comptime spec: anytype) []const u8 {
    comptime {
        @setEvalBranchQuota(1_000_000);
        var text: []const u8 = "{\"abi\":1,\"name\":" ++ name(spec.name);
        if (@hasField(@TypeOf(spec), "schema")) text = text ++ ",\"schema\":" ++ string(spec.schema);
        text = text ++ ",\"relations\":[";
        for (spec.relations, 0..) |Relation, i| {
            text = text ++ (if (i > 0) "," else "") ++ "{\"name\":" ++ name(Relation.relation_name) ++
                ",\"columns\":" ++ columnsJson(Relation.columns) ++ indexesJson(Relation.indexes) ++ "}";
        }
        if (@hasField(@TypeOf(spec), "operations")) {
            text = text ++ "],\"operations\":[";
            for (spec.operations, 0..) |Operation, i| text = text ++ (if (i > 0) "," else "") ++ operationJson(Operation);
        }
        text = text ++ "],\"transitions\":[";
        for (@typeInfo(@TypeOf(spec.transitions)).@"struct".field_names, 0..) |transition, i| {
            text = text ++ (if (i > 0) "," else "") ++
                transitionJson(transition, @field(spec.transitions, transition));
        }
        return text ++ "]}";
    }
}

/// The assembler's words for a custom section with these bytes.
pub fn section(comptime text: []const u8) []const u8 {
    comptime {
        @setEvalBranchQuota(1_000_000);
        return ".section .custom_section.reifydb.manifest,\"\",@\n.ascii " ++ quote(text, "\\{o:0>3}") ++ "\n";
    }
}

fn transitionJson(comptime transition_name: []const u8, comptime self: anytype) []const u8 {
    comptime {
        var text: []const u8 = "{\"name\":" ++ name(transition_name) ++ ",\"params\":[";
        for (self.params, 0..) |param, i| {
            text = text ++ (if (i > 0) "," else "") ++ "{\"name\":" ++ name(param.name) ++ "," ++
                typeJson(.{ .name = "a parameter", .type = param.type }) ++
                (if (param.secret) ",\"secret\":true}" else "}");
        }
        text = text ++ "],\"result\":" ++ resultJson(self.result);
        return text ++ (if (self.is_query) ",\"query\":true}" else "}");
    }
}

fn operationJson(comptime Operation: type) []const u8 {
    comptime {
        return "{\"primitive\":" ++ name(Operation.primitive_name) ++ ",\"name\":" ++ name(Operation.operation_name) ++
            ",\"params\":" ++ columnsJson(Operation.params) ++ ",\"result\":" ++ resultJson(Operation.result) ++ "}";
    }
}

fn resultJson(comptime self: Result) []const u8 {
    comptime {
        if (self.is_row) return "{\"columns\":" ++ columnsJson(self.columns) ++ "}";
        return if (self.columns.len == 1) "{" ++ typeJson(self.columns[0]) ++ "}" else "null";
    }
}

fn indexesJson(comptime indexes: anytype) []const u8 {
    comptime {
        const names = @typeInfo(@TypeOf(indexes)).@"struct".field_names;
        var text: []const u8 = "";
        for (names, 0..) |index, i| {
            text = text ++ (if (i > 0) "," else ",\"indexes\":[") ++ "{\"name\":" ++ name(index) ++ ",\"columns\":[";
            for (@field(indexes, index), 0..) |column, k| text = text ++ (if (k > 0) "," else "") ++ name(column);
            text = text ++ "]}";
        }
        return if (names.len > 0) text ++ "]" else text;
    }
}

fn columnsJson(comptime columns: []const codec.Column) []const u8 {
    comptime {
        var text: []const u8 = "[";
        for (columns, 0..) |column, i| {
            text = text ++ (if (i > 0) "," else "") ++ "{\"name\":" ++ name(column.name) ++ "," ++ typeJson(column) ++ "}";
        }
        return text ++ "]";
    }
}

fn typeJson(comptime column: codec.Column) []const u8 {
    return "\"type\":\"" ++ column.typeName() ++ (if (column.nullable()) "\",\"nullable\":true" else "\"");
}

/// A name in quotes, which matches `[a-z_][a-z0-9_]{0,62}`.
fn name(comptime text: []const u8) []const u8 {
    comptime {
        const is_valid = text.len > 0 and text.len <= 63 and !std.ascii.isDigit(text[0]) and
            for (text) |character| {
                if (!std.ascii.isLower(character) and !std.ascii.isDigit(character) and character != '_') break false;
            } else true;
        if (!is_valid) @compileError("'" ++ text ++ "' is not a name: these match [a-z_][a-z0-9_]{0,62}");
        return "\"" ++ text ++ "\"";
    }
}

fn string(comptime text: []const u8) []const u8 {
    return quote(text, "\\u{x:0>4}");
}

/// `text` in quotes; control characters as `escape` prints their number.
fn quote(comptime text: []const u8, comptime escape: []const u8) []const u8 {
    comptime {
        var out: [2 + 6 * text.len]u8 = undefined;
        var len: usize = 1;
        out[0] = '"';
        for (text) |character| {
            const piece: []const u8 = switch (character) {
                '"' => "\\\"",
                '\\' => "\\\\",
                0...31, 127 => std.fmt.comptimePrint(escape, .{character}),
                else => &.{character},
            };
            @memcpy(out[len..][0..piece.len], piece);
            len += piece.len;
        }
        out[len] = '"';
        const done = out[0 .. len + 1].*;
        return &done;
    }
}
