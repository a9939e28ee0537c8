/** Frames: messages as bytes or text. Nothing here knows what the messages mean. */

import { Decoder, Encoder } from "@msgpack/msgpack";
import { refuse } from "./errors.js";
import type { DialectName } from "./values.js";

export type Data = Uint8Array | string;

/** How frames of one sub-protocol are read and written. */
export interface Codec {
  readonly subprotocol: string;
  readonly dialect: DialectName;
  /** One message. Throws what the encoder throws. */
  message(content: readonly unknown[]): Data;
  /** How many bytes a message takes in a frame. */
  size(message: Data): number;
  /** A frame of messages. */
  frame(messages: readonly Data[]): Data;
  /** What a frame holds. Throws a `ReifyDBError` `protocol`. */
  decode(data: unknown): unknown;
}

class MsgpackCodec implements Codec {
  readonly subprotocol = "reifydb.v1.msgpack";
  readonly dialect = "msgpack";
  readonly #encoder = new Encoder({ useBigInt64: true });
  readonly #decoder = new Decoder({ useBigInt64: true });

  message(content: readonly unknown[]): Uint8Array {
    return this.#encoder.encode(content);
  }

  size(message: Data): number {
    return message.length;
  }

  frame(messages: readonly Data[]): Uint8Array {
    const parts = messages as readonly Uint8Array[];
    if (parts.length === 1) {
      return parts[0] as Uint8Array;
    }
    const head = arrayHead(parts.length);
    const frame = new Uint8Array(parts.reduce((size, part) => size + part.length, head.length));
    frame.set(head);
    let at = head.length;
    for (const part of parts) {
      frame.set(part, at);
      at += part.length;
    }
    return frame;
  }

  decode(data: unknown): unknown {
    if (!(data instanceof ArrayBuffer) && !ArrayBuffer.isView(data)) {
      throw refuse("protocol", "a text frame where a binary one must be");
    }
    try {
      return this.#decoder.decode(data);
    } catch (error) {
      throw refuse("protocol", `a frame that is not msgpack: ${String(error)}`);
    }
  }
}

class JsonCodec implements Codec {
  readonly subprotocol = "reifydb.v1.json";
  readonly dialect = "json";
  readonly #utf8 = new TextEncoder();

  message(content: readonly unknown[]): string {
    return JSON.stringify(content);
  }

  size(message: Data): number {
    return this.#utf8.encode(message as string).length + 1; // and a comma
  }

  frame(messages: readonly Data[]): string {
    return messages.length === 1 ? (messages[0] as string) : `[${messages.join(",")}]`;
  }

  decode(data: unknown): unknown {
    if (typeof data !== "string") {
      throw refuse("protocol", "a binary frame where a text one must be");
    }
    try {
      return JSON.parse(data);
    } catch (error) {
      throw refuse("protocol", `a frame that is not JSON: ${String(error)}`);
    }
  }
}

function arrayHead(count: number): number[] {
  if (count < 16) {
    return [0x90 | count];
  }
  return [0xdd, count >>> 24, (count >>> 16) & 0xff, (count >>> 8) & 0xff, count & 0xff];
}

/** A codec of one's own: codecs keep buffers, and are not shared between connections. */
export function codecOf(dialect: DialectName): Codec {
  return dialect === "json" ? new JsonCodec() : new MsgpackCodec();
}
