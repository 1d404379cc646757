// Decodes a sample over and over: node main.mjs INDEX SAMPLE ROUNDS, which prints nanoseconds a decoding with constraints
// and without.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [index, sample, rounds] = process.argv.slice(2);
const { decode } = await import(pathToFileURL(index).href);
const text = readFileSync(sample, "utf8");
for (const constraints of [true, false]) {
  for (let round = 0; round < 20; round++) decode("Orders", text, { constraints });
  const started = process.hrtime.bigint();
  for (let round = 0; round < Number(rounds); round++) decode("Orders", text, { constraints });
  console.log(String((process.hrtime.bigint() - started) / BigInt(rounds)));
}
