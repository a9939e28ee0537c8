/** What is tried against a real server, from Node and in a browser alike. */

import {
  Client,
  connect,
  type ConnectOptions,
  type Delta,
  JSON_NULL,
  type JsonValue,
  ReifyDBError,
  type Snapshot,
  Timestamp,
  type WebSocketClass,
} from "@reifydb/client";
import type { Schema } from "./schema.js";

/** Where the server is, and what makes it do things. */
export interface Ground {
  /** Of the server. */
  readonly url: string;
  /** Of what controls it: `stop`, `start`, `deposit`, `execute`. */
  readonly control: string;
  readonly protocol: "msgpack" | "json";
  readonly WebSocket?: WebSocketClass;
}

type Scenario = (ground: Ground) => Promise<void>;

function check(condition: boolean, claim: string): asserts condition {
  if (!condition) {
    throw new Error(`it is not so that ${claim}`);
  }
}

function same(found: unknown, expected: unknown): void {
  const [a, b] = [text(found), text(expected)];
  if (a !== b) {
    throw new Error(`found ${a}, expected ${b}`);
  }
}

/** Anything as text that tells types apart. */
function text(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return `${part}n`;
    if (typeof part === "symbol") return String(part);
    if (part instanceof Uint8Array) return `bytes ${part.join()}`;
    return part === undefined ? "undefined" : part;
  });
}

async function refused(code: string, promise: Promise<unknown>): Promise<ReifyDBError> {
  try {
    await promise;
  } catch (error) {
    check(error instanceof ReifyDBError, `${String(error)} is a ReifyDBError`);
    same(error.code, code);
    return error;
  }
  throw new Error(`it was not refused with ${code}`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !done(); i++) {
    await pause(10);
  }
  check(done(), `this comes in time: ${String(done)}`);
}

const opened: Client<Schema>[] = [];

async function open(ground: Ground, more: ConnectOptions = {}): Promise<Client<Schema>> {
  const { protocol, WebSocket } = ground;
  const options = WebSocket ? { protocol, WebSocket, ...more } : { protocol, ...more };
  const client = await connect<Schema>(ground.url, options);
  opened.push(client);
  return client;
}

/** Closes what scenarios that failed have left open. */
export function closeAll(): void {
  for (const client of opened.splice(0)) {
    client.close();
  }
}

async function tell(ground: Ground, what: string): Promise<void> {
  const answer = await fetch(`${ground.control}/${what}`, { method: "POST" });
  check(answer.ok, `the control answers ${what}`);
}

let nextId = Math.floor(Math.random() * 1e9) * 1000;

/** A WebSocket class that counts frames, and whose socket can be cut once it has sent one more. */
function cuttable(ground: Ground): { Class: WebSocketClass; cut: () => void; frames: () => number } {
  const Base: WebSocketClass = ground.WebSocket ?? globalThis.WebSocket;
  let frames = 0;
  let cutting = false;
  class Cuttable extends Base {
    override send(data: unknown): void {
      frames += 1;
      super.send(data);
      if (cutting) {
        cutting = false;
        const closed = this.onclose;
        this.close();
        closed?.({ code: 1006, reason: "" });
      }
    }
  }
  const cut = () => {
    cutting = true;
  };
  return { Class: Cuttable, cut, frames: () => frames };
}

// ------------------------------------------------------------------ the scenarios

