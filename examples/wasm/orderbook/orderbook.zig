//! An order book: limit orders that trade with each other by price, then by time, or rest until they do.
//!
//! The index `limit_order_by_price` holds the orders of each side by price, and those of one price by
//! number, so by time: the best order of a side is at one end of its range, and a match reads no order
//! that does not trade. An order of nothing is never in the table.

const std = @import("std");
const reifydb = @import("reifydb");
const schema = @import("schema.zig");
const limit_order = schema.limit_order;
const trade = schema.trade;
const Order = limit_order.Row;
const Price = reifydb.Decimal(18, 4);

/// Why a transition refuses: the abort's code, and its name as message.
const Refusal = enum(i32) {
    non_positive_price = 1,
    non_positive_quantity = 2,
    no_such_order = 3,
    not_your_order = 4,
    non_positive_levels = 5,
};

fn refuse(why: Refusal) error{Aborted} {
    return reifydb.abort(@backingInt(why), @tagName(why));
}

// ------------------------------------------------------------------ orders

/// What became of an order: its number, how much was traded at once, and how much rests.
const Placed = struct { id: i64, traded: i64, resting: i64 };

fn buy(trader: []const u8, price: Price, quantity: i64) !Placed {
    return place(.{ .id = 0, .trader = trader, .buy = true, .price = price, .quantity = quantity });
}

fn sell(trader: []const u8, price: Price, quantity: i64) !Placed {
    return place(.{ .id = 0, .trader = trader, .buy = false, .price = price, .quantity = quantity });
}

fn place(given: Order) !Placed {
    if (given.price.units <= 0) return refuse(.non_positive_price);
    if (given.quantity <= 0) return refuse(.non_positive_quantity);
    var order = given;
    order.id = try limit_order.create(.{
        .trader = order.trader,
        .buy = order.buy,
        .price = order.price,
        .quantity = order.quantity,
    });
    const traded = try match(order);
    if (traded > 0) try reduce(order, traded);
    return .{ .id = order.id, .traded = traded, .resting = order.quantity - traded };
}

/// Withdraws what rests of an order; how much that was.
fn cancel(id: i64, trader: []const u8) !i64 {
    const order = try limit_order.get(id) orelse return refuse(.no_such_order);
    if (!std.mem.eql(u8, order.trader, trader)) return refuse(.not_your_order);
    _ = try limit_order.delete(id);
    return order.quantity;
}

// ------------------------------------------------------------------ matching

/// Trades with the other side as long as its best price is as good as the order's: best price first,
/// and within a price oldest order first. Returns how much was traded.
fn match(taker: Order) !i64 {
    var traded: i64 = 0;
    while (traded < taker.quantity) {
        const price = try bestPrice(!taker.buy) orelse break;
        if (if (taker.buy) price.units > taker.price.units else price.units < taker.price.units) break;
        traded += try matchAt(price, taker, taker.quantity - traded);
    }
    return traded;
}

/// Trades up to `wanted` with the orders of the other side at this price, oldest first.
fn matchAt(price: Price, taker: Order, wanted: i64) !i64 {
    var traded: i64 = 0;
    var makers = try limit_order.scan(.{ .index = "limit_order_by_price", .prefix = .{ !taker.buy, price } });
    defer makers.close();
    while (traded < wanted) {
        const maker = try makers.next() orelse break;
        const quantity = @min(wanted - traded, maker.quantity);
        _ = try trade.create(.{
            .maker = maker.id,
            .taker = taker.id,
            .buyer = if (taker.buy) taker.trader else maker.trader,
            .seller = if (taker.buy) maker.trader else taker.trader,
            .price = price,
            .quantity = quantity,
            .at = reifydb.now(),
        });
        try reduce(maker, quantity);
        traded += quantity;
    }
    return traded;
}

/// Takes away from an order what was traded; one of nothing leaves the book.
fn reduce(order: Order, traded: i64) !void {
    var left = order;
    left.quantity -= traded;
    if (left.quantity > 0) {
        try limit_order.update(left);
    } else {
        _ = try limit_order.delete(order.id);
    }
}

