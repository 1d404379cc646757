/** Types of schema 0. */

export interface Options {
  /** Default: `10`. */
  size?: number | bigint;
  /** Default: `{"x": 1, "y": [2]}`. */
  point?: Point;
  /** Default: `["a"]`. */
  tags?: string[];
  /** Default: `{"k": null}`. */
  any?: unknown;
  /** Default: `"\"*\/\\"`. */
  text?: string;
}

/** Values that hold where a member of `Options` is absent. */
export const OptionsDefaults = {
  size: 10,
  point: { x: 1, y: [2] },
  tags: ["a"],
  any: { k: null },
  text: '"*/\\',
} as const;

export interface Point {
  x: number | bigint;
  y?: (number | bigint)[];
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Options: Options;
  Point: Point;
}
