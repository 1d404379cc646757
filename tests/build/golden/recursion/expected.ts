/** Types of schema 0. */

export interface Tree {
  value: number | bigint;
  children?: Tree[];
}

export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };

export interface Left {
  right?: Right;
}

export interface Right {
  left?: Left | null;
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Tree: Tree;
  Json: Json;
  Left: Left;
  Right: Right;
}
