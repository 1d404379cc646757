/** Types of schema 0. */

export type Text = string;

export type List = (number | bigint)[];

export type Has = unknown[];

export type Sized = { [key: string]: unknown };

export type Ahead = string;

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Text: Text;
  List: List;
  Has: Has;
  Sized: Sized;
  Ahead: Ahead;
}
