/**
 * JSON text to values and back without loss: an integer beyond 2^53 is a bigint, the rest is what JSON.parse gives.
 *
 * Knows nothing of schemas or messages.
 */

import { JsonError } from "./errors.js";

/** Deepest nesting of arrays and objects that is read or written; deeper input is refused before it can exhaust a stack. */
export const MAX_DEPTH = 512;

/** Longest integer that is read; turning digits into a bigint costs more than linear time. */
export const MAX_INTEGER_DIGITS = 100_000;

/** What JSON.parse would read wrongly: long integers, huge exponents, surrogates that may stand alone. */
const NEEDS_OWN_READER = /\d{16}|\\u[dD][89a-fA-F]|[eE]\+?\d{3}|\p{Cs}/u;
const LONE_SURROGATE = /\p{Cs}/u;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Whether a value is a JSON object (not null, not an array). */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Sets a member as data, whatever its name: a plain assignment to `__proto__` would change the prototype. */
export function setMember(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name === "__proto__") {
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  } else {
    object[name] = value;
  }
}

/**
 * The value of a JSON text, or of its UTF-8 bytes.
 *
 * The last of several members of one name wins. Errors: JsonError for anything that is not JSON (RFC 8259), a byte
 * order mark, invalid UTF-8, a lone surrogate, nesting beyond MAX_DEPTH, or a number outside the range of a double.
 */
export function parseJson(input: string | Uint8Array): unknown {
  const text = typeof input === "string" ? input : decodeUtf8(input);
  refuseDeepNesting(text);
  if (NEEDS_OWN_READER.test(text)) return new Reader(text).document();
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new JsonError(error instanceof Error ? error.message : "unreadable text");
  }
}

/** The text of UTF-8 bytes. Errors: JsonError when they are none. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new JsonError("the bytes are not UTF-8");
  }
}

/** Pieces of `size` bytes together as one. */
export function joinBytes(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function refuseDeepNesting(text: string): void {
  // A text that nests deeper has at least one character more than this for its brackets.
  if (text.length <= 2 * MAX_DEPTH) return;
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0x22) {
      index = endOfString(text, index);
    } else if (code === 0x5b || code === 0x7b) {
      if (++depth > MAX_DEPTH) throw new JsonError(`nested deeper than ${MAX_DEPTH} levels`);
    } else if (code === 0x5d || code === 0x7d) {
      depth--;
    }
  }
}

/** The index of the quotation mark that ends the string which starts at `start`, or the text's length. */
function endOfString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0x22) return index;
    if (code === 0x5c) index++;
  }
  return text.length;
}

/** A recursive reader for what JSON.parse cannot do; its depth is bounded before it starts. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    const value = this.#value();
    this.#space();
    if (this.#at < this.#text.length) throw this.#unexpected();
    return value;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #unexpected(): JsonError {
    const found = this.#text[this.#at];
    return new JsonError(`unexpected ${found === undefined ? "end of text" : JSON.stringify(found)} at ${this.#at}`);
  }

  #value(): unknown {
    this.#space();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #word<Value>(word: string, value: Value): Value {
    if (!this.#text.startsWith(word, this.#at)) throw this.#unexpected();
    this.#at += word.length;
    return value;
  }

  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #object(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    this.#at++;
    if (this.#take("}")) return object;
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') throw this.#unexpected();
      const name = this.#string();
      if (!this.#take(":")) throw this.#unexpected();
      setMember(object, name, this.#value());
    } while (this.#take(","));
    if (!this.#take("}")) throw this.#unexpected();
    return object;
  }

  #array(): unknown[] {
    const items: unknown[] = [];
    this.#at++;
    if (this.#take("]")) return items;
    do items.push(this.#value());
    while (this.#take(","));
    if (!this.#take("]")) throw this.#unexpected();
    return items;
  }

  #string(): string {
    const end = endOfString(this.#text, this.#at);
    const literal = this.#text.slice(this.#at, end + 1);
    let value: string;
    try {
      value = JSON.parse(literal) as string;
    } catch {
      throw new JsonError(`bad string at ${this.#at}`);
    }
    if (LONE_SURROGATE.test(value)) throw new JsonError(`lone surrogate in the string at ${this.#at}`);
    this.#at = end + 1;
    return value;
  }

  #number(): number | bigint {
    const pattern = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) throw this.#unexpected();
    const [literal, fraction, exponent] = match;
    const value = Number(literal);
    const start = this.#at;
    this.#at = pattern.lastIndex;
    if (fraction === undefined && exponent === undefined && !Number.isSafeInteger(value)) {
      if (literal.length > MAX_INTEGER_DIGITS) throw new JsonError(`integer of too many digits at ${start}`);
      return BigInt(literal);
    }
    if (!Number.isFinite(value)) throw new JsonError(`number out of range at ${start}`);
    return value;
  }
}

/**
 * The JSON text of a value: compact, one line.
 *
 * A member that is undefined is left out. Errors: JsonError for what JSON cannot say (NaN, infinities, undefined in an
 * array, functions, symbols, Date, Map and other objects that are not plain data, lone surrogates) and for nesting
 * beyond MAX_DEPTH, cycles included.
 */
