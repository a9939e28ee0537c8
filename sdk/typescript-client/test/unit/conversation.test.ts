import assert from "node:assert/strict";
import { test } from "node:test";
import { RETRIES_MAX } from "../../src/conversation.js";
import { ReifyDBError } from "../../src/errors.js";
import { Feed, type Item } from "../../src/feed.js";
import * as requests from "../../src/requests.js";
import { ACCOUNT, fate, Ground, HELLO, int, SCHEMA } from "./ground.js";

const deposit = (ground: Ground, amount = 1) =>
  ground.conversation.request("call", requests.call("bank.deposit", [1, amount], undefined));
const total = (ground: Ground) => ground.conversation.request("call", requests.call("bank.total", [], undefined));
const problem = (code: string, more: object = {}) => ({ code, detail: "no", status: 400, retryable: false, ...more });

test("it says hello, asks for the schema, and only then sends what waits", () => {
  const ground = new Ground("json", "rdb_secret");
  void deposit(ground);
  assert.deepEqual(ground.sent(), []);
  ground.conversation.open();
  assert.deepEqual(ground.sent(), [[["hello", { token: "rdb_secret", ack: "durable" }]]]);
  ground.says(["hello", HELLO]);
  assert.deepEqual(ground.sent(), [[["schema", 0]]]);
  ground.says(["ok", 0, SCHEMA, 1]);
  assert.deepEqual(ground.sent(), [[["call", 1, "bank.deposit", [1, 1]]]]);
  assert.equal(ground.conversation.greeting?.server, "reifydb/0");
});

test("a schema that is known is not asked for again", () => {
  const ground = new Ground().greeted();
  ground.conversation.lost();
  ground.conversation.open();
  ground.sent();
  void deposit(ground);
  ground.says(["hello", HELLO]);
  assert.deepEqual(ground.sent(), [[["call", 1, "bank.deposit", [1, 1]]]]);
});

for (const dialect of ["msgpack", "json"] as const) {
  test(`${dialect}: what is asked in one turn goes in frames as large as the server takes`, async () => {
    const ground = new Ground(dialect).greeted();
    const answers = Array.from({ length: 10 }, (_, i) => deposit(ground, i));
    const frames = ground.sent();
    assert.deepEqual(frames.map((messages) => messages.length), [4, 4]); // frame_messages, and in_flight
    ground.says(...[1, 2, 3].map((id) => ["ok", id, id * 10, 1]), ["error", 4, problem("aborted", { abort_code: 7 })]);
    assert.deepEqual(ground.sent().map((messages) => messages.map(([, id]) => id)), [[9, 10]]);
    assert.deepEqual(await Promise.all(answers.slice(0, 3)), [10, 20, 30]);
    const error = await answers[3]?.catch((thrown: unknown) => thrown);
    assert.ok(error instanceof ReifyDBError);
    assert.deepEqual([error.code, error.status, error.facts.abort_code], ["aborted", 400, 7]);
  });
}

test("bytes count: a frame is not longer than the server takes, and a message that is fails alone", async () => {
  const ground = new Ground().greeted();
  const insert = (id: number, length: number) =>
    ground.conversation.request(
      "write",
      requests.write("insert", "account", [{ id, owner: "x".repeat(length), balance: 0 }]),
    );
  const long = insert(1, 20_000);
  void insert(2, 6000);
  void insert(3, 6000);
  assert.deepEqual(ground.sent().map((messages) => messages.length), [1, 1]);
  assert.equal(await fate(long), "limit");
});

test("a wrong value fails its request, and no other", async () => {
  const ground = new Ground().greeted();
  const wrong = ground.conversation.request("call", requests.call("bank.deposit", [1, "much"], undefined));
  const right = deposit(ground);
  assert.deepEqual(ground.sent(), [[["schema", 0]]]); // it may be right by now
  ground.says(["ok", 0, SCHEMA, 1]);
  assert.deepEqual(ground.sent(), [[["call", 1, "bank.deposit", [1, 1]]]]);
  ground.says(["ok", 1, 5, 2]);
  assert.equal(await fate(wrong), "wrong_type");
  assert.equal(await fate(right), 5);
});

test("a transition's name may be short where it is unique", () => {
  const ground = new Ground().greeted();
  void ground.conversation.request("call", requests.call("deposit", { id: 1, amount: 2 }, { ack: "committed" }));
  assert.deepEqual(ground.sent(), [[["call", 1, "deposit", { id: 1, amount: 2 }, { ack: "committed" }]]]);
});

