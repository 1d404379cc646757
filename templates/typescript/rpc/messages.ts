/**
 * JSON-RPC 2.0 messages: what one parsed JSON value is, and how answers are put together.
 *
 * Knows no transport, no method and no schema.
 */

import { RpcErrorCodes, type RpcError } from "./errors.js";
import { isObject } from "./json.js";

/** The identifier of a call; null is legal, though hardly useful. */
export type Id = string | number | bigint | null;

/** A call that is owed an answer. */
export interface RequestMessage {
  readonly jsonrpc: "2.0";
  readonly id: Id;
  readonly method: string;
  readonly params?: unknown;
}

/** A call that is never answered. */
export interface NotificationMessage {
  readonly jsonrpc: "2.0";
  readonly method: string;
  readonly params?: unknown;
}

/** The error member of a response. */
export interface ErrorObject {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** How a call ended, without the envelope. */
export type Outcome = { readonly result: unknown } | { readonly error: ErrorObject };

/** The answer to a request. */
export type ResponseMessage = { readonly jsonrpc: "2.0"; readonly id: Id } & Outcome;

/** One JSON value, told apart. `invalid` covers everything that JSON-RPC 2.0 does not allow. */
export type Classified =
  | { readonly kind: "request"; readonly message: RequestMessage }
  | { readonly kind: "notification"; readonly message: NotificationMessage }
  | { readonly kind: "response"; readonly message: ResponseMessage }
  | { readonly kind: "invalid" };

const INVALID = { kind: "invalid" } as const;

/** Tells what a parsed message is; members that JSON-RPC does not know are ignored. */
export function classify(value: unknown): Classified {
  if (!isObject(value) || value["jsonrpc"] !== "2.0") return INVALID;
  return Object.hasOwn(value, "method") ? classifyCall(value) : classifyResponse(value);
}

function classifyCall(value: Record<string, unknown>): Classified {
  const { method, id, params } = value;
  if (typeof method !== "string") return INVALID;
  // "params": null is how several implementations write absent parameters.
  const absent = params === undefined || params === null;
  if (!absent && typeof params !== "object") return INVALID;
  const call = absent ? { jsonrpc: "2.0" as const, method } : { jsonrpc: "2.0" as const, method, params };
  if (id === undefined) return { kind: "notification", message: call };
  return isId(id) ? { kind: "request", message: { ...call, id } } : INVALID;
}

function classifyResponse(value: Record<string, unknown>): Classified {
  const { id, result, error } = value;
  if (!isId(id)) return INVALID;
  if (isErrorObject(error)) {
    if (result !== undefined && result !== null) return INVALID;
    return { kind: "response", message: { jsonrpc: "2.0", id, error } };
  }
  if (result === undefined || (error !== undefined && error !== null)) return INVALID;
  return { kind: "response", message: { jsonrpc: "2.0", id, result } };
}

function isId(value: unknown): value is Id {
  return value === null || typeof value === "string" || typeof value === "bigint" || Number.isInteger(value);
}

function isErrorObject(value: unknown): value is ErrorObject {
  return isObject(value) && Number.isInteger(value["code"]) && typeof value["message"] === "string";
}

/** The response that carries an outcome. */
export function respond(id: Id, outcome: Outcome): ResponseMessage {
  return { jsonrpc: "2.0", id, ...outcome };
}

/** The response for a message whose id could not be told (JSON-RPC 2.0, section 5: null). */
export function refuse(error: ErrorObject): ResponseMessage {
  return { jsonrpc: "2.0", id: null, error };
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
