import assert from "node:assert/strict";
import { test } from "node:test";
import { ReifyDBError } from "../../src/errors.js";
import { Timestamp } from "../../src/timestamp.js";
import { JSON_NULL } from "../../src/types.js";
import { decimalText, decimalUnits, type DialectName, reader, writer } from "../../src/values.js";

const column = (type: string) => ({ name: "c", type, nullable: true });
const written = (type: string, dialect: DialectName, value: unknown) => writer(column(type), dialect)(value);
const read = (type: string, dialect: DialectName, wire: unknown) => {
  const convert = reader(column(type), dialect);
  return convert === undefined ? wire : convert(wire);
};

const UUID = "12345678-9abc-def0-1234-56789abcdef0";
const UUID_BYTES = Uint8Array.of(0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0);

/** Type, value in JavaScript, in msgpack, in JSON. */
const VECTORS: readonly (readonly [string, unknown, unknown, unknown])[] = [
  ["bool", true, true, true],
  ["int", 0, 0, 0],
  ["int", -5, -5, -5],
  ["int", 4294967295, 4294967295, 4294967295],
  ["int", 4294967296, 4294967296n, 4294967296],
  ["int", -2147483649, -2147483649n, -2147483649],
  ["int", 9007199254740991, 9007199254740991n, 9007199254740991],
  ["int", 9007199254740993n, 9007199254740993n, "9007199254740993"],
  ["int", 9223372036854775807n, 9223372036854775807n, "9223372036854775807"],
  ["int", -9223372036854775808n, -9223372036854775808n, "-9223372036854775808"],
  ["float", 0.5, 0.5, 0.5],
  ["text", "Grüße 🌍", "Grüße 🌍", "Grüße 🌍"],
  ["bytes", Uint8Array.of(0, 255, 128), Uint8Array.of(0, 255, 128), "AP+A"],
  ["decimal(10,2)", "12.50", 1250, "12.50"],
  ["decimal(10,2)", "-0.05", -5, "-0.05"],
  ["decimal(18,0)", "999999999999999999", 999999999999999999n, "999999999999999999"],
  ["decimal(2,2)", "0.99", 99, "0.99"],
  ["uuid", UUID, UUID_BYTES, UUID],
  ["json", { a: [1, null] }, '{"a":[1,null]}', { a: [1, null] }],
  ["json", "text", '"text"', "text"],
  ["json", JSON_NULL, "null", { $json: null }],
];

test("values are written and read as the wire has them", () => {
  for (const [type, value, msgpack, json] of VECTORS) {
    assert.deepEqual(written(type, "msgpack", value), msgpack, `${type} in msgpack`);
    assert.deepEqual(written(type, "json", value), json, `${type} in JSON`);
    assert.deepEqual(read(type, "msgpack", msgpack), value, `${type} from msgpack`);
    assert.deepEqual(read(type, "json", json), value, `${type} from JSON`);
  }
});

test("an int that fits is a number however it was packed", () => {
  assert.equal(read("int", "msgpack", 5n), 5);
  assert.equal(read("int", "json", "5"), 5);
  assert.equal(written("int", "msgpack", 5n), 5);
});

test("bytes that were read keep no frame alive", () => {
  const frame = Uint8Array.of(1, 2, 3, 4);
  const bytes = read("bytes", "msgpack", frame.subarray(1, 3)) as Uint8Array;
  assert.equal(bytes.buffer.byteLength, 2);
});

test("what is not of its type is refused before it is sent", () => {
  const wrong: readonly (readonly [string, unknown])[] = [
    ["bool", 1],
    ["int", 1.5],
    ["int", 2 ** 53],
    ["int", "1"],
    ["int", 2n ** 63n],
    ["float", "1"],
    ["float", Number.NaN],
    ["float", Number.POSITIVE_INFINITY],
    ["float", 1n],
    ["text", 1],
    ["text", "\ud800"],
    ["bytes", "AP+A"],
    ["bytes", [1, 2]],
    ["timestamp", "2024-01-31T12:00:00Z"],
    ["timestamp", 1],
    ["timestamp", new Date(Number.NaN)],
    ["decimal(10,2)", "0.001"],
    ["decimal(10,2)", 0.1],
    ["decimal(10,2)", "100000000"],
    ["decimal(10,2)", "1e3"],
    ["decimal(10,2)", ""],
    ["uuid", "12345678"],
    ["uuid", UUID_BYTES],
    ["json", { a: 1n }],
    ["json", () => 1],
  ];
  for (const [type, value] of wrong) {
    for (const dialect of ["msgpack", "json"] as const) {
      assert.throws(
        () => written(type, dialect, value),
        (error: unknown) => error instanceof ReifyDBError && error.code === "wrong_type" && /^c: /.test(error.message),
        `${type}: ${String(value)}`,
      );
    }
  }
});

test("decimals are exact and have all digits of their scale", () => {
  assert.equal(decimalText(0n, 2), "0.00");
  assert.equal(decimalText(-1n, 3), "-0.001");
  assert.equal(decimalText(7n, 0), "7");
  assert.equal(decimalUnits("1.5", 10, 2), 150n);
  assert.equal(decimalUnits("+1.500", 10, 2), 150n);
  assert.equal(decimalUnits(-3, 10, 2), -300n);
  assert.equal(decimalUnits(3n, 3, 2), 300n);
  assert.equal(decimalUnits(10n, 3, 2), undefined);
});

test("a timestamp is a Date that keeps its microseconds", () => {
  const at = Timestamp.of("2024-01-31T12:00:00.123456Z");
  assert.ok(at instanceof Date);
  assert.equal(at.micros, 1706702400123456n);
  assert.equal(at.getMilliseconds(), 123);
  assert.equal(at.submillis, 456);
  assert.equal(JSON.stringify(at), '"2024-01-31T12:00:00.123456Z"');
  at.setUTCSeconds(1);
  assert.equal(at.micros, 1706702401123456n);
  assert.equal(new Timestamp(-1n).micros, -1n);
  assert.equal(new Timestamp(-1n).toISOString(), "1969-12-31T23:59:59.999999Z");
  assert.equal(Timestamp.of("0001-01-01T00:00:00.000000Z").micros, -62135596800000000n);
  assert.equal(Timestamp.of("2024-01-31T13:00:00.5+01:00").micros, 1706702400500000n);
  assert.equal(Timestamp.of("2024-01-31T12:00:00.1234Z").micros, 1706702400123400n);
  assert.equal(Timestamp.of(new Date(5)).micros, 5000n);
  assert.equal(Timestamp.of(at).micros, at.micros);
  assert.equal(new Timestamp(2n ** 63n - 1n).micros, 2n ** 63n - 1n);
  assert.throws(() => Timestamp.of("yesterday"), RangeError);
  for (const micros of [0n, 1n, 999n, 1000n, -999n, -1000n, -1001n, 1706702400123456n]) {
    assert.equal((read("timestamp", "msgpack", micros) as Timestamp).micros, micros);
    assert.equal(BigInt(written("timestamp", "msgpack", new Timestamp(micros)) as number), micros);
    assert.equal(written("timestamp", "json", new Timestamp(micros)), String(micros));
  }
  assert.equal((read("timestamp", "json", "2024-01-31T12:00:00.123456Z") as Timestamp).micros, 1706702400123456n);
  assert.equal((read("timestamp", "json", "9223372036854775807") as Timestamp).micros, 2n ** 63n - 1n);
});
