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
    price: reifydb.Decimal(10, 2),
    u: reifydb.Uuid,
    j: reifydb.Json,
    flag_null: ?bool,
    n_null: ?i64,
    x_null: ?f64,
    t_null: ?[]const u8,
    d_null: ?reifydb.Bytes,
    at_null: ?reifydb.Timestamp,
    price_null: ?reifydb.Decimal(10, 2),
    u_null: ?reifydb.Uuid,
    j_null: ?reifydb.Json,
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

pub const Item = struct {
    id: i64,
    colour: ?[]const u8,
    size: i64,
    price: ?reifydb.Decimal(10, 2),
    code: ?reifydb.Uuid,
    tags: ?reifydb.Json,
};

pub const item = reifydb.IndexedTable("item", Item, .{"id"}, .{
    .item_by_colour = .{ "colour", "size" },
    .item_by_code = .{"code"},
    .item_by_price = .{"price"},
});

pub const relations = .{ every_type, note, pair, item };
