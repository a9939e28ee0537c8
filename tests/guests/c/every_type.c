// What docs/conformance.md asks of an SDK, in C: each type, each operation, each result.

#include "every_type/schema.h"

REIFYDB_TRANSITION(nothing, none) {
    return 0;
}

// The argument, as it came.
#define ECHO(name, type) \
    REIFYDB_QUERY(name, type, (type, value)) { \
        *result = value; \
        return 0; \
    }
ECHO(echo_bool, bool)
ECHO(echo_int, int)
ECHO(echo_float, float)
ECHO(echo_text, text)
ECHO(echo_bytes, bytes)
ECHO(echo_timestamp, timestamp)
ECHO(echo_decimal, decimal(10, 2))
ECHO(echo_uuid, uuid)
ECHO(echo_json, json)
ECHO(echo_bool_null, nullable(bool))
ECHO(echo_int_null, nullable(int))
ECHO(echo_float_null, nullable(float))
ECHO(echo_text_null, nullable(text))
ECHO(echo_bytes_null, nullable(bytes))
ECHO(echo_timestamp_null, nullable(timestamp))
ECHO(echo_decimal_null, nullable(decimal(10, 2)))
ECHO(echo_uuid_null, nullable(uuid))
ECHO(echo_json_null, nullable(json))

REIFYDB_QUERY(echo_row, row(every_type), EVERY_TYPE_COLUMNS) {
    *result = (every_type_row){REIFYDB_FIELDS(EVERY_TYPE_COLUMNS)};
    return 0;
}

REIFYDB_QUERY(text_length, int, (text, value)) {
    *result = (int64_t)value.length;
    return 0;
}

REIFYDB_TRANSITION(login, bool, (text, user) (secret(text), password)) {
    *result = !reifydb_equal(user, password);
    return 0;
}

REIFYDB_ROW(facts, (timestamp, now) (int, random) (text, caller))

REIFYDB_QUERY(facts, row(facts)) {
    result->now = reifydb_now();
    result->random = (int64_t)reifydb_random();
    return reifydb_caller(&result->caller);
}

REIFYDB_ROW(draws, (int, first) (int, second))

REIFYDB_QUERY(dice, row(draws)) {
    result->first = (int64_t)reifydb_random();
    result->second = (int64_t)reifydb_random();
    return 0;
}

REIFYDB_QUERY(log_line, none, (text, text)) {
    reifydb_log(REIFYDB_WARNING, text);
    return 0;
}

REIFYDB_QUERY(log_levels, none, (text, text)) {
    reifydb_log(REIFYDB_DEBUG, text);
    reifydb_log(REIFYDB_INFO, text);
    reifydb_log(REIFYDB_WARNING, text);
    reifydb_log(REIFYDB_ERROR, text);
    return 0;
}

// ------------------------------------------------------------------ text

// Text that is put together piece by piece; what does not fit is an error.
typedef struct {
    char *data;
    size_t length, capacity;
} builder;

static int32_t build(builder *text, size_t capacity) {
    *text = (builder){reifydb_alloc(capacity), 0, capacity};
    return text->data == NULL ? REIFYDB_ARENA_FULL : 0;
}

static int32_t append(builder *text, reifydb_text piece) {
    if (piece.length > text->capacity - text->length) return REIFYDB_ARENA_FULL;
    for (size_t i = 0; i < piece.length; i++) text->data[text->length++] = piece.data[i];
    return 0;
}

