/**
 * Decoding and encoding at the boundary: JSON text to a validated value and back, by the name of a definition.
 *
 * Knows the schema as data; the generated schema.ts adds the types.
 */

import { ValidationError, type ValidationIssue } from "./errors.js";
import { parseJson, writeJson } from "./json.js";
import { Validator, type Shape } from "./validate.js";

/** How a value is held against its schema. */
export interface CheckOptions {
  /**
   * Whether constraints count: bounds of numbers, lengths and sizes, patterns, unique items, `contains`, names of
   * members. Default: true. Types are always checked.
   */
  readonly constraints?: boolean;
}

/** The boundary of one protocol. Values are plain JSON data; integers beyond 2^53 are bigint. */
export class Codec extends Validator {
  #loose: Codec | undefined;

  /** The boundary that the options ask for: this one, or the one that leaves constraints out. */
  under(options: CheckOptions | undefined): Codec {
    if (options?.constraints !== false) return this;
    return (this.#loose ??= new Codec(this.definitions, this));
  }

  /** The value of a JSON text or its UTF-8 bytes. Errors: JsonError; ValidationError when it misses the shape. */
  read(shape: Shape, input: string | Uint8Array): unknown {
    const value = parseJson(input);
    this.check(shape, value);
    return value;
  }

  /** The JSON text of a value. Errors: JsonError; ValidationError when it misses the shape. */
  write(shape: Shape, value: unknown): string {
    const text = writeJson(value);
    this.check(shape, value);
    return text;
  }

  /** Errors: ValidationError when a value misses the shape. */
  check(shape: Shape, value: unknown): void {
    const issues = this.issues(shape, value);
    if (issues.length > 0) throw new ValidationError(`invalid ${describe(shape)}`, issues);
  }
}

function describe(shape: Shape): string {
  return typeof shape === "string" ? shape : "value";
}

/** The issues as the data of an "Invalid params" error. */
export function issueData(issues: readonly ValidationIssue[]): { errors: ValidationIssue[] } {
  return { errors: issues.map(({ path, message }) => ({ path, message })) };
}
