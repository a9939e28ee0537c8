//! A row that came into a group, went, or changed in it: what the view knows of the group is changed word by word in a
//! copy of its row, without taking it apart and making it anew.
//!
//! What is always true here: only where all aggregates are counts and sums of words, and what is shown of a group are its
//! groups and aggregates as they are. All else is for group_rows.zig, which makes the same rows, byte for byte.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const plans = @import("plan.zig");
const groups = @import("groups.zig");
const lone = @import("lone.zig");
const changes = @import("changes.zig");
const scratch = @import("scratch.zig");
const reads = @import("reads.zig");
const programs = @import("program.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Cell = @import("cell.zig").Cell;
const Row = row_format.Row;
const Table = table_format.Table;
const Plan = plans.Plan;
const Driver = plans.Driver;
const Change = changes.Change;
const Error = layout.Error;

/// What a plan's aggregates are in a group's row.
pub const Patch = struct {
    places: []Place,
    /// Where it says how many rows the group has.
    rows_at: usize,
    /// For each driver.
    stays: []Stay,

    /// Null: the plan is nothing for here.
    pub fn of(arena: *Arena, plan: *const Plan, table: *const Table) Error!?Patch {
        const final = plan.final orelse return null;
        const places = try arena.slice(Place, plan.aggregates.len);
        var at = final.outputs() + 1;
        for (places, plan.aggregates, plan.groups..) |*place, *one, column| {
            if (one.values != null or one.distinct) return null;
            const is_sum = switch (one.function) {
                .count_rows, .count => false,
                .sum_word, .average_int, .average_decimal, .every, .some => true,
                else => return null,
            };
            place.* = .{ .at = at, .is_sum = is_sum, .shown = try shownAt(arena, final, column) };
            at += if (is_sum) 3 else 1;
        }
        for (0..final.outputs()) |column| if (reads.placeOf(final.program, 0, column) == null) return null;
        const stays = try arena.slice(Stay, plan.drivers.len);
        for (stays, plan.drivers) |*stay, *driver| stay.* = try .of(arena, plan, driver, table);
        return .{ .places = places, .rows_at = final.outputs(), .stays = stays };
    }

    fn shownAt(arena: *Arena, final: *const plans.Runner, column: usize) Error![]const usize {
        var found: arenas.List(usize) = .{};
        for (0..final.outputs()) |i| if (reads.placeOf(final.program, 0, i)) |place| {
            if (place == column) try found.add(arena, i);
        };
        return found.items;
    }
};

/// Where an aggregate's state begins: how many values count, then of sums two words; and in which columns it is shown.
const Place = struct { at: usize, is_sum: bool, shown: []const usize };

/// How a row is found in its group, and what it has for it, when it stays there.
const Stay = struct {
    /// The row program as far as the groups need it.
    key: programs.Program,
    /// The group is this column of the driver's row.
    column: ?u32,
    sources: []Source,
    /// What the values depend on that do not stand in the row as they are.
    elsewhere: reads.Columns,

    /// What the values of an aggregate depend on, and where in the row they stand as they are.
    const Source = struct { reads: reads.Columns, place: ?u32 };

    fn of(arena: *Arena, plan: *const Plan, driver: *const Driver, table: *const Table) Error!Stay {
        const program = plan.row.program;
        const input = driver.input;
        const sources = try arena.slice(Source, plan.aggregates.len);
        for (sources, plan.aggregates) |*source, *one| {
            source.* = .{ .reads = 0, .place = null };
            if (one.argument != layout.none_u32) {
                source.reads = reads.ofOutput(program, input, one.argument);
                if (one.filter == layout.none_u32) source.place = reads.placeOf(program, input, one.argument);
            }
            if (one.filter != layout.none_u32) source.reads |= reads.ofOutput(program, input, one.filter);
        }
        var elsewhere: reads.Columns = 0;
        for (sources) |source| if (source.place == null) {
            elsewhere |= source.reads;
        };
        var key_program = program.*;
        key_program.instructions = program.instructions[0..reads.neededFor(program, plan.groups)];
        const is_word = table.tree.word and plan.groups == 1;
        return .{ .key = key_program, .column = if (is_word) reads.placeOf(program, input, 0) else null, .sources = sources, .elsewhere = elsewhere };
    }
};

/// What a row is for its group.
const Part = struct {
    there: bool = false,
    key_len: usize = 0,
    key: key.Buffer = undefined,
    values: [layout.columns_max]Value = undefined,

    /// Of the rows that the row program has just run for.
    fn take(part: *Part, plan: *const Plan) void {
        for (plan.aggregates, part.values[0..plan.aggregates.len]) |*one, *value| value.* = .of(plan, one);
    }

    fn takeKey(part: *Part, plan: *const Plan, table: *const Table) Error!void {
        part.there = true;
        part.key_len = (try groups.encodeGroups(plan, table.key_nullable, &part.key)).len;
    }

    /// Where the group's live row hangs. Writing changes no tree, so it stays true.
    fn slot(part: *const Part, plan: *const Plan, table: *Table) ?*u64 {
        const found = if (plan.groups > 0) table.tree.find(&part.key, part.key_len) else &table.tree.root;
        return if (table_format.live(found) == null) null else found;
    }
};

/// What a row has for an aggregate.
const Value = struct {
    counts: bool,
    word: i64,

    fn of(plan: *const Plan, one: *const plans.Aggregate) Value {
        @setRuntimeSafety(false); // hot, and the plan has been checked
        if (one.filter != layout.none_u32) {
            const filter = plan.row.output(one.filter);
            if (!filter.isTrue()) return .{ .counts = false, .word = 0 };
        }
        if (one.argument == layout.none_u32) return .{ .counts = true, .word = 0 };
        const cell = plan.row.output(one.argument);
        return .{ .counts = cell.is_null == 0, .word = cell.int() };
    }

    fn ofColumn(row: Row, place: usize) Value {
        @setRuntimeSafety(false); // hot, and the plan has been checked
        return .{ .counts = !row.isNull(place), .word = @bitCast(row.slot(place).*) };
    }
};

// Not on the stack: with safety checks on, they would be filled there first.
var was: Part = undefined;
var is: Part = undefined;
var rows: lone.Rows = undefined;

/// Brings a view up to date with a change of one row, the only one of its inputs. False: a group begins or ends with it,
/// and nothing has been done.
pub fn apply(arena: *Arena, plan: *const Plan, patch: *const Patch, driver: *const Driver, table: *Table, change: *const Change) Error!bool {
    const at = scratch.mark();
    defer scratch.release(at);
    was.there = change.old != 0 and try lone.together(arena, plan, driver, change.old, &rows);
    if (was.there) {
        try plan.row.run(&rows);
        try was.takeKey(plan, table);
        was.take(plan);
    }
    is.there = change.new != 0 and try lone.together(arena, plan, driver, change.new, &rows);
    if (is.there) {
        try plan.row.run(&rows);
        try is.takeKey(plan, table);
        is.take(plan);
    }
    if (was.there and is.there and std.mem.eql(u8, was.key[0..was.key_len], is.key[0..is.key_len])) {
        const slot = is.slot(plan, table) orelse return false;
        try write(plan, patch, table, slot, .{ .minus = true, .plus = true });
        return true;
    }
    const old_slot = if (was.there) was.slot(plan, table) orelse return false else null;
    const new_slot = if (is.there) is.slot(plan, table) orelse return false else null;
    if (old_slot) |slot| if (rowAt(slot).slot(patch.rows_at).* == 1 and !plan.global) return false;
    if (old_slot) |slot| try write(plan, patch, table, slot, .{ .minus = true });
    if (new_slot) |slot| try write(plan, patch, table, slot, .{ .plus = true });
    return true;
}

/// The same where the row stays in its group: nothing matters but aggregates whose values have changed.
pub fn applyInPlace(arena: *Arena, plan: *const Plan, patch: *const Patch, driver: *const Driver, table: *Table, window: *changes.Window) Error!bool {
    @setRuntimeSafety(false); // hot, and the plan has been checked
    const at = scratch.mark();
    defer scratch.release(at);
    const different = window.different();
    const change = &window.changes.items[0];
    const stay = &patch.stays[driver.input];
    if (different & stay.elsewhere != 0) return apply(arena, plan, patch, driver, table, change);
    if (!try lone.together(arena, plan, driver, change.new, &rows)) return true;
    const slot = try placeOf(plan, stay, table, driver) orelse return false;
    const new = rows[driver.input];
    const old = try plans.widened(arena, plan.inputs[driver.input], .{ .at = change.old });
    if (!transaction.hasRoom()) return error.LimitReached;
    const row = try transaction.copyOf(rowAt(slot));
    var is_other = false;
    for (stay.sources, patch.places, plan.aggregates) |*source, *place, *one| {
        if (different & source.reads == 0) continue;
        const before: Value = .ofColumn(old, source.place.?);
        const after: Value = .ofColumn(new, source.place.?);
        if (before.counts == after.counts and before.word == after.word) continue;
        is_other = true;
        if (before.counts and after.counts) {
            if (place.is_sum) putSum(row, place, sumOf(row, place) +% (wordOf(one, after.word) -% @as(i128, wordOf(one, before.word))));
        } else add(row, place, one, if (after.counts) after.word else before.word, after.counts);
        show(row, patch, place, one) catch |err| {
            heap.free(row.at, row.length());
            return err;
        };
    }
    if (is_other and table.indexes_len == 0) {
        transaction.swapDerived(table, rowAt(slot), row, slot);
    } else try transaction.replaceDerived(table, rowAt(slot), row, slot);
    return true;
}

/// Where the live row of the group hangs that the rows at hand belong to.
inline fn placeOf(plan: *const Plan, stay: *const Stay, table: *Table, driver: *const Driver) Error!?*u64 {
    @setRuntimeSafety(false); // hot, and the plan has been checked
    const found = if (stay.column) |column|
        table.tree.findWord(key.wordOf(table.key_types[0], rows[driver.input].slot(column).*))
    else blk: {
        try plan.row.runAs(&stay.key, &rows);
        if (table.tree.word and plan.groups > 0) break :blk table.tree.findWord(key.wordOf(table.key_types[0], plan.row.output(0).value));
        try is.takeKey(plan, table);
        return is.slot(plan, table);
    };
    return if (table_format.live(found) == null) null else found;
}

inline fn rowAt(slot: *const u64) Row {
    @setRuntimeSafety(false); // hot, and the plan has been checked
    return .{ .at = slot.* & ~@as(u64, 1) };
}

/// Whether a row goes from a group, and whether one comes.
const Which = struct { minus: bool = false, plus: bool = false };

/// A new version of a group's row.
fn write(plan: *const Plan, patch: *const Patch, table: *Table, slot: *u64, which: Which) Error!void {
    const old = rowAt(slot);
    const row = try transaction.copyOf(old);
    alter(plan, patch, row, which) catch |err| {
        heap.free(row.at, row.length());
        return err;
    };
    try transaction.replaceDerived(table, old, row, slot);
}

fn alter(plan: *const Plan, patch: *const Patch, row: Row, which: Which) Error!void {
    @setRuntimeSafety(false); // hot, and counts stay below the number of rows
    if (which.minus != which.plus) row.slot(patch.rows_at).* +%= if (which.plus) 1 else ~@as(u64, 0);
    for (plan.aggregates, patch.places, 0..) |*one, *place, i| {
        if (which.minus and was.values[i].counts) add(row, place, one, was.values[i].word, false);
        if (which.plus and is.values[i].counts) add(row, place, one, is.values[i].word, true);
        try show(row, patch, place, one);
    }
}

/// Writes what comes out of an aggregate into the columns that show it.
inline fn show(row: Row, patch: *const Patch, place: *const Place, one: *const plans.Aggregate) Error!void {
    @setRuntimeSafety(false); // hot, and the plan has been checked
    for (place.shown) |column| {
        const cell: Cell = switch (one.function) {
            .count_rows => .ofWord(row.slot(if (one.filter == layout.none_u32) patch.rows_at else place.at).*),
            .count => .ofWord(row.slot(place.at).*),
            else => try resultOf(row, place, one),
        };
        if (cell.is_null == 0) {
            row.setWord(column, cell.value);
        } else {
            row.slot(column).* = 0;
            row.setNull(column);
        }
    }
}

/// One more value of an aggregate, or one less.
inline fn add(row: Row, place: *const Place, one: *const plans.Aggregate, value: i64, plus: bool) void {
    @setRuntimeSafety(false); // hot, and the plan has been checked
    row.slot(place.at).* +%= if (plus) 1 else ~@as(u64, 0);
    if (!place.is_sum) return;
    const word = wordOf(one, value);
    const sum = sumOf(row, place);
    putSum(row, place, if (plus) sum +% word else sum -% word);
}

/// Of `every` and `some` it is how many are true that is summed up.
inline fn wordOf(one: *const plans.Aggregate, value: i64) i64 {
    return if (one.function == .every or one.function == .some) value & 1 else value;
}

inline fn sumOf(row: Row, place: *const Place) i128 {
    @setRuntimeSafety(false); // hot, and the plan has been checked
    return @as(i128, @as(i64, @bitCast(row.slot(place.at + 2).*))) << 64 | row.slot(place.at + 1).*;
}

inline fn putSum(row: Row, place: *const Place, sum: i128) void {
    @setRuntimeSafety(false); // hot, and the plan has been checked
    row.slot(place.at + 1).* = @truncate(@as(u128, @bitCast(sum)));
    row.slot(place.at + 2).* = @truncate(@as(u128, @bitCast(sum)) >> 64);
}

inline fn resultOf(row: Row, place: *const Place, one: *const plans.Aggregate) Error!Cell {
    @setRuntimeSafety(false); // hot, and the plan has been checked
    const sum = sumOf(row, place);
    if (one.function == .sum_word and row.slot(place.at).* != 0) {
        const word: i64 = @truncate(sum);
        if (word == sum and row_format.fits(one.result, @bitCast(word))) return .ofInt(word);
    }
    return resultAtLength(row, place, one);
}

noinline fn resultAtLength(row: Row, place: *const Place, one: *const plans.Aggregate) Error!Cell {
    const accumulator: groups.Accumulator = .{ .count = @bitCast(row.slot(place.at).*), .sum = sumOf(row, place) };
    return accumulator.result(one);
}
