//! Plans of queries and views, as the host describes them (docs/formats.md, "Plan"): which rows are brought together in
//! which order, what is asked of them, and what is made of them.
//!
//! A plan reads its inputs' rows as they lie in their tables. Each of its programs has registers of its own.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const indexes = @import("index.zig");
const programs = @import("program.zig");
const evaluation = @import("evaluate.zig");
const percentile = @import("percentile.zig");
const Arena = @import("arena.zig").Arena;
const Row = row_format.Row;
const Type = row_format.Type;
const Table = table_format.Table;
const Index = indexes.Index;
const cells_of = @import("cell.zig");
const Cell = cells_of.Cell;
const Error = layout.Error;

pub const inputs_max = 16;
const none = layout.none_u32;

/// A program and its registers.
pub const Runner = struct {
    program: *programs.Program,
    cells: []Cell,
    /// Its place in the plan, for messages.
    number: u32,
    /// It is one comparison of a column with something constant: most conditions are.
    comparison: ?Comparison = null,

    /// One of its own, without parameters.
    pub fn create(source: []const u8, number: u32) Error!Runner {
        const program = try programs.Program.make(source);
        errdefer program.destroy();
        const cells = try heap.allocateSlice(Cell, program.registers);
        errdefer heap.freeSlice(Cell, cells);
        if (program.outputs.len == 0) return error.InvalidRow;
        program.prepare(cells, noParameters());
        return .{ .program = program, .cells = cells, .number = number };
    }

    /// The reverse of `create`.
    pub fn destroy(runner: *Runner) void {
        heap.freeSlice(Cell, runner.cells);
        runner.program.destroy();
    }

    /// Runs it. Outputs are in `output` until it runs again, texts until scratch memory is given back.
    pub inline fn run(runner: *const Runner, rows: []const Row) Error!void {
        return runner.runAs(runner.program, rows);
    }

    /// The same with a beginning of its program.
    pub inline fn runAs(runner: *const Runner, program: *const programs.Program, rows: []const Row) Error!void {
        var failed_at: u32 = 0;
        evaluation.run(program, rows, runner.cells, &failed_at) catch |failure| {
            layout.fault(none, cells_of.codeOf(failure), failed_at);
            layout.control.fault_index = runner.number;
            return error.ExpressionFailed;
        };
    }

    pub inline fn output(runner: *const Runner, i: usize) Cell {
        @setRuntimeSafety(false); // hot, and the program has been checked
        return runner.cells[runner.program.outputs[i].register];
    }

    /// Whether the one output is true.
    pub inline fn holds(runner: *const Runner, rows: []const Row) Error!bool {
        if (runner.comparison) |*one| return one.holds(runner, rows);
        try runner.run(rows);
        const cell = runner.output(0);
        return cell.is_null == 0 and cell.value != 0;
    }

    pub fn outputs(runner: *const Runner) usize {
        return runner.program.outputs.len;
    }
};