test("a name that is not known makes it look at the schema again, and what follows waits for that", async () => {
  const ground = new Ground().greeted();
  const added = { name: "bank.audit", params: [], result: { type: "decimal(10,2)", nullable: false }, query: true };
  const first = deposit(ground);
  const audit = ground.conversation.request("call", requests.call("bank.audit", [], undefined));
  void deposit(ground);
  assert.deepEqual(ground.sent().flat().map(([kind]) => kind), ["call", "schema"]);
  ground.says(["ok", 1, 1, 1], ["ok", 0, { ...SCHEMA, transitions: [...SCHEMA.transitions, added], hash: "4567" }, 1]);
  assert.deepEqual(ground.sent().flat().map((message) => message[2]), ["bank.audit", "bank.deposit"]);
  ground.says(["ok", 2, "1.50", 1]);
  assert.deepEqual([await fate(first), await fate(audit)], [1, "1.50"]);
  const unknown = ground.conversation.request("get", requests.get("acount", 1));
  ground.sent();
  ground.says(["ok", 0, SCHEMA, 1]);
  assert.deepEqual(ground.sent(), [[["get", 4, "acount", 1]]]);
  ground.says(["error", 4, problem("unknown_name", { hint: "did you mean 'account'?" })]);
  assert.equal(await fate(unknown), "unknown_name");
});

test("each answer is read by the schema that it was made under", async () => {
  const ground = new Ground().greeted();
  const asked = [1, 2].map((key) => ground.conversation.request("get", requests.get("account", key)));
  const scanned = ground.conversation.request("scan", requests.scan("account", {}));
  ground.sent();
  const columns = [...ACCOUNT.columns, { name: "limit", type: "decimal(9,2)", nullable: false }];
  ground.says(
    ["ok", 1, [1, "Ada", 5], 2],
    ["schema", { ...SCHEMA, hash: "4567", tables: [{ ...ACCOUNT, columns }] }],
    ["ok", 2, [2, "Bob", 5, "2.50"], 3],
    ["ok", 3, { rows: [[2, "Bob", 5, "2.50"]], next: null }, 3],
  );
  const bob = { id: 2, owner: "Bob", balance: 5, limit: "2.50" };
  assert.deepEqual(await Promise.all(asked.map(fate)), [{ id: 1, owner: "Ada", balance: 5 }, bob]);
  assert.deepEqual(await fate(scanned), { rows: [bob], next: null });
  const broken = ground.conversation.request("get", requests.get("account", 1));
  ground.sent();
  ground.says(["ok", 4, [1], 2]);
  assert.equal(await fate(broken), "protocol");
});

test("when the connection is lost, what may have run fails, what reads is sent again, what was not sent waits", async () => {
  const ground = new Ground().greeted();
  const ran = deposit(ground);
  const read = total(ground);
  const get = ground.conversation.request("get", requests.get("account", 1));
  ground.sent();
  const waits = deposit(ground, 2);
  ground.conversation.lost();
  assert.equal(await fate(ran), "connection_lost");
  assert.equal(await fate(read), "waiting");
  ground.greeted();
  const [messages] = ground.sent();
  assert.deepEqual(messages?.map(([kind, , name]) => [kind, name]), [["call", "bank.total"], ["get", "account"], ["call", "bank.deposit"]]);
  const ids = messages?.map(([, id]) => id) ?? [];
  ground.says(["ok", 2, -1, 1]); // the answer to an id of the old connection
  ground.says(["ok", ids[0], 7, 1], ["ok", ids[1], null, 1], ["ok", ids[2], 9, 1]);
  assert.deepEqual([await fate(read), await fate(get), await fate(waits)], [7, null, 9]);
});

test("a read that is refused for now is sent again later, a write is not", async () => {
  const ground = new Ground().greeted();
  const read = total(ground);
  const written = deposit(ground);
  const busy = problem("overloaded", { retryable: true, retry_after_s: 2 });
  ground.sent();
  ground.says(["error", 1, busy], ["error", 2, busy]);
  assert.equal(await fate(written), "overloaded");
  for (let id = 3; id < 3 + RETRIES_MAX; id++) {
    assert.deepEqual(ground.sent(), []);
    ground.clock.move(2000);
    assert.deepEqual(ground.sent(), [[["call", id, "bank.total", []]]]);
    assert.equal(await fate(read), "waiting");
    ground.says(["error", id, busy]);
  }
  assert.equal(await fate(read), "overloaded");
});

