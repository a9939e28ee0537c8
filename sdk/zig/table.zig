//! A relation that a guest bound: its rows as structs, and what can be done with them.
//!
//! `Table` holds no state. Its number, which the host knows it by, is its position in the module's
//! `relations`, found at comptime. Each operation is one host call; those on many rows are all or
//! nothing. Texts in a row that was read are good until the transition returns.

const root = @import("root");
const std = @import("std");
const arena = @import("arena.zig");
const codec = @import("codec.zig");
const host = @import("host.zig");
const abi = host.abi;
const Error = host.Error;

/// The table `name` with rows of the struct `RowType`: one field for each column that the module
/// wants to know, optional where it can be null. `key` names the primary key's columns in key order.
///
/// Keys are given as a tuple in key order, as a struct with the key's columns (a row will do), or,
/// when the key is one column, as its value.
pub fn Table(comptime name: []const u8, comptime RowType: type, comptime key: anytype) type {
    return IndexedTable(name, RowType, key, .{});
}

/// The same with indexes: a struct that names the columns of each, `.{ .entry_by_author = .{ "author", "at" } }`.
pub fn IndexedTable(comptime name: []const u8, comptime RowType: type, comptime key: anytype, comptime index_columns: anytype) type {
    return struct {
        const Self = @This();
        const Rows = codec.Codec(columns);
        const key_columns = keyColumns(name, columns, key);
        const Keys = codec.Codec(key_columns);

        pub const indexes = index_columns;

        pub const Row = RowType;
        pub const relation_name = name;
        pub const columns = codec.columnsOf(RowType);

        /// The row with this key; null when there is none.
        pub fn get(key_value: anytype) Error!?Row {
            const packed_key = try encode(Keys, key_value);
            const into: []align(8) u8 = if (Rows.is_bounded)
                &arena.Static(Rows, Rows.bytes_max).buffer
            else
                arena.free()[0 .. arena.free().len - if (Keys.is_bounded) 0 else packed_key.len];
            const answer = abi.get(number(), packed_key.ptr, packed_key.len, into.ptr, into.len);
            if (answer == -2) return null;
            const length = try host.check(answer);
            if (length > into.len) return error.ArenaFull;
            if (!Rows.is_bounded) arena.keep(length);
            return Rows.decode(Row, into.ptr);
        }

        /// The row with this key; `error.NotFound` when there is none.
        pub fn need(key_value: anytype) Error!Row {
            return try get(key_value) orelse error.NotFound;
        }

        /// Inserts a row; `error.DuplicateKey` when its key is taken.
        pub fn insert(row: Row) Error!void {
            const bytes = try encode(Rows, row);
            _ = try host.check(abi.insert(number(), bytes.ptr, bytes.len));
        }

        /// Inserts a row of the columns given and returns the auto-increment value it was given.
        /// Every column left out is null, and the auto-increment column among them is given out.
        pub fn create(row: anytype) Error!i64 {
            const bytes = try encode(codec.Codec(codec.nullableColumns(columns)), row);
            _ = try host.check(abi.insert(number(), bytes.ptr, bytes.len));
            return abi.generated();
        }

        /// Sets the columns of the row with this row's key; `error.NotFound` when there is none.
        pub fn update(row: Row) Error!void {
            const bytes = try encode(Rows, row);
            _ = try host.check(abi.update(number(), bytes.ptr, bytes.len));
        }

        /// Updates the row with this row's key, or inserts it.
        pub fn upsert(row: Row) Error!void {
            const bytes = try encode(Rows, row);
            _ = try host.check(abi.upsert(number(), bytes.ptr, bytes.len));
        }

        /// Deletes the row with this key; whether there was one.
        pub fn delete(key_value: anytype) Error!bool {
            const bytes = try encode(Keys, key_value);
            return try host.check(abi.delete(number(), bytes.ptr, bytes.len)) != 0;
        }

        /// Inserts all of the rows or none. All of them must fit into the arena at once.
        pub fn insertMany(rows: []const Row) Error!void {
            const bytes = try encodeMany(Rows, rows);
            _ = try host.check(abi.insert(number(), bytes.ptr, bytes.len));
        }

        /// Updates all of the rows or none.
        pub fn updateMany(rows: []const Row) Error!void {
            const bytes = try encodeMany(Rows, rows);
            _ = try host.check(abi.update(number(), bytes.ptr, bytes.len));
        }

        /// Updates or inserts all of the rows or none.
        pub fn upsertMany(rows: []const Row) Error!void {
            const bytes = try encodeMany(Rows, rows);
            _ = try host.check(abi.upsert(number(), bytes.ptr, bytes.len));
        }

        /// Deletes the rows with these keys, a slice of keys; how many there were.
        pub fn deleteMany(keys: anytype) Error!usize {
            const bytes = try encodeMany(Keys, keys);
            return host.check(abi.delete(number(), bytes.ptr, bytes.len));
        }

        /// The number of rows. O(1).
        pub fn count() Error!i64 {
            const rows = abi.count(number());
            if (rows < 0) _ = try host.check(@truncate(rows));
            return rows;
        }

        /// The rows in key order, many per crossing. `options` is a struct with any of
        ///
        /// - `index`: the name of an index: its order, and its columns instead of the key's below;
        /// - `lower`, `upper`: keys or key prefixes, which belong to the range;
        /// - `after`, `before`: the same, but they do not;
        /// - `prefix`: a key prefix that every row has, instead of the four above;
        /// - `descending`: bool; `limit`: how many rows at most, above 0;
        /// - `buffer_bytes`: how much is read at a time; 4096 unless given.
        pub fn scan(options: anytype) Error!Cursor {
            comptime known(@TypeOf(options));
            const buffer_bytes = std.mem.alignForward(usize, given(options, usize, "buffer_bytes", 4096), 8);
            const limit = given(options, i32, "limit", 0);
            const order = comptime orderOf(if (@hasField(@TypeOf(options), "index")) options.index else "");
            const lower = comptime bound(@TypeOf(options), order.columns, "lower", "after");
            const upper = comptime bound(@TypeOf(options), order.columns, "upper", "before");
            var flags: i32 = lower.flags + 2 * upper.flags;
            if (given(options, bool, "descending", false)) flags += 16;
            const buffer = try arena.alloc(buffer_bytes);
            const Lower = codec.Codec(order.columns[0..lower.columns]);
            const Upper = codec.Codec(order.columns[0..upper.columns]);
            const lower_bytes = if (lower.columns > 0) Lower.size(lower.of(options)) else 0;
            const upper_bytes = if (upper.columns > 0) Upper.size(upper.of(options)) else 0;
            const bounds = try arena.outgoing(lower_bytes + upper_bytes);
            const split: usize = @intCast(lower_bytes);
            if (lower.columns > 0) Lower.encode(lower.of(options), bounds.ptr, split);
            if (upper.columns > 0) Upper.encode(upper.of(options), @alignCast(bounds[split..].ptr), bounds.len - split);
            const cursor = try host.check(abi.scan(number(), order.index, flags, bounds.ptr, bounds.len, limit));
            return .{ .number = @intCast(cursor), .buffer = buffer };
        }

        /// What `scan` found, row by row. Cursors are few: close the ones not read to their end.
        pub const Cursor = struct {
            number: i32,
            buffer: []align(8) u8,
            at: usize = 0,
            filled: usize = 0,
            is_open: bool = true,

            /// The next row; null at the end. Its texts are good until the next call.
            pub fn next(self: *Cursor) Error!?Row {
                if (self.at == self.filled and !try self.fill()) return null;
                const row: [*]align(8) u8 = @alignCast(self.buffer[self.at..].ptr);
                self.at += codec.lengthOf(row);
                return Rows.decode(Row, row);
            }

            /// Closes the cursor and gives its buffer back, if nothing was read since by other means.
            pub fn close(self: *Cursor) void {
                if (!self.is_open) return;
                self.is_open = false;
                self.at = self.filled;
                _ = abi.close(self.number);
                arena.release(self.buffer);
            }

            fn fill(self: *Cursor) Error!bool {
                if (!self.is_open) return false;
                self.at = 0;
                self.filled = 0;
                var length = try host.check(abi.next(self.number, self.buffer.ptr, self.buffer.len));
                if (length > self.buffer.len) { // a row that is longer than the buffer
                    arena.release(self.buffer);
                    self.buffer = self.buffer[0..0]; // it may be another's now: stays so if the arena is full
                    self.buffer = try arena.alloc(length);
                    length = try host.check(abi.next(self.number, self.buffer.ptr, self.buffer.len));
                }
                self.filled = length;
                if (length == 0) self.close();
                return length > 0;
            }
        };

        /// The relation's number: its position in the module's `relations`.
        inline fn number() i32 {
            return comptime for (root.module.relations, 0..) |Relation, i| {
                if (Relation == Self) break i;
            } else @compileError("table '" ++ name ++ "' is not among the module's relations");
        }

        const Order = struct { index: i32, columns: []const codec.Column };

        /// The order of a scan: that of the primary key, or of an index, numbered as in the manifest.
        fn orderOf(comptime wanted: []const u8) Order {
            comptime {
                if (wanted.len == 0) return .{ .index = 0, .columns = key_columns };
                for (@typeInfo(@TypeOf(indexes)).@"struct".field_names, 1..) |index, i| {
                    if (std.mem.eql(u8, index, wanted))
                        return .{ .index = i, .columns = columnsNamed(name, columns, @field(indexes, index)) };
                }
                @compileError("table '" ++ name ++ "' has no index '" ++ wanted ++ "'");
            }
        }

        const Bound = struct {
            option: []const u8,
            columns: usize,
            flags: i32,

            inline fn of(comptime self: Bound, options: anytype) @FieldType(@TypeOf(options), self.option) {
                return @field(options, self.option);
            }
        };

        /// Which option gives this bound; `flags` as they are for the lower one.
        fn bound(comptime T: type, comptime order: []const codec.Column, comptime inclusive: []const u8, comptime exclusive: []const u8) Bound {
            comptime {
                for (.{ inclusive, exclusive, "prefix" }) |option| {
                    if (@hasField(T, option)) return .{
                        .option = option,
                        .columns = columnsIn(@FieldType(T, option), order.len),
                        .flags = if (std.mem.eql(u8, option, exclusive)) 1 + 4 else 1,
                    };
                }
                return .{ .option = "", .columns = 0, .flags = 0 };
            }
        }

        fn columnsIn(comptime T: type, comptime all: usize) usize {
            if (@typeInfo(T) != .@"struct" or codec.kindOf(T) != null) return 1;
            const info = @typeInfo(T).@"struct";
            const fields = if (info.is_tuple) info.field_names.len else all;
            if (fields == 0 or fields > all)
                @compileError("a bound of '" ++ name ++ "' has too few or too many columns");
            return fields;
        }
    };
}

