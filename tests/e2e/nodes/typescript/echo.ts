/** The echo protocol over HTTP (it announces its port) or, with `--stdio`, over its pipes. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import {
  CallbackFailedError,
  RpcError,
  serverDispatcher,
  SleepTooLongError,
  SumOutOfRangeError,
  type AddParams,
  type CallbackParams,
  type CountEvent,
  type CountParams,
  type EchoParams,
  type FailParams,
  type ServerContext,
  type ServerHandler,
  type SleepParams,
} from "@protogen/echo";
import { requestListener, serveStdio } from "@protogen/echo/node";

const LONGEST_SLEEP_SECONDS = 60;

class EchoServer implements ServerHandler {
  echo({ value }: EchoParams) {
    return { value };
  }

  /** Exact where both are whole, as the protocol promises: beyond 2^53 numbers come as bigint. */
  add({ a, b }: AddParams) {
    if (isWhole(a) && isWhole(b)) return { sum: BigInt(a) + BigInt(b) };
    const sum = Number(a) + Number(b);
    if (!Number.isFinite(sum)) throw new SumOutOfRangeError({ a, b });
    return { sum };
  }

  fail({ code, message, data }: FailParams): never {
    throw new RpcError(Number(code), message, data);
  }

  async sleep({ seconds }: SleepParams, { signal }: ServerContext) {
    if (Number(seconds) > LONGEST_SLEEP_SECONDS) throw new SleepTooLongError({ maximum: LONGEST_SLEEP_SECONDS });
    const start = performance.now();
    await pause(Number(seconds) * 1000, undefined, { signal });
    return { slept: (performance.now() - start) / 1000 };
  }

  async count({ to, interval = 0 }: CountParams, { emit, signal }: ServerContext<CountEvent>) {
    for (let number = 1; number <= Number(to); number += 1) {
      await emit({ number });
      await pause(Math.min(Number(interval), LONGEST_SLEEP_SECONDS) * 1000, undefined, { signal });
    }
    return { counted: to };
  }

  async callback({ method, params }: CallbackParams, { client, signal }: ServerContext) {
    try {
      return { result: await client.call(method, params, { signal }) };
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      const { code, message, data } = error;
      throw new CallbackFailedError({ code, message, ...(data === undefined ? {} : { data }) });
    }
  }

  notify_() {}
}

function isWhole(value: number | bigint): boolean {
  return typeof value === "bigint" || Number.isSafeInteger(value);
}

const service = serverDispatcher(new EchoServer());
if (process.argv.includes("--stdio")) {
  await serveStdio(service);
} else {
  const server = createServer(requestListener(service));
  server.listen(0, "127.0.0.1", () => {
    console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
  });
}
