/** Types of schema 0. */

export interface Base {
  id: string;
  state?: string;
}

export interface Child {
  id: string;
  state?: string;
  name: string;
}

export interface Narrow {
  id: string;
  state: NarrowState;
}

export type NarrowState = "on" | "off";

/** Values of `NarrowState`. */
export const NarrowStateValues = ["on", "off"] as const;

export interface Twice {
  id: string;
  state: NarrowState;
  name: string;
  extra?: number | bigint;
}

/** Only another name. */
export interface Single {
  id: string;
  state?: string;
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Base: Base;
  Child: Child;
  Narrow: Narrow;
  NarrowState: NarrowState;
  Twice: Twice;
  Single: Single;
}