const values: Scenario = async (ground) => {
  const db = await open(ground);
  const id = nextId++;
  const at = Timestamp.of("2024-01-31T12:00:00.123456Z");
  const row = {
    id,
    b: true,
    f: 0.1,
    t: "Grüße, 世界 🌍",
    d: Uint8Array.of(0, 1, 255),
    at,
    price: "12.50",
    u: "12345678-9abc-def0-1234-56789abcdef0",
    j: { a: [1, 2.5, null, "x"], b: {} },
    big: 9007199254740993n,
  };
  same(await db.insert("everything", row), id);
  const found = await db.get("everything", id);
  same(found, { ...row, j: { a: [1, 2.5, null, "x"], b: {} } });
  check(found !== null && found.at instanceof Timestamp, "a timestamp is read as one");
  same(found.at.micros, 1706702400123456n);
  same(await db.update("everything", { id, at: found.at, f: 3, big: 7n, j: JSON_NULL, price: -3 }), 1);
  const changed = await db.get("everything", id);
  same(changed?.at?.micros, 1706702400123456n);
  same([changed?.f, changed?.big, changed?.j, changed?.price], [3, 7, JSON_NULL, "-3.00"]);
  for (const big of [2 ** 40, -(2 ** 40), 2 ** 31, -(2 ** 31) - 1, 2 ** 53 - 1, 2n ** 63n - 1n, -(2n ** 63n)]) {
    await db.update("everything", { id, big, f: Number(big) });
    const read = await db.get("everything", id);
    same([read?.big, read?.f], [big, Number(big)]);
  }
  const documents: JsonValue[] = [JSON_NULL, { $json: null }, { $json: { $json: [] } }, { $json: 1, a: null }, "null", 0, false, []];
  for (const j of documents) {
    await db.update("everything", { id, j });
    same((await db.get("everything", id))?.j, j);
  }
  const nothing = { b: null, f: null, t: null, d: null, at: null, price: null, u: null, j: null, big: null };
  same(await db.upsert("everything", { id, ...nothing }), 1);
  same(await db.get("everything", id), { id, ...nothing });
  const moments = [-1n, 0n, -62135596800000000n, 253402300799999999n, 2n ** 63n - 1n];
  for (const micros of moments) {
    await db.update("everything", { id, at: micros });
    same((await db.get("everything", id))?.at?.micros, micros);
  }
  same(await db.delete("everything", [id]), 1);
  same(await db.get("everything", id), null);
  await refused("wrong_type", db.insert("everything", { id, big: 1.5 }));
  await refused("wrong_type", db.insert("everything", { id, price: "0.001" }));
  await refused("wrong_type", db.insert("everything", { id, f: Number.NaN }));
  await refused("wrong_type", db.insert("everything", { id, t: "\ud800" }));
  await refused("wrong_type", db.insert("everything", { id, at: new Date(Number.NaN) }));
  db.close();
};

const queries: Scenario = async (ground) => {
  const db = await open(ground);
  const id = nextId++;
  const row = {
    id,
    b: true,
    f: 2 ** 40,
    t: "世界",
    d: Uint8Array.of(0, 255),
    at: Timestamp.of("2024-01-31T12:00:00.123456Z"),
    price: "12.50",
    u: "12345678-9abc-def0-1234-56789abcdef0",
    j: { $json: 1, a: [1, 2.5, null, 2 ** 40] },
    big: 2n ** 62n,
  };
  await db.insert("everything", row);
  for (const [name, value] of Object.entries(row)) {
    const sql = `select * from everything where id = :id and ${name} = :value`;
    const found = await db.query<typeof row>(sql, { id, value });
    same([...found], [row]);
    check(found[0]?.at instanceof Timestamp, "a timestamp is read as one");
    same((await db.query(`select id from everything where ${name} = ?`, [null])).length, 0);
  }
  for (const j of [JSON_NULL, { $json: null }, "null", 0, false, []] as JsonValue[]) {
    await db.update("everything", { id, j });
    same([...(await db.query("select j from everything where id = $1 and j = $2", [id, j]))], [{ j }]);
  }
  const { columns } = await db.query("select price * 2 as twice from everything where id = -1");
  same(columns, [{ name: "twice", type: "decimal(11,2)", nullable: true }]);
  const error = await refused("sql", db.query("select frob from everything"));
  same([error.facts.line, error.facts.column], [1, 8]);
  await refused("expression", db.query("select 1 / (id - id) as x from everything where id = ?", [id]));
  await refused("wrong_type", db.query("select id from everything where id = ?", ["x"]));
  await refused("wrong_type", db.query("select id from everything where f = ?", [Number.NaN]));
  await refused("bad_request", db.query("select id from everything where id = ?"));
  await db.delete("everything", [id]);
  db.close();
};

