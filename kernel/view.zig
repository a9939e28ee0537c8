//! Views: tables that are made of other tables, and are always what their plan says of them.
//!
//! What is always true here:
//! - A view's rows lie in a table like any other, so it can be read, scanned, indexed and listened to like one. It is
//!   neither logged nor part of the state: after recovery it is made anew.
//! - Views are in the order of their creation, and are made of what was there before them. A flush goes through them once
//!   in that order, so none is ever seen half brought up to date.
//! - A flush is part of the open transaction: what undoes that undoes it too.
//! - What a view of groups knows of them lies in its rows, behind the columns that are shown, and in tables of its own.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const trees = @import("tree.zig");
const transaction = @import("transaction.zig");
const plans = @import("plan.zig");
const joins = @import("join.zig");
const changes = @import("changes.zig");
const arenas = @import("arena.zig");
const scratch = @import("scratch.zig");
const batch = @import("batch.zig");
const group_rows = @import("group_rows.zig");
const group_patch = @import("group_patch.zig");
const lone = @import("lone.zig");
const delta = @import("delta.zig");
const tops = @import("top.zig");
const buffers = @import("buffer.zig");
const rebuild = @import("rebuild.zig");
const Difference = @import("difference.zig").Difference;
const places_of = @import("places.zig");
const Arena = arenas.Arena;
const Row = row_format.Row;
const Table = table_format.Table;
const Plan = plans.Plan;
const Error = layout.Error;

pub const View = struct {
    table: *Table,
    /// Null: the first rows of another view, or, if there are places, of each of its groups.
    plan: ?*Plan,
    places: ?places_of.Places = null,
    /// Where the plan lies.
    arena: Arena,
    top: tops.Top = undefined,
    /// Of its rows only the first ones are kept, for another view.
    buffer: ?*buffers.Buffer = null,
    inputs: []*Table,
    /// For each driver how a change of one row goes, and what it does to a group; null: as any others.
    ways: []?lone.Way = &.{},
    patch: ?group_patch.Patch = null,
    /// Another one that fills the same table: a union.
    next: ?*View = null,
    /// Rows that came in and went out since the view was made or the database opened.
    rows_in: u64 = 0,
    rows_out: u64 = 0,
    /// Made anew after each change, looking at so many rows at most. 0: brought up to date.
    anew_rows_max: u64 = 0,
    /// Of one that somebody follows who has no view: the table of the last part. 0: it is in the schema.
    owner: u32 = 0,
    /// It could not be brought up to date, and is not any more: its table is as it was then.
    broken: bool = false,

    /// So many rows may be looked at to bring it up to date.
    fn scannedMax(view: *const View) u64 {
        if (view.anew_rows_max > 0) return view.anew_rows_max;
        return if (view.owner != 0) layout.subscribed_view_scanned_max else layout.query_scanned_max;
    }

    /// Columns that others may look at: what is kept of groups stands behind them.
    fn shownColumns(view: *const View) usize {
        const plan = view.plan orelse return changes.all_columns;
        return if (plan.grouped) plan.final.?.outputs() else changes.all_columns;
    }

    fn isOfRows(view: *const View) bool {
        return if (view.plan) |plan| !plan.grouped else false;
    }
};

var views: [layout.views_max + layout.private_views_max]*View = undefined;
var views_len: usize = 0;
/// How many of them must be empty.
var asserted: usize = 0;
/// So many of them have an owner.
var private_len: usize = 0;

/// What lives as long as one flush.
var arena: Arena = .{};

pub fn find(number: u32) ?*View {
    for (views[0..views_len]) |view| if (view.table.number == number) return view;
    return null;
}

/// Whether its rows are no longer what its plan says.
pub fn isBroken(table: *const Table) bool {
    return if (table.view) |view| view.broken else false;
}

