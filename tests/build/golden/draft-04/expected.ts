/** Types of schema 0. */

export type Range = number | bigint;

export interface Thing {
  n: Range;
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Range: Range;
  Thing: Thing;
}
