// ReifyDB's SDK for guests in C11: transitions as ordinary functions over typed rows, in one header.
//
//     #include "schema.h" // reifydb generate c --schema schema.sql -o schema.h
//
//     // Adds to an account; returns its balance.
//     REIFYDB_TRANSITION(deposit, int, (int, id) (int, amount)) {
//         account_row row;
//         if (amount <= 0) return reifydb_abort(2, "non_positive_amount");
//         TRY(account_need(id, &row));
//         TRY(reifydb_add(row.balance, amount, &row.balance));
//         TRY(account_update(&row));
//         *result = row.balance;
//         return 0;
//     }
//
//     REIFYDB_MODULE("bank", SCHEMA, (account))
//
// A guest is one C file with what it includes; no libc is there. Lists of columns and parameters are
// written `(type, name) (type, name) …`, where a type is bool, int, float, text, bytes, timestamp,
// decimal(p, s), uuid or json, or nullable(type). Where a name is a word of C, the member gets another
// one: (int, default_, "default").
//
// **Errors.** What can fail returns an int32_t: a code of docs/abi.md below zero, or one of this
// header (`REIFYDB_ARENA_FULL`, `REIFYDB_OVERFLOW`). `TRY(…)` returns it from the function around.
// A transition that returns 0 commits; any other value undoes what it did. Codes of an application
// are above zero: `return reifydb_abort(code, "message")`.
//
// **Memory.** Rows without text live on the stack, others in one arena that is empty again when the
// next transition starts: `#define REIFYDB_ARENA_BYTES` before the header makes it larger. Globals of
// a guest are a cache: they may be back at their first value in any call.
//
// Order of this file: types, host functions and codes, the arena, values in rows, lists of columns, the
// manifest, rows, cursors, tables, transitions, the module. A name that ends in `_` is not for guests.

#ifndef REIFYDB_H
#define REIFYDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ------------------------------------------------------------------ types

// UTF-8, without a zero at its end.
typedef struct {
    const char *data;
    size_t length;
} reifydb_text;

typedef struct {
    const uint8_t *data;
    size_t length;
} reifydb_bytes;

// Microseconds since 1970-01-01T00:00:00Z.
typedef struct {
    int64_t micros;
} reifydb_timestamp;

// A decimal(p, s): the value times 10^s. What s is, the column says.
typedef struct {
    int64_t units;
} reifydb_decimal;

typedef struct {
    uint8_t bytes[16];
} reifydb_uuid;

// JSON as UTF-8 text. Rows that are read hold it in its canonical form.
typedef struct {
    const char *data;
    size_t length;
} reifydb_json;

// A string literal as text.
#define REIFYDB_TEXT(literal) ((reifydb_text){"" literal, sizeof(literal) - 1})
#define REIFYDB_JSON(literal) ((reifydb_json){"" literal, sizeof(literal) - 1})

// A value that may be null; {0} is null, {true, value} is not. (`bool_`: bool is a macro itself, and
// would be pasted as _Bool.)
#define REIFYDB_NULLABLE_(name, type) \
    typedef struct { \
        bool present; \
        type value; \
    } reifydb_nullable_##name;
REIFYDB_NULLABLE_(bool_, bool)
REIFYDB_NULLABLE_(int, int64_t)
REIFYDB_NULLABLE_(float, double)
REIFYDB_NULLABLE_(text, reifydb_text)
REIFYDB_NULLABLE_(bytes, reifydb_bytes)
REIFYDB_NULLABLE_(timestamp, reifydb_timestamp)
REIFYDB_NULLABLE_(decimal, reifydb_decimal)
REIFYDB_NULLABLE_(uuid, reifydb_uuid)
REIFYDB_NULLABLE_(json, reifydb_json)
typedef reifydb_nullable_bool_ reifydb_nullable_bool;

// The C type of a column type. `bool` is a macro of stdbool.h, hence the second name.
#define REIFYDB_C_bool bool
#define REIFYDB_C__Bool bool
#define REIFYDB_C_int int64_t
#define REIFYDB_C_float double
#define REIFYDB_C_text reifydb_text
#define REIFYDB_C_bytes reifydb_bytes
#define REIFYDB_C_timestamp reifydb_timestamp
#define REIFYDB_C_decimal(p, s) reifydb_decimal
#define REIFYDB_C_uuid reifydb_uuid
#define REIFYDB_C_json reifydb_json
#define REIFYDB_C_nullable(type) REIFYDB_NULL_##type
#define REIFYDB_C_secret(type) REIFYDB_C_##type

#define REIFYDB_NULL_bool reifydb_nullable_bool
#define REIFYDB_NULL__Bool reifydb_nullable_bool
#define REIFYDB_NULL_int reifydb_nullable_int
#define REIFYDB_NULL_float reifydb_nullable_float
#define REIFYDB_NULL_text reifydb_nullable_text
#define REIFYDB_NULL_bytes reifydb_nullable_bytes
#define REIFYDB_NULL_timestamp reifydb_nullable_timestamp
#define REIFYDB_NULL_decimal(p, s) reifydb_nullable_decimal
#define REIFYDB_NULL_uuid reifydb_nullable_uuid
#define REIFYDB_NULL_json reifydb_nullable_json

// What the manifest says of a column type.
#define REIFYDB_JSON_bool "\"type\":\"bool\""
#define REIFYDB_JSON__Bool "\"type\":\"bool\""
#define REIFYDB_JSON_int "\"type\":\"int\""
#define REIFYDB_JSON_float "\"type\":\"float\""
#define REIFYDB_JSON_text "\"type\":\"text\""
#define REIFYDB_JSON_bytes "\"type\":\"bytes\""
#define REIFYDB_JSON_timestamp "\"type\":\"timestamp\""
#define REIFYDB_JSON_decimal(p, s) "\"type\":\"decimal(" #p "," #s ")\""
#define REIFYDB_JSON_uuid "\"type\":\"uuid\""
#define REIFYDB_JSON_json "\"type\":\"json\""
#define REIFYDB_JSON_nullable(type) REIFYDB_JSON_##type ",\"nullable\":true"
#define REIFYDB_JSON_secret(type) REIFYDB_JSON_##type ",\"secret\":true"

// ------------------------------------------------------------------ host functions and codes

#define REIFYDB_HOST_(name) __attribute__((import_module("reifydb.v1"), import_name(#name)))

// The functions of docs/abi.md as they are. What follows needs most of them; guests rarely do.
int32_t reifydb_host_args(void *into, size_t capacity) REIFYDB_HOST_(args);
int32_t reifydb_host_result(const void *row, size_t length) REIFYDB_HOST_(result);
int32_t reifydb_host_abort(int32_t code, const char *message, size_t length) REIFYDB_HOST_(abort);
int32_t reifydb_host_get(int32_t relation, const void *key, size_t key_length, void *into, size_t capacity)
    REIFYDB_HOST_(get);
int32_t reifydb_host_insert(int32_t relation, const void *rows, size_t length) REIFYDB_HOST_(insert);
int32_t reifydb_host_update(int32_t relation, const void *rows, size_t length) REIFYDB_HOST_(update);
int32_t reifydb_host_upsert(int32_t relation, const void *rows, size_t length) REIFYDB_HOST_(upsert);
int32_t reifydb_host_delete(int32_t relation, const void *keys, size_t length) REIFYDB_HOST_(delete);
int64_t reifydb_host_count(int32_t relation) REIFYDB_HOST_(count);
int64_t reifydb_host_generated(void) REIFYDB_HOST_(generated);
int32_t reifydb_host_scan(int32_t relation, int32_t index, int32_t flags, const void *bounds, size_t length,
    int32_t limit) REIFYDB_HOST_(scan);