/// A column compared with a register that does not change while a plan runs.
pub const Comparison = struct {
    input: u16,
    place: u32,
    tail: bool,
    wanted: std.math.CompareOperator,
    constant: u16,

    /// What a program is, when it is no more than that.
    fn of(program: *const programs.Program) ?Comparison {
        const code = program.instructions;
        if (code.len != 2 or program.outputs.len != 1 or program.outputs[0].register != code[1].dst) return null;
        const fixed = program.constants.len + program.parameter_types.len;
        if (code[1].a != code[0].dst or code[1].b >= fixed or code[0].dst < fixed) return null;
        const tail = switch (code[0].op) {
            .load_word => false,
            .load_tail => true,
            else => return null,
        };
        const wanted: std.math.CompareOperator = switch (code[1].op) {
            .eq_word, .eq_tail => .eq,
            .ne_word, .ne_tail => .neq,
            .lt_word, .lt_tail => .lt,
            .le_word, .le_tail => .lte,
            .gt_word, .gt_tail => .gt,
            .ge_word, .ge_tail => .gte,
            else => return null,
        };
        return .{ .input = code[0].a, .place = @intCast(code[0].imm), .tail = tail, .wanted = wanted, .constant = code[1].b };
    }

    pub inline fn holds(comparison: *const Comparison, runner: *const Runner, rows: []const Row) bool {
        return comparison.holdsFor(runner, rows[comparison.input]);
    }

    /// Of a row of the one input that it looks at.
    pub inline fn holdsFor(comparison: *const Comparison, runner: *const Runner, row: Row) bool {
        @setRuntimeSafety(false); // hot, and the program has been checked
        const constant = runner.cells[comparison.constant];
        if (row.isNull(comparison.place) or constant.is_null != 0) return false;
        if (!comparison.tail) {
            const value: i64 = @bitCast(row.slot(comparison.place).*);
            return std.math.compare(value, comparison.wanted, constant.int());
        }
        const value = row.tail(comparison.place);
        if (comparison.wanted == .eq) {
            if (value.len != constant.len) return false;
            if (value.len > 0 and value[0] != constant.tail()[0]) return false;
        }
        return std.mem.order(u8, value, constant.tail()).compare(comparison.wanted);
    }
};

/// One more input, found by values of those that are there already.
pub const Step = struct {
    input: u32,
    /// Null: the primary key.
    index: ?*Index,
    /// The first columns of the index; null: all rows are gone through.
    key: ?*Runner,
    /// What must hold once the row is there.
    condition: ?*Runner,
    /// When there is no such row, one of nulls stands in.
    outer: bool,
};

/// The rows of one input, in order, and how the others are found for each.
pub const Driver = struct {
    input: u32,
    index: ?*Index,
    lower: ?*Runner,
    upper: ?*Runner,
    flags: u32,
    condition: ?*Runner,
    steps: []Step,

    /// Its input is that of a left join: its changes concern the rows that it is joined to.
    pub fn isOuter(driver: *const Driver) bool {
        return driver.flags & driver_outer != 0;
    }
};

pub const driver_lower_exclusive: u32 = 1;
pub const driver_upper_exclusive: u32 = 2;
pub const driver_descending: u32 = 4;
/// The rows come in the order that is asked for.
pub const driver_sorted: u32 = 8;
pub const driver_outer: u32 = 16;

pub const Function = enum(u32) {
    count_rows = 0,
    count = 1,
    sum_word = 2,
    sum_float = 3,
    average_int = 4,
    average_decimal = 5,
    average_float = 6,
    least = 7,
    greatest = 8,
    every = 9,
    some = 10,
    variance_word = 11,
    variance_float = 12,
    /// A percentile, between two values or one of them.
    continuous = 13,
    discrete = 14,
    /// Of values in an order: the first, all as an array, all as a text.
    first = 15,
    array = 16,
    joined = 17,
    _,

    /// Its values are known one by one, in their order.
    pub fn isOrdered(function: Function) bool {
        return switch (function) {
            .least, .greatest, .continuous, .discrete, .first, .array, .joined => true,
            else => false,
        };
    }
};

pub const Aggregate = struct {
    function: Function,
    /// Each value once.
    distinct: bool,
    /// Outputs of the row program: the value, and whether it counts; none.
    argument: u32,
    filter: u32,
    kind: Type, // of the argument
    result: Type,
    /// Of decimals: of what lies between them so many more digits behind the point, else their own.
    scale: u32,
    /// Of a percentile its fraction (percentile.zig), of a variance which one (variance.zig).
    detail: u64,
    /// An output of the row program that is the same for all rows: what stands between texts; none.
    separator: u32,
    /// What its values are ordered by before they are by themselves.
    order: []Order,
    /// For a view: the table that keeps which values there are, and how often.
    values: ?*Table,
};

