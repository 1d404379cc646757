/**
 * Calls over HTTP: one POST per message, answered with JSON or with an event stream that may call back.
 *
 * Uses nothing but `fetch`, so it runs in browsers, Node and elsewhere. Knows no method and no schema.
 */

import { ServiceList } from "./dispatch.js";
import { JsonError, TransportError } from "./errors.js";
import { joinBytes, parseJson, writeJson } from "./json.js";
import { classify, respond, type Id, type Outcome, type RequestMessage, type ResponseMessage } from "./messages.js";
import type { Caller, CallScope, Connection, HeaderFields, Service } from "./methods.js";
import { linkSignals, onAbort, unlessAborted } from "./signals.js";
import { carried, readEvents, type ServerSentEvent } from "./sse.js";

/** Settings of an HTTP connection. */
export interface HttpConnectionOptions {
  /** Used instead of the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
  /** Sent with every request; a function is asked anew each time (for tokens that expire). */
  readonly headers?: HeaderFields | (() => HeaderFields | Promise<HeaderFields>);
  /** Largest answer, and largest single event, that is read. Default: 64 MiB. */
  readonly maxResponseBytes?: number;
}

const DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024;

/** Statuses after which the same request may succeed: time-outs, overload, a gateway whose server restarts. */
const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** A connection to one URL. It holds no sockets of its own: `fetch` keeps and reuses them. */
export class HttpConnection implements Connection {
  readonly #url: string;
  readonly #instanceHeader: string;
  readonly #options: HttpConnectionOptions;
  readonly #services = new ServiceList();
  readonly #closed = new AbortController();
  #lastId = 0;

  constructor(url: string | URL, instanceHeader: string, options: HttpConnectionOptions = {}) {
    this.#url = String(url);
    this.#instanceHeader = instanceHeader;
    this.#options = options;
  }

  async call(method: string, params: unknown, scope: CallScope): Promise<Outcome> {
    return this.#open(scope, (open) => this.#call(method, params, open));
  }

  async notify(method: string, params: unknown, scope: CallScope): Promise<void> {
    return this.#open(scope, (open) => this.#notify(method, params, open));
  }

  serve(service: Service): void {
    this.#services.add(service);
  }

  async close(): Promise<void> {
    this.#closed.abort(new TransportError("the connection was closed"));
    return Promise.resolve();
  }

  /** Runs an exchange that ends when the connection is closed. */
  async #open<Value>(scope: CallScope, run: (scope: CallScope) => Promise<Value>): Promise<Value> {
    const { controller, release } = linkSignals(scope.signal, this.#closed.signal);
    try {
      controller.signal.throwIfAborted();
      // Not every `fetch` that is handed in heeds its signal.
      return await unlessAborted(controller.signal, run({ ...scope, signal: controller.signal }));
    } catch (error) {
      // Closes the connection where the answer was not read to its end, and so tells the server.
      controller.abort(error);
      throw error;
    } finally {
      release();
    }
  }

  async #call(method: string, params: unknown, scope: CallScope): Promise<Outcome> {
    const id = ++this.#lastId;
    const response = await this.#post({ jsonrpc: "2.0", id, method, params }, scope.signal, scope.headers);
    if (isEventStream(response)) return this.#readStream(response, id, scope);
    const bytes = await this.#body(response, scope.signal);
    const outcome = outcomeFor(id, bytes);
    if (outcome === null) throw unusable(response.status, "the body is no JSON-RPC response to this call");
    return outcome;
  }

  async #notify(method: string, params: unknown, scope: CallScope): Promise<void> {
    const response = await this.#post({ jsonrpc: "2.0", method, params }, scope.signal, scope.headers);
    await discardBody(response);
    if (!response.ok) throw unusable(response.status, "the notification was not taken");
  }

  async #post(message: unknown, signal: AbortSignal, headers: HeaderFields = {}): Promise<Response> {
    const body = writeJson(message);
    const configured = this.#options.headers;
    const own = typeof configured === "function" ? await configured() : configured;
    const request = {
      method: "POST",
      headers: {
        ...own,
        ...headers,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
      body,
      signal,
    };
    try {
      return await (this.#options.fetch ?? globalThis.fetch)(this.#url, request);
    } catch (error) {
      signal.throwIfAborted();
      throw new TransportError(`no answer from ${this.#url}`, { cause: error, retryable: true });
    }
  }

  /** The whole body. Errors: TransportError when it breaks off or is too large. */
  async #body(response: Response, signal: AbortSignal): Promise<Uint8Array> {
    const limit = this.#options.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES;
    const pieces: Uint8Array[] = [];
    let size = 0;
    if (response.body === null) return new Uint8Array();
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        pieces.push(value);
        size += value.length;
        if (size > limit) throw new TransportError(`the answer is larger than ${limit} bytes`);
      }
    } catch (error) {
      signal.throwIfAborted();
      await reader.cancel().catch(() => undefined);
      if (error instanceof TransportError) throw error;
      throw new TransportError("the answer broke off", { cause: error, status: response.status, retryable: true });
    }
    return joinBytes(pieces, size);
  }

  async #readStream(response: Response, id: Id, scope: CallScope): Promise<Outcome> {
    const instance = response.headers.get(this.#instanceHeader);
    const exchange = new StreamedCall(this, this.#services, id, scope, (answer, signal) =>
      this.#answerCallback(answer, instance, scope.headers, signal),
    );
    const limit = this.#options.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES;
    try {
      return await exchange.run(readEvents(response.body ?? new ReadableStream<Uint8Array>(), limit));
    } catch (error) {
      scope.signal.throwIfAborted();
      throw error;
    }
  }

  async #answerCallback(
    answer: ResponseMessage,
    instance: string | null,
    headers: HeaderFields | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const own = instance === null ? headers : { ...headers, [this.#instanceHeader]: instance };
    const response = await this.#post(answer, signal, own);
    await discardBody(response);
    if (!response.ok) throw unusable(response.status, "the answer to a callback was not taken");
  }
}

