/** The client of ReifyDB for TypeScript and JavaScript. Begin with `connect`. */

export { type Greeting } from "./conversation.js";
export {
  Client,
  connect,
  type ConnectOptions,
  type WebSocketClass,
  type WebSocketLike,
} from "./client.js";
export { type Problem, ReifyDBError } from "./errors.js";
export type { Pong } from "./requests.js";
export type { Scan } from "./scan.js";
export { type SubscribeOptions, Subscription } from "./subscription.js";
export { Timestamp } from "./timestamp.js";
export {
  type Ack,
  type Answer,
  type AnswerColumn,
  type AnySchema,
  type CallOptions,
  type Change,
  type Decimal,
  type DecimalInput,
  type Delta,
  type Int,
  type Json,
  JSON_NULL,
  type JsonValue,
  type Position,
  type QueryParams,
  type ScanOptions,
  type SchemaTypes,
  type Snapshot,
  type TableTypes,
  type TimestampInput,
  type TransitionTypes,
} from "./types.js";
