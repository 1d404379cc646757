/** Types of schema 0. */

export type Anchored = string;

export interface ByAnchor {
  a: Anchored;
}

export interface Inner {
  v?: V;
}

export interface ById {
  v?: Inner;
}

export interface Node {
  next?: Node;
}

export type V = number | bigint;

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Anchored: Anchored;
  ByAnchor: ByAnchor;
  Inner: Inner;
  ById: ById;
  Node: Node;
  V: V;
}