test("what waits too long for a connection fails, and so does all at the end", async () => {
  const ground = new Ground();
  const old = deposit(ground);
  ground.clock.move(100);
  const young = deposit(ground);
  ground.conversation.expire(50);
  assert.deepEqual([await fate(old), await fate(young)], ["offline", "waiting"]);
  ground.conversation.end(new ReifyDBError({ code: "closed", detail: "" }));
  assert.deepEqual([await fate(young), await fate(deposit(ground))], ["closed", "closed"]);
});

test("an error without an id is why the server will not go on", () => {
  const ground = new Ground();
  ground.conversation.open();
  ground.says(["error", null, problem("unauthenticated")]);
  assert.equal(ground.conversation.refusal?.code, "unauthenticated");
});

test("what is no frame of this protocol is refused, what is new is ignored", () => {
  const ground = new Ground().greeted();
  const protocol = (error: unknown) => error instanceof ReifyDBError && error.code === "protocol";
  for (const frame of ["", "{}", "1", "[", Uint8Array.of(1)]) {
    assert.throws(() => ground.conversation.receive(frame), protocol);
  }
  assert.throws(() => new Ground("msgpack").conversation.receive(Uint8Array.of(0xc1)), protocol);
  assert.throws(() => new Ground("msgpack").conversation.receive("[]"), protocol);
  ground.says(["news", 1, 2], ["ok", 99, 1, 1], ["delta", 99, 1, 0, []]);
});

// ------------------------------------------------------------------ subscriptions

class Listening {
  readonly items: Item[] = [];
  readonly errors: string[] = [];
  readonly feed: Feed;

  constructor(readonly ground: Ground, since?: { incarnation: number; lsn: number }) {
    this.feed = new Feed("account", ground.codec.dialect, since, {
      item: (item) => this.items.push(item),
      ended: (error) => this.errors.push(error.code),
    });
    ground.conversation.join(this.feed);
  }

  /** What has come, in short: `["snapshot", lsn, ids]`, `["delta", lsn, ops and ids]`. */
  get told(): unknown[] {
    return this.items.map((item) =>
      item.kind === "snapshot"
        ? ["snapshot", item.position.lsn, item.rows.map((row) => `${row.id}:${row.balance}`).join(" ")]
        : ["delta", item.position.lsn, item.changes.map(({ op, key, row }) => `${op} ${key}:${row?.balance}`).join(" ")],
    );
  }
}

const row = (id: number, balance: number) => [id, "Ada", balance];

test("pages and the deltas among them are one snapshot; then each delta is told", () => {
  for (const dialect of ["msgpack", "json"] as const) {
    const ground = new Ground(dialect).greeted();
    const listening = new Listening(ground);
    assert.deepEqual(ground.sent(), [[["subscribe", 1, "account"]]]);
    ground.says(["ok", 1, ACCOUNT, 5]);
    ground.says(["page", 1, [[1, [1], row(1, 10)], [1, [2], row(2, 20)]]]);
    ground.says(["delta", 1, 6, 0, [[2, [1], row(1, 11)], [0, [2], null]]], ["page", 1, [[1, [3], row(3, 30)]]]);
    assert.deepEqual(listening.told, []);
    ground.says(["ready", 1, 6]);
    ground.says(["delta", 1, 9, 6, [[0, [3], null], [1, [4], row(4, 40)]]]);
    assert.deepEqual(listening.told, [
      ["snapshot", 6, "1:11 3:30"],
      ["delta", 9, "delete 3:undefined insert 4:40"],
    ]);
    assert.deepEqual(listening.feed.since, { incarnation: 3, lsn: 9 });
  }
});

test("a restart forgets everything and may bring other columns", () => {
  const ground = new Ground().greeted();
  const listening = new Listening(ground);
  ground.sent();
  ground.says(["ok", 1, ACCOUNT, 5], ["page", 1, [[1, [1], row(1, 10)]]], ["ready", 1, 5]);
  ground.says(["restart", 1, [int("id"), int("balance")], ["id"]], ["page", 1, [[1, [2], [2, 20]]]], ["ready", 1, 7]);
  assert.deepEqual(listening.told, [["snapshot", 5, "1:10"], ["snapshot", 7, "2:20"]]);
  assert.deepEqual(listening.items[1]?.kind === "snapshot" && listening.items[1].rows, [{ id: 2, balance: 20 }]);
});

