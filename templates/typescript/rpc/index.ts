/** The library's public names; they run wherever `fetch` does. */

export { EventStream, RpcClient, type CallOptions, type ClientOptions } from "./client.js";
export type { CheckOptions } from "./codec.js";
export { Dispatcher, type DispatcherOptions, type HandlerContext } from "./dispatch.js";
export {
  CallbackUnavailableError,
  InvalidResultError,
  JsonError,
  RpcError,
  RpcErrorCodes,
  SdkError,
  TimeoutError,
  TransportError,
  UnknownTypeError,
  ValidationError,
  type ValidationIssue,
} from "./errors.js";
export { HttpConnection, type HttpConnectionOptions } from "./http_client.js";
export { fetchHandler, type HttpServerOptions } from "./http_server.js";
export { equalJson, parseJson, toNumber, writeJson } from "./json.js";
export type { Connection, HttpBinding, MethodSpec } from "./methods.js";
export type { UnknownTag } from "./tags.js";
export type { JsonSchema } from "./validate.js";
