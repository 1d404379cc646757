/** Types of schema 0. */

export interface Sizes {
  i: number | bigint;
  int64?: number | bigint;
  uint64?: number | bigint;
  small?: number;
  float?: number | bigint;
  share?: number;
  open?: number | bigint;
  step?: number | bigint;
}

export type Big = (number | bigint)[];

export type Numbers = (number | bigint)[];

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Sizes: Sizes;
  Big: Big;
  Numbers: Numbers;
}
