//! Tables: what the host described (docs/formats.md, "Table descriptor"), their rows' index, hash and counter.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const key = @import("key.zig");
const row_format = @import("row.zig");
const Row = row_format.Row;
const Type = row_format.Type;
const Tree = @import("tree.zig").Tree;
const indexes = @import("index.zig");
const changes = @import("changes.zig");
const plans = @import("plan.zig");
const views = @import("view.zig");
const foreign_keys = @import("foreign_key.zig");
const selections = @import("selection.zig");
const Runner = plans.Runner;
const Index = indexes.Index;

pub const none_u16 = 0xffff;

/// Columns of a relation as somebody outside knows them: a module, or the host for one operation.
pub const Binding = struct {
    table: *Table,
    /// The outside columns, and where each is in the table.
    columns: row_format.Columns,
    positions: []const u16,
    /// For each column that the table had when this was made the outside column, or none_u16.
    sources: []const u16,
    /// The first columns of the table in its order.
    identity: bool,
    /// Indexes that can be scanned, in the outside order.
    indexes: []const *Index = &.{},

    pub fn outside(binding: *const Binding, column: u32) u32 {
        return if (column == layout.none_u32) column else binding.positions[column];
    }

    /// A stored row is what the outside sees.
    pub inline fn shows(binding: *const Binding, row: Row) bool {
        return binding.identity and row.columns() == binding.positions.len;
    }

    /// A canonical outside row is what is stored.
    pub inline fn stores(binding: *const Binding) bool {
        return binding.identity and binding.positions.len == binding.table.layout.columns;
    }
};

const every_position: [layout.columns_max]u16 = positions: {
    var found: [layout.columns_max]u16 = undefined;
    for (&found, 0..) |*position, i| position.* = @intCast(i);
    break :positions found;
};

/// What `alter` replaces: a table's columns. Columns are never taken away: a dropped one is null in all new rows.
pub const Layout = struct {
    columns: u16,
    types: []Type,
    nullable: []bool,
    dropped: []bool,
    defaults: Row,
    descriptor: []u8,
    /// The columns that are not dropped.
    visible: Binding,
    /// All columns: to read what a view's rows hold besides what they show.
    stored: Binding,
};

