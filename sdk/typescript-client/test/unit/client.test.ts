import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, connect, reconnectDelay, socketUrl, type WebSocketClass } from "../../src/client.js";
import { ReifyDBError } from "../../src/errors.js";
import { BUFFERED_MAX, Subscription } from "../../src/subscription.js";
import { ACCOUNT, fate, HELLO, SCHEMA } from "./ground.js";

const pause = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));

/** A server of one WebSocket after the other, without a network. */
function scripted(answer: (message: any[], say: (...messages: unknown[][]) => void) => void): {
  Class: WebSocketClass;
  sockets: any[];
} {
  const sockets: any[] = [];
  class Scripted {
    binaryType = "";
    protocol = "reifydb.v1.json";
    onopen: any = null;
    onmessage: any = null;
    onclose: any = null;
    onerror: any = null;
    frames: any[][] = [];
    closed: unknown[] = [];
    constructor(readonly url: string, readonly protocols: string[]) {
      sockets.push(this);
      setTimeout(() => this.onopen?.({}));
    }
    say = (...messages: unknown[][]) => this.onmessage?.({ data: JSON.stringify(messages) });
    send(data: string): void {
      const content = JSON.parse(data);
      const messages: any[][] = Array.isArray(content[0]) ? content : [content];
      this.frames.push(messages);
      for (const message of messages) {
        queueMicrotask(() => answer(message, this.say));
      }
    }
    close(...why: unknown[]): void {
      this.closed = why;
    }
  }
  return { Class: Scripted as unknown as WebSocketClass, sockets };
}

const friendly = (message: any[], say: (...messages: unknown[][]) => void) => {
  if (message[0] === "hello") say(["hello", HELLO]);
  else if (message[0] === "schema") say(["ok", 0, SCHEMA, 1]);
  else if (message[0] === "call") say(["ok", message[1], 5, 2]);
  else if (message[0] === "subscribe") say(["ok", message[1], ACCOUNT, 2]);
  else if (message[0] === "unsubscribe") say(["ok", message[1], null, 2]);
};

test("addresses of HTTP are addresses of WebSockets", () => {
  assert.equal(socketUrl("http://localhost:8042"), "ws://localhost:8042/v1/ws");
  assert.equal(socketUrl("https://db.example.com/reify/"), "wss://db.example.com/reify/v1/ws");
  assert.equal(socketUrl("wss://db.example.com/v1/ws"), "wss://db.example.com/v1/ws");
  assert.equal(socketUrl("ws://[::1]:1/?x=1"), "ws://[::1]:1/v1/ws");
  for (const wrong of ["", "localhost:8042", "ftp://x", "file:///x"]) {
    assert.throws(() => socketUrl(wrong), ReifyDBError);
  }
});

test("waits before connecting again grow, are drawn, and end at 10 seconds", () => {
  assert.deepEqual([0, 1, 3].map((attempt) => reconnectDelay(attempt, () => 1)), [100, 200, 800]);
  assert.equal(reconnectDelay(50, () => 1), 10_000);
  assert.equal(reconnectDelay(2000, () => 0.5), 5000);
});

test("all calls of a turn are one frame", async () => {
  const { Class, sockets } = scripted(friendly);
  const db = await connect("http://localhost", { protocol: "json", WebSocket: Class });
  const values = await Promise.all([db.call("bank.total"), db.call("bank.deposit", [1, 2])]);
  assert.deepEqual(values, [5, 5]);
  assert.deepEqual(sockets[0].frames.map((frame: any[]) => frame.length), [1, 1, 2]);
  assert.deepEqual(sockets[0].protocols, ["reifydb.v1.json"]);
  db.close();
  db.close();
  assert.deepEqual(sockets[0].closed, [1000]);
});

test("without a WebSocket, a server or a right token there is no connection, and it is said why", async () => {
  assert.equal(await fate(connect("http://localhost", {})), "bad_request");
  const { Class, sockets } = scripted(() => undefined);
  const refused = connect("http://localhost", { protocol: "json", WebSocket: Class });
  await pause(1);
  sockets[0].onerror({ message: "ECONNREFUSED" });
  sockets[0].onclose({ code: 1006 });
  const error = await refused.catch((thrown: unknown) => thrown as ReifyDBError);
  assert.ok(error instanceof ReifyDBError);
  assert.equal(error.message, "no connection to ws://localhost/v1/ws: ECONNREFUSED");
  const unknown = connect("http://localhost", { protocol: "json", WebSocket: Class, token: "rdb_x" });
  await pause(1);
  sockets[1].say(["error", null, { code: "unauthenticated", detail: "the token is not known", status: 401 }]);
  sockets[1].onclose({ code: 4401 });
  assert.equal(await fate(unknown), "unauthenticated");
});

