/**
 * The protocol without any I/O (docs/wire.md): requests go in and frames come out, frames go in and
 * promises are kept.
 *
 * A conversation outlives its connections. What has not been sent waits for the next one; what has
 * been sent and not answered is sent again when it changes nothing, and else fails with
 * `connection_lost`: it may have run. The order of what changes something is never altered.
 */

import type { Codec, Data } from "./codecs.js";
import { errorOf, ReifyDBError, refuse } from "./errors.js";
import type { Feed } from "./feed.js";
import * as requests from "./requests.js";
import { type SchemaDescription, Shapes, type TableDescription } from "./shapes.js";
import type { Ack } from "./types.js";

/** A read that the server refuses for now is sent again so often. */
export const RETRIES_MAX = 5;

/** Requests that wait to be sent; beyond them new ones are refused. */
export const WAITING_MAX = 100_000;

const SCHEMA_ID = 0;

/** Codes that a schema which has changed may explain. */
const STALE = new Set(["unknown_name", "wrong_type", "bad_request", "schema"]);

/** What the outside gives: time, and dice. */
export interface Clock {
  /** Milliseconds, of any origin. */
  now(): number;
  later(ms: number, run: () => void): unknown;
  /** From 0 to 1. */
  random(): number;
}

export interface Greeting {
  readonly server: string;
  readonly incarnation: number;
  readonly ack: Ack;
}

interface Request {
  readonly kind: string;
  readonly prepare: requests.Prepare;
  readonly resolve: (value: any) => void;
  readonly reject: (error: unknown) => void;
  readonly at: number;
  /** The subscription that this begins. */
  readonly feed: Feed | undefined;
  attempts: number;
  /** The schema was asked for on its behalf. */
  looked: boolean;
}

interface Sent {
  readonly request: Request;
  readonly prepared: requests.Prepared;
}

export class Conversation {
  /** What the server said of itself when the connection began. */
  greeting: Greeting | undefined;
  /** Why the server will not have this client; another connection would not help. */
  refusal: ReifyDBError | undefined;
  readonly #codec: Codec;
  readonly #hello: { token?: string; ack: Ack };
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #sent = new Map<number, Sent>();
  readonly #feeds = new Set<Feed>();
  readonly #streams = new Map<number, Feed>();
  #waiting: Request[] = [];
  #urgent: Data[] = [];
  #shapes: Shapes | undefined;
  #asking = false;
  #ready = false;
  #ended: ReifyDBError | undefined;
  #nextId = SCHEMA_ID + 1;
  #frameBytes = 1 << 20;
  #frameMessages = 1000;
  #inFlight = 1000;

