/**
 * JSON-RPC 2.0 messages: what one parsed JSON value is, and how answers are put together.
 *
 * Knows no transport, no method and no schema.
 */

import { RpcErrorCodes, type RpcError } from "./errors.js";
import { isObject } from "./json.js";

/** The identifier of a call; null is legal, though hardly useful. */
export type Id = string | number | bigint | null;

/** A call that is never answered. */
export interface NotificationMessage {
  readonly jsonrpc: "2.0";
  readonly method: string;
  readonly params?: unknown;
  /** What stands beside the members of JSON-RPC, which protocols may give a meaning. */
  readonly members: Members;
}

/** A call that is owed an answer. */
export interface RequestMessage extends NotificationMessage {
  readonly id: Id;
}

/** The error member of a response. */
export interface ErrorObject {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** Members of a call that JSON-RPC does not know, by their names. */
export type Members = Readonly<Record<string, unknown>>;

/** How a call ended, without the envelope. */
export type Outcome = { readonly result: unknown } | { readonly error: ErrorObject };

/** The answer to a request. */
export type ResponseMessage = { readonly jsonrpc: "2.0"; readonly id: Id } & Outcome;

/**
 * One JSON value, told apart.
 *
 * `bad-answer` looks like a response but is none: it is never answered, lest two peers send each other errors for ever.
 * `invalid` is owed an error, under its id where that can be read.
 */
export type Classified =
  | { readonly kind: "request"; readonly message: RequestMessage }
  | { readonly kind: "notification"; readonly message: NotificationMessage }
  | { readonly kind: "response"; readonly message: ResponseMessage }
  | { readonly kind: "bad-answer" }
  | { readonly kind: "invalid"; readonly id: Id };

/** How a protocol uses JSON-RPC where it departs from the standard. */
export interface Usage {
  /** Whether an array is a batch; otherwise it is no message. Default: true. */
  readonly batches?: boolean;
  /** Whether the id of a request has to be a string or an integer, neither null nor a fraction. Default: false. */
  readonly plainIds?: boolean;
  /** Whether `jsonrpc` may be missing from a call, and its `params` may be null. Default: false. */
  readonly lenient?: boolean;
}

/** JSON-RPC 2.0 as it is written. */
export const STANDARD: Usage = {};

/** Tells what a parsed message is; members that JSON-RPC does not know are kept for calls, and ignored otherwise. */
export function classify(value: unknown, usage: Usage = STANDARD): Classified {
  if (!isObject(value)) return { kind: "invalid", id: null };
  const isAnswer = Object.hasOwn(value, "result") || Object.hasOwn(value, "error");
  if (Object.hasOwn(value, "method") === isAnswer) return invalid(value);
  return isAnswer ? classifyAnswer(value) : classifyCall(value, usage);
}

function invalid(value: Record<string, unknown>): Classified {
  return { kind: "invalid", id: isId(value["id"]) ? value["id"] : null };
}

function classifyCall(value: Record<string, unknown>, usage: Usage): Classified {
  const { method, id, ...others } = value;
  const { jsonrpc, params, ...members } = usage.lenient === true ? completed(others) : others;
  if (jsonrpc !== "2.0" || typeof method !== "string") return invalid(value);
  // Parameters are an array or an object (JSON-RPC 2.0, section 4.2); null is neither.
  if (params !== undefined && (typeof params !== "object" || params === null)) return invalid(value);
  const call: NotificationMessage = { jsonrpc, method, members, ...(params === undefined ? {} : { params }) };
  if (id === undefined) return { kind: "notification", message: call };
  // The answer to such an id could not be told from that to a message that nobody could read.
  if (usage.plainIds === true && !isPlainId(id)) return { kind: "invalid", id: null };
  return isId(id) ? { kind: "request", message: { ...call, id } } : invalid(value);
}

/** A call with what it may leave out where its protocol is lenient. */
function completed({ jsonrpc = "2.0", params, ...members }: Record<string, unknown>): Record<string, unknown> {
  return params === null ? { jsonrpc, ...members } : { jsonrpc, params, ...members };
}

function classifyAnswer(value: Record<string, unknown>): Classified {
  const jsonrpc = "2.0";
  const { id, result, error } = value;
  if (value["jsonrpc"] !== jsonrpc || !isId(id)) return { kind: "bad-answer" };
  // Some implementations write the member that does not apply as null.
  if (isErrorObject(error) && (result ?? null) === null) return { kind: "response", message: { jsonrpc, id, error } };
  if (result === undefined || (error ?? null) !== null) return { kind: "bad-answer" };
  return { kind: "response", message: { jsonrpc, id, result } };
}

function isId(value: unknown): value is Id {
  return value === null || typeof value === "string" || typeof value === "bigint" || Number.isFinite(value);
}

function isPlainId(value: unknown): boolean {
  return typeof value === "string" || typeof value === "bigint" || Number.isInteger(value);
}

function isErrorObject(value: unknown): value is ErrorObject {
  return isObject(value) && Number.isInteger(value["code"]) && typeof value["message"] === "string";
}

/** The response that carries an outcome. */
export function respond(id: Id, outcome: Outcome): ResponseMessage {
  return { jsonrpc: "2.0", id, ...outcome };
}

/** The response for what is no call; its id is null where none could be read (JSON-RPC 2.0, section 5). */
export function refuse(error: ErrorObject, id: Id = null): ResponseMessage {
  return { jsonrpc: "2.0", id, error };
}

/** The error object that says what an RpcError says. */
export function errorObject(error: RpcError): ErrorObject {
  const { code, message, data } = error;
  return data === undefined ? { code, message } : { code, message, data };
}

/** The text is not JSON. */
export const PARSE_ERROR: ErrorObject = { code: RpcErrorCodes.ParseError, message: "Parse error" };

/** The JSON is not a message. */
export const INVALID_REQUEST: ErrorObject = { code: RpcErrorCodes.InvalidRequest, message: "Invalid Request" };

/** The handler failed in a way that is nobody else's business. */
export const INTERNAL_ERROR: ErrorObject = { code: RpcErrorCodes.InternalError, message: "Internal error" };

/** Most members a batch may have; a larger one is refused as a whole. */
export const MAX_BATCH_MEMBERS = 100;
