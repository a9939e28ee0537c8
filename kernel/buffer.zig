//! The first rows of an order and some more, kept for a view that shows the first ones of an input of any size.
//!
//! What is always true here:
//! - Every row up to the last one that is kept is kept, and so is every row up to the boundary, which is the key of that
//!   last one, or lies behind it.
//! - `more`: there are rows behind the boundary, or there may be. If not, all rows are kept.
//! - Once a flush is over, at least `wanted` rows are kept, or all there are.
//!
//! So a change of what comes behind the boundary, before and after, is none of ours. Rows that go leave fewer; when there
//! are too few, all of the input is gone through again. When there are too many, the last ones are left out.
//!
//! The rows lie in a table, and are undone with it. The boundary needs no undoing: after anything was taken back, it is
//! found from the rows. `more` has an entry of its own in the undo log.

const std = @import("std");
const layout = @import("layout.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const trees = @import("tree.zig");
const transaction = @import("transaction.zig");
const plans = @import("plan.zig");
const reads = @import("reads.zig");
const changes = @import("changes.zig");
const evaluation = @import("evaluate.zig");
const rebuild = @import("rebuild.zig");
const arenas = @import("arena.zig");
const Arena = arenas.Arena;
const Row = row_format.Row;
const Type = row_format.Type;
const Table = table_format.Table;
const Plan = plans.Plan;
const Error = layout.Error;

/// Of the input's rows one of so many is kept besides those wanted, at most `spare_rows_max`: going through all of them
/// again then costs each row that went about as many looks, however large the input is.
const input_rows_for_one = 64;
const spare_rows_max = 16_384;

/// Up to where rows are kept.
const Bound = struct {
    bytes: key.Buffer = undefined,
    len: usize = 0,
    /// The first column of the order there, as `Quick` compares it.
    head: u8 = 0,
    word: u64 = 0,

    fn set(bound: *Bound, table: *Table, row: Row) void {
        bound.len = table.tree.keyOf(row, &bound.bytes);
        const order = row.tail(table.key_positions[0]);
        bound.head = order[0];
        bound.word = if (order.len >= 9) std.mem.readInt(u64, order[1..9], .big) else 0;
    }

    fn isBefore(bound: *const Bound, bytes: []const u8) bool {
        return evaluation.order(bytes, bound.bytes[0..bound.len]) == .gt;
    }
};

pub const Buffer = struct {
    wanted: u64,
    /// At least so many more.
    spare_min: u64,
    more: bool = true,
    /// Known as of an epoch of the transaction's.
    bound: Bound = .{},
    known_at: u64 = 0,
    quick: ?Quick,

    /// For a view of a plan that sorts. `spare_min`: at least one.
    pub fn of(arena: *Arena, plan: *const Plan, table: *const Table, wanted: u64, spare_min: u64) Error!*Buffer {
        if (plan.grouped or plan.sorts.len == 0 or plan.drivers.len == 0 or wanted == 0 or spare_min == 0) return error.InvalidRow;
        if (wanted > layout.top_rows_max or spare_min > spare_rows_max) return error.LimitReached;
        if (table.key_positions[0] != plan.columns() or table.key_types[0] != .bytes) return error.InvalidRow;
        const buffer = try arena.create(Buffer);
        buffer.* = .{ .wanted = wanted, .spare_min = spare_min, .quick = Quick.of(plan, table) };
        return buffer;
    }

    /// So many rows are kept when it is made anew.
    pub fn most(buffer: *const Buffer, plan: *const Plan) u64 {
        return buffer.wanted + buffer.spare(plan);
    }

    fn spare(buffer: *const Buffer, plan: *const Plan) u64 {
        const of_input = plan.inputs[plan.drivers[0].input].rows / input_rows_for_one;
        return @min(spare_rows_max, @max(buffer.spare_min, buffer.wanted, of_input));
    }

    /// Whether a row with this key is left out.
    pub inline fn isBehind(buffer: *Buffer, table: *Table, bytes: []const u8) bool {
        if (!buffer.more) return false;
        if (buffer.known_at != transaction.epoch) buffer.locate(table);
        return buffer.bound.isBefore(bytes);
    }

    /// Whether a row is left out, whose columns are those of the table.
    pub fn leavesOut(buffer: *Buffer, table: *Table, row: Row) bool {
        return buffer.isBehind(table, own_key[0..table.tree.keyOf(row, &own_key)]);
    }

    /// Whether all rows that changed were and are behind the boundary: told by one column, without making anything of
    /// them. False: perhaps not.
    pub inline fn passesBy(buffer: *Buffer, table: *Table, window: *const changes.Window) bool {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        const quick = &(buffer.quick orelse return false);
        if (!buffer.more) return false;
        if (buffer.known_at != transaction.epoch) buffer.locate(table);
        const columns = window.table.layout.columns;
        for (window.changes.items) |*change| {
            if (change.old != 0 and !quick.isBehind(&buffer.bound, columns, .{ .at = change.old })) return false;
            if (change.new != 0 and !quick.isBehind(&buffer.bound, columns, .{ .at = change.new })) return false;
        }
        return true;
    }

    /// Finds the boundary from the rows that are there.
    noinline fn locate(buffer: *Buffer, table: *Table) void {
        buffer.bound.len = 0; // without a row, every key is behind it
        buffer.bound.head = 0;
        buffer.bound.word = 0;
        var it = trees.Iterator(true){ .path = &path };
        var next = it.first(&table.tree);
        while (next) |row| : (next = it.next()) if (!row.has(row_format.flag_dead)) {
            buffer.bound.set(table, row);
            break;
        };
        buffer.known_at = transaction.epoch;
    }

    /// Leaves the last rows out, once there are too many. O(those): as many came before.
    pub inline fn trim(buffer: *Buffer, plan: *const Plan, table: *Table) Error!void {
        if (table.rows > buffer.wanted + 2 * buffer.spare_min) try buffer.leaveOut(plan, table);
    }

    noinline fn leaveOut(buffer: *Buffer, plan: *const Plan, table: *Table) Error!void {
        if (table.rows <= buffer.most(plan) + buffer.spare(plan)) return;
        var over = table.rows - buffer.most(plan);
        // A transaction that changes very many rows has no room for it, and needs none.
        if (transaction.entries() + over > layout.undo_entries_max / 2) return;
        var it = trees.Iterator(true){ .path = &path };
        const known = buffer.more and buffer.known_at == transaction.epoch;
        var next = if (known) it.seek(&table.tree, &buffer.bound.bytes, buffer.bound.len, false) else it.first(&table.tree);
        while (next) |row| : (next = it.next()) {
            if (row.has(row_format.flag_dead)) continue;
            if (over == 0) {
                buffer.bound.set(table, row);
                buffer.known_at = transaction.epoch;
                break;
            }
            try transaction.removeDerived(table, row);
            over -= 1;
        }
        try buffer.setMore(table, true);
    }

    /// Whether there are too few rows, and may be more.
    pub inline fn isShort(buffer: *const Buffer, table: *const Table) bool {
        return buffer.more and table.rows < buffer.wanted;
    }

    /// The rows have been made anew, and there are more of them, or not.
    pub fn refilled(buffer: *Buffer, table: *Table, more: bool) Error!void {
        buffer.known_at = 0;
        try buffer.setMore(table, more);
    }

    fn setMore(buffer: *Buffer, table: *Table, more: bool) Error!void {
        if (buffer.more == more) return;
        try transaction.rememberMore(table, buffer.more);
        buffer.more = more;
    }

    /// Whether what was kept are the first rows of what there is, and it says so. `made`: those, and one more if there is.
    pub fn agrees(buffer: *Buffer, kept: *trees.Tree, rows: u64, made: *Table) bool {
        const found = rebuild.rowBehind(kept, &made.tree) catch return false;
        const behind = found orelse return true;
        if (!buffer.more or rows < buffer.wanted) return false;
        const len = made.tree.keyOf(behind, &own_key);
        return buffer.known_at != transaction.epoch or buffer.bound.isBefore(own_key[0..len]);
    }
};

var own_key: key.Buffer = undefined;
var path: trees.Path = undefined;

// ---------------------------------------------------------------- one column tells

/// How most rows are told to be behind a boundary: what the order begins with is a number, as it stands in the row of the
/// only input, and nothing can be wrong with what would be made of the row.
const Quick = struct {
    place: u32,
    kind: Type,
    flipped: u64,
    /// What the encoded order begins with, for a value and for a null.
    value_head: u8,
    null_head: u8,
    /// Of a longer row, the key or the view's row may be too long.
    row_bytes_max: u64,

    fn of(plan: *const Plan, table: *const Table) ?Quick {
        if (plan.inputs.len != 1 or plan.outers.len > 0) return null;
        for (plan.runners) |*runner| if (runner.program.canFail()) return null;
        const program = plan.row.program;
        const kind = program.outputs[plan.columns()].type;
        if (kind == .bool or row_format.isVariable(kind)) return null;
        const place = reads.placeOf(program, 0, plan.columns()) orelse return null;
        const sort = plan.sorts[0];
        const flipped: u64 = if (sort.descending) std.math.maxInt(u64) else 0;
        return .{
            .place = place,
            .kind = kind,
            .flipped = flipped,
            .value_head = @truncate(key.before_value ^ flipped),
            .null_head = if (sort.nulls_first) 0 else 0xff,
            .row_bytes_max = longest(plan, table) orelse return null,
        };
    }

    /// From no longer row comes a key or a row that is too long; null: from any might. Texts that are made of one are as
    /// long as it and the program's constants at most, an encoded one twice that and a few bytes.
    fn longest(plan: *const Plan, table: *const Table) ?u64 {
        const program = plan.row.program;
        var order = Longest{};
        for (program.outputs[plan.columns()..]) |output| order.add(output.type);
        var in_key = Longest{ .fixed = 2 * order.fixed + few, .texts = 2 * order.texts };
        for (table.key_types[1..]) |kind| in_key.add(kind);
        var row = Longest{ .fixed = row_format.fixedBytes(plan.columns() + 1) + layout.key_bytes_max + few };
        for (program.outputs[0..plan.columns()]) |output| if (row_format.isVariable(output.type)) {
            row.texts += 1;
        };
        const found = @min(in_key.textIn(layout.key_bytes_max) orelse return null, row.textIn(layout.row_bytes_max) orelse return null);
        const constants = program.constantBytes();
        return if (found > constants) found - constants else null;
    }

    const few = 16;

    const Longest = struct {
        fixed: u64 = 0,
        /// So many times the longest text comes on top.
        texts: u64 = 0,

        fn add(sum: *Longest, kind: Type) void {
            sum.fixed += few;
            if (row_format.isVariable(kind)) sum.texts += 2;
        }

        /// How long a text may be.
        fn textIn(sum: *const Longest, all: u64) ?u64 {
            if (sum.fixed > all) return null;
            return if (sum.texts == 0) layout.row_bytes_max else (all - sum.fixed) / sum.texts;
        }
    };

    /// `columns`: of the input. A row with fewer has texts that do not lie in it.
    inline fn isBehind(quick: *const Quick, bound: *const Bound, columns: u16, row: Row) bool {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        if (row.columns() != columns or row.length() > quick.row_bytes_max) return false;
        if (row.isNull(quick.place)) return quick.null_head > bound.head;
        if (quick.value_head != bound.head) return quick.value_head > bound.head;
        return key.wordOf(quick.kind, row.slot(quick.place).*) ^ quick.flipped > bound.word;
    }
};

// ---------------------------------------------------------------- making it

/// Takes rows that come together, and keeps the first ones: never twice as many at a time.
pub const Filling = struct {
    buffer: *const Buffer,
    plan: *const Plan,
    table: *Table,
    arena: *Arena,
    /// So many.
    most: u64,
    /// Rows come in their order, and those behind the last one need not be seen.
    stops: bool,
    /// Some were left out.
    more: bool = false,
    /// The last one that may be kept, once there are enough.
    last: ?Row = null,
    bound: Bound = .{},
    gone: arenas.List(Row) = .{},

    pub fn take(filling: *Filling, rows: []const Row) Error!bool {
        const plan = filling.plan;
        if (filling.last != null) if (filling.buffer.quick) |*quick| if (quick.isBehind(&filling.bound, plan.inputs[0].layout.columns, rows[0])) {
            filling.more = true;
            return !filling.stops;
        };
        try plan.row.run(rows);
        const order = try plans.orderOf(plan, &order_key);
        const len = try plans.viewKeyOf(plan, filling.table, order, &made_key);
        if (filling.last) |last| if (filling.bound.isBefore(made_key[0..len])) {
            try plans.checkViewRow(plan, order);
            filling.more = true;
            return !filling.stops or std.mem.eql(u8, order, last.tail(filling.table.key_positions[0]));
        };
        try transaction.loadDerived(filling.table, try plans.viewRowOf(plan, order, null));
        if (filling.table.rows >= if (filling.stops) filling.most else 2 * filling.most) try filling.cut();
        return true;
    }

    /// All rows have come. Whether there are more than those that are kept.
    pub fn finish(filling: *Filling) Error!bool {
        if (filling.table.rows > filling.most) try filling.cut();
        return filling.more;
    }

    /// Leaves out all but the first ones. O(those that are left out).
    fn cut(filling: *Filling) Error!void {
        const table = filling.table;
        filling.gone.items.len = 0;
        var it = trees.Iterator(true){ .path = &path };
        var next = it.first(&table.tree);
        for (filling.most..@intCast(table.rows)) |_| {
            try filling.gone.add(filling.arena, next.?);
            next = it.next();
        }
        for (filling.gone.items) |row| {
            table.tree.removeRow(row);
            table.rows -= 1;
            table.giveBack(row);
            filling.more = true;
        }
        filling.last = next;
        filling.bound.set(table, next.?);
    }
};

var order_key: key.Buffer = undefined;
var made_key: key.Buffer = undefined;