/** Keys of a view that its rows do not show, keys with null, and the first rows of an order. */
const views: Scenario = async (ground) => {
  const { protocol, WebSocket } = ground;
  const db = await connect(ground.url, WebSocket ? { protocol, WebSocket } : { protocol });
  const name = (what: string) => `${what}_${protocol}`;
  const sql = `
    create table ${name("person")} (id uuid, at timestamp, city text, age int, primary key (id, at));
    create view ${name("grown")} as select age from ${name("person")} where age >= 18;
    create view ${name("by_city")} as select city, count(*) as people from ${name("person")} group by city;
    create view ${name("oldest")} as
      select age from ${name("person")} where age > 0 order by age desc, id limit 2;`;
  await tell(ground, `execute?sql=${encodeURIComponent(sql)}`);
  const id = (i: number) => `00000000-0000-0000-0000-00000000000${i}`;
  const at = Timestamp.of("2024-01-31T12:00:00.123456Z");
  const person = (i: number, city: string | null, age: number) => ({ id: id(i), at, city, age });
  await db.insert(name("person"), [person(1, "bern", 36), person(2, null, 17), person(3, "bern", 20)]);
  const kept = ["grown", "by_city", "oldest"].map((view) => {
    const rows = new Map<string, object>();
    let told = 0;
    const follow = db.subscribe(name(view), {
      onSnapshot: (snapshot) => {
        told = 1;
        rows.clear();
        snapshot.keys.forEach((key, i) => rows.set(text(key), snapshot.rows[i] ?? {}));
      },
      onDelta: (delta) => {
        told += 1;
        for (const change of delta.changes) {
          if (change.op === "delete") {
            rows.delete(text(change.key));
          } else {
            rows.set(text(change.key), change.row);
          }
        }
      },
    });
    return { rows, follow, told: () => told };
  });
  await until(() => kept.every((one) => one.told() === 1));
  same(kept.map((one) => one.rows.size), [2, 2, 2]);
  await db.upsert(name("person"), person(2, null, 50));
  await db.update(name("person"), { id: id(3), at, city: null });
  await db.delete(name("person"), [[id(1), at]]);
  const [grown, byCity, oldest] = kept;
  check(grown !== undefined && byCity !== undefined && oldest !== undefined, "there are three");
  await until(() => grown.told() === 3 && byCity.told() === 3 && oldest.told() === 3);
  const [second, third] = [text([id(2), at]), text([id(3), at])];
  same([...grown.rows].sort(), [[second, { age: 50 }], [third, { age: 20 }]]);
  same([...byCity.rows], [[text(null), { city: null, people: 2 }]]);
  same([...oldest.rows].sort(), [...grown.rows].sort());
  same(await db.get(name("grown"), [id(2), at]), { age: 50 });
  same(await db.get(name("by_city"), null), { city: null, people: 2 });
  const shown = (await db.scan(name("oldest"))) as { age: number }[];
  same(shown.map((row) => row.age).sort(), [20, 50]);
  const refusal = await refused("bad_request", db.delete(name("grown"), [[id(2), at]]));
  check(refusal.message.includes("is a view"), "a view is not written");
  for (const { follow } of kept) follow.close();
  db.close();
};