test("a lost connection comes back, a token that is not known any more ends it", async () => {
  const { Class, sockets } = scripted(friendly);
  const seen: boolean[] = [];
  const options = { protocol: "json", WebSocket: Class, onConnection: (is: boolean) => seen.push(is) } as const;
  const db = await connect("http://localhost", options);
  sockets[0].onclose({ code: 1001 });
  assert.equal(db.greeting, undefined);
  assert.equal(await db.call("bank.total"), 5);
  assert.equal(sockets.length, 2);
  assert.deepEqual(seen, [true, false, true]);
  sockets[1].say(["error", null, { code: "unauthenticated", detail: "expired", status: 401 }]);
  sockets[1].onclose({ code: 4401 });
  assert.equal(await fate(db.call("bank.total")), "unauthenticated");
  await pause(150);
  assert.equal(sockets.length, 2);
});

test("a frame that is none ends the connection for good", async () => {
  const { Class, sockets } = scripted(friendly);
  const db = await connect("http://localhost", { protocol: "json", WebSocket: Class });
  sockets[0].onmessage({ data: "nonsense" });
  assert.equal(await fate(db.call("bank.total")), "protocol");
});

async function subscribed(): Promise<{ db: Client; changes: Subscription<any, any>; say: (...m: unknown[][]) => void; sockets: any[] }> {
  const { Class, sockets } = scripted(friendly);
  const db = await connect("http://localhost", { protocol: "json", WebSocket: Class });
  const changes = db.subscribe("account");
  await pause();
  return { db, changes, say: sockets[0].say, sockets };
}

test("an iterator gives what has come and what will come, and leaving the loop unsubscribes", async () => {
  const { db, changes, say, sockets } = await subscribed();
  say(["page", 1, []], ["ready", 1, 2], ["delta", 1, 3, 2, []]);
  setTimeout(() => say(["delta", 1, 4, 3, []]), 5);
  const lsns: number[] = [];
  for await (const { position } of changes) {
    lsns.push(position.lsn);
    if (position.lsn === 4) break;
  }
  assert.deepEqual(lsns, [2, 3, 4]);
  assert.deepEqual(changes.position, { incarnation: 3, lsn: 4 });
  await pause();
  assert.deepEqual(sockets[0].frames.at(-1), [["unsubscribe", 2, 1]]);
  db.close();
});

test("who iterates too slowly gets a new snapshot, and memory stays what it is", async () => {
  const { db, changes, say, sockets } = await subscribed();
  say(["page", 1, []], ["ready", 1, 1]);
  for (let lsn = 2; lsn < BUFFERED_MAX + 3; lsn++) {
    say(["delta", 1, lsn, lsn - 1, []]);
  }
  await pause();
  assert.deepEqual(sockets[0].frames.at(-1), [["unsubscribe", 2, 1], ["subscribe", 3, "account"]]);
  say(["page", 3, []], ["ready", 3, 5000]);
  const first = await changes[Symbol.asyncIterator]().next();
  assert.deepEqual([first.value.kind, first.value.position.lsn], ["snapshot", 5000]);
  db.close();
});

test("iterators end with why the server ended it, and quietly when the client is closed", async () => {
  const { db, changes, say } = await subscribed();
  const next = changes[Symbol.asyncIterator]().next();
  say(["ended", 1, { code: "schema", detail: "dropped" }]);
  assert.equal(await fate(next), "schema");
  const quiet = db.subscribe("account")[Symbol.asyncIterator]().next();
  db.close();
  assert.deepEqual(await quiet, { done: true, value: undefined });
});

test("callbacks that throw do not harm the connection", async () => {
  const { Class, sockets } = scripted(friendly);
  const db = await connect("http://localhost", { protocol: "json", WebSocket: Class });
  const thrown: unknown[] = [];
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.once("uncaughtException", (error) => thrown.push(error.message));
  const lsns: number[] = [];
  db.subscribe("account", {
    onSnapshot: () => {
      throw new Error("the user's");
    },
    onDelta: ({ position }) => lsns.push(position.lsn),
  });
  await pause();
  sockets[0].say(["page", 1, []], ["ready", 1, 2], ["delta", 1, 3, 2, []]);
  await pause();
  for (const listener of listeners) process.on("uncaughtException", listener);
  assert.deepEqual([thrown, lsns], [["the user's"], [3]]);
  db.close();
});
