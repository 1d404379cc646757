/** Types of schema 0. */

export type Odd = "" | "a b" | "a-b" | "1st" | "class" | "a/b" | "é" | '"' | "*/";

/** Values of `Odd`. */
export const OddValues = [
  "",
  /** With a blank. */
  "a b",
  "a-b",
  "1st",
  "class",
  "a/b",
  "é",
  '"',
  "*/",
] as const;

export type Mixed = "a" | 1 | 2.5 | true;

/** Values of `Mixed`. */
export const MixedValues = ["a", 1, 2.5, true] as const;

export type WithNull = WithNullValue | null;

export type WithNullValue = "a" | "b";

/** Values of `WithNullValue`. */
export const WithNullValueValues = ["a", "b"] as const;

export type Numbers = 1 | 2 | -3;

/** Values of `Numbers`. */
export const NumbersValues = [1, 2, -3] as const;

export type Named = 1 | 2;

/** Values of `Named`. */
export const NamedValues = [1, 2] as const;

/** Values of `Named` by name. */
export const Named = {
  One: 1,
  Two: 2,
} as const;

export type Known = "a" | "b" | (string & {});

/** Known values of `Known`. */
export const KnownValues = [
  /** The first. */
  "a",
  "b",
] as const;

/** Values of `Known` by name. */
export const Known = {
  /** The first. */
  First: "a",
} as const;

export type KnownCodes = 1 | 2 | number | bigint;

export type Said = "x" | "y";

/** Values of `Said`. */
export const SaidValues = [
  /** Ex. */
  "x",
  "y",
] as const;

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Odd: Odd;
  Mixed: Mixed;
  WithNull: WithNull;
  WithNullValue: WithNullValue;
  Numbers: Numbers;
  Named: Named;
  Known: Known;
  KnownCodes: KnownCodes;
  Said: Said;
}
