/** Types of schema 0. */

export interface Meta {
  _meta: { [key: string]: unknown };
  "a/b"?: string;
  "~x"?: number | bigint;
  $ref?: string;
  "@id"?: string;
  "x-y"?: string;
  "a.b"?: string;
}

/** `a/b c` in the protocol. */
export interface ABC {
  v?: Meta;
}

export interface Uses {
  x?: ABC;
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Meta: Meta;
  "a/b c": ABC;
  Uses: Uses;
}
