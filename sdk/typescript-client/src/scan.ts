/** A scan: its rows come in pages, as they are wanted. */

import type { Page } from "./requests.js";
import type { ScanOptions } from "./types.js";

/** Rows that are asked for at a time. A page has fewer when they are long. */
export const PAGE_ROWS = 1000;

/** Asks for a page. */
type Ask = (more: { limit: number; cursor?: string }) => Promise<Page>;

/** Made by `Client.scan`. Nothing is asked for before it is awaited, or iterated over. */
export class Scan<R> implements PromiseLike<R[]>, AsyncIterable<R> {
  readonly #ask: Ask;
  readonly #limit: number;

  /** Use `Client.scan`. */
  constructor(ask: Ask, options: ScanOptions) {
    this.#ask = ask;
    this.#limit = options.limit ?? Number.POSITIVE_INFINITY;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<R> {
    for await (const rows of this.#pages()) {
      yield* rows;
    }
  }

  /** All of them. */
  then<A = R[], B = never>(
    onRows?: ((rows: R[]) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#all().then(onRows, onError);
  }

  async #all(): Promise<R[]> {
    const all: R[] = [];
    for await (const rows of this.#pages()) {
      for (const row of rows) all.push(row);
    }
    return all;
  }

  async *#pages(): AsyncGenerator<R[]> {
    let left = this.#limit;
    let page: Page = { rows: [], next: null };
    do {
      const limit = Math.min(PAGE_ROWS, left);
      page = await this.#ask(page.next === null ? { limit } : { limit, cursor: page.next });
      left -= page.rows.length;
      yield page.rows;
    } while (page.next !== null && left > 0);
  }
}
