/**
 * Validation of JSON values against the protocol's lowered schema: draft-07 and the later keywords that add to it.
 *
 * Each definition is compiled to closures when it is first needed. Formats are annotations and never checked; beside
 * `$ref` other keywords are ignored, as draft-07 says. Knows nothing of messages or methods.
 */

import { SdkError, UnknownTypeError, type ValidationIssue } from "./errors.js";
import { canonicalJson, equalJson, isNumeric, isObject, memberNames, parseJson } from "./json.js";

/** A JSON Schema as plain data. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** What a value must be: the name of a definition, or a schema whose references name definitions. */
export type Shape = string | JsonSchema;

/** The schema itself cannot be used: a reference that leads nowhere, or a pattern that is no regular expression. */
export class SchemaError extends SdkError {
  override readonly name: string = "SchemaError";
}

/** References followed inside each other before a value counts as nested too deeply; four for each level of nesting. */
const MAX_REFERENCE_DEPTH = 2048;

/** Unions inside unions whose alternatives are explained; each level multiplies the work. */
const MAX_EXPLAINED_UNIONS = 3;

/** Unions inside unions after which answers are remembered, so that backtracking cannot grow exponentially. */
const REMEMBER_BELOW_UNIONS = 2;

type Path = { readonly parent: Path; readonly key: string | number } | null;

interface Finding {
  readonly keyword: string;
  readonly path: Path;
  readonly message: string;
}

/** The state of one validation. While `findings` is null only the answer counts, and the first failure ends a check. */
interface Run {
  findings: Finding[] | null;
  references: number;
  unions: number;
  explained: number;
  readonly remembered: Map<Check, Map<object, boolean>>;
}

/** What has been looked at by a schema and those it applies in place, for `unevaluated…`. */
interface Seen {
  readonly members: Set<string>;
  readonly items: Set<number>;
}

type Check = (value: unknown, run: Run, path: Path, seen: Seen | null) => boolean;
type Keywords = { readonly [keyword: string]: unknown };

/**
 * Compiled checks for the definitions of one protocol, given as pairs of name and JSON text.
 *
 * With `full`, a validator of the same definitions, constraints do not count; `full` judges what a schema excludes and
 * what it asks first, which bounds must not widen.
 */
export class Validator {
  readonly #texts: ReadonlyMap<string, string>;
  readonly #named = new Map<string, Check>();
  readonly #inline = new WeakMap<object, Check>();
  readonly #full: Validator;

  constructor(definitions: Iterable<readonly [string, string]>, full?: Validator) {
    this.#texts = new Map(definitions);
    this.#full = full ?? this;
  }

  /** The definitions, as the constructor takes them. */
  protected get definitions(): ReadonlyMap<string, string> {
    return this.#texts;
  }

