// Ports and answers: whether a port can be taken, which one is free, and when a site answers.

import { request } from "node:http";
import { createServer } from "node:net";
import { BootError, messageOf, systemCodeOf } from "../../errors.ts";

/** Takes the port for a moment. Gives its number, which for 0 is one that was free. Throws BootError. */
export async function probePort(host: string, port: number): Promise<number> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port, exclusive: true }, resolve);
    });
  } catch (error) {
    throw new BootError(`cannot listen on ${host}:${port}: ${portProblem(error)}`, error);
  }
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return typeof address === "object" && address !== null ? address.port : port;
}

function portProblem(error: unknown): string {
  switch (systemCodeOf(error) ?? "") {
    case "EADDRINUSE":
      return "the port is in use: stop the program that has it, or choose another with --port";
    case "EACCES":
      return "ports below 1024 are for root: choose another with --port";
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return "this machine has no such address: choose another with --host";
    default:
      return messageOf(error);
  }
}

/** The address at which a server that listens on `host` can be asked from this machine. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

const gatewayProblems = new Set([502, 503, 504]);

/** "refusal": an answer, but perhaps one of Apache that nothing is behind it yet. */
type Outcome = "answer" | "refusal" | "none";

/** One GET. */
async function ask(host: string, port: number, path: string, timeoutMs: number): Promise<Outcome> {
  return await new Promise((resolve) => {
    const asked = request(
      { host: reachable(host), port, path, timeout: timeoutMs, agent: false, headers: { "User-Agent": "tsgi" } },
      (reply) => {
        const outcome = gatewayProblems.has(reply.statusCode ?? 0) ? "refusal" : "answer";
        reply.on("error", () => resolve(outcome));
        reply.on("end", () => resolve(outcome));
        // A page that goes on for long has answered all the same.
        setTimeout(() => {
          reply.destroy();
          resolve(outcome);
        }, pageMs).unref();
        reply.resume();
      },
    );
    asked.once("timeout", () => asked.destroy());
    asked.once("error", () => resolve("none"));
    asked.end();
  });
}

const pageMs = 500;
const pollMs = 50;
/** So many refusals are the application's own answer: two seconds of them. */
const mostRefusals = 40;

/** Asks until the site answers; `isOver` ends the wait. False when `deadlineMs` passed without an answer. */
export async function untilAnswered(
  site: { readonly host: string; readonly port: number; readonly path: string },
  deadlineMs: number,
  isOver: () => boolean,
): Promise<boolean> {
  const deadline = performance.now() + deadlineMs;
  let refusals = 0;
  while (!isOver()) {
    const left = deadline - performance.now();
    if (left <= 0) return false;
    const outcome = await ask(site.host, site.port, site.path, left);
    if (outcome === "refusal") refusals += 1;
    if (outcome === "answer" || refusals === mostRefusals) return true;
    await new Promise((resolve) => {
      setTimeout(resolve, pollMs);
    });
  }
  return false;
}