export function writeJson(value: unknown): string {
  return isPlain(value, 0) ? JSON.stringify(value) : write(value);
}

/** Errors: JsonError when `writeJson` could not write the value. */
export function assertJson(value: unknown): void {
  isPlain(value, 0);
}

/** Whether JSON.stringify writes `value` exactly. Errors: JsonError where nothing can. */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
      if (LONE_SURROGATE.test(value)) throw new JsonError("a string holds a lone surrogate");
      return true;
    case "number":
      if (!Number.isFinite(value)) throw new JsonError(`JSON has no ${value}`);
      return !Number.isInteger(value) || Number.isSafeInteger(value);
    case "boolean":
      return true;
    case "bigint":
      return false;
    case "object":
      return value === null || isPlainContainer(value, depth + 1);
    default:
      throw new JsonError(`JSON has no ${typeof value}`);
  }
}

function isPlainContainer(value: object, depth: number): boolean {
  if (depth > MAX_DEPTH) throw new JsonError(`nested deeper than ${MAX_DEPTH} levels`);
  let plain = true;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      if (!isPlain(value[index], depth)) plain = false;
    }
    return plain;
  }
  if (Symbol.iterator in value || ArrayBuffer.isView(value) || hasToJson(value)) {
    throw new JsonError(`${Object.prototype.toString.call(value)} is not plain data`);
  }
  for (const [name, member] of Object.entries(value)) {
    if (LONE_SURROGATE.test(name)) throw new JsonError("a member's name holds a lone surrogate");
    if (member !== undefined && !isPlain(member, depth)) plain = false;
  }
  return plain;
}

function hasToJson(value: object): boolean {
  return "toJSON" in value && typeof value.toJSON === "function";
}

/** Writes what isPlain has inspected. */
function write(value: unknown): string {
  switch (typeof value) {
    case "bigint":
      return value.toString();
    case "number":
      // Above 1e21 the shortest form has an exponent and reads back as the same double; below it would look like an
      // exact integer that the double is not.
      return Number.isInteger(value) && Math.abs(value) < 1e21 ? BigInt(value).toString() : String(value);
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
      return `{${Object.entries(value)
        .filter(([, member]) => member !== undefined)
        .map(([name, member]) => `${JSON.stringify(name)}:${write(member)}`)
        .join(",")}}`;
    default:
      return JSON.stringify(value);
  }
}

/** Whether two values are the same JSON: 1 equals 1.0 and 1n, members may come in any order. */
export function equalJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (isNumeric(left) && isNumeric(right)) return left == right;
  if (Array.isArray(left)) {
    return (
      Array.isArray(right) && left.length === right.length && left.every((item, index) => equalJson(item, right[index]))
    );
  }
  if (!isObject(left) || !isObject(right)) return false;
  const names = memberNames(left);
  return (
    names.length === memberNames(right).length &&
    names.every((name) => Object.hasOwn(right, name) && equalJson(left[name], right[name]))
  );
}

/** Whether a value is a JSON number in either of its two forms. */
export function isNumeric(value: unknown): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

/** The names of an object's members; one that is undefined counts as absent, as it does when written. */
export function memberNames(object: Record<string, unknown>): string[] {
  const names = Object.keys(object);
  for (const name of names) {
    if (object[name] === undefined) return names.filter((each) => object[each] !== undefined);
  }
  return names;
}

/** A text that is the same for two values exactly when they are equal as JSON. */
export function canonicalJson(value: unknown): string {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value).toString();
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (isObject(value)) {
    const names = memberNames(value).sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`).join(",")}}`;
  }
  return typeof value === "bigint" ? value.toString() : JSON.stringify(value);
}

/** A number as a double. Errors: RangeError for an integer that a double cannot hold exactly. */
export function toNumber(value: number | bigint): number {
  const double = Number(value);
  if (double != value) throw new RangeError(`${value} does not fit a double exactly`);
  return double;
}
