// An endpoint of json-rpc-2.0, which turns a text into an answer.
import { createServer } from "node:http";
import { JSONRPCServer } from "json-rpc-2.0";

const server = new JSONRPCServer({ errorListener: () => {} });
server.addMethod("add", (params) => (Array.isArray(params) ? params[0] + params[1] : params.a + params.b));
server.addMethod("fail", () => {
  throw new Error("it failed");
});

const http = createServer(async (request, response) => {
  let text = "";
  for await (const part of request.setEncoding("utf8")) text += part;
  const answer = await server.receiveJSON(text);
  if (answer === null) {
    response.writeHead(204).end();
  } else {
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
  }
});
http.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: http.address().port })));
