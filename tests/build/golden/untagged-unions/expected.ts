/** Types of schema 0. */

export type ByKey = ByKeyOption1 | ByKeyOption2 | ByKeyOption3;

export interface ByKeyOption1 {
  url: string;
}

export interface ByKeyOption2 {
  path: string;
}

export interface ByKeyOption3 {
  path: string;
  line: number | bigint;
}

export type Scalar = string | number | bigint | boolean | null;

export type OneOrMany = string | string[];

export type Types = string | (number | bigint)[] | { [key: string]: number | bigint };

export type Numbers = number | bigint;

/** Every definition by its name in the protocol. */
export interface TypesByName {
  ByKey: ByKey;
  ByKeyOption1: ByKeyOption1;
  ByKeyOption2: ByKeyOption2;
  ByKeyOption3: ByKeyOption3;
  Scalar: Scalar;
  OneOrMany: OneOrMany;
  Types: Types;
  Numbers: Numbers;
}
