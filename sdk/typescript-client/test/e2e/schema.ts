// Tables and transitions, typed. Made by `reifydb generate typescript`, not to be edited.

import type { Decimal, DecimalInput, Int, JsonValue, Timestamp, TimestampInput } from "@reifydb/client";

/** A row of table `account`, as it is read. */
export interface Account {
  id: Int;
  owner: string;
  balance: Int;
}

/** A row for table `account`. */
export interface AccountInsert {
  id: Int;
  owner: string;
  balance: Int;
}

/** The key of a row of table `account`, and what to change. */
export interface AccountUpdate {
  id: Int;
  owner?: string;
  balance?: Int;
}

/** A row of table `everything`, as it is read. */
export interface Everything {
  id: Int;
  b: boolean | null;
  f: number | null;
  t: string | null;
  d: Uint8Array | null;
  at: Timestamp | null;
  price: Decimal | null;
  u: string | null;
  j: JsonValue | null;
  big: Int | null;
}

/** A row for table `everything`. */
export interface EverythingInsert {
  id: Int;
  b?: boolean | null;
  f?: number | null;
  t?: string | null;
  d?: Uint8Array | null;
  at?: TimestampInput | null;
  price?: DecimalInput | null;
  u?: string | null;
  j?: JsonValue | null;
  big?: Int | null;
}

/** The key of a row of table `everything`, and what to change. */
export interface EverythingUpdate {
  id: Int;
  b?: boolean | null;
  f?: number | null;
  t?: string | null;
  d?: Uint8Array | null;
  at?: TimestampInput | null;
  price?: DecimalInput | null;
  u?: string | null;
  j?: JsonValue | null;
  big?: Int | null;
}

/** A row of table `line`, as it is read. */
export interface Line {
  order_id: Int;
  position: Int;
  note: string | null;
}

/** A row for table `line`. */
export interface LineInsert {
  order_id: Int;
  position: Int;
  note?: string | null;
}

/** The key of a row of table `line`, and what to change. */
export interface LineUpdate {
  order_id: Int;
  position: Int;
  note?: string | null;
}

/** For `connect<Schema>(…)`. */
export interface Schema {
  tables: {
    account: { row: Account; insert: AccountInsert; update: AccountUpdate; key: Int };
    everything: { row: Everything; insert: EverythingInsert; update: EverythingUpdate; key: Int };
    line: { row: Line; insert: LineInsert; update: LineUpdate; key: [order_id: Int, position: Int] };
  };
  transitions: {
    "bank.open": { params: [id: Int, owner: string, balance: Int]; named: { id: Int; owner: string; balance: Int }; result: null };
    "bank.transfer": { params: [source: Int, target: Int, amount: Int]; named: { source: Int; target: Int; amount: Int }; result: Int };
    "bank.deposit": { params: [id: Int, amount: Int]; named: { id: Int; amount: Int }; result: Int };
    "bank.withdraw": { params: [id: Int, amount: Int]; named: { id: Int; amount: Int }; result: Int };
    "bank.close_account": { params: [id: Int]; named: { id: Int }; result: null };
    "bank.balance": { params: [id: Int]; named: { id: Int }; result: Int };
    "bank.total": { params: []; named: Record<string, never>; result: Int };
  };
}
