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

/** One GET: true for an answer, false for none or for one that says that nothing is behind Apache yet. */
async function answers(host: string, port: number, path: string, timeoutMs: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const asked = request(
      { host: reachable(host), port, path, timeout: timeoutMs, agent: false, headers: { "User-Agent": "tsgi" } },
      (reply) => {
        const isReal = !gatewayProblems.has(reply.statusCode ?? 0);
        reply.on("error", () => resolve(isReal));
        reply.on("end", () => resolve(isReal));
        // A page that goes on for long has answered all the same.
        setTimeout(() => {
          reply.destroy();
          resolve(isReal);
        }, pageMs).unref();
        reply.resume();
      },
    );
    asked.once("timeout", () => asked.destroy());
    asked.once("error", () => resolve(false));
    asked.end();
  });
}

const pageMs = 500;
const pollMs = 50;

/** Asks until the site answers; `isOver` ends the wait. False when `deadlineMs` passed without an answer. */
export async function untilAnswered(
  site: { readonly host: string; readonly port: number; readonly path: string },
  deadlineMs: number,
  isOver: () => boolean,
): Promise<boolean> {
  const deadline = performance.now() + deadlineMs;
  while (!isOver()) {
    const left = deadline - performance.now();
    if (left <= 0) return false;
    if (await answers(site.host, site.port, site.path, left)) return true;
    await new Promise((resolve) => {
      setTimeout(resolve, pollMs);
    });
  }
  return false;
}
