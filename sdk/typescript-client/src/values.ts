/**
 * Values between JavaScript and the wire (docs/wire.md, "Values"), in the dialects of both
 * sub-protocols.
 *
 * | type | read | written | msgpack | JSON |
 * |---|---|---|---|---|
 * | int | number, beyond 2^53 − 1 bigint | either | int | number, beyond ±2^53 text |
 * | decimal | text | text, or a whole number | int in units of 10^−scale | text |
 * | timestamp | `Timestamp` | any `Date`, or bigint of µs | int of µs | RFC 3339, or text of µs |
 * | uuid | text | text | 16 bytes | text |
 * | bytes | `Uint8Array` | `Uint8Array` | bytes | base64 |
 * | json | as `JSON.parse` | as `JSON.stringify` | text | itself |
 *
 * Nothing is rounded or made to fit: what is not of its type is refused here, before it is sent.
 */

import { refuse } from "./errors.js";
import { microsOf, Timestamp } from "./timestamp.js";
import { JSON_NULL } from "./types.js";

/** A column, parameter or result, as the server describes it. */
export interface ColumnDescription {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
}

export type DialectName = "msgpack" | "json";

/** From the wire to JavaScript, or back; null is never given to it. */
export type Convert = (value: unknown) => unknown;

const INT_MIN = -(1n << 63n);
const INT_MAX = (1n << 63n) - 1n;
const UINT32_MAX = 0xffff_ffff;
const DECIMAL = /^decimal\((\d+),(\d+)\)$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const LONE_SURROGATE = /[\uD800-\uDFFF]/u;

// ------------------------------------------------------------------ reading

/** How values of a column are read; undefined: they are as they are. */
export function reader(column: ColumnDescription, dialect: DialectName): Convert | undefined {
  const raw = dialect === "msgpack";
  switch (column.type) {
    case "int":
      return readInt;
    case "float":
      return raw ? Number : undefined;
    case "bytes":
      return raw ? (data) => (data as Uint8Array).slice() : (text) => fromBase64(text as string);
    case "timestamp":
      return readTimestamp;
    case "uuid":
      return raw ? (data) => uuidText(data as Uint8Array) : undefined;
    case "json":
      return raw ? (text) => jsonValue(JSON.parse(text as string)) : readPlainJson;
  }
  const decimal = DECIMAL.exec(column.type);
  if (decimal && raw) {
    const scale = Number(decimal[2]);
    return (units) => decimalText(BigInt(units as number | bigint), scale);
  }
  return undefined;
}

function readInt(value: unknown): number | bigint {
  if (typeof value === "number") {
    return value;
  }
  const whole = BigInt(value as bigint | string);
  const near = Number(whole);
  return Number.isSafeInteger(near) ? near : whole;
}

function readTimestamp(value: unknown): Timestamp {
  if (typeof value === "string" && !/^-?\d+$/.test(value)) {
    return Timestamp.of(value);
  }
  return new Timestamp(BigInt(value as number | bigint | string));
}

function readPlainJson(value: unknown): unknown {
  return isWrapped(value) ? jsonValue(value.$json) : value;
}

function jsonValue(value: unknown): unknown {
  return value === null ? JSON_NULL : value;
}

/** In JSON, its own null is wrapped in an object, and so is what looks like such an object. */
function isWrapped(value: unknown): value is { $json: unknown } {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "$json") && Object.keys(value).length === 1;
}

/** `1250n` with scale 2 as "12.50". */
export function decimalText(units: bigint, scale: number): string {
  const negative = units < 0n;
  const digits = String(negative ? -units : units).padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const rest = scale ? `.${digits.slice(-scale)}` : "";
  return `${negative ? "-" : ""}${whole}${rest}`;
}

function uuidText(data: Uint8Array): string {
  let hex = "";
  for (const byte of data) {
    hex += byte.toString(16).padStart(2, "0");
  }
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// ------------------------------------------------------------------ writing

/**
 * How values of a column are written. What it is given may be of any type.
 *
 * The converter throws a `ReifyDBError` `wrong_type`.
 */
export function writer(column: ColumnDescription, dialect: DialectName): Convert {
  const raw = dialect === "msgpack";
  const wrong = (expected: string, value: unknown) =>
    refuse("wrong_type", `${column.name}: expected ${expected}, got ${shown(value)}`);
  switch (column.type) {
    case "bool":
      return (value) => {
        if (typeof value !== "boolean") throw wrong("a boolean", value);
        return value;
      };
    case "int":
      return (value) => {
        const whole = exactInt(value);
        if (whole === undefined) throw wrong("a whole number of 64 bits, exact or a bigint", value);
        return raw ? packedInt(whole) : plainInt(whole);
      };
    case "float":
      return (value) => {
        if (typeof value !== "number" || !Number.isFinite(value)) throw wrong("a finite number", value);
        return value;
      };
    case "text":
      return (value) => {
        if (typeof value !== "string" || LONE_SURROGATE.test(value)) throw wrong("well-formed text", value);
        return value;
      };
    case "bytes":
      return (value) => {
        if (!(value instanceof Uint8Array)) throw wrong("a Uint8Array", value);
        return raw ? value : toBase64(value);
      };
    case "timestamp":
      return (value) => {
        const micros = microsIn(value);
        if (micros === undefined) throw wrong("a valid Date, or microseconds as a bigint", value);
        return raw ? packedInt(micros) : String(micros);
      };
    case "uuid":
      return (value) => {
        if (typeof value !== "string" || !UUID.test(value)) throw wrong("a uuid as text", value);
        return raw ? uuidBytes(value) : value;
      };
    case "json":
      return (value) => {
        const text = value === JSON_NULL ? "null" : jsonText(value);
        if (text === undefined) throw wrong("a value that JSON has", value);
        if (raw) return text;
        const plain: unknown = JSON.parse(text); // as it is now, not when it is sent
        return plain === null || isWrapped(plain) ? { $json: plain } : plain;
      };
  }
  const decimal = DECIMAL.exec(column.type);
  if (decimal) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
    const expected = `a ${column.type} as text such as "${decimalText(0n, scale)}"`;
    return (value) => {
      const units = decimalUnits(value, precision, scale);
      if (units === undefined) throw wrong(expected, value);
      return raw ? packedInt(units) : decimalText(units, scale);
    };
  }
  return (value) => value; // of a newer server: it will say what it thinks of it
}

