// The same handler on node:http and through the adapter: what the client gets, and what the handler sees, in its order.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fromNodeHandler } from "../../../src/adapters/node-handler.ts";
import { runDirect } from "../../../src/server/direct.ts";
import type { HttpRequest } from "../../harness/http.ts";
import { httpRequest } from "../../harness/http.ts";
import { within } from "../../harness/until.ts";

/** A handler that tells what it sees; `done` says that all it waits for has happened. */
export type TellingHandler = (req: IncomingMessage, res: ServerResponse, tell: Tell, done: () => void) => unknown;
export type Tell = (...values: unknown[]) => void;

export interface Told {
  /** Undefined where the connection was closed without one. */
  readonly reply: ComparableReply | undefined;
  readonly events: readonly string[];
}

export interface ComparableReply {
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly string[];
  readonly body: string;
  readonly complete: boolean;
}

interface AnyReply {
  readonly status: number;
  readonly reason: string;
  readonly headers: ReadonlyArray<readonly [string, string]>;
  readonly body: Buffer;
  readonly complete: boolean;
}

/** What belongs to a connection, and the date, which is Apache's. */
const ofConnection = new Set(["date", "connection", "keep-alive", "transfer-encoding", "trailer"]);

function comparable({ status, reason, headers, body, complete }: AnyReply): ComparableReply {
  const kept = headers.filter(([name]) => !ofConnection.has(name.toLowerCase()));
  const lines = kept.map(([name, value]) => `${name}: ${value}`);
  return { status, reason, headers: lines, body: body.toString("latin1"), complete };
}

function show(value: unknown): string {
  if (value instanceof Error) return `${value.name} ${(value as NodeJS.ErrnoException).code ?? ""} ${value.message}`;
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "undefined");
}

/** Runs the handler and collects what it tells until it is done. */
class Listener {
  readonly events: string[] = [];
  readonly #handler: TellingHandler;
  #finish: () => void = () => {};
  readonly done = new Promise<void>((resolve) => {
    this.#finish = resolve;
  });

  constructor(handler: TellingHandler) {
    this.#handler = handler;
  }

  readonly handle = (req: IncomingMessage, res: ServerResponse): unknown =>
    this.#handler(req, res, (...values) => this.events.push(values.map(show).join(" ")), this.#finish);
}

export async function onNodeHttp(handler: TellingHandler, request: HttpRequest): Promise<Told> {
  const listener = new Listener(handler);
  const server = createServer(listener.handle);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  try {
    const { port } = server.address() as AddressInfo;
    const reply = await httpRequest(port, request).then(comparable, () => undefined);
    await within("the handler on node:http to be done", listener.done, 5_000);
    return { reply, events: listener.events };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function* asPieces(chunks: ReadonlyArray<Buffer | string>): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk as string, "latin1");
}

export async function throughAdapter(handler: TellingHandler, request: HttpRequest): Promise<Told> {
  const listener = new Listener(handler);
  const { method = "GET", target, headers = [], body, chunks } = request;
  const reply = await runDirect(fromNodeHandler(listener.handle), {
    method,
    url: target,
    headers: headers.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
    variables: {
      SERVER_PROTOCOL: `HTTP/${request.version ?? "1.1"}`,
      ...(chunks === undefined ? {} : { HTTP_TRANSFER_ENCODING: "chunked" }),
    },
    ...(body === undefined ? {} : { body: Buffer.from(body as string, "latin1") }),
    ...(chunks === undefined ? {} : { body: asPieces(chunks) }),
  });
  await within("the handler behind the adapter to be done", listener.done, 5_000);
  return { reply: comparable(reply), events: listener.events };
}
