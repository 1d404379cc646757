/**
 * What the library has to know of a method, and the contract between calls and what carries them.
 *
 * The values are generated from the protocol; knows no transport.
 */

import type { RpcError } from "./errors.js";
import type { NotificationMessage, Outcome, RequestMessage, Usage } from "./messages.js";
import type { Shape } from "./validate.js";

/** A generated error class; `shape` is what its data must be, where the protocol says so. */
export interface ErrorClass {
  readonly code: number;
  readonly shape?: Shape;
  new (data?: never, message?: string): RpcError;
}

/** A method of the protocol: its wire name, shapes and errors. */
export interface MethodSpec {
  readonly name: string;
  readonly kind: "request" | "notification";
  /** The member of the handler that serves the method. */
  readonly member: string;
  readonly params: Shape | null;
  readonly result: Shape | null;
  readonly events: Shape | null;
  /** Each event travels as the result of a response to the request, the last of which is the answer. */
  readonly eventsAreResults?: true;
  /** The method's own errors; they decide what a code means. */
  readonly errors: readonly ErrorClass[];
  /** The errors that decide where the method's own do not. */
  readonly otherErrors: readonly ErrorClass[];
  readonly idempotent: boolean;
  readonly structure: "by-name" | "by-position" | "either";
  /** Names of the parameters in the order they have when sent by position. */
  readonly positions: readonly string[];
}

/** What the protocol says about its HTTP transport. */
export interface HttpBinding {
  readonly path: string;
  readonly healthPath: string | null;
  readonly instanceHeader: string;
}

/** Header names in lower case with their values. */
export type HeaderFields = Readonly<Record<string, string>>;

/** What belongs to one call beside its message. */
export interface CallScope {
  /** Aborts when the caller gives up: the connection then tells the other side, and rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Sent along where the transport has headers. */
  readonly headers?: HeaderFields;
  /** Takes what a streaming method sends beside its result; the connection waits for it before it reads on. */
  readonly takeEvent?: (event: unknown) => void | Promise<void>;
  /** The call is answered more than once: the result of each response is an event, too. */
  readonly takesResults?: boolean;
}

/** Something that carries calls to the other side: HTTP, a process, or the way back from a handler to its caller. */
export interface Connection {
  /** Sends a request and waits for its outcome. Errors: TransportError, CallbackUnavailableError, the signal's reason. */
  call(method: string, params: unknown, scope: CallScope): Promise<Outcome>;
  /** Sends a notification. Errors: as for call. */
  notify(method: string, params: unknown, scope: CallScope): Promise<void>;
  /** Has a service answer what the other side calls. */
  serve(service: Service): void;
  /** Gives up everything under way and releases what the connection holds. */
  close(): Promise<void>;
}

/** The circumstances of a message that is to be served. */
export interface Caller {
  /** The way back to the caller. */
  readonly connection: Connection;
  /** Aborts when the caller has given up. */
  readonly signal: AbortSignal;
  readonly headers: HeaderFields;
  /** Sends something beside the result; resolves when there is room for more. */
  readonly emit: (event: unknown) => Promise<void>;
}

/** Something that answers calls, such as a Dispatcher. */
export interface Service {
  /** What transports take for a message. */
  readonly usage: Usage;
  /** Whether the service has the method. */
  has(method: string): boolean;
  /** Serves a request; never rejects. */
  answer(request: RequestMessage, caller: Caller): Promise<Outcome>;
  /** Serves a notification; never rejects. */
  notice(notification: NotificationMessage, caller: Caller): Promise<void>;
}
