// An endpoint of jayson.
import jayson from "jayson";

const server = new jayson.Server({
  add: (params, callback) => callback(null, Array.isArray(params) ? params[0] + params[1] : params.a + params.b),
  fail: (params, callback) => callback({ code: -32000, message: "it failed" }),
});
const http = server.http();
http.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: http.address().port })));