  /** @param wake There may be something to send. */
  constructor(codec: Codec, token: string | undefined, ack: Ack, clock: Clock, wake: () => void) {
    this.#codec = codec;
    this.#hello = token === undefined ? { ack } : { token, ack };
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Whether requests can be sent now. */
  get ready(): boolean {
    return this.#ready;
  }

  // ------------------------------------------------------------------ connections come and go

  /** There is a connection. What must be sent first is among what `take` gives. */
  open(): void {
    this.refusal = undefined;
    this.greeting = undefined;
    this.#urgent = [this.#codec.message(["hello", this.#hello])];
    this.#asking = false;
    this.#ready = false;
    this.#wake();
  }

  /** The connection is gone. */
  lost(): void {
    this.#ready = false;
    this.#urgent = [];
    for (const feed of this.#feeds) {
      feed.pause();
    }
    this.#streams.clear();
    const again: Request[] = [];
    for (const { request, prepared } of this.#sent.values()) {
      if (request.feed !== undefined || request.kind === "unsubscribe") {
        continue; // begun anew with the next connection
      }
      if (prepared.safe) {
        again.push(request);
      } else {
        request.reject(
          refuse("connection_lost", `the connection was lost before ${request.kind} was answered: it may have run`),
        );
      }
    }
    this.#sent.clear();
    this.#waiting = again.concat(this.#waiting.filter((request) => request.feed === undefined));
  }

  /** Fails what has waited to be sent since before then. */
  expire(before: number): void {
    const old = this.#waiting.filter((request) => request.at < before);
    if (old.length > 0) {
      this.#waiting = this.#waiting.filter((request) => request.at >= before);
      for (const request of old) {
        request.reject(new ReifyDBError({ code: "offline", detail: "there was no connection to the server for too long; the request was not sent", retryable: true }));
      }
    }
  }

  /** The end: whatever waits fails. */
  end(error: ReifyDBError): void {
    if (this.#ended !== undefined) {
      return;
    }
    this.#ended = error;
    this.lost();
    for (const request of this.#waiting) {
      request.reject(error);
    }
    this.#waiting = [];
    for (const feed of this.#feeds) {
      feed.end(error);
    }
    this.#feeds.clear();
  }

  // ------------------------------------------------------------------ what is asked

  request(kind: string, prepare: requests.Prepare): Promise<any> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
      } else if (this.#waiting.length >= WAITING_MAX) {
        reject(new ReifyDBError({ code: "overloaded", detail: `${WAITING_MAX} requests wait to be sent already`, retryable: true }));
      } else {
        this.#enqueue(kind, prepare, resolve, reject, undefined);
      }
    });
  }

  join(feed: Feed): void {
    if (this.#ended !== undefined) {
      feed.end(this.#ended);
      return;
    }
    this.#feeds.add(feed);
    if (this.#ready) {
      this.#begin(feed);
    }
  }

  leave(feed: Feed): void {
    this.#feeds.delete(feed);
    this.#leaveStream(feed);
  }

  /** A subscription begins anew, with a snapshot. */
  rejoin(feed: Feed): void {
    this.#leaveStream(feed);
    feed.since = undefined;
    if (this.#ready && this.#feeds.has(feed)) {
      this.#begin(feed);
    }
  }

  /** Whether a subscription is under way. */
  #begins(feed: Feed): boolean {
    return feed.id !== undefined || this.#waiting.some((request) => request.feed === feed);
  }

  #leaveStream(feed: Feed): void {
    const { id } = feed;
    feed.pause();
    this.#waiting = this.#waiting.filter((request) => request.feed !== feed);
    if (id !== undefined && this.#streams.delete(id)) {
      const nothing = () => undefined;
      this.#enqueue("unsubscribe", requests.unsubscribe(id), nothing, nothing, undefined);
    }
  }

  #begin(feed: Feed): void {
    const began = (description: TableDescription) => {
      if (this.#feeds.has(feed)) {
        feed.begin(description, this.greeting?.incarnation ?? 0);
      }
    };
    const failed = (error: ReifyDBError) => {
      if (!this.#feeds.has(feed)) {
        return;
      }
      this.#streams.delete(feed.id as number);
      feed.pause();
      if (error.code === "bad_request" && feed.since !== undefined && !feed.given) {
        this.rejoin(feed); // that position is not of this database's history: read it anew
      } else {
        this.#feeds.delete(feed);
        feed.end(error);
      }
    };
    this.#enqueue("subscribe", requests.subscribe(feed.what, feed.since, feed.dialect), began, failed as (e: unknown) => void, feed);
  }

  #enqueue(
    kind: string,
    prepare: requests.Prepare,
    resolve: (value: any) => void,
    reject: (error: unknown) => void,
    feed: Feed | undefined,
  ): void {
    const at = this.#clock.now();
    this.#waiting.push({ kind, prepare, resolve, reject, at, feed, attempts: 0, looked: false });
    this.#wake();
  }

  // ------------------------------------------------------------------ out

  /** The frames to send now. */
  take(): Data[] {
    const frames = this.#urgent;
    this.#urgent = [];
    let messages: Data[] = [];
    let bytes = FRAME_HEAD_BYTES;
    const room = this.#inFlight - this.#sent.size;
    const now = this.#ready && room > 0 ? this.#waiting.splice(0, room) : [];
    for (const [i, request] of now.entries()) {
      const message = this.#prepare(request);
      if (message === "look") {
        this.#waiting = now.slice(i).concat(this.#waiting);
        this.#ready = false;
        break;
      }
      if (message === undefined) {
        continue;
      }
      const size = this.#codec.size(message);
      if (messages.length >= this.#frameMessages || (bytes + size > this.#frameBytes && messages.length > 0)) {
        frames.push(this.#codec.frame(messages));
        messages = [];
        bytes = FRAME_HEAD_BYTES;
      }
      messages.push(message);
      bytes += size;
    }
    if (messages.length > 0) {
      frames.push(this.#codec.frame(messages));
    }
    if (!this.#ready && now.length > 0) {
      this.#ask();
      frames.push(...this.#urgent.splice(0));
    }
    return frames;
  }

  /** A request's message; undefined: it failed; "look": the schema must be looked at first. */
  #prepare(request: Request): Data | undefined | "look" {
    const id = this.#nextId;
    let prepared: requests.Prepared | undefined;
    let message: Data;
    try {
      prepared = request.prepare(this.#shapes as Shapes);
      if (!prepared.known && !request.looked) {
        request.looked = true;
        return "look";
      }
      message = this.#codec.message([request.kind, id, ...prepared.rest]);
      const size = this.#codec.size(message) + FRAME_HEAD_BYTES;
      if (size > this.#frameBytes) {
        throw refuse("limit", `a message of ${size} bytes: the server takes ${this.#frameBytes}`, {
          limit: "ws_frame_bytes_max",
          value: this.#frameBytes,
        });
      }
    } catch (error) {
      if (prepared === undefined && !request.looked) {
        request.looked = true; // what is wrong by the schema that is known may be right by now
        return "look";
      }
      request.reject(error instanceof ReifyDBError ? error : refuse("wrong_type", String(error)));
      return undefined;
    }
    this.#nextId += 1;
    this.#sent.set(id, { request, prepared });
    if (request.feed !== undefined) {
      request.feed.id = id;
      this.#streams.set(id, request.feed);
    }
    return message;
  }

  /** Asks for the schema, unless that is under way. */
  #ask(): void {
    if (!this.#asking) {
      this.#asking = true;
      this.#urgent.push(this.#codec.message(["schema", SCHEMA_ID]));
      this.#wake();
    }
  }

  // ------------------------------------------------------------------ in

  /** A frame has come. Throws `protocol` when it is malformed: the connection cannot go on. */
  receive(data: unknown): void {
    const content = this.#codec.decode(data);
    if (!Array.isArray(content)) {
      throw refuse("protocol", "a frame that is no array");
    }
    for (const message of Array.isArray(content[0]) ? content : [content]) {
      this.#message(message as unknown[]);
    }
  }

  #message(message: readonly unknown[]): void {
    switch (message[0]) {
      case "ok":
      case "pong":
        this.#answered(message);
        return;
      case "error":
        this.#failed(message);
        return;
      case "page":
      case "ready":
      case "restart":
      case "delta":
        this.#stream(message);
        return;
      case "ended":
        this.#streamEnded(message);
        return;
      case "schema": // what is answered from here on is of this one
        this.#learn(message[1]);
        return;
      case "hello":
        this.#greet(message[1] as Record<string, any>);
        return;
      // What a newer server may say besides is not for us.
    }
  }

  #greet(said: Record<string, any>): void {
    this.greeting = { server: String(said.server), incarnation: Number(said.incarnation), ack: said.ack };
    this.#frameBytes = Number(said.limits?.frame_bytes ?? this.#frameBytes);
    this.#frameMessages = Number(said.limits?.frame_messages ?? this.#frameMessages);
    this.#inFlight = Number(said.limits?.in_flight ?? this.#inFlight);
    if (this.#ready) {
      return; // the answer to our hello, after the greeting of a server that needs no token
    }
    if (this.#shapes !== undefined && this.#shapes.hash === said.schema) {
      this.#begun();
    } else {
      this.#ask();
    }
  }

  #begun(): void {
    this.#ready = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const feed of this.#feeds) {
      if (feed.id === undefined && !waiting.some((request) => request.feed === feed)) {
        this.#begin(feed);
      }
    }
    this.#waiting = this.#waiting.concat(waiting);
    this.#wake();
  }

  #answered(message: readonly unknown[]): void {
    const id = Number(message[1]);
    if (id === SCHEMA_ID) {
      this.#asking = false;
      this.#learn(message[2]);
      if (!this.#ready) {
        this.#begun();
      }
      return;
    }
    const sent = this.#settled(id);
    if (sent === undefined) {
      return;
    }
    const { request, prepared } = sent;
    try {
      request.resolve(prepared.read(this.#shapes as Shapes, message[2], message));
    } catch (error) {
      const detail = `the answer to ${request.kind} cannot be read; it has run: ${String(error)}`;
      request.reject(refuse("protocol", detail));
    }
  }

  #learn(description: unknown): void {
    this.#shapes = new Shapes(description as SchemaDescription, this.#codec.dialect);
  }

  #failed(message: readonly unknown[]): void {
    const error = errorOf(message[2]);
    const [, id] = message;
    if (id === null || id === undefined) {
      this.refusal = error;
      return;
    }
    if (Number(id) === SCHEMA_ID) {
      this.#asking = false;
      throw error; // the connection is of no use; the next one asks again
    }
    const sent = this.#settled(Number(id));
    if (sent === undefined) {
      return;
    }
    const { request, prepared } = sent;
    if (error.retryable && prepared.safe && request.attempts < RETRIES_MAX) {
      request.attempts += 1;
      this.#again(request, error);
      return;
    }
    if (STALE.has(error.code) && request.feed === undefined) {
      this.#ask();
    }
    request.reject(error);
  }

  #again(request: Request, error: ReifyDBError): void {
    if (request.feed !== undefined) {
      this.#streams.delete(request.feed.id as number);
      request.feed.pause();
    }
    const seconds = Number(error.facts.retry_after_s ?? 0.05 * 2 ** request.attempts);
    // Drawn around that: what was refused together does not come back together.
    this.#clock.later(seconds * 1000 * (0.5 + this.#clock.random()), () => {
      if (this.#ended !== undefined) {
        request.reject(this.#ended);
      } else if (request.feed === undefined) {
        this.#waiting.push({ ...request, at: this.#clock.now() });
        this.#wake();
      } else if (this.#ready && this.#feeds.has(request.feed) && !this.#begins(request.feed)) {
        this.#waiting.push(request);
        this.#wake();
      }
    });
  }

  #settled(id: number): Sent | undefined {
    const sent = this.#sent.get(id);
    if (sent !== undefined) {
      this.#sent.delete(id);
      if (this.#waiting.length > 0) {
        this.#wake();
      }
    }
    return sent;
  }

  #stream(message: readonly unknown[]): void {
    const feed = this.#streams.get(Number(message[1]));
    if (feed !== undefined && !feed.receive(message)) {
      this.#leaveStream(feed);
      this.#begin(feed);
    }
  }

  #streamEnded(message: readonly unknown[]): void {
    const id = Number(message[1]);
    const feed = this.#streams.get(id);
    if (feed !== undefined) {
      this.#streams.delete(id);
      this.#feeds.delete(feed);
      feed.end(errorOf(message[2]));
    }
  }
}

const FRAME_HEAD_BYTES = 5;