pub const Sort = struct {
    descending: bool,
    nulls_first: bool,

    fn read(in: *In) Error!Sort {
        const said = try in.word();
        return .{ .descending = said & 1 != 0, .nulls_first = said & 2 != 0 };
    }

    /// Puts bytes behind others in whose order the values of one kind are wanted.
    pub fn encode(sort: Sort, kind: Type, cell: Cell, start: usize, out: *key.Buffer) Error!usize {
        @setRuntimeSafety(false); // hot, and whether it fits is asked before
        if (cell.is_null == 0 and kind != .bool and !row_format.isVariable(kind) and start + 9 <= layout.key_bytes_max) {
            const flipped: u64 = if (sort.descending) std.math.maxInt(u64) else 0;
            out[start] = @truncate(key.before_value ^ flipped);
            std.mem.writeInt(u64, out[start + 1 ..][0..8], key.wordOf(kind, cell.value) ^ flipped, .big);
            return start + 9;
        }
        const end = key.encodeCell(kind, cell, true, start, out) catch return error.KeyTooLong;
        if (sort.descending) for (out[start..end]) |*byte| {
            byte.* = ~byte.*;
        };
        if (cell.is_null != 0) out[start] = if (sort.nulls_first) 0 else 0xff;
        return end;
    }
};

/// An output of the row program, as a part of an order.
pub const Order = struct { output: u32, sort: Sort };

pub const Plan = struct {
    inputs: []*Table,
    drivers: []Driver,
    /// Of a view: its left joins, once all other rows are there.
    outers: []Step,
    grouped: bool,
    distinct: bool,
    /// One group, also when there is nothing in it.
    global: bool,
    /// Once all rows are there.
    condition: ?*Runner,
    /// What is made of the rows: of a grouped plan groups, arguments and filters; else what comes out.
    row: *Runner,
    groups: u32,
    aggregates: []Aggregate,
    /// Of a group's row (its groups, then its aggregates): whether it is shown, and what comes out.
    having: ?*Runner,
    final: ?*Runner,
    group_types: []Type,
    /// The last outputs are what is sorted by.
    sorts: []Sort,
    runners: []Runner,

    /// What the last step puts out.
    pub fn last(plan: *const Plan) *Runner {
        return plan.final orelse plan.row;
    }

    /// So many of its outputs are columns; the others are sort keys.
    pub fn columns(plan: *const Plan) usize {
        return plan.last().outputs() - plan.sorts.len;
    }
};

// ---------------------------------------------------------------- reading

const In = struct {
    bytes: []const u8,
    at: usize = 0,

    fn word(in: *In) Error!u32 {
        if (in.bytes.len - in.at < 4) return error.InvalidRow;
        in.at += 4;
        return std.mem.readInt(u32, in.bytes[in.at - 4 ..][0..4], .little);
    }

    fn atMost(in: *In, most: u32) Error!u32 {
        const value = try in.word();
        return if (value > most) error.LimitReached else value;
    }

    fn runner(in: *In, plan: *const Plan) Error!?*Runner {
        const number = try in.word();
        if (number == none) return null;
        if (number >= plan.runners.len) return error.InvalidRow;
        return &plan.runners[number];
    }

    fn index(in: *In, of: *Table) Error!?*Index {
        const number = try in.word();
        if (number == 0) return null;
        return indexes.find(of, number) orelse error.NoRelation;
    }

    fn table(in: *In) Error!*Table {
        return table_format.get(try in.word()) orelse error.NoRelation;
    }
};

const flag_grouped: u32 = 1;
const flag_distinct: u32 = 2;
const flag_global: u32 = 4;
const programs_max = 2048;

