/** Types of schema 0. */

export interface Error {
  class: string;
  def?: number | bigint;
  type?: string;
  self?: string;
  None?: string;
  func?: string;
}

export interface Any {
  any?: string;
}

export type Map = { [key: string]: string };

export interface Object {
  object?: Any;
}

export type String = string;

export interface Record {
  extra?: string;
  validate?: string;
}

/** `foo_bar` in the protocol. */
export interface FooBar_2 {
  a?: string;
}

/** `fooBar` in the protocol. */
export interface FooBar_1 {
  b?: string;
}

export interface Members {
  foo_bar: string;
  fooBar?: string;
  FooBar?: string;
  "foo-bar"?: string;
  "1st"?: string;
  ""?: string;
  é?: string;
  "a b"?: string;
}

export interface Promise {
  then?: string;
}

export type Unknown = UnknownA | UnknownB;

export interface UnknownA {
  kind: "a";
}

export interface UnknownB {
  kind: "b";
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Error: Error;
  Any: Any;
  Map: Map;
  Object: Object;
  String: String;
  Record: Record;
  foo_bar: FooBar_2;
  fooBar: FooBar_1;
  Members: Members;
  Promise: Promise;
  Unknown: Unknown;
  UnknownA: UnknownA;
  UnknownB: UnknownB;
}
