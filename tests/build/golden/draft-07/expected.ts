/** Types of schema 0. */

export interface Order {
  card?: string;
  address?: string;
  gift?: boolean;
  note?: string;
}

export interface Price {
  free?: boolean;
  amount?: number | bigint;
}

export interface Same {
  free?: boolean;
  amount?: number | bigint;
}

export type Mixed = unknown[];

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Order: Order;
  Price: Price;
  Same: Same;
  Mixed: Mixed;
}
