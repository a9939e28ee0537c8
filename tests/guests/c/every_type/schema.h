// The tables of schema.sql. Generated, not to be edited:
//
//     reifydb generate c --schema schema.sql -o schema.h

#pragma once

#include "reifydb.h"

#define SCHEMA \
    "create table every_type (\\n" \
    "    a text not null,\\n" \
    "    b int not null,\\n" \
    "    flag bool not null,\\n" \
    "    n int not null,\\n" \
    "    x float not null,\\n" \
    "    t text not null,\\n" \
    "    d bytes not null,\\n" \
    "    at timestamp not null,\\n" \
    "    price decimal(10,2) not null,\\n" \
    "    u uuid not null,\\n" \
    "    j json not null,\\n" \
    "    flag_null bool,\\n" \
    "    n_null int,\\n" \
    "    x_null float,\\n" \
    "    t_null text,\\n" \
    "    d_null bytes,\\n" \
    "    at_null timestamp,\\n" \
    "    price_null decimal(10,2),\\n" \
    "    u_null uuid,\\n" \
    "    j_null json,\\n" \
    "    primary key (a, b)\\n" \
    ");\\n" \
    "\\n" \
    "create table note (\\n" \
    "    id int auto_increment primary key,\\n" \
    "    body text not null,\\n" \
    "    mark int\\n" \
    ");\\n" \
    "\\n" \
    "create table pair (\\n" \
    "    low int,\\n" \
    "    high timestamp,\\n" \
    "    value float not null,\\n" \
    "    primary key (low, high)\\n" \
    ");\\n" \
    "\\n" \
    "create table item (\\n" \
    "    id int primary key,\\n" \
    "    colour text,\\n" \
    "    size int not null,\\n" \
    "    price decimal(10,2),\\n" \
    "    code uuid,\\n" \
    "    tags json\\n" \
    ");\\n" \
    "\\n" \
    "create index item_by_colour on item (colour, size);\\n" \
    "create unique index item_by_code on item (code);\\n" \
    "create index item_by_price on item (price);\\n"

#define EVERY_TYPE_COLUMNS \
    (text, a) \
    (int, b) \
    (bool, flag) \
    (int, n) \
    (float, x) \
    (text, t) \
    (bytes, d) \
    (timestamp, at) \
    (decimal(10, 2), price) \
    (uuid, u) \
    (json, j) \
    (nullable(bool), flag_null) \
    (nullable(int), n_null) \
    (nullable(float), x_null) \
    (nullable(text), t_null) \
    (nullable(bytes), d_null) \
    (nullable(timestamp), at_null) \
    (nullable(decimal(10, 2)), price_null) \
    (nullable(uuid), u_null) \
    (nullable(json), j_null)
REIFYDB_TABLE(every_type, EVERY_TYPE_COLUMNS, (text, a) (int, b))

#define NOTE_COLUMNS \
    (int, id) \
    (text, body) \
    (nullable(int), mark)
REIFYDB_TABLE(note, NOTE_COLUMNS, (int, id))
REIFYDB_AUTO_INCREMENT(note, id)

#define PAIR_COLUMNS \
    (int, low) \
    (timestamp, high) \
    (float, value)
REIFYDB_TABLE(pair, PAIR_COLUMNS, (int, low) (timestamp, high))

#define ITEM_COLUMNS \
    (int, id) \
    (nullable(text), colour) \
    (int, size) \
    (nullable(decimal(10, 2)), price) \
    (nullable(uuid), code) \
    (nullable(json), tags)
REIFYDB_TABLE(item, ITEM_COLUMNS, (int, id),
    (item, item_by_colour, (nullable(text), colour) (int, size))
    (item, item_by_code, (nullable(uuid), code))
    (item, item_by_price, (nullable(decimal(10, 2)), price)))

#define RELATIONS (every_type) (note) (pair) (item)
