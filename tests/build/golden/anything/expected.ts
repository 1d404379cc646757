/** Types of schema 0. */

export type Empty = unknown;

export type Yes = unknown;

export type AllOfNothing = unknown;

export interface Holder {
  a: unknown;
  b?: unknown;
  c?: unknown;
  d?: unknown[];
  e?: { [key: string]: unknown };
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Empty: Empty;
  Yes: Yes;
  AllOfNothing: AllOfNothing;
  Holder: Holder;
}
