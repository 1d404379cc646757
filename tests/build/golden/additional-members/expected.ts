/** Types of schema 0. */

export interface Open {
  a: string;
}

export interface Closed {
  a: string;
}

export interface Typed {
  a: string;
  /** Further members: `number | bigint`. */
  [key: string]: number | bigint | string;
}

export type Table = { [key: string]: (number | bigint)[] };

export interface Nothing {}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Open: Open;
  Closed: Closed;
  Typed: Typed;
  Table: Table;
  Nothing: Nothing;
}
