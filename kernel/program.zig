//! Programs: what expressions of SQL become (docs/formats.md, "Program"). Here one is checked and kept; evaluate.zig
//! runs it.
//!
//! What is always true of a `Program`: every register, input, place, scale and jump in it has been checked, and jumps
//! lead forward. So running it needs no checks, and ends. Constants are in no instruction's `dst`: registers are prepared
//! once and serve many rows.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const row_format = @import("row.zig");
const Row = row_format.Row;
const Type = row_format.Type;
pub const Cell = @import("cell.zig").Cell;
pub const Failure = @import("cell.zig").Failure;

/// In place of a register that an operation can do without.
pub const no_register = 0xffff;

pub const Op = enum(u16) {
    move = 0,
    load_word = 1,
    load_tail = 2,
    jump = 3,
    jump_if_false = 4,
    jump_if_true = 5,
    jump_unless = 6,
    jump_if_null = 7,
    jump_if_value = 8,
    set_null = 9,
    is_null = 10,
    is_value = 11,
    not = 12,
    @"and" = 13,
    @"or" = 14,

    eq_word = 20,
    ne_word = 21,
    lt_word = 22,
    le_word = 23,
    gt_word = 24,
    ge_word = 25,
    eq_float = 26,
    ne_float = 27,
    lt_float = 28,
    le_float = 29,
    gt_float = 30,
    ge_float = 31,
    eq_tail = 32,
    ne_tail = 33,
    lt_tail = 34,
    le_tail = 35,
    gt_tail = 36,
    ge_tail = 37,
    same_word = 38,
    same_float = 39,
    same_tail = 40,

    add = 50,
    sub = 51,
    mul = 52,
    div = 53,
    mod = 54,
    neg = 55,
    abs = 56,
    sign = 57,

    fit = 60,
    scale_up = 61,
    scale_down = 62,
    scale_trunc = 63,
    scale_floor = 64,
    scale_ceil = 65,
    mul_decimal = 66,
    div_decimal = 67,

    add_float = 70,
    sub_float = 71,
    mul_float = 72,
    div_float = 73,
    mod_float = 74,
    neg_float = 75,
    abs_float = 76,
    sign_float = 77,
    floor = 78,
    ceil = 79,
    round = 80,
    trunc = 81,
    sqrt = 82,
    power = 83,
    exp = 84,
    ln = 85,

    int_to_float = 90,
    decimal_to_float = 91,
    float_to_int = 92,
    float_to_decimal = 93,
    bool_to_int = 94,
    int_to_bool = 95,

    int_to_text = 100,
    decimal_to_text = 101,
    float_to_text = 102,
    bool_to_text = 103,
    timestamp_to_text = 104,
    uuid_to_text = 105,
    text_to_int = 110,
    text_to_decimal = 111,
    text_to_float = 112,
    text_to_bool = 113,
    text_to_timestamp = 114,
    text_to_uuid = 115,
    text_to_json = 116,

    concat = 120,
    lower = 121,
    upper = 122,
    length = 123,
    octet_length = 124,
    substr = 125,
    trim = 126,
    replace = 127,
    position = 128,
    like = 129,
    starts_with = 130,
    left = 131,
    right = 132,
    repeat = 133,
    lpad = 134,
    rpad = 135,
    reverse = 136,

    date_trunc = 140,
    extract = 141,
    add_months = 142,

    json_get = 150,
    json_at = 151,
    json_text = 152,
    json_length = 153,
    json_type = 154,
    _,
};

pub const Instruction = extern struct {
    op: Op,
    dst: u16,
    a: u16,
    b: u16,
    imm: i64,

    /// The register of a third operand.
    pub inline fn c(instruction: Instruction) u16 {
        return @truncate(@as(u64, @bitCast(instruction.imm)));
    }
};

const Operand = enum { unused, register, optional, input };

/// What an operation looks at. Of what is unused the contents do not matter.
const Shape = struct {
    dst: bool = true,
    a: Operand = .unused,
    b: Operand = .unused,
    c: Operand = .unused,
    imm: enum { unused, jump, place, number } = .unused,
    /// Between which numbers `imm` is, when it is a number.
    low: i64 = 0,
    high: i64 = 0,

    fn unary(low: i64, high: i64) Shape {
        return .{ .a = .register, .imm = .number, .low = low, .high = high };
    }
};

