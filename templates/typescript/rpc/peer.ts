/**
 * Two-way JSON-RPC over lines of text: calls of both sides interleave on one pair of streams.
 *
 * Knows no process and no socket: text comes in by `receive` and leaves through the `send` it is given.
 */

import { ServiceList } from "./dispatch.js";
import { JsonError, TransportError } from "./errors.js";
import { isObject, parseJson, writeJson } from "./json.js";
import {
  classify,
  INVALID_REQUEST,
  MAX_BATCH_MEMBERS,
  PARSE_ERROR,
  refuse,
  respond,
  type Id,
  type NotificationMessage,
  type Outcome,
  type RequestMessage,
  type ResponseMessage,
} from "./messages.js";
import type { Caller, CallScope, Connection, Service } from "./methods.js";
import { onAbort, unlessAborted } from "./signals.js";

/** Tells the other side that an answer is not wanted any more; its params are `{"id": <id of the request>}`. */
export const CANCEL_METHOD = "$/cancelRequest";

/** Longest line either side may send. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

interface PendingCall {
  readonly settle: (outcome: Outcome) => void;
  readonly fail: (error: unknown) => void;
}

/** One end of the line. */
export class Peer implements Connection {
  readonly #send: (line: string) => Promise<void>;
  readonly #services = new ServiceList();
  readonly #pending = new Map<Id, PendingCall>();
  readonly #running = new Map<Id, AbortController>();
  readonly #work = new Set<Promise<void>>();
  #ended: Error | null = null;
  #lastId = 0;

  /** `send` writes one line, the line feed included, and resolves when the stream has room for more. */
  constructor(send: (line: string) => Promise<void>) {
    this.#send = send;
  }

  async call(method: string, params: unknown, scope: CallScope): Promise<Outcome> {
    if (this.#ended !== null) throw this.#ended;
    scope.signal.throwIfAborted();
    // A string: some peers take no other ids.
    const id = String(++this.#lastId);
    const line = writeLine({ jsonrpc: "2.0", id, method, params });
    const outcome = new Promise<Outcome>((settle, fail) => this.#pending.set(id, { settle, fail }));
    const release = onAbort(scope.signal, () => this.#start(this.notify(CANCEL_METHOD, { id })));
    try {
      const sent = this.#send(line);
      // A stream without room must not keep an abandoned call waiting.
      return await unlessAborted(scope.signal, Promise.race([outcome, sent.then(() => outcome)]));
    } finally {
      release();
      this.#pending.delete(id);
    }
  }

  async notify(method: string, params: unknown): Promise<void> {
    if (this.#ended !== null) throw this.#ended;
    await this.#send(writeLine({ jsonrpc: "2.0", method, params }));
  }

  serve(service: Service): void {
    this.#services.add(service);
  }

  async close(): Promise<void> {
    this.end(new TransportError("the connection was closed"));
    await this.idle();
  }

  /** Takes one line that has come; never rejects, and returns at once: calls are served beside each other. */
  receive(line: string): void {
    if (/^[\t\r ]*$/.test(line)) return;
    this.#start(this.#receive(line));
  }

  /** Fails the calls under way: no answer can come any more. Handlers go on, as their callers may still read. */
  stopReceiving(reason: TransportError): void {
    this.#ended ??= reason;
    for (const pending of [...this.#pending.values()]) pending.fail(reason);
  }

  /** Fails the calls under way and aborts the handlers. */
  end(reason: TransportError): void {
    this.stopReceiving(reason);
    for (const controller of this.#running.values()) controller.abort(reason);
  }

  /** Resolves when no handler runs any more and all answers have been written. */
  async idle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  /** Failed writes need no care here: what ends the stream also ends the peer. */
  #start(work: Promise<void>): void {
    const watched: Promise<void> = work.catch(() => undefined).finally(() => this.#work.delete(watched));
    this.#work.add(watched);
  }

  async #receive(line: string): Promise<void> {
    const answer = await this.#answers(line);
    if (answer !== null) await this.#send(writeLine(answer));
  }

  async #answers(line: string): Promise<unknown> {
    let value: unknown;
    try {
      value = parseJson(line);
    } catch (error) {
      if (error instanceof JsonError) return refuse(PARSE_ERROR);
      throw error;
    }
    if (!Array.isArray(value) || this.#services.usage.batches === false) return this.#answer(value);
    if (value.length === 0 || value.length > MAX_BATCH_MEMBERS) return refuse(INVALID_REQUEST);
    const answers = (await Promise.all(value.map((each) => this.#answer(each)))).filter((each) => each !== null);
    return answers.length > 0 ? answers : null;
  }

  async #answer(value: unknown): Promise<ResponseMessage | null> {
    const content = classify(value, this.#services.usage);
    switch (content.kind) {
      case "request":
        return this.#serveRequest(content.message);
      case "notification":
        await this.#serveNotification(content.message);
        return null;
      case "response":
        // An answer to a call that was given up is dropped.
        this.#pending.get(content.message.id)?.settle(content.message);
        return null;
      case "bad-answer":
        return null;
      case "invalid":
        return refuse(INVALID_REQUEST, content.id);
    }
  }

  async #serveRequest(request: RequestMessage): Promise<ResponseMessage | null> {
    const { id } = request;
    const controller = new AbortController();
    this.#running.set(id, controller);
    try {
      const outcome = await this.#services.answer(request, this.#caller(controller.signal));
      return controller.signal.aborted ? null : respond(id, outcome);
    } finally {
      if (this.#running.get(id) === controller) this.#running.delete(id);
    }
  }

  async #serveNotification(notification: NotificationMessage): Promise<void> {
    const { method, params } = notification;
    if (method !== CANCEL_METHOD) {
      return this.#services.notice(notification, this.#caller(new AbortController().signal));
    }
    const id = isObject(params) ? params["id"] : undefined;
    const reason = new TransportError("the caller has given up");
    if (id !== undefined) this.#running.get(id as Id)?.abort(reason);
  }

  #caller(signal: AbortSignal): Caller {
    // Lines carry no events: a caller on this transport asks for the result alone.
    return { connection: this, signal, headers: {}, emit: () => Promise.resolve() };
  }
}

function writeLine(message: unknown): string {
  return `${writeJson(message)}\n`;
}
