// The tables of schema.sql. Generated, not to be edited:
//
//     reifydb generate c --schema schema.sql -o schema.h

#pragma once

#include "reifydb.h"

#define SCHEMA \
    "create table limit_order (\\n" \
    "    id int primary key auto_increment,\\n" \
    "    trader text not null,\\n" \
    "    buy bool not null,\\n" \
    "    price decimal(18,4) not null,\\n" \
    "    quantity int not null\\n" \
    ");\\n" \
    "create index limit_order_by_price on limit_order (buy, price);\\n" \
    "\\n" \
    "create table trade (\\n" \
    "    id int primary key auto_increment,\\n" \
    "    maker int not null,\\n" \
    "    taker int not null,\\n" \
    "    buyer text not null,\\n" \
    "    seller text not null,\\n" \
    "    price decimal(18,4) not null,\\n" \
    "    quantity int not null,\\n" \
    "    at timestamp not null\\n" \
    ");\\n"

#define LIMIT_ORDER_COLUMNS \
    (int, id) \
    (text, trader) \
    (bool, buy) \
    (decimal(18, 4), price) \
    (int, quantity)
REIFYDB_TABLE(limit_order, LIMIT_ORDER_COLUMNS, (int, id),
    (limit_order, limit_order_by_price, (bool, buy) (decimal(18, 4), price)))
REIFYDB_AUTO_INCREMENT(limit_order, id)

#define TRADE_COLUMNS \
    (int, id) \
    (int, maker) \
    (int, taker) \
    (text, buyer) \
    (text, seller) \
    (decimal(18, 4), price) \
    (int, quantity) \
    (timestamp, at)
REIFYDB_TABLE(trade, TRADE_COLUMNS, (int, id))
REIFYDB_AUTO_INCREMENT(trade, id)

#define RELATIONS (limit_order) (trade)
