/** Types of schema 0. */

export interface Base {
  a: string;
}

export interface Strict {
  a: string;
  b?: number | bigint;
}

export interface Typed {
  a: string;
}

export type Items = unknown[];

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Base: Base;
  Strict: Strict;
  Typed: Typed;
  Items: Items;
}
