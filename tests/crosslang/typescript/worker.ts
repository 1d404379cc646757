/** The worker of the cross-talk tests in TypeScript: serves over HTTP (prints its port) or, with `--stdio`, over its pipes. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import {
  ComponentNotFoundError,
  workerDispatcher,
  type ComponentExecuteParams,
  type ComponentExecuteResult,
  type ComponentInfo,
  type WorkerContext,
  type WorkerHandler,
} from "@protogen/stepflow";
import { requestListener, serveStdio } from "@protogen/stepflow/node";

const COMPONENTS: readonly ComponentInfo[] = ["/blob", "/fail", "/sleep", "/cancellations", "/boom"].map(
  (component) => ({ component }),
);

class Worker implements WorkerHandler {
  #cancellations = 0;

  initialize() {
    return { server_protocol_version: 1 };
  }

  initialized() {}

  componentsList() {
    return { components: [...COMPONENTS] };
  }

  componentsInfo({ component }: { component: string }) {
    const info = COMPONENTS.find((known) => known.component === component);
    if (info === undefined) throw new ComponentNotFoundError({ component });
    return { info };
  }

  componentsInferSchema() {
    return { output_schema: null };
  }

  async componentsExecute(params: ComponentExecuteParams, context: WorkerContext): Promise<ComponentExecuteResult> {
    switch (params.component) {
      case "/blob": {
        const { blob_id } = await context.runtime.blobsPut({ data: params.input, blob_type: "data" });
        const { data } = await context.runtime.blobsGet({ blob_id });
        return { output: { blob_id, data } };
      }
      case "/sleep":
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve, { once: true }));
        this.#cancellations += 1;
        return { output: null };
      case "/cancellations":
        return { output: this.#cancellations };
      case "/boom":
        throw new Error("the secret of the worker");
      default:
        throw new ComponentNotFoundError({ component: params.component });
    }
  }
}

const service = workerDispatcher(new Worker(), { onError: () => undefined });
if (process.argv.includes("--stdio")) {
  await serveStdio(service);
} else {
  const server = createServer(requestListener(service));
  server.listen(0, "127.0.0.1", () => {
    console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
  });
  process.stdin.on("end", () => process.exit(0)).resume();
}
