// The public surface of the package, and the only file that re-exports.

export type {
  Application,
  Body,
  Chunk,
  Environ,
  ErrorStream,
  FileHandleLike,
  FileLike,
  FileReader,
  FileWrapper,
  HeaderList,
  InputStream,
  Log,
  LogMethod,
  StartResponse,
  Transport,
  Write,
} from "./spec.ts";
export {
  BootError,
  ClientGoneError,
  ConfigError,
  ContractError,
  FcgiPeerError,
  InputFormatError,
  InputTooLargeError,
  InputTruncatedError,
  LoadError,
  OverloadedError,
  RequestOverError,
  TsgiError,
} from "./errors.ts";
export type { Fault, LoadFailure } from "./errors.ts";
export { decodeText, encodeText } from "./gateway/text.ts";
export { defineConfig } from "./config/define.ts";
export type { ConfigOptions, GroupOptions } from "./config/define.ts";
export { serveFastCGI } from "./server/serve.ts";
export type { FastCgiService, ServeOptions } from "./server/serve.ts";
export { toFetchHandler } from "./server/to-fetch.ts";
export type { FetchHandler, FetchHandlerOptions } from "./server/to-fetch.ts";
export { toNodeHandler } from "./server/to-node.ts";
export type { NodeHandler, NodeHandlerOptions } from "./server/to-node.ts";
