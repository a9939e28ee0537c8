/** A conversation with a server that is a list of what it is told and says. */

import { type Codec, codecOf, type Data } from "../../src/codecs.js";
import { type Clock, Conversation } from "../../src/conversation.js";
import { ReifyDBError } from "../../src/errors.js";
import type { DialectName } from "../../src/values.js";

export const int = (name: string) => ({ name, type: "int", nullable: false });

export const ACCOUNT = {
  name: "account",
  columns: [int("id"), { name: "owner", type: "text", nullable: false }, int("balance")],
  key: ["id"],
  auto: null,
  indexes: [],
};

export const SCHEMA = {
  tables: [ACCOUNT],
  transitions: [
    { name: "bank.deposit", params: [int("id"), int("amount")], result: { type: "int", nullable: false }, query: false },
    { name: "bank.total", params: [], result: { type: "int", nullable: false }, query: true },
    { name: "shop.total", params: [], result: null, query: true },
  ],
  hash: "0123",
};

export const HELLO = {
  server: "reifydb/0",
  protocol: 1,
  incarnation: 3,
  lsn: 1,
  durable_lsn: 1,
  schema: "0123",
  ack: "durable",
  limits: { frame_bytes: 10_000, frame_messages: 4, in_flight: 8 },
};

/** A clock that stands until it is moved. */
export class StandingClock implements Clock {
  time = 0;
  #later: { at: number; run: () => void }[] = [];

  now(): number {
    return this.time;
  }

  later(ms: number, run: () => void): void {
    this.#later.push({ at: this.time + ms, run });
  }

  random(): number {
    return 0.5;
  }

  move(ms: number): void {
    this.time += ms;
    const due = this.#later.filter(({ at }) => at <= this.time);
    this.#later = this.#later.filter(({ at }) => at > this.time);
    for (const { run } of due) run();
  }
}

export class Ground {
  readonly clock = new StandingClock();
  readonly codec: Codec;
  readonly conversation: Conversation;

  constructor(dialect: DialectName = "json", token?: string) {
    this.codec = codecOf(dialect);
    this.conversation = new Conversation(codecOf(dialect), token, "durable", this.clock, () => undefined);
  }

  /** The frames that are sent now, each as its messages. */
  sent(): any[][] {
    return this.conversation.take().map((frame: Data) => {
      const content = this.codec.decode(frame) as any[];
      return Array.isArray(content[0]) ? content : [content];
    });
  }

  /** The server says something, in one frame. */
  says(...messages: unknown[][]): void {
    this.conversation.receive(this.codec.frame(messages.map((message) => this.codec.message(message))));
  }

  /** A connection, greeted and with its schema. */
  greeted(hello: object = HELLO, schema: object = SCHEMA): this {
    this.conversation.open();
    this.sent();
    this.says(["hello", hello]);
    if (!this.conversation.ready) {
      this.sent();
      this.says(["ok", 0, schema, 1]);
    }
    return this;
  }
}

/** What becomes of a promise by now. */
export async function fate(promise: Promise<unknown>): Promise<unknown> {
  const waiting = Symbol("waiting");
  try {
    await Promise.resolve();
    const value = await Promise.race([promise, new Promise((resolve) => setImmediate(() => resolve(waiting)))]);
    return value === waiting ? "waiting" : value;
  } catch (error) {
    return error instanceof ReifyDBError ? error.code : error;
  }
}