/// Makes a plan; everything of it lies in `arena`, but for its programs.
pub fn make(arena: *Arena, source: []const u8) Error!*Plan {
    var in: In = .{ .bytes = source };
    const plan = try arena.create(Plan);
    plan.runners = &.{};
    errdefer release(plan);
    const program_count = try in.atMost(programs_max);
    const made = try arena.slice(Runner, program_count);
    for (made, 0..) |*runner, i| {
        const length = try in.word();
        in.at = (in.at + 7) & ~@as(usize, 7);
        if (in.at > source.len or length > source.len - in.at) return error.InvalidRow;
        const program = try programs.Program.make(source[in.at..][0..length]);
        in.at += length;
        runner.* = .{ .program = program, .cells = &.{}, .number = @intCast(i), .comparison = Comparison.of(program) };
        plan.runners = made[0 .. i + 1];
        runner.cells = try arena.slice(Cell, program.registers);
    }
    const flags = try in.word();
    plan.grouped = flags & flag_grouped != 0;
    plan.distinct = flags & flag_distinct != 0;
    plan.global = flags & flag_global != 0;
    plan.inputs = try arena.slice(*Table, try in.atMost(inputs_max));
    for (plan.inputs) |*table| table.* = try in.table();
    plan.condition = try in.runner(plan);
    plan.row = try in.runner(plan) orelse return error.InvalidRow;
    plan.having = try in.runner(plan);
    plan.final = try in.runner(plan);
    plan.groups = try in.atMost(layout.columns_max);
    try readAggregates(plan, arena, &in);
    plan.sorts = try arena.slice(Sort, try in.atMost(layout.columns_max));
    for (plan.sorts) |*sort| sort.* = try .read(&in);
    plan.outers = try readSteps(plan, arena, &in);
    plan.drivers = try arena.slice(Driver, try in.atMost(inputs_max));
    for (plan.drivers) |*driver| try readDriver(plan, driver, arena, &in);
    try check(plan);
    return plan;
}

fn readAggregates(plan: *Plan, arena: *Arena, in: *In) Error!void {
    plan.aggregates = try arena.slice(Aggregate, try in.atMost(layout.columns_max));
    for (plan.aggregates) |*one| {
        const function: Function = @fromBackingInt(try in.word());
        one.* = .{
            .function = function,
            .distinct = try in.word() != 0,
            .argument = try in.word(),
            .filter = try in.word(),
            .kind = @fromBackingInt(@intCast(try in.atMost(255))),
            .result = @fromBackingInt(@intCast(try in.atMost(255))),
            .scale = try in.atMost(18),
            .detail = @as(u64, try in.word()) | @as(u64, try in.word()) << 32,
            .separator = try in.word(),
            .values = null,
            .order = &.{},
        };
        const values = try in.word();
        if (values != none) one.values = table_format.get(values) orelse return error.NoRelation;
        one.order = try arena.slice(Order, try in.atMost(layout.columns_max));
        for (one.order) |*order| order.* = .{ .output = try in.word(), .sort = try .read(in) };
    }
    plan.group_types = try arena.slice(Type, plan.groups + plan.aggregates.len);
    if (plan.row.outputs() < plan.groups) return error.InvalidRow;
    for (plan.group_types[0..plan.groups], plan.row.program.outputs[0..plan.groups]) |*kind, output| kind.* = output.type;
    for (plan.group_types[plan.groups..], plan.aggregates) |*kind, one| kind.* = one.result;
}

fn readDriver(plan: *const Plan, driver: *Driver, arena: *Arena, in: *In) Error!void {
    driver.input = try in.word();
    const empty = plan.inputs.len == 0; // a query of no table has one row
    if (driver.input >= plan.inputs.len and !empty) return error.InvalidRow;
    driver.index = if (empty and try in.word() == 0) null else try in.index(plan.inputs[driver.input]);
    driver.lower = try in.runner(plan);
    driver.upper = try in.runner(plan);
    driver.flags = try in.word();
    driver.condition = try in.runner(plan);
    driver.steps = try readSteps(plan, arena, in);
}

fn readSteps(plan: *const Plan, arena: *Arena, in: *In) Error![]Step {
    const steps = try arena.slice(Step, try in.atMost(inputs_max));
    for (steps) |*step| {
        step.input = try in.word();
        if (step.input >= plan.inputs.len) return error.InvalidRow;
        step.index = try in.index(plan.inputs[step.input]);
        step.key = try in.runner(plan);
        step.condition = try in.runner(plan);
        step.outer = try in.word() != 0;
    }
    return steps;
}

