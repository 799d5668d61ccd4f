// Asking a supervisor over its control socket: one HTTP request, one JSON answer, one deadline.
// Rules: what can be expected (nobody there, no answer in time, the daemon died meanwhile) is a kind of outcome, not an
// exception; the answer is data of another process, so nothing is believed of its shape here.

import type { IncomingMessage } from "node:http";
import { request as httpRequest } from "node:http";
import { messageOf, systemCodeOf } from "../errors.ts";

export interface ControlRequest {
  /** The path of the control socket. */
  readonly path: string;
  readonly method: "GET" | "POST";
  /** Such as "/status". */
  readonly target: string;
  /** For everything, from connecting to the end of the answer. */
  readonly timeoutMs: number;
}

export type ControlOutcome =
  | { readonly kind: "answer"; readonly status: number; readonly body: unknown }
  /** There is no socket file. */
  | { readonly kind: "absent" }
  /** There is one, and nobody accepts on it. */
  | { readonly kind: "dead" }
  /** Somebody holds the socket, and the answer was not complete in time. */
  | { readonly kind: "silent" }
  /** The connection broke before the answer was complete. */
  | { readonly kind: "cut" }
  /** We may not, or what answers does not speak as a tsgi daemon does. */
  | { readonly kind: "failed"; readonly message: string };

const maxAnswerBytes = 16 * 2 ** 20;

const kinds: Readonly<Record<string, "absent" | "dead" | "silent" | "cut">> = {
  ENOENT: "absent",
  ECONNREFUSED: "dead",
  EAGAIN: "silent", // as many wait to be accepted as the system allows
  ECONNRESET: "cut",
  EPIPE: "cut",
};

function outcomeOf(error: unknown): ControlOutcome {
  const kind = kinds[systemCodeOf(error) ?? ""];
  return kind === undefined ? { kind: "failed", message: messageOf(error) } : { kind };
}

function parse(response: IncomingMessage, text: string): ControlOutcome {
  try {
    return { kind: "answer", status: response.statusCode ?? 0, body: JSON.parse(text) };
  } catch {
    return { kind: "failed", message: "the answer is not JSON: is this the control socket?" };
  }
}

/** Asks, and waits for the whole answer. Never rejects. */
export async function askControl(asked: ControlRequest): Promise<ControlOutcome> {
  const { path, method, target, timeoutMs } = asked;
  return await new Promise((resolve) => {
    const request = httpRequest({ socketPath: path, method, path: target, agent: false });
    const timer = setTimeout(() => finish({ kind: "silent" }), timeoutMs);
    const finish = (outcome: ControlOutcome): void => {
      clearTimeout(timer);
      request.destroy();
      resolve(outcome);
    };
    request.on("error", (error) => finish(outcomeOf(error)));
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        if (text.length > maxAnswerBytes) finish({ kind: "failed", message: "the answer is too long" });
      });
      response.on("error", (error) => finish(outcomeOf(error)));
      response.on("end", () => finish(parse(response, text)));
    });
    request.end();
  });
}

/** One field of an answer's body, or undefined. */
export function fieldOf(body: unknown, field: string): unknown {
  return typeof body === "object" && body !== null ? Reflect.get(body, field) : undefined;
}