const calls: Scenario = async (ground) => {
  const { Class, frames } = cuttable(ground);
  const db = await open(ground, { WebSocket: Class });
  const [a, b] = [nextId++, nextId++];
  await db.group([
    ["bank.open", [a, "Ada", 100]],
    ["bank.open", { id: b, owner: "Bob", balance: 0 }],
  ]);
  const before = frames();
  const left = await Promise.all(Array.from({ length: 50 }, () => db.call("bank.transfer", [a, b, 1])));
  same(left, Array.from({ length: 50 }, (_, i) => 99 - i));
  same(frames() - before, 1);
  same(await db.call("bank.balance", [b], { ack: "committed" }), 50);
  const aborted = await refused("aborted", db.call("bank.transfer", [a, b, 1000]));
  same([aborted.facts.abort_code, aborted.facts.abort_message, aborted.retryable], [4, "insufficient_funds", false]);
  const group = await refused("aborted", db.group([["bank.deposit", [a, 1]], ["bank.deposit", [a, 0]]]));
  same(group.facts.index, 1);
  same((await db.get("account", a))?.balance, 50);
  // @ts-expect-error There is no such transition.
  const unknown = await refused("unknown_name", db.call("bank.transfre", [a, b, 1]));
  check(unknown.hint.includes("bank.transfer"), "a wrong name has a hint");
  await refused("bad_request", db.call("bank.transfer", [a, b, 1, 2] as never));
  db.close();
  await refused("closed", db.call("bank.total"));
};

const tables: Scenario = async (ground) => {
  const db = await open(ground);
  const order = nextId++;
  const lines = [1, 2, 3, 4].map((position) => ({ order_id: order, position, note: `n${position % 2}` }));
  same(await db.insert("line", lines), lines.map((line) => [order, line.position]));
  same(await db.get("line", [order, 2]), lines[1]);
  same(await db.scan("line", { lower: [order], upper: [order], limit: 2, reverse: true }), [lines[3], lines[2]]);
  same(await db.scan("line", { lower: [order, 1], lower_exclusive: true, upper: [order, 3] }), [lines[1], lines[2]]);
  same(await db.scan("line", { index: "line_by_note", lower: ["n1", order], upper: ["n1", order] }), [lines[0], lines[2]]);
  await refused("duplicate_key", db.insert("line", [{ order_id: order, position: 9, note: null }, ...lines]));
  same(await db.get("line", [order, 9]), null);
  same(await db.delete("line", [[order, 1], [order, 7]]), 1);
  // @ts-expect-error There is no such table.
  await refused("unknown_name", db.get("lines", 1));
  // @ts-expect-error There is no such column.
  await refused("unknown_name", db.update("line", { order_id: order, position: 2, nate: "" }));
  const pong = await db.ping();
  check(pong.position.lsn >= pong.durableLsn && pong.durableLsn > 0, "there is a position");
  db.close();
};

type Account = { id: number | bigint; owner: string; balance: number | bigint };

/** A replica of the accounts, as a user would write it. */
class Replica {
  readonly rows = new Map<number | bigint, Account>();
  snapshots = 0;
  deltas = 0;
  snapshot = (snapshot: Snapshot<Account>) => {
    this.snapshots += 1;
    this.rows.clear();
    for (const row of snapshot.rows) this.rows.set(row.id, row);
  };
  delta = (delta: Delta<Account, number | bigint>) => {
    this.deltas += 1;
    for (const { op, key, row } of delta.changes) {
      if (op === "delete") this.rows.delete(key);
      else this.rows.set(key, row);
    }
  };
}