/// A row in its static buffer, if it has no text, or else at the far end of the arena.
pub inline fn encode(comptime Rows: type, value: anytype) Error![]align(8) u8 {
    const length = Rows.size(value);
    const bytes: []align(8) u8 = if (Rows.is_bounded)
        arena.Static(Rows, Rows.bytes_max).buffer[0..@intCast(length)]
    else
        try arena.outgoing(length);
    Rows.encode(value, bytes.ptr, bytes.len);
    return bytes;
}

fn encodeMany(comptime Rows: type, values: anytype) Error![]align(8) u8 {
    var bytes: u64 = 0;
    for (values) |value| bytes += Rows.size(value);
    const out = try arena.outgoing(bytes);
    var at: usize = 0;
    for (values) |value| {
        const length: usize = @intCast(Rows.size(value));
        Rows.encode(value, @alignCast(out[at..].ptr), length);
        at += length;
    }
    return out;
}

/// An option's value, or the default when `options` has no such field.
inline fn given(options: anytype, comptime T: type, comptime option: []const u8, default: T) T {
    return if (@hasField(@TypeOf(options), option)) @field(options, option) else default;
}

/// Refuses options that `scan` does not have: a bound that is misspelt would read every row.
fn known(comptime Options: type) void {
    const all = .{ "index", "lower", "upper", "after", "before", "prefix", "descending", "limit", "buffer_bytes" };
    for (@typeInfo(Options).@"struct".field_names) |given_name| {
        for (all) |option| {
            if (std.mem.eql(u8, given_name, option)) break;
        } else @compileError("a scan has no option '" ++ given_name ++ "'");
    }
}

fn keyColumns(comptime name: []const u8, comptime columns: []const codec.Column, comptime key: anytype) []const codec.Column {
    comptime {
        const found = columnsNamed(name, columns, key);
        for (found) |column| {
            if (column.nullable()) @compileError("key column '" ++ column.name ++ "' of '" ++ name ++ "' cannot be null");
        }
        return found;
    }
}

fn columnsNamed(comptime name: []const u8, comptime columns: []const codec.Column, comptime names: anytype) []const codec.Column {
    comptime {
        var found: [names.len]codec.Column = undefined;
        for (&found, names) |*place, wanted| {
            place.* = for (columns) |column| {
                if (std.mem.eql(u8, column.name, wanted)) break column;
            } else @compileError("table '" ++ name ++ "' has no column '" ++ wanted ++ "'");
        }
        const all = found;
        return &all;
    }
}
