/** Types of schema 0. */

export type Pair = [string, number | bigint];

export type Rest = unknown[];

export type Loose = unknown[];

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Pair: Pair;
  Rest: Rest;
  Loose: Loose;
}
