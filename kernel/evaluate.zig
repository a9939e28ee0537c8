//! Runs programs: one loop over instructions, whose operands are cells in a flat array.
//!
//! It is where a query spends its time, so nothing is checked here that program.zig has checked, and nothing is
//! allocated; texts go to scratch.zig. Operations that are short and frequent are in the loop itself, all others behind
//! one call.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const number = @import("scalar_number.zig");
const number_text = @import("number_text.zig");
const text = @import("scalar_text.zig");
const time = @import("scalar_time.zig");
const json = @import("scalar_json.zig");
const like = @import("scalar_like.zig").like;
const scratch = @import("scratch.zig");
const row_format = @import("row.zig");
const cell_format = @import("cell.zig");
const programs = @import("program.zig");
const Row = row_format.Row;
const Instruction = programs.Instruction;
pub const Cell = cell_format.Cell;
pub const Failure = cell_format.Failure;
pub const Program = programs.Program;

/// Runs a program on one row of each input. `registers` have been prepared. On failure `failed_at` is the instruction.
pub fn run(program: *const Program, inputs: []const Row, registers: []Cell, failed_at: *u32) Failure!void {
    @setRuntimeSafety(false); // hot, and program.zig has checked every number
    const instructions = program.instructions;
    const cells = registers.ptr;
    const rows = inputs.ptr;
    var next: usize = 0;
    errdefer failed_at.* = @intCast(next - 1);
    while (next < instructions.len) {
        const at: *const Instruction = &instructions[next];
        next += 1;
        switch (at.op) {
            .move => cells[at.dst] = cells[at.a],
            .load_word => cells[at.dst] = load(rows[at.a], @intCast(at.imm), false),
            .load_tail => cells[at.dst] = load(rows[at.a], @intCast(at.imm), true),
            .jump => next = @intCast(at.imm),
            .jump_if_false => if (cells[at.a].isFalse()) {
                next = @intCast(at.imm);
            },
            .jump_if_true => if (cells[at.a].isTrue()) {
                next = @intCast(at.imm);
            },
            .jump_unless => if (!cells[at.a].isTrue()) {
                next = @intCast(at.imm);
            },
            .jump_if_null => if (cells[at.a].is_null != 0) {
                next = @intCast(at.imm);
            },
            .jump_if_value => if (cells[at.a].is_null == 0) {
                next = @intCast(at.imm);
            },
            .set_null => cells[at.dst] = Cell.none,
            .is_null => cells[at.dst] = .ofWord(cells[at.a].is_null),
            .is_value => cells[at.dst] = .ofWord(cells[at.a].is_null ^ 1),
            .not => {
                const a = cells[at.a];
                cells[at.dst] = .{ .value = @intFromBool(a.isFalse()), .is_null = a.is_null };
            },
            .@"and" => {
                const a = cells[at.a];
                const b = cells[at.b];
                const is_false = a.isFalse() or b.isFalse();
                cells[at.dst] = if (is_false) .ofBool(false) else if (a.is_null | b.is_null != 0) Cell.none else .ofBool(true);
            },
            .@"or" => {
                const a = cells[at.a];
                const b = cells[at.b];
                const is_true = a.isTrue() or b.isTrue();
                cells[at.dst] = if (is_true) .ofBool(true) else if (a.is_null | b.is_null != 0) Cell.none else .ofBool(false);
            },

            .eq_word => cells[at.dst] = compareWords(cells[at.a], cells[at.b], .eq),
            .ne_word => cells[at.dst] = compareWords(cells[at.a], cells[at.b], .neq),
            .lt_word => cells[at.dst] = compareWords(cells[at.a], cells[at.b], .lt),
            .le_word => cells[at.dst] = compareWords(cells[at.a], cells[at.b], .lte),
            .gt_word => cells[at.dst] = compareWords(cells[at.a], cells[at.b], .gt),
            .ge_word => cells[at.dst] = compareWords(cells[at.a], cells[at.b], .gte),
            .eq_float => cells[at.dst] = compareFloats(cells[at.a], cells[at.b], .eq),
            .ne_float => cells[at.dst] = compareFloats(cells[at.a], cells[at.b], .neq),
            .lt_float => cells[at.dst] = compareFloats(cells[at.a], cells[at.b], .lt),
            .le_float => cells[at.dst] = compareFloats(cells[at.a], cells[at.b], .lte),
            .gt_float => cells[at.dst] = compareFloats(cells[at.a], cells[at.b], .gt),
            .ge_float => cells[at.dst] = compareFloats(cells[at.a], cells[at.b], .gte),
            .eq_tail => cells[at.dst] = compareTails(cells[at.a], cells[at.b], .eq),
            .ne_tail => cells[at.dst] = compareTails(cells[at.a], cells[at.b], .neq),
            .lt_tail => cells[at.dst] = compareTails(cells[at.a], cells[at.b], .lt),
            .le_tail => cells[at.dst] = compareTails(cells[at.a], cells[at.b], .lte),
            .gt_tail => cells[at.dst] = compareTails(cells[at.a], cells[at.b], .gt),
            .ge_tail => cells[at.dst] = compareTails(cells[at.a], cells[at.b], .gte),
            .same_word, .same_float => {
                const a = cells[at.a];
                const b = cells[at.b];
                cells[at.dst] = .ofBool(a.value == b.value and a.is_null == b.is_null);
            },
            .same_tail => {
                const a = cells[at.a];
                const b = cells[at.b];
                cells[at.dst] = .ofBool(a.is_null == b.is_null and isEqual(a.tail(), b.tail()));
            },

            .add => cells[at.dst] = if (anyNull(at, cells)) Cell.none else .ofInt(try number.add(cells[at.a].int(), cells[at.b].int())),
            .sub => cells[at.dst] = if (anyNull(at, cells)) Cell.none else .ofInt(try number.sub(cells[at.a].int(), cells[at.b].int())),
            .mul => cells[at.dst] = if (anyNull(at, cells)) Cell.none else .ofInt(try number.mul(cells[at.a].int(), cells[at.b].int())),
            .div => cells[at.dst] = if (anyNull(at, cells)) Cell.none else .ofInt(try number.div(cells[at.a].int(), cells[at.b].int())),
            .mod => cells[at.dst] = if (anyNull(at, cells)) Cell.none else .ofInt(try number.mod(cells[at.a].int(), cells[at.b].int())),
            .add_float => cells[at.dst] = if (anyNull(at, cells)) Cell.none else .ofFloat(try number.finite(cells[at.a].float() + cells[at.b].float())),
            .sub_float => cells[at.dst] = if (anyNull(at, cells)) Cell.none else .ofFloat(try number.finite(cells[at.a].float() - cells[at.b].float())),
            .mul_float => cells[at.dst] = if (anyNull(at, cells)) Cell.none else .ofFloat(try number.finite(cells[at.a].float() * cells[at.b].float())),

            else => try other(at, cells),
        }
    }
}