  /** The names of all definitions. */
  get names(): string[] {
    return [...this.#texts.keys()];
  }

  /** The schema of a definition. Errors: UnknownTypeError. */
  schema(name: string): JsonSchema {
    const text = this.#texts.get(name);
    if (text === undefined) throw new UnknownTypeError(name);
    return parseJson(text) as JsonSchema;
  }

  /** Whether a value has the shape. Errors: UnknownTypeError. */
  accepts(shape: Shape, value: unknown): boolean {
    return guard(() => this.#check(shape)(value, newRun(null), null, null)) ?? false;
  }

  /** Every way in which a value misses the shape; empty when it has it. Errors: UnknownTypeError. */
  issues(shape: Shape, value: unknown): ValidationIssue[] {
    if (this.accepts(shape, value)) return [];
    const findings: Finding[] = [];
    if (guard(() => this.#check(shape)(value, newRun(findings), null, null)) === undefined) {
      return [{ path: "$", message: "nested too deeply to be checked" }];
    }
    return findings.map((finding) => ({ path: pathText(finding.path), message: finding.message }));
  }

  #check(shape: Shape): Check {
    if (typeof shape === "string") return this.#definition(shape);
    if (typeof shape === "boolean") return this.#compile(shape);
    let check = this.#inline.get(shape);
    if (check === undefined) {
      check = this.#compile(shape);
      this.#inline.set(shape, check);
    }
    return check;
  }

  #definition(name: string): Check {
    let check = this.#named.get(name);
    if (check === undefined) {
      check = this.#compile(this.schema(name));
      this.#named.set(name, check);
    }
    return check;
  }

  readonly #compile = (schema: unknown): Check => {
    if (schema === true) return () => true;
    if (schema === false) return fail("false", () => "no value is allowed here");
    if (!isObject(schema)) throw new SchemaError(`a schema is an object or a boolean, not ${JSON.stringify(schema)}`);
    const reference = schema["$ref"];
    if (typeof reference === "string") return this.#reference(reference);
    const said = this.#full === this ? schema : relaxed(schema);
    const checks = COMPILERS.map((compile) => compile(said, this.#compile, this.#full.#compile));
    return unevaluated(said, this.#compile, all(checks.filter((check) => check !== null)));
  };

  #reference(reference: string): Check {
    const prefix = "#/definitions/";
    if (!reference.startsWith(prefix)) throw new SchemaError(`unusable reference ${reference}`);
    const name = reference.slice(prefix.length).replaceAll("~1", "/").replaceAll("~0", "~");
    let target: Check | null = null;
    return (value, run, path, seen) => {
      target ??= this.#definition(name);
      if (run.references >= MAX_REFERENCE_DEPTH) return report(run, path, "$ref", "nested too deeply to be checked");
      run.references++;
      const valid = remembered(target, value, run, path, seen);
      run.references--;
      return valid;
    };
  }
}

function newRun(findings: Finding[] | null): Run {
  return { findings, references: 0, unions: 0, explained: 0, remembered: new Map() };
}

/** The answer, or undefined where the engine's stack does not suffice (a smaller one than Node's). */
function guard(check: () => boolean): boolean | undefined {
  try {
    return check();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function remembered(check: Check, value: unknown, run: Run, path: Path, seen: Seen | null): boolean {
  if (run.unions < REMEMBER_BELOW_UNIONS || run.findings !== null || seen !== null || !isContainer(value)) {
    return check(value, run, path, seen);
  }
  let answers = run.remembered.get(check);
  if (answers === undefined) run.remembered.set(check, (answers = new Map<object, boolean>()));
  let answer = answers.get(value);
  if (answer === undefined) answers.set(value, (answer = check(value, run, path, seen)));
  return answer;
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

// --- paths and findings ---------------------------------------------------------------------------------------------

function below(run: Run, path: Path, key: string | number): Path {
  return run.findings === null ? null : { parent: path, key };
}

function depthOf(path: Path): number {
  let depth = 0;
  for (let at = path; at !== null; at = at.parent) depth++;
  return depth;
}

function pathText(path: Path): string {
  if (path === null) return "$";
  const parent = pathText(path.parent);
  if (typeof path.key === "number") return `${parent}[${path.key}]`;
  return /^[A-Za-z_$][\w$]*$/.test(path.key) ? `${parent}.${path.key}` : `${parent}[${JSON.stringify(path.key)}]`;
}

function report(run: Run, path: Path, keyword: string, message: string): false {
  run.findings?.push({ keyword, path, message });
  return false;
}

function fail(keyword: string, message: (value: unknown) => string): Check {
  return (value, run, path) => report(run, path, keyword, run.findings === null ? "" : message(value));
}

/** A check that says nothing of its own: `test` decides, and `message` is only made when it is wanted. */
function simple(keyword: string, test: (value: unknown) => boolean, message: (value: unknown) => string): Check {
  const failed = fail(keyword, message);
  return (value, run, path, seen) => test(value) || failed(value, run, path, seen);
}

function all(checks: readonly Check[]): Check {
  const [first, second] = checks;
  if (first === undefined) return () => true;
  if (second === undefined) return first;
  return (value, run, path, seen) => {
    let valid = true;
    for (const check of checks) {
      if (check(value, run, path, seen)) continue;
      if (run.findings === null) return false;
      valid = false;
    }
    return valid;
  };
}

/** The answer of a check without its findings. */
function quietly(check: Check, value: unknown, run: Run, seen: Seen | null): boolean {
  const findings = run.findings;
  run.findings = null;
  run.unions++;
  const valid = check(value, run, null, seen);
  run.unions--;
  run.findings = findings;
  return valid;
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (isObject(value)) return "an object";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  // Half of a character beyond the basic plane could not be written as UTF-8.
  return text.length > 60 ? `${text.slice(0, 60).replace(/[\ud800-\udbff]$/, "")}…` : text;
}

// --- unevaluated members and items ----------------------------------------------------------------------------------

function newSeen(): Seen {
  return { members: new Set(), items: new Set() };
}

function merge(from: Seen, into: Seen): void {
  for (const name of from.members) into.members.add(name);
  for (const index of from.items) into.items.add(index);
}

function unevaluated(schema: Keywords, compile: (schema: unknown) => Check, check: Check): Check {
  const members = schema["unevaluatedProperties"] === undefined ? null : compile(schema["unevaluatedProperties"]);
  const items = schema["unevaluatedItems"] === undefined ? null : compile(schema["unevaluatedItems"]);
  if (members === null && items === null) return check;
  return (value, run, path, outer) => {
    const seen = newSeen();
    let valid = check(value, run, path, seen);
    if (!valid && run.findings === null) return false;
    if (members !== null && isObject(value)) {
      for (const name of memberNames(value)) {
        if (seen.members.has(name)) continue;
        seen.members.add(name);
        if (members(value[name], run, below(run, path, name), null)) continue;
        valid = false;
      }
    }
    if (items !== null && Array.isArray(value)) {
      for (let index = 0; index < value.length; index++) {
        if (seen.items.has(index)) continue;
        seen.items.add(index);
        if (items(value[index], run, below(run, path, index), null)) continue;
        valid = false;
      }
    }
    if (outer !== null) merge(seen, outer);
    return valid;
  };
}

// --- keywords -------------------------------------------------------------------------------------------------------

type Compile = (schema: unknown) => Check;

/** `strictly` compiles with all constraints, whatever `compile` does. */
type Compiler = (schema: Keywords, compile: Compile, strictly: Compile) => Check | null;

/** What bounds a value of the right type. */
const CONSTRAINTS: ReadonlySet<string> = new Set([
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
  "minLength",
  "maxLength",
  "pattern",
  "minItems",
  "maxItems",
  "uniqueItems",
  "minContains",
  "maxContains",
  "minProperties",
  "maxProperties",
  "propertyNames",
]);

/** A schema without its own constraints. What tells two alternatives of `oneOf` apart may be one: either may fit. */
function relaxed(schema: Keywords): Keywords {
  // The size of a tuple is part of its type.
  const isTuple = Array.isArray(schema["items"]);
  const kept = Object.entries(schema).filter(
    ([keyword]) => !CONSTRAINTS.has(keyword) || (isTuple && (keyword === "minItems" || keyword === "maxItems")),
  );
  const { oneOf: either, ...rest }: Keywords = Object.fromEntries(kept);
  // Items that match count as looked at, however many they are.
  const bare = rest["contains"] === undefined ? rest : { ...rest, minContains: 0 };
  if (!Array.isArray(either)) return bare;
  const others = Array.isArray(bare["allOf"]) ? (bare["allOf"] as unknown[]) : [];
  return bare["anyOf"] === undefined ? { ...bare, anyOf: either } : { ...bare, allOf: [...others, { anyOf: either }] };
}

const TYPE_TESTS: { readonly [type: string]: (value: unknown) => boolean } = {
  null: (value) => value === null,
  boolean: (value) => typeof value === "boolean",
  integer: (value) => typeof value === "bigint" || Number.isInteger(value),
  number: (value) => typeof value === "bigint" || Number.isFinite(value),
  string: (value) => typeof value === "string",
  array: (value) => Array.isArray(value),
  object: isObject,
};

const type: Compiler = (schema) => {
  const names = schema["type"];
  if (names === undefined) return null;
  const tests = (Array.isArray(names) ? names : [names]).map((name) => {
    const test = TYPE_TESTS[String(name)];
    if (test === undefined) throw new SchemaError(`unknown type ${String(name)}`);
    return test;
  });
  const wanted = Array.isArray(names) ? names.join(" or ") : String(names);
  const message = (value: unknown): string => `expected ${wanted}, got ${shown(value)}`;
  const [only] = tests;
  if (tests.length === 1 && only !== undefined) return simple("type", only, message);
  return simple("type", (value) => tests.some((test) => test(value)), message);
};

const constant: Compiler = (schema) => {
  if (!Object.hasOwn(schema, "const")) return null;
  const expected = schema["const"];
  return simple(
    "const",
    (value) => equalJson(value, expected),
    (value) => `expected ${canonicalJson(expected)}, got ${shown(value)}`,
  );
};

const enumeration: Compiler = (schema) => {
  const members = schema["enum"];
  if (!Array.isArray(members)) return null;
  const texts = new Set(members.map(canonicalJson));
  const strings = new Set<unknown>(members.filter((member) => typeof member === "string"));
  return simple(
    "enum",
    (value) => (typeof value === "string" ? strings.has(value) : texts.has(canonicalJson(value))),
    (value) => `expected one of ${[...texts].join(", ")}, got ${shown(value)}`,
  );
};

/** Compiles a keyword that limits values of one kind by comparing with its argument. */
function limit<Value>(
  keyword: string,
  applies: (value: unknown) => value is Value,
  holds: (value: Value, bound: number | bigint) => boolean,
  message: (bound: number | bigint) => string,
): Compiler {
  return (schema) => {
    const bound = schema[keyword];
    if (!isNumeric(bound)) return null;
    return simple(
      keyword,
      (value) => !applies(value) || holds(value, bound),
      (value) => `${message(bound)}, got ${shown(value)}`,
    );
  };
}

const isString = (value: unknown): value is string => typeof value === "string";
const isArray = (value: unknown): value is unknown[] => Array.isArray(value);

/** The length in code points, as JSON Schema counts it. */
function codePoints(text: string): number {
  let count = text.length;
  for (let index = 1; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code >= 0xdc00 && code <= 0xdfff && (text.charCodeAt(index - 1) & 0xfc00) === 0xd800) count--;
  }
  return count;
}

const atMost = (what: string) => (bound: number | bigint) => `expected at most ${bound} ${what}`;
const atLeast = (what: string) => (bound: number | bigint) => `expected at least ${bound} ${what}`;

const LIMITS: readonly Compiler[] = [
  limit(
    "minimum",
    isNumeric,
    (value, bound) => value >= bound,
    (bound) => `expected at least ${bound}`,
  ),
  limit(
    "maximum",
    isNumeric,
    (value, bound) => value <= bound,
    (bound) => `expected at most ${bound}`,
  ),
  limit(
    "exclusiveMinimum",
    isNumeric,
    (value, bound) => value > bound,
    (bound) => `expected more than ${bound}`,
  ),
  limit(
    "exclusiveMaximum",
    isNumeric,
    (value, bound) => value < bound,
    (bound) => `expected less than ${bound}`,
  ),
  limit("multipleOf", isNumeric, isMultiple, (bound) => `expected a multiple of ${bound}`),
  // A text never has more code points than code units, nor fewer than half of them.
  limit(
    "minLength",
    isString,
    (value, bound) => value.length >= bound && codePoints(value) >= bound,
    atLeast("characters"),
  ),
  limit(
    "maxLength",
    isString,
    (value, bound) => value.length <= bound || codePoints(value) <= bound,
    atMost("characters"),
  ),
  limit("minItems", isArray, (value, bound) => value.length >= bound, atLeast("items")),
  limit("maxItems", isArray, (value, bound) => value.length <= bound, atMost("items")),
  limit("minProperties", isObject, (value, bound) => memberNames(value).length >= bound, atLeast("members")),
  limit("maxProperties", isObject, (value, bound) => memberNames(value).length <= bound, atMost("members")),
];

/** Whether `value` is a whole multiple of `divisor`, both taken as the decimals they are written as. */
function isMultiple(value: number | bigint, divisor: number | bigint): boolean {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(divisor)) return Number(value) % Number(divisor) === 0;
  const left = decimal(value);
  const right = decimal(divisor);
  const exponent = Math.min(left.exponent, right.exponent);
  const scaled = (each: Decimal): bigint => each.digits * 10n ** BigInt(each.exponent - exponent);
  return scaled(left) % scaled(right) === 0n;
}

/** digits · 10^exponent */
interface Decimal {
  readonly digits: bigint;
  readonly exponent: number;
}

function decimal(value: number | bigint): Decimal {
  const [mantissa = "0", exponent = "0"] = String(value).split("e");
  const [whole = "0", fraction = ""] = mantissa.split(".");
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length };
}

/** A regular expression with the meaning of ECMA-262: code points where the pattern allows it, unanchored. */
function expression(source: string): RegExp {
  try {
    return new RegExp(source, "u");
  } catch {
    // Patterns written for engines without the flag may escape characters that it reserves.
  }
  try {
    return new RegExp(source);
  } catch (error) {
    throw new SchemaError(`unusable pattern ${JSON.stringify(source)}`, { cause: error });
  }
}

const pattern: Compiler = (schema) => {
  const source = schema["pattern"];
  if (typeof source !== "string") return null;
  const regular = expression(source);
  return simple(
    "pattern",
    (value) => typeof value !== "string" || regular.test(value),
    (value) => `expected a text that matches ${JSON.stringify(source)}, got ${shown(value)}`,
  );
};

const required: Compiler = (schema) => {
  const names = schema["required"];
  if (!Array.isArray(names) || names.length === 0) return null;
  return needs(names.map(String), "");
};

function needs(names: readonly string[], reason: string): Check {
  return (value, run, path) => {
    if (!isObject(value)) return true;
    let valid = true;
    for (const name of names) {
      if (hasMember(value, name)) continue;
      if (run.findings === null) return false;
      valid = report(run, path, "required", `missing member ${JSON.stringify(name)}${reason}`);
    }
    return valid;
  };
}

function hasMember(object: Record<string, unknown>, name: string): boolean {
  return Object.hasOwn(object, name) && object[name] !== undefined;
}

/** `properties`, `patternProperties` and `additionalProperties`, which depend on each other. */
const members: Compiler = (schema, compile) => {
  const { properties, patternProperties, additionalProperties } = schema;
  if (properties === undefined && patternProperties === undefined && additionalProperties === undefined) return null;
  const named = new Map(Object.entries(properties ?? {}).map(([name, each]) => [name, compile(each)]));
  const matching = Object.entries(patternProperties ?? {}).map(
    ([source, each]) => [expression(source), compile(each)] as const,
  );
  const other = additionalProperties === undefined ? null : compile(additionalProperties);
  const forbidden = additionalProperties === false;
  return (value, run, path, seen) => {
    if (!isObject(value)) return true;
    let valid = true;
    for (const name of Object.keys(value)) {
      const member = value[name];
      if (member === undefined) continue;
      const at = below(run, path, name);
      let known = false;
      let good = true;
      const own = named.get(name);
      if (own !== undefined) {
        known = true;
        good = own(member, run, at, null);
      }
      for (const [regular, check] of matching) {
        if (!regular.test(name)) continue;
        known = true;
        if (!check(member, run, at, null)) good = false;
      }
      if (!known && other !== null) {
        known = true;
        good = forbidden ? report(run, at, "additionalProperties", "unexpected member") : other(member, run, at, null);
      }
      if (known) seen?.members.add(name);
      if (good) continue;
      if (run.findings === null) return false;
      valid = false;
    }
    return valid;
  };
};

const propertyNames: Compiler = (schema, compile) => {
  if (schema["propertyNames"] === undefined) return null;
  const check = compile(schema["propertyNames"]);
  return (value, run, path) => {
    if (!isObject(value)) return true;
    let valid = true;
    for (const name of memberNames(value)) {
      if (check(name, run, below(run, path, name), null)) continue;
      if (run.findings === null) return false;
      valid = false;
    }
    return valid;
  };
};

/** `dependencies` of draft-07 and its two successors. */
const dependencies: Compiler = (schema, compile) => {
  const rules: (readonly [string, Check])[] = [];
  for (const keyword of ["dependencies", "dependentRequired", "dependentSchemas"]) {
    for (const [name, rule] of Object.entries(schema[keyword] ?? {})) {
      const reason = `, which ${JSON.stringify(name)} asks for`;
      rules.push([name, Array.isArray(rule) ? needs(rule.map(String), reason) : compile(rule)]);
    }
  }
  if (rules.length === 0) return null;
  return (value, run, path, seen) => {
    if (!isObject(value)) return true;
    let valid = true;
    for (const [name, check] of rules) {
      if (!hasMember(value, name) || check(value, run, path, seen)) continue;
      if (run.findings === null) return false;
      valid = false;
    }
    return valid;
  };
};

/** `items` in both forms, with `additionalItems`. */
const items: Compiler = (schema, compile) => {
  const rule = schema["items"];
  if (rule === undefined) return null;
  const leading = Array.isArray(rule) ? rule.map(compile) : [];
  const later = Array.isArray(rule) ? schema["additionalItems"] : rule;
  const rest = later === undefined ? null : compile(later);
  return (value, run, path, seen) => {
    if (!Array.isArray(value)) return true;
    let valid = true;
    for (let index = 0; index < value.length; index++) {
      const check = leading[index] ?? rest;
      if (check === null) break;
      seen?.items.add(index);
      if (check(value[index], run, below(run, path, index), null)) continue;
      if (run.findings === null) return false;
      valid = false;
    }
    return valid;
  };
};

const uniqueItems: Compiler = (schema) => {
  if (schema["uniqueItems"] !== true) return null;
  return simple(
    "uniqueItems",
    (value) => !Array.isArray(value) || new Set(value.map(canonicalJson)).size === value.length,
    () => "expected items that differ from each other",
  );
};

/** `contains` with `minContains` and `maxContains`. */
const contains: Compiler = (schema, _, strictly) => {
  if (schema["contains"] === undefined) return null;
  const check = strictly(schema["contains"]);
  const { minContains, maxContains } = schema;
  const least = isNumeric(minContains) ? minContains : 1;
  const most = isNumeric(maxContains) ? maxContains : Infinity;
  return (value, run, path, seen) => {
    if (!Array.isArray(value)) return true;
    let count = 0;
    for (let index = 0; index < value.length; index++) {
      if (!quietly(check, value[index], run, null)) continue;
      count++;
      seen?.items.add(index);
    }
    if (count >= least && count <= most) return true;
    const wanted = most === Infinity ? `at least ${least}` : `${least} to ${most}`;
    return report(run, path, "contains", `expected ${wanted} items that match, got ${count}`);
  };
};

const not: Compiler = (schema, _, strictly) => {
  if (schema["not"] === undefined) return null;
  const check = strictly(schema["not"]);
  return (value, run, path) =>
    !quietly(check, value, run, null) || report(run, path, "not", `${shown(value)} is excluded here`);
};

const condition: Compiler = (schema, compile, strictly) => {
  if (schema["if"] === undefined) return null;
  const test = strictly(schema["if"]);
  const met = schema["then"] === undefined ? null : compile(schema["then"]);
  const unmet = schema["else"] === undefined ? null : compile(schema["else"]);
  return (value, run, path, seen) => {
    const looked = seen === null ? null : newSeen();
    const holds = quietly(test, value, run, looked);
    if (holds && seen !== null && looked !== null) merge(looked, seen);
    const branch = holds ? met : unmet;
    return branch === null || branch(value, run, path, seen);
  };
};

const allOf: Compiler = (schema, compile) => {
  const parts = schema["allOf"];
  return Array.isArray(parts) ? all(parts.map(compile)) : null;
};

const anyOf: Compiler = (schema, compile) => alternatives("anyOf", schema, compile);
const oneOf: Compiler = (schema, compile) => alternatives("oneOf", schema, compile);

function alternatives(keyword: "anyOf" | "oneOf", schema: Keywords, compile: (schema: unknown) => Check): Check | null {
  const list = schema[keyword];
  if (!Array.isArray(list)) return null;
  const checks = list.map(compile);
  return (value, run, path, seen) => {
    let matches = 0;
    for (const check of checks) {
      const looked = seen === null ? null : newSeen();
      if (!quietly(check, value, run, looked)) continue;
      matches++;
      if (seen !== null && looked !== null) merge(looked, seen);
      if (keyword === "anyOf" && seen === null) return true;
      if (keyword === "oneOf" && matches > 1) break;
    }
    if (matches === 1 || (matches > 0 && keyword === "anyOf")) return true;
    if (run.findings === null) return false;
    if (matches > 1) return report(run, path, keyword, `${shown(value)} matches more than one of the alternatives`);
    report(run, path, keyword, `${shown(value)} matches none of the ${checks.length} alternatives`);
    run.findings.push(...closest(checks, value, run, path));
    return false;
  };
}

/** The findings of the one alternative that the value was meant for, when its type and constants tell which. */
function closest(checks: readonly Check[], value: unknown, run: Run, path: Path): readonly Finding[] {
  if (run.explained >= MAX_EXPLAINED_UNIONS) return [];
  const outer = run.findings;
  run.explained++;
  const candidates: Finding[][] = [];
  for (const check of checks) {
    const findings: Finding[] = [];
    run.findings = findings;
    check(value, run, path, null);
    if (!findings.some((finding) => tellsApart(finding, path))) candidates.push(findings);
  }
  run.explained--;
  run.findings = outer;
  const [only] = candidates;
  return candidates.length === 1 && only !== undefined ? only : [];
}

/** Whether a finding shows that the value is of another alternative: another type, or another tag one level below. */
function tellsApart(finding: Finding, path: Path): boolean {
  const depth = depthOf(finding.path) - depthOf(path);
  return (depth === 0 && finding.keyword === "type") || (depth <= 1 && /^(?:const|enum)$/.test(finding.keyword));
}

/** Cheap and telling keywords first. */
const COMPILERS: readonly Compiler[] = [
  type,
  constant,
  enumeration,
  ...LIMITS,
  pattern,
  required,
  members,
  propertyNames,
  dependencies,
  items,
  uniqueItems,
  contains,
  not,
  condition,
  allOf,
  anyOf,
  oneOf,
];
