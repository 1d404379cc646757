/** The runtime of the cross-talk tests in TypeScript: calls the worker at the URL given, or one that it starts (`--stdio COMMAND`), and prints what each step gave. */

import { setTimeout as sleep } from "node:timers/promises";
import { spawnStdio } from "@protogen/stepflow/node";

import {
  BlobNotFoundError,
  ComponentNotFoundError,
  RpcError,
  TimeoutError,
  WorkerClient,
  type GetBlobParams,
  type PutBlobParams,
  type RuntimeHandler,
} from "@protogen/stepflow";

class Runtime implements RuntimeHandler {
  readonly #blobs = new Map<string, PutBlobParams>();

  blobsPut(params: PutBlobParams) {
    const blob_id = `blob-${this.#blobs.size}`;
    this.#blobs.set(blob_id, params);
    return { blob_id };
  }

  blobsGet({ blob_id }: GetBlobParams) {
    const blob = this.#blobs.get(blob_id);
    if (blob === undefined) throw new BlobNotFoundError({ blob_id });
    return { data: blob.data, blob_type: blob.blob_type };
  }

  runsSubmit(): never {
    throw new RpcError(-32000, "no runs here");
  }

  runsGet(): never {
    throw new RpcError(-32000, "no runs here");
  }
}

const [target, ...command] = process.argv.slice(2);
if (target === undefined) throw new Error("usage: runtime URL, or runtime --stdio COMMAND...");
const [program = "", ...words] = command;
const worker = new WorkerClient(target === "--stdio" ? spawnStdio(program, words) : target, {
  handler: new Runtime(),
  timeoutMs: 10_000,
});

function say(step: string, got: unknown): void {
  console.log(JSON.stringify({ step, got }));
}

function execute(component: string, input: unknown, options = {}) {
  return worker.componentsExecute({ component, input, attempt: 1, observability: {} }, options);
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ComponentNotFoundError) return ["ComponentNotFound", error.code, error.data];
    if (error instanceof TimeoutError) return ["Timeout"];
    if (error instanceof RpcError) return ["RpcError", error.code, error.message];
    return [error instanceof Error ? error.name : "?"];
  }
}

async function cancellations(least: number): Promise<boolean> {
  for (let tries = 0; tries < 100; tries += 1) {
    const { output } = await execute("/cancellations", null);
    if (Number(output) >= least) return true;
    await sleep(50);
  }
  return false;
}

say("initialize", (await worker.initialize({ runtime_protocol_version: 1 })).server_protocol_version);
await worker.initialized({});
say("list", (await worker.componentsList({})).components.length);
say("info", (await worker.componentsInfo({ component: "/blob" })).info.component);
const input = { text: "é\u2028😀", big: 9007199254740993n, list: [1, null, {}] };
const blob = (await execute("/blob", input)).output as { data: typeof input };
say("callback", [blob.data.text, String(blob.data.big), blob.data.list]);
say("typed error", await failure(execute("/nowhere", null)));
say(
  "invalid params",
  ((await failure(worker.call("components/execute", { component: "/blob" }))) as unknown[]).slice(0, 2),
);
say("unknown method", ((await failure(worker.call("components/nope", {}))) as unknown[]).slice(0, 2));
say("internal error", await failure(execute("/boom", null)));
const abandon = new AbortController();
const abandoned = failure(execute("/sleep", null, { signal: abandon.signal }));
await sleep(200);
abandon.abort();
await abandoned;
say("abandoned", await cancellations(1));
say("time-out", await failure(execute("/sleep", null, { timeoutMs: 200 })));
say("time-out seen", await cancellations(2));
const many = await Promise.all(Array.from({ length: 20 }, (_, index) => execute("/blob", index)));
say(
  "parallel",
  many.map(({ output }) => (output as { data: number }).data),
);
await worker.close();
