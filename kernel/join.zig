//! Brings rows together as a plan says: a row of the driver's input, and for each the rows of the others, one input
//! after the other, found by index.
//!
//! With `changed` set, only rows of that input that changed drive; of inputs behind it only rows that did not change are
//! seen, and those before it all as they were, or all as they are. Over all inputs, that is exactly what was there and
//! has a row that changed in it, or what is there now and has; also when an input stands there twice. So nothing is
//! computed of rows that never were there together.

const std = @import("std");
const layout = @import("layout.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const trees = @import("tree.zig");
const plans = @import("plan.zig");
const scratch = @import("scratch.zig");
const indexes = @import("index.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Row = row_format.Row;
const Table = table_format.Table;
const Index = indexes.Index;
const Plan = plans.Plan;
const Driver = plans.Driver;
const Error = layout.Error;

const nothing: u32 = layout.none_u32;

/// Where a join keeps its places. Joins do not run inside each other.
var paths: [plans.inputs_max + 1]trees.Path = undefined;
var keys: [plans.inputs_max + 1]key.Buffer = undefined;
var end_key: key.Buffer = undefined;
var own_key: key.Buffer = undefined;

/// `Sink` has `fn take(sink, rows: []const Row) Error!bool`, which says whether it wants more.
pub fn Join(comptime Sink: type) type {
    return struct {
        const Self = @This();

        plan: *const Plan,
        arena: *Arena,
        sink: *Sink,
        driver: *const Driver = undefined,
        changed: u32 = nothing,
        /// Rows that may still be looked at; those of the first input count only if that is said.
        left: u64 = layout.query_scanned_max,
        counts_first: bool = false,
        /// Whether the input of a step has found a row.
        met: [plans.inputs_max]bool = undefined,
        /// Rows are brought together as they were before they changed.
        as_was: bool = false,
        /// Rows that come together are only noted, each once: those of the inputs that are not left joins, if none of
        /// them has changed.
        noted: ?*arenas.Strings = null,
        origins: [plans.inputs_max]u64 = @splat(0),
        rows: [plans.inputs_max]Row = undefined,
        progress: layout.Progress = .{},

        /// All rows of a driver. Whether the sink wants more.
        pub fn all(self: *Self, driver: *const Driver) Error!bool {
            self.driver = driver;
            if (self.plan.inputs.len == 0) return self.descend(0);
            return if (driver.flags & plans.driver_descending != 0) self.walk(true) else self.walk(false);
        }

        fn walk(self: *Self, comptime descending: bool) Error!bool {
            const driver = self.driver;
            const table = self.plan.inputs[driver.input];
            const tree = if (driver.index) |index| &index.tree else &table.tree;
            const lower, const upper = if (descending) .{ driver.upper, driver.lower } else .{ driver.lower, driver.upper };
            const first_exclusive = if (descending) plans.driver_upper_exclusive else plans.driver_lower_exclusive;
            const last_exclusive = if (descending) plans.driver_lower_exclusive else plans.driver_upper_exclusive;
            var from_len: usize = 0;
            if (lower) |runner| {
                try runner.run(&.{});
                from_len = try plans.encodeKey(runner, table, driver.index, &keys[0]) orelse return true;
            }
            var end_len: usize = 0;
            if (upper) |runner| {
                try runner.run(&.{});
                end_len = try plans.encodeKey(runner, table, driver.index, &end_key) orelse return true;
            }
            var it = trees.Iterator(descending){ .path = &paths[0] };
            const strictly = driver.flags & first_exclusive != 0;
            var found = if (lower == null) it.first(tree) else it.seek(tree, &keys[0], from_len, strictly);
            while (found) |row| : (found = it.next()) {
                if (self.counts_first) try self.look();
                if (upper != null) {
                    const len = @min(tree.keyOf(row, &own_key), end_len);
                    const order = std.mem.order(u8, own_key[0..len], end_key[0..end_len]);
                    if (order == (if (descending) .lt else .gt)) break;
                    if (order == .eq and driver.flags & last_exclusive != 0) break;
                }
                if (row.has(row_format.flag_dead)) continue;
                self.progress.step();
                if (!try self.drive(row)) return false;
            }
            return true;
        }

        /// One row of the driver's input.
        pub fn drive(self: *Self, row: Row) Error!bool {
            const mark = scratch.mark();
            defer scratch.release(mark);
            self.rows[self.driver.input] = try plans.widened(self.arena, self.plan.inputs[self.driver.input], row);
            self.origins[self.driver.input] = row.at;
            if (self.driver.condition) |condition| if (!try condition.holds(&self.rows)) return true;
            return self.descend(0);
        }

        fn descend(self: *Self, depth: usize) Error!bool {
            if (depth == self.driver.steps.len) if (self.noted) |noted| {
                self.origins[self.driver.input] = 0; // not of the row that led here
                _ = try noted.put(self.arena, std.mem.asBytes(&self.origins));
                return true;
            };
            if (depth == self.driver.steps.len + self.plan.outers.len) {
                if (self.plan.condition) |condition| if (!try condition.holds(&self.rows)) return true;
                return self.sink.take(&self.rows);
            }
            const step = self.stepAt(depth);
            if (!step.outer) return self.find(depth);
            self.met[depth] = false;
            if (!try self.find(depth)) return false;
            if (self.met[depth]) return true;
            self.rows[step.input] = try plans.nullRow(self.arena, self.plan.inputs[step.input].layout.columns);
            return self.descend(depth + 1);
        }

        inline fn stepAt(self: *const Self, depth: usize) *const plans.Step {
            const own = self.driver.steps;
            return if (depth < own.len) &own[depth] else &self.plan.outers[depth - own.len];
        }

        /// Left joins of rows that were noted.
        pub fn resumeNoted(self: *Self, noted: []const u8) Error!bool {
            const mark = scratch.mark();
            defer scratch.release(mark);
            @memcpy(std.mem.asBytes(&self.origins), noted);
            for (self.origins[0..self.plan.inputs.len], self.plan.inputs, 0..) |at, table, i| {
                if (at != 0) self.rows[i] = try plans.widened(self.arena, table, .{ .at = at });
            }
            return self.descend(self.driver.steps.len);
        }

        fn find(self: *Self, depth: usize) Error!bool {
            const step = self.stepAt(depth);
            const table = self.plan.inputs[step.input];
            const buffer = &keys[depth + 1];
            var len: usize = 0;
            var exact = false;
            if (step.key) |runner| {
                try runner.run(&self.rows);
                len = try plans.encodeKey(runner, table, step.index, buffer) orelse return true;
                exact = step.index == null and runner.outputs() == table.key_types.len;
            }
            const window = if (self.changed != nothing) table.window else null;
            const same_only = !step.outer and (self.noted != null or step.input > self.changed);
            const hides = if (self.as_was or same_only) window else null;
            const shows = if (self.as_was and !same_only) window else null;
            if (exact) {
                try self.look();
                if (table_format.live(table.tree.find(buffer, len))) |row| {
                    const is_new = if (hides) |one| one.isNew(row) else false;
                    if (!is_new and !try self.meet(depth, row)) return false;
                }
            } else {
                const tree = if (step.index) |index| &index.tree else &table.tree;
                var it = trees.Iterator(false){ .path = &paths[depth + 1] };
                var found = if (len == 0) it.first(tree) else it.seek(tree, buffer, len, false);
                while (found) |row| : (found = it.next()) {
                    try self.look();
                    if (len > 0) {
                        const own = tree.keyOf(row, &own_key);
                        if (own < len or !std.mem.eql(u8, own_key[0..len], buffer[0..len])) break;
                    }
                    if (row.has(row_format.flag_dead)) continue;
                    if (hides) |one| if (one.isNew(row)) continue;
                    if (!try self.meet(depth, row)) return false;
                }
            }
            if (shows) |one| {
                const tree = if (step.index) |index| &index.tree else &table.tree;
                for (try one.olds(self.arena, tree, buffer[0..len])) |old| {
                    try self.look();
                    if (!std.mem.startsWith(u8, old.key, buffer[0..len])) break;
                    if (!try self.meet(depth, .{ .at = old.at })) return false;
                }
            }
            return true;
        }

        fn meet(self: *Self, depth: usize, row: Row) Error!bool {
            const step = self.stepAt(depth);
            self.origins[step.input] = row.at;
            self.rows[step.input] = try plans.widened(self.arena, self.plan.inputs[step.input], row);
            if (step.condition) |condition| if (!try condition.holds(&self.rows)) return true;
            self.met[depth] = true;
            return self.descend(depth + 1);
        }

        inline fn look(self: *Self) Error!void {
            if (self.left == 0) return layout.reached(.scanned_rows);
            self.left -= 1;
        }
    };
}
