import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { makeHost, Watch } from "./host.mjs";
import { node, sdk } from "./sdk.mjs";

const { AppClient, HostClient, fetchHandler, hostDispatcher, appDispatcher } = sdk;
const app = { ask: ({ question }) => ({ answer: `${question}!` }) };

async function listen(listener) {
  const server = createServer(listener);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}/`, close };
}

/** The same host behind both adapters: `send` takes what fetch takes. */
const ADAPTERS = {
  "Node listener": async (service, options) => {
    const { url, close } = await listen(node.requestListener(service, options));
    return { url, close, send: (init, path = "") => fetch(url + path, init), fetch: globalThis.fetch };
  },
  "fetch handler": async (service, options) => {
    const handler = fetchHandler(service, options);
    const url = "http://toy.invalid/";
    const send = (init, path = "") => handler(new Request(url + path, init));
    return { url, close: async () => undefined, send, fetch: (target, init) => handler(new Request(target, init)) };
  },
};

const JSON_HEADERS = { "content-type": "application/json" };
const post = (value, headers = {}) => ({
  method: "POST",
  headers: { ...JSON_HEADERS, ...headers },
  body: typeof value === "string" ? value : JSON.stringify(value),
});
const request = (method, params, id = 1) => ({ jsonrpc: "2.0", id, method, params });

for (const [adapter, start] of Object.entries(ADAPTERS)) {
  describe(adapter, () => {
    const watch = new Watch();
    const host = makeHost(watch);
    const failures = [];
    let server;
    let client;

    before(async () => {
      const service = hostDispatcher(host, { onError: (error, method) => failures.push([method, error.message]) });
      server = await start(service, { maxBodyBytes: 2000 });
      client = new HostClient(server.url, { handler: app, http: { fetch: server.fetch } });
    });
    after(() => server.close());

    test("calls give typed results", async () => {
      assert.deepEqual(await client.shapesList({ limit: 1 }), { shapes: [{ kind: "circle", radius: 1 }] });
      assert.equal((await client.shapesList()).shapes.length, 2);
      assert.deepEqual(await client.then_(), { shapes: [] });
      assert.deepEqual(await client.constructor_(), { shapes: [] });
      assert.deepEqual(await client.proto(), { shapes: [] });
    });

    test("many calls may share a signal without a warning of a leak", async () => {
      const warnings = [];
      const hear = (warning) => warnings.push(warning.name);
      process.on("warning", hear);
      const { signal } = new AbortController();
      const sums = await Promise.all(Array.from({ length: 50 }, (_, a) => client.sum({ a }, { signal })));
      await new Promise((resolve) => setImmediate(resolve));
      process.off("warning", hear);
      assert.deepEqual([sums.length, warnings], [50, []]);
    });

    test("a time-out may be longer than timers can wait", async () => {
      for (const timeoutMs of [0, 1e12, Infinity])
        assert.deepEqual(await client.sum({ a: 1 }, { timeoutMs }), { sum: 1 });
    });

    test("values survive the way there and back", async () => {
      const value = {
        id: "😀",
        count: 2n ** 70n,
        note: null,
        extra: { deep: [2n ** 53n + 1n] },
        "a/b": "\u2028",
        any: {},
      };
      assert.deepEqual(await client.echo(value), value);
    });

    test("parameters go by position where the method says so", async () => {
      assert.deepEqual(await client.sum({ a: 1, b: 2n ** 64n }), { sum: 2n ** 64n + 1n });
      assert.deepEqual(await client.sum({ a: 1 }), { sum: 1 });
      assert.deepEqual(await client.call("sum", [1, 2]), { sum: 3 });
      assert.deepEqual(await client.call("sum", { a: 1 }), { sum: 1 });
      await assert.rejects(client.call("sum", [1, 2, null, 4]), { code: -32602 });
      await assert.rejects(client.call("run", ["x"]), { code: -32602 });
    });

    test("an error of the protocol arrives as its class", async () => {
      await assert.rejects(client.run({ name: "missing" }), (error) => {
        assert.ok(error instanceof sdk.MissingError && error instanceof sdk.RpcError);
        assert.deepEqual([error.code, error.data], [-32001, { name: "missing" }]);
        return true;
      });
      await assert.rejects(client.run({ name: "busy" }), sdk.BusyError);
      await assert.rejects(client.run({ name: "other" }), { name: "RpcError", code: -31000, data: { a: 1 } });
    });

    test("what goes wrong inside stays inside", async () => {
      failures.length = 0;
      const internal = { name: "RpcError", code: -32603, message: "Internal error", data: undefined };
      await assert.rejects(client.run({ name: "secret" }), internal);
      await assert.rejects(client.run({ name: "bad result" }), internal);
      await assert.rejects(client.run({ name: "bad event" }), internal);
      assert.deepEqual(
        failures.map(([method]) => method),
        ["run", "run", "run"],
      );
      assert.equal(failures[0][1], "the password is 1234");
    });

    test("invalid parameters are refused on both sides", async () => {
      await assert.rejects(client.run({}), sdk.ValidationError);
      await assert.rejects(client.call("run", { asks: -1 }), (error) => {
        assert.equal(error.code, -32602);
        assert.deepEqual(error.data.errors, [
          { path: "$", message: 'missing member "name"' },
          { path: "$.asks", message: "expected at least 0, got -1" },
        ]);
        return true;
      });
      await assert.rejects(client.call("nope"), { code: -32601 });
      await assert.rejects(client.call("note", { text: "x" }), { code: -32601 });
    });

    test("headers reach the handler", async () => {
      assert.deepEqual(await client.run({ name: "header" }, { headers: { "X-Test": "yes" } }), {
        answers: ["yes", "true"],
      });
      const own = new HostClient(server.url, {
        http: { fetch: server.fetch, headers: async () => ({ "x-test": "own" }) },
      });
      assert.deepEqual(await own.run({ name: "header" }), { answers: ["own", "true"] });
    });

    test("members beside those of JSON-RPC reach the handler", async () => {
      const named = { ...request("run", { name: "members" }), metadata: { a: [1] } };
      const plain = request("run", { name: "members" }, 2);
      const answers = await (await server.send(post([named, plain]))).json();
      assert.deepEqual(
        answers.map(({ result }) => JSON.parse(result.answers[0])),
        [{ metadata: { a: [1] } }, {}],
      );
    });

    test("a protocol may depart from the standard", async () => {
      const usage = { batches: false, plainIds: true, lenient: true };
      const own = await start(hostDispatcher(makeHost(), { usage }));
      const told = async (message) => {
        const { id, error } = await (await own.send(post(message))).json();
        return [id, error?.code];
      };
      assert.deepEqual(await told([request("shapes/list", {})]), [null, -32600]);
      assert.deepEqual(await told(request("nope", {}, 1.5)), [null, -32600]);
      assert.deepEqual(await told(request("nope", {}, null)), [null, -32600]);
      assert.deepEqual(await told({ jsonrpc: "1.0", id: 7, method: "nope" }), [7, -32600]);
      assert.deepEqual(await told({ id: 7, method: "nope", params: null }), [7, -32601]);
      assert.deepEqual(await told({ id: 7, method: "shapes/list" }), [7, undefined]);
      await own.close();
    });

    test("a service words the refusal of params itself", async () => {
      const told = [];
      const explain = (issues, params, method) => {
        told.push([method, params, issues.length]);
        return method === "run" ? new sdk.RpcError(-32602, "Bad run", { field: issues[0].path }) : undefined;
      };
      const own = await start(hostDispatcher(makeHost(), { explain }));
      const strict = new HostClient(own.url, { http: { fetch: own.fetch } });
      await assert.rejects(strict.call("run", { name: 5 }), { message: "Bad run", data: { field: "$.name" } });
      await assert.rejects(strict.call("sum", {}), { code: -32602, message: "Invalid params" });
      await own.send(post({ jsonrpc: "2.0", method: "note", params: {} }));
      assert.deepEqual(told, [
        ["run", { name: 5 }, 1],
        ["sum", {}, 1],
      ]);
      await own.close();
    });

    test("callbacks are answered while the call is in progress", async () => {
      const { answers } = await client.run({ name: "q", asks: 5 });
      assert.deepEqual(answers, ["q 0!", "q 1!", "q 2!", "q 3!", "q 4!"]);
    });

    test("a callback's typed error reaches the handler", async () => {
      const handler = { ask: ({ question }) => Promise.reject(new sdk.MissingError({ name: question })) };
      const other = new HostClient(server.url, { handler, http: { fetch: server.fetch } });
      assert.equal((await other.run({ name: "q", asks: 1 })).answers[0], "MissingError");
      const none = new HostClient(server.url, { http: { fetch: server.fetch } });
      assert.equal((await none.run({ name: "q", asks: 1 })).answers[0], "RpcError");
    });

    test("a caller that takes no event stream cannot be called back and hears no events", async () => {
      const response = await server.send(
        post(request("run", { name: "q", asks: 1, counts: 2 }), { accept: "application/json" }),
      );
      assert.match(response.headers.get("content-type"), /^application\/json/);
      assert.equal((await response.json()).result.answers[0], "CallbackUnavailableError");
      const refused = { accept: "application/json, text/event-stream;q=0" };
      const again = await server.send(post(request("run", { name: "q", asks: 1 }), refused));
      assert.equal((await again.json()).result.answers[0], "CallbackUnavailableError");
    });

    test("an event stream names its instance, and callback ids cannot be guessed", async () => {
      const response = await server.send(
        post(request("run", { name: "raw", asks: 1 }), { accept: "text/event-stream" }),
      );
      assert.equal(response.status, 200);
      assert.match(response.headers.get("content-type"), /^text\/event-stream/);
      assert.match(response.headers.get("toy-instance-id"), /^[0-9a-f-]{36}$/);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const { value } = await reader.read();
      const asked = JSON.parse(/^data: (.*)\n\n$/.exec(value)[1]);
      assert.deepEqual([asked.method, asked.params], ["ask", { question: "raw 0" }]);
      assert.match(asked.id, /^[0-9a-f]{32}$/);
      const unknown = await server.send(post({ jsonrpc: "2.0", id: "nobody", result: {} }));
      assert.equal(unknown.status, 400);
      assert.equal((await unknown.json()).error.code, -32600);
      const answer = await server.send(post({ jsonrpc: "2.0", id: asked.id, result: { answer: "by hand" } }));
      assert.deepEqual([answer.status, await answer.text()], [202, ""]);
      const last = await reader.read();
      assert.deepEqual(JSON.parse(last.value.slice(6)), { jsonrpc: "2.0", id: 1, result: { answers: ["by hand"] } });
      assert.ok((await reader.read()).done);
    });

    test("a callback's answer that breaks its schema is an error of the handler's call", async () => {
      const handler = { ask: () => ({ answer: "never seen" }) };
      const sloppy = (target, init) => {
        const body = init.body.replace(/"answer":"never seen"/, '"answer":1');
        return server.fetch(target, { ...init, body });
      };
      const other = new HostClient(server.url, { handler, http: { fetch: sloppy } });
      assert.equal((await other.run({ name: "q", asks: 1 })).answers[0], "InvalidResultError");
    });

    test("events come in order, then the result", async () => {
      const stream = client.runStream({ name: "count", counts: 3, asks: 1 });
      const events = [];
      for await (const event of stream) events.push(event);
      assert.deepEqual(events, [
        { event: "count", data: { number: 1 } },
        { event: "count", number: 2 },
        { event: "count", data: { number: 3 } },
      ]);
      assert.deepEqual(await stream.result(), { answers: ["count 0!"] });
    });

    test("a result can be had without the events, and a plain call ignores them", async () => {
      assert.deepEqual(await client.runStream({ name: "many", counts: 5000 }).result(), { answers: [] });
      assert.deepEqual(await client.run({ name: "many", counts: 5000 }), { answers: [] });
    });

    test("a stream fails like the call", async () => {
      const stream = client.runStream({ name: "missing" });
      await assert.rejects(async () => {
        for await (const event of stream) assert.fail(String(event));
      }, sdk.MissingError);
      await assert.rejects(stream.result(), sdk.MissingError);
      await assert.rejects(client.runStream({}).result(), sdk.ValidationError);
    });

    test("leaving a stream early cancels the handler", async () => {
      for await (const event of client.runStream({ name: "left early", counts: 100_000 })) {
        assert.equal(event.event, "count");
        break;
      }
      await watch.wait("aborted", "left early");
    });

    test("an abandoned call cancels the handler", async () => {
      const name = "abandoned";
      const controller = new AbortController();
      const call = client.wait({ name }, { signal: controller.signal });
      await watch.wait("began", name);
      controller.abort(new Error("changed my mind"));
      await assert.rejects(call, { message: "changed my mind" });
      await watch.wait("aborted", name);
    });

    test("a call that was given up before it began is never sent", async () => {
      await assert.rejects(client.shapesList({}, { signal: AbortSignal.abort(new Error("early")) }), {
        message: "early",
      });
    });

    test("a time-out is an error of its own and cancels the handler", async () => {
      const name = "timed out";
      await assert.rejects(client.wait({ name }, { timeoutMs: 50 }), sdk.TimeoutError);
      await watch.wait("aborted", name);
      const hasty = new HostClient(server.url, { timeoutMs: 50, http: { fetch: server.fetch } });
      await assert.rejects(hasty.wait({ name: "again" }), { name: "TimeoutError", timeoutMs: 50 });
    });

    test("closing the client gives up its calls", async () => {
      const own = new HostClient(server.url, { http: { fetch: server.fetch } });
      const call = own.wait({ name: "closed" });
      await watch.wait("began", "closed");
      await own.close();
      await assert.rejects(call, sdk.TransportError);
      await assert.rejects(own.shapesList(), sdk.TransportError);
      await watch.wait("aborted", "closed");
    });

    test("notifications are taken without an answer", async () => {
      await client.note({ text: "one" });
      await watch.wait("noted", "one");
      const response = await server.send(post({ jsonrpc: "2.0", method: "note", params: { text: "two" } }));
      assert.deepEqual([response.status, await response.text()], [202, ""]);
      const bad = await server.send(post({ jsonrpc: "2.0", method: "note", params: { text: 1 } }));
      assert.deepEqual([bad.status, await bad.text()], [202, ""]);
      assert.deepEqual(host.notes, ["one", "two"]);
    });

    const STATUSES = [
      ["GET", { method: "GET" }, 405],
      ["DELETE", { method: "DELETE" }, 405],
      ["another content type", { method: "POST", headers: { "content-type": "text/plain" }, body: "{}" }, 415],
      ["no content type", { method: "POST", body: new Uint8Array([123, 125]) }, 415],
      ["a large body", post(`"${"x".repeat(3000)}"`), 413],
      ["bad JSON", post("{"), 200, { code: -32700, id: null }],
      ["bad UTF-8", { ...post(""), body: new Uint8Array([0x22, 0xff, 0x22]) }, 200, { code: -32700, id: null }],
      ["no message", post("5"), 200, { code: -32600, id: null }],
      ["no version", post({ id: 1, method: "shapes/list" }), 200, { code: -32600, id: 1 }],
      ["scalar parameters", post({ ...request("shapes/list", 5, "a") }), 200, { code: -32600, id: "a" }],
      ["a fractional id", post({ ...request("nope", {}, 1.5) }), 200, { code: -32601, id: 1.5 }],
      ["an unknown method", post(request("nope", {}, null)), 200, { code: -32601, id: null }],
      [
        "a bad answer",
        post({ jsonrpc: "2.0", id: 1, result: 1, error: { code: 1, message: "x" } }),
        400,
        { code: -32600, id: null },
      ],
      ["an empty batch", post([]), 200, { code: -32600, id: null }],
      ["a batch of 101", post(Array(101).fill(1)), 200, { code: -32600, id: null }],
      [
        "a batch of notifications",
        post([
          { jsonrpc: "2.0", method: "nope" },
          { jsonrpc: "2.0", method: "nope" },
        ]),
        202,
      ],
    ];
    for (const [what, init, status, error] of STATUSES) {
      test(`${what} is answered with ${status}`, async () => {
        const response = await server.send(init);
        assert.equal(response.status, status);
        const text = await response.text();
        if (error === undefined) assert.equal(text, "");
        else {
          const answer = JSON.parse(text);
          assert.deepEqual({ code: answer.error.code, id: answer.id }, error);
        }
        if (status === 405) assert.equal(response.headers.get("allow"), "POST");
      });
    }

    test("health is answered under its path", async () => {
      const response = await server.send({ method: "GET" }, "health");
      assert.deepEqual([response.status, await response.json()], [200, { status: "healthy" }]);
    });

    test("a query and odd paths do no harm", async () => {
      assert.equal((await server.send({ method: "GET" }, "health?verbose=1")).status, 200);
      assert.equal((await server.send({ method: "GET" }, "/%zz")).status, 405);
    });

    test("a batch is answered member by member", async () => {
      const batch = [
        request("shapes/list", { limit: 1 }, 1),
        5,
        { jsonrpc: "2.0", method: "note", params: { text: "b" } },
        request("nope", {}, "z"),
        request("run", { name: "q", asks: 1 }, 2),
      ];
      const answers = await (await server.send(post(batch))).json();
      assert.deepEqual(
        answers.map(({ id, error }) => [id, error?.code]),
        [
          [1, undefined],
          [null, -32600],
          ["z", -32601],
          [2, undefined],
        ],
      );
      assert.equal(answers[3].result.answers[0], "CallbackUnavailableError");
    });

    test("ids come back as they were sent", async () => {
      for (const id of ['"x"', "0", "null", "123456789012345678901234567890", '""']) {
        const response = await server.send(post(`{"jsonrpc":"2.0","id":${id},"method":"shapes/list"}`));
        assert.match(await response.text(), new RegExp(`"id":${id}[,}]`));
      }
    });
  });
}

describe("client against a raw server", () => {
  let script = () => undefined;
  let server;
  let client;
  const seen = [];

  before(async () => {
    server = await listen(async (incoming, response) => {
      let body = "";
      for await (const piece of incoming) body += piece;
      seen.push({ headers: incoming.headers, message: JSON.parse(body) });
      await script(response, JSON.parse(body));
    });
    client = new HostClient(server.url, { handler: app, backoffMs: 1 });
  });
  after(() => server.close());

  const answer =
    (status, body, type = "application/json") =>
    (response, { id }) => {
      response.writeHead(status, { "content-type": type });
      response.end(typeof body === "function" ? body(id) : body);
    };
  const ok = (id) => JSON.stringify({ jsonrpc: "2.0", id, result: { shapes: [] } });

  test("the request is what the protocol asks for", async () => {
    seen.length = 0;
    script = answer(200, ok);
    await client.shapesList();
    const [{ headers, message }] = seen;
    assert.deepEqual(
      [headers["content-type"], headers.accept],
      ["application/json", "application/json, text/event-stream"],
    );
    assert.deepEqual({ ...message, id: 0 }, { jsonrpc: "2.0", id: 0, method: "shapes/list", params: {} });
  });

  test("a JSON-RPC body counts under any status", async () => {
    script = answer(500, ok);
    assert.deepEqual(await client.shapesList(), { shapes: [] });
    script = answer(400, (id) =>
      JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32002, message: "Busy", data: null } }),
    );
    await assert.rejects(client.run({ name: "x" }), sdk.BusyError);
    script = answer(200, () =>
      JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32700, message: "Parse error" } }),
    );
    await assert.rejects(client.run({ name: "x" }), { name: "RpcError", code: -32700 });
  });

  const UNUSABLE = [
    [502, "<html>", 3],
    [404, "", 1],
    [200, "", 1],
    [200, '{"jsonrpc":"2.0","id":"other","result":{"shapes":[]}}', 1],
    [200, '{"result":{"shapes":[]}}', 1],
  ];
  for (const [status, body, attempts] of UNUSABLE) {
    test(`${status} with ${JSON.stringify(body)} is a transport error after ${attempts} attempts`, async () => {
      seen.length = 0;
      script = answer(status, body);
      await assert.rejects(
        client.shapesList(),
        (error) => error instanceof sdk.TransportError && error.status === status,
      );
      assert.equal(seen.length, attempts);
    });
  }

  test("an idempotent method is sent again when the connection breaks, others are not", async () => {
    seen.length = 0;
    script = (response) => (seen.length < 3 ? response.destroy() : answer(200, ok)(response, seen.at(-1).message));
    assert.deepEqual(await client.shapesList(), { shapes: [] });
    assert.equal(seen.length, 3);
    script = (response) => response.destroy();
    seen.length = 0;
    await assert.rejects(client.run({ name: "x" }), sdk.TransportError);
    assert.equal(seen.length, 1);
    await assert.rejects(client.shapesList({}, { retries: 0 }), sdk.TransportError);
    assert.equal(seen.length, 2);
  });

  test("retries end with the time-out", async () => {
    const patient = new HostClient("http://127.0.0.1:1/", { retries: 1000, backoffMs: 20, timeoutMs: 200 });
    const began = Date.now();
    await assert.rejects(patient.shapesList(), sdk.TransportError);
    assert.ok(Date.now() - began < 5000);
  });

  test("a result that breaks its schema is an error of its own", async () => {
    script = answer(200, (id) => JSON.stringify({ jsonrpc: "2.0", id, result: { shapes: 1 } }));
    await assert.rejects(client.shapesList(), (error) => {
      assert.ok(error instanceof sdk.InvalidResultError);
      assert.deepEqual([error.method, error.issues[0].path], ["shapes/list", "$.shapes"]);
      return true;
    });
  });

  test("an error whose data breaks its schema is generic", async () => {
    script = answer(200, (id) =>
      JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32001, message: "m", data: { name: 1 } } }),
    );
    await assert.rejects(client.run({ name: "x" }), { name: "RpcError", code: -32001, data: { name: 1 } });
  });

  test("an answer larger than allowed is refused", async () => {
    script = answer(200, " ".repeat(5000));
    const small = new HostClient(server.url, { retries: 0, http: { maxResponseBytes: 1000 } });
    await assert.rejects(small.shapesList(), /larger than 1000/);
  });

  const result = (id) => JSON.stringify({ jsonrpc: "2.0", id, result: { answers: ["ä😀"] } });
  const STREAMS = {
    "bytes one by one": (id) => `data: {"event":"é"}\n\nevent: n\ndata: 1\n\ndata: ${result(id)}\n\n`,
    "CRLF and comments": (id) =>
      `: hi\r\ndata:{"event":"é"}\r\n\r\nevent: n\r\ndata: 1\r\n\r\ndata: ${result(id)}\r\n\r\n`,
    "the response first": (id) => `data: ${result(id)}\n\ndata: {"event":"é"}\n\nevent: n\ndata: 1\n\n`,
    "noise and other answers": (id) =>
      `event: ping\ndata: -\n\ndata: {"event":"é"}\n\ndata: ${result("x")}\n\nevent: n\ndata: 1\n\ndata: ${result(id)}\n\n`,
    "JSON over several lines": (id) =>
      `data: {"event":\ndata: "é"}\n\nevent: n\ndata: 1\n\ndata: ${result(id).replace(",", ",\ndata: ")}\n\n`,
  };
  for (const [what, text] of Object.entries(STREAMS)) {
    test(`an event stream is read: ${what}`, async () => {
      script = async (response, { id }) => {
        response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
        for (const byte of Buffer.from(text(id))) {
          if (!response.write(Buffer.of(byte))) await new Promise((resolve) => response.once("drain", resolve));
        }
        response.end();
      };
      const stream = client.runStream({ name: "x" });
      const events = [];
      for await (const event of stream) events.push(event);
      assert.deepEqual(events, [{ event: "é" }, { event: "n", data: 1 }]);
      assert.deepEqual(await stream.result(), { answers: ["ä😀"] });
    });
  }

  test("a stream without a response, or with an event that breaks its schema, is an error", async () => {
    script = answer(200, 'data: {"event":"x"}\n\n', "text/event-stream");
    await assert.rejects(client.run({ name: "x" }), sdk.TransportError);
    script = answer(200, 'data: {"event":1}\n\n', "text/event-stream");
    await assert.rejects(client.runStream({ name: "x" }).result(), sdk.InvalidResultError);
  });

  test("the answer to a callback carries the instance header", async () => {
    seen.length = 0;
    script = async (response, { id, method }) => {
      if (method === undefined) {
        response.writeHead(202).end();
        return script.answered();
      }
      response.writeHead(200, { "content-type": "text/event-stream", "toy-instance-id": "here" });
      response.write('data: {"jsonrpc":"2.0","id":"c","method":"ask","params":{"question":"q"}}\n\n');
      await new Promise((resolve) => (script.answered = resolve));
      response.end(`data: ${result(id)}\n\n`);
    };
    await client.run({ name: "x" });
    assert.equal(seen[1].headers["toy-instance-id"], "here");
    assert.deepEqual(seen[1].message, { jsonrpc: "2.0", id: "c", result: { answer: "q!" } });
  });

  test("a callback's answer that is not taken fails the call", async () => {
    script = (response, { method }) => {
      if (method === undefined) return response.writeHead(400).end();
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('data: {"jsonrpc":"2.0","id":"c","method":"ask","params":{"question":"q"}}\n\n');
    };
    await assert.rejects(
      client.run({ name: "x" }),
      (error) => error instanceof sdk.TransportError && error.status === 400,
    );
  });
});

test("a dispatcher for the other role serves it too", async () => {
  const handler = fetchHandler(appDispatcher(app));
  const client = new AppClient("http://toy.invalid/", {
    http: { fetch: (url, init) => handler(new Request(url, init)) },
  });
  assert.deepEqual(await client.ask({ question: "a" }), { answer: "a!" });
});
