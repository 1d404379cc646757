/** Types of schema 0. */

export type Name = string;

/** A short one. */
export type Short = unknown;

export interface Holder {
  /**
   * Told here.
   *
   * Default: `"x"`.
   */
  name: Name;
  both?: HolderBoth;
}

/** Values that hold where a member of `Holder` is absent. */
export const HolderDefaults = {
  name: "x",
} as const;

export type HolderBoth = unknown;

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Name: Name;
  Short: Short;
  Holder: Holder;
  HolderBoth: HolderBoth;
}
