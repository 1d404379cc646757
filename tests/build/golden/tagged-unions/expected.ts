/** Types of schema 0. */

export interface Circle {
  kind: "circle";
  r: number | bigint;
}

export interface Square {
  kind: "square";
  a: number | bigint;
}

export type Shape = Circle | Square;

export type Pet = Cat | Dog;

export interface Cat {
  petType: "cat";
  lives?: number | bigint;
}

export interface Dog {
  petType: "dog";
}

export type Dollar = DollarText | DollarOption2;

export interface DollarText {
  $type: "Text";
  v: string;
}

export interface DollarOption2 {
  $type: "None";
}

export interface Base {
  id: string;
}

export type Event = EventOption1 | EventOption2;

export interface EventOption1 {
  id: string;
  type: "made";
  by?: string;
}

export interface EventOption2 {
  id: string;
  type: "gone";
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Circle: Circle;
  Square: Square;
  Shape: Shape;
  Pet: Pet;
  Cat: Cat;
  Dog: Dog;
  Dollar: Dollar;
  DollarText: DollarText;
  DollarOption2: DollarOption2;
  Base: Base;
  Event: Event;
  EventOption1: EventOption1;
  EventOption2: EventOption2;
}
