/** Types of schema 0. */

export interface Fixed {
  text: "a";
  whole: 7;
  part: 1.5;
  yes: true;
  nothing: null;
  list?: unknown;
  object?: unknown;
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Fixed: Fixed;
}
