/** Types of schema 0. */

export type Even = number | bigint;

export type Names = { [key: string]: unknown };

export type Only = "x";

export type Some = unknown[];

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Even: Even;
  Names: Names;
  Only: Only;
  Some: Some;
}