fn check(plan: *const Plan) Error!void {
    if (plan.grouped != (plan.final != null)) return error.InvalidRow;
    if (plan.last().outputs() < plan.sorts.len) return error.InvalidRow;
    for (plan.aggregates) |one| {
        for ([_]u32{ one.argument, one.filter, one.separator }) |output| {
            if (output != none and output >= plan.row.outputs()) return error.InvalidRow;
        }
        for (one.order) |order| if (order.output >= plan.row.outputs()) return error.InvalidRow;
        if (one.function.isOrdered() and one.argument == none) return error.InvalidRow;
        if (one.function == .continuous or one.function == .discrete) {
            if (one.detail > percentile.whole) return error.InvalidRow;
        }
    }
}

/// Frees the programs of a plan.
pub fn release(plan: *Plan) void {
    for (plan.runners) |runner| runner.program.destroy();
    plan.runners = &.{};
}

/// Fills in constants and parameters, a checked row that stays where it is. Before the first run.
pub fn prepare(plan: *const Plan, parameters: Row) void {
    for (plan.runners) |runner| runner.program.prepare(runner.cells, parameters);
}

/// Other parameters for a plan that is prepared.
pub fn setParameters(plan: *const Plan, parameters: Row) void {
    for (plan.runners) |runner| runner.program.setParameters(runner.cells, parameters);
}

const no_columns: [8]u8 align(8) = .{ 8, 0, 0, 0, 0, 0, 0, 0 };

pub fn noParameters() Row {
    return .{ .at = @intFromPtr(&no_columns) };
}

// ---------------------------------------------------------------- rows and keys from cells

/// A value that a row is to have.
pub const Value = struct { kind: Type, cell: Cell };

/// Bytes of a row of the first `count` outputs, and further values behind them.
fn rowBytes(runner: *const Runner, count: usize, more: []const Value) Error!usize {
    var size = row_format.Size.of(count + more.len);
    for (runner.program.outputs[0..count]) |output| size.add(output.type, runner.cells[output.register].len);
    for (more) |value| size.add(value.kind, value.cell.len);
    return size.end();
}

/// The first `count` outputs as a row in the arena.
pub fn arenaRow(arena: *Arena, runner: *const Runner, count: usize) Error!Row {
    const length = try rowBytes(runner, count, &.{});
    return fill(try arena.take(length), length, runner, count, &.{});
}

/// The same at the start of `out`; its length.
pub fn rowInto(out: []align(8) u8, runner: *const Runner, count: usize) Error!usize {
    const length = try rowBytes(runner, count, &.{});
    if (length > out.len) return error.RowTooLong;
    _ = fill(@intFromPtr(out.ptr), length, runner, count, &.{});
    return length;
}

/// The same in a block of its own, with further values behind them.
pub fn heapRow(runner: *const Runner, count: usize, more: []const Value) Error!Row {
    const length = try rowBytes(runner, count, more);
    return fill(try heap.allocate(length), length, runner, count, more);
}

/// A row of nothing but given values.
pub fn heapRowOf(values: []const Value) Error!Row {
    var size = row_format.Size.of(values.len);
    for (values) |value| size.add(value.kind, value.cell.len);
    const length = try size.end();
    var writer = row_format.Writer.begin(try heap.allocate(length), values.len, length);
    for (values, 0..) |value, i| value.cell.put(&writer, i, value.kind);
    return writer.row;
}

fn fill(at: u64, length: usize, runner: *const Runner, count: usize, more: []const Value) Row {
    var writer = row_format.Writer.begin(at, count + more.len, length);
    for (runner.program.outputs[0..count], 0..) |output, i| runner.cells[output.register].put(&writer, i, output.type);
    for (more, count..) |value, i| value.cell.put(&writer, i, value.kind);
    return writer.row;
}

/// A row that has all columns of its table: itself, or a copy with the defaults of those that it lacks.
pub inline fn widened(arena: *Arena, table: *const Table, row: Row) Error!Row {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    if (row.columns() == table.layout.columns) return row;
    return withDefaults(arena, table, row);
}