/// Makes a table that is there, and has no rows, a view, and fills it. `source` is its plan. `anew`: it was there before
/// recovery, so however long it takes to make, it must be made.
/// `owner`: see `View`.
pub fn define(number: u32, source: []const u8, anew: bool, owner: u32) Error!void {
    const table = table_format.get(number) orelse return error.NoRelation;
    const first = table.view;
    if (!table.derived or (if (first) |one| !one.isOfRows() else table.rows > 0)) return error.InvalidRow;
    const full = if (owner == 0) views_len - private_len == layout.views_max else private_len == layout.private_views_max;
    if (full) return layout.reached(.views);
    try flush();
    const view = try heap.create(View);
    view.* = .{ .table = table, .plan = null, .arena = .{}, .inputs = &.{}, .owner = owner };
    errdefer {
        if (view.plan) |plan| plans.release(plan);
        view.arena.free();
        heap.destroy(View, view);
    }
    try read(view, source);
    layout.control.fault_index = 0;
    try fill(view, if (anew) no_limit else view.scannedMax(), if (anew) .again else .first);
    if (owner != 0 and table.rows > layout.subscribed_view_rows_max) return layout.reached(.followed_rows);
    views[views_len] = view;
    views_len += 1;
    asserted += @intFromBool(table.must_be_empty);
    if (owner != 0) private_len += 1;
    if (first) |one| {
        view.next = one.next;
        one.next = view;
    } else table.view = view;
    for (view.inputs) |input| input.feeds += 1;
}

/// What a view is: the first word of `source` says whether a plan follows, padded to 8 bytes, or a `Top`, or `Places`; or a
/// plan that is run anew each time, behind the rows that may be looked at; or one of whose rows the first ones are kept,
/// behind how many more. Of both the second word says how many those are, 0: all.
fn read(view: *View, source: []const u8) Error!void {
    if (source.len < 16) return error.InvalidRow;
    const kind = std.mem.readInt(u32, source[0..4], .little);
    if (kind == kind_plan or kind == kind_anew or kind == kind_buffer) {
        const number = std.mem.readInt(u64, source[8..16], .little);
        if (kind == kind_anew) view.anew_rows_max = @max(1, number);
        const plan = try plans.make(&view.arena, source[if (kind == kind_plan) 8 else 16..]);
        view.plan = plan;
        view.inputs = plan.inputs;
        const first = std.mem.readInt(u32, source[4..8], .little);
        if (kind == kind_buffer or first > 0) {
            const spare_min = if (kind == kind_buffer) number else 1;
            view.buffer = try buffers.Buffer.of(&view.arena, plan, view.table, first, spare_min);
        }
        if (kind != kind_anew) {
            view.ways = try lone.waysOf(&view.arena, plan, view.table);
            view.patch = try group_patch.Patch.of(&view.arena, plan, view.table);
        }
        plans.prepare(plan, plans.noParameters());
        return;
    }
    if (source.len != 24) return error.InvalidRow;
    const from = table_format.get(std.mem.readInt(u32, source[4..8], .little)) orelse return error.NoRelation;
    if (kind == kind_places) {
        const places = try places_of.Places.read(source[8..24]);
        if (!places.fits(from) or !places.fits(view.table)) return error.InvalidRow;
        view.places = places;
    } else {
        view.top = .{
            .count = std.mem.readInt(u64, source[8..16], .little),
            .skip = std.mem.readInt(u64, source[16..24], .little),
        };
        if (view.top.count + view.top.skip > layout.top_rows_max) return error.LimitReached;
    }
    view.inputs = try view.arena.slice(*Table, 1);
    view.inputs[0] = from;
}

const kind_plan: u32 = 0;
const kind_anew: u32 = 2;
const kind_places: u32 = 3;
const kind_buffer: u32 = 4;

/// Their table goes away.
pub fn forget(first: *View) void {
    var left: ?*View = first;
    while (left) |view| {
        left = view.next;
        forgetOne(view);
    }
}

fn forgetOne(view: *View) void {
    const at = std.mem.indexOfScalar(*View, views[0..views_len], view).?;
    std.mem.copyForwards(*View, views[at..], views[at + 1 .. views_len]);
    views_len -= 1;
    asserted -= @intFromBool(view.table.must_be_empty);
    if (view.owner != 0) private_len -= 1;
    for (view.inputs) |input| input.feeds -= 1;
    if (view.plan) |plan| plans.release(plan);
    view.arena.free();
    heap.destroy(View, view);
}