/// A column of a row that has it. What `Row` does, but its checks would take as long as all else here.
inline fn load(from: Row, place: usize, comptime is_tail: bool) Cell {
    @setRuntimeSafety(false);
    const base: [*]align(8) const u8 = @ptrFromInt(from.at);
    const columns: usize = @as(*const u16, @ptrCast(base + 4)).*;
    const nulls = base[row_format.head_bytes + 8 * columns + place / 8];
    if (nulls >> @truncate(place) & 1 != 0) return Cell.none;
    const slot = @as([*]const u64, @ptrCast(base))[1 + place];
    if (!is_tail) return .ofWord(slot);
    return .{ .value = from.at + (slot & 0xffff_ffff), .len = @intCast(slot >> 32) };
}

inline fn anyNull(at: *const Instruction, cells: [*]Cell) bool {
    return cells[at.a].is_null | cells[at.b].is_null != 0;
}

inline fn compareWords(a: Cell, b: Cell, comptime op: std.math.CompareOperator) Cell {
    const is_null = a.is_null | b.is_null;
    const holds: u32 = @intFromBool(std.math.compare(a.int(), op, b.int()));
    return .{ .value = holds & ~is_null, .is_null = is_null };
}

inline fn compareFloats(a: Cell, b: Cell, comptime op: std.math.CompareOperator) Cell {
    const is_null = a.is_null | b.is_null;
    const holds: u32 = @intFromBool(std.math.compare(a.float(), op, b.float()));
    return .{ .value = holds & ~is_null, .is_null = is_null };
}

