/** A worker of Stepflow with the components that the kit looks for: over HTTP (it announces its port), or its pipes. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import {
  ComponentNotFoundError,
  ExecutionFailedError,
  InvalidInputSchemaError,
  workerDispatcher,
  type ComponentExecuteParams,
  type ComponentInfo,
  type ComponentInfoParams,
  type ComponentInferSchemaParams,
  type WorkerContext,
  type WorkerHandler,
} from "@protogen/stepflow";
import { requestListener, serveStdio } from "@protogen/stepflow/node";

type Component = (input: unknown, context: WorkerContext) => unknown;

const components = new Map<string, { readonly info: ComponentInfo; readonly execute: Component }>();

function component(path: string, description: string, execute: Component): void {
  components.set(path, { info: { component: path, description }, execute });
}

component("/echo", "Give the input back.", (input) => input);

component("/fail", "Fail as the input says.", (input) => {
  const { message } = (input ?? {}) as { message?: unknown };
  throw new ExecutionFailedError(undefined, String(message ?? "it was asked to fail"));
});

component("/sleep", "Take as many seconds as the input says.", async (input, { signal }) => {
  const { seconds } = (input ?? {}) as { seconds?: unknown };
  if (typeof seconds !== "number" || seconds < 0) {
    throw new InvalidInputSchemaError(undefined, "seconds is a number from 0 on");
  }
  await pause(seconds * 1000, undefined, { signal });
  return { slept: seconds };
});

component("/put", "Store the input as a blob.", async (data, { runtime, signal }) => {
  const { blob_id } = await runtime.blobsPut({ data, blob_type: "data" }, { signal });
  return blob_id;
});

component("/get", "Give the data of a blob.", async (blob_id, { runtime, signal }) => {
  if (typeof blob_id !== "string") throw new InvalidInputSchemaError(undefined, "the input is the id of a blob");
  return (await runtime.blobsGet({ blob_id }, { signal })).data;
});

function find(path: string) {
  const found = components.get(path);
  if (found === undefined) throw new ComponentNotFoundError({ component: path });
  return found;
}

const worker: WorkerHandler = {
  initialize: () => ({ server_protocol_version: 1 }),
  initialized: () => undefined,
  componentsList: () => ({ components: [...components.values()].map(({ info }) => info) }),
  componentsInfo: ({ component }: ComponentInfoParams) => ({ info: find(component).info }),
  componentsInferSchema: ({ component }: ComponentInferSchemaParams) => ({
    output_schema: find(component).info.output_schema ?? null,
  }),
  async componentsExecute({ component, input }: ComponentExecuteParams, context: WorkerContext) {
    return { output: await find(component).execute(input, context) };
  },
};

// What Stepflow takes for a message is not quite JSON-RPC.
const service = workerDispatcher(worker, { usage: { batches: false, plainIds: true, lenient: true } });
if (process.argv.includes("--stdio")) {
  await serveStdio(service);
} else {
  const serve = requestListener(service);
  const server = createServer((request, response) => {
    if (request.url === "/" || request.url === "/health") serve(request, response);
    else response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1", () => {
    console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
  });
}