const no_limit = std.math.maxInt(u64);

/// What a view is made for: then all of its rows have been seen, and can be; or again, as it was when the database was
/// closed or when rows went that were kept.
const Making = enum { first, again };

/// Fills an empty view from its inputs, looking at `most` rows. Not logged, not undone: whoever gives the view up gives
/// its tables up.
fn fill(view: *View, most: u64, making: Making) Error!void {
    defer arena.reset();
    view.table.last_lsn = layout.control.lsn;
    const buffer = view.buffer orelse return load(view, most);
    if (view.anew_rows_max > 0) return load(view, most);
    buffer.more = try loadFirst(view, buffer, buffer.most(view.plan.?), most, making);
}

fn load(view: *View, most: u64) Error!void {
    const plan = view.plan orelse return fillTop(view);
    if (view.buffer) |buffer| {
        _ = try loadFirst(view, buffer, buffer.wanted, most, .first);
        return;
    }
    const driver = &plan.drivers[0];
    if (plan.grouped) {
        var sink = group_rows.Sink.init(view.table, plan, &arena, .loading);
        if (plan.global) try sink.addGlobal();
        try joinAll(view, driver, group_rows.Sink, &sink, most);
        return sink.finish();
    }
    var sink: Loader = .{ .table = view.table, .plan = plan };
    try joinAll(view, driver, Loader, &sink, most);
}

/// The same of a view of which the first rows are kept: `count`. Whether there are more.
fn loadFirst(view: *View, buffer: *buffers.Buffer, count: u64, most: u64, making: Making) Error!bool {
    const plan = view.plan.?;
    const driver = &plan.drivers[0];
    var sink: buffers.Filling = .{ .buffer = buffer, .plan = plan, .table = view.table, .arena = &arena, .most = count, .stops = false };
    if (making == .first and view.anew_rows_max == 0) {
        // Whether all rows can be computed has to be seen, and all of the condition is the driver's.
        var whole = driver.*;
        whole.index = null;
        whole.lower = null;
        whole.upper = null;
        whole.flags = 0;
        try joinAll(view, &whole, buffers.Filling, &sink, most);
    } else {
        sink.stops = making == .again and driver.flags & plans.driver_sorted != 0;
        try joinAll(view, driver, buffers.Filling, &sink, most);
    }
    return sink.finish();
}

fn joinAll(view: *const View, driver: *const plans.Driver, comptime Sink: type, sink: *Sink, most: u64) Error!void {
    const plan = view.plan.?;
    const counts = view.anew_rows_max > 0 or view.owner != 0;
    const progress = layout.Progress.begin(plan.inputs[driver.input].rows);
    var join: joins.Join(Sink) = .{ .plan = plan, .arena = &arena, .sink = sink, .left = most, .progress = progress, .counts_first = counts };
    _ = try join.all(driver);
}

const Loader = struct {
    table: *Table,
    plan: *const Plan,

    pub fn take(loader: *Loader, rows: []const Row) Error!bool {
        try loader.plan.row.run(rows);
        try transaction.loadDerived(loader.table, try plans.viewRow(loader.plan, null));
        return true;
    }
};

// ---------------------------------------------------------------- flush

/// Before a relation is read: if it is a view, it says what the tables say now.
pub inline fn see(table: *const Table) Error!void {
    if (table.derived) try flush();
}

/// Brings all views up to date with what the open transaction has done. All or nothing.
pub fn flush() Error!void {
    const waiting = transaction.unflushed();
    if (waiting.len == 0) return;
    if (views_len == 0) return transaction.setFlushed();
    batch.makeSureOfStack();
    const at_start = transaction.mark();
    layout.control.fault_index = 0;
    const done = bring(waiting);
    changes.close();
    arena.reset();
    done catch |err| {
        transaction.rollbackTo(at_start);
        return err;
    };
    transaction.setFlushed();
}

