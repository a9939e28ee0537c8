"""Breaks the upkeep of views, and foreign keys, on purpose, a place at a time: does anyone notice?

`python -m tests.views.mutations [--only WORD] [--out FILE]` applies each of `MUTATIONS` to a copy
of kernel, package and tests, builds the kernel, and lets the machine run on it. 20 s each.
The table of the last run is in tests/views/mutations.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEDS, EACH, SECONDS_MAX = 16, 250, 300


@dataclass(frozen=True)
class Mutation:
    """One place, and what stands there instead.

    Attributes:
        by: Who must notice: the machine of tests/views, or that of foreign keys.
    """

    name: str
    path: str
    old: str
    new: str
    by: str = "views"


def _kernel(name: str, file: str, old: str, new: str) -> Mutation:
    return Mutation(name, f"kernel/{file}.zig", old, new)


def _python(name: str, file: str, old: str, new: str) -> Mutation:
    return Mutation(name, f"reifydb/{file}.py", old, new)


def _keys(name: str, file: str, old: str, new: str) -> Mutation:
    return Mutation(name, f"kernel/{file}.zig", old, new, "keys")


MUTATIONS = (
    # ------------------------------------------------------------ selects that are followed
    _kernel(
        "a row that leaves a selection by what it compares is not told",
        "selection",
        "if (before) |hash| try look(shape, hash, change, after != null and after.? == hash);",
        "if (before) |hash| if (after != null and after.? == hash) "
        "try look(shape, hash, change, true);",
    ),
    _kernel(
        "a row that comes to a selection by what it compares is not told",
        "selection",
        "if (before == null or before.? != hash) {",
        "if (before == null) {",
    ),
    _kernel(
        "who follows is told of what it does not see",
        "selection",
        "if (std.mem.eql(u8, before.bytes(), shown.bytes())) return true;",
        "if (before.at == 0) return true;",
    ),
    _kernel(
        "values of the one before are asked",
        "selection",
        "if (shape.condition()) |runner| "
        "runner.program.prepare(runner.cells, selection.parameters);\n"
        "        const found",
        "const found",
    ),
    _python(
        "a select is not begun anew when its table has other columns",
        "database/schema_changes",
        "db._subscriptions.before_schema(change.names(statements))",
        "pass",
    ),
    # ------------------------------------------------------------ views that are made anew
    _kernel(
        "rows that are gone stay",
        "rebuild",
        "for (gone.items) |row| try transaction.removeDerived(table, row);\n    for (come",
        "for (come",
    ),
    _kernel(
        "rows that have changed stay",
        "rebuild",
        ".eq => if (!sameValues(old.?, new.?)) try come.add(arena, new.?),",
        ".eq => {},",
    ),
    _kernel(
        "rows that the transaction deleted count",
        "rebuild",
        "if (old) |row| if (row.has(row_format.flag_dead)) {\n"
        "            old = old_rows.next();\n            continue;\n        };",
        "",
    ),
    # ------------------------------------------------------------ joins
    _kernel(
        "old rows are brought together with new ones",
        "join",
        "if (self.as_was or same_only) window else null",
        "if (same_only) window else null",
    ),
    _kernel(
        "rows as they were are not found",
        "join",
        "if (self.as_was and !same_only) window else null",
        "null",
    ),
    _kernel(
        "what changed on both sides counts twice",
        "join",
        "step.input > self.changed)",
        "false)",
    ),
    _kernel(
        "what changed on both sides does not count",
        "join",
        "step.input > self.changed)",
        "step.input != self.changed)",
    ),
    _kernel(
        "a join's condition is not asked",
        "join",
        "if (step.condition) |condition| if (!try condition.holds(&self.rows)) return true;\n"
        "            self.met",
        "self.met",
    ),
    _kernel(
        "the index is left one row too early",
        "join",
        "if (!std.mem.startsWith(u8, old.key, buffer[0..len])) break;",
        "if (!std.mem.startsWith(u8, old.key, buffer[0..len]) or old.key.len == len) break;",
    ),
    _kernel(
        "a left join of nothing shows nothing",
        "join",
        "if (self.met[depth]) return true;",
        "if (true) return true;",
    ),
    _kernel(
        "a left join shows nulls besides what it finds",
        "join",
        "if (self.met[depth]) return true;",
        "",
    ),
    _kernel(
        "a left join looks at new rows alone",
        "view",
        "for ([_]u64{ change.old, change.new }) |at| {",
        "for ([_]u64{ 0, change.new }) |at| {",
    ),
    _kernel(
        "what a left join had does not go",
        "view",
        "for ([_]bool{ true, false }) |as_was| for",
        "for ([_]bool{false}) |as_was| for",
    ),
    _kernel(
        "rows that come stand before those that go",
        "difference",
        "if (weight < 0) {",
        "if (weight > 0) {",
    ),
    # ------------------------------------------------------------ flushes
    _kernel("a view is read as it was", "view", "if (table.derived) try flush();", "_ = table;"),
    _kernel(
        "a view of a view is not told",
        "view",
        "if (to > from and view.table.feeds > 0) try changes.collect",
        "if (false) try changes.collect",
    ),
    _kernel(
        "only the first input's changes matter",
        "view",
        "for (view.inputs) |input| if (input.window != null) return true;",
        "if (view.inputs[0].window != null) return true;",
    ),
    _kernel(
        "what was flushed stays flushed when it is undone",
        "transaction",
        "    generated = to.generated;\n    flushed = to.flushed;\n",
        "    generated = to.generated;\n",
    ),
    _kernel(
        "a commit does not flush",
        "closing",
        "    try views.flush();\n",
        "",
    ),
    _kernel(
        "a row inserted again has an old version",
        "changes",
        "if (entry.kind == .insert) 0 else entry.old",
        "entry.old",
    ),
    _kernel(
        "the first of two changes of a row counts",
        "changes",
        "change.new = entry.new;",
        "",
    ),
    _kernel(
        "a row like the one before is not written",
        "transaction",
        "if (new.length() != old.length()) return false;\n"
        "    for (new.words()[1..], old.words()[1..]) |x, y| if (x != y) return false;\n"
        "    return true;\n}\n\n/// A view's buffer",
        "return new.length() == old.length();\n}\n\n/// A view's buffer",
    ),
    # ------------------------------------------------------------ rows
    _kernel(
        "a filter is not asked of the row before",
        "lone",
        "if (change.old != 0 and try together(arena, plan, driver, change.old, &shown)) {",
        "if (change.old != 0) {\n"
        "        _ = try together(arena, plan, driver, change.old, &shown);",
    ),
    _kernel(
        "a row that is filtered out stays",
        "lone",
        "if (was) |old| try transaction.removeDerived(table, old);\n        return;",
        "return;",
    ),
    # ------------------------------------------------------------ one row that changes
    _kernel(
        "one row: columns of conditions decide nothing",
        "lone",
        "var decides = ofRunner(driver.condition, input) | ofRunner(plan.condition, input);",
        "var decides: reads.Columns = 0;",
    ),
    _kernel(
        "one row: groups decide nothing",
        "lone",
        "for (0..plan.groups) |i| decides |= reads.ofOutput(program, input, i);",
        "",
    ),
    _kernel(
        "one row: what is sorted by decides nothing",
        "lone",
        "for (plan.columns()..plan.row.outputs()) |i| "
        "decides |= reads.ofOutput(program, input, i);",
        "",
    ),
    _kernel(
        "one row: an output depends on the last operand alone",
        "reads",
        "var found: Columns = if (one.a < program.registers) registers[one.a] else 0;",
        "var found: Columns = if (one.a > program.registers) registers[one.a] else 0;",
    ),
    _kernel(
        "one row: texts of one length are the same",
        "reads",
        "if (one != other) return found | ofNullsAndTails(types, a, b);",
        "_ = .{ one, other };",
    ),
    _kernel(
        "one row: any key is the row's own",
        "lone",
        "if (reads.placeOf(program, input, position).? == wanted) break;",
        "_ = wanted;\n            if (position == position) break;",
    ),
    _kernel(
        "one row: a group's last row leaves it there",
        "group_patch",
        "if (rowAt(slot).slot(patch.rows_at).* == 1 and !plan.global) return false;",
        "_ = rowAt(slot);",
    ),
    _kernel(
        "one row: what was null counts",
        "group_patch",
        "return .{ .counts = !row.isNull(place), .word",
        "return .{ .counts = true, .word",
    ),
    _kernel(
        "one row: nine changes are eight",
        "changes",
        "if (window.changes.items.len > few) try window.versions.put(arena, last, number);\n"
        "            return;",
        "return;",
    ),
    _kernel(
        "rows with fewer columns have nulls",
        "plan",
        "writer.copy(i, kind, if (i < row.columns()) row else shape.defaults, i);",
        "if (i < row.columns()) writer.copy(i, kind, row, i) else writer.putNull(i);",
    ),
    # ------------------------------------------------------------ groups
    _kernel(
        "a sum is not taken back",
        "groups",
        "@as(i128, @as(i64, @bitCast(value.value))) * times",
        "@as(i128, @as(i64, @bitCast(value.value))) * @max(times, 0)",
    ),
    _kernel(
        "a sum is taken back twice",
        "groups",
        "@as(i128, @as(i64, @bitCast(value.value))) * times",
        "@as(i128, @as(i64, @bitCast(value.value))) * @min(times * 2, 1)",
    ),
    _kernel(
        "a true is not taken back",
        "groups",
        "@as(i128, value.value & 1) * times",
        "@as(i128, value.value & 1) * @max(times, 0)",
    ),
    _kernel(
        "a float is added instead of taken back",
        "groups",
        "average_float => accumulator.floats.?.add(value.float(), times > 0)",
        "average_float => accumulator.floats.?.add(value.float(), true)",
    ),
    _kernel(
        "an aggregate's filter is ignored",
        "groups",
        "if (filter.is_null != 0 or filter.value == 0) return null;",
        "if (filter.is_null != 0 and filter.value == 1) return null;",
    ),
    _kernel(
        "a null counts",
        "groups",
        "return if (cell.is_null != 0) null else cell;",
        "return cell;",
    ),
    _kernel(
        "an average of decimals is cut",
        "percentile",
        "if (2 * rest < @abs(b)) return quotient;",
        "if (2 * rest < 100 * @abs(b)) return quotient;",
    ),
    _kernel(
        "a value goes with the first of its rows",
        "group_rows",
        "return if (before == 0) 1 else 0;",
        "return if (before == 0) 1 else if (sink.times < 0) -1 else 0;",
    ),
    _kernel(
        "the least value is one that is gone",
        "group_rows",
        "if (!row.has(row_format.flag_dead)) return row;",
        "return row;",
    ),
    _kernel(
        "an empty group stays",
        "group_rows",
        "if (group.rows == 0 and !sink.plan.global) {",
        "if (group.rows < 0 and !sink.plan.global) {",
    ),
    _kernel(
        "a negative sum is read as a positive one",
        "group_rows",
        "word(@intCast(one.sum >> 64))",
        "word(0)",
    ),
    _kernel(
        "a negative sum of floats is read as a positive one",
        "exact_sum",
        "return writeWords(&words, sum.isNegative(), out);",
        "return writeWords(&words, false, out);",
    ),
    _kernel(
        "count(*) with a filter counts all",
        "group_rows",
        "aggregate.function == .count_rows and aggregate.filter == layout.none_u32)",
        "aggregate.function == .count_rows)",
    ),
    _kernel(
        "a null is kept as a zero",
        "cell",
        "if (cell.is_null != 0) return writer.putNull(column);",
        "if (cell.is_null != 0 and kind == .int) return writer.putWord(column, 0);\n"
        "        if (cell.is_null != 0) return writer.putNull(column);",
    ),
    # ------------------------------------------------------------ variances, percentiles, lists
    _kernel(
        "squares of values that go are kept",
        "groups",
        "else accumulator.squares -= size * size;",
        "else accumulator.squares += size * size;",
    ),
    _kernel(
        "a variance of a sample is that of the population",
        "variance",
        "if (wanted.population) own else own - 1",
        "if (wanted.population) own else own",
    ),
    _kernel(
        "a percentile does not notice what comes before it",
        "group_rows",
        "accumulator.best) == .lt) accumulator.below += times;",
        "accumulator.best) == .gt) accumulator.below += 0;",
    ),
    _kernel(
        "a percentile goes back by values, not by rows",
        "group_rows",
        "below -= times;",
        "below -= 1;",
    ),
    _kernel(
        "a percentile never lies between two values",
        "group_rows",
        "if (place.part == 0 or place.index + 1 < below + times)",
        "if (place.index + 1 <= below + times)",
    ),
    _kernel(
        "a discrete percentile is one value too far",
        "percentile",
        "const before = (all * fraction + (whole - 1)) / whole;",
        "const before = (all * fraction + whole) / whole;",
    ),
    _kernel(
        "an array has no nulls",
        "groups",
        "    if (aggregate.function == .array) return cell;\n",
        "",
    ),
    _kernel(
        "arg_min takes rows without a by",
        "groups",
        "if (aggregate.function == .first) for",
        "if (false) for",
    ),
    _kernel(
        "a list has each value once",
        "group_rows",
        "items.left = if (items.once) 1 else",
        "items.left = if (true) 1 else",
    ),
    # ------------------------------------------------------------ views with parameters
    _python(
        "all parameters of a view have its first value",
        "sql/open_views",
        "return values[index]",
        "return values[0]",
    ),
    _python(
        "values by name stand in the order in which they are given",
        "sql/open_views",
        "return [given[column.name] for column in view.parameters]",
        "return list(given.values())",
    ),
    _python(
        "a view with parameters is a filter without its condition",
        "sql/open_views",
        "return replace(rewrite_query(query, change), parameters=(), parameter_names=())",
        "return replace(rewrite_query(query, change), parameters=(), parameter_names=(), "
        "**({} if getattr(query, 'grouped', True) else {'where': None}))",
    ),
    _python(
        "a list's values have no order but their own",
        "views/planner",
        "if order and order[0] == OrderBy(aggregate.args[0]):",
        "if order:",
    ),
    # ------------------------------------------------------------ the first rows
    _kernel(
        "the last row shown may change unseen",
        "top",
        "top.last[0..top.last_len]) == .gt",
        "top.last[0..top.last_len]) != .lt",
    ),
    _kernel(
        "what was known before an abort is believed",
        "transaction",
        "if (undo_len > to.undo_len) epoch += 1;",
        "",
    ),
    _kernel(
        "rows that are gone are among the first",
        "top",
        "if (row.has(row_format.flag_dead)) continue;\n            if (skip > 0) {",
        "if (skip > 0) {",
    ),
    _kernel(
        "the first rows end one too early",
        "top",
        "if (found.items.len == top.count) break;",
        "if (found.items.len + 1 >= top.count) break;",
    ),
    _kernel(
        "an offset is one too small",
        "top",
        "var skip = top.skip;",
        "var skip = top.skip -| 1;",
    ),
    _kernel(
        "nulls stand at the wrong end",
        "plan",
        "if (sort.nulls_first) 0 else 0xff",
        "if (sort.nulls_first) 0xff else 0",
    ),
    _kernel(
        "descending is ascending",
        "plan",
        "byte.* = ~byte.*;",
        "byte.* = byte.*;",
    ),
    # ------------------------------------------------------------ numbered rows
    _kernel(
        "the part that a row left is not numbered anew",
        "places",
        "for ([_]u64{ change.old, change.new })",
        "for ([_]u64{ change.new, change.new })",
    ),
    _kernel(
        "places go on from one part to the next",
        "places",
        "                place = 0;\n",
        "",
    ),
    _kernel(
        "a row that is not among the first stays",
        "places",
        "if ((try keys.put(arena, own_key[0..len])).new) try transaction.removeDerived(to, row);",
        "if ((try keys.put(arena, own_key[0..len])).new and shown.len == 0) continue;",
    ),
    _kernel(
        "places are not written",
        "places",
        "made.slot(places.column).* = place;",
        "made.slot(places.column).* = @min(place, 1);",
    ),
    _python(
        "the bound is one row too far",
        "sql/numbering",
        'value.value - (op == "lt")',
        "value.value - 1",
    ),
    # ------------------------------------------------------------ planner
    _python(
        "half a key tells rows apart",
        "views/building",
        "for ref in primary_key(table, i)} <= given",
        "for ref in primary_key(table, i)} & given",
    ),
    _python(
        "null equals null in an index",
        "views/access",
        "            if not column.nullable:\n                done.add(id(same.said))",
        "            done.add(id(same.said))",
    ),
    _python(
        "conditions that an index finds some of are not asked",
        "views/access",
        "return max(paths(table, found), key=lambda path: (path.rank, -path.index))",
        "best = max(paths(table, found), key=lambda path: (path.rank, -path.index))\n"
        "    return replace(best, done=frozenset(id(c.said) for c in found))",
    ),
    _python(
        "distinct is forgotten behind groups",
        "views/building",
        "query = replace(_all_of(inner), distinct=True)",
        "query = replace(_all_of(inner), distinct=True)\n                return inner",
    ),
    _python(
        "having is forgotten",
        "views/building",
        "where=None if query.having is None else over_group(query.having, count),",
        "where=None,",
    ),
    _python(
        "a layer takes no conditions with it",
        "views/layering",
        "where=together(inside),",
        "where=None,",
    ),
    _python(
        "a filter that is left joined filters what it is joined to",
        "views/flattening",
        'if inner is not None and one.join != "left":',
        "if inner is not None:",
    ),
    # ------------------------------------------------------------ subqueries
    _python(
        "a null among others is none",
        "sql/subqueries",
        "        if option.nullable:\n",
        "        if False:\n",
    ),
    _python(
        "null is not in anything, even in nothing",
        "sql/subqueries",
        "both = (missing, self.found(rows))",
        "both = (missing, _TRUE)",
    ),
    _python(
        "null is in nothing, but surely",
        "sql/subqueries",
        "        if value.nullable:\n",
        "        if False:\n",
    ),
    _python(
        "no rows are not counted",
        "sql/subqueries",
        'Operation("coalesce", (found, _ZERO), INT, False, at=node.at)',
        "found",
    ),
    _kernel(
        "the last shown column of a group may change unseen",
        "view",
        "return if (plan.grouped) plan.final.?.outputs() else",
        "return if (plan.grouped) plan.final.?.outputs() - 1 else",
    ),
    # ------------------------------------------------------------ the buffer of the first rows
    _kernel(
        "that all rows are kept is not undone",
        "transaction",
        ".more => table.view.?.buffer.?.more = entry.old != 0,",
        ".more => {},",
    ),
    _kernel(
        "a buffer that has too few rows is not filled again",
        "buffer",
        "return buffer.more and table.rows < buffer.wanted;",
        "return buffer.more and table.rows + 1 < buffer.wanted;",
    ),
    _kernel(
        "rows behind the boundary are kept",
        "buffer",
        "if (!buffer.more) return false;\n        if (buffer.known_at != transaction.epoch)"
        " buffer.locate(table);\n        return buffer.bound",
        "if (table.number > 0) return false;\n        return buffer.bound",
    ),
    _kernel(
        "rows that are pushed out leave all there",
        "buffer",
        "try buffer.setMore(table, true);",
        "",
    ),
    _kernel(
        "the boundary is one row too near",
        "buffer",
        "if (over == 0) {\n                buffer.bound.set(table, row);",
        "if (over == 0) {\n                _ = it.next();\n"
        "                buffer.bound.set(table, it.next() orelse row);",
    ),
    _kernel(
        "rows like the last one in what is sorted by are left out",
        "buffer",
        "return !filling.stops or std.mem.eql(",
        "return !filling.stops and std.mem.eql(",
    ),
    _kernel(
        "what a join changes behind the boundary comes",
        "difference",
        "if (buffer.leavesOut(table, .{ .at = @intFromPtr(bytes.ptr) })) continue;",
        "",
    ),
    _kernel(
        "nulls are behind every boundary",
        "buffer",
        "if (row.isNull(quick.place)) return quick.null_head > bound.head;",
        "if (row.isNull(quick.place)) return true;",
    ),
    # ------------------------------------------------------------ assertions
    _kernel(
        "an assertion is not looked at",
        "view",
        "if (asserted == 0) return null;",
        "if (asserted < 1000) return null;",
    ),
    _kernel(
        "an assertion is looked at before its view is up to date",
        "closing",
        "try views.flush();\n    const table = views.unwanted() orelse return;",
        "const table = views.unwanted() orelse return views.flush();",
    ),
    _python(
        "an assertion is a view once the database is opened again",
        "engine/table_json",
        '{"assertion": True} if view.assertion else {}',
        "{}",
    ),
    # ------------------------------------------------------------ foreign keys
    _keys(
        "new rows are not compared",
        "foreign_key",
        "if (table.keys != null and entry.kind != .delete)",
        "if (false)",
    ),
    _keys(
        "rows that change are not compared",
        "foreign_key",
        "if (table.keys != null and entry.kind != .delete)",
        "if (table.keys != null and entry.kind == .insert)",
    ),
    _keys(
        "what is gone may be referenced",
        "foreign_key",
        "if (table.referenced != null and entry.kind != .insert)",
        "if (false)",
    ),
    _keys(
        "what has another key may be referenced by the old one",
        "foreign_key",
        "if (table.referenced != null and entry.kind != .insert)",
        "if (table.referenced != null and entry.kind == .delete)",
    ),
    _keys(
        "what comes back is gone",
        "foreign_key",
        "if (!one.holds() or one.isStillThere(old)) continue;",
        "if (!one.holds()) continue;",
    ),
    _keys(
        "a deleted row references on",
        "foreign_key",
        "if (!row.has(row_format.flag_dead)) return row;",
        "return row;",
    ),
    _keys(
        "a row that is dead already is compared",
        "foreign_key",
        "if (row.has(row_format.flag_dead) or table_format.get",
        "if (table_format.get",
    ),
    _keys(
        "what a cascade deletes takes nothing with it",
        "foreign_key",
        "while (at < transaction.entries()) : (at += 1) {",
        "while (at < from + 1) : (at += 1) {",
    ),
    _keys(
        "nothing cascades",
        "foreign_key",
        "if (!one.cascade or !one.holds()) continue;",
        "if (one.number < 1000 or !one.holds()) continue;",
    ),
    _keys(
        "everything cascades",
        "foreign_key",
        "if (!one.cascade or !one.holds()) continue;",
        "if (!one.holds()) continue;",
    ),
    _keys(
        "columns are referenced in the order of the child's",
        "foreign_key",
        "for (from_child, parent_order) |*place, wanted| place.* = partner(pairs, 2, wanted)",
        "for (from_child, parent_order, 0..) |*place, _, i| "
        "place.* = @as(?u16, std.mem.readInt(u16, pairs[4 * i ..][0..2], .little))",
    ),
    _keys(
        "rows that are there are not compared with a new key",
        "foreign_key",
        "while (left) |one| : (left = one.next) try compareAll(one);",
        "left = null;",
    ),
    Mutation(
        "foreign keys are forgotten when the database is opened",
        "reifydb/database/state.py",
        "            if table.foreign_keys:\n                self.define_foreign_keys(table)\n"
        "        return",
        "        return",
        "keys",
    ),
)


# ------------------------------------------------------------------ the hunt


def hunt(by: str) -> str:
    """Runs a machine until it notices something; how soon, and what."""
    return hunt_keys() if by == "keys" else hunt_views()


def hunt_keys() -> str:
    """The machine of foreign keys."""
    from tests.property.test_foreign_keys import Run

    done = 0
    for seed in range(1, SEEDS + 1):
        with tempfile.TemporaryDirectory() as folder:
            run = None
            try:
                run = Run(seed, str(Path(folder) / "db") if seed % 2 else ":memory:")
                run.run(EACH)
                done += EACH
            except BaseException as error:
                done += 0 if run is None else run.figures["transactions"]
                said = (str(error).strip().splitlines() or ["?"])[0][:60]
                return f"{done} | {type(error).__name__}: {said}"
            finally:
                if run is not None:
                    with contextlib.suppress(Exception):
                        run.close()
    return ""


def hunt_views() -> str:
    """The machine of views."""
    from tests.views.machine import machine

    done = 0
    for seed in range(1, SEEDS + 1):
        run = None
        try:
            with contextlib.redirect_stdout(io.StringIO()), machine(seed) as run:
                run.run(EACH)
                done += run.figures["transactions"]
        except BaseException as error:
            done += 0 if run is None else run.figures["transactions"]
            said = (str(error).strip().splitlines() or ["?"])[0][:60]
            return f"{done} | {type(error).__name__}: {said}"
    return ""


def _try(mutation: Mutation) -> str:
    with tempfile.TemporaryDirectory(prefix="mutation-") as holder:
        root = Path(holder)
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("kernel", "reifydb", "tests"):
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        path = root / mutation.path
        text = path.read_text()
        if text.count(mutation.old) < 1:
            return "does not apply"
        text = text.replace(mutation.old, mutation.new, 1)
        if mutation.path.endswith("access.py") and "replace(best" in text:
            text = text.replace("import dataclass\n", "import dataclass, replace\n", 1)
        path.write_text(text)
        cache = root / ".zig-cache"
        cache.symlink_to(ROOT / ".zig-cache")
        environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        built = subprocess.run(
            [sys.executable, str(root / "kernel" / "build.py")],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode:
            return f"does not build: {built.stderr[-400:]}"
        try:
            found = subprocess.run(
                [sys.executable, "-m", "tests.views.mutations", "--hunt", mutation.by],
                cwd=root,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"? | it does not end within {SECONDS_MAX} s"
        return found.stdout.strip() or (f"? | {found.stderr[-80:]}" if found.returncode else "")


def table(rows: Iterable[tuple[Mutation, str]]) -> str:
    """The results, for people."""
    lines = [
        "# Mutations of the upkeep of views",
        "",
        "Made by `python -m tests.views.mutations`: each is applied to a copy of the sources, and",
        "the machine of tests/views, or that of tests/property/test_foreign_keys.py, runs on it.",
        "Transactions: how many it took to notice.",
        "",
        "| broken | where | transactions | noticed as |",
        "|---|---|---|---|",
    ]
    for mutation, found in rows:
        said = found.replace("\n", " ") or "– | **not noticed**"
        lines.append(f"| {mutation.name} | `{mutation.path}` | {said} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Breaks views on purpose.")
    parser.add_argument("--only", default="", help="those whose name has this in it")
    parser.add_argument("--out", type=Path, help="where the table goes")
    parser.add_argument("--hunt", choices=("views", "keys"), help="run this on what is there")
    options = parser.parse_args()
    if options.hunt:
        print(hunt(options.hunt))
        return 0
    rows = []
    for mutation in MUTATIONS:
        if options.only in mutation.name:
            found = _try(mutation)
            rows.append((mutation, found))
            print(f"{mutation.name}: {found or 'NOT NOTICED'}", flush=True)
    if options.out is not None:
        options.out.write_text(table(rows))
    missed = [m.name for m, found in rows if not found or found.startswith("does not")]
    print(f"{len(rows) - len(missed)} of {len(rows)} were noticed; not: {missed}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