pub const Table = struct {
    number: u32,
    auto: u16,
    layout: Layout,
    key_positions: []u16,
    key_types: []Type,
    key_columns: row_format.Columns,
    key_identity: []u16, // 0, 1, 2 …: where the key's columns are in a key row
    tree: Tree,
    indexes: [layout.indexes_max]*Index,
    indexes_len: usize,
    rows: u64,
    /// What its rows take in the heap, those included that the open transaction has replaced.
    row_bytes: u64,
    hash: [2]u64,
    /// The highest auto-increment value given out or seen.
    mark: i64,
    /// The same as of the last commit.
    committed_mark: i64,
    /// The last commit that changed a row or the columns here, and the one before it.
    last_lsn: u64,
    previous_lsn: u64,
    /// The last commit that listeners were told of.
    told_lsn: u64,
    /// Somebody is told of every change; and how many walks go over it.
    watched: bool,
    walks: u32,
    /// Selects of it that are followed.
    shapes: ?*selections.Shape,
    /// A view's: made of other tables, so neither logged nor part of the state.
    derived: bool,
    /// A primitive's: changed by its own operations only (native.zig).
    guarded: bool,
    /// Which key columns may be null, in a view's.
    key_nullable: ?[]bool,
    /// So many views are made of it; and what has changed in it, while they are brought up to date.
    feeds: u32,
    window: ?*changes.Window,
    /// What must hold of each row, in the order of the constraints.
    checks: []Runner,
    /// What makes it, of a view that has been defined.
    view: ?*views.View,
    /// A view's: when a transaction ends it has no rows.
    must_be_empty: bool,
    /// Its foreign keys, and those of others, or its own, that reference it.
    keys: ?*foreign_keys.ForeignKey,
    referenced: ?*foreign_keys.ForeignKey,

    /// The commit that is about to get this lsn changes something here.
    pub inline fn touch(table: *Table, lsn: u64) void {
        if (table.last_lsn == lsn) return;
        table.previous_lsn = table.last_lsn;
        table.last_lsn = lsn;
    }

    /// A row hangs here from now on.
    pub inline fn takeIn(table: *Table, row: Row) void {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        table.row_bytes += heap.blockBytes(row.length());
    }

    /// Frees a row that does not hang here any more.
    pub inline fn giveBack(table: *Table, row: Row) void {
        @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
        table.row_bytes -= heap.blockBytes(row.length());
        heap.free(row.at, row.length());
    }

    /// The key columns of a row of the table.
    pub fn shape(table: *const Table) key.Shape {
        return .{ .types = table.key_types, .positions = table.key_positions, .nullable = table.key_nullable };
    }

    /// The columns of a key row.
    pub fn keyShape(table: *const Table) key.Shape {
        return .{ .types = table.key_types, .positions = table.key_identity, .nullable = table.key_nullable };
    }

    /// Its secondary indexes in the order of their creation.
    pub inline fn all(table: *const Table) []const *Index {
        return table.indexes[0..table.indexes_len];
    }

    /// Where the leaf hangs that has the key of this row of the table.
    pub fn findRow(table: *Table, row: Row) ?*u64 {
        return table.tree.findRow(row);
    }

    pub fn addHash(table: *Table, row: Row) void {
        if (table.derived) return; // not part of the state
        const value = row_format.hash(row, table.number);
        table.hash[0] +%= value[0];
        table.hash[1] +%= value[1];
        state[0] +%= value[0];
        state[1] +%= value[1];
    }

    pub fn subtractHash(table: *Table, row: Row) void {
        if (table.derived) return;
        const value = row_format.hash(row, table.number);
        table.hash[0] -%= value[0];
        table.hash[1] -%= value[1];
        state[0] -%= value[0];
        state[1] -%= value[1];
    }
};

pub var tables: [layout.table_numbers_max]?*Table = @splat(null);
/// Behind the highest number ever used, those of private tables apart.
pub var tables_end: u32 = 0;
var tables_count: u32 = 0;

pub fn get(number: u32) ?*Table {
    return if (number < layout.table_numbers_max) tables[number] else null;
}

/// The live row behind a slot; null when there is none or it is deleted.
pub inline fn live(slot: ?*u64) ?Row {
    @setRuntimeSafety(false); // hot, and wrong in no way that a check would find
    const found: Row = .{ .at = (slot orelse return null).* & ~@as(u64, 1) };
    return if (found.has(row_format.flag_dead)) null else found;
}

fn readU16(bytes: []const u8, at: usize) u16 {
    return std.mem.readInt(u16, bytes[at..][0..2], .little);
}

/// The head of a descriptor, and where its parts begin.
const Head = struct {
    number: u32,
    columns: u16,
    keys: u16,
    auto: u16,
    derived: bool,
    must_be_empty: bool,
    guarded: bool,
    keys_at: usize,
    defaults_at: usize,

    fn read(source: []const u8) layout.Error!Head {
        if (source.len < 16) return error.InvalidRow;
        const number = std.mem.readInt(u32, source[0..4], .little);
        const columns = readU16(source, 4);
        const keys = readU16(source, 6);
        const auto = readU16(source, 8);
        const flags = readU16(source, 10);
        switch (flags) {
            0, flag_derived, flag_derived | flag_must_be_empty, flag_guarded => {},
            else => return error.InvalidRow,
        }
        if (number == 0 or number >= layout.table_numbers_max) return error.LimitReached;
        if (columns == 0 or columns > layout.columns_max or keys == 0 or keys > columns) return error.InvalidRow;
        const keys_at = (16 + 2 * @as(usize, columns) + 1) & ~@as(usize, 1);
        const defaults_at = row_format.padded(keys_at + 2 * @as(usize, keys));
        if (source.len < defaults_at or (auto != none_u16 and auto >= columns)) return error.InvalidRow;
        return .{ .number = number, .columns = columns, .keys = keys, .auto = auto, .derived = flags & flag_derived != 0, .must_be_empty = flags & flag_must_be_empty != 0, .guarded = flags & flag_guarded != 0, .keys_at = keys_at, .defaults_at = defaults_at };
    }

    fn keyAt(head: Head, source: []const u8, i: usize) u16 {
        return readU16(source, head.keys_at + 2 * i);
    }
};

