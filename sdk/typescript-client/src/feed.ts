/**
 * One subscription, without any I/O: what the server streams becomes snapshots and deltas.
 *
 * It outlives connections: `since` is where the next one may go on.
 */

import { type ReifyDBError, refuse } from "./errors.js";
import type { Followed } from "./requests.js";
import { type TableDescription, TableShape } from "./shapes.js";
import type { Change, Delta, Position, Snapshot } from "./types.js";
import type { DialectName } from "./values.js";

export type Item = Snapshot<any, any> | Delta<any, any>;

const OPS = ["delete", "insert", "update"] as const;

/** Who is told what has come. */
export interface Listener {
  item(item: Item): void;
  ended(error: ReifyDBError): void;
}

export class Feed {
  readonly what: Followed;
  /** The table as of this position has been delivered. */
  since: Position | undefined;
  /** Whether `since` was given by the user rather than reached: then it must be right. */
  given: boolean;
  /** The id of the subscription on the current connection. */
  id: number | undefined;
  readonly #listener: Listener;
  readonly dialect: DialectName;
  #incarnation = 0;
  #shape: TableShape | undefined;
  #gathered: Map<string, readonly [key: unknown, row: unknown]> | undefined;

  constructor(what: Followed, dialect: DialectName, since: Position | undefined, listener: Listener) {
    this.what = what;
    this.since = since;
    this.given = since !== undefined;
    this.dialect = dialect;
    this.#listener = listener;
  }

  get #name(): string {
    return typeof this.what === "string" ? this.what : "select";
  }

  /** The server has accepted the subscription. */
  begin(description: TableDescription, incarnation: number): void {
    this.#shape = new TableShape(description, this.dialect);
    this.#incarnation = incarnation;
    this.#gathered = undefined;
    this.given = false;
  }

  /** The connection is gone; what was gathered of a snapshot is of no use. */
  pause(): void {
    this.id = undefined;
    this.#gathered = undefined;
  }

  /** Nothing comes any more. */
  end(error: ReifyDBError): void {
    this.#listener.ended(error);
  }

  /**
   * A message of the stream. False: a commit is missing, and the subscription must begin anew.
   *
   * Throws `protocol` when it is none.
   */
  receive(message: readonly unknown[]): boolean {
    const [kind] = message;
    switch (kind) {
      case "page":
        this.#gathered ??= new Map();
        this.#gather(message[2]);
        return true;
      case "ready":
        this.#deliverSnapshot(Number(message[2]));
        return true;
      case "restart":
        this.#restart(message[2], message[3], message[4]);
        return true;
      default:
        return this.#delta(Number(message[2]), Number(message[3]), message[4]);
    }
  }

  #restart(columns: unknown, key: unknown, hidden: unknown): void {
    const description = { name: this.#name, columns, key, hidden } as TableDescription;
    this.#shape = new TableShape(description, this.dialect);
    this.#gathered = new Map();
  }

  #gather(entries: unknown): void {
    for (const [op, key, row] of listed(entries)) {
      if (op === 0) {
        this.#gathered?.delete(identity(key));
      } else {
        this.#gathered?.set(identity(key), [key, row]);
      }
    }
  }

  #deliverSnapshot(lsn: number): void {
    const shape = this.#known();
    const gathered = Array.from(this.#gathered?.values() ?? []);
    const rows = gathered.map(([, row]) => shape.rows.row(row));
    const keys = gathered.map(([key]) => shape.key(key));
    this.#gathered = undefined;
    this.since = { incarnation: this.#incarnation, lsn };
    this.#listener.item({ kind: "snapshot", position: this.since, rows, keys });
  }

  #delta(lsn: number, previousLsn: number, entries: unknown): boolean {
    if (this.#gathered !== undefined) {
      this.#gather(entries);
      return true;
    }
    const { since } = this;
    if (since === undefined || (since.incarnation === this.#incarnation && previousLsn > since.lsn)) {
      return false;
    }
    const shape = this.#known();
    const changes = listed(entries).map(([op, key, row]): Change<any, any> => {
      const name = OPS[op as 0 | 1 | 2];
      return name === "delete"
        ? { op: name, key: shape.key(key), row: null }
        : { op: name, key: shape.key(key), row: shape.rows.row(row) };
    });
    this.since = { incarnation: this.#incarnation, lsn };
    this.#listener.item({ kind: "delta", position: this.since, previousLsn, changes });
    return true;
  }

  #known(): TableShape {
    if (this.#shape === undefined) {
      throw refuse("protocol", `a stream of ${this.#name} before it was accepted`);
    }
    return this.#shape;
  }
}

function listed(entries: unknown): readonly (readonly unknown[])[] {
  if (!Array.isArray(entries)) {
    throw refuse("protocol", "a stream without entries");
  }
  return entries;
}

/** A key of the wire as text, the same for the same key. */
function identity(key: unknown): string {
  const values = Array.isArray(key) ? key : [key];
  return JSON.stringify(
    values.map((value: unknown) => {
      if (value instanceof Uint8Array) {
        return `b${value.join()}`;
      }
      return typeof value === "string" ? `s${value}` : `v${String(value)}`;
    }),
  );
}