int32_t reifydb_host_next(int32_t cursor, void *into, size_t capacity) REIFYDB_HOST_(next);
int32_t reifydb_host_close(int32_t cursor) REIFYDB_HOST_(close);
int64_t reifydb_host_now(void) REIFYDB_HOST_(now);
int64_t reifydb_host_random(void) REIFYDB_HOST_(random);
int32_t reifydb_host_caller(void *into, size_t capacity) REIFYDB_HOST_(caller);
int32_t reifydb_host_log(int32_t level, const char *line, size_t length) REIFYDB_HOST_(log);

enum {
    REIFYDB_ABORTED = -1,
    REIFYDB_NOT_FOUND = -2,
    REIFYDB_DUPLICATE_KEY = -3,
    REIFYDB_NOT_NULL = -4,
    REIFYDB_INVALID_ROW = -5,
    REIFYDB_INVALID_NUMBER = -6,
    REIFYDB_READ_ONLY = -7,
    REIFYDB_KEY_TOO_LONG = -8,
    REIFYDB_ROW_TOO_LONG = -9,
    REIFYDB_NO_RELATION = -10,
    REIFYDB_LIMIT_REACHED = -11,
    REIFYDB_OUT_OF_MEMORY = -12,
    REIFYDB_TRANSACTION_TOO_LARGE = -13,
    REIFYDB_EXHAUSTED = -14,
    REIFYDB_CHECK_FAILED = -15,
    REIFYDB_EXPRESSION_FAILED = -16,

    // The code with which an error of this header aborts, its name as message.
    REIFYDB_UNEXPECTED = -100,
    // Rows and texts of this call need more than REIFYDB_ARENA_BYTES.
    REIFYDB_ARENA_FULL = -101,
    // A sum or product does not fit 64 bits.
    REIFYDB_OVERFLOW = -102,
};

// Whoever drops a code goes on after an error: cast to void to say that this is meant.
#define REIFYDB_MUST_LOOK __attribute__((warn_unused_result))
#define REIFYDB_INLINE __attribute__((unused)) static inline

// Returns the code of `operation` from this function if it failed.
#define TRY(operation) \
    do { \
        int32_t reifydb_code_ = (operation); \
        if (reifydb_code_ < 0) return reifydb_code_; \
    } while (0)

// Dooms the transaction with this code and message; to be returned. Code 0 counts as 1.
REIFYDB_INLINE int32_t reifydb_abort_text(int32_t code, reifydb_text message) {
    return reifydb_host_abort(code, message.data, message.length);
}

REIFYDB_INLINE int32_t reifydb_abort(int32_t code, const char *message) {
    return reifydb_host_abort(code, message, __builtin_strlen(message));
}

// The transaction's time, the same during all of it.
REIFYDB_INLINE reifydb_timestamp reifydb_now(void) {
    return (reifydb_timestamp){reifydb_host_now()};
}

// 64 random bits of the transaction's seed.
REIFYDB_INLINE uint64_t reifydb_random(void) {
    return (uint64_t)reifydb_host_random();
}

// The auto-increment value that the last insert of this transaction gave out; 0 when none.
REIFYDB_INLINE int64_t reifydb_generated(void) {
    return reifydb_host_generated();
}

enum { REIFYDB_DEBUG = 10, REIFYDB_INFO = 20, REIFYDB_WARNING = 30, REIFYDB_ERROR = 40 };

// A line for the log of the database's host.
REIFYDB_INLINE void reifydb_log(int32_t level, reifydb_text line) {
    (void)reifydb_host_log(level, line.data, line.length);
}

REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t reifydb_add(int64_t a, int64_t b, int64_t *sum) {
    return __builtin_add_overflow(a, b, sum) ? REIFYDB_OVERFLOW : 0;
}

REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t reifydb_sub(int64_t a, int64_t b, int64_t *difference) {
    return __builtin_sub_overflow(a, b, difference) ? REIFYDB_OVERFLOW : 0;
}

REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t reifydb_mul(int64_t a, int64_t b, int64_t *product) {
    return __builtin_mul_overflow(a, b, product) ? REIFYDB_OVERFLOW : 0;
}

REIFYDB_INLINE bool reifydb_equal(reifydb_text a, reifydb_text b) {
    if (a.length != b.length) return false;
    for (size_t i = 0; i < a.length; i++) {
        if (a.data[i] != b.data[i]) return false;
    }
    return true;
}

// ------------------------------------------------------------------ the arena

// The memory of one call. What is kept grows from its front; a row on its way out lies at its far end
// only while the host function reads it. Nothing is freed in between. Sizes are multiples of 8.

#ifndef REIFYDB_ARENA_BYTES
// With the stack it leaves the guest at one page of memory, and putting a guest back to its first
// state costs in proportion to its pages.
#define REIFYDB_ARENA_BYTES (32 * 1024)
#endif
_Static_assert((REIFYDB_ARENA_BYTES) % 8 == 0, "REIFYDB_ARENA_BYTES must be a multiple of 8");

static _Alignas(8) uint8_t reifydb_memory_[REIFYDB_ARENA_BYTES];
static size_t reifydb_kept_;

REIFYDB_INLINE uint8_t *reifydb_free_(void) {
    return reifydb_memory_ + reifydb_kept_;
}

REIFYDB_INLINE size_t reifydb_free_bytes_(void) {
    return sizeof reifydb_memory_ - reifydb_kept_;
}

// Place at the far end, good until the next operation; NULL when there is not so much.
REIFYDB_INLINE uint8_t *reifydb_outgoing_(uint64_t bytes) {
    if (bytes > reifydb_free_bytes_()) return NULL;
    return reifydb_memory_ + (sizeof reifydb_memory_ - (size_t)bytes);
}

// Memory that is good until the transition returns, aligned to 8; NULL when the arena is full.
REIFYDB_INLINE REIFYDB_MUST_LOOK void *reifydb_alloc(size_t bytes) {
    uint8_t *start = reifydb_free_();
    if (bytes > reifydb_free_bytes_()) return NULL;
    reifydb_kept_ += (bytes + 7) & ~(size_t)7;
    return start;
}

// Gives memory back, if nothing was kept since.
REIFYDB_INLINE void reifydb_release_(uint8_t *start, size_t bytes) {
    uint8_t *end = start + ((bytes + 7) & ~(size_t)7);
    if (end == reifydb_free_()) reifydb_kept_ = (size_t)(start - reifydb_memory_);
}

// The name of who called; empty when embedded.
REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t reifydb_caller(reifydb_text *name) {
    uint8_t *into = reifydb_free_();
    int32_t length = reifydb_host_caller(into, reifydb_free_bytes_());
    if (length < 0) return length;
    if (reifydb_alloc((size_t)length) == NULL) return REIFYDB_ARENA_FULL;
    *name = (reifydb_text){(const char *)into, (size_t)length};
    return 0;
}

// ------------------------------------------------------------------ values in rows

// Rows are those of docs/formats.md. A writer fills in one column after the other; all but the texts
// is known when compiling, so that a column costs a store. Rows from the host are well-formed, so a
// reader checks nothing; what goes out is checked by the host.

typedef struct {
    uint8_t *row;
    uint32_t column, nulls, tail;
} reifydb_writer_;

typedef struct {
    const uint8_t *row;
    uint32_t column, nulls;
} reifydb_reader_;

#define REIFYDB_ALWAYS_ __attribute__((always_inline, unused)) static inline

