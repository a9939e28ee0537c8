//! Look-ups: one row by its key, asked for and answered in a word and a row, without arguments or a result of the call.

const layout = @import("layout.zig");
const row_format = @import("row.zig");
const table_format = @import("table.zig");
const transaction = @import("transaction.zig");
const cursor = @import("cursor.zig");
const views = @import("view.zig");
const queries = @import("query.zig");
const control = &layout.control;

/// A look-up: one row is asked for by its key, without arguments or a result of the call. At the start of the input is a
/// word: the number of a query or a table, and 32 bits further up the length of the row of values that follows. The
/// answer takes the word's place: −2^62 when there is no such row; or that and the first six bytes of the row that lies
/// in the output, and `has_nulls`; or a code. They are all negative, so a word that is not shows that the call has not
/// returned.
const Lookup = struct {
    number: u32,
    values: []const u8,

    const none: i64 = -(1 << 62);
    const has_nulls: i64 = 1 << 48;

    fn given() layout.Error!Lookup {
        const asked = word().*;
        const length: usize = @intCast(asked >> 32);
        if (length > layout.input_bytes_max - 8) return error.LimitReached;
        return .{ .number = @truncate(asked), .values = layout.input[8..][0..length] };
    }

    fn answer(result: layout.Error!bool) void {
        const found = result catch |err| return say(layout.codeOf(err));
        if (!found) return say(none);
        const row: row_format.Row = .{ .at = @intFromPtr(&layout.output) };
        const head: i64 = @intCast(row.words()[0] & 0xffff_ffff_ffff);
        say(none + head + if (row.hasNulls()) has_nulls else 0);
    }

    fn say(what: i64) void {
        word().* = @bitCast(what);
    }

    fn word() *u64 {
        return @ptrCast(&layout.input);
    }
};

/// Runs a query that finds at most one row, for the values of its parameters.
export fn find_row() void {
    control.operation = .scan;
    defer control.operation = .none;
    control.fault_index = 0;
    Lookup.answer(findRow());
}

fn findRow() layout.Error!bool {
    const lookup = try Lookup.given();
    return try queries.runPoint(lookup.number, lookup.values, &layout.output) > 0;
}

/// Looks for the row of a table that has this key.
export fn get_row() void {
    control.operation = .read;
    defer control.operation = .none;
    control.fault_index = 0; // or a limit that was reached before would be named
    Lookup.answer(getRow());
}

fn getRow() layout.Error!bool {
    const lookup = try Lookup.given();
    const table = table_format.get(lookup.number) orelse return error.NoRelation;
    try views.see(table);
    const row = try transaction.get(table, lookup.values) orelse return false;
    _ = row_format.copyTo(&layout.output, .{ .at = try cursor.shown(&table.layout.visible, row) });
    return true;
}
