/**
 * The client core: deadlines, retries, validation and typed errors around a Connection.
 *
 * Generated clients extend RpcClient with one method per method of the protocol.
 */

import type { CheckOptions, Codec } from "./codec.js";
import { sentParams, type Dispatcher } from "./dispatch.js";
import { InvalidResultError, RpcError, TimeoutError, TransportError } from "./errors.js";
import { HttpConnection, type HttpConnectionOptions } from "./http_client.js";
import type { ErrorObject } from "./messages.js";
import type { CallScope, Connection, HeaderFields, HttpBinding, MethodSpec } from "./methods.js";
import { EventQueue } from "./queue.js";
import { linkSignals, unlessAborted } from "./signals.js";

/** Settings of one call; what is absent is taken from the client's. */
export interface CallOptions {
  /** Gives the call up: it rejects with the signal's reason, and the other side is told to stop. */
  readonly signal?: AbortSignal;
  /** Longest time for the whole call, retries included; 0 for none. Default: 30,000. */
  readonly timeoutMs?: number;
  /** How often an idempotent method is sent again when no answer came. Default: 2. */
  readonly retries?: number;
  /** HeaderFields to send with the call, where the transport has headers. */
  readonly headers?: HeaderFields;
}

/** Settings of a client. */
export interface ClientOptions extends Omit<CallOptions, "signal" | "headers">, CheckOptions {
  /** Settings of the HTTP connection, when the client is made from a URL. */
  readonly http?: HttpConnectionOptions;
  /** First pause before a retry; doubled for each further one, with jitter. Default: 100. */
  readonly backoffMs?: number;
}

/** What generated code adds to a client. */
export interface ClientParts {
  readonly codec: Codec;
  readonly http: HttpBinding;
  /** Serve what the other side calls. */
  readonly callbacks: readonly Dispatcher[];
}

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_RETRIES = 2;
const DEFAULT_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;

/** Longest time that timers can wait (2^31 - 1 ms); they would fire at once for a longer one. */
const MAX_TIMER_MS = 2_147_483_647;

/** Calls of one role over one connection. */
export class RpcClient {
  readonly #connection: Connection;
  readonly #codec: Codec;
  readonly #options: ClientOptions;

  constructor(target: string | URL | Connection, options: ClientOptions, parts: ClientParts) {
    this.#connection =
      typeof target === "string" || target instanceof URL
        ? new HttpConnection(target, parts.http.instanceHeader, options.http)
        : target;
    this.#codec = parts.codec.under(options);
    this.#options = options;
    for (const service of parts.callbacks) this.#connection.serve(service);
  }

  /**
   * Calls any method without types or validation; `params` as they shall be sent.
   *
   * Errors: RpcError, TransportError, TimeoutError, the signal's reason.
   */
  async call(method: string, params: unknown = {}, options: CallOptions = {}): Promise<unknown> {
    const outcome = await this.#within(method, options, (scope) => this.#connection.call(method, params, scope));
    if ("error" in outcome) throw genericError(outcome.error);
    return outcome.result;
  }

  /** Sends any notification without types or validation. Errors: TransportError, TimeoutError, the signal's reason. */
  async notify(method: string, params: unknown = {}, options: CallOptions = {}): Promise<void> {
    await this.#within(method, options, (scope) => this.#connection.notify(method, params, scope));
  }

  /** Gives up all calls under way and releases the connection. */
  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** A call of a method of the protocol; for generated code. */
  protected async _request<Result>(spec: MethodSpec, params: unknown, options: CallOptions = {}): Promise<Result> {
    if (spec.params !== null) this.#codec.check(spec.params, params);
    return this.#exchange(spec, sentParams(spec, params), options, undefined);
  }

