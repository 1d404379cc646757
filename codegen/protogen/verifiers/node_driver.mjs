// Runs samples through a compiled TypeScript SDK: node node_driver.mjs INDEX SAMPLES [SKIP].
// An error of the SDK's own classes is a refusal, any other one a crash.
import { readFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [index, samples, skip = "0"] = process.argv.slice(2);
const sdk = await import(pathToFileURL(index).href);
const options = process.env.PROTOGEN_WITHOUT_CONSTRAINTS ? { constraints: false } : {};
const own = Object.values(sdk).filter((value) => typeof value === "function" && value.prototype instanceof Error);

function answer(type, text) {
  let step = "decode";
  try {
    const value = sdk.decode(type, text, options);
    step = "encode";
    const out = sdk.encode(value);
    if (typeof out !== "string") return { crashed: `encode gave a ${typeof out}` };
    return { out };
  } catch (error) {
    const how = String(error?.stack ?? error).split("\n", 2).join(" ").slice(0, 2000);
    if (step === "decode" && own.some((kind) => error instanceof kind)) return { refused: how };
    return { crashed: `${step}: ${how}` };
  }
}

function say(line) {
  const bytes = Buffer.from(line + "\n");
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

for (const line of readFileSync(samples, "utf8").split("\n").slice(Number(skip))) {
  if (line === "") continue;
  const { type, text } = JSON.parse(line);
  say(JSON.stringify(answer(type, text)));
}