const subscriptions: Scenario = async (ground) => {
  const [db, other] = [await open(ground), await open(ground)];
  const replica = new Replica();
  const changes = db.subscribe("account", { onSnapshot: replica.snapshot, onDelta: replica.delta });
  await until(() => replica.snapshots === 1);
  const [a, b] = [nextId++, nextId++];
  await Promise.all([other.call("bank.open", [a, "Ada", 10]), other.call("bank.open", [b, "Bob", 0])]);
  await other.call("bank.transfer", [a, b, 10]);
  await other.call("bank.close_account", [a]);
  await until(() => replica.deltas >= 4);
  same([replica.rows.get(b), replica.rows.get(a)], [{ id: b, owner: "Bob", balance: 10 }, undefined]);
  changes.close();

  const seen: number[] = [];
  const iterated = other.subscribe("account");
  for await (const item of iterated) {
    if (item.kind === "snapshot") {
      check(item.rows.some((row) => row.id === b), "the snapshot has the account");
      for (let i = 0; i < 5; i++) void other.call("bank.deposit", [b, 1]);
    } else {
      check(item.previousLsn < item.position.lsn, "deltas go forward");
      seen.push(Number(item.changes[0]?.row?.balance));
      if (seen.length === 5) break;
    }
  }
  same(seen, [11, 12, 13, 14, 15]);

  // Whoever comes back with a position is told what has changed since.
  const since = iterated.position;
  await db.call("bank.deposit", [b, 1]);
  const resumed = db.subscribe("account", since === undefined ? {} : { since });
  for await (const item of resumed) {
    same([item.kind, item.kind === "delta" && item.changes], ["delta", [{ op: "update", key: b, row: { id: b, owner: "Bob", balance: 16 } }]]);
    break;
  }
  // A select, with a parameter; and one that is kept up to date for whoever follows it.
  const owned = db.follow("select id, balance from account where owner = :owner", { owner: "Bob" });
  const counted = db.follow("select count(*) as accounts from account where balance > ?", [15]);
  const told: unknown[] = [];
  for await (const item of owned) {
    if (item.kind === "snapshot") {
      check(item.rows.some((row) => row.id === b), "the select has the account");
      void other.call("bank.deposit", [b, 3]);
    } else {
      told.push(item.changes);
      break;
    }
  }
  same(told, [[{ op: "update", key: b, row: { id: b, balance: 19 } }]]);
  for await (const item of counted) {
    same([item.kind, item.kind === "snapshot" && Number(item.rows[0]?.accounts) > 0], ["snapshot", true]);
    break;
  }
  const broken = db.follow("select balance form account");
  await refused("sql", broken[Symbol.asyncIterator]().next());
  // @ts-expect-error There is no such table.
  const none = db.subscribe("accounts")[Symbol.asyncIterator]();
  await refused("unknown_name", none.next());
  db.close();
  other.close();
};

const reconnecting: Scenario = async (ground) => {
  const { Class, cut } = cuttable(ground);
  const connections: boolean[] = [];
  const db = await open(ground, { WebSocket: Class, onConnection: (is) => connections.push(is) });
  const replica = new Replica();
  db.subscribe("account", { onSnapshot: replica.snapshot, onDelta: replica.delta });
  const id = nextId++;
  await db.call("bank.open", [id, "Cut", 0]);
  await until(() => replica.rows.has(id));

  // What was sent and may have run fails; what only reads is sent again; what was not sent waits.
  cut();
  const lost = refused("connection_lost", db.call("bank.deposit", [id, 1]));
  const read = db.get("account", id);
  const query = db.call("bank.total");
  await Promise.resolve();
  const waits = db.call("bank.deposit", [id, 10]);
  await lost;
  check((await read)?.owner === "Cut", "a read survives");
  check(Number(await query) >= 0, "a query survives");
  check(Number(await waits) >= 10, "a call that waited is made");
  await until(() => Number(replica.rows.get(id)?.balance) >= 10);
  same(replica.snapshots, 1);
  same(connections, [true, false, true]);

  // The server ends and comes back, with another incarnation: the subscription still goes on.
  await tell(ground, "stop");
  await until(() => connections.length === 4);
  await tell(ground, `deposit?account=${id}`);
  await tell(ground, "start");
  await until(() => Number(replica.rows.get(id)?.balance) >= 1010);
  check(Number(await db.call("bank.deposit", [id, 1])) >= 1011, "calls are made again");
  same(connections, [true, false, true, false, true]);
  db.close();
};

const refusals: Scenario = async (ground) => {
  await refused("unauthenticated", open(ground, { token: "rdb_wrong" }));
  await refused("bad_request", connect("ftp://127.0.0.1", { WebSocket: class {} as unknown as WebSocketClass }));
  const nobody = { ...ground, url: "http://127.0.0.1:9" };
  await refused("connection_failed", open(nobody));
};

