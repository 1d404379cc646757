/** Types of schema 0. */

export interface Formats {
  when?: string;
  mail?: string;
  id?: string;
  link?: string;
  data?: string;
  own?: string;
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Formats: Formats;
}