  /** A notification of the protocol; for generated code. */
  protected async _notify(spec: MethodSpec, params: unknown, options: CallOptions = {}): Promise<void> {
    if (spec.params !== null) this.#codec.check(spec.params, params);
    const sent = sentParams(spec, params);
    await this.#attempts(spec, options, (each) =>
      this.#within(spec.name, each, (scope) => this.#connection.notify(spec.name, sent, scope)),
    );
  }

  /** A call whose events are wanted; for generated code. */
  protected _stream<Event, Result>(
    spec: MethodSpec,
    params: unknown,
    options: CallOptions = {},
  ): EventStream<Event, Result> {
    return new EventStream<Event, Result>(async (take, signal) => {
      if (spec.params !== null) this.#codec.check(spec.params, params);
      const takeEvent = (event: unknown): Promise<void> => {
        const issues = spec.events === null ? [] : this.#codec.issues(spec.events, event);
        if (issues.length > 0) throw new InvalidResultError(spec.name, issues);
        return take(event as Event);
      };
      const { controller, release } = linkSignals(signal, options.signal);
      try {
        const joined = { ...options, signal: controller.signal };
        return await this.#exchange(spec, sentParams(spec, params), joined, takeEvent);
      } finally {
        release();
      }
    });
  }

  async #exchange<Result>(
    spec: MethodSpec,
    params: unknown,
    options: CallOptions,
    takeEvent: CallScope["takeEvent"],
  ): Promise<Result> {
    // A stream that has delivered events cannot start again without delivering them twice.
    const limited = takeEvent === undefined ? options : { ...options, retries: 0 };
    const takesResults = spec.eventsAreResults === true;
    let told = false;
    const take = async (event: unknown): Promise<void> => {
      told = true;
      await takeEvent?.(event);
    };
    const outcome = await this.#attempts(spec, limited, (each) =>
      this.#within(spec.name, each, (scope) =>
        this.#connection.call(
          spec.name,
          params,
          takeEvent === undefined ? scope : { ...scope, takeEvent: take, takesResults },
        ),
      ),
    );
    if ("error" in outcome) throw this.#typedError(spec, outcome.error);
    const issues = spec.result === null ? [] : this.#codec.issues(spec.result, outcome.result);
    if (issues.length > 0) throw new InvalidResultError(spec.name, issues);
    // An answer in one piece is the only event.
    if (takesResults && !told) await take(outcome.result);
    return outcome.result as Result;
  }

  #typedError(spec: MethodSpec, error: ErrorObject): RpcError {
    for (const known of [...spec.errors, ...spec.otherErrors]) {
      if (known.code !== error.code) continue;
      const data = error.data ?? undefined;
      if (data === undefined || known.shape === undefined || this.#codec.accepts(known.shape, data)) {
        return new known(data as never, error.message);
      }
    }
    return genericError(error);
  }

  /** Runs `attempt` until it succeeds, fails for good, or has used up its retries or its time. */
  async #attempts<Value>(
    spec: MethodSpec,
    options: CallOptions,
    attempt: (options: CallOptions) => Promise<Value>,
  ): Promise<Value> {
    const retries = spec.idempotent ? (options.retries ?? this.#options.retries ?? DEFAULT_RETRIES) : 0;
    const timeoutMs = this.#timeout(options);
    const end = timeoutMs > 0 ? Date.now() + timeoutMs : Infinity;
    for (let number = 0; ; number++) {
      const left = timeoutMs > 0 ? Math.max(1, end - Date.now()) : 0;
      try {
        return await attempt({ ...options, timeoutMs: left });
      } catch (error) {
        if (error instanceof TimeoutError) throw new TimeoutError(spec.name, timeoutMs);
        const pause = this.#pause(number);
        const final = !(error instanceof TransportError && error.retryable) || number >= retries;
        if (final || Date.now() + pause >= end) throw error;
        await sleep(pause, options.signal);
      }
    }
  }

  #timeout(options: CallOptions): number {
    return options.timeoutMs ?? this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  #pause(number: number): number {
    const full = Math.min((this.#options.backoffMs ?? DEFAULT_BACKOFF_MS) * 2 ** number, MAX_BACKOFF_MS);
    return full * (0.5 + Math.random() / 2);
  }

  /** Runs one exchange under its deadline. */
  async #within<Value>(
    method: string,
    options: CallOptions,
    run: (scope: CallScope) => Promise<Value>,
  ): Promise<Value> {
    const timeoutMs = this.#timeout(options);
    const { controller, release } = linkSignals(options.signal);
    const expire = (): void => controller.abort(new TimeoutError(method, timeoutMs));
    const timer = timeoutMs > 0 ? setTimeout(expire, Math.min(timeoutMs, MAX_TIMER_MS)) : undefined;
    const { signal } = controller;
    try {
      signal.throwIfAborted();
      return await run(options.headers === undefined ? { signal } : { signal, headers: options.headers });
    } finally {
      clearTimeout(timer);
      release();
    }
  }
}

function genericError(error: ErrorObject): RpcError {
  return new RpcError(error.code, error.message, error.data);
}

async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const pause = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  try {
    await (signal === undefined ? pause : unlessAborted(signal, pause));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A streaming call: iterate for its events, ask `result()` for its result.
 *
 * The call starts at once. Leaving the loop early gives the call up. When `result()` is asked for before the first
 * iteration, events are dropped as they come.
 */
export class EventStream<Event, Result> implements AsyncIterable<Event> {
  readonly #queue = new EventQueue<Event>();
  readonly #abort = new AbortController();
  readonly #result: Promise<Result>;

  constructor(run: (take: (event: Event) => Promise<void>, signal: AbortSignal) => Promise<Result>) {
    this.#result = run((event) => this.#queue.push(event), this.#abort.signal);
    this.#result.then(
      () => this.#queue.end(),
      (error: unknown) => this.#queue.fail(error),
    );
  }

  /** The call's result. Errors: as for the method without events. */
  async result(): Promise<Result> {
    if (!this.#queue.isRead) this.#queue.discard();
    return this.#result;
  }

  /** Gives the call up. */
  cancel(): void {
    this.#abort.abort(new DOMException("the stream was cancelled", "AbortError"));
    this.#queue.discard();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, undefined> {
    let finished = false;
    try {
      yield* this.#queue;
      finished = true;
    } finally {
      if (!finished) this.cancel();
    }
  }
}
