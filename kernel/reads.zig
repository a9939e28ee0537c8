//! Which columns of a row a program looks at, as bits: whatever changes in the others does not change its outputs.

const std = @import("std");
const row_format = @import("row.zig");
const programs = @import("program.zig");
const layout = @import("layout.zig");
const Program = programs.Program;
const Row = row_format.Row;
const Type = row_format.Type;

/// A bit for each column; the last one for all that follow.
pub const Columns = u64;
pub const all: Columns = std.math.maxInt(Columns);

pub fn bit(column: usize) Columns {
    return @as(Columns, 1) << @intCast(@min(column, 63));
}

/// All columns of an input's row that a program may look at.
pub fn of(program: *const Program, input: usize) Columns {
    var found: Columns = 0;
    for (program.instructions) |one| if (isLoad(one.op) and one.a == input) {
        found |= bit(@intCast(one.imm));
    };
    return found;
}

fn isJump(op: programs.Op) bool {
    return switch (op) {
        .jump, .jump_if_false, .jump_if_true, .jump_unless, .jump_if_null, .jump_if_value => true,
        else => false,
    };
}

fn isLoad(op: programs.Op) bool {
    return op == .load_word or op == .load_tail;
}

/// Those that one output depends on. Where there are jumps, all that the program looks at.
pub fn ofOutput(program: *const Program, input: usize, output: usize) Columns {
    for (program.instructions) |one| if (isJump(one.op)) return of(program, input);
    @memset(registers[0..program.registers], 0);
    for (program.instructions) |one| registers[one.dst] = if (isLoad(one.op))
        (if (one.a == input) bit(@intCast(one.imm)) else 0)
    else
        ofOperands(program, one);
    return registers[program.outputs[output].register];
}

var registers: [layout.program_registers_max]Columns = undefined;

/// What an operation does not use may hold any number.
fn ofOperands(program: *const Program, one: programs.Instruction) Columns {
    const operands = programs.operandsOf(one.op);
    var found: Columns = if (one.a < program.registers) registers[one.a] else 0;
    if (operands.b and one.b != programs.no_register) found |= registers[one.b];
    if (operands.c and one.c() != programs.no_register) found |= registers[one.c()];
    return found;
}

/// So many of its first instructions make the first `count` outputs.
pub fn neededFor(program: *const Program, count: usize) usize {
    var needed: usize = 0;
    for (program.instructions, 1..) |one, end| {
        if (isJump(one.op)) return program.instructions.len;
        for (program.outputs[0..count]) |output| if (one.dst == output.register) {
            needed = end;
        };
    }
    return needed;
}

/// The place in its input's row that an output is, as it stands there; null: it is something else.
pub fn placeOf(program: *const Program, input: usize, output: usize) ?u32 {
    const register = program.outputs[output].register;
    var found: ?u32 = null;
    for (program.instructions) |one| {
        if (isJump(one.op)) return null;
        if (one.dst == register) found = if (isLoad(one.op) and one.a == input) @intCast(one.imm) else null;
    }
    return found;
}

/// The columns in which two versions of a row differ, or may: what one of them is too short for may.
pub fn different(types: []const Type, a: Row, b: Row) Columns {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    const count: usize = a.columns();
    if (count != b.columns() or count != types.len) return all;
    var found: Columns = 0;
    for (0..count) |i| found |= @as(Columns, @intFromBool(a.slot(i).* != b.slot(i).*)) << @intCast(@min(i, 63));
    const x = a.words();
    const y = b.words();
    if (x.len != y.len) return found | ofNullsAndTails(types, a, b);
    for (x[1 + count ..], y[1 + count ..]) |one, other| {
        if (one != other) return found | ofNullsAndTails(types, a, b);
    }
    return found;
}

noinline fn ofNullsAndTails(types: []const Type, a: Row, b: Row) Columns {
    var found: Columns = 0;
    for (types, 0..) |kind, i| if (!row_format.sameValue(kind, a, b, i)) {
        found |= bit(i);
    };
    return found;
}
