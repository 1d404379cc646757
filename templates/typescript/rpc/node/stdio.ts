/** JSON-RPC over the standard streams of a process: one message a line. Both ends: who spawns, and who is spawned. */

import { spawn, type ChildProcess } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { JsonError, TransportError } from "../errors.js";
import { decodeUtf8 } from "../json.js";
import { MAX_LINE_BYTES, Peer } from "../peer.js";
import type { Service } from "../methods.js";

/** Settings of a spawned process. */
export interface SpawnOptions {
  readonly cwd?: string;
  /** The whole environment of the process. Default: this process's. */
  readonly env?: Readonly<Record<string, string>>;
  /** What becomes of the process's standard error, which is free text. Default: `inherit`. */
  readonly stderr?: "inherit" | "ignore";
  /** Time between closing the process's input and killing it. Default: 2,000. */
  readonly closeTimeoutMs?: number;
}

const DEFAULT_CLOSE_TIMEOUT_MS = 2_000;
const LINE_FEED = 0x0a;

/** A process to talk to; give it to a client. */
export class StdioConnection extends Peer {
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #closeTimeoutMs: number;

  constructor(process: ChildProcess, input: Writable, output: Readable, closeTimeoutMs: number) {
    super((line) => write(input, line));
    this.#process = process;
    this.#closeTimeoutMs = closeTimeoutMs;
    this.#exited = new Promise((resolve) => {
      process.once("close", (code, signal) => {
        this.end(new TransportError(`the process ended (${code === null ? String(signal) : `exit code ${code}`})`));
        resolve();
      });
      process.once("error", (error) => {
        this.end(new TransportError("the process cannot be started", { cause: error }));
        resolve();
      });
    });
    // A write to a process that has ended fails; its end is reported by "close".
    input.on("error", () => undefined);
    readLines(output, (line) => this.receive(line)).catch((error: unknown) => {
      this.end(new TransportError("the process's output cannot be read", { cause: error }));
      process.kill();
    });
  }

  /** Ends the process: closes its input, and kills it when it does not leave by itself. */
  override async close(): Promise<void> {
    await super.close();
    this.#process.stdin?.end();
    const term = setTimeout(() => this.#process.kill("SIGTERM"), this.#closeTimeoutMs);
    const kill = setTimeout(() => this.#process.kill("SIGKILL"), 2 * this.#closeTimeoutMs);
    await this.#exited;
    clearTimeout(term);
    clearTimeout(kill);
  }
}

/** Starts a command and talks to it over its standard streams. Calls fail with TransportError when it cannot be started. */
export function spawnStdio(command: string, args: readonly string[] = [], options: SpawnOptions = {}): StdioConnection {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", options.stderr ?? "inherit"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  return new StdioConnection(child, child.stdin, child.stdout, options.closeTimeoutMs ?? DEFAULT_CLOSE_TIMEOUT_MS);
}

/** The streams to serve; by default those of this process. */
export interface StdioStreams {
  readonly input?: Readable;
  readonly output?: Writable;
}

/**
 * Serves a dispatcher on standard input and output until the input ends and all answers have been written.
 *
 * Nothing else may be written to the output meanwhile: log to standard error. When the output fails, the handlers are
 * aborted. Errors: TransportError when a line is too long.
 */
export async function serveStdio(service: Service, streams: StdioStreams = {}): Promise<void> {
  const input = streams.input ?? process.stdin;
  const output = streams.output ?? process.stdout;
  const peer = new Peer((line) => write(output, line));
  peer.serve(service);
  output.on("error", (error) => peer.end(new TransportError("the caller does not read any more", { cause: error })));
  try {
    await readLines(input, (line) => peer.receive(line));
  } catch (error) {
    peer.end(new TransportError("the input cannot be read", { cause: error }));
    throw error;
  }
  peer.stopReceiving(new TransportError("the caller has closed the input"));
  await peer.idle();
}

/** Feeds the lines of a stream to `take` until it ends. Errors: those of the stream; TransportError for a too long line. */
async function readLines(stream: Readable, take: (line: string) => void): Promise<void> {
  let pieces: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      take(lineText(Buffer.concat([...pieces, chunk.subarray(start, end)])));
      pieces = [];
      size = 0;
      start = end + 1;
    }
    pieces.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > MAX_LINE_BYTES) throw new TransportError(`a line is longer than ${MAX_LINE_BYTES} bytes`);
  }
  if (size > 0) take(lineText(Buffer.concat(pieces)));
}

/** The text of a line; bytes that are no UTF-8 become a text that is no JSON, so that the line is answered as such. */
function lineText(bytes: Buffer): string {
  try {
    return decodeUtf8(bytes);
  } catch (error) {
    if (error instanceof JsonError) return "�";
    throw error;
  }
}

async function write(stream: Writable, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(text, (error) => {
      if (error) reject(new TransportError("the other side does not read any more", { cause: error }));
      else resolve();
    });
  });
}
