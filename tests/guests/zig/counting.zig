//! Calls operations of primitives.

const reifydb = @import("reifydb");

const views_add = reifydb.Operation("page_views", "add", struct { page: []const u8, amount: i64 }, i64);
const views_get = reifydb.Operation("page_views", "get", struct { page: []const u8 }, i64);
const stock_add = reifydb.Operation("stock", "add", struct { item: i64, amount: i64 }, i64);
const ticket_next = reifydb.Operation("ticket", "next", struct {}, i64);
const ticket_current = reifydb.Operation("ticket", "current", struct {}, ?i64);

const Stock = struct { item: i64, value: i64 };
const stock = reifydb.Table("stock", Stock, .{"item"});

/// Counts a view and takes one of the stock; the views, the stock and the ticket make one number.
fn buy(page: []const u8, item: i64) !i64 {
    const views = try views_add.call(.{ .page = page, .amount = 1 });
    const left = try stock_add.call(.{ .item = item, .amount = -1 });
    const row = try stock.need(item);
    if (row.value != left) return reifydb.abort(1, "the relation disagrees");
    return views * 1_000_000 + left * 1000 + try ticket_next.call(.{});
}

/// The same, but goes on when there is no stock: 0 then.
fn try_to_buy(page: []const u8, item: i64) !i64 {
    _ = try views_add.call(.{ .page = page, .amount = 1 });
    return stock_add.call(.{ .item = item, .amount = -1 }) catch |err| switch (err) {
        error.CheckFailed => 0,
        else => err,
    };
}

fn buy_and_fail(page: []const u8, item: i64) !i64 {
    _ = try buy(page, item);
    return error.Changed;
}

fn buy_and_trap(page: []const u8, item: i64) !i64 {
    _ = try buy(page, item);
    unreachable;
}

fn look(page: []const u8) !i64 {
    return try views_get.call(.{ .page = page }) * 1000 + (try ticket_current.call(.{}) orelse 0);
}

/// A query that counts: refused.
fn sneak(page: []const u8) !i64 {
    return views_add.call(.{ .page = page, .amount = 1 });
}

fn write_stock(item: i64) !void {
    try stock.upsert(.{ .item = item, .value = 1000 });
}

pub const panic = reifydb.panic;
pub const module = reifydb.module(.{
    .name = "counting",
    .schema = "create counter page_views (page text); create counter stock (item int) min 0; create sequence ticket;",
    .relations = .{stock},
    .operations = .{ views_add, views_get, stock_add, ticket_next, ticket_current },
    .transitions = .{
        .buy = reifydb.transition(buy, .{ "page", "item" }),
        .try_to_buy = reifydb.transition(try_to_buy, .{ "page", "item" }),
        .buy_and_fail = reifydb.transition(buy_and_fail, .{ "page", "item" }),
        .buy_and_trap = reifydb.transition(buy_and_trap, .{ "page", "item" }),
        .look = reifydb.query(look, .{"page"}),
        .sneak = reifydb.query(sneak, .{"page"}),
        .write_stock = reifydb.transition(write_stock, .{"item"}),
    },
});
comptime {
    module.emit();
}
