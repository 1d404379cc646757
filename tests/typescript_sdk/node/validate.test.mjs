import assert from "node:assert/strict";
import { test } from "node:test";
import { Validator, sdk } from "./sdk.mjs";

const { UnknownTypeError, ValidationError, decode, encode, is, schemaOf, validate } = sdk;
const check = (schema, value) => new Validator([["T", JSON.stringify(schema)]]).accepts("T", value);

test("every issue is reported with its path", () => {
  const value = {
    id: "abcd",
    small: 11,
    tags: ["a", "a"],
    "a/b": 1,
    pair: ["x", "y"],
    limits: { deep: "no" },
    flag: 0,
  };
  assert.deepEqual(
    validate("Everything", value).map(({ path }) => path),
    ["$", "$.id", "$.small", "$.tags", '$["a/b"]', "$.pair[1]", "$.limits.deep", "$.flag"],
  );
});

test("messages say what was expected and what came", () => {
  assert.deepEqual(validate("Closed", { y: 1 }), [
    { path: "$", message: 'missing member "x"' },
    { path: "$.y", message: "unexpected member" },
  ]);
  assert.deepEqual(validate("Mood", "sad"), [
    { path: "$", message: 'expected one of "good", "bad", "it\'s \\"odd\\"", got "sad"' },
  ]);
});

test("a union names what is wrong with the alternative that the tag selects", () => {
  assert.deepEqual(validate("Shape", { kind: "circle", radius: "1" }), [
    { path: "$", message: "an object matches none of the 2 alternatives" },
    { path: "$.radius", message: 'expected number, got "1"' },
  ]);
});

test("decode and encode raise the issues", () => {
  assert.throws(
    () => decode("Closed", "{}"),
    (error) => error instanceof ValidationError && error.issues[0].message === 'missing member "x"',
  );
  assert.throws(() => encode({}, "Closed"), ValidationError);
  assert.equal(encode({ x: 12345678901234567890n }, "Closed"), '{"x":12345678901234567890}');
  assert.deepEqual(decode("Closed", new TextEncoder().encode('{"x":1.0}')), { x: 1 });
  assert.ok(is("Mood", "good") && !is("Mood", "sad"));
});

test("an unknown type is an error of its own", () => {
  for (const name of ["Nope", "__proto__", "constructor", ""]) {
    assert.throws(() => decode(name, "{}"), UnknownTypeError);
    assert.throws(() => schemaOf(name), UnknownTypeError);
  }
});

test("members called __proto__ and constructor are members like others", () => {
  const text = '{"id":"a","count":1,"__proto__":12,"constructor":"x","toString":"y"}';
  assert.equal(encode(decode("Everything", text), "Everything"), text);
  assert.deepEqual(
    validate("Everything", JSON.parse('{"id":"a","count":1,"__proto__":"no","constructor":1}')).map(({ path }) => path),
    ["$.__proto__", "$.constructor"],
  );
  assert.deepEqual(validate("Closed", JSON.parse('{"x":1,"__proto__":1}')), [
    { path: "$.__proto__", message: "unexpected member" },
  ]);
  assert.ok(!check({ required: ["toString"] }, {}));
});

test("a member that is undefined is absent", () => {
  assert.deepEqual(validate("Closed", { x: undefined }), [{ path: "$", message: 'missing member "x"' }]);
  assert.deepEqual(validate("Closed", { x: 1, y: undefined }), []);
});