REIFYDB_ALWAYS_ void reifydb_store_(uint8_t *to, uint64_t value) {
    __builtin_memcpy(to, &value, 8);
}

REIFYDB_ALWAYS_ uint64_t reifydb_load_(const uint8_t *from) {
    uint64_t value;
    __builtin_memcpy(&value, from, 8);
    return value;
}

// By words: texts in rows are short, and a call to memcpy costs more than a few stores.
__attribute__((noinline, unused)) static void reifydb_copy_(uint8_t *to, const void *data, size_t length) {
    const uint8_t *from = data;
    if (length < 8) {
        for (size_t i = 0; i < length; i++) to[i] = from[i];
    } else if (length <= 64) {
        size_t last = length - 8;
        for (size_t at = 0; at < last; at += 8) reifydb_store_(to + at, reifydb_load_(from + at));
        reifydb_store_(to + last, reifydb_load_(from + last));
    } else {
        __builtin_memcpy(to, from, length);
    }
}

REIFYDB_ALWAYS_ void reifydb_put_slot_(reifydb_writer_ *writer, uint64_t slot) {
    reifydb_store_(writer->row + 8 + 8 * writer->column++, slot);
}

REIFYDB_ALWAYS_ void reifydb_put_null_(reifydb_writer_ *writer) {
    writer->row[writer->nulls + writer->column / 8] |= (uint8_t)(1 << writer->column % 8);
    reifydb_put_slot_(writer, 0);
}

REIFYDB_ALWAYS_ void reifydb_put_long_(reifydb_writer_ *writer, const void *data, size_t length) {
    reifydb_copy_(writer->row + writer->tail, data, length);
    reifydb_put_slot_(writer, writer->tail | (uint64_t)length << 32);
    writer->tail += length;
}

REIFYDB_ALWAYS_ uint64_t reifydb_take_slot_(reifydb_reader_ *reader) {
    return reifydb_load_(reader->row + 8 + 8 * reader->column++);
}

REIFYDB_ALWAYS_ bool reifydb_take_null_(reifydb_reader_ *reader) {
    return reader->row[reader->nulls + reader->column / 8] >> reader->column % 8 & 1;
}

// Three functions for a type and three for it or null: its bytes in the tail, out, in.
#define REIFYDB_VALUE_(name, type, tail, put, take) \
    REIFYDB_ALWAYS_ uint64_t reifydb_tail_##name(type value) { \
        (void)value; \
        return tail; \
    } \
    REIFYDB_ALWAYS_ void reifydb_put_##name(reifydb_writer_ *writer, type value) { \
        put; \
    } \
    REIFYDB_ALWAYS_ void reifydb_take_##name(reifydb_reader_ *reader, type *value) { \
        uint64_t slot = reifydb_take_slot_(reader); \
        take; \
    } \
    REIFYDB_ALWAYS_ uint64_t reifydb_tail_nullable_##name(reifydb_nullable_##name value) { \
        return value.present ? reifydb_tail_##name(value.value) : 0; \
    } \
    REIFYDB_ALWAYS_ void reifydb_put_nullable_##name(reifydb_writer_ *writer, reifydb_nullable_##name value) { \
        if (value.present) \
            reifydb_put_##name(writer, value.value); \
        else \
            reifydb_put_null_(writer); \
    } \
    REIFYDB_ALWAYS_ void reifydb_take_nullable_##name(reifydb_reader_ *reader, reifydb_nullable_##name *value) { \
        value->present = !reifydb_take_null_(reader); \
        if (value->present) { \
            reifydb_take_##name(reader, &value->value); \
        } else { \
            *value = (reifydb_nullable_##name){0}; \
            reader->column++; \
        } \
    }
#define REIFYDB_LONG_(name, type) \
    REIFYDB_VALUE_(name, type, value.length, reifydb_put_long_(writer, value.data, value.length), \
        value->data = (const void *)(reader->row + (uint32_t)slot); value->length = slot >> 32)

REIFYDB_VALUE_(bool_, bool, 0, reifydb_put_slot_(writer, value), *value = slot != 0)
REIFYDB_VALUE_(int, int64_t, 0, reifydb_put_slot_(writer, (uint64_t)value), *value = (int64_t)slot)
REIFYDB_VALUE_(float, double, 0, uint64_t slot; __builtin_memcpy(&slot, &value, 8); reifydb_put_slot_(writer, slot),
    __builtin_memcpy(value, &slot, 8))
REIFYDB_VALUE_(timestamp, reifydb_timestamp, 0, reifydb_put_slot_(writer, (uint64_t)value.micros),
    value->micros = (int64_t)slot)
REIFYDB_VALUE_(decimal, reifydb_decimal, 0, reifydb_put_slot_(writer, (uint64_t)value.units),
    value->units = (int64_t)slot)
REIFYDB_VALUE_(uuid, reifydb_uuid, 16, reifydb_put_long_(writer, value.bytes, 16),
    __builtin_memcpy(value->bytes, reader->row + (uint32_t)slot, 16))
REIFYDB_LONG_(text, reifydb_text)
REIFYDB_LONG_(bytes, reifydb_bytes)
REIFYDB_LONG_(json, reifydb_json)