const large: Scenario = async (ground) => {
  const db = await open(ground, { ack: "committed" });
  const first = nextId;
  nextId += 20_000;
  const rows = Array.from({ length: 20_000 }, (_, i) => ({ order_id: first + i, position: 0, note: "x".repeat(100) }));
  const parts = Array.from({ length: 40 }, (_, i) => rows.slice(i * 500, (i + 1) * 500));
  for (const part of parts) await db.insert("line", part);
  const some = rows.filter((_, i) => i % 4 === 0);
  const many = await Promise.all(some.map((row) => db.get("line", [row.order_id, 0])));
  same(many.filter((row) => row?.note === "x".repeat(100)).length, 5000);
  // Scans of many pages, by the primary key and by an index in which all are equal but for the key.
  const range = { lower: [first], upper: [first + 19_999] };
  same((await db.scan("line", range)).length, 20_000);
  same((await db.scan("line", { ...range, limit: 2345, reverse: true })).length, 2345);
  let next = first;
  for await (const row of db.scan("line", { index: "line_by_note", lower: ["x".repeat(100), first] })) {
    same(row.order_id, next++);
    if (next === first + 5000) break;
  }
  // A snapshot of many pages, while others write.
  const seen = new Set<number | bigint>();
  const writing = db.delete("line", rows.slice(0, 500).map((row): [number, number] => [row.order_id, 0]));
  for await (const item of db.subscribe("line")) {
    check(item.kind === "snapshot", "a snapshot comes first");
    for (const row of item.rows) seen.add(row.order_id);
    break;
  }
  same(await writing, 500);
  same(rows.slice(500).filter((row) => !seen.has(row.order_id)), []);
  const error = await refused("limit", db.insert("line", { order_id: first, position: 1, note: "x".repeat(5 << 20) }));
  same(error.facts.limit, "ws_frame_bytes_max");
  db.close();
};

/** The columns change while rows are read: each row says by its values which columns it has. */
const altering: Scenario = async (ground) => {
  const { protocol, WebSocket } = ground;
  const db = await connect(ground.url, WebSocket ? { protocol, WebSocket } : { protocol });
  const table = `word_${protocol}`;
  const execute = (sql: string) => tell(ground, `execute?sql=${encodeURIComponent(sql)}`);
  await execute(`create table ${table} (id int primary key, c0 text not null default 'c0')`);
  await db.insert(table, Array.from({ length: 50 }, (_, id) => ({ id })));
  let altered = 0;
  const alter = async () => {
    for (let i = 1; i <= 20; i++) {
      const added = `alter table ${table} add column c${i} text not null default 'c${i}'`;
      await execute(`alter table ${table} drop column c${i - 1}; ${added}`);
      altered = i;
    }
  };
  const done = alter();
  const seen = new Set<string>();
  while (altered < 20 || !seen.has("c20")) {
    const got = await Promise.all(Array.from({ length: 50 }, (_, id) => db.get(table, id)));
    for (const row of [...got, ...(await db.scan(table))]) {
      const [name, value] = Object.entries(row ?? {}).find(([column]) => column !== "id") ?? [];
      same(value, name);
      seen.add(name ?? "");
    }
  }
  await done;
  check(seen.size > 2, "rows were read meanwhile");
  db.close();
};

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "every type of value is read and written": values,
  "queries take and give every type of value": queries,
  "views are read and followed like tables": views,
  "calls are typed, pipelined and refused": calls,
  "rows are read by key and range, and written": tables,
  "subscriptions tell a snapshot and then every change": subscriptions,
  "connections come back, and subscriptions go on": reconnecting,
  "what cannot connect says why": refusals,
  "thousands of requests at once, frames and tables of any length": large,
  "each row is read by the columns that it had": altering,
};