const KEYWORDS = [
  [{ multipleOf: 0.1 }, [0.3, 1, 4.2, 1e20, 12345678901234567890n], [0.35, 1e-2]],
  [{ multipleOf: 0.01 }, [4.35, 19.99, 0.07], [0.001]],
  [{ multipleOf: 3 }, [9007199254740993n * 3n, 0, "x"], [9007199254740993n * 3n + 1n]],
  [{ multipleOf: 0.123456789 }, [0], [1e308]],
  [{ maximum: 9007199254740992 }, [9007199254740992, 1n], [9007199254740993n]],
  [{ exclusiveMinimum: 1.5 }, [2n], [1n, 1.5]],
  [{ maxLength: 2 }, ["😀😀", "ab"], ["😀😀😀", "abc"]],
  [{ minLength: 2 }, ["😀😀"], ["😀"]],
  [{ pattern: "^a$" }, ["a"], ["a\n", "ab"]],
  [{ pattern: "^\\d+$" }, ["12"], ["١٢"]],
  [{ pattern: "^.$" }, ["😀"], ["ab"]],
  [{ pattern: "b" }, ["abc", 1], ["a"]],
  [{ pattern: "^[\\w-]+\\@x$" }, ["a-b@x"], ["a"]],
  [
    { uniqueItems: true },
    [
      [1, true, "1", null],
      [[1], [2]],
      [{ a: 1 }, { a: 2 }],
    ],
    [
      [1, 1n],
      [
        { a: 1, b: 2 },
        { b: 2n, a: 1 },
      ],
      [0, -0],
    ],
  ],
  [{ enum: [1, { a: 2 }] }, [1n, { a: 2n }], [true, "1", { a: 2, b: 1 }]],
  [{ const: null }, [null], [0, false]],
  [{ type: "integer" }, [1, 1e300, 10n ** 30n], [1.5, "1", NaN]],
  [{ type: ["null", "boolean"] }, [null, true], [0]],
  [
    { contains: { type: "string" }, minContains: 2, maxContains: 3 },
    [
      ["a", "b"],
      ["a", 1, "b", "c"],
    ],
    [["a"], ["a", "b", "c", "d"]],
  ],
  [{ contains: { type: "string" }, minContains: 0 }, [[], [1]], []],
  [{ dependentRequired: { a: ["b"] } }, [{}, { a: 1, b: 2 }], [{ a: 1 }]],
  [{ dependentSchemas: { a: { required: ["b"] } } }, [{ b: 1 }, { a: 1, b: 2 }], [{ a: 1 }]],
  [{ dependencies: { a: ["b"], c: { maxProperties: 1 } } }, [{ c: 1 }, { a: 1, b: 1 }], [{ a: 1 }, { c: 1, d: 1 }]],
  [{ propertyNames: { maxLength: 1 } }, [{ a: 1 }], [{ ab: 1 }]],
  [
    { patternProperties: { "^x": { type: "string" } }, additionalProperties: false },
    [{ xa: "" }],
    [{ xa: 1 }, { y: "" }],
  ],
  [{ items: [{ type: "string" }], additionalItems: { type: "null" } }, [[], ["a", null]], [[1], ["a", 1]]],
  [
    { if: { required: ["a"] }, then: { required: ["b"] }, else: { required: ["c"] } },
    [{ a: 1, b: 1 }, { c: 1 }],
    [{ a: 1 }, {}],
  ],
  [{ not: { type: "string" } }, [1], ["x"]],
  [{ oneOf: [{ type: "integer" }, { minimum: 2 }] }, [1, 2.5], [3, 1.5]],
  [false, [], [1, null]],
  [{ $ref: "#/definitions/T", type: "string" }, [], []],
  [
    {
      allOf: [
        { properties: { a: {} } },
        { anyOf: [{ properties: { b: {} }, required: ["b"] }, { properties: { c: {} } }] },
      ],
      unevaluatedProperties: false,
    },
    [{ a: 1 }, { a: 1, b: 1 }, { a: 1, b: 1, c: 1 }, { c: 1 }],
    [{ d: 1 }, { a: 1, d: 1 }],
  ],
  [
    {
      if: { properties: { a: { const: 1 } }, required: ["a"] },
      then: { properties: { b: {} } },
      unevaluatedProperties: false,
    },
    [{ a: 1, b: 2 }, {}],
    [{ a: 2, b: 2 }, { b: 2 }],
  ],
  [{ items: [{}], unevaluatedItems: { type: "string" } }, [[1, "a"], []], [[1, 2]]],
  [
    { allOf: [{ items: [{}, {}] }], contains: { const: 7 }, unevaluatedItems: false },
    [[1, 7], [7]],
    [
      [1, 2],
      [1, 7, 8],
    ],
  ],
  [
    { properties: { a: { unevaluatedProperties: false, properties: { b: {} } } } },
    [{ a: { b: 1 }, c: 1 }],
    [{ a: { c: 1 } }],
  ],
];

KEYWORDS.forEach(([schema, valid, invalid]) => {
  test(`keywords ${JSON.stringify(schema)}`, () => {
    for (const value of valid) assert.ok(check(schema, value), `refused ${String(value)}`);
    for (const value of invalid) {
      assert.ok(!check(schema, value), `accepted ${String(value)}`);
      assert.notDeepEqual(new Validator([]).issues(schema, value), []);
    }
  });
});

test("references are unescaped", () => {
  const validator = new Validator([
    ["a/b~c", '{"type":"string"}'],
    ["T", '{"$ref":"#/definitions/a~1b~0c"}'],
  ]);
  assert.ok(validator.accepts("T", "x") && !validator.accepts("T", 1));
});

test("recursion as deep as text may nest is checked, deeper one is an issue and no crash", () => {
  const tree = (depth) => {
    let value = { name: "leaf" };
    for (let level = 0; level < depth; level++) value = { name: "x", by_name: { a: value } };
    return value;
  };
  assert.deepEqual(validate("Tree", tree(255)), []);
  assert.deepEqual(validate("Value", tree(255)), []);
  assert.equal(validate("Tree", { name: "x", children: [tree(200), { name: 1 }] }).length, 1);
  const issues = validate("Tree", tree(100_000));
  assert.ok(issues.length > 0 && issues.every(({ message }) => message === "nested too deeply to be checked"));
});

test("a schema that only refers to itself ends", () => {
  assert.ok(!check({ allOf: [{ $ref: "#/definitions/T" }] }, 1));
});

test("backtracking does not grow exponentially", { timeout: 10_000 }, () => {
  const arm = { type: "object", properties: { next: { $ref: "#/definitions/T" } }, required: ["next"] };
  const schema = { anyOf: [{ const: 0 }, { ...arm, maxProperties: 1 }, { ...arm, minProperties: 1 }] };
  let value = 1;
  for (let level = 0; level < 60; level++) value = { next: value };
  const validator = new Validator([["T", JSON.stringify(schema)]]);
  assert.ok(!validator.accepts("T", value));
  assert.ok(validator.issues("T", value).length < 100);
});
