/// <reference types="node" preserve="true" />
// The public surface of the package, and the only file that re-exports. Its types are built on those of Node.

export type {
  AllowAccess,
  Application,
  Body,
  CheckPassword,
  Chunk,
  Environ,
  ErrorStream,
  FileHandleLike,
  FileLike,
  FileReader,
  FileWrapper,
  GroupsForUser,
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
  FormLimitError,
  FormSyntaxError,
  FormTypeError,
  InputFormatError,
  InputTooLargeError,
  InputTruncatedError,
  LoadError,
  OverloadedError,
  RequestOverError,
  TsgiError,
  UploadStorageError,
} from "./errors.ts";
export type { Fault, LoadFailure } from "./errors.ts";
export { changeResponse, compose, headerOf, mapBody, withoutHeader } from "./gateway/compose.ts";
export type { GivenHead, Middleware, ResponseChange } from "./gateway/compose.ts";
export { lint } from "./gateway/lint.ts";
export type { LintOptions } from "./gateway/lint/reporter.ts";
export { describeViolation } from "./gateway/lint/rules.ts";
export type { RuleName, Side, Violation } from "./gateway/lint/rules.ts";
export { parseForm, parseQuery } from "./forms.ts";
export type { Fields, FormField } from "./forms/fields.ts";
export type { Form, FormPart, FormReader } from "./forms/form.ts";
export type { FileInfo, FormLimits, FormOptions } from "./forms/limits.ts";
export type { IncomingFile } from "./forms/upload.ts";
export type { UploadedFile } from "./forms/uploaded-file.ts";
export { decodeText, encodeText } from "./gateway/text.ts";
export { defineConfig } from "./config/define.ts";
export type { ConfigOptions, GroupOptions } from "./config/define.ts";
export { serveFastCGI } from "./server/serve.ts";
export type { FastCgiService, ServeOptions } from "./server/serve.ts";
export { toFetchHandler } from "./server/to-fetch.ts";
export type { FetchHandlerOptions, FetchListener } from "./server/to-fetch.ts";
export { toNodeHandler } from "./server/to-node.ts";
export type { NodeHandlerOptions, NodeListener } from "./server/to-node.ts";
export { fromNodeHandler, fromServer } from "./adapters/node-handler.ts";
export type { NodeHandler } from "./adapters/node-handler.ts";
export type { NodeRequest } from "./adapters/node-request.ts";
export { fromFetchHandler } from "./adapters/fetch-handler.ts";
export type { FetchContext, FetchHandler } from "./adapters/fetch-handler.ts";
export { recognize } from "./adapters/recognize.ts";
export type { Recognized } from "./adapters/recognize.ts";
export type { AdapterName } from "./adapters/names.ts";
export { on } from "./events.ts";
export type {
  EventListener,
  EventName,
  ProcessEvents,
  ProcessStopping,
  RequestException,
  RequestFacts,
  RequestFinished,
  RequestStarted,
  ResponseStarted,
} from "./events.ts";
export { processMetrics, requestMetrics } from "./metrics/process-metrics.ts";
export type { ProcessMetrics, RequestMetrics } from "./metrics/process-metrics.ts";
export type { ApplicationFigures, FailureKind, Figures, Quantiles, RequestRecord } from "./metrics/figures.ts";
