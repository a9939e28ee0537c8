/** A connection to a server: moves frames between a WebSocket and a `Conversation`. */

import { codecOf, type Data } from "./codecs.js";
import { type Clock, Conversation, type Greeting } from "./conversation.js";
import { ReifyDBError, refuse } from "./errors.js";
import type { Feed } from "./feed.js";
import * as requests from "./requests.js";
import { Scan } from "./scan.js";
import { guarded, type SubscribeOptions, Subscription } from "./subscription.js";
import type {
  Ack,
  Answer,
  AnySchema,
  CallOptions,
  CallRest,
  GroupCall,
  Key,
  QueryParams,
  Result,
  Row,
  ScanOptions,
  SchemaTypes,
  TableName,
  TransitionName,
} from "./types.js";
import type { DialectName } from "./values.js";

/** What is needed of a WebSocket: what browsers have, and `ws` has. */
export interface WebSocketLike {
  binaryType: string;
  readonly protocol: string;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: any): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

export interface ConnectOptions {
  /** Of `reifydb token make`. Not needed where the server has none. */
  token?: string;
  /** What answers and deltas wait for: "durable" (default): that they are on disk, or "committed". */
  ack?: Ack;
  /** "msgpack" (default), or "json", whose frames can be read in a browser's tools. */
  protocol?: DialectName;
  /** Where the platform has none, as Node 20: that of the package `ws`. */
  WebSocket?: WebSocketClass;
  /** How long connecting may take, each time. Default: 10,000. */
  connectMsMax?: number;
  /** How long a request waits for a connection before it fails with `offline`. Default: 30,000. */
  offlineMsMax?: number;
  /** After so long a silence the server is asked whether it is there; after twice as long the
   * connection is given up. Default: 20,000. */
  silenceMsMax?: number;
  /** Called with true when there is a connection, with false when it is lost or closed. */
  onConnection?: (connected: boolean) => void;
}

/** The first wait before connecting again; it doubles, up to the last. Each is drawn from 0 to itself. */
export const RECONNECT_MS = { first: 100, last: 10_000 };

const LOOK_MS = 1000;
const CLOSED_BY_US = 1000;
const CLOSE_MALFORMED = 1002;
const CLOSE_UNAUTHENTICATED = 4401;

/**
 * Connects to a server.
 *
 * @param url `http://…`, `https://…`, `ws://…` or `wss://…`; `/v1/ws` is added.
 * @throws ReifyDBError `connection_failed` when there is no connection in time, `unauthenticated`, …
 */
export async function connect<S extends SchemaTypes = AnySchema>(
  url: string,
  options: ConnectOptions = {},
): Promise<Client<S>> {
  const client = new Client<S>(url, options);
  await client.connected();
  return client;
}

/** How long to wait before the given attempt, from 0, to connect again. Drawn, so that clients which
 * lost their server together do not come back together. */
export function reconnectDelay(attempt: number, random: () => number): number {
  return random() * Math.min(RECONNECT_MS.last, RECONNECT_MS.first * 2 ** attempt);
}

/** The address of a server's WebSocket. Throws `bad_request`. */
export function socketUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw refuse("bad_request", `${JSON.stringify(url)} is no URL`);
  }
  const scheme = { "http:": "ws:", "https:": "wss:", "ws:": "ws:", "wss:": "wss:" }[parsed.protocol];
  if (scheme === undefined) {
    throw refuse("bad_request", `${parsed.protocol} leads to no server; http: and https: do`);
  }
  const path = parsed.pathname.replace(/\/+$/, "");
  return `${scheme}//${parsed.host}${path.endsWith("/v1/ws") ? path : `${path}/v1/ws`}`;
}

/** A connection that comes back by itself. Made by `connect`. */
export class Client<S extends SchemaTypes = AnySchema> {
  readonly #url: string;
  readonly #options: ConnectOptions;
  readonly #class: WebSocketClass;
  readonly #conversation: Conversation;
  readonly #dialect: DialectName;
  readonly #subprotocol: string;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #first: Promise<void>;
  #again: ReturnType<typeof setTimeout> | undefined;
  #settleFirst: ((error: ReifyDBError | undefined) => void) | undefined;
  #socket: WebSocketLike | undefined;
  #why = "";
  #isOpen = false;
  #wasReady = false; // this connection
  #everReady = false; // one before it
  #scheduled = false;
  #closed = false;
  #attempt = 0;
  #begunAt = 0;
  #heardAt = 0;
  #asked = false;

  /** Use `connect`. */
  constructor(url: string, options: ConnectOptions) {
    this.#url = socketUrl(url);
    this.#options = options;
    const found = options.WebSocket ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket;
    if (found === undefined) {
      throw refuse("bad_request", "this platform has no WebSocket: give that of the package ws as `WebSocket`");
    }
    this.#class = found;
    const codec = codecOf(options.protocol ?? "msgpack");
    this.#dialect = codec.dialect;
    this.#subprotocol = codec.subprotocol;
    const { token, ack = "durable" } = options;
    this.#conversation = new Conversation(codec, token, ack, CLOCK, () => this.#schedule());
    this.#first = new Promise((resolve, reject) => {
      this.#settleFirst = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#connect();
  }

