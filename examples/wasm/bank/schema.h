// The tables of schema.sql. Generated, not to be edited:
//
//     reifydb generate c --schema schema.sql -o schema.h

#pragma once

#include "reifydb.h"

#define SCHEMA \
    "create table account (id int primary key, owner text not null, balance int not null);\\n"

#define ACCOUNT_COLUMNS \
    (int, id) \
    (text, owner) \
    (int, balance)
REIFYDB_TABLE(account, ACCOUNT_COLUMNS, (int, id))

#define RELATIONS (account)