fn shapeOf(op: Op) ?Shape {
    return switch (op) {
        .move, .is_null, .is_value, .not => .{ .a = .register },
        .load_word, .load_tail => .{ .a = .input, .imm = .place },
        .jump => .{ .dst = false, .imm = .jump },
        .jump_if_false, .jump_if_true, .jump_unless, .jump_if_null, .jump_if_value => .{ .dst = false, .a = .register, .imm = .jump },
        .set_null => .{},
        .@"and", .@"or" => .{ .a = .register, .b = .register },
        .eq_word, .ne_word, .lt_word, .le_word, .gt_word, .ge_word => .{ .a = .register, .b = .register },
        .eq_float, .ne_float, .lt_float, .le_float, .gt_float, .ge_float => .{ .a = .register, .b = .register },
        .eq_tail, .ne_tail, .lt_tail, .le_tail, .gt_tail, .ge_tail => .{ .a = .register, .b = .register },
        .same_word, .same_float, .same_tail => .{ .a = .register, .b = .register },
        .add, .sub, .mul, .div, .mod => .{ .a = .register, .b = .register },
        .neg, .abs, .sign => .{ .a = .register },
        .fit => .unary(1, row_format.decimal_precision_max),
        .scale_up, .scale_down, .scale_trunc, .scale_floor, .scale_ceil => .unary(0, row_format.decimal_precision_max),
        .mul_decimal => .{ .a = .register, .b = .register, .imm = .number, .high = 2 * row_format.decimal_precision_max },
        .div_decimal => .{
            .a = .register,
            .b = .register,
            .imm = .number,
            .low = -row_format.decimal_precision_max,
            .high = 2 * row_format.decimal_precision_max,
        },
        .add_float, .sub_float, .mul_float, .div_float, .mod_float, .power => .{ .a = .register, .b = .register },
        .neg_float, .abs_float, .sign_float, .floor, .ceil, .round, .trunc, .sqrt, .exp, .ln => .{ .a = .register },
        .int_to_float, .float_to_int, .bool_to_int, .int_to_bool => .{ .a = .register },
        .decimal_to_float, .float_to_decimal, .decimal_to_text, .text_to_decimal => .unary(0, row_format.decimal_precision_max),
        .int_to_text, .float_to_text, .bool_to_text, .timestamp_to_text, .uuid_to_text => .{ .a = .register },
        .text_to_int, .text_to_float, .text_to_bool, .text_to_timestamp, .text_to_uuid, .text_to_json => .{ .a = .register },
        .lower, .upper, .length, .octet_length, .reverse => .{ .a = .register },
        .concat, .position, .starts_with, .left, .right, .repeat => .{ .a = .register, .b = .register },
        .substr => .{ .a = .register, .b = .register, .c = .optional },
        .trim => .{ .a = .register, .b = .optional, .imm = .number, .low = 1, .high = 3 },
        .like => .{ .a = .register, .b = .register, .imm = .number, .high = 0x10_ffff_ff },
        .replace, .lpad, .rpad => .{ .a = .register, .b = .register, .c = .register },
        .date_trunc => .unary(1, 9),
        .extract => .unary(1, 15),
        .add_months, .json_get, .json_at => .{ .a = .register, .b = .register },
        .json_text, .json_length, .json_type => .{ .a = .register },
        _ => null,
    };
}

/// Which operands an operation may have besides `a`.
pub const Operands = struct { b: bool = false, c: bool = false };

const operands: [256]Operands = blk: {
    @setEvalBranchQuota(10_000);
    var made: [256]Operands = undefined;
    for (&made, 0..) |*one, op| {
        const shape = shapeOf(@fromBackingInt(op)) orelse Shape{};
        one.* = .{ .b = shape.b != .unused, .c = shape.c != .unused };
    }
    break :blk made;
};

/// Of an operation that `make` let pass.
pub inline fn operandsOf(op: Op) Operands {
    return operands[@backingInt(op)];
}

const Head = extern struct {
    instructions: u32,
    registers: u16,
    constants: u16,
    parameters: u16,
    outputs: u16,
    inputs: u16,
    reserved: u16,
};

