/** What the server says of its tables and transitions, made into converters. */

import { refuse } from "./errors.js";
import { type ColumnDescription, type Convert, type DialectName, reader, writer } from "./values.js";

export interface TableDescription {
  readonly name: string;
  readonly columns: readonly ColumnDescription[];
  readonly key: readonly string[];
  /** Of a view: columns of its key that its rows do not have. */
  readonly hidden?: readonly ColumnDescription[] | undefined;
  readonly indexes?: readonly { readonly name: string; readonly columns: readonly string[] }[];
}

export interface TransitionDescription {
  readonly name: string;
  readonly params: readonly ColumnDescription[];
  readonly result:
    | null
    | { readonly type: string; readonly nullable: boolean }
    | { readonly columns: readonly ColumnDescription[] };
  readonly query: boolean;
}

/** What the server answers to `schema`. */
export interface SchemaDescription {
  readonly tables: readonly TableDescription[];
  readonly transitions: readonly TransitionDescription[];
  readonly hash: string;
}

/** Rows of given columns, in one dialect. */
export class RowShape {
  readonly names: readonly string[];
  readonly #readers: readonly (Convert | undefined)[];
  readonly #writers: readonly Convert[];

  constructor(columns: readonly ColumnDescription[], dialect: DialectName) {
    this.names = columns.map((column) => column.name);
    this.#readers = columns.map((column) => reader(column, dialect));
    this.#writers = columns.map((column) => writer(column, dialect));
  }

  /** Values in the order of the columns. Throws `protocol` when there are more or fewer. */
  values(wire: unknown): unknown[] {
    if (!Array.isArray(wire) || wire.length !== this.names.length) {
      throw refuse("protocol", `a row that has not the columns ${this.names.join(", ")}`);
    }
    return wire.map((value, i) => {
      const read = this.#readers[i];
      return value === null || read === undefined ? value : read(value);
    });
  }

  /** A row by column. */
  row(wire: unknown): Record<string, unknown> {
    const values = this.values(wire);
    const row: Record<string, unknown> = {};
    for (let i = 0; i < values.length; i++) {
      put(row, this.names[i] as string, values[i]);
    }
    return row;
  }

  /** Values for the wire, by position. What is too much is left as it is: the server refuses it. */
  written(values: readonly unknown[]): unknown[] {
    return values.map((value, i) => this.#write(i, value));
  }

  /** Values for the wire, by name. Unknown names are left as they are: the server has the hint. */
  writtenByName(values: object): Record<string, unknown> {
    const written: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(values)) {
      if (value !== undefined) {
        put(written, name, this.#write(this.names.indexOf(name), value));
      }
    }
    return written;
  }

  #write(i: number, value: unknown): unknown {
    if (value === null || value === undefined) {
      return null;
    }
    const write = this.#writers[i];
    return write === undefined ? value : write(value);
  }
}

/** Sets a property, also one called `__proto__`, which is a column's name like any other. */
function put(row: Record<string, unknown>, name: string, value: unknown): void {
  if (name === "__proto__") {
    Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    row[name] = value;
  }
}

/** A table in one dialect. */
export class TableShape {
  readonly rows: RowShape;
  readonly keys: RowShape;
  readonly #indexes: ReadonlyMap<string, RowShape>;

  constructor(description: TableDescription, dialect: DialectName) {
    const stored = [...description.columns, ...(description.hidden ?? [])];
    const byName = new Map(stored.map((column) => [column.name, column]));
    const shape = (names: readonly string[]) =>
      new RowShape(names.flatMap((name) => byName.get(name) ?? []), dialect);
    this.rows = new RowShape(description.columns, dialect);
    this.keys = shape(description.key);
    this.#indexes = new Map(description.indexes?.map((index) => [index.name, shape(index.columns)]));
  }

  /** A key of the wire: its value, or several in an array. */
  key(wire: unknown): unknown {
    const values = this.keys.values(Array.isArray(wire) ? wire : [wire]);
    return values.length === 1 ? values[0] : values;
  }

  writtenKey(key: unknown): unknown {
    const written = this.keys.written(this.keys.names.length > 1 && Array.isArray(key) ? key : [key]);
    return written.length === 1 ? written[0] : written;
  }

  /** A bound of a scan: the first values of the columns of an index. */
  writtenBound(index: string | undefined, bound: unknown): unknown[] {
    const shape = index === undefined ? this.keys : this.#indexes.get(index);
    const values: readonly unknown[] = Array.isArray(bound) ? bound : [bound];
    return shape === undefined ? [...values] : shape.written(values);
  }
}

/** A transition in one dialect. */
export class TransitionShape {
  readonly query: boolean;
  readonly #params: RowShape;
  readonly #result: (wire: unknown) => unknown;

  constructor(description: TransitionDescription, dialect: DialectName) {
    this.query = description.query;
    this.#params = new RowShape(description.params, dialect);
    const { result } = description;
    if (result !== null && "columns" in result) {
      const rows = new RowShape(result.columns, dialect);
      this.#result = (wire) => (wire === null ? null : rows.row(wire));
    } else {
      const read = result === null ? undefined : reader({ ...result, name: "result" }, dialect);
      this.#result = (wire) => (wire === null || read === undefined ? wire : read(wire));
    }
  }

  written(args: unknown): unknown {
    if (Array.isArray(args)) {
      return this.#params.written(args);
    }
    if (typeof args === "object" && args !== null) {
      return this.#params.writtenByName(args);
    }
    throw refuse("bad_request", "arguments are an array, or an object by name");
  }

  result(wire: unknown): unknown {
    return this.#result(wire);
  }
}

/** All that this client may use. */
export class Shapes {
  readonly hash: string;
  readonly #tables: ReadonlyMap<string, TableShape>;
  readonly #transitions: ReadonlyMap<string, TransitionShape>;

  constructor(description: SchemaDescription, dialect: DialectName) {
    this.hash = description.hash;
    this.#tables = new Map(description.tables.map((table) => [table.name, new TableShape(table, dialect)]));
    const transitions = new Map<string, TransitionShape>();
    const short = new Map<string, TransitionShape | undefined>();
    for (const transition of description.transitions) {
      const shape = new TransitionShape(transition, dialect);
      const name = transition.name.slice(transition.name.indexOf(".") + 1);
      short.set(name, short.has(name) ? undefined : shape);
      transitions.set(transition.name, shape);
    }
    for (const [name, shape] of short) {
      if (shape !== undefined && !transitions.has(name)) {
        transitions.set(name, shape);
      }
    }
    this.#transitions = transitions;
  }

  /** Undefined: there is none of this name, or it may not be used. The server says which. */
  table(name: string): TableShape | undefined {
    return this.#tables.get(name);
  }

  /** By full name, or without the module's where that is unique. */
  transition(name: string): TransitionShape | undefined {
    return this.#transitions.get(name);
  }
}
