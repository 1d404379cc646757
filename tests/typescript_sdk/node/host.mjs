/** A host of the toy protocol, and what tests want to know of its calls. Run by itself, it serves stdio. */

import { once } from "node:events";
import { pathToFileURL } from "node:url";
import { node, sdk } from "./sdk.mjs";

const { BusyError, MissingError, RpcError } = sdk;

/** Calls that have begun and calls whose signal has aborted, by name. */
export class Watch {
  #seen = new Map();

  #entry(key) {
    if (!this.#seen.has(key)) {
      let resolve;
      const promise = new Promise((each) => (resolve = each));
      this.#seen.set(key, { promise, resolve });
    }
    return this.#seen.get(key);
  }

  note(what, name) {
    this.#entry(`${what} ${name}`).resolve();
  }

  async wait(what, name) {
    await this.#entry(`${what} ${name}`).promise;
  }
}

export function makeHost(watch = new Watch()) {
  return {
    notes: [],
    watch,
    shapesList: ({ limit = 2 }) => ({ shapes: Array.from({ length: limit }, () => ({ kind: "circle", radius: 1 })) }),
    echo: (params) => params,
    async run({ name, asks = 0, counts = 0 }, context) {
      if (name === "missing") throw new MissingError({ name });
      if (name === "busy") throw new BusyError();
      if (name === "other") throw new RpcError(-31000, "Other", { a: 1 });
      if (name === "secret") throw new Error("the password is 1234");
      if (name === "bad result") return { answers: [1] };
      if (name === "bad event") await context.emit({ event: 1 });
      if (name === "members") return { answers: [JSON.stringify(context.members)] };
      if (name === "header")
        return { answers: [context.headers["x-test"] ?? "none", String(context.id !== undefined)] };
      const signal = context.signal;
      signal.addEventListener("abort", () => watch.note("aborted", name));
      for (let number = 1; number <= counts && !signal.aborted; number++) {
        await context.emit(number % 2 ? { event: "count", data: { number } } : { event: "count", number });
      }
      try {
        const questions = Array.from({ length: asks }, (_, index) => context.app.ask({ question: `${name} ${index}` }));
        return { answers: (await Promise.all(questions)).map(({ answer }) => answer) };
      } catch (error) {
        return { answers: [error.name, error.message] };
      }
    },
    async wait({ name }, { signal }) {
      watch.note("began", name);
      if (!signal.aborted) await once(signal, "abort");
      watch.note("aborted", name);
      return { answers: ["too late"] };
    },
    sum: ({ a, b = 0 }) => ({ sum: typeof a === typeof b ? a + b : BigInt(a) + BigInt(b) }),
    then_: () => ({ shapes: [] }),
    constructor_: () => ({ shapes: [] }),
    proto: () => ({ shapes: [] }),
    note({ text }) {
      this.notes.push(text);
      watch.note("noted", text);
    },
  };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const service = sdk.hostDispatcher(makeHost(), { onError: () => undefined });
  await node.serveStdio(service);
}