pub const Output = extern struct {
    register: u16,
    type: Type,
    nullable: u8,
};

pub const Program = struct {
    /// A copy of what the program was made from, without its constants.
    bytes: []align(8) u8,
    /// The constants' row: their cells lead into it.
    constants_row: Row,
    constants: []Cell,
    instructions: []const Instruction,
    registers: u16,
    outputs: []const Output,
    /// For each input, how many columns its rows have at least.
    inputs: []const u16,
    parameter_types: []const Type,

    /// Checks a program and keeps a copy. InvalidRow: it is malformed.
    pub fn make(source: []const u8) layout.Error!*Program {
        const parts = try Parts.of(source);
        try parts.check();
        var column: u32 = 0;
        const constants = try row_format.checkCanonical(source[parts.end..], parts.constant_types, &column);
        if (constants.source_bytes != source.len - parts.end) return error.InvalidRow;
        return keep(source, constants.row);
    }

    fn keep(source: []const u8, constants_row: Row) layout.Error!*Program {
        const end = (Parts.of(source) catch unreachable).end;
        const program = try heap.create(Program);
        errdefer heap.destroy(Program, program);
        const bytes = try allocateBytes(end);
        errdefer heap.free(@intFromPtr(bytes.ptr), bytes.len);
        @memcpy(bytes, source[0..end]);
        const row_bytes = try allocateBytes(constants_row.length());
        errdefer heap.free(@intFromPtr(row_bytes.ptr), row_bytes.len);
        @memcpy(row_bytes, constants_row.bytes());
        const parts = Parts.of(bytes) catch unreachable;
        const cells = try heap.allocateSlice(Cell, parts.head.constants);
        const row: Row = .{ .at = @intFromPtr(row_bytes.ptr) };
        fill(cells, parts.constant_types, row);
        program.* = .{
            .bytes = bytes,
            .constants_row = row,
            .constants = cells,
            .instructions = parts.instructions,
            .registers = parts.head.registers,
            .outputs = parts.outputs,
            .inputs = parts.inputs,
            .parameter_types = parts.parameter_types,
        };
        return program;
    }

    fn allocateBytes(count: usize) layout.Error![]align(8) u8 {
        if (count > heap.size_max) return error.RowTooLong;
        return @as([*]align(8) u8, @ptrFromInt(try heap.allocate(count)))[0..count];
    }

    pub fn destroy(program: *Program) void {
        heap.freeSlice(Cell, program.constants);
        heap.free(program.constants_row.at, program.constants_row.length());
        heap.free(@intFromPtr(program.bytes.ptr), program.bytes.len);
        heap.destroy(Program, program);
    }

    /// Whether another one says the same.
    pub fn isSame(program: *const Program, other: *const Program) bool {
        return std.mem.eql(u8, program.bytes, other.bytes) and
            std.mem.eql(u8, program.constants_row.bytes(), other.constants_row.bytes());
    }

    /// Whether there may be rows that it cannot be run for.
    pub fn canFail(program: *const Program) bool {
        for (program.instructions) |one| if (@backingInt(one.op) > @backingInt(Op.same_tail)) return true;
        return false;
    }

    /// No constant text of it is longer.
    pub fn constantBytes(program: *const Program) u64 {
        return program.constants_row.length();
    }

    /// Checks the row of parameters at the start of `source`. JSON in it is canonical afterwards: the row may be a copy,
    /// good until the next check of a row.
    pub fn checkParameters(program: *const Program, source: []const u8) layout.Error!row_format.Checked {
        var column: u32 = 0;
        return row_format.checkCanonical(source, program.parameter_types, &column);
    }

    /// Makes registers ready for any number of runs. The parameters, a checked row, must stay where they are as long.
    pub fn prepare(program: *const Program, registers: []Cell, parameters: Row) void {
        program.begin(registers);
        program.setParameters(registers, parameters);
    }

    /// What is the same for all parameters.
    pub fn begin(program: *const Program, registers: []Cell) void {
        const constants = program.constants.len;
        std.debug.assert(registers.len >= program.registers);
        @memcpy(registers[0..constants], program.constants);
        @memset(registers[constants..program.registers], Cell.none);
    }

    /// Other parameters for registers that are ready.
    pub inline fn setParameters(program: *const Program, registers: []Cell, parameters: Row) void {
        const constants = program.constants.len;
        fill(registers[constants..][0..program.parameter_types.len], program.parameter_types, parameters);
    }
};

