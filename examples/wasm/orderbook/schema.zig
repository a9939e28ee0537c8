//! The tables of schema.sql. Generated, not to be edited:
//!
//!     reifydb generate zig --schema schema.sql -o schema.zig

const reifydb = @import("reifydb");

pub const LimitOrder = struct {
    id: i64,
    trader: []const u8,
    buy: bool,
    price: reifydb.Decimal(18, 4),
    quantity: i64,
};

pub const limit_order = reifydb.IndexedTable("limit_order", LimitOrder, .{"id"}, .{
    .limit_order_by_price = .{ "buy", "price" },
});

pub const Trade = struct {
    id: i64,
    maker: i64,
    taker: i64,
    buyer: []const u8,
    seller: []const u8,
    price: reifydb.Decimal(18, 4),
    quantity: i64,
    at: reifydb.Timestamp,
};

pub const trade = reifydb.Table("trade", Trade, .{"id"});

pub const relations = .{ limit_order, trade };