/**
 * A query's parameter, whose type only the server knows (docs/wire.md, "Queries"): as in JSON, but
 * that bytes are bytes in msgpack. Throws a `ReifyDBError` `wrong_type` for what is of no type.
 */
export function writtenParameter(value: unknown, name: string, dialect: DialectName): unknown {
  if (value === null || value === undefined) {
    return null;
  }
  const type = parameterType(value);
  if (type === undefined) {
    throw refuse("wrong_type", `parameter ${name}: no column has ${shown(value)}`);
  }
  const column = { name: `parameter ${name}`, type, nullable: true };
  if (type !== "json") {
    return writer(column, dialect)(value);
  }
  const plain = writer(column, "json")(value);
  return dialect === "json" ? plain : packedJson(plain);
}

function parameterType(value: unknown): string | undefined {
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return Number.isSafeInteger(value) ? "int" : "float";
    case "string":
      return "text";
    case "object":
      return value instanceof Uint8Array ? "bytes" : value instanceof Date ? "timestamp" : "json";
    case "symbol":
      return value === JSON_NULL ? "json" : undefined;
  }
  return undefined;
}

/** JSON whose whole numbers stay whole numbers in msgpack. */
function packedJson(value: unknown): unknown {
  if (typeof value === "number" && Number.isSafeInteger(value)) {
    return packedInt(BigInt(value));
  }
  if (Array.isArray(value)) {
    return value.map(packedJson);
  }
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, packedJson(part)]));
  }
  return value;
}

function shown(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.slice(0, 60));
  }
  if (typeof value === "object" && value !== null) {
    return `an object (${value.constructor?.name ?? "without a class"})`;
  }
  return `${String(value)} (${typeof value})`;
}

function exactInt(value: unknown): bigint | undefined {
  if (typeof value === "number" ? !Number.isSafeInteger(value) : typeof value !== "bigint") {
    return undefined;
  }
  const whole = BigInt(value as number | bigint);
  return whole < INT_MIN || whole > INT_MAX ? undefined : whole;
}

/** The msgpack library packs numbers beyond 32 bits as floats, and bigints always in 64 bits. */
function packedInt(whole: bigint): number | bigint {
  const near = Number(whole);
  return near >= -0x8000_0000 && near <= UINT32_MAX ? near : whole;
}

function plainInt(whole: bigint): number | string {
  const near = Number(whole);
  return Number.isSafeInteger(near) ? near : String(whole);
}

function microsIn(value: unknown): bigint | undefined {
  if (value instanceof Date) {
    try {
      return exactInt(microsOf(value));
    } catch {
      return undefined; // an invalid date
    }
  }
  return typeof value === "bigint" ? exactInt(value) : undefined;
}

/** "12.50" with scale 2 as `1250n`; undefined when it does not fit exactly. */
export function decimalUnits(value: unknown, precision: number, scale: number): bigint | undefined {
  let text: string;
  if (typeof value === "string") {
    text = value;
  } else {
    const whole = exactInt(value);
    if (whole === undefined) return undefined;
    text = String(whole);
  }
  const parts = /^([+-]?)(\d{1,40})(?:\.(\d{1,40}))?$/.exec(text);
  if (!parts) return undefined;
  const rest = (parts[3] ?? "").replace(/0+$/, "");
  if (rest.length > scale) return undefined;
  const units = BigInt(`${parts[2]}${rest.padEnd(scale, "0")}`);
  if (units >= 10n ** BigInt(precision)) return undefined;
  return parts[1] === "-" ? -units : units;
}

function uuidBytes(text: string): Uint8Array {
  const hex = text.replaceAll("-", "");
  return Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

function toBase64(data: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < data.length; at += 0x8000) {
    binary += String.fromCharCode(...data.subarray(at, at + 0x8000));
  }
  return btoa(binary);
}

function jsonText(value: unknown): string | undefined {
  if (value === null) return undefined;
  try {
    return JSON.stringify(value);
  } catch {
    return undefined; // a bigint, or a circle
  }
}
