/** The type of a tag that this SDK does not know. */

/**
 * Stands for any other string in the tag of an open union's unknown arm.
 *
 * At run time the tag is whatever came. The literal type keeps narrowing exact: an arm whose tag were `string` would
 * match every comparison with a known tag.
 */
export type UnknownTag = "\u0000unknown";
