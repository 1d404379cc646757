/** Types of schema 0. */

export interface Note {
  by_type: string | null;
  by_any: Level | null;
  by_one: NoteByOneOption2 | null;
  by_enum?: "a" | null;
  by_const?: null;
}

export interface NoteByOneOption2 {
  id: number | bigint;
}

export type Level = "low" | "high";

/** Values of `Level`. */
export const LevelValues = ["low", "high"] as const;

export type Maybe = number | bigint | null;

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Note: Note;
  NoteByOneOption2: NoteByOneOption2;
  Level: Level;
  Maybe: Maybe;
}