fn bring(waiting: []const transaction.Undo) Error!void {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    try changes.collect(&arena, waiting, changes.all_columns);
    if (!changes.any()) return;
    for (views[0..views_len]) |view| {
        if (!isConcerned(view) or view.broken or table_format.get(view.table.number) != view.table) continue;
        const at_start = transaction.mark();
        const from = transaction.entries();
        runWithin(view, from) catch |err| {
            layout.control.fault_table = view.table.number;
            if (view.owner == 0) return err;
            transaction.rollbackTo(at_start);
            breakDown(view.owner, err);
            continue;
        };
        const to = transaction.entries();
        view.rows_out += to - from;
        if (to > from and view.table.feeds > 0) try changes.collect(&arena, transaction.since(from), view.shownColumns());
    }
}

/// A view that must be empty and is not, once all are up to date.
pub fn unwanted() ?*Table {
    if (asserted == 0) return null;
    for (views[0..views_len]) |view| {
        const table = view.table;
        if (table.must_be_empty and table.rows > 0 and table_format.get(table.number) == table) return table;
    }
    return null;
}

/// Whether what has changed may change a view.
inline fn isConcerned(view: *const View) bool {
    @setRuntimeSafety(false); // hot, and what it looks at was checked when the view was made
    if (view.inputs.len == 1) {
        const window = view.inputs[0].window orelse return false;
        if (view.buffer) |buffer| if (view.anew_rows_max == 0 and buffer.passesBy(view.table, window)) return false;
        return !passesBy(view, window);
    }
    for (view.inputs) |input| if (input.window != null) return true;
    return false;
}

/// Whether what changed was not in a view of one input, and is not: what most views say to most changes, told without
/// running anything.
inline fn passesBy(view: *const View, window: *changes.Window) bool {
    @setRuntimeSafety(false); // hot, and what it looks at was checked when the view was made
    const plan = view.plan orelse return false;
    const condition = plan.drivers[0].condition orelse return false;
    const comparison = &(condition.comparison orelse return false);
    const columns = window.table.layout.columns;
    if (window.changes.items.len == 1 and view.ways.len > 0) if (view.ways[0]) |*way| switch (lone.extentOf(way, window)) {
        .nothing => return true,
        .same_place => return !maybeHolds(comparison, condition, columns, window.changes.items[0].new),
        .any => {},
    };
    for (window.changes.items) |*change| {
        if (change.old != 0 and maybeHolds(comparison, condition, columns, change.old)) return false;
        if (change.new != 0 and maybeHolds(comparison, condition, columns, change.new)) return false;
    }
    return true;
}

inline fn maybeHolds(comparison: *const plans.Comparison, condition: *const plans.Runner, columns: u16, at: u64) bool {
    const row: Row = .{ .at = at };
    return row.columns() != columns or comparison.holdsFor(condition, row);
}

fn runWithin(view: *View, from: usize) Error!void {
    try run(view);
    if (view.owner == 0) return;
    if (view.table.rows > layout.subscribed_view_rows_max) return layout.reached(.followed_rows);
    if (transaction.entries() - from > layout.subscribed_view_changes_max) return layout.reached(.followed_changes);
}

/// What nobody sees but those who follow it refuses no transaction: they are told, and it ends.
fn breakDown(owner: u32, err: Error) void {
    for (views[0..views_len]) |view| if (view.owner == owner) {
        view.broken = true;
    };
    delta.sayFailure(owner, err);
}

fn run(view: *View) Error!void {
    if (view.anew_rows_max > 0) return runAnew(view);
    const plan = view.plan orelse return runTop(view);
    try runChanges(view, plan);
    if (view.buffer) |buffer| {
        try buffer.trim(plan, view.table);
        if (buffer.isShort(view.table)) try refill(view, plan, buffer);
    }
}

fn runChanges(view: *View, plan: *const Plan) Error!void {
    if (try runLone(view, plan)) return;
    if (plan.grouped) {
        var sink = group_rows.Sink.init(view.table, plan, &arena, .changing);
        try drive(view, group_rows.Sink, &sink);
        return sink.finish();
    }
    if (plan.inputs.len == 1) return runOne(view, plan);
    var sink: Difference = .{ .plan = plan, .arena = &arena, .table = view.table, .buffer = view.buffer };
    try drive(view, Difference, &sink);
    try sink.apply();
}

