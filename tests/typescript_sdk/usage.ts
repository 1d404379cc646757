/** What users write against the SDK; compiled with it, never run. Each wrong line has to be an error. */

import {
  BusyError,
  EverythingDefaults,
  HostClient,
  LevelValues,
  MissingError,
  MoodValues,
  OddValueValues,
  decode,
  encode,
  fetchHandler,
  hostDispatcher,
  is,
  validate,
  type AppHandler,
  type Block,
  type Closed,
  type Everything,
  type HostHandler,
  type Level,
  type Limits,
  type Progress,
  type RunResult,
  type Shape,
  type Tree,
  type ValidationError_,
  type Value,
} from "./index.js";
import { requestListener, serveStdio, spawnStdio } from "./node.js";

export function area(shape: Shape): number {
  switch (shape.kind) {
    case "circle":
      return 3 * Number(shape.radius) ** 2;
    case "square":
      return Number(shape.side) ** 2;
  }
}

export function text(block: Block): string {
  // An unknown arm must not spoil the narrowing on known tags.
  if (block.type === "text") return block.text;
  if (block.type === "image") return block.data;
  const other: unknown = block["anything"];
  return `${block.type} ${String(other)}`;
}

export const absent: Everything = { id: "a", count: 1 };
export const isNull: Everything = { id: "a", count: 2n ** 70n, note: null, $type: "x", "a/b": "y", ["__proto__"]: 1 };
// @ts-expect-error undefined is not absent
export const isUndefined: Everything = { id: "a", count: 1, note: undefined };
// @ts-expect-error a member that no schema knows is most likely a typo
export const typo: Everything = { id: "a", count: 1, coutn: 2 };
// @ts-expect-error a required member is missing
export const missing: Everything = { id: "a" };
// @ts-expect-error bounded integers are plain numbers
export const bounded: Everything = { id: "a", count: 1, small: 1n };
export const pair: Everything["pair"] = ["a", 1];
// @ts-expect-error a tuple has its length
export const short: Everything["pair"] = ["a"];
export const limits: Limits = { low: 1, name: "x", other: 3, list: [1] };
// @ts-expect-error further members have a type
export const badLimits: Limits = { other: true };
export const known: Level = "low";
export const unknownLevel: Level = "any other";
export const level: (typeof LevelValues)[number] = LevelValues[0];
export const mood: "good" | "bad" | `it's "odd"` = MoodValues[2];
export const odd: bigint = OddValueValues[4];
export const value: Value = [1, "x", null, 5n, [{ x: 1 }], { name: "leaf", by_name: { a: { name: "b" } } }];
export const tree: Tree = { name: "x", children: [{ name: "y" }] };
export const renamed: ValidationError_ = { why: "taken by the library" };
export const flag: true = EverythingDefaults.flag;
export const seven: 7 = EverythingDefaults["__proto__"];

export const decoded: Closed = decode("Closed", "{}");
export const untyped: unknown = decode("Closed" as string, "{}");
export const encoded: string = encode({ x: 1 }, "Closed") + encode([1n]);
// @ts-expect-error the value has to be of the type that is named
export const wrong: string = encode<"Closed">({ y: 1 }, "Closed");
export function narrowed(unknown: unknown): bigint | number | undefined {
  return is("Closed", unknown) ? unknown.x : undefined;
}
export const paths: string[] = validate("Closed", {}).map((issue) => issue.path);

const app: AppHandler = {
  ask: ({ question }, { host, signal }) => {
    signal.throwIfAborted();
    void host.note({ text: question });
    return { answer: question };
  },
};

export async function call(signal: AbortSignal): Promise<RunResult> {
  const client = new HostClient("http://localhost:1", { handler: app, timeoutMs: 5, retries: 1 });
  await client.shapesList();
  await client.then_({ limit: 1 });
  // @ts-expect-error parameters with required members cannot be left out
  await client.run();
  const untypedResult: unknown = await client.call("run", { name: "x" });
  void untypedResult;
  const stream = client.runStream({ name: "x" }, { signal });
  for await (const event of stream) {
    const progress: Progress = event;
    void progress;
  }
  try {
    return await stream.result();
  } catch (error) {
    if (error instanceof MissingError) return { answers: [error.data?.name ?? error.message] };
    if (error instanceof BusyError) return client.run({ name: "again" });
    throw error;
  }
}

const none = { shapes: [] };
const host: HostHandler = {
  shapesList: () => none,
  echo: async (params) => Promise.resolve(params),
  async run(params, context) {
    await context.emit({ event: "x", data: 1 });
    // @ts-expect-error an event has its type
    await context.emit({ event: 1 });
    const { answer } = await context.app.ask({ question: params.name });
    if (answer === "") throw new MissingError({ name: params.name });
    return { answers: [answer] };
  },
  wait(_params, context) {
    // @ts-expect-error a method without events emits none
    void context.emit({ event: "x" });
    return { answers: [] };
  },
  sum: ({ a }) => ({ sum: a }),
  then_: () => none,
  constructor_: () => none,
  proto: () => none,
  note: ({ text }) => console.log(text),
};

// @ts-expect-error a handler serves every method of its role
export const partial: HostHandler = { shapesList: () => none };

export const service = hostDispatcher(host, { onError: (error, method) => console.error(method, error) });
export const web: (request: Request) => Promise<Response> = fetchHandler(service, { maxBodyBytes: 1000 });
export const listener = requestListener(service, { healthPath: null });
export const stdio = (): Promise<void> => serveStdio(service);
export const spawned = (): HostClient => new HostClient(spawnStdio("host", ["--stdio"]), { handler: app });
