/**
 * The dispatcher: takes calls by name, validates, runs the handler, validates again, and turns failures into errors.
 *
 * Knows no transport; nothing that a handler throws by accident reaches the wire.
 */

import { issueData, type CheckOptions, type Codec } from "./codec.js";
import { RpcError, RpcErrorCodes, ValidationError, type ValidationIssue } from "./errors.js";
import { assertJson, isObject, setMember } from "./json.js";
import {
  errorObject,
  INTERNAL_ERROR,
  respond,
  type Id,
  type Members,
  type NotificationMessage,
  type Outcome,
  type RequestMessage,
  STANDARD,
  type Usage,
} from "./messages.js";
import type { Caller, Connection, HeaderFields, HttpBinding, MethodSpec, Service } from "./methods.js";

/** What every handler is told about the call it serves. */
export interface HandlerContext<Event = unknown> {
  /** Wire name of the method. */
  readonly method: string;
  /** The request's id; undefined for a notification. */
  readonly id: Id | undefined;
  /** Aborts when the caller has given up or has gone. */
  readonly signal: AbortSignal;
  /** HeaderFields of the HTTP request, names in lower case; empty on other transports. */
  readonly headers: HeaderFields;
  /** Members of the request that stand beside those of JSON-RPC, as they came: nobody has validated them. */
  readonly members: Members;
  /**
   * Sends an event beside the result to a caller that listens; resolves when there is room for the next one.
   * Errors: ValidationError when the event breaks its schema.
   */
  readonly emit: (event: Event) => Promise<void>;
}

/** Words the refusal of params that break their schema; undefined leaves it at "Invalid params" with all issues. */
export type Explain = (issues: readonly ValidationIssue[], params: unknown, method: string) => RpcError | undefined;

/** Settings of a dispatcher. */
export interface DispatcherOptions extends CheckOptions {
  /** Told of every failure that the caller only sees as "Internal error"; by default it goes to console.error. */
  readonly onError?: (error: unknown, method: string) => void;
  /** For protocols that say what such an error looks like. */
  readonly explain?: Explain;
  /** For protocols that depart from JSON-RPC 2.0 in what a message is. */
  readonly usage?: Usage;
}

/** What a dispatcher is made from; filled in by generated code. */
export interface DispatcherParts {
  readonly codec: Codec;
  readonly http: HttpBinding;
  readonly methods: readonly MethodSpec[];
  /** The clients with which a handler may call its caller back, as members of the context. */
  readonly clients: (connection: Connection) => Readonly<Record<string, unknown>>;
}

type HandlerFunction = (params: unknown, context: HandlerContext) => unknown;

/** A handler behind its protocol's method table. */
export class Dispatcher implements Service {
  /** What the protocol says about HTTP; the server adapters read it. */
  readonly http: HttpBinding;
  readonly usage: Usage;
  readonly #handler: object;
  readonly #codec: Codec;
  readonly #methods: ReadonlyMap<string, MethodSpec>;
  readonly #clients: DispatcherParts["clients"];
  readonly #onError: (error: unknown, method: string) => void;
  readonly #explain: Explain | undefined;

  constructor(handler: object, parts: DispatcherParts, options: DispatcherOptions = {}) {
    this.http = parts.http;
    this.usage = options.usage ?? STANDARD;
    this.#handler = handler;
    this.#codec = parts.codec.under(options);
    this.#methods = new Map(parts.methods.map((spec) => [spec.name, spec]));
    this.#clients = parts.clients;
    this.#onError = options.onError ?? reportToConsole;
    this.#explain = options.explain;
  }

  has(method: string): boolean {
    return this.#methods.has(method);
  }

