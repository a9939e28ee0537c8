//! Selections: rows of one table that fit a condition, as somebody follows them who keeps nothing of them here.
//!
//! A shape is a select of one table with parameters; a selection is a shape with values for them. What is always true:
//! - A commit looks, for each row that it changed, at the selections that have the row's values in the columns that the
//!   shape compares by `=`: thousands that differ in such a value alone cost a commit what one of them does.
//! - A selection is told what it shows of the rows before and after the commit, and nothing that is the same.
//! - Nothing here can refuse a commit. A selection whose expressions fail for a row is told so, and nothing else any more;
//!   without memory, whoever listens to anything reads anew.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const plans = @import("plan.zig");
const programs = @import("program.zig");
const indexes = @import("index.zig");
const trees = @import("tree.zig");
const changes = @import("changes.zig");
const delta = @import("delta.zig");
const scratch = @import("scratch.zig");
const batch = @import("batch.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Cell = programs.Cell;
const Row = row_format.Row;
const Table = table_format.Table;
const Error = layout.Error;

/// The stream of a selection is this and its number.
pub const stream_base: u32 = 1 << 30;

pub const Shape = struct {
    table: *Table,
    plan: *plans.Plan,
    /// Where the plan lies.
    arena: Arena,
    /// The columns that are compared by `=`, and a program that gives the values; none: every selection is looked at.
    places: []u16,
    values: ?plans.Runner,
    /// The selections by the hash of their values, chained.
    buckets: []?*Selection,
    count: usize = 0,
    /// Another one of the same table.
    next: ?*Shape,

    fn condition(shape: *const Shape) ?*plans.Runner {
        return shape.plan.drivers[0].condition;
    }

    fn bucket(shape: *const Shape, hash: u64) *?*Selection {
        return &shape.buckets[@intCast(hash & (shape.buckets.len - 1))];
    }

    /// The hash of a row's values; null: one is null, which nothing is equal to.
    fn hashOfRow(shape: *const Shape, row: Row) ?u64 {
        var hash: u64 = 0;
        for (shape.places) |place| {
            const kind = shape.table.layout.types[place];
            hash = hashWith(hash, kind, Cell.ofColumn(kind, row, place)) orelse return null;
        }
        return hash;
    }
};

pub const Selection = struct {
    shape: *Shape,
    number: u32,
    parameters: Row,
    /// Of the values; null: one of them is null, and no row is in it.
    hash: ?u64,
    /// The next one in the bucket.
    next: ?*Selection,
    /// The last commit that changed something here, or one that is not before it.
    last_lsn: u64,
    /// An expression failed: its stream has ended.
    failed: bool = false,
    /// What the commit at hand changes here.
    found: arenas.List(Found) = .{},

    /// Before `shows` and `made`.
    pub fn prepare(selection: *const Selection) void {
        const plan = selection.shape.plan;
        if (selection.shape.condition()) |runner| runner.program.prepare(runner.cells, selection.parameters);
        plan.row.program.prepare(plan.row.cells, selection.parameters);
    }

    /// Whether a row, which has all columns, is in it.
    pub fn shows(selection: *const Selection, row: Row) Error!bool {
        const condition = selection.shape.condition() orelse return true;
        return condition.holds(&.{row});
    }

    /// What it shows of a row.
    pub fn made(selection: *const Selection, into: *Arena, row: Row) Error!Row {
        const plan = selection.shape.plan;
        try plan.row.run(&.{row});
        return plans.arenaRow(into, plan.row, plan.columns());
    }

    pub fn outputs(selection: *const Selection) []const programs.Output {
        const plan = selection.shape.plan;
        return plan.row.program.outputs[0..plan.columns()];
    }
};

/// A row that was or is in a selection, by address; 0: it was not, it is not.
const Found = struct { old: u64, new: u64 };

var shapes: [layout.subscribed_shapes_max]?*Shape = @splat(null);
var selections: [layout.subscribed_selections_max]?*Selection = @splat(null);

/// What all of it takes of the heap.
pub var heap_bytes: u64 = 0;

/// What lives as long as one commit, or one step of a walk.
pub var arena: Arena = .{};

pub fn find(number: u32) ?*Selection {
    return if (number < selections.len) selections[number] else null;
}

fn hashWith(seed: u64, kind: row_format.Type, cell: Cell) ?u64 {
    if (cell.is_null != 0) return null;
    if (row_format.isVariable(kind)) return std.hash.Wyhash.hash(seed, cell.tail());
    return row_format.finish(seed ^ row_format.finish(cell.value +% 0x9e37_79b9_7f4a_7c15));
}

// ---------------------------------------------------------------- coming and going

/// Makes a shape. `source`: how many columns are compared, u32; of the plan's bytes, u32; of the program's that gives the
/// values, u32; 0; their places, u16 each; padding; the plan; padding; the program.
pub fn define(number: u32, source: []const u8) Error!void {
    if (number >= shapes.len or shapes[number] != null) return error.LimitReached;
    const before = heap.usedBytes();
    const shape = try heap.create(Shape);
    errdefer heap.destroy(Shape, shape);
    try read(shape, source);
    shape.next = shape.table.shapes;
    shape.table.shapes = shape;
    shapes[number] = shape;
    heap_bytes += heap.usedBytes() - before;
}

fn read(shape: *Shape, source: []const u8) Error!void {
    if (source.len < 16) return error.InvalidRow;
    const count = std.mem.readInt(u32, source[0..4], .little);
    const plan_bytes = std.mem.readInt(u32, source[4..8], .little);
    const program_bytes = std.mem.readInt(u32, source[8..12], .little);
    if (count > layout.columns_max) return error.InvalidRow;
    const plan_at = row_format.padded(16 + 2 * @as(usize, count));
    const program_at = row_format.padded(plan_at + plan_bytes);
    if (program_at + program_bytes > source.len) return error.InvalidRow;
    shape.* = .{ .table = undefined, .plan = undefined, .arena = .{}, .places = &.{}, .values = null, .buckets = &.{}, .next = null };
    errdefer shape.arena.free();
    const plan = try plans.make(&shape.arena, source[plan_at..][0..plan_bytes]);
    errdefer plans.release(plan);
    shape.plan = plan;
    if (plan.inputs.len != 1 or plan.drivers.len != 1 or plan.grouped or plan.sorts.len > 0) return error.InvalidRow;
    shape.table = plan.inputs[0];
    shape.places = try shape.arena.slice(u16, count);
    for (shape.places, 0..) |*place, i| {
        place.* = std.mem.readInt(u16, source[16 + 2 * i ..][0..2], .little);
        if (place.* >= shape.table.layout.columns) return error.InvalidRow;
    }
    shape.buckets = try heap.allocateSlice(?*Selection, 1);
    errdefer heap.freeSlice(?*Selection, shape.buckets);
    shape.buckets[0] = null;
    if (count == 0) return;
    const program = try programs.Program.make(source[program_at..][0..program_bytes]);
    errdefer program.destroy();
    if (program.outputs.len != count) return error.InvalidRow;
    shape.values = .{ .program = program, .cells = try heap.allocateSlice(Cell, program.registers), .number = 0 };
}

/// Takes a shape away, and its selections.
pub fn forget(number: u32) void {
    if (number >= shapes.len) return;
    const shape = shapes[number] orelse return;
    const before = heap.usedBytes();
    for (shape.buckets) |*head| while (head.*) |selection| {
        head.* = selection.next;
        free(selection);
    };
    var link = &shape.table.shapes;
    while (link.*.? != shape) link = &link.*.?.next;
    link.* = shape.next;
    if (shape.values) |*values| values.destroy();
    heap.freeSlice(?*Selection, shape.buckets);
    plans.release(shape.plan);
    shape.arena.free();
    heap.destroy(Shape, shape);
    shapes[number] = null;
    heap_bytes -= before - heap.usedBytes();
}

/// Gives a shape values. `parameters`: their row.
pub fn open(number: u32, shape_number: u32, parameters: []const u8) Error!void {
    if (number >= selections.len or selections[number] != null or shape_number >= shapes.len) return error.LimitReached;
    const shape = shapes[shape_number] orelse return error.NoRelation;
    const before = heap.usedBytes();
    const checked = try shape.plan.row.program.checkParameters(parameters);
    const length = checked.row.length();
    if (length > layout.subscribed_parameters_bytes_max) return error.RowTooLong;
    const selection = try heap.create(Selection);
    errdefer heap.destroy(Selection, selection);
    const at = try heap.allocate(length);
    errdefer heap.free(at, length);
    @memcpy(@as([*]u8, @ptrFromInt(at))[0..length], checked.row.bytes());
    selection.* = .{
        .shape = shape,
        .number = number,
        .parameters = .{ .at = at },
        .hash = null,
        .next = null,
        .last_lsn = shape.table.last_lsn,
    };
    selection.hash = try hashOfValues(shape, selection.parameters);
    if (selection.hash) |hash| try chain(shape, selection, hash);
    selections[number] = selection;
    heap_bytes += heap.usedBytes() - before;
}

fn hashOfValues(shape: *const Shape, parameters: Row) Error!?u64 {
    const values = &(shape.values orelse return 0);
    const mark = scratch.mark();
    defer scratch.release(mark);
    values.program.prepare(values.cells, parameters);
    try values.run(&.{});
    var hash: u64 = 0;
    for (values.program.outputs, 0..) |one, i| hash = hashWith(hash, one.type, values.output(i)) orelse return null;
    return hash;
}

fn chain(shape: *Shape, selection: *Selection, hash: u64) Error!void {
    var alike: usize = 0;
    var one = shape.bucket(hash).*;
    while (one) |other| : (one = other.next) {
        if (other.hash.? == hash) alike += 1;
    }
    if (alike >= layout.subscribed_alike_max) return layout.reached(.alike);
    if (shape.places.len > 0 and shape.count >= shape.buckets.len) try grow(shape);
    const head = shape.bucket(hash);
    selection.next = head.*;
    head.* = selection;
    shape.count += 1;
}

fn grow(shape: *Shape) Error!void {
    const larger = try heap.allocateSlice(?*Selection, 4 * shape.buckets.len);
    @memset(larger, null);
    const old = shape.buckets;
    shape.buckets = larger;
    for (old) |*first| while (first.*) |selection| {
        first.* = selection.next;
        const head = shape.bucket(selection.hash.?);
        selection.next = head.*;
        head.* = selection;
    };
    heap.freeSlice(?*Selection, old);
}

pub fn close(number: u32) void {
    const selection = find(number) orelse return;
    const before = heap.usedBytes();
    if (selection.hash) |hash| {
        var link = selection.shape.bucket(hash);
        while (link.*.? != selection) link = &link.*.?.next;
        link.* = selection.next;
        selection.shape.count -= 1;
    }
    free(selection);
    heap_bytes -= before - heap.usedBytes();
}

fn free(selection: *Selection) void {
    delta.closeOf(selection);
    selections[selection.number] = null;
    heap.free(selection.parameters.at, selection.parameters.length());
    heap.destroy(Selection, selection);
}

// ---------------------------------------------------------------- commits

/// Those that the commit at hand changes something in.
var touched: arenas.List(*Selection) = .{};

/// Tells all selections of a table, and walks for them, what a commit changed.
pub fn tell(table: *Table, entries: []const transaction.Undo) void {
    batch.makeSureOfStack();
    tellAll(table, entries) catch {
        layout.control.delta_lost = 1;
    };
    for (touched.items) |selection| selection.found = .{};
    touched = .{};
    arena.reset();
}

fn tellAll(table: *Table, entries: []const transaction.Undo) Error!void {
    var window: changes.Window = .{ .table = table };
    for (entries) |*entry| switch (entry.kind) {
        .insert, .update, .delete => if (entry.subject.table == table) try window.note(&arena, entry),
        else => {},
    };
    for (window.changes.items) |*change| {
        if (change.old != 0) change.old = (try plans.widened(&arena, table, .{ .at = change.old })).at;
        if (change.new != 0) change.new = (try plans.widened(&arena, table, .{ .at = change.new })).at;
    }
    try delta.tellRanges(table, window.changes.items);
    var shape = table.shapes;
    while (shape) |one| : (shape = one.next) {
        if (one.count == 0) continue;
        for (window.changes.items) |change| try route(one, change);
    }
    for (touched.items) |selection| if (!selection.failed) try say(selection);
}

/// Finds the selections that a changed row was or is in.
fn route(shape: *Shape, change: changes.Change) Error!void {
    const before = if (change.old == 0) null else shape.hashOfRow(.{ .at = change.old });
    const after = if (change.new == 0) null else shape.hashOfRow(.{ .at = change.new });
    if (before) |hash| try look(shape, hash, change, after != null and after.? == hash);
    if (after) |hash| if (before == null or before.? != hash) {
        try look(shape, hash, .{ .old = 0, .new = change.new }, true);
    };
}

/// Looks at the selections of one hash; `stays`: the new row has it as well.
fn look(shape: *Shape, hash: u64, change: changes.Change, stays: bool) Error!void {
    var one = shape.bucket(hash).*;
    while (one) |selection| : (one = selection.next) {
        if (selection.hash.? != hash or selection.failed) continue;
        const mark = scratch.mark();
        defer scratch.release(mark);
        if (shape.condition()) |runner| runner.program.prepare(runner.cells, selection.parameters);
        const found = weigh(selection, change, stays) catch |err| {
            fail(selection, err);
            continue;
        };
        if (found.old == 0 and found.new == 0) continue;
        if (selection.found.items.len == 0) try touched.add(&arena, selection);
        try selection.found.add(&arena, found);
    }
}

fn weigh(selection: *const Selection, change: changes.Change, stays: bool) Error!Found {
    const was = change.old != 0 and try selection.shows(.{ .at = change.old });
    const is = stays and change.new != 0 and try selection.shows(.{ .at = change.new });
    return .{ .old = if (was) change.old else 0, .new = if (is) change.new else 0 };
}

/// The end of a selection's stream. What failed is in the control block.
pub fn fail(selection: *Selection, err: Error) void {
    selection.failed = true;
    delta.sayFailure(stream_base + selection.number, err);
}

/// What has become of a selection, those rows first that went.
fn say(selection: *Selection) Error!void {
    selection.prepare();
    var chunk = delta.Chunk.begin(.delta, stream_base + selection.number, selection.last_lsn) orelse return;
    for ([_]bool{ true, false }) |gone| for (selection.found.items) |found| {
        if ((found.new == 0) != gone) continue;
        const added = enter(&chunk, selection, found) catch |err| switch (err) {
            error.OutOfMemory => return err,
            else => return fail(selection, err), // nothing was begun, as `delta_len` says
        };
        if (!added) {
            selection.last_lsn = layout.control.lsn;
            return chunk.giveUp();
        }
    };
    if (chunk.head.changes == 0) return;
    selection.last_lsn = layout.control.lsn;
    chunk.end();
}

/// One entry, unless what is shown of the row is the same. False: it does not fit.
fn enter(chunk: *delta.Chunk, selection: *const Selection, found: Found) Error!bool {
    const mark = scratch.mark();
    defer scratch.release(mark);
    const table = selection.shape.table;
    if (found.new == 0) return chunk.addKey(.delete, table, .{ .at = found.old });
    const row: Row = .{ .at = found.new };
    const shown = try selection.made(&arena, row);
    if (found.old == 0) return chunk.addMade(.insert, table, row, shown, selection.outputs());
    const before = try selection.made(&arena, .{ .at = found.old });
    if (std.mem.eql(u8, before.bytes(), shown.bytes())) return true;
    return chunk.addMade(.update, table, row, shown, selection.outputs());
}

// ---------------------------------------------------------------- what a walk goes over

/// The rows between two bounds of an index, among which a selection's are.
pub const Range = struct {
    selection: *Selection,
    tree: *trees.Tree,
    lower: key.Buffer = undefined,
    lower_len: usize = 0,
    upper: key.Buffer = undefined,
    upper_len: usize = 0,
    bounded: bool = false,
    /// A bound is null: there are no rows.
    empty: bool = false,

    pub fn init(range: *Range, selection: *Selection) Error!void {
        const plan = selection.shape.plan;
        const table = selection.shape.table;
        const driver = &plan.drivers[0];
        const index: ?*indexes.Index = driver.index;
        const mark = scratch.mark();
        defer scratch.release(mark);
        range.* = .{ .selection = selection, .tree = if (index) |one| &one.tree else &table.tree };
        if (driver.lower) |runner| {
            runner.program.prepare(runner.cells, selection.parameters);
            try runner.run(&.{});
            range.lower_len = try plans.encodeKey(runner, table, index, &range.lower) orelse return range.setEmpty();
        }
        if (driver.upper) |runner| {
            runner.program.prepare(runner.cells, selection.parameters);
            try runner.run(&.{});
            range.upper_len = try plans.encodeKey(runner, table, index, &range.upper) orelse return range.setEmpty();
            range.bounded = true;
        }
    }

    fn setEmpty(range: *Range) void {
        range.empty = true;
    }

    pub fn first(range: *Range, it: *trees.Iterator(false)) ?Row {
        if (range.empty) return null;
        const strictly = range.selection.shape.plan.drivers[0].flags & plans.driver_lower_exclusive != 0;
        if (range.lower_len == 0) return it.first(range.tree);
        return it.seek(range.tree, &range.lower, range.lower_len, strictly);
    }

    /// Whether a row lies behind the last of them.
    pub fn isOver(range: *const Range, row: Row, buffer: *key.Buffer) bool {
        if (!range.bounded) return false;
        const len = @min(range.tree.keyOf(row, buffer), range.upper_len);
        const order = std.mem.order(u8, buffer[0..len], range.upper[0..range.upper_len]);
        const exclusive = range.selection.shape.plan.drivers[0].flags & plans.driver_upper_exclusive != 0;
        return order == .gt or (order == .eq and exclusive);
    }
};
