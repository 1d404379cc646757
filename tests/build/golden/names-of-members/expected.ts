/** Types of schema 0. */

export type Headers = { [key: string]: unknown };

export type Upper = { [key: string]: number | bigint };

export interface Beside {
  id?: string;
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Headers: Headers;
  Upper: Upper;
  Beside: Beside;
}