static int32_t append_number(builder *text, int64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do digits[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (number < 0) digits[--at] = '-';
    return append(text, (reifydb_text){digits + at, sizeof digits - at});
}

static reifydb_text built(const builder *text) {
    return (reifydb_text){text->data, text->length};
}

// So many times `x`.
static int32_t letters(int64_t bytes, reifydb_text *text) {
    char *data = reifydb_alloc((size_t)bytes);
    if (data == NULL) return REIFYDB_ARENA_FULL;
    for (int64_t i = 0; i < bytes; i++) data[i] = 'x';
    *text = (reifydb_text){data, (size_t)bytes};
    return 0;
}

// ------------------------------------------------------------------ rows

#define WRITE(operation) \
    REIFYDB_TRANSITION(operation, none, EVERY_TYPE_COLUMNS) { \
        return every_type_##operation(&(every_type_row){REIFYDB_FIELDS(EVERY_TYPE_COLUMNS)}); \
    }
WRITE(insert)
WRITE(update)
WRITE(upsert)

REIFYDB_QUERY(get, row(every_type), (text, a) (int, b)) {
    return every_type_need(a, b, result);
}

REIFYDB_QUERY(find, nullable(int), (text, a) (int, b)) {
    every_type_row row;
    int32_t found = every_type_get(a, b, &row);
    if (found > 0) *result = (reifydb_nullable_int){true, row.n};
    return found < 0 ? found : 0;
}

static int32_t delete_row(reifydb_text a, int64_t b, bool *there) {
    int32_t deleted = every_type_delete(a, b);
    *there = deleted > 0;
    return deleted < 0 ? deleted : 0;
}

REIFYDB_TRANSITION(delete, bool, (text, a) (int, b)) {
    return delete_row(a, b, result);
}

REIFYDB_QUERY(delete_in_query, bool, (text, a) (int, b)) {
    return delete_row(a, b, result);
}

REIFYDB_QUERY(count, int) {
    *result = every_type_count();
    return *result < 0 ? (int32_t)*result : 0;
}

// The rows (a, from) … (a, to − 1), whose text is `t`; how many, or a code.
static int32_t many(every_type_row rows[32], reifydb_text a, int64_t from, int64_t to, reifydb_text t) {
    if (to < from || to - from > 32) return reifydb_abort(1, "too_many");
    for (int64_t i = 0; i < to - from; i++) {
        rows[i] = (every_type_row){
            .a = a,
            .b = from + i,
            .flag = i % 2 == 1,
            .n = i * 10,
            .x = (double)i / 4,
            .t = t,
            .d = {(const uint8_t *)t.data, t.length},
            .at = {-i},
            .price = {25 * i},
            .j = REIFYDB_JSON("{ \"b\": 1, \"a\": [ ] }"),
            .at_null = {true, reifydb_now()},
        };
        for (size_t k = 0; k < sizeof rows[i].u.bytes; k++) rows[i].u.bytes[k] = (uint8_t)i;
        if (i % 3 != 0) rows[i].n_null = (reifydb_nullable_int){true, from};
        if (i % 2 == 0) rows[i].t_null = (reifydb_nullable_text){true, t};
    }
    return (int32_t)(to - from);
}

#define WRITE_MANY(operation) \
    REIFYDB_TRANSITION(operation##_many, none, (text, a) (int, from) (int, to) (text, t)) { \
        every_type_row rows[32]; \
        int32_t count = many(rows, a, from, to, t); \
        return count < 0 ? count : every_type_##operation##_many(rows, (size_t)count); \
    }
WRITE_MANY(insert)
WRITE_MANY(update)
WRITE_MANY(upsert)

REIFYDB_TRANSITION(delete_many, int, (text, a) (int, from) (int, to)) {
    every_type_key keys[64];
    if (to < from || to - from > 64) return reifydb_abort(1, "too_many");
    for (int64_t i = 0; i < to - from; i++) keys[i] = (every_type_key){a, from + i};
    int32_t deleted = every_type_delete_many(keys, (size_t)(to - from));
    *result = deleted;
    return deleted < 0 ? deleted : 0;
}

REIFYDB_TRANSITION(create_note, int, (text, body) (nullable(int), mark)) {
    return note_create(&(note_row){.body = body, .mark = mark}, result);
}

REIFYDB_TRANSITION(insert_note, int, (int, id) (text, body)) {
    TRY(note_insert(&(note_row){.id = id, .body = body}));
    *result = reifydb_generated();
    return 0;
}

REIFYDB_QUERY(note_body, nullable(text), (int, id)) {
    note_row row;
    int32_t found = note_get(id, &row);
    if (found > 0) *result = (reifydb_nullable_text){true, row.body};
    return found < 0 ? found : 0;
}

REIFYDB_TRANSITION(put_pair, float, (int, low) (timestamp, high) (float, value)) {
    pair_row old;
    int32_t found = pair_get(low, high, &old);
    TRY(found);
    if (found > 0) *result = old.value;
    return pair_upsert(&(pair_row){low, high, value});
}

REIFYDB_TRANSITION(put_item, none, ITEM_COLUMNS) {
    return item_upsert(&(item_row){REIFYDB_FIELDS(ITEM_COLUMNS)});
}

REIFYDB_QUERY(get_item, row(item), (int, id)) {
    return item_need(id, result);
}

REIFYDB_TRANSITION(put_units, none, (int, id) (int, units)) {
    return item_upsert(&(item_row){.id = id, .price = {true, {units}}});
}

REIFYDB_TRANSITION(put_tags, none, (int, id) (text, tags)) {
    return item_upsert(&(item_row){.id = id, .tags = {true, {tags.data, tags.length}}});
}

// ------------------------------------------------------------------ memory

REIFYDB_TRANSITION(write_note, none, (int, id) (int, bytes)) {
    note_row row = {.id = id};
    TRY(letters(bytes, &row.body));
    return note_insert(&row);
}

REIFYDB_TRANSITION(fill, none, (int, notes) (int, bytes)) {
    note_row row = {0};
    TRY(letters(bytes, &row.body));
    for (int64_t i = 0; i < notes; i++) TRY(note_create(&row, &row.id));
    return 0;
}

REIFYDB_QUERY(two_bodies, text, (int, first) (int, second)) {
    note_row one, other;
    builder text;
    TRY(note_need(first, &one));
    TRY(note_need(second, &other));
    TRY(build(&text, one.body.length + other.body.length));
    TRY(append(&text, one.body));
    TRY(append(&text, other.body));
    *result = built(&text);
    return 0;
}

REIFYDB_QUERY(bodies_by_mark, text) {
    reifydb_cursor rows;
    note_row row, other;
    builder text;
    int32_t found;
    TRY(build(&text, 4096));
    TRY(note_scan(&rows, &(note_range){.buffer_bytes = 64}));
    while ((found = note_next(&rows, &row)) > 0) {
        if (!row.mark.present) continue;
        int32_t there = note_get(row.mark.value, &other);
        TRY(there);
        if (there > 0) TRY(append(&text, other.body));
    }
    *result = built(&text);
    return found;
}

REIFYDB_QUERY(scan_bodies, text, (int, buffer_bytes)) {
    reifydb_cursor rows;
    note_row row;
    builder text;
    int32_t found;
    TRY(build(&text, 4096));
    TRY(note_scan(&rows, &(note_range){.buffer_bytes = (uint32_t)buffer_bytes}));
    while ((found = note_next(&rows, &row)) > 0) {
        if (text.length > 0) TRY(append(&text, REIFYDB_TEXT(" ")));
        TRY(append_number(&text, row.id));
        TRY(append(&text, REIFYDB_TEXT(":")));
        TRY(append_number(&text, (int64_t)row.body.length));
    }
    *result = built(&text);
    return found;
}

// ------------------------------------------------------------------ scans

// The keys that a scan finds, as text: `a1 a2 b1`.
static int32_t listed(const every_type_range *range, reifydb_text *keys) {
    reifydb_cursor rows;
    every_type_row row;
    builder text;
    int32_t found;
    TRY(build(&text, 4096));
    TRY(every_type_scan(&rows, range));
    while ((found = every_type_next(&rows, &row)) > 0) {
        if (text.length > 0) TRY(append(&text, REIFYDB_TEXT(" ")));
        TRY(append(&text, row.a));
        TRY(append_number(&text, row.b));
    }
    reifydb_close(&rows);
    *keys = built(&text);
    return found;
}

REIFYDB_QUERY(scan_all, text, (bool, descending) (int, limit) (int, buffer_bytes)) {
    every_type_range range = {
        .descending = descending, .limit = (int32_t)limit, .buffer_bytes = (uint32_t)buffer_bytes};
    return listed(&range, result);
}

REIFYDB_QUERY(scan_prefix, text, (text, a) (bool, descending) (int, limit)) {
    every_type_range range = {
        .prefix = {a}, .prefix_columns = 1, .descending = descending, .limit = (int32_t)limit};
    return listed(&range, result);
}

#define SCAN_TWO(name, without_lower, without_upper) \
    REIFYDB_QUERY(name, text, (text, a1) (int, b1) (text, a2) (int, b2) (bool, descending)) { \
        every_type_range range = { \
            .lower = {a1, b1}, \
            .lower_columns = 2, \
            .lower_exclusive = without_lower, \
            .upper = {a2, b2}, \
            .upper_columns = 2, \
            .upper_exclusive = without_upper, \
            .descending = descending, \
        }; \
        return listed(&range, result); \
    }
SCAN_TWO(scan_range, false, false)
SCAN_TWO(scan_between, true, true)
SCAN_TWO(scan_half_open, false, true)

#define SCAN_ONE(name, side, without) \
    REIFYDB_QUERY(name, text, (text, a) (bool, descending)) { \
        every_type_range range = { \
            .side = {.a = a}, .side##_columns = 1, .side##_exclusive = without, .descending = descending}; \
        return listed(&range, result); \
    }
SCAN_ONE(scan_from, lower, false)
SCAN_ONE(scan_up_to, upper, false)
SCAN_ONE(scan_after_prefix, lower, true)
SCAN_ONE(scan_before_prefix, upper, true)

// The numbers of the items that a cursor finds, as text.
static int32_t listed_items(reifydb_cursor *rows, reifydb_text *numbers) {
    item_row row;
    builder text;
    int32_t found;
    TRY(build(&text, 4096));
    while ((found = item_next(rows, &row)) > 0) {
        if (text.length > 0) TRY(append(&text, REIFYDB_TEXT(" ")));
        TRY(append_number(&text, row.id));
    }
    *numbers = built(&text);
    return found;
}

REIFYDB_QUERY(items_by, text, (int, order) (bool, descending) (int, limit)) {
    reifydb_cursor rows;
    int32_t most = (int32_t)limit;
    switch (order) {
    case 0: TRY(item_scan(&rows, &(item_range){.descending = descending, .limit = most})); break;
    case 1: TRY(item_by_colour_scan(&rows, &(item_by_colour_range){.descending = descending, .limit = most})); break;
    case 2: TRY(item_by_code_scan(&rows, &(item_by_code_range){.descending = descending, .limit = most})); break;
    default: TRY(item_by_price_scan(&rows, &(item_by_price_range){.descending = descending, .limit = most}));
    }
    return listed_items(&rows, result);
}

REIFYDB_QUERY(items_of_colour, text, (nullable(text), colour) (bool, descending) (int, limit)) {
    reifydb_cursor rows;
    item_by_colour_range range = {
        .prefix = {colour}, .prefix_columns = 1, .descending = descending, .limit = (int32_t)limit};
    TRY(item_by_colour_scan(&rows, &range));
    return listed_items(&rows, result);
}

REIFYDB_QUERY(items_of_size, text, (nullable(text), colour) (int, size)) {
    reifydb_cursor rows;
    TRY(item_by_colour_scan(&rows, &(item_by_colour_range){.prefix = {colour, size}, .prefix_columns = 2}));
    return listed_items(&rows, result);
}

REIFYDB_QUERY(items_between, text,
    (nullable(text), colour1) (int, size1) (nullable(text), colour2) (int, size2) (bool, descending)) {
    reifydb_cursor rows;
    item_by_colour_range range = {
        .lower = {colour1, size1},
        .lower_columns = 2,
        .upper = {colour2, size2},
        .upper_columns = 2,
        .descending = descending,
    };
    TRY(item_by_colour_scan(&rows, &range));
    return listed_items(&rows, result);
}

REIFYDB_QUERY(items_dearer, text, (decimal(10, 2), price) (bool, descending)) {
    reifydb_cursor rows;
    item_by_price_range range = {
        .lower = {{true, price}}, .lower_columns = 1, .lower_exclusive = true, .descending = descending};
    TRY(item_by_price_scan(&rows, &range));
    return listed_items(&rows, result);
}

REIFYDB_QUERY(item_of_code, row(item), (uuid, code)) {
    reifydb_cursor rows;
    item_by_code_range range = {.prefix = {{true, code}}, .prefix_columns = 1, .limit = 1};
    TRY(item_by_code_scan(&rows, &range));
    int32_t found = item_next(&rows, result);
    return found > 0 ? 0 : found < 0 ? found : REIFYDB_NOT_FOUND;
}

REIFYDB_TRANSITION(recolour, int, (nullable(text), colour) (nullable(text), other)) {
    reifydb_cursor rows;
    item_row row;
    int32_t found;
    item_by_colour_range range = {.prefix = {colour}, .prefix_columns = 1, .buffer_bytes = 64};
    TRY(item_by_colour_scan(&rows, &range));
    while ((found = item_next(&rows, &row)) > 0) {
        row.colour = other;
        TRY(item_update(&row));
        *result += 1;
    }
    return found;
}

REIFYDB_QUERY(same_pairs, int) {
    reifydb_cursor outer, inner;
    every_type_row left, right;
    int32_t found, met;
    TRY(every_type_scan(&outer, &(every_type_range){.buffer_bytes = 512}));
    while ((found = every_type_next(&outer, &left)) > 0) {
        TRY(every_type_scan(&inner, &(every_type_range){.buffer_bytes = 512}));
        while ((met = every_type_next(&inner, &right)) > 0) *result += left.n == right.n;
        TRY(met);
    }
    return found;
}

REIFYDB_TRANSITION(clear, int) {
    reifydb_cursor rows;
    every_type_row row;
    int32_t found;
    TRY(every_type_scan(&rows, NULL));
    while ((found = every_type_next(&rows, &row)) > 0) {
        int32_t deleted = every_type_delete(row.a, row.b);
        TRY(deleted);
        *result += deleted;
    }
    return found;
}

REIFYDB_TRANSITION(chase, int, (int, last)) {
    reifydb_cursor rows;
    note_row row, next;
    int32_t found;
    TRY(note_scan(&rows, NULL));
    while ((found = note_next(&rows, &row)) > 0) {
        *result += 1;
        if (row.id >= last) continue;
        int32_t there = note_get(row.id + 1, &next);
        TRY(there);
        if (there == 0) TRY(note_insert(&(note_row){.id = row.id + 1}));
    }
    return found;
}

REIFYDB_TRANSITION(open_cursors, int, (int, cursors)) {
    reifydb_cursor open;
    note_row row;
    if (cursors < 0 || cursors > 100) return reifydb_abort(1, "too_many");
    for (int64_t i = 0; i < cursors; i++) {
        TRY(note_scan(&open, &(note_range){.buffer_bytes = 8}));
        int32_t found = note_next(&open, &row);
        TRY(found);
        *result += found;
    }
    return 0;
}

REIFYDB_TRANSITION(cursors_in_turn, int, (int, cursors)) {
    reifydb_cursor rows;
    note_row row;
    for (int64_t i = 0; i < cursors; i++) {
        TRY(note_scan(&rows, NULL));
        int32_t found = note_next(&rows, &row);
        TRY(found);
        *result += found;
        reifydb_close(&rows);
    }
    return 0;
}

// ------------------------------------------------------------------ what goes wrong

REIFYDB_TRANSITION(abort_after_write, none, (int, id) (int, code) (text, message)) {
    TRY(note_insert(&(note_row){.id = id}));
    return reifydb_abort_text((int32_t)code, message);
}

REIFYDB_TRANSITION(abort_is_final, int, (int, id)) {
    (void)reifydb_abort(9, "final");
    (void)note_insert(&(note_row){.id = id});
    *result = 1;
    return 0;
}

static int32_t abort_below(int64_t id, int64_t depth) {
    TRY(note_insert(&(note_row){id, REIFYDB_TEXT("deep"), {true, depth}}));
    if (depth == 0) return reifydb_abort((int32_t)(100 + id), "deep");
    TRY(abort_below(id + 1, depth - 1));
    return note_update(&(note_row){id, REIFYDB_TEXT("not reached"), {0}});
}

REIFYDB_TRANSITION(abort_at_depth, none, (int, id) (int, depth)) {
    return abort_below(id, depth);
}

REIFYDB_TRANSITION(go_on_after_abort, int, (int, id) (int, what)) {
    note_row row = {.id = id}, other = {.id = id + 1};
    reifydb_cursor rows, more;
    TRY(note_insert(&row));
    TRY(note_scan(&rows, NULL));
    (void)reifydb_abort(8, "gone");
    switch (what) {
    case 0: (void)note_get(id, &row); break;
    case 1: (void)note_insert(&other); break;
    case 2: (void)note_update(&row); break;
    case 3: (void)note_upsert(&other); break;
    case 4: (void)note_delete(id); break;
    case 5: (void)note_count(); break;
    case 6: (void)note_scan(&more, NULL); break;
    case 7: (void)note_next(&rows, &row); break;
    case 8: reifydb_close(&rows); break;
    case 9: reifydb_log(REIFYDB_INFO, REIFYDB_TEXT("after the abort")); break;
    case 10: (void)reifydb_abort(9, "again"); break;
    }
    *result = 1;
    return 0;
}

REIFYDB_TRANSITION(ask_after_abort, none) {
    int64_t id;
    reifydb_text who;
    TRY(note_create(&(note_row){.body = REIFYDB_TEXT("asked")}, &id));
    reifydb_timestamp before = reifydb_now();
    (void)reifydb_abort(8, "gone");
    (void)reifydb_random();
    TRY(reifydb_caller(&who));
    if (reifydb_now().micros != before.micros || reifydb_generated() != id) __builtin_trap();
    return 0;
}

// What an operation that answered this code returns.
REIFYDB_TRANSITION(fail, none, (int, code)) {
    return (int32_t)code;
}

REIFYDB_TRANSITION(put_text, none, (int, id) (bytes, body)) {
    return note_insert(&(note_row){.id = id, .body = {(const char *)body.data, body.length}});
}

REIFYDB_TRANSITION(put_float, none, (int, bits)) {
    pair_row row = {0};
    __builtin_memcpy(&row.value, &bits, sizeof row.value);
    return pair_upsert(&row);
}

REIFYDB_TRANSITION(own_error, none) {
    return reifydb_abort(REIFYDB_UNEXPECTED, "something_unforeseen");
}

// Overflow traps here: the build is ReleaseSafe.
REIFYDB_QUERY(add_or_trap, int, (int, a) (int, b)) {
    *result = a + b;
    return 0;
}

REIFYDB_QUERY(add_or_abort, int, (int, a) (int, b)) {
    return reifydb_add(a, b, result);
}

REIFYDB_QUERY(sub_or_abort, int, (int, a) (int, b)) {
    return reifydb_sub(a, b, result);
}

REIFYDB_QUERY(mul_or_abort, int, (int, a) (int, b)) {
    return reifydb_mul(a, b, result);
}

REIFYDB_MODULE("every_type", SCHEMA, (note) (every_type) (pair) (item))
