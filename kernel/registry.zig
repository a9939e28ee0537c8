//! What modules brought: the relations they bind, and their transitions' types and limits. The host fills it in when a
//! module is installed and again when the kernel starts; nothing here is part of the state.

const std = @import("std");
const layout = @import("layout.zig");
const heap = @import("heap.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const indexes = @import("index.zig");
const Index = indexes.Index;
const Binding = table_format.Binding;
const Type = row_format.Type;
const natives = @import("native.zig");

pub const Transition = struct {
    number: u32,
    /// `module.transition`, as clients call it.
    name: []const u8,
    query: bool,
    secret: bool,
    result_is_row: bool,
    params: row_format.Columns,
    params_nullable: []bool,
    results: row_format.Columns,
    results_nullable: []bool,
    rows_written_max: u64,
    rows_scanned_max: u64,
    result_bytes_max: u64,
    /// What runs in place of a guest.
    native: ?natives.Native = null,
};

pub var bindings: [layout.bindings_max]?*Binding = @splat(null);
pub var transitions: [layout.transitions_max]?*Transition = @splat(null);
/// The native transitions that modules have bound: their numbers, 0 for none.
var operations: [layout.operations_max]u16 = @splat(0);

/// Makes a binding of the columns `positions` of a table.
pub fn makeBinding(table: *table_format.Table, positions: []const u16) layout.Error!*Binding {
    if (positions.len == 0 or positions.len > layout.columns_max) return error.InvalidRow;
    for (positions, 0..) |position, i| {
        if (position >= table.layout.columns or table.layout.dropped[position]) return error.InvalidRow;
        for (positions[0..i]) |other| if (other == position) return error.InvalidRow;
    }
    const binding = try heap.create(Binding);
    errdefer heap.destroy(Binding, binding);
    const types = try heap.allocateSlice(Type, positions.len);
    errdefer heap.freeSlice(Type, types);
    const own = try heap.allocateSlice(u16, positions.len);
    errdefer heap.freeSlice(u16, own);
    const sources = try heap.allocateSlice(u16, table.layout.columns);
    @memcpy(own, positions);
    @memset(sources, table_format.none_u16);
    var identity = true;
    for (positions, types, 0..) |position, *kind, i| {
        kind.* = table.layout.types[position];
        sources[position] = @intCast(i);
        if (position != i) identity = false;
    }
    binding.* = .{ .table = table, .columns = row_format.Columns.init(types), .positions = own, .sources = sources, .identity = identity };
    return binding;
}

pub fn freeBinding(binding: *Binding) void {
    if (binding.indexes.len > 0) heap.freeSlice(*Index, @constCast(binding.indexes));
    heap.freeSlice(u16, @constCast(binding.sources));
    heap.freeSlice(u16, @constCast(binding.positions));
    heap.freeSlice(Type, @constCast(binding.columns.types));
    heap.destroy(Binding, binding);
}

/// `source`: table u32, columns u16, indexes u16, positions u16 each, padding to 4, numbers of indexes u32 each. Empty:
/// forgets the binding.
pub fn defineBinding(number: u32, source: []const u8) layout.Error!void {
    if (number >= layout.bindings_max) return error.LimitReached;
    var binding: ?*Binding = null;
    if (source.len > 0) {
        if (source.len < 8) return error.InvalidRow;
        const table = table_format.get(std.mem.readInt(u32, source[0..4], .little)) orelse return error.NoRelation;
        const columns = std.mem.readInt(u16, source[4..6], .little);
        const count = std.mem.readInt(u16, source[6..8], .little);
        const indexes_at = (8 + 2 * @as(usize, columns) + 3) & ~@as(usize, 3);
        if (source.len < indexes_at + 4 * @as(usize, count)) return error.InvalidRow;
        const positions: [*]const u16 = @ptrCast(@alignCast(source.ptr + 8));
        const made = try makeBinding(table, positions[0..columns]);
        errdefer freeBinding(made);
        if (count > 0) made.indexes = try bindIndexes(table, source[indexes_at..][0 .. 4 * @as(usize, count)]);
        binding = made;
    }
    if (bindings[number]) |old| freeBinding(old);
    bindings[number] = binding;
}

fn bindIndexes(table: *table_format.Table, numbers: []const u8) layout.Error![]const *Index {
    const found = try heap.allocateSlice(*Index, numbers.len / 4);
    errdefer heap.freeSlice(*Index, found);
    for (found, 0..) |*index, i| {
        const number = std.mem.readInt(u32, numbers[4 * i ..][0..4], .little);
        index.* = indexes.find(table, number) orelse return error.NoRelation;
    }
    return found;
}

const Head = extern struct {
    flags: u32, // 1 query, 2 secret, 4 the result is a row
    params: u16,
    results: u16,
    rows_written_max: u64,
    rows_scanned_max: u64,
    result_bytes_max: u64,
};

/// `source`: a `Head`, then types and nullable flags of the parameters, then of the results, then the name. Empty:
/// forgets it.
pub fn defineTransition(number: u32, source: []const u8) layout.Error!void {
    if (number == 0 or number >= layout.transitions_max) return error.LimitReached;
    var transition: ?*Transition = null;
    if (source.len > 0) {
        if (source.len < @sizeOf(Head)) return error.InvalidRow;
        const head: *const Head = @ptrCast(@alignCast(source.ptr));
        if (source.len < @sizeOf(Head) + 2 * (@as(usize, head.params) + head.results)) return error.InvalidRow;
        if (head.params > layout.columns_max or head.results > layout.columns_max) return error.LimitReached;
        transition = try makeTransition(number, head, source[@sizeOf(Head)..]);
    }
    if (transitions[number]) |old| freeTransition(old);
    transitions[number] = transition;
    names_known = false;
}

/// Says what runs in place of a guest, of a transition that is defined.
pub fn defineNative(number: u32, source: []const u8) layout.Error!void {
    if (number >= layout.transitions_max) return error.LimitReached;
    const transition = transitions[number] orelse return error.NoRelation;
    transition.native = try natives.Native.read(source);
}

/// Binds an operation of a module to a native transition; 0 forgets it.
pub fn defineOperation(number: u32, transition: u32) layout.Error!void {
    if (number >= layout.operations_max or transition >= layout.transitions_max) return error.LimitReached;
    operations[number] = @intCast(transition);
}

/// The native transition that a module bound.
pub fn operationOf(number: u32) ?*const Transition {
    if (number >= layout.operations_max) return null;
    const found = transitions[operations[number]] orelse return null;
    return if (found.native != null) found else null;
}

fn makeTransition(number: u32, head: *const Head, columns: []const u8) layout.Error!*Transition {
    const made = try heap.create(Transition);
    errdefer heap.destroy(Transition, made);
    const params = try heap.allocateSlice(Type, head.params);
    errdefer heap.freeSlice(Type, params);
    const params_nullable = try heap.allocateSlice(bool, head.params);
    errdefer heap.freeSlice(bool, params_nullable);
    const results = try heap.allocateSlice(Type, head.results);
    errdefer heap.freeSlice(Type, results);
    const results_nullable = try heap.allocateSlice(bool, head.results);
    errdefer heap.freeSlice(bool, results_nullable);
    const second = 2 * @as(usize, head.params);
    const name = try heap.allocateSlice(u8, columns.len - second - 2 * @as(usize, head.results));
    errdefer heap.freeSlice(u8, name);
    @memcpy(name, columns[second + 2 * @as(usize, head.results) ..]);
    for (params, columns[0..head.params]) |*kind, number_| kind.* = @fromBackingInt(@intCast(number_));
    for (params_nullable, columns[head.params..second]) |*nullable, flag| nullable.* = flag & 1 != 0;
    for (results, columns[second..][0..head.results]) |*kind, number_| kind.* = @fromBackingInt(@intCast(number_));
    for (results_nullable, columns[second + head.results ..][0..head.results]) |*nullable, flag| nullable.* = flag & 1 != 0;
    for ([_][]Type{ params, results }) |types| for (types) |kind| if (!row_format.isKnown(kind)) return error.InvalidRow;
    made.* = .{
        .number = number,
        .name = name,
        .query = head.flags & 1 != 0,
        .secret = head.flags & 2 != 0,
        .result_is_row = head.flags & 4 != 0,
        .params = row_format.Columns.init(params),
        .params_nullable = params_nullable,
        .results = row_format.Columns.init(results),
        .results_nullable = results_nullable,
        .rows_written_max = @min(head.rows_written_max, layout.undo_entries_max),
        .rows_scanned_max = head.rows_scanned_max,
        .result_bytes_max = @min(head.result_bytes_max, layout.result_bytes_max),
    };
    return made;
}

fn freeTransition(transition: *Transition) void {
    heap.freeSlice(u8, @constCast(transition.name));
    heap.freeSlice(bool, transition.results_nullable);
    heap.freeSlice(Type, @constCast(transition.results.types));
    heap.freeSlice(bool, transition.params_nullable);
    heap.freeSlice(Type, @constCast(transition.params.types));
    heap.destroy(Transition, transition);
}

// ---------------------------------------------------------------- names

/// Numbers of transitions by the hash of their names, with open addressing; 0 is none. Half of it stays empty.
var names: [2 * layout.transitions_max]u16 = undefined;

/// Made when it is next needed, for modules are installed seldom and many transitions at once.
var names_known = false;

/// The transition of this name.
pub fn named(name: []const u8) ?*const Transition {
    if (!names_known) gatherNames();
    var at = placeOf(name);
    while (names[at] != 0) : (at = (at + 1) % names.len) {
        const found = transitions[names[at]].?;
        if (std.mem.eql(u8, found.name, name)) return found;
    }
    return null;
}

fn gatherNames() void {
    @memset(&names, 0);
    for (transitions, 0..) |transition, number| if (transition) |one| {
        var at = placeOf(one.name);
        while (names[at] != 0) at = (at + 1) % names.len;
        names[at] = @intCast(number);
    };
    names_known = true;
}

fn placeOf(name: []const u8) usize {
    return @intCast(std.hash.Wyhash.hash(0, name) % names.len);
}
