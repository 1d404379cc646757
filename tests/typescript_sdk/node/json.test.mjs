import assert from "node:assert/strict";
import { test } from "node:test";
import { sdk } from "./sdk.mjs";

const { JsonError, ValidationError, equalJson, parseJson, toNumber, writeJson } = sdk;
const nested = (depth, inner = "") => "[".repeat(depth) + inner + "]".repeat(depth);

const EXACT = [
  ["1", 1],
  ["1.0", 1],
  ["1e2", 100],
  ["-0", -0],
  ["9007199254740991", 9007199254740991],
  ["9007199254740993", 9007199254740993n],
  ["-9223372036854775808", -9223372036854775808n],
  ["18446744073709551616", 18446744073709551616n],
  ["123456789012345678901234567890", 123456789012345678901234567890n],
  ["9007199254740993.0", 9007199254740992],
  ["0.12345678901234567890", 0.12345678901234568],
  ["1e300", 1e300],
  ["1E+300", 1e300],
  ["1e-400", 0],
  ['"1234567890123456789"', "1234567890123456789"],
  ['"\\ud83d\\ude00"', "😀"],
  ['"\\\\ud800"', "\\ud800"],
  ['{"a":1,"a":12345678901234567890}', { a: 12345678901234567890n }],
  [
    ' { "a" : [ 12345678901234567890 , { } , [ ] , true , false , null , "x" ] } ',
    { a: [12345678901234567890n, {}, [], true, false, null, "x"] },
  ],
];

for (const [text, value] of EXACT) {
  test(`reads ${text}`, () => {
    assert.deepEqual(parseJson(text), value);
    assert.deepEqual(parseJson(new TextEncoder().encode(text)), value);
  });
}

const REFUSED = [
  "",
  "nul",
  "NaN",
  "Infinity",
  "01",
  "1.",
  ".5",
  "+1",
  "1e400",
  "-1e400",
  '{"a":1,}',
  "[1,]",
  "[1 2]",
  "{'a':1}",
  '{"a"}',
  "1 2",
  "\ufeff1",
  '"\ud800"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '{"\\ud800":1}',
  '"\t"',
  '"abc',
  '"\\x"',
  "[12345678901234567890",
  "12345678901234567890x",
  "-12345678901234567890.",
  '{"a":12345678901234567890,}',
  '{"a" 12345678901234567890}',
  "[12345678901234567890 1]",
  '"12345678901234567890\u0001"',
  "9".repeat(100_001),
  nested(513),
  '{"a":'.repeat(513) + "1" + "}".repeat(513),
  nested(600_000),
];

for (const text of REFUSED) {
  test(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
    assert.throws(() => parseJson(text), JsonError);
  });
}

test("refuses bytes that are not UTF-8, and a byte order mark", () => {
  assert.throws(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22)), JsonError);
  assert.throws(() => parseJson(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)), JsonError);
  assert.throws(() => parseJson(Uint8Array.of(0xef, 0xbb, 0xbf, 0x31)), JsonError);
});

test("takes the deepest nesting allowed, brackets in strings left out", () => {
  const text = nested(512, '"[[[[\\"[[[["');
  assert.equal(writeJson(parseJson(text)), text);
  const long = nested(512, "12345678901234567890");
  assert.equal(writeJson(parseJson(long)), long);
});

for (const text of ['{"__proto__":{"x":1},"constructor":2}', '{"__proto__":12345678901234567890}']) {
  test(`keeps ${text} as data`, () => {
    const value = parseJson(text);
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.deepEqual(Object.keys(value)[0], "__proto__");
    assert.equal(writeJson(value), text);
  });
}

const WRITTEN = [
  [9007199254740993n, "9007199254740993"],
  [{ a: 1n, b: undefined, c: "\u2028" }, '{"a":1,"c":"\u2028"}'],
  [2 ** 60, "1152921504606846976"],
  [1.2345678901234568e20, "123456789012345683968"],
  [1e21, "1e+21"],
  [[1e300, 1n, -0, 0.1], "[1e+300,1,0,0.1]"],
  ["\\ud800", '"\\\\ud800"'],
];

for (const [value, text] of WRITTEN) {
  test(`writes ${text}`, () => assert.equal(writeJson(value), text));
}

class Point {
  x = 1;
}

test("writes an instance by its own members", () => {
  assert.equal(writeJson(new Point()), '{"x":1}');
});

const cycle = {};
cycle.self = cycle;
const UNWRITABLE = [
  NaN,
  Infinity,
  undefined,
  [undefined],
  () => 1,
  Symbol("x"),
  new Date(0),
  new Map(),
  new Uint8Array(1),
  "\ud800",
  { "\ud800": 1 },
  cycle,
];

UNWRITABLE.forEach((value, index) => {
  test(`cannot write ${typeof value} (${index})`, () => assert.throws(() => writeJson(value), JsonError));
});

test("refusals are validation errors with issues", () => {
  assert.throws(
    () => sdk.decode("Tree", "{"),
    (error) => error instanceof ValidationError && error.issues.length === 1 && error.issues[0].path === "$",
  );
});

const EQUAL = [
  [1, 1n],
  [2 ** 60, 2n ** 60n],
  [
    { a: 1, b: [2] },
    { b: [2n], a: 1.0 },
  ],
  [{ a: undefined }, {}],
];
const UNEQUAL = [
  [true, 1],
  [0, false],
  [null, {}],
  [[], {}],
  ["1", 1],
  [{ a: 1 }, { b: 1 }],
  [[1], [1, 2]],
  [2 ** 53, 2n ** 53n + 1n],
  [{ toString: 1 }, {}],
];

test("equality is that of JSON values", () => {
  for (const [left, right] of EQUAL) assert.ok(equalJson(left, right) && equalJson(right, left));
  for (const [left, right] of UNEQUAL) assert.ok(!equalJson(left, right) && !equalJson(right, left));
});

test("toNumber refuses what a double cannot hold", () => {
  assert.equal(toNumber(2n ** 60n), 2 ** 60);
  assert.throws(() => toNumber(2n ** 53n + 1n), RangeError);
});