const flag_derived: u16 = 1;
const flag_must_be_empty: u16 = 2;
const flag_guarded: u16 = 4;

const flag_nullable: u8 = 1;
const flag_dropped: u8 = 2;

/// Reads the columns of a descriptor. `table` need not be complete yet.
fn makeLayout(table: *Table, head: Head, source: []const u8) layout.Error!Layout {
    const columns = head.columns;
    const descriptor = try heap.allocateSlice(u8, source.len);
    errdefer heap.freeSlice(u8, descriptor);
    @memcpy(descriptor, source);
    const types: []Type = @ptrCast(descriptor[16..][0..columns]);
    const flags = descriptor[16 + columns ..][0..columns];
    for (types) |kind| if (!row_format.isKnown(kind)) return error.InvalidRow;
    var column: u32 = 0;
    const checked = try row_format.checkTypes(descriptor[head.defaults_at..], types, &column);
    if (checked.loose_json) return error.InvalidRow;

    const nullable = try heap.allocateSlice(bool, columns);
    errdefer heap.freeSlice(bool, nullable);
    const dropped = try heap.allocateSlice(bool, columns);
    errdefer heap.freeSlice(bool, dropped);
    var count: u16 = 0;
    for (nullable, dropped, flags, 0..) |*n, *d, flag, i| {
        n.* = flag & flag_nullable != 0;
        d.* = flag & flag_dropped != 0;
        if (d.* and !head.derived and (!n.* or !checked.row.isNull(i))) return error.InvalidRow;
        if (!d.*) count += 1;
    }
    if (head.auto != none_u16) nullable[head.auto] = false;
    for (0..head.keys) |i| {
        const position = head.keyAt(source, i);
        if (position >= columns or (dropped[position] and !head.derived)) return error.InvalidRow;
        if (!head.derived) nullable[position] = false;
    }
    const visible_types = try heap.allocateSlice(Type, count);
    errdefer heap.freeSlice(Type, visible_types);
    const positions = try heap.allocateSlice(u16, count);
    errdefer heap.freeSlice(u16, positions);
    const sources = try heap.allocateSlice(u16, columns);
    errdefer heap.freeSlice(u16, sources);
    var next: u16 = 0;
    for (sources, types, dropped, 0..) |*from, kind, d, i| {
        from.* = if (d) none_u16 else next;
        if (d) continue;
        visible_types[next] = kind;
        positions[next] = @intCast(i);
        next += 1;
    }
    return .{
        .columns = columns,
        .types = types,
        .nullable = nullable,
        .dropped = dropped,
        .defaults = checked.row,
        .descriptor = descriptor,
        .visible = .{
            .table = table,
            .columns = row_format.Columns.init(visible_types),
            .positions = positions,
            .sources = sources,
            .identity = count == columns,
        },
        .stored = .{
            .table = table,
            .columns = row_format.Columns.init(types),
            .positions = every_position[0..columns],
            .sources = &.{},
            .identity = true,
        },
    };
}

pub fn freeLayout(old: *const Layout) void {
    heap.freeSlice(u16, @constCast(old.visible.sources));
    heap.freeSlice(u16, @constCast(old.visible.positions));
    heap.freeSlice(Type, @constCast(old.visible.columns.types));
    heap.freeSlice(bool, old.dropped);
    heap.freeSlice(bool, old.nullable);
    heap.freeSlice(u8, old.descriptor);
}