// The function for the type of `value`, which is a value (`pointer` empty) or a pointer (`*`).
#define REIFYDB_FOR_(operation, value, pointer) \
    _Generic((value), bool pointer: reifydb_##operation##_bool_, int64_t pointer: reifydb_##operation##_int, \
        double pointer: reifydb_##operation##_float, reifydb_text pointer: reifydb_##operation##_text, \
        reifydb_bytes pointer: reifydb_##operation##_bytes, reifydb_json pointer: reifydb_##operation##_json, \
        reifydb_timestamp pointer: reifydb_##operation##_timestamp, \
        reifydb_decimal pointer: reifydb_##operation##_decimal, \
        reifydb_uuid pointer: reifydb_##operation##_uuid, \
        reifydb_nullable_bool pointer: reifydb_##operation##_nullable_bool_, \
        reifydb_nullable_int pointer: reifydb_##operation##_nullable_int, \
        reifydb_nullable_float pointer: reifydb_##operation##_nullable_float, \
        reifydb_nullable_text pointer: reifydb_##operation##_nullable_text, \
        reifydb_nullable_bytes pointer: reifydb_##operation##_nullable_bytes, \
        reifydb_nullable_json pointer: reifydb_##operation##_nullable_json, \
        reifydb_nullable_timestamp pointer: reifydb_##operation##_nullable_timestamp, \
        reifydb_nullable_decimal pointer: reifydb_##operation##_nullable_decimal, \
        reifydb_nullable_uuid pointer: reifydb_##operation##_nullable_uuid)

// 1 for a type whose values point into the row they were read from.
#define REIFYDB_POINTS_(type) \
    _Generic((type *)0, reifydb_text *: 1, reifydb_bytes *: 1, reifydb_json *: 1, reifydb_nullable_text *: 1, \
        reifydb_nullable_bytes *: 1, reifydb_nullable_json *: 1, default: 0)

// What a value without pointers adds to a row's tail at most.
#define REIFYDB_TAIL_MAX_(type) _Generic((type *)0, reifydb_uuid *: 16, reifydb_nullable_uuid *: 16, default: 0)

// ------------------------------------------------------------------ lists of columns

// `REIFYDB_EACH_(what, (int, id) (text, owner))` is what_A(int, id) what_B(text, owner): each of the
// two macros ends with the name of the other, and the last name is made to vanish.
#define REIFYDB_EACH_(what, list) REIFYDB_END_(what##_A list)
#define REIFYDB_END_(...) REIFYDB_END__(__VA_ARGS__)
#define REIFYDB_END__(...) __VA_ARGS__##_END

// The same for lists whose items have lists in them: a macro does not expand within itself.
#define REIFYDB_OUTER_EACH_(what, list) REIFYDB_OUTER_END_(what##_A list)
#define REIFYDB_OUTER_END_(...) REIFYDB_OUTER_END__(__VA_ARGS__)
#define REIFYDB_OUTER_END__(...) __VA_ARGS__##_END

// The name of a column outside: the member's, unless a third word says otherwise.
#define REIFYDB_NAME_(...) REIFYDB_NAME_PICK_(__VA_ARGS__, REIFYDB_NAME_3_, REIFYDB_NAME_2_, )(__VA_ARGS__)
#define REIFYDB_NAME_PICK_(type, member, third, pick, ...) pick
#define REIFYDB_NAME_2_(type, member) #member
#define REIFYDB_NAME_3_(type, member, name) name

#define REIFYDB_MEMBER_A(type, name, ...) REIFYDB_C_##type name; REIFYDB_MEMBER_B
#define REIFYDB_MEMBER_B(type, name, ...) REIFYDB_C_##type name; REIFYDB_MEMBER_A
#define REIFYDB_MEMBER_A_END
#define REIFYDB_MEMBER_B_END

#define REIFYDB_COUNT_A(...) +1 REIFYDB_COUNT_B
#define REIFYDB_COUNT_B(...) +1 REIFYDB_COUNT_A
#define REIFYDB_COUNT_A_END
#define REIFYDB_COUNT_B_END

#define REIFYDB_ANY_POINTS_A(type, ...) | REIFYDB_POINTS_(REIFYDB_C_##type) REIFYDB_ANY_POINTS_B
#define REIFYDB_ANY_POINTS_B(type, ...) | REIFYDB_POINTS_(REIFYDB_C_##type) REIFYDB_ANY_POINTS_A
#define REIFYDB_ANY_POINTS_A_END
#define REIFYDB_ANY_POINTS_B_END

#define REIFYDB_SUM_TAIL_MAX_A(type, ...) +REIFYDB_TAIL_MAX_(REIFYDB_C_##type) REIFYDB_SUM_TAIL_MAX_B
#define REIFYDB_SUM_TAIL_MAX_B(type, ...) +REIFYDB_TAIL_MAX_(REIFYDB_C_##type) REIFYDB_SUM_TAIL_MAX_A
#define REIFYDB_SUM_TAIL_MAX_A_END
#define REIFYDB_SUM_TAIL_MAX_B_END

// In functions with `row`, `columns` (how many of them count), `writer` or `reader`.
#define REIFYDB_TAIL_OF_(name) if (column++ < columns) tail += REIFYDB_FOR_(tail, row->name, )(row->name);
#define REIFYDB_TAIL_A(type, name, ...) REIFYDB_TAIL_OF_(name) REIFYDB_TAIL_B
#define REIFYDB_TAIL_B(type, name, ...) REIFYDB_TAIL_OF_(name) REIFYDB_TAIL_A
#define REIFYDB_TAIL_A_END
#define REIFYDB_TAIL_B_END

#define REIFYDB_PUT_OF_(name) if (writer.column < columns) REIFYDB_FOR_(put, row->name, )(&writer, row->name);
#define REIFYDB_PUT_A(type, name, ...) REIFYDB_PUT_OF_(name) REIFYDB_PUT_B
#define REIFYDB_PUT_B(type, name, ...) REIFYDB_PUT_OF_(name) REIFYDB_PUT_A
#define REIFYDB_PUT_A_END
#define REIFYDB_PUT_B_END

#define REIFYDB_TAKE_OF_(name) REIFYDB_FOR_(take, &row->name, *)(&reader, &row->name);
#define REIFYDB_TAKE_A(type, name, ...) REIFYDB_TAKE_OF_(name) REIFYDB_TAKE_B
#define REIFYDB_TAKE_B(type, name, ...) REIFYDB_TAKE_OF_(name) REIFYDB_TAKE_A
#define REIFYDB_TAKE_A_END
#define REIFYDB_TAKE_B_END

#define REIFYDB_PLACE_A(type, name, ...) if (member == &row->name) place = column; column++; REIFYDB_PLACE_B
#define REIFYDB_PLACE_B(type, name, ...) if (member == &row->name) place = column; column++; REIFYDB_PLACE_A
#define REIFYDB_PLACE_A_END
#define REIFYDB_PLACE_B_END

// Parameters behind another one, and arguments from `args`.
#define REIFYDB_PARAM_A(type, name, ...) , REIFYDB_C_##type name REIFYDB_PARAM_B
#define REIFYDB_PARAM_B(type, name, ...) , REIFYDB_C_##type name REIFYDB_PARAM_A
#define REIFYDB_PARAM_A_END
#define REIFYDB_PARAM_B_END
#define REIFYDB_ARG_A(type, name, ...) , args.name REIFYDB_ARG_B
#define REIFYDB_ARG_B(type, name, ...) , args.name REIFYDB_ARG_A
#define REIFYDB_ARG_A_END
#define REIFYDB_ARG_B_END

// Parameters before another one.
#define REIFYDB_KEY_PARAM_A(type, name, ...) REIFYDB_C_##type name, REIFYDB_KEY_PARAM_B
#define REIFYDB_KEY_PARAM_B(type, name, ...) REIFYDB_C_##type name, REIFYDB_KEY_PARAM_A
#define REIFYDB_KEY_PARAM_A_END
#define REIFYDB_KEY_PARAM_B_END
// The only parameters.
#define REIFYDB_ONLY_PARAM_A(type, name, ...) REIFYDB_C_##type name REIFYDB_PARAM_B
#define REIFYDB_ONLY_PARAM_A_END

#define REIFYDB_INIT_A(type, name, ...) .name = name, REIFYDB_INIT_B
#define REIFYDB_INIT_B(type, name, ...) .name = name, REIFYDB_INIT_A
#define REIFYDB_INIT_A_END
#define REIFYDB_INIT_B_END

#define REIFYDB_COLUMN_JSON_(type, ...) \
    "{\"name\":\"" REIFYDB_NAME_(type, __VA_ARGS__) "\"," REIFYDB_JSON_##type "}"
#define REIFYDB_COLUMNS_JSON_A(...) REIFYDB_COLUMN_JSON_(__VA_ARGS__) REIFYDB_COLUMNS_JSON_B
#define REIFYDB_COLUMNS_JSON_B(...) "," REIFYDB_COLUMN_JSON_(__VA_ARGS__) REIFYDB_COLUMNS_JSON_C
#define REIFYDB_COLUMNS_JSON_C(...) "," REIFYDB_COLUMN_JSON_(__VA_ARGS__) REIFYDB_COLUMNS_JSON_B
#define REIFYDB_COLUMNS_JSON_A_END
#define REIFYDB_COLUMNS_JSON_B_END
#define REIFYDB_COLUMNS_JSON_C_END

#define REIFYDB_NAMES_JSON_A(...) "\"" REIFYDB_NAME_(__VA_ARGS__) "\"" REIFYDB_NAMES_JSON_B
#define REIFYDB_NAMES_JSON_B(...) ",\"" REIFYDB_NAME_(__VA_ARGS__) "\"" REIFYDB_NAMES_JSON_C
#define REIFYDB_NAMES_JSON_C(...) ",\"" REIFYDB_NAME_(__VA_ARGS__) "\"" REIFYDB_NAMES_JSON_B
#define REIFYDB_NAMES_JSON_A_END
#define REIFYDB_NAMES_JSON_B_END
#define REIFYDB_NAMES_JSON_C_END

// `{REIFYDB_FIELDS(list)}` initialises a row from variables that are called like its members.
#define REIFYDB_FIELDS(list) REIFYDB_EACH_(REIFYDB_INIT, list)

// ------------------------------------------------------------------ the manifest

// The custom section is put together by the assembler, piece by piece: this header begins it, each
// transition adds itself, the module ends it. What rows and tables have to say is kept in macros of the
// assembler until it is needed. (`#pieces` turns string literals into the assembler's string literals.)
#define REIFYDB_SECTION_ ".section .custom_section.reifydb.manifest,\"\",@\n"
#define REIFYDB_EMIT_(...) REIFYDB_EMIT__(__VA_ARGS__)
#define REIFYDB_EMIT__(pieces) ".ascii " #pieces "\n"
#define REIFYDB_KEEP_(name, ...) __asm__(".macro reifydb_" name "\n" REIFYDB_EMIT_(__VA_ARGS__) ".endm\n");

// The first use of `reifydb_comma` emits nothing and makes all others emit a comma.
__asm__(REIFYDB_SECTION_ REIFYDB_EMIT_("{\"abi\":1,\"transitions\":[")
    ".macro reifydb_comma\n.purgem reifydb_comma\n.macro reifydb_comma\n" REIFYDB_EMIT_(",") ".endm\n.endm\n");

// ------------------------------------------------------------------ rows

// The struct `type` for these columns. `columns` of its functions: how many of the first ones count.
#define REIFYDB_CODEC_(type, list) \
    enum { \
        type##_columns_ = 0 REIFYDB_EACH_(REIFYDB_COUNT, list), \
        type##_points_ = 0 REIFYDB_EACH_(REIFYDB_ANY_POINTS, list), \
        type##_tail_max_ = 0 REIFYDB_EACH_(REIFYDB_SUM_TAIL_MAX, list), \
        type##_bytes_max_ = 8 + 8 * type##_columns_ + (type##_columns_ + 7) / 8 + type##_tail_max_ + 7 \
    }; \
    REIFYDB_ALWAYS_ uint64_t type##_size_(const type *row, uint32_t columns) { \
        uint64_t tail = 8 + 8 * columns + (columns + 7) / 8; \
        uint32_t column = 0; \
        (void)row, (void)column; \
        REIFYDB_EACH_(REIFYDB_TAIL, list) \
        return (tail + 7) & ~(uint64_t)7; \
    } \
    REIFYDB_ALWAYS_ void type##_encode_(const type *row, uint8_t *out, uint64_t length, uint32_t columns) { \
        uint32_t nulls = 8 + 8 * columns; \
        reifydb_writer_ writer = {out, 0, nulls, nulls + (columns + 7) / 8}; \
        (void)row, (void)writer; \
        reifydb_store_(out + length - 8, 0); /* the padding is in the last word */ \
        reifydb_store_(out, length | (uint64_t)columns << 32); \
        for (uint32_t at = nulls; at < nulls + (columns + 7) / 8; at++) out[at] = 0; \
        REIFYDB_EACH_(REIFYDB_PUT, list) \
    } \
    REIFYDB_ALWAYS_ void type##_decode_(type *row, const uint8_t *from) { \
        reifydb_reader_ reader = {from, 0, 8 + 8 * type##_columns_}; \
        (void)row, (void)reader; \
        REIFYDB_EACH_(REIFYDB_TAKE, list) \
    } \
    REIFYDB_ALWAYS_ uint32_t type##_place_(const type *row, const void *member) { \
        uint32_t column = 0, place = 0; \
        (void)row, (void)column, (void)member; \
        REIFYDB_EACH_(REIFYDB_PLACE, list) \
        return place; \
    }

