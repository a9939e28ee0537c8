// An order book: limit orders that trade with each other by price, then by time, or rest until they do.
//
// The index `limit_order_by_price` holds the orders of each side by price, and those of one price by
// number, so by time: the best order of a side is at one end of its range, and a match reads no order
// that does not trade. An order of nothing is never in the table.

#include "schema.h"

// Why a transition refuses: the abort's code, and its name as message.
#define REFUSAL(code, name) \
    static int32_t name(void) { \
        return reifydb_abort(code, #name); \
    }
REFUSAL(1, non_positive_price)
REFUSAL(2, non_positive_quantity)
REFUSAL(3, no_such_order)
REFUSAL(4, not_your_order)
REFUSAL(5, non_positive_levels)

// ------------------------------------------------------------------ matching

// Takes away from an order what was traded; one of nothing leaves the book.
static int32_t reduce(const limit_order_row *order, int64_t traded) {
    limit_order_row left = *order;
    left.quantity -= traded;
    return left.quantity > 0 ? limit_order_update(&left) : limit_order_delete(order->id);
}

// Opens a cursor over the orders of a side, best price first.
static int32_t scan_side(reifydb_cursor *orders, bool of_buyers, int32_t limit) {
    limit_order_by_price_range range = {
        .prefix = {.buy = of_buyers}, .prefix_columns = 1, .descending = of_buyers, .limit = limit};
    return limit_order_by_price_scan(orders, &range);
}

// The highest price that is bid, or the lowest that is asked; 0 when there is none.
static int32_t best_price(bool of_buyers, reifydb_decimal *price) {
    reifydb_cursor orders;
    limit_order_row order;
    TRY(scan_side(&orders, of_buyers, 1));
    int32_t found = limit_order_next(&orders, &order);
    if (found > 0) *price = order.price;
    reifydb_close(&orders);
    return found;
}

// Trades with the orders of the other side at this price, oldest first, up to the taker's quantity.
static int32_t match_at(reifydb_decimal price, const limit_order_row *taker, int64_t *traded) {
    reifydb_cursor makers;
    limit_order_row maker;
    limit_order_by_price_range range = {.prefix = {!taker->buy, price}, .prefix_columns = 2};
    TRY(limit_order_by_price_scan(&makers, &range));
    while (*traded < taker->quantity) {
        int32_t found = limit_order_next(&makers, &maker);
        TRY(found);
        if (found == 0) break;
        int64_t wanted = taker->quantity - *traded;
        trade_row row = {
            .maker = maker.id,
            .taker = taker->id,
            .buyer = taker->buy ? taker->trader : maker.trader,
            .seller = taker->buy ? maker.trader : taker->trader,
            .price = price,
            .quantity = wanted < maker.quantity ? wanted : maker.quantity,
            .at = reifydb_now(),
        };
        TRY(trade_create(&row, &row.id));
        TRY(reduce(&maker, row.quantity));
        *traded += row.quantity;
    }
    reifydb_close(&makers);
    return 0;
}

// Trades with the other side as long as its best price is as good as the order's: best price first,
// and within a price oldest order first.
static int32_t match(const limit_order_row *taker, int64_t *traded) {
    while (*traded < taker->quantity) {
        reifydb_decimal price;
        int32_t found = best_price(!taker->buy, &price);
        TRY(found);
        if (found == 0) break;
        if (taker->buy ? price.units > taker->price.units : price.units < taker->price.units) break;
        TRY(match_at(price, taker, traded));
    }
    return 0;
}

// ------------------------------------------------------------------ orders

// What became of an order: its number, how much was traded at once, and how much rests.
REIFYDB_ROW(placed, (int, id) (int, traded) (int, resting))

static int32_t place(limit_order_row order, placed_row *result) {
    if (order.price.units <= 0) return non_positive_price();
    if (order.quantity <= 0) return non_positive_quantity();
    TRY(limit_order_create(&order, &order.id));
    TRY(match(&order, &result->traded));
    if (result->traded > 0) TRY(reduce(&order, result->traded));
    result->id = order.id;
    result->resting = order.quantity - result->traded;
    return 0;
}

REIFYDB_TRANSITION(buy, row(placed), (text, trader) (decimal(18, 4), price) (int, quantity)) {
    return place((limit_order_row){.trader = trader, .buy = true, .price = price, .quantity = quantity}, result);
}

REIFYDB_TRANSITION(sell, row(placed), (text, trader) (decimal(18, 4), price) (int, quantity)) {
    return place((limit_order_row){.trader = trader, .buy = false, .price = price, .quantity = quantity}, result);
}

// Withdraws what rests of an order; how much that was.
REIFYDB_TRANSITION(cancel, int, (int, id) (text, trader)) {
    limit_order_row order;
    int32_t found = limit_order_get(id, &order);
    TRY(found);
    if (found == 0) return no_such_order();
    if (!reifydb_equal(order.trader, trader)) return not_your_order();
    TRY(limit_order_delete(id));
    *result = order.quantity;
    return 0;
}

// ------------------------------------------------------------------ the book

// The prices of a side, best first, each with the quantity that is bid or asked for it.
typedef struct {
    reifydb_cursor orders;
    int32_t found; // whether there is an order ahead, which is this one
    reifydb_decimal price;
    int64_t quantity;
} levels;

static int32_t look_ahead(levels *side) {
    limit_order_row order;
    side->found = limit_order_next(&side->orders, &order);
    TRY(side->found);
    if (side->found > 0) {
        side->price = order.price;
        side->quantity = order.quantity;
    }
    return 0;
}

static int32_t open_levels(levels *side, bool of_buyers) {
    TRY(scan_side(&side->orders, of_buyers, 0));
    return look_ahead(side);
}

// 1, or 0 when there is no further price.
static int32_t next_level(levels *side, reifydb_decimal *price, int64_t *quantity) {
    if (side->found == 0) return 0;
    *price = side->price;
    *quantity = side->quantity;
    TRY(look_ahead(side));
    while (side->found > 0 && side->price.units == price->units) {
        TRY(reifydb_add(*quantity, side->quantity, quantity));
        TRY(look_ahead(side));
    }
    return 1;
}

REIFYDB_ROW(best, (nullable(decimal(18, 4)), bid) (int, bid_quantity) (nullable(decimal(18, 4)), ask) (int, ask_quantity))

// The best bid and ask, and how much there is of each. O(orders at these prices).
REIFYDB_QUERY(best, row(best)) {
    levels bids, asks;
    TRY(open_levels(&bids, true));
    TRY(open_levels(&asks, false));
    int32_t found = next_level(&bids, &result->bid.value, &result->bid_quantity);
    TRY(found);
    result->bid.present = found > 0;
    found = next_level(&asks, &result->ask.value, &result->ask_quantity);
    TRY(found);
    result->ask.present = found > 0;
    return 0;
}

// Text that is put together piece by piece.
typedef struct {
    char *data;
    size_t length, capacity;
} builder;

static int32_t append(builder *text, const char *piece) {
    for (; *piece != 0; piece++) {
        if (text->length == text->capacity) return REIFYDB_ARENA_FULL;
        text->data[text->length++] = *piece;
    }
    return 0;
}

// A number that is not negative, in at least so many digits.
static int32_t append_number(builder *text, int64_t number, size_t digits) {
    char reversed[20], ordered[21];
    size_t count = 0;
    for (; number > 0 || count < digits; number /= 10) reversed[count++] = (char)('0' + number % 10);
    for (size_t i = 0; i < count; i++) ordered[i] = reversed[count - 1 - i];
    ordered[count] = 0;
    return append(text, ordered);
}

static int32_t append_side(builder *text, bool of_buyers, int64_t levels_max) {
    levels side;
    reifydb_decimal price;
    int64_t quantity;
    TRY(open_levels(&side, of_buyers));
    for (int64_t i = 0; i < levels_max; i++) {
        int32_t found = next_level(&side, &price, &quantity);
        TRY(found);
        if (found == 0) break;
        TRY(append(text, i > 0 ? ",[\"" : "[\""));
        TRY(append_number(text, price.units / 10000, 1));
        TRY(append(text, "."));
        TRY(append_number(text, price.units % 10000, 4));
        TRY(append(text, "\","));
        TRY(append_number(text, quantity, 1));
        TRY(append(text, "]"));
    }
    reifydb_close(&side.orders);
    return 0;
}

// The best prices of both sides with their quantities, as JSON: `{"bids": [["9.5000", 30], …],
// "asks": …}`. O(orders at these prices).
REIFYDB_QUERY(depth, json, (int, levels)) {
    if (levels <= 0) return non_positive_levels();
    builder text = {reifydb_alloc(12 * 1024), 0, 12 * 1024};
    if (text.data == NULL) return REIFYDB_ARENA_FULL;
    TRY(append(&text, "{\"bids\":["));
    TRY(append_side(&text, true, levels));
    TRY(append(&text, "],\"asks\":["));
    TRY(append_side(&text, false, levels));
    TRY(append(&text, "]}"));
    *result = (reifydb_json){text.data, text.length};
    return 0;
}

REIFYDB_MODULE("orderbook", SCHEMA, RELATIONS)
