// Ports that are taken, and sites that do not answer yet.
import type { RequestListener } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { probePort, untilAnswered } from "../../../../src/server/httpd/answer.ts";

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const never = (): boolean => false;

test("a port in use is one line that says what to do", async () => {
  const port = await serve(() => {});
  await expect(probePort("127.0.0.1", port)).rejects.toThrow(/the port is in use: .* --port$/);
});

test("an address of another machine is one line", async () => {
  await expect(probePort("192.0.2.1", 0)).rejects.toThrow(/no such address: .* --host$/);
});

test("port 0 gives a port that is free", async () => {
  const port = await probePort("127.0.0.1", 0);
  expect(port).toBeGreaterThan(0);
  await expect(probePort("127.0.0.1", port)).resolves.toBe(port);
});

test("a site has answered when something other than Apache's own 502, 503 or 504 comes", async () => {
  const statuses = [503, 502, 504, 404];
  const asked: number[] = [];
  const port = await serve((_request, response) => {
    const status = statuses[asked.length] ?? 404;
    asked.push(status);
    response.writeHead(status).end("x");
  });
  await expect(untilAnswered({ host: "127.0.0.1", port, path: "/" }, 10_000, never)).resolves.toBe(true);
  expect(asked).toEqual(statuses);
});

test("an application that goes on answering with 503 has answered", async () => {
  const port = await serve((_request, response) => void response.writeHead(503).end("closed for today"));
  await expect(untilAnswered({ host: "127.0.0.1", port, path: "/" }, 60_000, never)).resolves.toBe(true);
});

test("a page that goes on for ever is an answer", async () => {
  const port = await serve((_request, response) => void response.writeHead(200).write("tick"));
  await expect(untilAnswered({ host: "127.0.0.1", port, path: "/" }, 10_000, never)).resolves.toBe(true);
});

test("silence ends at the deadline", async () => {
  const port = await serve(() => {});
  await expect(untilAnswered({ host: "127.0.0.1", port, path: "/" }, 200, never)).resolves.toBe(false);
});

test("the wait ends when it is called off", async () => {
  const port = await probePort("127.0.0.1", 0);
  let looks = 0;
  const isOver = (): boolean => (looks += 1) > 3;
  await expect(untilAnswered({ host: "127.0.0.1", port, path: "/" }, 60_000, isOver)).resolves.toBe(false);
});

test("a server for every address is asked on the loopback interface", async () => {
  const port = await serve((_request, response) => void response.end("x"));
  await expect(untilAnswered({ host: "0.0.0.0", port, path: "/" }, 10_000, never)).resolves.toBe(true);
});
