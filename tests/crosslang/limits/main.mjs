// Calls `say` under each setting of server and client: node main.mjs INDEX, with what came of it as JSON.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const index = pathToFileURL(process.argv[2]);
const { RpcError, ServerClient, serverDispatcher, ValidationError } = await import(index.href);
const { requestListener } = await import(new URL("node.js", index).href);

async function outcome(call) {
  try {
    await call();
    return "taken";
  } catch (error) {
    if (error instanceof RpcError) return String(error.code);
    if (error instanceof ValidationError) return "refused here";
    throw error;
  }
}

const found = {};
const named = (value) => (value ? "True" : "False");
for (const serving of [true, false]) {
  const server = createServer(requestListener(serverDispatcher({ say: (params) => params }, { constraints: serving })));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  for (const calling of [true, false]) {
    const client = new ServerClient(`http://127.0.0.1:${server.address().port}/`, { constraints: calling });
    const name = `${named(serving)} ${named(calling)}`;
    found[name] = await outcome(() => client.say({ text: "too long", tags: ["a", "a"] }));
    found[`${name} type`] = await outcome(() => client.call("say", { text: 5 }));
    await client.close();
  }
  server.close();
  server.closeAllConnections();
}
console.log(JSON.stringify(found));
