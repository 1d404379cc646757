// Node's own http server; answers with the body it was sent.
const http = require("node:http");

http
  .createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
      response.end(body);
    });
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
