//! A change of one row that comes together with at most one row of each other input: the commonest flush by far, and told
//! without lists, arenas or a second look at the same place.
//!
//! What is always true here: a driver's way is known when all its steps find their row by a whole primary key. So what is
//! made of a row is at most one row, and nothing else is made of what the other inputs have. A change goes this way when
//! no other input of its view has changed.

const std = @import("std");
const layout = @import("layout.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const plans = @import("plan.zig");
const changes = @import("changes.zig");
const heap = @import("heap.zig");
const scratch = @import("scratch.zig");
const reads = @import("reads.zig");
const arenas = @import("arena.zig");
const Buffer = @import("buffer.zig").Buffer;
const Arena = arenas.Arena;
const Row = row_format.Row;
const Table = table_format.Table;
const Plan = plans.Plan;
const Driver = plans.Driver;
const Change = changes.Change;
const Error = layout.Error;

/// What is known of changes of one input's rows before there is any.
pub const Way = struct {
    /// The columns that are looked at: what changes in others changes nothing.
    reads: reads.Columns,
    /// Those that decide whether a row is in the view, what it comes together with, and under which key or in which group.
    decides: reads.Columns,
    /// What is shown of a row under whose own key the view's row lies; null: it does not.
    shown: ?[]Column = null,
};

/// A column of a view's row: what it depends on, and where in the input's row it stands as it is.
const Column = struct { reads: reads.Columns, place: ?u32, is_word: bool };

/// Rows that have come together, by input.
pub const Rows = [plans.inputs_max]Row;

/// The ways of a view's drivers; null where one has none.
pub fn waysOf(arena: *Arena, plan: *const Plan, table: *const Table) Error![]?Way {
    const ways = try arena.slice(?Way, plan.drivers.len);
    for (ways, plan.drivers) |*way, *driver| {
        way.* = null;
        if (driver.isOuter() or plan.outers.len > 0 or !isDirect(plan, driver)) continue;
        const input = driver.input;
        var decides = ofRunner(driver.condition, input) | ofRunner(plan.condition, input);
        for (driver.steps) |*step| decides |= ofRunner(step.key, input) | ofRunner(step.condition, input);
        const program = plan.row.program;
        if (plan.grouped) {
            for (0..plan.groups) |i| decides |= reads.ofOutput(program, input, i);
        } else {
            for (table.key_positions) |position| if (position < plan.columns()) {
                decides |= reads.ofOutput(program, input, position);
            };
            for (plan.columns()..plan.row.outputs()) |i| decides |= reads.ofOutput(program, input, i);
        }
        way.* = .{ .reads = decides | reads.of(program, input), .decides = decides };
        if (!plan.grouped and hasOwnKey(plan, input, table)) way.*.?.shown = try columnsOf(arena, plan, input);
    }
    return ways;
}

/// Whether the key of a view's row is columns of this input, and among them its whole primary key.
fn hasOwnKey(plan: *const Plan, input: usize, table: *const Table) bool {
    const program = plan.row.program;
    for (table.key_positions) |position| {
        if (position >= plan.columns() or reads.placeOf(program, input, position) == null) return false;
    }
    return for (plan.inputs[input].key_positions) |wanted| {
        for (table.key_positions) |position| {
            if (reads.placeOf(program, input, position).? == wanted) break;
        } else break false;
    } else true;
}

fn columnsOf(arena: *Arena, plan: *const Plan, input: usize) Error![]Column {
    const program = plan.row.program;
    const columns = try arena.slice(Column, plan.columns());
    for (columns, program.outputs[0..columns.len], 0..) |*column, output, i| column.* = .{
        .reads = reads.ofOutput(program, input, i),
        .place = reads.placeOf(program, input, i),
        .is_word = !row_format.isVariable(output.type),
    };
    return columns;
}

fn ofRunner(runner: ?*const plans.Runner, input: usize) reads.Columns {
    return if (runner) |one| reads.of(one.program, input) else 0;
}

/// Whether each step finds at most one row.
pub fn isDirect(plan: *const Plan, driver: *const Driver) bool {
    for (driver.steps) |*step| {
        const runner = step.key orelse return false;
        if (step.index != null or runner.outputs() != plan.inputs[step.input].key_types.len) return false;
    }
    return true;
}

/// The only input that has changed, if that is one row; null: there are more.
pub fn changedInput(plan: *const Plan) ?usize {
    var found: ?usize = null;
    for (plan.inputs, 0..) |input, i| if (input.window) |window| {
        if (found != null or window.changes.items.len != 1) return null;
        found = i;
    };
    return found;
}

/// What a change of one row is to a view: nothing; of a row that stays under its key, or in its group, with the same
/// others; or any.
pub const Extent = enum { nothing, same_place, any };

/// `window`: of the only row that has changed.
pub inline fn extentOf(way: *const Way, window: *changes.Window) Extent {
    const change = &window.changes.items[0];
    if (change.old == 0 or change.new == 0) return .any;
    const different = window.different();
    if (different & way.reads == 0) return .nothing;
    return if (different & way.decides == 0) .same_place else .any;
}

/// Brings a row of the driver's input together with the others, if they are there and belong together.
pub inline fn together(arena: *Arena, plan: *const Plan, driver: *const Driver, at: u64, rows: *Rows) Error!bool {
    @setRuntimeSafety(false); // hot, and whoever made the plan has checked its numbers
    rows[driver.input] = try plans.widened(arena, plan.inputs[driver.input], .{ .at = at });
    if (driver.steps.len == 0 and driver.condition == null and plan.condition == null) return true;
    return withOthers(arena, plan, driver, rows);
}

fn withOthers(arena: *Arena, plan: *const Plan, driver: *const Driver, rows: *Rows) Error!bool {
    @setRuntimeSafety(false); // hot, and whoever made the plan has checked its numbers
    if (driver.condition) |condition| if (!try condition.holds(rows)) return false;
    for (driver.steps) |*step| {
        const table = plan.inputs[step.input];
        const runner = step.key.?;
        try runner.run(rows);
        if (try byKey(runner, table)) |row| {
            rows[step.input] = try plans.widened(arena, table, row);
            if (step.condition) |condition| if (!try condition.holds(rows)) {
                if (!step.outer) return false;
                rows[step.input] = try plans.nullRow(arena, table.layout.columns);
            };
        } else {
            if (!step.outer) return false;
            rows[step.input] = try plans.nullRow(arena, table.layout.columns);
        }
    }
    if (plan.condition) |condition| return condition.holds(rows);
    return true;
}

/// The live row whose primary key a runner has put out.
pub fn byKey(runner: *const plans.Runner, table: *Table) Error!?Row {
    @setRuntimeSafety(false); // hot, and whoever made the plan has checked its numbers
    if (table.tree.word) {
        const cell = runner.output(0);
        if (cell.is_null != 0) return null;
        return table_format.live(table.tree.findWord(key.wordOf(table.key_types[0], cell.value)));
    }
    const len = try plans.encodeKey(runner, table, null, &step_key) orelse return null;
    return table_format.live(table.tree.find(&step_key, len));
}

var step_key: key.Buffer = undefined;
var shown: Rows = undefined;
var old_key: key.Buffer = undefined;
var new_key: key.Buffer = undefined;

/// Brings a view whose rows are not grouped up to date with a change of one row, the only one of its inputs. `buffer`:
/// what of the rows is kept, if not all are.
pub fn apply(arena: *Arena, plan: *const Plan, driver: *const Driver, table: *Table, buffer: ?*Buffer, same_key: bool, change: *const Change) Error!void {
    const at = scratch.mark();
    defer scratch.release(at);
    if (same_key) {
        if (!try together(arena, plan, driver, change.new, &shown)) return;
        const made = try make(plan, table, buffer, &new_key) orelse return;
        const slot = table.tree.findKnown(&new_key);
        const old = table_format.live(slot) orelse return notThere(made.row);
        return transaction.replaceDerived(table, old, made.row, slot);
    }
    var slot: ?*u64 = null;
    var old_len: usize = 0;
    if (change.old != 0 and try together(arena, plan, driver, change.old, &shown)) {
        try plan.row.run(&shown);
        old_len = try plans.viewKeyOf(plan, table, try plans.orderOf(plan, &order), &old_key);
        if (!isLeftOut(buffer, table, old_key[0..old_len])) {
            slot = table.tree.findKnown(&old_key);
            if (table_format.live(slot) == null) return error.NotFound; // it was there, says the plan
        }
    }
    const was = table_format.live(slot);
    const comes = change.new != 0 and try together(arena, plan, driver, change.new, &shown);
    const made = (if (comes) try make(plan, table, buffer, &new_key) else null) orelse {
        if (was) |old| try transaction.removeDerived(table, old);
        return;
    };
    if (was) |old| {
        if (std.mem.eql(u8, old_key[0..old_len], new_key[0..made.len])) return transaction.replaceDerived(table, old, made.row, slot);
        transaction.removeDerived(table, old) catch |err| {
            heap.free(made.row.at, made.row.length());
            return err;
        };
    }
    try transaction.putDerivedAt(table, made.row, &new_key, made.len);
}

/// The same for a row that stays under its key, where that is the one of the view's row, too, and what is shown of what
/// has changed are words: whether it is in the view follows from whether its key is there. False: it is not so, and
/// nothing has been done.
pub fn applyInPlace(arena: *Arena, plan: *const Plan, driver: *const Driver, way: *const Way, table: *Table, window: *changes.Window) Error!bool {
    @setRuntimeSafety(false); // hot, and the plan has been checked
    const columns = way.shown orelse return false;
    const different = window.different();
    if (table.indexes_len > 0) return false;
    for (columns) |*column| if (column.reads & different != 0 and (column.place == null or !column.is_word)) return false;
    const change = &window.changes.items[0];
    const new = try plans.widened(arena, plan.inputs[driver.input], .{ .at = change.new });
    const slot = try ownPlace(table, columns, new) orelse return true;
    const old: Row = table_format.live(slot) orelse return true;
    if (!transaction.hasRoom()) return error.LimitReached;
    const row = try transaction.copyOf(old);
    var is_other = false;
    for (columns, 0..) |*column, i| {
        if (column.reads & different == 0) continue;
        const place = column.place.?;
        if (new.isNull(place)) {
            if (!row.isNull(i)) is_other = true;
            row.slot(i).* = 0;
            row.setNull(i);
        } else {
            const word = new.slot(place).*;
            if (row.isNull(i) or row.slot(i).* != word) is_other = true;
            row.setWord(i, word);
        }
    }
    if (is_other) transaction.swapDerived(table, old, row, slot) else heap.free(row.at, row.length());
    return true;
}

/// Where the view's row of an input's row hangs, if it does.
inline fn ownPlace(table: *Table, columns: []const Column, row: Row) Error!?*u64 {
    @setRuntimeSafety(false); // hot, and the plan has been checked
    if (table.tree.word) return table.tree.findWord(key.wordOf(table.key_types[0], row.slot(columns[table.key_positions[0]].place.?).*));
    var at: usize = 0;
    for (table.key_types, table.key_positions, 0..) |kind, position, i| {
        const place = columns[position].place.?;
        const nullable = if (table.key_nullable) |flags| flags[i] else false;
        at = key.encodeCell(kind, .ofColumn(kind, row, place), nullable, at, &new_key) catch return error.KeyTooLong;
    }
    return table.tree.find(&new_key, at);
}

fn notThere(row: Row) Error {
    heap.free(row.at, row.length());
    return error.NotFound;
}

/// A row in a block of its own, and the length of its key.
const Made = struct { row: Row, len: usize };

/// What is made of the rows at hand; null when it is left out, though it could be made.
fn make(plan: *const Plan, table: *Table, buffer: ?*Buffer, out: *key.Buffer) Error!?Made {
    try plan.row.run(&shown);
    const bytes = try plans.orderOf(plan, &order);
    const len = try plans.viewKeyOf(plan, table, bytes, out);
    if (isLeftOut(buffer, table, out[0..len])) {
        try plans.checkViewRow(plan, bytes);
        return null;
    }
    return .{ .row = try plans.viewRowOf(plan, bytes, null), .len = len };
}

var order: key.Buffer = undefined;

inline fn isLeftOut(buffer: ?*Buffer, table: *Table, bytes: []const u8) bool {
    return if (buffer) |one| one.isBehind(table, bytes) else false;
}
