/** The types of values, and how a schema types a connection. */

import type { Timestamp } from "./timestamp.js";

/** A value of an int column: a number while that is exact, beyond ±(2^53 − 1) a bigint. */
export type Int = number | bigint;

/** A decimal: text such as "12.50", with all digits of the column's scale. */
export type Decimal = string;

/** What may be written to a decimal column: text, or a whole number. */
export type DecimalInput = string | Int;

/** What may be written to a timestamp column: a date, or microseconds since 1970 UTC. */
export type TimestampInput = Date | bigint;

/** JSON, as `JSON.parse` makes it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** JSON's own null as the whole value of a json column; `null` is the absence of a value. */
export const JSON_NULL: unique symbol = Symbol("JSON null");

/** A value of a json column. */
export type JsonValue = Exclude<Json, null> | typeof JSON_NULL;

/** Any value of any column. */
export type Value = null | boolean | Int | string | Uint8Array | Timestamp | Date | JsonValue;

/** How one table is typed. */
export interface TableTypes {
  row: object;
  insert: object;
  update: object;
  key: unknown;
}

/** How one transition is typed. */
export interface TransitionTypes {
  params: readonly unknown[];
  named: object;
  result: unknown;
}

/** What `reifydb generate typescript` makes: the types of tables and transitions by name. */
export interface SchemaTypes {
  tables: { [name: string]: TableTypes };
  transitions: { [name: string]: TransitionTypes };
}

/** A connection without generated types takes and gives anything. */
export interface AnySchema {
  tables: {
    [name: string]: {
      row: { [column: string]: any };
      insert: { [column: string]: unknown };
      update: { [column: string]: unknown };
      key: unknown;
    };
  };
  transitions: {
    [name: string]: { params: readonly unknown[]; named: { [name: string]: unknown }; result: any };
  };
}

export type TableName<S extends SchemaTypes> = keyof S["tables"] & string;
export type TransitionName<S extends SchemaTypes> = keyof S["transitions"] & string;
export type Row<S extends SchemaTypes, T extends TableName<S>> = S["tables"][T]["row"];
export type Key<S extends SchemaTypes, T extends TableName<S>> = S["tables"][T]["key"];
export type Args<S extends SchemaTypes, N extends TransitionName<S>> =
  | S["transitions"][N]["params"]
  | S["transitions"][N]["named"];
export type Result<S extends SchemaTypes, N extends TransitionName<S>> = S["transitions"][N]["result"];

/** What follows a transition's name: its arguments, which may be left out when it has none. */
export type CallRest<S extends SchemaTypes, N extends TransitionName<S>> =
  [] extends S["transitions"][N]["params"]
    ? [args?: Args<S, N>, options?: CallOptions]
    : [args: Args<S, N>, options?: CallOptions];

/** A call of a group: a transition and its arguments. */
export type GroupCall<S extends SchemaTypes> = {
  [N in TransitionName<S>]: readonly [N, Args<S, N>] | ([] extends S["transitions"][N]["params"] ? readonly [N] : never);
}[TransitionName<S>];

/** What an answer waits for: that it is on disk, or only that it is committed. */
export type Ack = "durable" | "committed";

export interface CallOptions {
  /** Instead of the connection's. */
  ack?: Ack;
}

export interface ScanOptions {
  /** The primary key when left out. */
  index?: string;
  /** One value, or the first ones of the index's columns. */
  lower?: unknown;
  upper?: unknown;
  lower_exclusive?: boolean;
  upper_exclusive?: boolean;
  limit?: number;
  reverse?: boolean;
}

/** A column of a query's answer: its type as in SQL, `decimal(10,2)`. */
export interface AnswerColumn {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
}

/** The rows of a query's answer by column, and what the columns are, which `rows[0]` may not say. */
export type Answer<R = { [column: string]: any }> = R[] & { readonly columns: readonly AnswerColumn[] };

/** Values of a query's parameters: of `:name` by name, of `?` and `$1` in their order. */
export type QueryParams = readonly (Value | undefined)[] | { readonly [name: string]: Value | undefined };

/** A point in the history of a database: `lsn` counts commits, `incarnation` openings. */
export interface Position {
  readonly incarnation: number;
  readonly lsn: number;
}

/** A whole table as of a position. It replaces whatever was known before. */
export interface Snapshot<R, K = unknown> {
  readonly kind: "snapshot";
  readonly position: Position;
  readonly rows: R[];
  /** Of each row its key, as changes name it: a view's may have values that its rows do not show. */
  readonly keys: K[];
}

/** What one commit changed of a table: at most one change of each key. */
export interface Delta<R, K> {
  readonly kind: "delta";
  readonly position: Position;
  /** Of the commit before it that changed the table. */
  readonly previousLsn: number;
  readonly changes: Change<R, K>[];
}

export type Change<R, K> =
  | { readonly op: "insert" | "update"; readonly key: K; readonly row: R }
  | { readonly op: "delete"; readonly key: K; readonly row: null };