/// The values of a checked row as cells that lead into it.
fn fill(cells: []Cell, types: []const Type, row: Row) void {
    for (cells, types, 0..) |*cell, kind, column| cell.* = .ofColumn(kind, row, column);
}

/// A program's bytes, taken apart.
const Parts = struct {
    head: *const Head,
    inputs: []const u16,
    outputs: []const Output,
    constant_types: []const Type,
    parameter_types: []const Type,
    instructions: []const Instruction,
    /// Where the constants' row begins.
    end: usize,

    fn of(source: []const u8) error{InvalidRow}!Parts {
        if (source.len < @sizeOf(Head) or @intFromPtr(source.ptr) % 8 != 0) return error.InvalidRow;
        const head: *const Head = @ptrCast(@alignCast(source.ptr));
        const outputs_at = @sizeOf(Head) + 2 * @as(usize, head.inputs);
        const types_at = outputs_at + @sizeOf(Output) * @as(usize, head.outputs);
        const temporaries = @as(usize, head.constants) + head.parameters;
        const instructions_at = row_format.padded(types_at + temporaries);
        const end = instructions_at + @sizeOf(Instruction) * @as(usize, head.instructions);
        if (end > source.len) return error.InvalidRow;
        const types = @as([*]const Type, @ptrCast(source.ptr + types_at))[0..temporaries];
        return .{
            .head = head,
            .inputs = slice(u16, source, @sizeOf(Head), head.inputs),
            .outputs = slice(Output, source, outputs_at, head.outputs),
            .constant_types = types[0..head.constants],
            .parameter_types = types[head.constants..],
            .instructions = slice(Instruction, source, instructions_at, head.instructions),
            .end = end,
        };
    }

    fn slice(comptime T: type, source: []const u8, at: usize, count: usize) []const T {
        return @as([*]const T, @ptrCast(@alignCast(source.ptr + at)))[0..count];
    }

    fn check(parts: *const Parts) error{InvalidRow}!void {
        const head = parts.head;
        if (head.instructions > layout.program_instructions_max or head.registers > layout.program_registers_max) return error.InvalidRow;
        if (head.outputs > layout.columns_max or head.reserved != 0) return error.InvalidRow;
        if (@as(usize, head.constants) + head.parameters > head.registers) return error.InvalidRow;
        for (parts.outputs) |output| {
            if (output.register >= head.registers or !row_format.isKnown(output.type) or output.nullable > 1) return error.InvalidRow;
        }
        for (parts.constant_types) |kind| if (!row_format.isKnown(kind)) return error.InvalidRow;
        for (parts.parameter_types) |kind| if (!row_format.isKnown(kind)) return error.InvalidRow;
        for (parts.instructions, 0..) |instruction, at| try parts.checkInstruction(instruction, at);
    }

    fn checkInstruction(parts: *const Parts, instruction: Instruction, at: usize) error{InvalidRow}!void {
        const shape = shapeOf(instruction.op) orelse return error.InvalidRow;
        const head = parts.head;
        if (shape.dst) {
            if (instruction.dst >= head.registers) return error.InvalidRow;
            if (instruction.dst < head.constants + head.parameters) return error.InvalidRow;
        }
        try parts.checkOperand(shape.a, instruction.a);
        try parts.checkOperand(shape.b, instruction.b);
        try parts.checkOperand(shape.c, instruction.c());
        const imm = instruction.imm;
        const is_good = switch (shape.imm) {
            .unused => true,
            .jump => imm > at and imm <= head.instructions,
            .place => imm >= 0 and imm < parts.inputs[instruction.a],
            .number => imm >= shape.low and imm <= shape.high,
        };
        if (!is_good) return error.InvalidRow;
    }

    fn checkOperand(parts: *const Parts, operand: Operand, number: u16) error{InvalidRow}!void {
        const is_good = switch (operand) {
            .unused => true,
            .register => number < parts.head.registers,
            .optional => number < parts.head.registers or number == no_register,
            .input => number < parts.inputs.len,
        };
        if (!is_good) return error.InvalidRow;
    }
};
