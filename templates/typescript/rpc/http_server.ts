/**
 * Serving over HTTP: what a POST is answered with, and the way from a handler back to its caller.
 *
 * `HttpService` speaks of heads, bodies and answers; `fetchHandler` fits it to the Request and Response of browsers,
 * Node, Deno, Bun and edge platforms. Knows no method and no schema.
 */

import { CallbackUnavailableError, JsonError, TransportError } from "./errors.js";
import { joinBytes, parseJson, writeJson } from "./json.js";
import {
  classify,
  INVALID_REQUEST,
  MAX_BATCH_MEMBERS,
  PARSE_ERROR,
  refuse,
  respond,
  type Outcome,
  type RequestMessage,
  type ResponseMessage,
} from "./messages.js";
import type { Caller, CallScope, Connection, HeaderFields, HttpBinding, Service } from "./methods.js";
import { EventQueue } from "./queue.js";
import { onAbort, unlessAborted } from "./signals.js";
import { eventText, messageText } from "./sse.js";

/** Settings of an HTTP server adapter. */
export interface HttpServerOptions {
  /** Largest request body. Default: 16 MiB. */
  readonly maxBodyBytes?: number;
  /** Path whose end a GET must have to be answered with the health document; null for none. Default: the protocol's. */
  readonly healthPath?: string | null;
}

/** A service that also says what the protocol binds to HTTP, such as a Dispatcher. */
export interface HttpServable extends Service {
  readonly http: HttpBinding;
}

/** The parts of an HTTP request that matter here. */
export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly headers: HeaderFields;
  /** Aborts when the client has closed the connection. */
  readonly signal: AbortSignal;
}

/** What to answer: a whole body, or pieces of an event stream as they come. */
export interface Answer {
  readonly status: number;
  readonly headers: HeaderFields;
  readonly body: string | StreamBody;
}

/** An event stream in pieces; `cancel` says that nobody reads it any more. */
export interface StreamBody extends AsyncIterable<string> {
  cancel(): void;
}

const DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024;

interface PendingCallback {
  readonly settle: (outcome: Outcome) => void;
  readonly fail: (error: Error) => void;
}

/** Answers HTTP requests for one service. */
export class HttpService {
  /** Sent with event streams, so that a proxy can route the answers to callbacks to this instance. */
  readonly instanceId = crypto.randomUUID();
  readonly instanceHeader: string;
  readonly #service: Service;
  readonly #healthPath: string | null;
  readonly #maxBodyBytes: number;
  readonly #callbacks = new Map<string, PendingCallback>();

  constructor(service: HttpServable, options: HttpServerOptions = {}) {
    this.#service = service;
    this.instanceHeader = service.http.instanceHeader;
    this.#healthPath = options.healthPath === undefined ? service.http.healthPath : options.healthPath;
    this.#maxBodyBytes = options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
  }