/// Makes an empty table. Bad descriptors are the host's mistakes: refused, without saying what.
pub fn create(source: []const u8) layout.Error!*Table {
    const head = try Head.read(source);
    if (tables[head.number] != null) return error.DuplicateKey;
    if (!isPrivate(head.number) and tables_count == layout.tables_max) return error.LimitReached;
    const table = try heap.create(Table);
    errdefer heap.destroy(Table, table);
    const made = try makeLayout(table, head, source);
    errdefer freeLayout(&made);
    const key_types = try heap.allocateSlice(Type, head.keys);
    errdefer heap.freeSlice(Type, key_types);
    const key_positions = try heap.allocateSlice(u16, head.keys);
    errdefer heap.freeSlice(u16, key_positions);
    const key_identity = try heap.allocateSlice(u16, head.keys);
    errdefer heap.freeSlice(u16, key_identity);
    var key_nullable: ?[]bool = if (head.derived) try heap.allocateSlice(bool, head.keys) else null;
    errdefer if (key_nullable) |flags| heap.freeSlice(bool, flags);
    for (key_types, key_positions, key_identity, 0..) |*kind, *position, *own, i| {
        position.* = head.keyAt(source, i);
        for (key_positions[0..i]) |other| if (other == position.*) return error.InvalidRow;
        kind.* = made.types[position.*];
        own.* = @intCast(i);
        if (key_nullable) |flags| flags[i] = made.nullable[position.*];
    }
    if (key_nullable) |flags| if (std.mem.indexOfScalar(bool, flags, true) == null) {
        heap.freeSlice(bool, flags);
        key_nullable = null;
    };
    table.* = .{
        .number = head.number,
        .auto = head.auto,
        .layout = made,
        .key_types = key_types,
        .key_columns = row_format.Columns.init(key_types),
        .key_positions = key_positions,
        .key_identity = key_identity,
        .tree = Tree.init(.{ .types = key_types, .positions = key_positions, .nullable = key_nullable }),
        .indexes = undefined,
        .indexes_len = 0,
        .rows = 0,
        .row_bytes = 0,
        .hash = .{ 0, 0 },
        .mark = 0,
        .committed_mark = 0,
        .last_lsn = 0,
        .previous_lsn = 0,
        .told_lsn = 0,
        .watched = false,
        .walks = 0,
        .shapes = null,
        .derived = head.derived,
        .guarded = head.guarded,
        .key_nullable = key_nullable,
        .feeds = 0,
        .window = null,
        .checks = &.{},
        .view = null,
        .must_be_empty = head.must_be_empty,
        .keys = null,
        .referenced = null,
    };
    hook(table);
    return table;
}

/// Gives a table other columns: more behind those it has, or some of those dropped. What it had is returned.
pub fn alter(source: []const u8) layout.Error!struct { *Table, Layout } {
    const head = try Head.read(source);
    const table = tables[head.number] orelse return error.NoRelation;
    const old = table.layout;
    if (head.columns < old.columns or head.auto != table.auto or head.keys != table.key_types.len) return error.InvalidRow;
    for (table.key_positions, 0..) |position, i| if (position != head.keyAt(source, i)) return error.InvalidRow;
    const made = try makeLayout(table, head, source);
    errdefer freeLayout(&made);
    if (!std.mem.eql(Type, made.types[0..old.columns], old.types)) return error.InvalidRow;
    for (old.nullable, made.nullable[0..old.columns], made.dropped[0..old.columns], old.dropped) |was, is, d, gone| {
        if (gone and !d or (was != is and !d)) return error.InvalidRow;
    }
    for (table.all()) |index| for (index.positions) |position| if (made.dropped[position]) return error.InvalidRow;
    // A row that ends before a new column has its default, which cannot be null where null is not allowed.
    if (table.rows > 0) for (old.columns..made.columns) |i| {
        if (!made.nullable[i] and made.defaults.isNull(i)) return error.NotNull;
    };
    table.layout = made;
    return .{ table, old };
}

