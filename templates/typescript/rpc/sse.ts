/**
 * Server-Sent Events as the WHATWG HTML standard defines them (section 9.2.6), read and written.
 *
 * Also the one rule for events of methods: what is a message, what is an event. Knows no HTTP.
 */

import { JsonError, TransportError } from "./errors.js";
import { isObject, parseJson, setMember, writeJson } from "./json.js";

/** One event as the standard delivers it. */
export interface ServerSentEvent {
  /** The event's type; `message` when it has none. */
  readonly name: string;
  readonly data: string;
}

/** Takes the text of a stream piece by piece and gives the events that are complete. */
export class EventParser {
  /** The beginning of a line whose end has not come yet, in pieces: joining them each time would cost quadratic time. */
  #pieces: string[] = [];
  #waiting = 0;
  #name = "";
  #data: string[] = [];
  #size = 0;
  readonly #maxLength: number;

  /** `maxLength` bounds one event, in UTF-16 code units. */
  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  /** Errors: TransportError when one event is larger than allowed. */
  feed(text: string): ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    const isAfterCr = this.#pieces.at(-1)?.endsWith("\r") ?? false;
    if (isAfterCr || /[\r\n]/.test(text)) {
      const searched = Math.max(0, this.#waiting - 1);
      const buffer = this.#pieces.join("") + text;
      const rest = this.#lines(buffer, searched, events);
      this.#pieces = rest === "" ? [] : [rest];
      this.#waiting = rest.length;
    } else if (text !== "") {
      this.#pieces.push(text);
      this.#waiting += text.length;
    }
    if (this.#size + this.#waiting > this.#maxLength) {
      throw new TransportError(`an event is larger than ${this.#maxLength} characters`);
    }
    return events;
  }

  /** Takes the complete lines of `buffer`, whose first `searched` characters hold no line end, and gives the rest. */
  #lines(buffer: string, searched: number, events: ServerSentEvent[]): string {
    let start = 0;
    // A CR at the very end may be the first half of CRLF: it stays until more comes.
    const lineEnd = /\r\n|\n|\r(?!$)/g;
    lineEnd.lastIndex = searched;
    for (let match = lineEnd.exec(buffer); match !== null; match = lineEnd.exec(buffer)) {
      const event = this.#line(buffer.slice(start, match.index));
      if (event !== null) events.push(event);
      start = lineEnd.lastIndex;
    }
    return buffer.slice(start);
  }

  /** The event that a final CR completes: at the end of a stream no LF can follow. */
  finish(): ServerSentEvent[] {
    return this.#pieces.at(-1)?.endsWith("\r") === true ? this.feed("\n") : [];
  }

  #line(line: string): ServerSentEvent | null {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const rest = colon < 0 ? "" : line.slice(colon + 1);
    const value = rest.startsWith(" ") ? rest.slice(1) : rest;
    if (field === "data") {
      this.#data.push(value);
      this.#size += value.length + 1;
    } else if (field === "event") {
      this.#name = value;
    }
    return null;
  }

  #dispatch(): ServerSentEvent | null {
    const event = { name: this.#name === "" ? "message" : this.#name, data: this.#data.join("\n") };
    this.#name = "";
    this.#data = [];
    this.#size = 0;
    return event.data === "" ? null : event;
  }
}

/** The events of a byte stream. Errors: TransportError when it breaks off, is not UTF-8, or an event is too large. */
export async function* readEvents(
  stream: ReadableStream<Uint8Array>,
  maxLength: number,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const parser = new EventParser(maxLength);
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw new TransportError("the event stream broke off", { cause: error, retryable: true });
      });
      yield* parser.feed(decodePiece(decoder, value));
      if (done) break;
    }
    yield* parser.finish();
  } finally {
    // Closes the connection where the reader leaves early; a stream that failed has nothing left to cancel.
    await reader.cancel().catch(() => undefined);
  }
}

function decodePiece(decoder: TextDecoder, bytes: Uint8Array | undefined): string {
  try {
    return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
  } catch (error) {
    throw new TransportError("the event stream is not UTF-8", { cause: error });
  }
}

/** What an event carries: a JSON-RPC message, an event of the method, or nothing that can be read. */
export type Carried =
  | { readonly kind: "message"; readonly value: unknown }
  | { readonly kind: "event"; readonly value: unknown }
  | { readonly kind: "noise" };

/** Tells what a server-sent event carries; what is not JSON (keep-alives of proxies) is noise. */
export function carried(event: ServerSentEvent): Carried {
  let value: unknown;
  try {
    value = parseJson(event.data);
  } catch (error) {
    if (error instanceof JsonError) return { kind: "noise" };
    throw error;
  }
  if (event.name !== "message") {
    const named = {};
    setMember(named, "event", event.name);
    setMember(named, "data", value);
    return { kind: "event", value: named };
  }
  return { kind: isObject(value) && Object.hasOwn(value, "jsonrpc") ? "message" : "event", value };
}

/** A JSON text as an event. */
export function messageText(json: string): string {
  return `data: ${json}\n\n`;
}

/**
 * An event of a method as it is sent. `{"event": name, "data": value}` uses the stream's own event name, as long as a
 * reader can put exactly the same value together again; all else is sent whole.
 */
export function eventText(event: unknown): string {
  if (isObject(event) && Object.keys(event).length === 2) {
    const { event: name, data } = event;
    if (typeof name === "string" && data !== undefined && isEventName(name)) {
      return `event: ${name}\ndata: ${writeJson(data)}\n\n`;
    }
  }
  return messageText(writeJson(event));
}

function isEventName(name: string): boolean {
  return name !== "" && name !== "message" && !/[\r\n\0]|^ /.test(name);
}