noinline fn withDefaults(arena: *Arena, table: *const Table, row: Row) Error!Row {
    const shape = &table.layout;
    var size = row_format.fixedBytes(shape.columns);
    for (shape.types, 0..) |kind, i| if (row_format.isVariable(kind)) {
        const from = if (i < row.columns()) row else shape.defaults;
        if (!from.isNull(i)) size += from.tail(i).len;
    };
    const length = row_format.padded(size);
    var writer = row_format.Writer.begin(try arena.take(length), shape.columns, length);
    for (shape.types, 0..) |kind, i| writer.copy(i, kind, if (i < row.columns()) row else shape.defaults, i);
    return writer.row;
}

/// What the sort keys at hand come to: bytes in whose order rows are wanted.
pub fn orderOf(plan: *const Plan, out: *key.Buffer) Error![]const u8 {
    @setRuntimeSafety(false); // hot, and whether it fits is asked before
    const last = plan.last();
    var at: usize = 0;
    for (last.program.outputs[last.program.outputs.len - plan.sorts.len ..], plan.sorts) |output, sort| {
        at = try sort.encode(output.type, last.cells[output.register], at, out);
    }
    return out[0..at];
}

/// What the row program has just put out, as a row of a view: with sort keys, their bytes behind the columns. In a block
/// of its own, or in the arena.
pub fn viewRow(plan: *const Plan, arena: ?*Arena) Error!Row {
    return viewRowOf(plan, try orderOf(plan, &order_key), arena);
}

/// The same where the bytes of the sort keys are known.
pub fn viewRowOf(plan: *const Plan, order: []const u8, arena: ?*Arena) Error!Row {
    var more: []const Value = &.{};
    if (plan.sorts.len > 0) more = &.{.{ .kind = .bytes, .cell = .ofTail(order) }};
    const count = plan.columns();
    const length = try rowBytes(plan.row, count, more);
    const at = if (arena) |one| try one.take(length) else try heap.allocate(length);
    return fill(at, length, plan.row, count, more);
}

/// Whether what the row program has just put out may be a row of a view, as `viewRowOf` would make it.
pub fn checkViewRow(plan: *const Plan, order: []const u8) Error!void {
    _ = try rowBytes(plan.row, plan.columns(), &.{.{ .kind = .bytes, .cell = .ofTail(order) }});
}

/// The encoded key of the row that the row program has just put out; `order`: what it is sorted by.
pub fn viewKeyOf(plan: *const Plan, table: *const Table, order: []const u8, out: *key.Buffer) Error!usize {
    var at: usize = 0;
    for (table.key_types, table.key_positions, 0..) |kind, position, i| {
        const cell: Cell = if (position < plan.columns()) plan.row.output(position) else .ofTail(order);
        const nullable = if (table.key_nullable) |flags| flags[i] else false;
        at = key.encodeCell(kind, cell, nullable, at, out) catch |err| {
            layout.fault(table.number, table.key_positions[0], 0);
            return err;
        };
    }
    return at;
}

var order_key: key.Buffer = undefined;

/// A row of nothing but nulls.
pub fn nullRow(arena: *Arena, columns: usize) error{OutOfMemory}!Row {
    const length = row_format.padded(row_format.fixedBytes(columns));
    var writer = row_format.Writer.begin(try arena.take(length), columns, length);
    for (0..columns) |i| writer.putNull(i);
    return writer.row;
}

/// The key that a runner's outputs make as the first columns of an index; null when one of them is null that must not be.
pub fn encodeKey(runner: *const Runner, table: *const Table, index: ?*const Index, out: *key.Buffer) Error!?usize {
    const types = if (index) |one| one.types else table.key_types;
    const nullable: ?[]const bool = if (index) |one| one.secondary.nullable else table.tree.shape.nullable;
    var at: usize = 0;
    for (runner.program.outputs, 0..) |output, i| {
        const cell = runner.cells[output.register];
        const may_be_null = if (nullable) |flags| flags[i] else false;
        if (cell.is_null != 0 and !may_be_null) return null;
        at = key.encodeCell(types[i], cell, may_be_null, at, out) catch return error.KeyTooLong;
    }
    return at;
}
