//! The tables of schema.sql. Generated, not to be edited:
//!
//!     reifydb generate zig --schema schema.sql -o schema.zig

const reifydb = @import("reifydb");

pub const Cell = struct {
    id: i64,
    n: i64,
};

pub const cell = reifydb.Table("cell", Cell, .{"id"});

pub const Entry = struct {
    id: i64,
    n: i64,
};

pub const entry = reifydb.Table("entry", Entry, .{"id"});

pub const relations = .{ cell, entry };