  /** Resolves once there has been a connection. */
  connected(): Promise<void> {
    return this.#first;
  }

  /** What the server said of itself; undefined while there is no connection. */
  get greeting(): Greeting | undefined {
    return this.#isOpen ? this.#conversation.greeting : undefined;
  }

  // ------------------------------------------------------------------ requests

  /** Calls a transition: a transaction of its own. Calls of one turn travel together. */
  call<N extends TransitionName<S>>(name: N, ...[args, options]: CallRest<S, N>): Promise<Result<S, N>> {
    return this.#conversation.request("call", requests.call(name, args ?? [], options));
  }

  /** Calls several transitions in one transaction, all or nothing. */
  group<const C extends readonly GroupCall<S>[]>(
    calls: C,
    options?: CallOptions,
  ): Promise<{ -readonly [I in keyof C]: Result<S, C[I][0]> }> {
    return this.#conversation.request("group", requests.group(calls, options));
  }

  /** The row of a primary key, or null. A key of several columns is an array. */
  get<T extends TableName<S>>(table: T, key: Key<S, T>): Promise<Row<S, T> | null> {
    return this.#conversation.request("get", requests.get(table, key));
  }

  /**
   * Rows in the order of the primary key or of an index: all at once when it is awaited, or one after
   * the other in `for await`. They are fetched page by page, each of one moment.
   */
  scan<T extends TableName<S>>(table: T, options: ScanOptions = {}): Scan<Row<S, T>> {
    return new Scan((more) => this.#conversation.request("scan", requests.scan(table, { ...options, ...more })), options);
  }

  /**
   * The answer to a `select`, all of one moment. Values in it stand as `:name`, `?` or `$1`.
   *
   * `R` is what its rows are said to be; the server alone knows what a query gives.
   */
  query<R = { [column: string]: any }>(sql: string, params?: QueryParams): Promise<Answer<R>> {
    return this.#conversation.request("query", requests.query(sql, params, this.#dialect));
  }

  /** Inserts rows, all or none; their keys. */
  insert<T extends TableName<S>>(table: T, rows: readonly S["tables"][T]["insert"][]): Promise<Key<S, T>[]>;
  /** Inserts a row; its key. */
  insert<T extends TableName<S>>(table: T, row: S["tables"][T]["insert"]): Promise<Key<S, T>>;
  async insert(table: string, rows: object | readonly object[]): Promise<unknown> {
    const keys = await this.#write("insert", table, rows);
    return Array.isArray(rows) ? keys : (keys as unknown[])[0];
  }

  /** Changes columns of rows by their keys, all or none; how many. */
  update<T extends TableName<S>>(
    table: T,
    rows: S["tables"][T]["update"] | readonly S["tables"][T]["update"][],
  ): Promise<number> {
    return this.#write("update", table, rows) as Promise<number>;
  }

  /** Inserts rows, or replaces those that are there, all or none; how many. */
  upsert<T extends TableName<S>>(
    table: T,
    rows: S["tables"][T]["insert"] | readonly S["tables"][T]["insert"][],
  ): Promise<number> {
    return this.#write("upsert", table, rows) as Promise<number>;
  }

  /** Deletes the rows of these keys; how many there were. */
  delete<T extends TableName<S>>(table: T, keys: readonly Key<S, T>[]): Promise<number> {
    return this.#conversation.request("write", requests.write("delete", table, keys));
  }

  #write(how: requests.Write, table: string, rows: object | readonly object[]): Promise<unknown> {
    const listed: readonly unknown[] = Array.isArray(rows) ? rows : [rows];
    return this.#conversation.request("write", requests.write(how, table, listed));
  }