test("after a lost connection it goes on where it was; half a snapshot begins again", () => {
  const ground = new Ground().greeted();
  const [whole, half] = [new Listening(ground), new Listening(ground)];
  ground.sent();
  ground.says(["ok", 1, ACCOUNT, 5], ["page", 1, []], ["ready", 1, 5], ["ok", 2, ACCOUNT, 5], ["page", 2, [[1, [1], row(1, 1)]]]);
  ground.conversation.lost();
  ground.greeted({ ...HELLO, incarnation: 4 });
  assert.deepEqual(ground.sent(), [[["subscribe", 3, "account", { since: [3, 5] }], ["subscribe", 4, "account"]]]);
  ground.says(["ok", 3, ACCOUNT, 8], ["delta", 3, 8, 7, [[1, [1], row(1, 2)]]]);
  ground.says(["ok", 4, ACCOUNT, 8], ["page", 4, [[1, [1], row(1, 2)]]], ["ready", 4, 8]);
  assert.deepEqual(whole.told, [["snapshot", 5, ""], ["delta", 8, "insert 1:2"]]);
  assert.deepEqual(half.told, [["snapshot", 8, "1:2"]]);
  assert.deepEqual(whole.feed.since, { incarnation: 4, lsn: 8 });
});

test("a position that the server does not know: reached by itself it begins anew, given by the user it fails", () => {
  const ground = new Ground().greeted();
  const given = new Listening(ground, { incarnation: 9, lsn: 9 });
  const reached = new Listening(ground);
  ground.sent();
  ground.says(["error", 1, problem("bad_request")], ["ok", 2, ACCOUNT, 5], ["page", 2, []], ["ready", 2, 5]);
  assert.deepEqual(given.errors, ["bad_request"]);
  ground.conversation.lost();
  ground.greeted();
  assert.deepEqual(ground.sent(), [[["subscribe", 3, "account", { since: [3, 5] }]]]);
  ground.says(["error", 3, problem("bad_request")]);
  assert.deepEqual(ground.sent(), [[["subscribe", 4, "account"]]]);
  assert.deepEqual(reached.errors, []);
});

test("a gap between deltas is not passed over: it subscribes anew from where it is", () => {
  const ground = new Ground().greeted();
  const listening = new Listening(ground);
  ground.sent();
  ground.says(["ok", 1, ACCOUNT, 5], ["page", 1, []], ["ready", 1, 5]);
  ground.says(["delta", 1, 9, 7, [[1, [1], row(1, 1)]]], ["delta", 1, 10, 9, []]);
  assert.deepEqual(listening.told, [["snapshot", 5, ""]]);
  assert.deepEqual(ground.sent(), [[["unsubscribe", 2, 1], ["subscribe", 3, "account", { since: [3, 5] }]]]);
});

test("who leaves is unsubscribed, and told nothing more", () => {
  const ground = new Ground().greeted();
  const [early, late] = [new Listening(ground), new Listening(ground)];
  ground.conversation.leave(early.feed);
  assert.deepEqual(ground.sent(), [[["subscribe", 1, "account"]]]);
  ground.conversation.leave(late.feed);
  assert.deepEqual(ground.sent(), [[["unsubscribe", 2, 1]]]);
  ground.says(["ok", 1, ACCOUNT, 5], ["page", 1, []], ["ready", 1, 5], ["ok", 2, null, 5]);
  assert.deepEqual([early.told, late.told], [[], []]);
  ground.conversation.lost();
  ground.greeted();
  assert.deepEqual(ground.sent(), []);
});

test("a subscription that ends says why", () => {
  const ground = new Ground().greeted();
  const [dropped, refused] = [new Listening(ground), new Listening(ground)];
  ground.sent();
  ground.says(["ok", 1, ACCOUNT, 5], ["ended", 1, problem("schema")], ["error", 2, problem("forbidden")]);
  assert.deepEqual([dropped.errors, refused.errors], [["schema"], ["forbidden"]]);
  ground.conversation.lost();
  ground.greeted();
  assert.deepEqual(ground.sent(), []);
});

test("a subscription refused for now is begun again later, once", () => {
  const ground = new Ground().greeted();
  const listening = new Listening(ground);
  ground.sent();
  ground.says(["error", 1, problem("overloaded", { retryable: true, retry_after_s: 1 })]);
  ground.clock.move(1000);
  ground.clock.move(1000);
  assert.deepEqual(ground.sent(), [[["subscribe", 2, "account"]]]);
  assert.deepEqual(listening.errors, []);
});
