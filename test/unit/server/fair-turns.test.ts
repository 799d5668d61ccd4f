// A response without any waiting in it, to a peer that takes everything at once.
import { expect, test } from "vitest";
import { FcgiConnection } from "../../../src/fastcgi/connection.ts";
import { createLog } from "../../../src/log.ts";
import { Background } from "../../../src/server/background.ts";
import type { Service } from "../../../src/server/dispatch.ts";
import type { RequestHost } from "../../../src/server/request.ts";
import { FcgiRequest } from "../../../src/server/request.ts";
import { begin, params, stdin, variables } from "../../harness/fcgi.ts";
import { until } from "../../harness/until.ts";

const log = createLog({ level: "silent" });
const chunk = Buffer.alloc(64 * 1024);

/** Takes what is written, and keeps nothing of it. */
const host: RequestHost = {
  write: () => true,
  drained: async () => {},
  requestEnded: () => {},
  breakOff: () => {},
  pause: () => {},
  resume: () => {},
};

function serve(body: () => AsyncIterable<Uint8Array>): void {
  const service: Service = {
    router: {
      route: () => ({
        application: (_environ, startResponse) => {
          startResponse("200 OK", []);
          return body();
        },
        script: "/srv/app.ts",
        mount: {},
      }),
    },
    log,
    background: new Background(log),
    transport: "fastcgi",
    isMultiprocess: false,
    isRunOnce: false,
    isLogApaches: false,
  };
  const codec = new FcgiConnection({ maxParamsBytes: 1 << 20, maxConnections: 1 });
  for (const event of codec.receive(Buffer.concat([begin(1, true), params(1, variables("/")), stdin(1)]))) {
    if (event.type === "request") new FcgiRequest(host, codec, event).begin(service, undefined);
  }
}

test("others have their turn while it is sent", async () => {
  let turnsBefore: number | undefined;
  let turns = 0;
  const count = (): void => {
    turns += 1;
    if (turnsBefore === undefined) setImmediate(count);
  };
  setImmediate(count);
  serve(async function* body() {
    for (let sent = 0; sent < 512; sent += 1) yield chunk; // 32 MiB
    turnsBefore = turns;
  });
  await until("the end of the response", () => turnsBefore !== undefined);
  expect(turnsBefore).toBeGreaterThan(10);
});