  /** Answers one request; `body` is only read when the head is acceptable. Rejects only with what `body` throws. */
  async respond(head: RequestHead, body: AsyncIterable<Uint8Array>): Promise<Answer> {
    if (head.method === "GET" && this.#healthPath !== null && head.path.endsWith(this.#healthPath)) {
      return json(200, { status: "healthy" });
    }
    if (head.method !== "POST") return { status: 405, headers: { allow: "POST" }, body: "" };
    if (!/^\s*application\/json\s*(?:;|$)/i.test(head.headers["content-type"] ?? "")) return plain(415);
    if (Number(head.headers["content-length"] ?? 0) > this.#maxBodyBytes) return plain(413);
    const bytes = await gather(body, this.#maxBodyBytes);
    if (bytes === null) return plain(413);
    let value: unknown;
    try {
      value = parseJson(bytes);
    } catch (error) {
      if (error instanceof JsonError) return json(200, refuse(PARSE_ERROR));
      throw error;
    }
    if (Array.isArray(value) && this.#service.usage.batches !== false) return this.#batch(head, value);
    return this.#single(head, value);
  }

  async #single(head: RequestHead, value: unknown): Promise<Answer> {
    const content = classify(value, this.#service.usage);
    switch (content.kind) {
      case "invalid":
        return json(200, refuse(INVALID_REQUEST, content.id));
      case "bad-answer":
        return json(400, refuse(INVALID_REQUEST));
      case "response":
        return this.#settle(content.message) ? accepted() : json(400, refuse(INVALID_REQUEST));
      case "notification":
        await this.#service.notice(content.message, mute(head));
        return accepted();
      case "request":
        return this.#request(head, content.message);
    }
  }

  /** Members are served beside each other; a batch has no event stream, so none of them can call back. */
  async #batch(head: RequestHead, members: readonly unknown[]): Promise<Answer> {
    if (members.length === 0 || members.length > MAX_BATCH_MEMBERS) return json(200, refuse(INVALID_REQUEST));
    const answers = (await Promise.all(members.map((each) => this.#member(head, each)))).filter(
      (each) => each !== null,
    );
    return answers.length > 0 ? json(200, answers) : accepted();
  }

  async #member(head: RequestHead, value: unknown): Promise<ResponseMessage | null> {
    const content = classify(value, this.#service.usage);
    if (content.kind === "invalid") return refuse(INVALID_REQUEST, content.id);
    if (content.kind === "bad-answer") return null;
    if (content.kind === "response") {
      this.#settle(content.message);
      return null;
    }
    if (content.kind === "request") {
      return respond(content.message.id, await this.#service.answer(content.message, mute(head)));
    }
    await this.#service.notice(content.message, mute(head));
    return null;
  }

  /** A plain answer, or from the first event or callback on an event stream that the response ends. */
  async #request(head: RequestHead, request: RequestMessage): Promise<Answer> {
    const stream = new AnswerStream(head, this.#callbacks);
    const outcome = this.#service.answer(request, stream.caller);
    const finished = outcome.then((each) => {
      const response = respond(request.id, each);
      stream.finish(messageText(writeJson(response)));
      return json(200, response);
    });
    const streamed = stream.opened.then((): Answer => {
      const headers = {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        [this.instanceHeader.toLowerCase()]: this.instanceId,
      };
      return { status: 200, headers, body: stream };
    });
    return Promise.race([streamed, finished]);
  }

  #settle(response: ResponseMessage): boolean {
    const pending = typeof response.id === "string" ? this.#callbacks.get(response.id) : undefined;
    pending?.settle(response);
    return pending !== undefined;
  }
}

/** The answer to one request while it may become an event stream, and the caller's end of it. */
class AnswerStream implements Connection, StreamBody {
  readonly caller: Caller;
  /** Resolves when something has to be sent before the response. */
  readonly opened: Promise<void>;
  readonly #queue = new EventQueue<string>();
  readonly #abort = new AbortController();
  readonly #callbacks: Map<string, PendingCallback>;
  readonly #own = new Set<string>();
  readonly #acceptsEvents: boolean;
  #open: () => void = () => undefined;
  #over: (() => Error) | null = null;

  constructor(head: RequestHead, callbacks: Map<string, PendingCallback>) {
    this.#callbacks = callbacks;
    this.#acceptsEvents = acceptsEventStream(head.headers["accept"]);
    this.opened = new Promise((resolve) => (this.#open = resolve));
    const { headers, signal } = head;
    onAbort(signal, () => this.#leave());
    this.caller = { connection: this, signal: this.#abort.signal, headers, emit: (event) => this.#emit(event) };
  }

  async call(method: string, params: unknown, scope: CallScope): Promise<Outcome> {
    this.#requireWay();
    const id = randomId();
    this.#own.add(id);
    const outcome = new Promise<Outcome>((settle, fail) => this.#callbacks.set(id, { settle, fail }));
    try {
      const sent = this.#send(messageText(writeJson({ jsonrpc: "2.0", id, method, params })));
      // A caller that reads slowly must not keep an abandoned callback waiting.
      return await unlessAborted(scope.signal, Promise.race([outcome, sent.then(() => outcome)]));
    } finally {
      this.#callbacks.delete(id);
      this.#own.delete(id);
    }
  }

  async notify(method: string, params: unknown): Promise<void> {
    this.#requireWay();
    await this.#send(messageText(writeJson({ jsonrpc: "2.0", method, params })));
  }

  serve(): void {
    throw new CallbackUnavailableError("calls of the other side are served by the server itself");
  }

  async close(): Promise<void> {
    return Promise.resolve();
  }

  /** Sends the response, if there is a stream to send it on, and ends what hangs on the call. */
  finish(response: string): void {
    void this.#queue.push(response);
    this.#end(() => new CallbackUnavailableError("the call that could be answered with callbacks is over"));
  }

  [Symbol.asyncIterator](): AsyncIterator<string, void, undefined> {
    return this.#queue[Symbol.asyncIterator]();
  }

  cancel(): void {
    this.#leave();
  }

  /** A caller that does not take event streams hears of no events. */
  async #emit(event: unknown): Promise<void> {
    if (this.#acceptsEvents) await this.#send(eventText(event));
  }

  async #send(text: string): Promise<void> {
    this.#open();
    await this.#queue.push(text);
  }

  #requireWay(): void {
    if (this.#over !== null) throw this.#over();
    if (!this.#acceptsEvents) throw new CallbackUnavailableError("the caller does not accept text/event-stream");
  }

  #leave(): void {
    const reason = new TransportError("the caller has closed the connection");
    this.#abort.abort(reason);
    this.#queue.discard();
    this.#end(() => reason);
  }

  /** `reason` makes the error for calls that can no longer be answered; most exchanges end without one. */
  #end(reason: () => Error): void {
    this.#over ??= reason;
    for (const id of this.#own) this.#callbacks.get(id)?.fail(reason());
    this.#queue.end();
  }
}

/** The caller of a message that has no event stream. */
function mute(head: RequestHead): Caller {
  const unavailable = async (): Promise<never> =>
    Promise.reject(new CallbackUnavailableError("batches and notifications cannot be answered with callbacks"));
  const connection: Connection = { call: unavailable, notify: unavailable, serve: () => undefined, close: nothing };
  return { connection, signal: head.signal, headers: head.headers, emit: nothing };
}

async function nothing(): Promise<void> {
  return Promise.resolve();
}

/** Whether an Accept header admits event streams (RFC 9110, section 12.5.1; an absent one admits everything). */
function acceptsEventStream(accept: string | undefined): boolean {
  if (accept === undefined || accept.trim() === "") return true;
  return accept.split(",").some((range) => {
    const [media = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const refused = parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
    return !refused && (media === "text/event-stream" || media === "text/*" || media === "*/*");
  });
}

/** An id that nobody can guess: whoever knows it may answer the callback. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The whole body, or null when it is larger than allowed. */
async function gather(body: AsyncIterable<Uint8Array>, limit: number): Promise<Uint8Array | null> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    pieces.push(piece);
    size += piece.length;
    if (size > limit) return null;
  }
  return joinBytes(pieces, size);
}

function json(status: number, value: unknown): Answer {
  return { status, headers: { "content-type": "application/json" }, body: writeJson(value) };
}

function plain(status: number): Answer {
  return { status, headers: {}, body: "" };
}

function accepted(): Answer {
  return plain(202);
}

/**
 * A handler of the fetch style: mount it where `(request: Request) => Promise<Response>` is asked for.
 *
 * The handler's signal aborts when the request's does, or when the reader of an event stream leaves.
 */
export function fetchHandler(
  service: HttpServable,
  options: HttpServerOptions = {},
): (request: Request) => Promise<Response> {
  const http = new HttpService(service, options);
  // A request that nobody holds may be collected before its answer is complete, and its signal then never aborts.
  const open = new Set<Request>();
  return async (request) => {
    const headers = Object.fromEntries(request.headers);
    const head = { method: request.method, path: new URL(request.url).pathname, headers, signal: request.signal };
    const close = (): unknown => open.delete(request);
    open.add(request);
    try {
      const { status, headers, body } = await http.respond(head, pieces(request.body));
      if (typeof body !== "string") return new Response(streamOf(body, close), { status, headers });
      close();
      return new Response(body === "" ? null : body, { status, headers });
    } catch (error) {
      close();
      throw error;
    }
  };
}

/** The pieces of a body (its own iterator is missing in some browsers). */
async function* pieces(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function streamOf(body: StreamBody, close: () => unknown): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const iterator = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await iterator.next();
      if (next.done !== true) return controller.enqueue(encoder.encode(next.value));
      controller.close();
      close();
    },
    cancel() {
      body.cancel();
      close();
    },
  });
}
