/** A worker that prices orders and archives them: over HTTP (`--port N`, which it announces), or its pipes (`--stdio`). */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";

import {
  ComponentNotFoundError,
  InvalidInputSchemaError,
  InvalidValueError,
  workerDispatcher,
  type ComponentExecuteParams,
  type ComponentInfo,
  type WorkerContext,
  type WorkerHandler,
} from "@protogen/stepflow";
import { requestListener, serveStdio } from "@protogen/stepflow/node";

interface Order {
  items: string[];
  express?: boolean;
}

const order = {
  type: "object",
  properties: { items: { type: "array", items: { type: "string" } }, express: { type: "boolean" } },
  required: ["items"],
};

const components: ComponentInfo[] = [
  { component: "/price", description: "Price an order.", input_schema: order },
  { component: "/archive", description: "Store an order as a blob.", input_schema: order },
];

function price({ items, express }: Order): { total: number } {
  if (items.length === 0) throw new InvalidValueError({ order: "empty" }, "there is nothing to price");
  return { total: 5 * items.length + (express ? 10 : 0) };
}

async function archive(input: Order, context: WorkerContext): Promise<string> {
  const { blob_id } = await context.runtime.blobsPut({ data: input, blob_type: "data" });
  return blob_id;
}

class Shop implements WorkerHandler {
  initialize() {
    return { server_protocol_version: 1 };
  }

  initialized() {}

  componentsList() {
    return { components };
  }

  componentsInfo({ component }: { component: string }) {
    return { info: find(component) };
  }

  componentsInferSchema({ component }: { component: string }) {
    return { output_schema: find(component).output_schema ?? null };
  }

  async componentsExecute({ component, input }: ComponentExecuteParams, context: WorkerContext) {
    switch (find(component).component) {
      case "/price":
        return { output: price(read(input)) };
      default:
        return { output: await archive(read(input), context) };
    }
  }
}

function find(component: string): ComponentInfo {
  const info = components.find((known) => known.component === component);
  if (info === undefined) throw new ComponentNotFoundError({ component });
  return info;
}

function read(input: unknown): Order {
  const items = (input as Order | null)?.items;
  if (!Array.isArray(items) || !items.every((item) => typeof item === "string")) {
    throw new InvalidInputSchemaError(undefined, "items is a list of names");
  }
  return input as Order;
}

const { values } = parseArgs({ options: { stdio: { type: "boolean" }, port: { type: "string", default: "0" } } });
const service = workerDispatcher(new Shop());
if (values.stdio) {
  await serveStdio(service);
} else {
  const server = createServer(requestListener(service));
  server.listen(Number(values.port), "127.0.0.1", () => {
    console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
  });
}