/// What has changed is one row, and the view is brought up to date by the way that there is for that.
fn runLone(view: *View, plan: *const Plan) Error!bool {
    @setRuntimeSafety(false); // hot, and what it looks at was checked when the view was made
    const i = lone.changedInput(plan) orelse return false;
    const way = &(view.ways[i] orelse return false);
    const window = plan.inputs[i].window.?;
    const change = &window.changes.items[0];
    const extent = lone.extentOf(way, window);
    if (extent != .nothing) {
        const same_place = extent == .same_place;
        if (!plan.grouped) {
            const told = same_place and try lone.applyInPlace(&arena, plan, &plan.drivers[i], way, view.table, window);
            if (!told) try lone.apply(&arena, plan, &plan.drivers[i], view.table, view.buffer, same_place, change);
        } else {
            const patch = &(view.patch orelse return false);
            const driver = &plan.drivers[i];
            const told = if (same_place)
                try group_patch.applyInPlace(&arena, plan, patch, driver, view.table, window)
            else
                try group_patch.apply(&arena, plan, patch, driver, view.table, change);
            if (!told) return false;
        }
    }
    view.rows_in += 1;
    return true;
}

/// A view of one input: each of its rows is one of the input's, or none.
fn runOne(view: *View, plan: *const Plan) Error!void {
    const window = plan.inputs[0].window.?;
    view.rows_in += window.changes.items.len;
    for (window.changes.items) |*change| {
        try lone.apply(&arena, plan, &plan.drivers[0], view.table, view.buffer, false, change);
        if (view.buffer) |buffer| try buffer.trim(plan, view.table);
    }
}

/// Every change of every input: first what went, then what came.
fn drive(view: *View, comptime Sink: type, sink: *Sink) Error!void {
    for (view.plan.?.inputs) |input| if (input.window) |window| {
        view.rows_in += window.changes.items.len;
    };
    try driveOnce(view, Sink, sink, true);
    try driveOnce(view, Sink, sink, false);
    if (view.plan.?.outers.len > 0) try driveOuters(view, Sink, sink);
}

/// What had, or has, a row that changed; those of left joins apart.
fn driveOnce(view: *View, comptime Sink: type, sink: *Sink, as_was: bool) Error!void {
    const plan = view.plan.?;
    var join: joins.Join(Sink) = .{ .plan = plan, .arena = &arena, .sink = sink, .as_was = as_was, .left = view.scannedMax() };
    sink.times = if (as_was) -1 else 1;
    for (plan.inputs, plan.drivers, 0..) |input, *driver, i| {
        const window = input.window orelse continue;
        if (driver.isOuter()) continue;
        join.changed = @intCast(i);
        join.driver = driver;
        for (window.changes.items) |change| {
            const at = if (as_was) change.old else change.new;
            if (at != 0) _ = try join.drive(.{ .at = at });
        }
    }
}

/// Changes of left joins' inputs: what did not change itself, and is or was joined to them, each once, goes with what it
/// had and comes with what it has.
fn driveOuters(view: *View, comptime Sink: type, sink: *Sink) Error!void {
    const plan = view.plan.?;
    var noted: arenas.Strings = .{};
    var join: joins.Join(Sink) = .{ .plan = plan, .arena = &arena, .sink = sink, .noted = &noted, .left = view.scannedMax() };
    for (plan.inputs, plan.drivers, 0..) |input, *driver, i| {
        const window = input.window orelse continue;
        if (!driver.isOuter()) continue;
        join.changed = @intCast(i);
        join.driver = driver;
        join.origins = @splat(0);
        for (window.changes.items) |change| for ([_]u64{ change.old, change.new }) |at| {
            if (at != 0) _ = try join.drive(.{ .at = at });
        };
    }
    join.noted = null;
    for ([_]bool{ true, false }) |as_was| for (0..noted.entries.items.len) |i| {
        sink.times = if (as_was) -1 else 1;
        join.as_was = as_was;
        _ = try join.resumeNoted(noted.get(i));
    };
}

// ---------------------------------------------------------------- views that are made anew