inline fn compareTails(a: Cell, b: Cell, comptime op: std.math.CompareOperator) Cell {
    if (a.is_null | b.is_null != 0) return Cell.none;
    return .ofBool(switch (op) {
        .eq => isEqual(a.tail(), b.tail()),
        .neq => !isEqual(a.tail(), b.tail()),
        else => order(a.tail(), b.tail()).compare(op),
    });
}

inline fn isEqual(a: []const u8, b: []const u8) bool {
    return a.len == b.len and order(a, b) == .eq;
}

/// As memcmp orders them, the shorter one first.
pub fn order(a: []const u8, b: []const u8) std.math.Order {
    const common = @min(a.len, b.len);
    var at: usize = 0;
    while (at + 8 <= common) : (at += 8) {
        const x = std.mem.readInt(u64, a[at..][0..8], .big);
        const y = std.mem.readInt(u64, b[at..][0..8], .big);
        if (x != y) return std.math.order(x, y);
    }
    while (at < common) : (at += 1) {
        if (a[at] != b[at]) return std.math.order(a[at], b[at]);
    }
    return std.math.order(a.len, b.len);
}

/// All that is not worth a place in the loop. A null operand makes the result null.
noinline fn other(at: *const Instruction, cells: [*]Cell) Failure!void {
    const operands = programs.operandsOf(at.op);
    const has_b = operands.b and at.b != programs.no_register;
    const has_c = operands.c and at.c() != programs.no_register;
    const a = cells[at.a];
    const b = if (has_b) cells[at.b] else Cell{};
    const c = if (has_c) cells[at.c()] else Cell{};
    if (a.is_null | b.is_null | c.is_null != 0) {
        cells[at.dst] = Cell.none;
        return;
    }
    cells[at.dst] = switch (at.op) {
        .neg => .ofInt(try number.sub(0, a.int())),
        .abs => .ofInt(if (a.int() < 0) try number.sub(0, a.int()) else a.int()),
        .sign => .ofInt(std.math.sign(a.int())),
        .fit => if (number.fits(a.int(), at.imm)) a else return error.OutOfRange,
        .scale_up => .ofInt(try number.scaleUp(a.int(), at.imm)),
        .scale_down => .ofInt(number.scaleDown(a.int(), at.imm, .half_away)),
        .scale_trunc => .ofInt(number.scaleDown(a.int(), at.imm, .trunc)),
        .scale_floor => .ofInt(number.scaleDown(a.int(), at.imm, .floor)),
        .scale_ceil => .ofInt(number.scaleDown(a.int(), at.imm, .ceil)),
        .mul_decimal => .ofInt(try number.mulDecimal(a.int(), b.int(), at.imm)),
        .div_decimal => .ofInt(try number.divDecimal(a.int(), b.int(), at.imm)),
        .div_float => .ofFloat(try number.divFloat(a.float(), b.float())),
        .mod_float => .ofFloat(try number.modFloat(a.float(), b.float())),
        .neg_float => .ofFloat(-a.float()),
        .abs_float => .ofFloat(@abs(a.float())),
        .sign_float => .ofFloat(number.signFloat(a.float())),
        .floor => .ofFloat(@floor(a.float())),
        .ceil => .ofFloat(@ceil(a.float())),
        .round => .ofFloat(number.round(a.float())),
        .trunc => .ofFloat(@trunc(a.float())),
        .sqrt => .ofFloat(try number.sqrt(a.float())),
        .power => .ofFloat(try number.power(a.float(), b.float())),
        .exp => .ofFloat(try number.exp(a.float())),
        .ln => .ofFloat(try number.ln(a.float())),
        .int_to_float => .ofFloat(@floatFromInt(a.int())),
        .decimal_to_float => .ofFloat(number.decimalToFloat(a.int(), at.imm)),
        .float_to_int => .ofInt(try number.floatToInt(a.float())),
        .float_to_decimal => .ofInt(try number.floatToDecimal(a.float(), at.imm)),
        .bool_to_int => a,
        .int_to_bool => .ofBool(a.isTrue()),

        .int_to_text => .ofTail(try number_text.ofInt(a.int())),
        .decimal_to_text => .ofTail(try number_text.ofDecimal(a.int(), at.imm)),
        .float_to_text => .ofTail(try number_text.ofFloat(a.float())),
        .bool_to_text => .ofTail(text.ofBool(a.isTrue())),
        .timestamp_to_text => .ofTail(try time.text(a.int())),
        .uuid_to_text => .ofTail(try text.ofUuid(a.tail())),
        .text_to_int => .ofInt(try number_text.toInt(a.tail())),
        .text_to_decimal => .ofInt(try number_text.toDecimal(a.tail(), at.imm)),
        .text_to_float => .ofFloat(try number_text.toFloat(a.tail())),
        .text_to_bool => .ofBool(try text.toBool(a.tail())),
        .text_to_timestamp => .ofInt(try time.parse(a.tail())),
        .text_to_uuid => .ofTail(try text.toUuid(a.tail())),
        .text_to_json => .ofTail(try json.parse(a.tail())),

        .concat => .ofTail(try text.concat(a.tail(), b.tail())),
        .lower => .ofTail(try text.lower(a.tail())),
        .upper => .ofTail(try text.upper(a.tail())),
        .length => .ofInt(text.length(a.tail())),
        .octet_length => .ofInt(a.len),
        .substr => .ofTail(try text.substr(a.tail(), b.int(), if (has_c) c.int() else null)),
        .trim => .ofTail(text.trim(a.tail(), if (has_b) b.tail() else " ", at.imm)),
        .replace => .ofTail(try text.replace(a.tail(), b.tail(), c.tail())),
        .position => .ofInt(text.position(a.tail(), b.tail())),
        .like => .ofBool(try like(a.tail(), b.tail(), at.imm)),
        .starts_with => .ofBool(text.startsWith(a.tail(), b.tail())),
        .left => .ofTail(text.left(a.tail(), b.int())),
        .right => .ofTail(text.right(a.tail(), b.int())),
        .repeat => .ofTail(try text.repeat(a.tail(), b.int())),
        .lpad => .ofTail(try text.padLeft(a.tail(), b.int(), c.tail())),
        .rpad => .ofTail(try text.padRight(a.tail(), b.int(), c.tail())),
        .reverse => .ofTail(try text.reverse(a.tail())),

        .date_trunc => .ofInt(try time.truncate(a.int(), @fromBackingInt(@intCast(at.imm)))),
        .extract => .ofInt(time.extract(a.int(), @fromBackingInt(@intCast(at.imm)))),
        .add_months => .ofInt(try time.addMonths(a.int(), b.int())),

        .json_get => maybeTail(json.member(a.tail(), b.tail())),
        .json_at => maybeTail(json.element(a.tail(), b.int())),
        .json_text => maybeTail(try json.contents(a.tail())),
        .json_length => if (json.length(a.tail())) |count| .ofInt(count) else .none,
        .json_type => .ofTail(json.kind(a.tail())),
        else => unreachable, // in the loop
    };
}