// A row that a transition returns: the type `name_row`. `REIFYDB_TRANSITION(…, row(name), …)`.
#define REIFYDB_ROW(name, ...) \
    typedef struct { \
        REIFYDB_EACH_(REIFYDB_MEMBER, __VA_ARGS__) \
    } name##_row; \
    REIFYDB_CODEC_(name##_row, __VA_ARGS__) \
    REIFYDB_KEEP_("row_" #name, "[" REIFYDB_EACH_(REIFYDB_COLUMNS_JSON, __VA_ARGS__) "]")

// In a function that returns a code: `bytes` and `length`, the row of `pointer`, a `type`. Without
// texts it lies on the stack, else in the arena.
#define REIFYDB_PACK_(type, pointer) \
    uint64_t length = type##_size_(pointer, type##_columns_); \
    _Alignas(8) uint8_t fixed[type##_points_ ? 8 : type##_bytes_max_]; \
    uint8_t *bytes = type##_points_ ? reifydb_outgoing_(length) : fixed; \
    if (bytes == NULL) return REIFYDB_ARENA_FULL; \
    type##_encode_(pointer, bytes, length, type##_columns_);

// The same for many rows, one after the other, in the arena.
#define REIFYDB_PACK_MANY_(type, pointer, count) \
    uint64_t length = 0; \
    for (size_t i = 0; i < count; i++) length += type##_size_(&pointer[i], type##_columns_); \
    uint8_t *bytes = reifydb_outgoing_(length); \
    if (bytes == NULL) return REIFYDB_ARENA_FULL; \
    for (size_t i = 0, at = 0; i < count; i++) { \
        uint64_t one = type##_size_(&pointer[i], type##_columns_); \
        type##_encode_(&pointer[i], bytes + at, one, type##_columns_); \
        at += (size_t)one; \
    }

// ------------------------------------------------------------------ cursors

// What a scan found, read by a table's `next`. Close those not read to their end: cursors are few.
typedef struct {
    int32_t number;
    bool is_open;
    uint8_t *buffer;
    uint32_t capacity, filled, at;
} reifydb_cursor;

// Closes the cursor and gives its buffer back, if nothing was read since by other means.
REIFYDB_INLINE void reifydb_close(reifydb_cursor *cursor) {
    if (!cursor->is_open) return;
    cursor->is_open = false;
    cursor->at = cursor->filled;
    (void)reifydb_host_close(cursor->number);
    reifydb_release_(cursor->buffer, cursor->capacity);
}

// The next rows into the cursor's buffer, which grows for one that is longer; 1, or 0 at the end.
__attribute__((unused)) static int32_t reifydb_fill_(reifydb_cursor *cursor) {
    if (!cursor->is_open) return 0;
    cursor->at = cursor->filled = 0;
    int32_t length = reifydb_host_next(cursor->number, cursor->buffer, cursor->capacity);
    if (length > 0 && (uint32_t)length > cursor->capacity) {
        reifydb_release_(cursor->buffer, cursor->capacity);
        cursor->capacity = 0;
        uint8_t *larger = reifydb_alloc((size_t)length);
        if (larger == NULL) return REIFYDB_ARENA_FULL;
        cursor->buffer = larger;
        cursor->capacity = (uint32_t)length;
        length = reifydb_host_next(cursor->number, cursor->buffer, cursor->capacity);
    }
    if (length < 0) return length;
    cursor->filled = (uint32_t)length;
    if (length == 0) reifydb_close(cursor);
    return length > 0;
}

// Opens a cursor that reads into `buffer`, which is the arena's last piece: given back when it fails.
__attribute__((unused)) static int32_t reifydb_open_(reifydb_cursor *cursor, int32_t relation, int32_t index,
    int32_t flags, const uint8_t *bounds, size_t length, int32_t limit, uint8_t *buffer, uint32_t capacity) {
    int32_t number = reifydb_host_scan(relation, index, flags, bounds, length, limit);
    if (number < 0) {
        reifydb_release_(buffer, capacity);
        return number;
    }
    *cursor = (reifydb_cursor){.number = number, .is_open = true, .buffer = buffer, .capacity = capacity};
    return 0;
}

// ------------------------------------------------------------------ tables

// A relation that this module binds: its columns, those of its primary key in key order, its indexes
// (below). `reifydb generate c` writes these from the schema. For a table `t` there are then
//
//     t_row, t_key, t_range               its rows, its keys, and what of it a scan reads
//     t_get(key…, &row)                   1, or 0 when there is no such row
//     t_need(key…, &row)                  0; REIFYDB_NOT_FOUND when there is no such row
//     t_insert(&row), t_update, t_upsert  0
//     t_delete(key…)                      1, or 0 when there was no such row
//     t_insert_many(rows, count), …       0; all or nothing, one crossing, and none is fine
//     t_delete_many(keys, count)          how many of them there were
//     t_count()                           how many rows, an int64_t
//     t_scan(&cursor, &range)             0; rows in key order. NULL as range: all of them
//     t_next(&cursor, &row)               1, or 0 at the end
//
// or a code below zero. Texts in a row are good until the transition returns; those of a row that came
// from a cursor, until the next one comes.
//
// A row may have fewer columns than the table, in any order, as long as the key is among them: an
// update leaves the others as they are.
#define REIFYDB_TABLE(name, columns, key, ...) REIFYDB_TABLE_AS(name, #name, columns, key, __VA_ARGS__)

// The table "table", which is called `name` here.
#define REIFYDB_TABLE_AS(name, table, columns, key, ...) \
    REIFYDB_ROW(name, columns) \
    static int32_t name##_relation(void); /* defined by REIFYDB_MODULE */ \
    REIFYDB_RANGE_(name, name, 0, key) \
    REIFYDB_OPERATIONS_(name, key) \
    REIFYDB_WRITE_(name, insert) \
    REIFYDB_WRITE_(name, update) \
    REIFYDB_WRITE_(name, upsert) \
    enum { name##_index_0_, REIFYDB_EACH_(REIFYDB_INDEX_NUMBER, __VA_ARGS__) name##_indexes_ }; \
    REIFYDB_OUTER_EACH_(REIFYDB_INDEX, __VA_ARGS__) \
    __asm__(".macro reifydb_table_" #name "\n" REIFYDB_EMIT_("{\"name\":\"" table "\",\"columns\":") \
        "reifydb_row_" #name "\n" REIFYDB_EMIT_(REIFYDB_OUTER_EACH_(REIFYDB_INDEX_JSON, __VA_ARGS__) "}") ".endm\n");

// Indexes are a list of (table, index, columns): `(entry, entry_by_author, (text, author) (int, at))`;
// as a fourth word its name outside, when it has another one here.
// For an index `i` there are i_key, i_range and i_scan(&cursor, &range), to be read with t_next.
#define REIFYDB_INDEX_A(name, index, ...) REIFYDB_INDEX_OF_(name, index, __VA_ARGS__, ) REIFYDB_INDEX_B
#define REIFYDB_INDEX_B(name, index, ...) REIFYDB_INDEX_OF_(name, index, __VA_ARGS__, ) REIFYDB_INDEX_A
#define REIFYDB_INDEX_A_END
#define REIFYDB_INDEX_B_END
#define REIFYDB_INDEX_OF_(name, index, columns, ...) REIFYDB_RANGE_(index, name, index##_number_, columns)

#define REIFYDB_INDEX_NUMBER_A(name, index, ...) index##_number_, REIFYDB_INDEX_NUMBER_B
#define REIFYDB_INDEX_NUMBER_B(name, index, ...) index##_number_, REIFYDB_INDEX_NUMBER_A
#define REIFYDB_INDEX_NUMBER_A_END
#define REIFYDB_INDEX_NUMBER_B_END

#define REIFYDB_INDEX_JSON_A(...) ",\"indexes\":[" REIFYDB_INDEX_JSON_(__VA_ARGS__) REIFYDB_INDEX_JSON_B
#define REIFYDB_INDEX_JSON_B(...) "," REIFYDB_INDEX_JSON_(__VA_ARGS__) REIFYDB_INDEX_JSON_C
#define REIFYDB_INDEX_JSON_C(...) "," REIFYDB_INDEX_JSON_(__VA_ARGS__) REIFYDB_INDEX_JSON_B
#define REIFYDB_INDEX_JSON_A_END
#define REIFYDB_INDEX_JSON_B_END "]"
#define REIFYDB_INDEX_JSON_C_END "]"
#define REIFYDB_INDEX_JSON_(...) \
    REIFYDB_INDEX_PICK_(__VA_ARGS__, REIFYDB_INDEX_JSON_4_, REIFYDB_INDEX_JSON_3_, )(__VA_ARGS__)
#define REIFYDB_INDEX_PICK_(table, index, columns, fourth, pick, ...) pick
#define REIFYDB_INDEX_JSON_3_(table, index, columns) REIFYDB_INDEX_JSON_4_(table, index, columns, #index)
#define REIFYDB_INDEX_JSON_4_(table, index, columns, name) \
    "{\"name\":\"" name "\",\"columns\":[" REIFYDB_EACH_(REIFYDB_NAMES_JSON, columns) "]}"

// The key of a table or an index, ranges of keys, and scans of a range.
//
// Bounds: the first `…_columns` members count, none of them is no bound. `prefix` is a lower and an
// upper bound in one.
#define REIFYDB_RANGE_(name, table, index, key) \
    typedef struct { \
        REIFYDB_EACH_(REIFYDB_MEMBER, key) \
    } name##_key; \
    REIFYDB_CODEC_(name##_key, key) \
    typedef struct { \
        name##_key lower, upper, prefix; \
        uint32_t lower_columns, upper_columns, prefix_columns; \
        bool lower_exclusive, upper_exclusive, descending; \
        int32_t limit;         /* 0: none */ \
        uint32_t buffer_bytes; /* how much is read at a time; 0: 4096 */ \
    } name##_range; \
    REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t name##_scan(reifydb_cursor *cursor, const name##_range *range) { \
        static const name##_range all = {.limit = 0}; \
        if (range == NULL) range = &all; \
        bool is_prefix = range->prefix_columns > 0; \
        const name##_key *lower = is_prefix ? &range->prefix : &range->lower; \
        const name##_key *upper = is_prefix ? &range->prefix : &range->upper; \
        uint32_t lower_columns = is_prefix ? range->prefix_columns : range->lower_columns; \
        uint32_t upper_columns = is_prefix ? range->prefix_columns : range->upper_columns; \
        uint32_t most = name##_key_columns_; \
        if (lower_columns > most || upper_columns > most) return REIFYDB_INVALID_ROW; \
        int32_t flags = range->descending ? 16 : 0; \
        flags |= (lower_columns > 0 ? 1 : 0) | (upper_columns > 0 ? 2 : 0); \
        if (lower_columns > 0 && !is_prefix && range->lower_exclusive) flags |= 4; \
        if (upper_columns > 0 && !is_prefix && range->upper_exclusive) flags |= 8; \
        uint32_t capacity = range->buffer_bytes > 0 ? (range->buffer_bytes + 7) & ~7u : 4096; \
        uint8_t *buffer = reifydb_alloc(capacity); \
        if (buffer == NULL) return REIFYDB_ARENA_FULL; \
        uint64_t lower_bytes = lower_columns > 0 ? name##_key_size_(lower, lower_columns) : 0; \
        uint64_t upper_bytes = upper_columns > 0 ? name##_key_size_(upper, upper_columns) : 0; \
        uint8_t *bounds = reifydb_outgoing_(lower_bytes + upper_bytes); \
        if (bounds == NULL) { \
            reifydb_release_(buffer, capacity); \
            return REIFYDB_ARENA_FULL; \
        } \
        if (lower_columns > 0) name##_key_encode_(lower, bounds, lower_bytes, lower_columns); \
        if (upper_columns > 0) name##_key_encode_(upper, bounds + lower_bytes, upper_bytes, upper_columns); \
        size_t length = (size_t)(lower_bytes + upper_bytes); \
        return reifydb_open_(cursor, table##_relation(), index, flags, bounds, length, range->limit, buffer, \
            capacity); \
    }

#define REIFYDB_OPERATIONS_(name, key) \
    REIFYDB_INLINE int32_t name##_get_(const name##_key *wanted, name##_row *row) { \
        REIFYDB_PACK_(name##_key, wanted) \
        _Alignas(8) uint8_t own[name##_row_points_ ? 8 : name##_row_bytes_max_]; \
        uint8_t *into = name##_row_points_ ? reifydb_free_() : own; \
        size_t room = sizeof own; \
        if (name##_row_points_) room = reifydb_free_bytes_() - (name##_key_points_ ? (size_t)length : 0); \
        int32_t answer = reifydb_host_get(name##_relation(), bytes, (size_t)length, into, room); \
        if (answer == REIFYDB_NOT_FOUND) return 0; \
        if (answer < 0) return answer; \
        if ((size_t)answer > room) return REIFYDB_ARENA_FULL; \
        if (name##_row_points_) reifydb_kept_ += (size_t)answer; \
        name##_row_decode_(row, into); \
        return 1; \
    } \
    REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t name##_get( \
        REIFYDB_EACH_(REIFYDB_KEY_PARAM, key) name##_row *reifydb_into) { \
        return name##_get_(&(name##_key){REIFYDB_FIELDS(key)}, reifydb_into); \
    } \
    REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t name##_need( \
        REIFYDB_EACH_(REIFYDB_KEY_PARAM, key) name##_row *reifydb_into) { \
        int32_t reifydb_found = name##_get_(&(name##_key){REIFYDB_FIELDS(key)}, reifydb_into); \
        return reifydb_found > 0 ? 0 : reifydb_found < 0 ? reifydb_found : REIFYDB_NOT_FOUND; \
    } \
    REIFYDB_INLINE int32_t name##_delete_(const name##_key *wanted) { \
        REIFYDB_PACK_(name##_key, wanted) \
        return reifydb_host_delete(name##_relation(), bytes, (size_t)length); \
    } \
    REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t name##_delete(REIFYDB_EACH_(REIFYDB_ONLY_PARAM, key)) { \
        return name##_delete_(&(name##_key){REIFYDB_FIELDS(key)}); \
    } \
    REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t name##_delete_many(const name##_key *keys, size_t count) { \
        if (count == 0) return 0; \
        REIFYDB_PACK_MANY_(name##_key, keys, count) \
        return reifydb_host_delete(name##_relation(), bytes, (size_t)length); \
    } \
    REIFYDB_INLINE REIFYDB_MUST_LOOK int64_t name##_count(void) { \
        return reifydb_host_count(name##_relation()); \
    } \
    REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t name##_next(reifydb_cursor *cursor, name##_row *row) { \
        if (cursor->at == cursor->filled) { \
            int32_t more = reifydb_fill_(cursor); \
            if (more <= 0) return more; \
        } \
        const uint8_t *from = cursor->buffer + cursor->at; \
        cursor->at += (uint32_t)reifydb_load_(from); \
        name##_row_decode_(row, from); \
        return 1; \
    }

#define REIFYDB_WRITE_(name, operation) \
    REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t name##_##operation(const name##_row *row) { \
        REIFYDB_PACK_(name##_row, row) \
        int32_t answer = reifydb_host_##operation(name##_relation(), bytes, (size_t)length); \
        return answer < 0 ? answer : 0; \
    } \
    REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t name##_##operation##_many(const name##_row *rows, size_t count) { \
        if (count == 0) return 0; \
        REIFYDB_PACK_MANY_(name##_row, rows, count) \
        int32_t answer = reifydb_host_##operation(name##_relation(), bytes, (size_t)length); \
        return answer < 0 ? answer : 0; \
    }

// For a table with an auto-increment column: `t_create(&row, &number)` inserts the row with the next
// number, whatever it holds there, and tells it.
#define REIFYDB_AUTO_INCREMENT(name, column) \
    REIFYDB_INLINE REIFYDB_MUST_LOOK int32_t name##_create(const name##_row *row, int64_t *number) { \
        REIFYDB_PACK_(name##_row, row) \
        uint32_t place = name##_row_place_(row, &row->column); \
        bytes[8 + 8 * name##_row_columns_ + place / 8] |= (uint8_t)(1 << place % 8); \
        int32_t answer = reifydb_host_insert(name##_relation(), bytes, (size_t)length); \
        *number = reifydb_host_generated(); \
        return answer < 0 ? answer : 0; \
    }

// ------------------------------------------------------------------ transitions

// A function that may change rows: its name, its result, its parameters, then its body, which sets
// `*result` and returns 0, or returns what undoes it. Parameters are variables; none is called `result`
// (`(int, result_, "result")` is outside). The result is `none`, a type, or `row(name)` of a
// REIFYDB_ROW or a table; it is zero, empty, null until it is set. `secret(type)` is a parameter that is
// never logged.
#define REIFYDB_TRANSITION(name, returns, ...) REIFYDB_FUNCTION_(name, "", returns, __VA_ARGS__)

// A function that only reads.
#define REIFYDB_QUERY(name, returns, ...) REIFYDB_FUNCTION_(name, ",\"query\":true", returns, __VA_ARGS__)

#define REIFYDB_FUNCTION_(name, query, returns, ...) \
    typedef struct { \
        REIFYDB_EACH_(REIFYDB_MEMBER, __VA_ARGS__) \
        char reifydb_end; /* never empty */ \
    } reifydb_args_##name; \
    REIFYDB_CODEC_(reifydb_args_##name, __VA_ARGS__) \
    REIFYDB_RESULT_(name, returns) \
    static int32_t reifydb_body_##name( \
        reifydb_result_##name *result REIFYDB_EACH_(REIFYDB_PARAM, __VA_ARGS__)); \
    int32_t reifydb_run_##name(void); \
    __attribute__((export_name(#name))) int32_t reifydb_run_##name(void) { \
        reifydb_args_##name args; \
        reifydb_result_##name result; \
        __builtin_memset(&result, 0, sizeof result); \
        reifydb_kept_ = 0; \
        if (reifydb_args_##name##_columns_ > 0) { \
            _Alignas(8) uint8_t own[reifydb_args_##name##_points_ ? 8 : reifydb_args_##name##_bytes_max_]; \
            uint8_t *into = reifydb_args_##name##_points_ ? reifydb_memory_ : own; \
            size_t room = reifydb_args_##name##_points_ ? sizeof reifydb_memory_ : sizeof own; \
            int32_t length = reifydb_host_args(into, room); \
            if (length < 0) return reifydb_ended_(length); \
            if ((size_t)length > room) return reifydb_ended_(REIFYDB_ARENA_FULL); \
            if (reifydb_args_##name##_points_) reifydb_kept_ = (size_t)length; \
            reifydb_args_##name##_decode_(&args, into); \
        } \
        int32_t code = reifydb_body_##name(&result REIFYDB_EACH_(REIFYDB_ARG, __VA_ARGS__)); \
        if (code == 0) code = reifydb_answer_##name(&result); \
        return code == 0 ? 0 : reifydb_ended_(code); \
    } \
    __asm__(REIFYDB_SECTION_ "reifydb_comma\n" \
        REIFYDB_EMIT_("{\"name\":\"" #name "\",\"params\":[" \
            REIFYDB_EACH_(REIFYDB_COLUMNS_JSON, __VA_ARGS__) "],\"result\":") \
        REIFYDB_RESULT_JSON_(returns) REIFYDB_EMIT_(query "}")); \
    static int32_t reifydb_body_##name( \
        __attribute__((unused)) reifydb_result_##name *result REIFYDB_EACH_(REIFYDB_PARAM, __VA_ARGS__))

// What a transition ended with, as it is told to the host: errors with their name, in words of
// docs/abi.md or, for those of this header, as REIFYDB_UNEXPECTED. What the transition aborted with
// itself stays.
__attribute__((cold, unused)) static int32_t reifydb_ended_(int32_t code) {
    static const char *const names[] = {"not_found", "duplicate_key", "not_null", "invalid_row",
        "invalid_number", "read_only", "key_too_long", "row_too_long", "no_relation", "limit_reached",
        "out_of_memory", "transaction_too_large", "exhausted", "check_failed", "expression_failed"};
    if (code <= REIFYDB_NOT_FOUND && code >= REIFYDB_EXPRESSION_FAILED) {
        (void)reifydb_abort(code, names[REIFYDB_NOT_FOUND - code]);
    } else if (code == REIFYDB_ARENA_FULL || code == REIFYDB_OVERFLOW) {
        (void)reifydb_abort(REIFYDB_UNEXPECTED, code == REIFYDB_OVERFLOW ? "overflow" : "arena_full");
        return REIFYDB_UNEXPECTED;
    }
    return code;
}

// Which kind of result it is: NONE, ROW, or VALUE. `none` and `row` are looked up, nothing else is found.
#define REIFYDB_IS_none ~, NONE
#define REIFYDB_IS_row(name) ~, ROW
#define REIFYDB_KIND_(returns) REIFYDB_KIND__(REIFYDB_IS_##returns, VALUE, )
#define REIFYDB_KIND__(...) REIFYDB_KIND___(__VA_ARGS__)
#define REIFYDB_KIND___(found, kind, ...) kind
#define REIFYDB_JOIN_(a, b) REIFYDB_JOIN__(a, b)
#define REIFYDB_JOIN__(a, b) a##b
#define REIFYDB_QUOTE_(...) REIFYDB_QUOTE__(__VA_ARGS__)
#define REIFYDB_QUOTE__(text) #text
#define REIFYDB_OF_row(name) name

#define REIFYDB_RESULT_(name, returns) \
    REIFYDB_JOIN_(REIFYDB_RESULT_, REIFYDB_KIND_(returns))(name, returns)
#define REIFYDB_RESULT_NONE(name, returns) \
    typedef struct { \
        char none; \
    } reifydb_result_##name; \
    REIFYDB_INLINE int32_t reifydb_answer_##name(reifydb_result_##name *result) { \
        (void)result; \
        return 0; \
    }
#define REIFYDB_RESULT_VALUE(name, returns) \
    typedef REIFYDB_C_##returns reifydb_result_##name; \
    typedef struct { \
        REIFYDB_C_##returns value; \
    } reifydb_value_##name; \
    REIFYDB_CODEC_(reifydb_value_##name, (returns, value)) \
    REIFYDB_INLINE int32_t reifydb_answer_##name(reifydb_result_##name *result) { \
        reifydb_value_##name row = {*result}; \
        REIFYDB_PACK_(reifydb_value_##name, &row) \
        return reifydb_host_result(bytes, (size_t)length); \
    }
#define REIFYDB_RESULT_ROW(name, returns) \
    REIFYDB_RESULT_ROW_(name, REIFYDB_JOIN_(REIFYDB_OF_##returns, _row))
#define REIFYDB_RESULT_ROW_(name, type) REIFYDB_RESULT_ROW__(name, type)
#define REIFYDB_RESULT_ROW__(name, type) \
    typedef type reifydb_result_##name; \
    REIFYDB_INLINE int32_t reifydb_answer_##name(reifydb_result_##name *result) { \
        REIFYDB_PACK_(type, result) \
        return reifydb_host_result(bytes, (size_t)length); \
    }

#define REIFYDB_RESULT_JSON_(returns) REIFYDB_JOIN_(REIFYDB_RESULT_JSON_, REIFYDB_KIND_(returns))(returns)
#define REIFYDB_RESULT_JSON_NONE(returns) REIFYDB_EMIT_("null")
#define REIFYDB_RESULT_JSON_VALUE(returns) REIFYDB_EMIT_("{" REIFYDB_JSON_##returns "}")
#define REIFYDB_RESULT_JSON_ROW(returns) \
    REIFYDB_EMIT_("{\"columns\":") "reifydb_row_" REIFYDB_QUOTE_(REIFYDB_OF_##returns) "\n" REIFYDB_EMIT_("}")

// ------------------------------------------------------------------ the module

// Ends the guest's file: the module's name, the SQL of the tables it needs (SCHEMA of the generated
// schema.h, or ""), and the tables it uses: `(account) (entry)`, or RELATIONS of schema.h.
#define REIFYDB_MODULE(name, schema, ...) \
    enum { REIFYDB_EACH_(REIFYDB_NUMBER, __VA_ARGS__) reifydb_relations_ }; \
    REIFYDB_EACH_(REIFYDB_RELATION, __VA_ARGS__) \
    __asm__(REIFYDB_SECTION_ \
        REIFYDB_EMIT_("],\"name\":\"" name "\",\"schema\":\"" schema "\",\"relations\":[") \
        REIFYDB_EACH_(REIFYDB_RELATION_JSON, __VA_ARGS__) REIFYDB_EMIT_("]}"));

#define REIFYDB_NUMBER_A(name) reifydb_number_##name, REIFYDB_NUMBER_B
#define REIFYDB_NUMBER_B(name) reifydb_number_##name, REIFYDB_NUMBER_A
#define REIFYDB_NUMBER_A_END
#define REIFYDB_NUMBER_B_END

#define REIFYDB_RELATION_OF_(name) \
    __attribute__((unused)) static int32_t name##_relation(void) { \
        return reifydb_number_##name; \
    }
#define REIFYDB_RELATION_A(name) REIFYDB_RELATION_OF_(name) REIFYDB_RELATION_B
#define REIFYDB_RELATION_B(name) REIFYDB_RELATION_OF_(name) REIFYDB_RELATION_A
#define REIFYDB_RELATION_A_END
#define REIFYDB_RELATION_B_END

#define REIFYDB_RELATION_JSON_A(name) "reifydb_table_" #name "\n" REIFYDB_RELATION_JSON_B
#define REIFYDB_RELATION_JSON_B(name) REIFYDB_EMIT_(",") "reifydb_table_" #name "\n" REIFYDB_RELATION_JSON_C
#define REIFYDB_RELATION_JSON_C(name) REIFYDB_EMIT_(",") "reifydb_table_" #name "\n" REIFYDB_RELATION_JSON_B
#define REIFYDB_RELATION_JSON_A_END
#define REIFYDB_RELATION_JSON_B_END
#define REIFYDB_RELATION_JSON_C_END

#endif