/// Makes a view as its query says beside itself; what is different is what has changed.
fn runAnew(view: *View) Error!void {
    for (view.inputs) |input| if (input.window) |window| {
        view.rows_in += window.changes.items.len;
    };
    const aggregates = view.plan.?.aggregates;
    const tables = try arena.slice(*Table, 1 + aggregates.len);
    var count: usize = 1;
    tables[0] = view.table;
    for (aggregates) |one| if (one.values) |values| {
        tables[count] = values;
        count += 1;
    };
    const made = try arena.slice(trees.Tree, count);
    const kept = try arena.slice(rebuild.Kept, count);
    for (kept, tables[0..count]) |*one, table| one.* = rebuild.setAside(table);
    const loaded = load(view, view.anew_rows_max);
    for (made, kept, tables[0..count]) |*tree, one, table| {
        tree.* = table.tree;
        rebuild.restore(table, one);
    }
    defer for (made) |*tree| tree.clear(true);
    loaded catch |err| {
        const scanned = layout.control.fault_index == @backingInt(layout.Limit.scanned_rows);
        return if (err == error.LimitReached and scanned) layout.reached(.anew_rows) else err;
    };
    for (made, tables[0..count]) |*tree, table| try rebuild.replaceRows(&arena, table, tree);
}

/// Makes the first rows anew: some that were kept went, and those behind them are not known. O(rows of the inputs), or
/// with an index in the wanted order O(rows kept).
noinline fn refill(view: *View, plan: *const Plan, buffer: *buffers.Buffer) Error!void {
    const kept = rebuild.setAside(view.table);
    const loaded = loadFirst(view, buffer, buffer.most(plan), if (view.owner == 0) no_limit else view.scannedMax(), .again);
    var made = view.table.tree;
    rebuild.restore(view.table, kept);
    defer made.clear(true);
    const more = try loaded;
    try rebuild.replaceRows(&arena, view.table, &made);
    try buffer.refilled(view.table, more);
}

// ---------------------------------------------------------------- the first rows of another view

fn fillTop(view: *View) Error!void {
    if (view.places) |*places| return places.fill(view.inputs[0], view.table);
    return view.top.fill(&arena, view.inputs[0], view.table);
}

fn runTop(view: *View) Error!void {
    const window = view.inputs[0].window.?;
    view.rows_in += window.changes.items.len;
    if (view.places) |*places| return places.run(window, view.table, &arena);
    return view.top.run(&arena, window, view.table);
}

// ---------------------------------------------------------------- checks

/// Makes every view anew beside itself and compares. The number of one that differs. Not while a transaction is open.
pub fn verify() Error!?u32 {
    for (views[0..views_len]) |view| {
        if (view.table.view == view and !view.broken and try differs(view)) return view.table.number;
    }
    return null;
}

fn differs(view: *View) Error!bool {
    if (view.buffer) |buffer| return firstDiffer(view, buffer);
    const own = rebuild.setAside(view.table);
    var values: [layout.columns_max]rebuild.Kept = undefined;
    const aggregates: []const plans.Aggregate = if (view.plan) |plan| plan.aggregates else &.{};
    for (aggregates, 0..) |one, i| if (one.values) |table| {
        values[i] = rebuild.setAside(table);
    };
    var filled: Error!void = {};
    var part: ?*View = view;
    while (part) |one| : (part = one.next) filled = if (filled) fill(one, no_limit, .first) else |err| err;
    var different = rebuild.putBack(view.table, own);
    for (aggregates, 0..) |one, i| if (one.values) |table| {
        if (rebuild.putBack(table, values[i])) different = true;
    };
    try filled;
    return different;
}

/// The same of a view of which the first rows are kept. How many these are depends on what happened before.
fn firstDiffer(view: *View, buffer: *buffers.Buffer) Error!bool {
    defer arena.reset();
    const table = view.table;
    var own = rebuild.setAside(table);
    const loaded = loadFirst(view, buffer, own.rows + 1, no_limit, .first);
    const agree = buffer.agrees(&own.tree, own.rows, table);
    table.tree.clear(true);
    rebuild.restore(table, own);
    _ = try loaded;
    return !agree;
}
