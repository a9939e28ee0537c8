/** A subscription as its user sees it: callbacks, or an iterator. */

import { type ReifyDBError, refuse } from "./errors.js";
import { Feed, type Item } from "./feed.js";
import type { Followed } from "./requests.js";
import type { Delta, Position, Snapshot } from "./types.js";
import type { DialectName } from "./values.js";

/** Items that wait for whoever iterates; beyond them it gets a new snapshot instead. */
export const BUFFERED_MAX = 1000;

export interface SubscribeOptions<R, K> {
  /** Go on from here, if the server still knows what has changed since; else with a snapshot. */
  since?: Position;
  /** Called with the whole table: first, and whenever it replaces what was known. */
  onSnapshot?: (snapshot: Snapshot<R, K>) => void;
  /** Called with what a commit changed. */
  onDelta?: (delta: Delta<R, K>) => void;
  /** Called when nothing more comes, unless it or the client was closed by `close`. Without it such
   * an error is reported as one that nobody has caught. */
  onError?: (error: ReifyDBError) => void;
}

/** What a subscription needs of its client. */
export interface Joined {
  readonly dialect: DialectName;
  join(feed: Feed): void;
  leave(feed: Feed): void;
  rejoin(feed: Feed): void;
}

/**
 * The changes of one table or select. With callbacks it calls them; without, iterate over it: leaving the loop
 * closes it.
 */
export class Subscription<R, K> implements AsyncIterable<Snapshot<R, K> | Delta<R, K>> {
  readonly #client: Joined;
  readonly #feed: Feed;
  readonly #options: SubscribeOptions<R, K>;
  readonly #calls: boolean;
  #items: Item[] = [];
  #waiter: { resolve: (result: IteratorResult<any>) => void; reject: (error: unknown) => void } | undefined;
  #error: ReifyDBError | undefined;
  #closed = false;

  /** Use `Client.subscribe`. */
  constructor(client: Joined, what: Followed, options: SubscribeOptions<R, K>) {
    this.#client = client;
    this.#options = options;
    this.#calls = options.onSnapshot !== undefined || options.onDelta !== undefined;
    this.#feed = new Feed(what, client.dialect, options.since, {
      item: (item) => this.#take(item),
      ended: (error) => this.#end(error),
    });
    client.join(this.#feed);
  }

  /** As of where the table has been received; undefined before the first snapshot. */
  get position(): Position | undefined {
    return this.#feed.since;
  }

  /** Ends it; twice is fine. */
  close(): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#items = [];
      this.#client.leave(this.#feed);
      this.#waiter?.resolve({ done: true, value: undefined });
      this.#waiter = undefined;
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<Snapshot<R, K> | Delta<R, K>> {
    if (this.#calls) {
      throw refuse("bad_request", "a subscription with callbacks is not iterated over");
    }
    return {
      next: () => this.#next(),
      return: () => {
        this.close();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #next(): Promise<IteratorResult<any>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      return Promise.resolve({ done: false, value: item });
    }
    if (this.#error !== undefined && !this.#closed) {
      this.#closed = true;
      return Promise.reject(this.#error);
    }
    if (this.#closed) {
      return Promise.resolve({ done: true, value: undefined });
    }
    if (this.#waiter !== undefined) {
      return Promise.reject(refuse("bad_request", "one next() at a time"));
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  #take(item: Item): void {
    if (this.#closed) {
      return;
    }
    if (this.#calls) {
      const call = item.kind === "snapshot" ? this.#options.onSnapshot : this.#options.onDelta;
      guarded(() => call?.(item as never));
    } else if (this.#waiter !== undefined) {
      this.#waiter.resolve({ done: false, value: item });
      this.#waiter = undefined;
    } else if (item.kind === "snapshot") {
      this.#items = [item]; // it replaces whatever came before
    } else if (this.#items.length < BUFFERED_MAX) {
      this.#items.push(item);
    } else {
      this.#items = [];
      this.#client.rejoin(this.#feed);
    }
  }

  #end(error: ReifyDBError): void {
    if (this.#closed) {
      return;
    }
    if (error.code === "closed") {
      this.close(); // the client's user ended it: no error
      return;
    }
    if (this.#calls) {
      this.#closed = true;
      guarded(() => {
        if (this.#options.onError === undefined) throw error;
        this.#options.onError(error);
      });
      return;
    }
    this.#error = error;
    if (this.#waiter !== undefined) {
      this.#closed = true;
      this.#waiter.reject(error);
      this.#waiter = undefined;
    }
  }
}

/** Runs what is the user's: an error of its own is reported as one of an event handler is. */
export function guarded(run: () => void): void {
  try {
    run();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
