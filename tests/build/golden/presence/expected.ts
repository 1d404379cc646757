/** Types of schema 0. */

export interface Form {
  a: string;
  b: string | null;
  c?: string;
  d?: string | null;
  /** Default: `"x"`. */
  e?: string;
  /** Default: `3`. */
  f?: number | bigint | null;
}

/** Values that hold where a member of `Form` is absent. */
export const FormDefaults = {
  e: "x",
  f: 3,
} as const;

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Form: Form;
}