  async answer(request: RequestMessage, caller: Caller): Promise<Outcome> {
    const { method } = request;
    const spec = this.#methods.get(method);
    if (spec?.kind !== "request") return unknownMethod(method);
    try {
      const result = (await this.#run(spec, request, request.id, caller)) ?? null;
      if (spec.result !== null) this.#codec.check(spec.result, result);
      // What cannot be written must fail here, where it still becomes an answer.
      assertJson(result);
      return { result };
    } catch (error) {
      return this.#failure(error, method, caller);
    }
  }

  async notice(notification: NotificationMessage, caller: Caller): Promise<void> {
    const { method } = notification;
    const spec = this.#methods.get(method);
    // A request sent without an id runs too: its caller does not want the answer (JSON-RPC 2.0, section 4.1).
    if (spec === undefined) return;
    try {
      await this.#run(spec, notification, undefined, caller);
    } catch (error) {
      if (!(error instanceof InvalidParams)) this.#onError(error, method);
    }
  }

  async #run(spec: MethodSpec, message: NotificationMessage, id: Id | undefined, caller: Caller): Promise<unknown> {
    const given = namedParams(spec, message.params);
    if (spec.params !== null) {
      const issues = this.#codec.issues(spec.params, given);
      // Nobody hears why a notification was refused.
      const explain = id === undefined ? undefined : this.#explain;
      if (issues.length > 0) throw explain?.(issues, given, spec.name) ?? new InvalidParams(issueData(issues));
    }
    const member = (this.#handler as Record<string, unknown>)[spec.member];
    if (typeof member !== "function") throw new MethodNotServed(spec.name);
    const context = { ...this.#clients(caller.connection), ...this.#context(spec, message.members, id, caller) };
    return (member as HandlerFunction).call(this.#handler, given, context);
  }

  #context(spec: MethodSpec, members: Members, id: Id | undefined, caller: Caller): HandlerContext {
    const emit = async (event: unknown): Promise<void> => {
      if (spec.events === null) throw new TypeError(`${spec.name} has no events`);
      this.#codec.check(spec.events, event);
      // What the handler returns is the last of the answers.
      const isAnswer = spec.eventsAreResults === true && id !== undefined;
      await caller.emit(isAnswer ? respond(id, { result: event }) : event);
    };
    return { method: spec.name, id, signal: caller.signal, headers: caller.headers, members, emit };
  }

  #failure(error: unknown, method: string, caller: Caller): Outcome {
    if (error instanceof RpcError && isWritable(error.data)) return { error: errorObject(error) };
    // A handler that stops because its caller has gone has done what it should.
    if (!caller.signal.aborted) this.#onError(error, method);
    return { error: INTERNAL_ERROR };
  }
}

class InvalidParams extends RpcError {
  constructor(data: unknown) {
    super(RpcErrorCodes.InvalidParams, "Invalid params", data);
  }
}

class MethodNotServed extends RpcError {
  constructor(method: string) {
    super(RpcErrorCodes.MethodNotFound, `Method not found: ${method}`);
  }
}

function unknownMethod(method: string): Outcome {
  return { error: errorObject(new MethodNotServed(method)) };
}

function reportToConsole(error: unknown, method: string): void {
  console.error(`handler of ${method} failed:`, error);
}

function isWritable(data: unknown): boolean {
  try {
    if (data !== undefined) assertJson(data);
    return true;
  } catch (error) {
    if (error instanceof ValidationError) return false;
    throw error;
  }
}

/** Parameters by name: absent ones as `{}`, those sent by position under their names where the method allows it. */
export function namedParams(spec: MethodSpec, params: unknown): unknown {
  if (params === undefined) return {};
  if (!Array.isArray(params) || spec.structure === "by-name") return params;
  if (params.length > spec.positions.length) {
    const message = `expected at most ${spec.positions.length} items, got ${params.length}`;
    throw new InvalidParams(issueData([{ path: "$", message }]));
  }
  const named = {};
  spec.positions.slice(0, params.length).forEach((name, index) => setMember(named, name, params[index]));
  return named;
}

/** Parameters as they are sent: an array where the method takes no other form, else the object. */
export function sentParams(spec: MethodSpec, params: unknown): unknown {
  if (params === undefined) return {};
  if (spec.structure !== "by-position" || !isObject(params)) return params;
  const values = spec.positions.map((name) => (Object.hasOwn(params, name) ? params[name] : undefined));
  while (values.length > 0 && values.at(-1) === undefined) values.pop();
  return values.map((value) => value ?? null);
}

/** Several services as one: the first that has a method serves it. */
export class ServiceList implements Service {
  readonly #services: Service[] = [];

  /** That of the first service: on one connection a message is one thing. */
  get usage(): Usage {
    return this.#services[0]?.usage ?? STANDARD;
  }

  add(service: Service): void {
    if (!this.#services.includes(service)) this.#services.push(service);
  }

  has(method: string): boolean {
    return this.#find(method) !== undefined;
  }

  async answer(request: RequestMessage, caller: Caller): Promise<Outcome> {
    const { method } = request;
    return (await this.#find(method)?.answer(request, caller)) ?? unknownMethod(method);
  }

  async notice(notification: NotificationMessage, caller: Caller): Promise<void> {
    await this.#find(notification.method)?.notice(notification, caller);
  }

  #find(method: string): Service | undefined {
    return this.#services.find((service) => service.has(method));
  }
}
