/** Requests: what of each kind is sent, whether it may be sent twice, and how its answer is read. */

import { refuse } from "./errors.js";
import { RowShape, type Shapes, type TableShape } from "./shapes.js";
import type { Answer, CallOptions, Position, QueryParams, ScanOptions } from "./types.js";
import { type ColumnDescription, type DialectName, writtenParameter } from "./values.js";

/** A request made ready for the schema of the moment. */
export interface Prepared {
  /** What follows the id. */
  readonly rest: readonly unknown[];
  /** It changes nothing, and may be sent again. */
  readonly safe: boolean;
  /** False: it names what the schema does not have, and goes as it is, for the server to refuse. */
  readonly known: boolean;
  /** The answer's value, by the schema that it was made under; `message` is the whole answer. */
  read(shapes: Shapes, value: unknown, message: readonly unknown[]): unknown;
}

/** Throws a `ReifyDBError` when a value is not of its type. */
export type Prepare = (shapes: Shapes) => Prepared;

export type Write = "insert" | "update" | "upsert" | "delete";

export function call(name: string, args: unknown, options: CallOptions | undefined): Prepare {
  const more = options === undefined ? [] : [options];
  return (shapes) => {
    const shape = shapes.transition(name);
    if (shape === undefined) {
      return unknown([name, args, ...more]);
    }
    const rest = [name, shape.written(args), ...more];
    return { rest, safe: shape.query, known: true, read: (now, value) => result(now, name, value) };
  };
}

export function group(
  calls: readonly (readonly [string, unknown?])[],
  options: CallOptions | undefined,
): Prepare {
  const more = options === undefined ? [] : [options];
  return (shapes) => {
    const found = calls.map(([name]) => shapes.transition(name));
    const listed = calls.map(([name, args], i) => [name, found[i]?.written(args ?? []) ?? args ?? []]);
    if (found.includes(undefined)) {
      return unknown([listed, ...more]);
    }
    const read = (now: Shapes, values: unknown) =>
      (values as unknown[]).map((value, i) => result(now, calls[i]?.[0] ?? "", value));
    return { rest: [listed, ...more], safe: found.every((shape) => shape?.query), known: true, read };
  };
}

export function get(table: string, key: unknown): Prepare {
  return ofTable(table, [key], (shape) => ({
    rest: [table, shape.writtenKey(key)],
    safe: true,
    known: true,
    read: (now, row) => (row === null ? null : known(now, table).rows.row(row)),
  }));
}

/** Rows of a scan, and the cursor of those behind them. */
export interface Page {
  readonly rows: any[];
  readonly next: string | null;
}

export function scan(table: string, options: ScanOptions & { cursor?: string }): Prepare {
  return ofTable(table, [options], (shape) => {
    const given: Record<string, unknown> = { ...options };
    for (const bound of ["lower", "upper"] as const) {
      const value = options[bound];
      if (value === undefined || value === null) {
        delete given[bound];
      } else {
        given[bound] = shape.writtenBound(options.index, value);
      }
    }
    return {
      rest: [table, given],
      safe: true,
      known: true,
      read: (now, page): Page => {
        const { rows, next } = page as Page;
        return { rows: rows.map((row) => known(now, table).rows.row(row)), next };
      },
    };
  });
}

export function query(sql: string, params: QueryParams | undefined, dialect: DialectName): Prepare {
  const read = (_: Shapes, answer: unknown): Answer => {
    const { columns, rows } = answer as { columns: ColumnDescription[]; rows: unknown[] };
    const shape = new RowShape(columns, dialect);
    return Object.assign(rows.map((row) => shape.row(row)), { columns });
  };
  return () => {
    const rest = params === undefined ? [sql] : [sql, writtenParams(params, dialect)];
    return { rest, safe: true, known: true, read };
  };
}

function writtenParams(params: QueryParams, dialect: DialectName): unknown {
  if (Array.isArray(params)) {
    return params.map((value, i) => writtenParameter(value, `$${i + 1}`, dialect));
  }
  if (typeof params !== "object" || params === null) {
    throw refuse("bad_request", "parameters are an array, or an object by name");
  }
  const named = Object.entries(params).map(([name, value]) => [name, writtenParameter(value, `:${name}`, dialect)]);
  return Object.fromEntries(named);
}

export function write(how: Write, table: string, rows: readonly unknown[]): Prepare {
  return (shapes) => {
    const shape = shapes.table(table);
    if (shape === undefined) {
      return unknown([how, table, rows]);
    }
    const written = rows.map((row) => {
      if (how === "delete") {
        return shape.writtenKey(row);
      }
      if (typeof row !== "object" || row === null) {
        throw refuse("bad_request", "a row is an object by column");
      }
      return shape.rows.writtenByName(row);
    });
    const read = (now: Shapes, value: unknown) =>
      how === "insert" ? (value as unknown[]).map((key) => known(now, table).key(key)) : Number(value);
    return { rest: [how, table, written], safe: false, known: true, read };
  };
}

/** What is followed: a table by its name, or a select with its parameters. */
export type Followed = string | { readonly query: string; readonly params?: QueryParams };

export function subscribe(what: Followed, since: Position | undefined, dialect: DialectName): Prepare {
  const more = since === undefined ? [] : [{ since: [since.incarnation, since.lsn] }];
  const params = typeof what === "string" ? undefined : what.params;
  const written =
    typeof what === "string" || params === undefined
      ? what
      : { query: what.query, params: writtenParams(params, dialect) };
  return () => ({ rest: [written, ...more], safe: true, known: true, read: (_, value) => value });
}

export function unsubscribe(id: number): Prepare {
  return () => ({ rest: [id], safe: true, known: true, read: () => undefined });
}

/** What `ping` tells: where the database is, and what is on disk. */
export interface Pong {
  readonly position: Position;
  readonly durableLsn: number;
}

export function ping(): Prepare {
  const read = (_: Shapes, value: unknown, message: readonly unknown[]): Pong => {
    const [incarnation, lsn] = value as unknown[];
    return { position: { incarnation: Number(incarnation), lsn: Number(lsn) }, durableLsn: Number(message[3]) };
  };
  return () => ({ rest: [], safe: true, known: true, read });
}

function ofTable(table: string, rest: unknown[], prepare: (shape: TableShape) => Prepared): Prepare {
  return (shapes) => {
    const shape = shapes.table(table);
    return shape === undefined ? unknown([table, ...rest]) : prepare(shape);
  };
}

function result(shapes: Shapes, name: string, value: unknown): unknown {
  const shape = shapes.transition(name);
  if (shape === undefined) {
    throw refuse("protocol", `a result of ${name}, which is not in the schema`);
  }
  return shape.result(value);
}

function known(shapes: Shapes, table: string): TableShape {
  const shape = shapes.table(table);
  if (shape === undefined) {
    throw refuse("protocol", `rows of ${table}, which is not in the schema`);
  }
  return shape;
}

function unknown(rest: readonly unknown[]): Prepared {
  const read = () => {
    throw refuse("protocol", "an answer to what is not in the schema");
  };
  return { rest, safe: false, known: false, read };
}