fn maybeTail(found: ?[]const u8) Cell {
    return if (found) |bytes| .ofTail(bytes) else .none;
}

/// A canonical row of the program's outputs, on the heap. NotNull: `control.fault_column` is the output.
pub fn row(program: *const Program, registers: []const Cell) layout.Error!Row {
    var size = row_format.Size.of(program.outputs.len);
    for (program.outputs, 0..) |output, i| {
        const cell = registers[output.register];
        if (cell.is_null != 0 and output.nullable == 0) {
            layout.fault(layout.none_u32, @intCast(i), layout.none_u32);
            return error.NotNull;
        }
        size.add(output.type, cell.len);
    }
    const length = try size.end();
    var writer = row_format.Writer.begin(try heap.allocate(length), program.outputs.len, length);
    for (program.outputs, 0..) |output, i| registers[output.register].put(&writer, i, output.type);
    return writer.row;
}

// ---------------------------------------------------------------- one evaluation, for the host

var host_registers: [layout.program_registers_max]Cell = undefined;

/// In the input: a program, a row of parameters, a row of each input. The row of outputs goes to the output: its length,
/// or a code of layout.zig, or −100 and less: a failure, whose instruction is in `control.fault_row`.
export fn evaluate(program_length: u64, rows_length: u64) i64 {
    if (program_length > layout.input.len or rows_length > layout.input.len - program_length) return layout.codeOf(error.LimitReached);
    if (program_length % 8 != 0) return layout.codeOf(error.InvalidRow);
    layout.control.operation = .read;
    defer layout.control.operation = .none;
    const rows = layout.input[@intCast(program_length)..@intCast(program_length + rows_length)];
    return evaluateOnce(layout.input[0..@intCast(program_length)], rows) catch |err| layout.codeOf(err);
}

