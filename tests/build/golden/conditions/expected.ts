/** Types of schema 0. */

export type NotText = unknown;

export interface Card {
  kind: CardKind;
  number?: string;
}

export type CardKind = "card" | "cash";

/** Values of `CardKind`. */
export const CardKindValues = ["card", "cash"] as const;

export interface Together {
  a?: string;
  b?: string;
  c?: string;
  d?: string;
}

export interface OneOfGroups {
  a?: string;
  b?: string;
}

export interface AtLeast {
  a?: string;
  b?: string;
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  NotText: NotText;
  Card: Card;
  CardKind: CardKind;
  Together: Together;
  OneOfGroups: OneOfGroups;
  AtLeast: AtLeast;
}