/// Makes a table's constraints anew: `source` is programs of one output over one row, each behind its length (u32,
/// padded to 8 bytes). None: it has none any more.
pub fn defineChecks(table: *Table, source: []const u8) layout.Error!void {
    var made: [layout.checks_max]Runner = undefined;
    var count: usize = 0;
    errdefer for (made[0..count]) |*runner| runner.destroy();
    var at: usize = 0;
    while (at < source.len) : (count += 1) {
        if (count == made.len or source.len - at < 8) return error.LimitReached;
        const length = std.mem.readInt(u32, source[at..][0..4], .little);
        at += 8;
        if (length > source.len - at) return error.InvalidRow;
        made[count] = try Runner.create(source[at..][0..length], @intCast(count));
        at = @min(source.len, row_format.padded(at + length));
    }
    const kept = try heap.allocateSlice(Runner, count);
    @memcpy(kept, made[0..count]);
    freeChecks(table);
    table.checks = kept;
}

fn freeChecks(table: *Table) void {
    if (table.checks.len == 0) return;
    for (table.checks) |*runner| runner.destroy();
    heap.freeSlice(Runner, table.checks);
    table.checks = &.{};
}

fn hook(table: *Table) void {
    tables[table.number] = table;
    if (isPrivate(table.number)) return;
    tables_end = @max(tables_end, table.number + 1);
    tables_count += 1;
}

/// Of what somebody follows who has no view of it: not in the schema.
fn isPrivate(number: u32) bool {
    return number >= layout.private_tables_first;
}

/// Makes a table unknown without freeing anything of it; `restore` undoes that.
pub fn unhook(table: *Table) void {
    tables[table.number] = null;
    if (!isPrivate(table.number)) tables_count -= 1;
}

pub fn restore(table: *Table) void {
    hook(table);
}

/// Frees a table that is unknown already, its indexes and its rows.
pub fn destroy(table: *Table) void {
    for (table.all()) |index| indexes.destroy(index);
    freeChecks(table);
    const keys = table.keys;
    foreign_keys.exchange(table, null);
    foreign_keys.free(keys);
    if (table.view) |view| views.forget(view);
    table.tree.clear(true);
    if (table.key_nullable) |flags| heap.freeSlice(bool, flags);
    heap.freeSlice(u16, table.key_identity);
    heap.freeSlice(u16, table.key_positions);
    heap.freeSlice(Type, table.key_types);
    freeLayout(&table.layout);
    heap.destroy(Table, table);
}

/// 128 bits over all relations and their counters, as of the last commit: the same state gives the same, in whatever
/// order it came about. Kept with each change, because it is asked for while a transaction is open.
pub var state: [2]u64 = .{ 0, 0 };

fn ofMark(number: u32, mark: i64) [2]u64 {
    const a = row_format.finish(@as(u64, number) +% 0x9e37_79b9_7f4a_7c15);
    return .{ row_format.finish(a ^ @as(u64, @bitCast(mark))), a };
}

/// A table's creation has been committed.
pub fn enter(table: *Table) void {
    if (table.derived) return;
    const value = ofMark(table.number, table.committed_mark);
    state[0] +%= value[0];
    state[1] +%= value[1];
}

/// A table's end has been committed: its rows and its counter are not part of the state any more.
pub fn drop(table: *Table) void {
    if (table.derived) return;
    state[0] -%= table.hash[0];
    state[1] -%= table.hash[1];
    leave(table);
}

/// The reverse of `enter`.
fn leave(table: *Table) void {
    const value = ofMark(table.number, table.committed_mark);
    state[0] -%= value[0];
    state[1] -%= value[1];
}

/// A table's counter has been committed.
pub fn commitMark(table: *Table) void {
    state[0] -%= ofMark(table.number, table.committed_mark)[0];
    table.committed_mark = table.mark;
    state[0] +%= ofMark(table.number, table.committed_mark)[0];
}

/// The same from scratch, for verify; not while a transaction is open.
pub fn recomputedState() [2]u64 {
    var sum = [2]u64{ 0, 0 };
    for (tables[0..tables_end]) |maybe| if (maybe) |table| {
        if (table.derived) continue;
        const value = ofMark(table.number, table.mark);
        sum[0] +%= table.hash[0] +% value[0];
        sum[1] +%= table.hash[1] +% value[1];
    };
    return sum;
}
