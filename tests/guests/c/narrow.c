// A guest that knows three columns of `every_type`, in another order, and brings no schema: built, as
// it were, before the others were added. Its updates leave them as they are.

#include "reifydb.h"

#define NARROW (int, n) (int, b) (text, a)
REIFYDB_TABLE_AS(narrow, "every_type", NARROW, (text, a) (int, b))

REIFYDB_QUERY(get, row(narrow), (text, a) (int, b)) {
    return narrow_need(a, b, result);
}

// Adds to `n`; what it is then.
REIFYDB_TRANSITION(add, int, (text, a) (int, b) (int, amount)) {
    narrow_row row;
    TRY(narrow_need(a, b, &row));
    TRY(reifydb_add(row.n, amount, &row.n));
    TRY(narrow_update(&row));
    *result = row.n;
    return 0;
}

// Fails when there is no such row: columns that must not be null would be missing.
REIFYDB_TRANSITION(upsert, none, NARROW) {
    return narrow_upsert(&(narrow_row){REIFYDB_FIELDS(NARROW)});
}

// Adds to `n` in all rows; how many there are.
REIFYDB_TRANSITION(add_to_all, int, (int, amount)) {
    reifydb_cursor rows;
    narrow_row row;
    int32_t found;
    TRY(narrow_scan(&rows, NULL));
    while ((found = narrow_next(&rows, &row)) > 0) {
        TRY(reifydb_add(row.n, amount, &row.n));
        TRY(narrow_update(&row));
        *result += 1;
    }
    return found;
}

REIFYDB_MODULE("narrow", "", (narrow))
