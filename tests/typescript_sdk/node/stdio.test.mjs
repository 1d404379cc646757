import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { PassThrough } from "node:stream";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeHost, Watch } from "./host.mjs";
import { node, sdk } from "./sdk.mjs";

const { HostClient, hostDispatcher } = sdk;
const HOST = fileURLToPath(new URL("./host.mjs", import.meta.url));
const app = { ask: ({ question }) => ({ answer: `${question}!` }) };

describe("a spawned host", () => {
  let client;
  before(() => {
    client = new HostClient(node.spawnStdio(process.execPath, [HOST]), { handler: app });
  });
  after(() => client.close());

  test("answers calls, many at a time", async () => {
    assert.deepEqual(await client.shapesList({ limit: 1 }), { shapes: [{ kind: "circle", radius: 1 }] });
    const sums = await Promise.all(Array.from({ length: 200 }, (_, a) => client.sum({ a, b: 1 })));
    assert.deepEqual(
      sums.map(({ sum }) => sum),
      Array.from({ length: 200 }, (_, a) => a + 1),
    );
  });

  test("calls back during a call", async () => {
    assert.deepEqual(await client.run({ name: "q", asks: 3, counts: 2 }), { answers: ["q 0!", "q 1!", "q 2!"] });
  });

  test("answers errors as their classes", async () => {
    await assert.rejects(client.run({ name: "missing" }), sdk.MissingError);
    await assert.rejects(client.call("nope"), { code: -32601 });
  });

  test("values survive lines", async () => {
    const value = { id: "\u2028\n", count: 2n ** 70n, any: "x".repeat(1_000_000) };
    assert.deepEqual(await client.echo(value), value);
  });

  test("an abandoned call leaves the connection usable", async () => {
    await assert.rejects(client.wait({ name: "x" }, { timeoutMs: 30 }), sdk.TimeoutError);
    assert.deepEqual(await client.sum({ a: 1 }), { sum: 1 });
  });
});

test("a process that ends fails its calls", async () => {
  const client = new HostClient(node.spawnStdio(process.execPath, ["-e", "setTimeout(() => process.exit(3), 50)"]));
  await assert.rejects(client.wait({ name: "x" }), /exit code 3/);
  await assert.rejects(client.shapesList({}, { retries: 0 }), sdk.TransportError);
  await client.close();
});

test("a command that does not exist fails the calls", async () => {
  const client = new HostClient(node.spawnStdio("/nonexistent/command"));
  await assert.rejects(client.shapesList({}, { retries: 0 }), sdk.TransportError);
  await client.close();
});

test("a process that does not leave is killed", async () => {
  const stubborn = "process.on('SIGTERM', () => 0); console.log('{}'); setInterval(() => 0, 1000)";
  const connection = node.spawnStdio(process.execPath, ["-e", stubborn], { closeTimeoutMs: 100 });
  await connection.close();
});

/** A host on streams of this process, spoken to by hand. */
function serve() {
  const watch = new Watch();
  const host = makeHost(watch);
  const input = new PassThrough();
  const output = new PassThrough();
  output.setEncoding("utf8");
  const done = node.serveStdio(hostDispatcher(host, { onError: () => undefined }), { input, output });
  const send = (value) => input.write(`${typeof value === "string" ? value : JSON.stringify(value)}\n`);
  const lines = (async function* () {
    let rest = "";
    for await (const piece of output) {
      const parts = (rest + piece).split("\n");
      rest = parts.pop();
      yield* parts.map((part) => JSON.parse(part));
    }
  })();
  return { watch, host, input, output, send, done, next: async () => (await lines.next()).value };
}

test("each bad line is answered", async () => {
  const { send, next, input, done } = serve();
  for (const [line, code, id] of [
    ["{", -32700, null],
    ["[]", -32600, null],
    ["5", -32600, null],
    ['{"jsonrpc":"2.0","id":7,"method":5}', -32600, 7],
  ]) {
    send(line);
    const answer = await next();
    assert.deepEqual([answer.error.code, answer.id], [code, id]);
  }
  input.write(Buffer.from([0x22, 0xff, 0x22, 0x0a]));
  assert.equal((await next()).error.code, -32700);
  send("");
  send({ jsonrpc: "2.0", id: "nobody's", result: 1 });
  send({ jsonrpc: "2.0", id: 1, method: "sum", params: [1, 2] });
  assert.deepEqual(await next(), { jsonrpc: "2.0", id: 1, result: { sum: 3 } });
  input.end();
  await done;
});

test("a batch is answered as a batch", async () => {
  const { send, next, input, done } = serve();
  send([
    { jsonrpc: "2.0", id: 1, method: "sum", params: [1] },
    { jsonrpc: "2.0", method: "note", params: { text: "x" } },
  ]);
  assert.deepEqual(await next(), [{ jsonrpc: "2.0", id: 1, result: { sum: 1 } }]);
  input.end();
  await done;
});

test("a cancelled call aborts its handler and is not answered", async () => {
  const { send, next, watch, input, done } = serve();
  send({ jsonrpc: "2.0", id: "w", method: "wait", params: { name: "w" } });
  await watch.wait("began", "w");
  send({ jsonrpc: "2.0", method: "$/cancelRequest", params: { id: "w" } });
  await watch.wait("aborted", "w");
  send({ jsonrpc: "2.0", id: 2, method: "sum", params: [2] });
  assert.equal((await next()).id, 2);
  input.end();
  await done;
});

test("calls that are running when the input ends are still answered", async () => {
  const { send, next, input, done } = serve();
  send({ jsonrpc: "2.0", id: 1, method: "shapes/list" });
  input.end();
  assert.equal((await next()).id, 1);
  await done;
});

test("a callback that can no longer be answered fails in the handler", async () => {
  const { send, next, input, done } = serve();
  send({ jsonrpc: "2.0", id: 1, method: "run", params: { name: "q", asks: 1 } });
  assert.equal((await next()).method, "ask");
  input.end();
  assert.deepEqual((await next()).result.answers[0], "TransportError");
  await done;
});

test("a line that is too long ends the service", async () => {
  const { input, done } = serve();
  const refused = assert.rejects(done, sdk.TransportError);
  input.write("x".repeat(9 * 1024 * 1024));
  input.write("x".repeat(9 * 1024 * 1024));
  await refused;
});

test("an abandoned call over stdio tells the host", async () => {
  const script =
    "process.stdin.setEncoding('utf8'); process.stdin.on('data', (line) => { if (line.includes('cancel')) { process.stderr.write(line); process.exit(); } })";
  const child = spawn(process.execPath, ["-e", script], { stdio: ["pipe", "pipe", "pipe"] });
  let heard = "";
  child.stderr.on("data", (piece) => (heard += piece));
  const connection = new node.StdioConnection(child, child.stdin, child.stdout, 1000);
  const client = new HostClient(connection);
  await assert.rejects(client.wait({ name: "x" }, { timeoutMs: 30 }), sdk.TimeoutError);
  await new Promise((resolve) => child.once("close", resolve));
  assert.deepEqual(JSON.parse(heard.trim().split("\n").at(-1)), {
    jsonrpc: "2.0",
    method: "$/cancelRequest",
    params: { id: "1" },
  });
});