fn evaluateOnce(source: []const u8, rows: []const u8) layout.Error!i64 {
    const program = try Program.make(source);
    defer program.destroy();
    const parameters = try program.checkParameters(rows);
    program.prepare(&host_registers, parameters.row);
    const inputs = try heap.allocateSlice(Row, program.inputs.len);
    defer heap.freeSlice(Row, inputs);
    try takeInputs(program, rows[parameters.source_bytes..], inputs);
    scratch.reset();
    var failed_at: u32 = 0;
    run(program, inputs, &host_registers, &failed_at) catch |failure| {
        layout.fault(layout.none_u32, layout.none_u32, failed_at);
        return -100 - @as(i64, cell_format.codeOf(failure));
    };
    const made = try row(program, &host_registers);
    defer heap.free(made.at, made.length());
    @memcpy(layout.output[0..made.length()], made.bytes());
    return made.length();
}

/// Rows from outside, of types that only the program knows: what it looks at has to be there.
fn takeInputs(program: *const Program, source: []const u8, inputs: []Row) layout.Error!void {
    var at: usize = 0;
    for (inputs, program.inputs) |*input, columns| {
        if (source.len - at < row_format.head_bytes) return error.InvalidRow;
        input.* = .{ .at = @intFromPtr(source.ptr) + at };
        const length = input.length();
        if (length % 8 != 0 or length > source.len - at) return error.InvalidRow;
        if (input.columns() < columns or length < row_format.fixedBytes(input.columns())) return error.InvalidRow;
        at += length;
    }
    for (program.instructions) |one| if (one.op == .load_tail) {
        const input = inputs[one.a];
        const place: usize = @intCast(one.imm);
        const slot = input.slot(place).*;
        if (!input.isNull(place) and (slot & 0xffff_ffff) + (slot >> 32) > input.length()) return error.InvalidRow;
    };
}

// ---------------------------------------------------------------- tests

const testing = std.testing;

