//! The tables of schema.sql. Generated, not to be edited:
//!
//!     reifydb generate zig --schema schema.sql -o schema.zig

const reifydb = @import("reifydb");

pub const EveryType = struct {
    a: []const u8,
    b: i64,
    flag: bool,
    n: i64,
    x: f64,
    t: []const u8,
    d: reifydb.Bytes,
    at: reifydb.Timestamp,
    flag_null: ?bool,
    n_null: ?i64,
    x_null: ?f64,
    t_null: ?[]const u8,
    d_null: ?reifydb.Bytes,
    at_null: ?reifydb.Timestamp,
};

pub const every_type = reifydb.Table("every_type", EveryType, .{ "a", "b" });

pub const Note = struct {
    id: i64,
    body: []const u8,
    mark: ?i64,
};

pub const note = reifydb.Table("note", Note, .{"id"});

pub const Pair = struct {
    low: i64,
    high: reifydb.Timestamp,
    value: f64,
};

pub const pair = reifydb.Table("pair", Pair, .{ "low", "high" });

pub const relations = .{ every_type, note, pair };
