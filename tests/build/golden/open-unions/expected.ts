/** Types of schema 0. */

import type { UnknownTag } from "./rpc/tags.js";

export interface Text {
  kind: "text";
  text: string;
}

export interface Image {
  kind: "image";
  url: string;
}

export interface Other {
  kind: string;
}

export type Part = Text | Image | UnknownPart;

/** A `Part` that this SDK does not know, as it came. */
export interface UnknownPart {
  kind: UnknownTag;
  [key: string]: unknown;
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Text: Text;
  Image: Image;
  Other: Other;
  Part: Part;
}