/// `b + parameter > constant` of rows `(text, int)`, and the text: two registers of constants and parameters, three more.
const example = struct {
    head: [8]u16 = .{ 4, 0, 5, 1, 1, 2, 1, 0 },
    needed: u16 = 2,
    outputs: [2]programs.Output align(2) = .{
        .{ .register = 3, .type = .bool, .nullable = 0 },
        .{ .register = 4, .type = .text, .nullable = 1 },
    },

    fn bytes(buffer: *align(8) [128]u8) []const u8 {
        const made: @This() = .{};
        @memset(buffer, 0);
        @memcpy(buffer[0..16], std.mem.asBytes(&made.head));
        @memcpy(buffer[16..18], std.mem.asBytes(&made.needed));
        @memcpy(buffer[18..26], std.mem.asBytes(&made.outputs));
        buffer[26] = @backingInt(row_format.Type.int);
        buffer[27] = @backingInt(row_format.Type.int);
        const instructions = [_]Instruction{
            .{ .op = .load_word, .dst = 2, .a = 0, .b = 0, .imm = 1 },
            .{ .op = .add, .dst = 2, .a = 2, .b = 1, .imm = 0 },
            .{ .op = .gt_word, .dst = 3, .a = 2, .b = 0, .imm = 0 },
            .{ .op = .load_tail, .dst = 4, .a = 0, .b = 0, .imm = 0 },
        };
        @memcpy(buffer[32..96], std.mem.asBytes(&instructions));
        var constants = row_format.Writer.begin(@intFromPtr(buffer) + 96, 1, 24);
        constants.putWord(0, 100);
        return buffer[0..120];
    }
};

test "a program runs on many rows, and leaves nothing behind" {
    var buffer: [128]u8 align(8) = undefined;
    const source = example.bytes(&buffer);
    const used_before = heap.usedBytes();
    const program = try Program.make(source);
    @memset(&buffer, 0xaa); // it keeps what it needs

    var parameters_bytes: [24]u8 align(8) = undefined;
    var writer = row_format.Writer.begin(@intFromPtr(&parameters_bytes), 1, 24);
    writer.putWord(0, 90);
    const parameters = try program.checkParameters(&parameters_bytes);
    var registers: [5]Cell = undefined;
    program.prepare(&registers, parameters.row);

    var row_bytes: [40]u8 align(8) = undefined;
    for (0..20) |b| {
        writer = row_format.Writer.begin(@intFromPtr(&row_bytes), 2, 40);
        if (b % 2 == 0) writer.putTail(0, "even") else writer.putNull(0);
        writer.putWord(1, b);
        var failed_at: u32 = 0;
        try run(program, &.{writer.row}, &registers, &failed_at);
        const made = try row(program, &registers);
        try testing.expectEqual(@intFromBool(b > 10), made.slot(0).*);
        try testing.expectEqual(b % 2 != 0, made.isNull(1));
        if (b % 2 == 0) try testing.expectEqualStrings("even", made.tail(1));
        heap.free(made.at, made.length());
    }

    writer = row_format.Writer.begin(@intFromPtr(&row_bytes), 2, 32);
    writer.putNull(0);
    writer.putWord(1, std.math.maxInt(i64));
    var failed_at: u32 = 0;
    try testing.expectError(error.OutOfRange, run(program, &.{writer.row}, &registers, &failed_at));
    try testing.expectEqual(1, failed_at);
    writer.putNull(1);
    try run(program, &.{writer.row}, &registers, &failed_at);
    try testing.expectError(error.NotNull, row(program, &registers));
    program.destroy();
    try testing.expectEqual(used_before, heap.usedBytes());
}

test "a program that is cut is refused, and leaves nothing behind" {
    var buffer: [128]u8 align(8) = undefined;
    const source = example.bytes(&buffer);
    const used_before = heap.usedBytes();
    for (0..source.len) |length| try testing.expectError(error.InvalidRow, Program.make(source[0..length]));
    try testing.expectEqual(used_before, heap.usedBytes());
}

test "tails are in the order of their bytes" {
    const texts = [_][]const u8{ "", "\x00", "a", "aaaaaaaa", "aaaaaaaaa", "aaaaaaab", "b", "\xff" };
    for (texts, 0..) |x, i| for (texts, 0..) |y, j| try testing.expectEqual(std.math.order(i, j), order(x, y));
}
