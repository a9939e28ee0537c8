// A bank: accounts, and the transitions that may move money between them.
//
// What may go wrong has a code and a name that callers can rely on (`refuse_…`). Sums are checked: an
// account that would overflow refuses with `overflow` instead of trapping.

#include "schema.h"

// Why a transition refuses: the abort's code, and its name as message.
#define REFUSAL(code, name) \
    static int32_t name(void) { \
        return reifydb_abort(code, #name); \
    }
REFUSAL(1, same_account)
REFUSAL(2, non_positive_amount)
REFUSAL(3, account_missing)
REFUSAL(4, insufficient_funds)
REFUSAL(5, account_exists)
REFUSAL(6, account_not_empty)
REFUSAL(7, negative_balance)

static int32_t find(int64_t id, account_row *row) {
    int32_t found = account_get(id, row);
    return found == 0 ? account_missing() : found;
}

// Opens an account that holds `balance`.
REIFYDB_TRANSITION(open, none, (int, id) (text, owner) (int, balance)) {
    if (balance < 0) return negative_balance();
    int32_t code = account_insert(&(account_row){id, owner, balance});
    return code == REIFYDB_DUPLICATE_KEY ? account_exists() : code;
}

// Moves `amount` from `source` to `target`; what is left in `source`.
REIFYDB_TRANSITION(transfer, int, (int, source) (int, target) (int, amount)) {
    account_row from, to;
    if (source == target) return same_account();
    if (amount <= 0) return non_positive_amount();
    TRY(find(source, &from));
    TRY(find(target, &to));
    if (from.balance < amount) return insufficient_funds();
    from.balance -= amount;
    TRY(reifydb_add(to.balance, amount, &to.balance));
    TRY(account_update(&from));
    TRY(account_update(&to));
    *result = from.balance;
    return 0;
}

// Adds `amount` to an account; its balance.
REIFYDB_TRANSITION(deposit, int, (int, id) (int, amount)) {
    account_row row;
    if (amount <= 0) return non_positive_amount();
    TRY(find(id, &row));
    TRY(reifydb_add(row.balance, amount, &row.balance));
    TRY(account_update(&row));
    *result = row.balance;
    return 0;
}

// Takes `amount` out of an account; its balance.
REIFYDB_TRANSITION(withdraw, int, (int, id) (int, amount)) {
    account_row row;
    if (amount <= 0) return non_positive_amount();
    TRY(find(id, &row));
    if (row.balance < amount) return insufficient_funds();
    row.balance -= amount;
    TRY(account_update(&row));
    *result = row.balance;
    return 0;
}

// Closes an account that holds nothing.
REIFYDB_TRANSITION(close_account, none, (int, id)) {
    account_row row;
    TRY(find(id, &row));
    if (row.balance != 0) return account_not_empty();
    TRY(account_delete(id));
    return 0;
}

REIFYDB_QUERY(balance, int, (int, id)) {
    account_row row;
    TRY(find(id, &row));
    *result = row.balance;
    return 0;
}

// The money in all accounts. O(accounts).
REIFYDB_QUERY(total, int) {
    reifydb_cursor rows;
    account_row row;
    int32_t found;
    TRY(account_scan(&rows, NULL));
    while ((found = account_next(&rows, &row)) > 0) TRY(reifydb_add(*result, row.balance, result));
    return found;
}

REIFYDB_MODULE("bank", SCHEMA, (account))
