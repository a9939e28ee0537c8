//! The tables of schema.sql. Generated, not to be edited:
//!
//!     reifydb generate zig --schema schema.sql -o schema.zig

const reifydb = @import("reifydb");

pub const Account = struct {
    id: i64,
    owner: []const u8,
    balance: i64,
};

pub const account = reifydb.Table("account", Account, .{"id"});

pub const relations = .{account};
