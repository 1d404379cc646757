/** A server of the echo protocol and a client that calls it, both on the generated SDK. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import {
  ServerClient,
  serverDispatcher,
  SleepTooLongError,
  type CallbackParams,
  type CountEvent,
  type CountParams,
  type ServerContext,
  type ServerHandler,
} from "@protogen/echo";
import { requestListener } from "@protogen/echo/node";

const server: ServerHandler = {
  echo: ({ value }) => ({ value }),
  add: ({ a, b }) => ({ sum: Number(a) + Number(b) }),
  fail: () => ({}),
  notify_: () => undefined,
  sleep() {
    throw new SleepTooLongError({ maximum: 0 });
  },
  async count({ to }: CountParams, context: ServerContext<CountEvent>) {
    for (let number = 1; number <= Number(to); number += 1) await context.emit({ number });
    return { counted: to };
  },
  async callback(_: CallbackParams, context: ServerContext) {
    const { value } = await context.client.clientEcho({ value: "are you there?" });
    return { result: value };
  },
};

const http = createServer(requestListener(serverDispatcher(server))).listen(0, "127.0.0.1");
await new Promise((resolve) => http.once("listening", resolve));
const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/`;

const client = new ServerClient(url, { handler: { clientEcho: ({ value }) => ({ value: `the client heard: ${value}` }) } });
console.log("echo     ", JSON.stringify((await client.echo({ value: { text: "hello" } })).value));
console.log("add      ", (await client.add({ a: 2, b: 3 })).sum);
const stream = client.countStream({ to: 3 });
const numbers: unknown[] = [];
for await (const { number } of stream) numbers.push(number);
console.log("count    ", numbers.join(", "), "then", (await stream.result()).counted);
console.log("callback ", (await client.callback({ method: "client/echo" })).result);
try {
  await client.sleep({ seconds: 60 });
} catch (error) {
  if (!(error instanceof SleepTooLongError)) throw error;
  console.log("sleep    ", `${error.name} ${error.code}: at most ${error.data?.maximum} s`);
}
await client.close();
http.close();
