/** Types of schema 0. */

/**
 * A text.
 *
 * With *\/ and """ and // and `ticks`,
 * - a list
 * @deprecated
 */
export interface Doc {
  /**
   * Ends *\/ here, and """ there, `${x}` and \ too.
   *
   * Read-only.
   */
  id: string;
  /**
   * Use id.
   * @deprecated
   */
  old?: string;
  /** Write-only. */
  secret?: string;
}

/** Every definition by its name in the protocol. */
export interface TypesByName {
  Doc: Doc;
}