/// The highest price that is bid, or the lowest that is asked.
fn bestPrice(of_buyers: bool) !?Price {
    var orders = try limit_order.scan(.{
        .index = "limit_order_by_price",
        .prefix = .{of_buyers},
        .descending = of_buyers,
        .limit = 1,
    });
    defer orders.close();
    const order = try orders.next() orelse return null;
    return order.price;
}

// ------------------------------------------------------------------ the book

const Best = struct { bid: ?Price, bid_quantity: i64, ask: ?Price, ask_quantity: i64 };

/// The best bid and ask, and how much there is of each. O(orders at these prices).
fn best() !Best {
    var bids: Levels = try .open(true);
    var asks: Levels = try .open(false);
    const bid = try bids.next();
    const ask = try asks.next();
    return .{
        .bid = if (bid) |level| level.price else null,
        .bid_quantity = if (bid) |level| level.quantity else 0,
        .ask = if (ask) |level| level.price else null,
        .ask_quantity = if (ask) |level| level.quantity else 0,
    };
}

/// The best prices of both sides with their quantities, as JSON: `{"bids": [["9.5000", 30], …],
/// "asks": …}`. O(orders at these prices).
fn depth(levels: i64) !reifydb.Json {
    if (levels <= 0) return refuse(.non_positive_levels);
    var text: Text = .{ .out = try reifydb.alloc(12 * 1024) };
    try text.print("{{", .{});
    inline for (.{ true, false }) |of_buyers| {
        try text.print(if (of_buyers) "\"bids\":[" else ",\"asks\":[", .{});
        var found: Levels = try .open(of_buyers);
        defer found.orders.close();
        var count: i64 = 0;
        while (count < levels) : (count += 1) {
            const level = try found.next() orelse break;
            const whole: u64 = @intCast(@divTrunc(level.price.units, 10_000));
            const part: u64 = @intCast(@rem(level.price.units, 10_000));
            if (count > 0) try text.print(",", .{});
            try text.print("[\"{d}.{d:0>4}\",{d}]", .{ whole, part, level.quantity });
        }
        try text.print("]", .{});
    }
    try text.print("}}", .{});
    return .{ .text = text.out[0..text.len] };
}

/// The prices of a side, best first, each with the quantity that is bid or asked for it.
const Levels = struct {
    orders: limit_order.Cursor,
    ahead: ?Level,

    const Level = struct { price: Price, quantity: i64 };

    fn open(of_buyers: bool) !Levels {
        var orders = try limit_order.scan(.{
            .index = "limit_order_by_price",
            .prefix = .{of_buyers},
            .descending = of_buyers,
        });
        const first = try orders.next();
        return .{ .orders = orders, .ahead = levelOf(first) };
    }

    fn next(self: *Levels) !?Level {
        var level = self.ahead orelse return null;
        while (true) {
            self.ahead = levelOf(try self.orders.next());
            const other = self.ahead orelse return level;
            if (other.price.units != level.price.units) return level;
            level.quantity = try reifydb.add(level.quantity, other.quantity);
        }
    }

    fn levelOf(order: ?Order) ?Level {
        return if (order) |found| .{ .price = found.price, .quantity = found.quantity } else null;
    }
};

/// Text that is put together piece by piece.
const Text = struct {
    out: []u8,
    len: usize = 0,

    fn print(self: *Text, comptime format: []const u8, pieces: anytype) error{ArenaFull}!void {
        const piece = std.fmt.bufPrint(self.out[self.len..], format, pieces) catch return error.ArenaFull;
        self.len += piece.len;
    }
};

pub const panic = reifydb.panic;

pub const module = reifydb.module(.{
    .name = "orderbook",
    .schema = @embedFile("schema.sql"),
    .relations = schema.relations,
    .transitions = .{
        .buy = reifydb.transition(buy, .{ "trader", "price", "quantity" }),
        .sell = reifydb.transition(sell, .{ "trader", "price", "quantity" }),
        .cancel = reifydb.transition(cancel, .{ "id", "trader" }),
        .best = reifydb.query(best, .{}),
        .depth = reifydb.query(depth, .{"levels"}),
    },
});

comptime {
    module.emit();
}