  /** The changes of a table: a snapshot, then what each commit changes. */
  subscribe<T extends TableName<S>>(
    table: T,
    options: SubscribeOptions<Row<S, T>, Key<S, T>> = {},
  ): Subscription<Row<S, T>, Key<S, T>> {
    return new Subscription(this.#joined(), table, options);
  }

  /** The changes of a `select`: a snapshot, then what each commit changes in its answer. Its parameters' types are the
   * server's to know. */
  follow(
    sql: string,
    params?: QueryParams,
    options: SubscribeOptions<Record<string, any>, any> = {},
  ): Subscription<Record<string, any>, any> {
    const what = params === undefined ? { query: sql } : { query: sql, params };
    requests.subscribe(what, options.since, this.#dialect); // refuses what cannot be written
    return new Subscription(this.#joined(), what, options);
  }

  #joined() {
    const conversation = this.#conversation;
    return {
      dialect: this.#dialect,
      join: (feed: Feed) => conversation.join(feed),
      leave: (feed: Feed) => conversation.leave(feed),
      rejoin: (feed: Feed) => conversation.rejoin(feed),
    };
  }

  /** Where the database is. */
  ping(): Promise<requests.Pong> {
    return this.#conversation.request("ping", requests.ping());
  }

  /** Closes the connection. Whatever waits fails with `closed`; twice is fine. */
  close(): void {
    this.#end(refuse("closed", "the client was closed"));
  }

  // ------------------------------------------------------------------ the connection

  #connect(): void {
    if (this.#closed) {
      return;
    }
    this.#begunAt = this.#heardAt = CLOCK.now();
    this.#asked = false;
    let socket: WebSocketLike;
    try {
      socket = new this.#class(this.#url, [this.#subprotocol]);
    } catch (error) {
      this.#end(refuse("connection_failed", `${this.#url}: ${String(error)}`));
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (this.#socket === socket) {
        this.#isOpen = true;
        this.#conversation.open();
      }
    };
    socket.onmessage = (event: { data: unknown }) => {
      if (this.#socket === socket) {
        this.#receive(event.data);
      }
    };
    socket.onclose = (event: { code?: number; reason?: string }) => this.#lost(socket, event.code ?? 1006);
    socket.onerror = (event: { message?: string }) => {
      this.#why = event.message ?? "";
    };
  }

  #receive(data: unknown): void {
    this.#heardAt = CLOCK.now();
    this.#asked = false;
    try {
      this.#conversation.receive(data);
    } catch (error) {
      this.#end(error instanceof ReifyDBError ? error : refuse("protocol", String(error)));
      return;
    }
    if (this.#conversation.ready && !this.#wasReady) {
      this.#wasReady = this.#everReady = true;
      this.#attempt = 0;
      this.#settleFirst?.(undefined);
      this.#tell(true);
    }
  }

  #lost(socket: WebSocketLike, code: number): void {
    if (this.#socket !== socket) {
      return;
    }
    this.#socket = undefined;
    this.#isOpen = false;
    const { refusal } = this.#conversation;
    if (code === CLOSE_UNAUTHENTICATED || (code === CLOSE_MALFORMED && refusal !== undefined)) {
      this.#end(refusal ?? refuse("unauthenticated", "the server wants a token"));
      return;
    }
    if (!this.#everReady) {
      const why = this.#why ? `: ${this.#why}` : "";
      this.#end(refusal ?? refuse("connection_failed", `no connection to ${this.#url}${why}`));
      return;
    }
    const wasReady = this.#wasReady;
    this.#wasReady = false;
    this.#conversation.lost();
    this.#again = setTimeout(() => this.#connect(), reconnectDelay(this.#attempt, CLOCK.random));
    this.#attempt += 1;
    if (wasReady) {
      this.#tell(false);
    }
  }

  #tell(connected: boolean): void {
    guarded(() => this.#options.onConnection?.(connected));
  }

  /** Gives a connection up, without waiting for its end. */
  #drop(): void {
    const socket = this.#socket;
    if (socket !== undefined) {
      this.#lost(socket, 1006);
      socket.close();
    }
  }

  #end(error: ReifyDBError): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#isOpen = false;
    clearInterval(this.#timer);
    clearTimeout(this.#again);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(CLOSED_BY_US);
    this.#conversation.end(error);
    this.#settleFirst?.(error);
    if (this.#wasReady) {
      this.#wasReady = false;
      this.#tell(false);
    }
  }

  /** Once a second: is it taking too long? */
  #look(): void {
    const now = CLOCK.now();
    const { connectMsMax = 10_000, offlineMsMax = 30_000, silenceMsMax = 20_000 } = this.#options;
    if (!this.#wasReady) {
      this.#conversation.expire(now - offlineMsMax);
      if (this.#socket !== undefined && now - this.#begunAt > connectMsMax) {
        this.#drop();
      }
      return;
    }
    const silence = now - this.#heardAt;
    if (silence > 2 * silenceMsMax) {
      this.#drop();
    } else if (silence > silenceMsMax && !this.#asked) {
      this.#asked = true;
      this.ping().catch(() => undefined);
    }
  }

  // ------------------------------------------------------------------ sending

  /** All that is asked for in this turn goes in one frame. */
  #schedule(): void {
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => {
        this.#scheduled = false;
        this.#send();
      });
    }
  }

  #send(): void {
    const socket = this.#socket;
    if (socket === undefined || !this.#isOpen) {
      return;
    }
    for (const frame of this.#conversation.take() as Data[]) {
      try {
        socket.send(frame);
      } catch {
        return; // it is closing: `onclose` says what becomes of what was sent
      }
    }
  }
}

const CLOCK: Clock = {
  now: () => performance.now(),
  later: (ms, run) => setTimeout(run, ms),
  random: () => Math.random(),
};
