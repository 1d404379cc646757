/**
 * The errors of this SDK, one class per different reaction. Knows no transport and no protocol.
 *
 * ```
 * SdkError
 *   ValidationError            a value breaks its schema: correct the value
 *     JsonError                a text is no JSON, or a value cannot be written as JSON
 *   RpcError                   the other side answered with an error object
 *     (one class per error of the protocol, in errors.ts)
 *   InvalidResultError         the other side answered with something its own schema forbids
 *   TransportError             no answer came: try again, or look at the network
 *   TimeoutError               no answer came in time
 *   CallbackUnavailableError   the caller cannot be called back during this call
 *   UnknownTypeError           no definition of that name exists
 * ```
 */

/** One finding of validation: where, as a path such as `$.steps[0].id`, and what was expected there. */
export interface ValidationIssue {
  readonly path: string;
  readonly message: string;
}

/** Base of every error this SDK raises by itself; never raised as such. */
export abstract class SdkError extends Error {}

/** A value breaks its schema; `issues` lists every finding. */
export class ValidationError extends SdkError {
  override readonly name: string = "ValidationError";
  readonly issues: readonly ValidationIssue[];

  constructor(what: string, issues: readonly ValidationIssue[]) {
    super(`${what}: ${issues.map((issue) => `${issue.path}: ${issue.message}`).join("; ")}`);
    this.issues = issues;
  }
}

/** A text is not JSON as this SDK reads it, or a value cannot be written as JSON. */
export class JsonError extends ValidationError {
  override readonly name: string = "JsonError";

  constructor(message: string, path = "$") {
    super("not JSON", [{ path, message }]);
  }
}

/** The other side's answer to a call is valid JSON-RPC but breaks the schema of the method's result or events. */
export class InvalidResultError extends SdkError {
  override readonly name: string = "InvalidResultError";
  readonly method: string;
  readonly issues: readonly ValidationIssue[];

  constructor(method: string, issues: readonly ValidationIssue[]) {
    super(`invalid result of ${method}: ${issues.map((issue) => `${issue.path}: ${issue.message}`).join("; ")}`);
    this.method = method;
    this.issues = issues;
  }
}

/**
 * An error object of JSON-RPC 2.0 (section 5.1), received or to be sent.
 *
 * Throw it, or a class made from it, in a handler to answer with exactly this code, message and data;
 * `data` undefined means the member is absent.
 */
export class RpcError<Data = unknown> extends SdkError {
  override readonly name: string = "RpcError";
  readonly code: number;
  readonly data: Data | undefined;

  constructor(code: number, message: string, data?: Data) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** The error codes that JSON-RPC 2.0 itself defines. */
export const RpcErrorCodes = {
  ParseError: -32700,
  InvalidRequest: -32600,
  MethodNotFound: -32601,
  InvalidParams: -32602,
  InternalError: -32603,
} as const;

/** What a TransportError may carry besides its message. */
export interface TransportErrorDetails {
  /** HTTP status of the answer, where there was one. */
  readonly status?: number | undefined;
  /** Whether the same call may succeed when sent again. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
}

/** No usable answer came: connection refused or lost, an HTTP status without a JSON-RPC body, a process that ended. */
export class TransportError extends SdkError {
  override readonly name: string = "TransportError";
  readonly status: number | undefined;
  readonly retryable: boolean;

  constructor(message: string, details: TransportErrorDetails = {}) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.status = details.status;
    this.retryable = details.retryable ?? false;
  }
}

/** No answer came within the time set for the call; the other side has been told to give up. */
export class TimeoutError extends SdkError {
  override readonly name: string = "TimeoutError";
  readonly timeoutMs: number;

  constructor(method: string, timeoutMs: number) {
    super(`${method}: no answer within ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

/** A handler called the other side back where no way to it exists: no event stream was accepted, or the call is over. */
export class CallbackUnavailableError extends SdkError {
  override readonly name: string = "CallbackUnavailableError";
}

/** A definition was asked for that the protocol does not have. */
export class UnknownTypeError extends SdkError {
  override readonly name: string = "UnknownTypeError";

  constructor(typeName: string) {
    super(`the protocol has no definition named ${JSON.stringify(typeName)}`);
  }
}