/** One call whose answer is an event stream. */
class StreamedCall {
  readonly #connection: Connection;
  readonly #services: Service;
  readonly #id: Id;
  readonly #scope: CallScope;
  readonly #reply: (answer: ResponseMessage, signal: AbortSignal) => Promise<void>;
  readonly #abort = new AbortController();
  readonly #serving = new Set<Promise<void>>();
  #outcome: Outcome | null = null;

  constructor(
    connection: Connection,
    services: Service,
    id: Id,
    scope: CallScope,
    reply: (answer: ResponseMessage, signal: AbortSignal) => Promise<void>,
  ) {
    this.#connection = connection;
    this.#services = services;
    this.#id = id;
    this.#scope = scope;
    this.#reply = reply;
  }

  /** Reads until the stream closes, for events may follow the response; serves callbacks meanwhile. */
  async run(events: AsyncGenerator<ServerSentEvent, void, undefined>): Promise<Outcome> {
    const { signal } = this.#abort;
    const release = onAbort(this.#scope.signal, () => this.#abort.abort(this.#scope.signal.reason));
    try {
      for (;;) {
        const next = await unlessAborted(signal, events.next());
        if (next.done === true) break;
        // A slow reader of events must not keep an abandoned call waiting.
        await unlessAborted(signal, this.#take(next.value));
      }
      if (this.#outcome !== null) return this.#outcome;
      throw new TransportError("the event stream ended without a response", { retryable: true });
    } finally {
      release();
      // Callbacks still running belong to a call that is over.
      this.#abort.abort(new TransportError("the call is over"));
      events.return().catch(() => undefined);
    }
  }

  async #take(event: ServerSentEvent): Promise<void> {
    const content = carried(event);
    if (content.kind === "event") await this.#scope.takeEvent?.(content.value);
    if (content.kind !== "message") return;
    const message = classify(content.value);
    if (message.kind === "response" && isAnswerTo(this.#id, message.message)) {
      this.#outcome = message.message;
      if (this.#scope.takesResults === true && "result" in message.message) {
        await this.#scope.takeEvent?.(message.message.result);
      }
    } else if (message.kind === "notification") {
      this.#start(this.#services.notice(message.message, this.#caller()));
    } else if (message.kind === "request") {
      this.#start(this.#serve(message.message));
    }
  }

  async #serve(request: RequestMessage): Promise<void> {
    const caller = this.#caller();
    const outcome = await this.#services.answer(request, caller);
    if (!caller.signal.aborted) await this.#reply(respond(request.id, outcome), caller.signal);
  }

  /** Lets work go on beside the stream; its failure is the failure of the call, which waits for the answer. */
  #start(work: Promise<void>): void {
    const watched = work
      .catch((error: unknown) => this.#abort.abort(error))
      .finally(() => this.#serving.delete(watched));
    this.#serving.add(watched);
  }

  #caller(): Caller {
    return { connection: this.#connection, signal: this.#abort.signal, headers: {}, emit: ignoreEvent };
  }
}

/** Who calls back takes no events: there is no stream in that direction. */
async function ignoreEvent(): Promise<void> {
  return Promise.resolve();
}

function outcomeFor(id: Id, bytes: Uint8Array): Outcome | null {
  let value: unknown;
  try {
    value = parseJson(bytes);
  } catch (error) {
    if (error instanceof JsonError) return null;
    throw error;
  }
  const content = classify(value);
  return content.kind === "response" && isAnswerTo(id, content.message) ? content.message : null;
}

/** An error without an id answers this call too: it is what a server sends that could not read the id. */
function isAnswerTo(id: Id, response: ResponseMessage): boolean {
  return response.id === id || (response.id === null && "error" in response);
}

function isEventStream(response: Response): boolean {
  return /^\s*text\/event-stream\s*(?:;|$)/i.test(response.headers.get("content-type") ?? "");
}

function unusable(status: number, what: string): TransportError {
  return new TransportError(`HTTP status ${status}: ${what}`, { status, retryable: RETRYABLE_STATUSES.has(status) });
}

/** Lets the socket be used again. */
async function discardBody(response: Response): Promise<void> {
  await response.body?.cancel();
}
