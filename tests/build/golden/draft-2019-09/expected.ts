/** Types of schema 0. */

export interface Tree {
  kids?: Tree[];
}

export type Together = { [key: string]: unknown };

export type Pair = unknown[];

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Tree: Tree;
  Together: Together;
  Pair: Pair;
}
