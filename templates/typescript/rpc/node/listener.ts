/** Serving from Node's own HTTP servers: a listener for `http.createServer`, Express, Koa's callback and the like. */

import type { IncomingMessage, ServerResponse } from "node:http";
import {
  HttpService,
  type Answer,
  type HttpServable,
  type HttpServerOptions,
  type StreamBody,
} from "../http_server.js";

/**
 * A request listener: `createServer(requestListener(dispatcher)).listen(port)`.
 *
 * The handler's signal aborts when the client closes the connection before the answer is complete.
 */
export function requestListener(
  service: HttpServable,
  options: HttpServerOptions = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  const http = new HttpService(service, options);
  return (request, response) => {
    serve(http, request, response).catch((error: unknown) => {
      // Only a request that breaks off while its body is read ends here; there is nobody left to answer.
      response.destroy(error instanceof Error ? error : undefined);
    });
  };
}

async function serve(http: HttpService, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => {
    if (!response.writableFinished) gone.abort(new Error("the client has closed the connection"));
  });
  // A write that crosses the client's leaving fails; nobody is left to be told.
  response.on("error", () => undefined);
  const answer = await http.respond(
    {
      method: request.method ?? "GET",
      path: (request.url ?? "/").replace(/\?.*$/s, ""),
      headers: flatHeaders(request),
      signal: gone.signal,
    },
    request as AsyncIterable<Uint8Array>,
  );
  if (typeof answer.body === "string") writeWhole(answer, answer.body, request, response);
  else await writeStream(answer, answer.body, response);
}

function flatHeaders(request: IncomingMessage): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return flat;
}

function writeWhole(answer: Answer, body: string, request: IncomingMessage, response: ServerResponse): void {
  const bytes = Buffer.from(body);
  // A body that was not read to its end cannot be skipped safely: the connection must not be used again.
  const unread = request.complete ? {} : { connection: "close" };
  response.writeHead(answer.status, { ...answer.headers, ...unread, "content-length": bytes.length });
  response.end(bytes);
}

async function writeStream(answer: Answer, body: StreamBody, response: ServerResponse): Promise<void> {
  response.writeHead(answer.status, answer.headers);
  response.flushHeaders();
  for await (const text of body) {
    if (response.destroyed) return body.cancel();
    if (!response.write(text)) await drained(response);
  }
  response.end();
}

/** Resolves when there is room to write, or when nobody reads any more. */
async function drained(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}
