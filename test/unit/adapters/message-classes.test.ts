// Messages of Express applications: made with the application's prototypes, and laid out alike in every request.
import { createServer, IncomingMessage, ServerResponse } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import express from "express";
import { describe, expect, test } from "vitest";
import { messageClassesFor, plainClasses } from "../../../src/adapters/message-classes.ts";
import { recognize } from "../../../src/adapters/recognize.ts";
import { runDirect } from "../../../src/server/direct.ts";

setFlagsFromString("--allow-natives-syntax");
// eslint-disable-next-line no-new-func, typescript/no-implied-eval, typescript/no-unsafe-type-assertion -- not in the syntax
const hasSameLayout = new Function("one", "other", "return %HaveSameMap(one, other)") as (
  a: object,
  b: object,
) => boolean;

async function answer(application: unknown, url = "/"): Promise<string> {
  const found = recognize(application);
  if (found === undefined) throw new Error("it is no application");
  const reply = await runDirect(await found.application, { method: "GET", url });
  return reply.body.toString();
}

const ways: ReadonlyArray<readonly [string, (app: express.Express) => unknown]> = [
  ["an application", (app) => app],
  ["a server with an application", (app) => createServer(app)],
];

describe.each(ways)("%s", (_way, wrap) => {
  test("has messages of the same layout in every request", async () => {
    const seen: object[][] = [];
    const app = express();
    app.get("/", (req, res) => {
      res.locals["name"] = "x";
      res.on("finish", () => seen.push([req, res]));
      res.send("hello");
    });
    const found = recognize(wrap(app));
    const application = await found?.application;
    if (application === undefined) throw new Error("it is no application");
    for (let count = 0; count < 40; count += 1) {
      await runDirect(application, { method: "GET", url: "/" });
      await nextTurn(); // "finish" comes with it
    }
    const last = seen.slice(-10);
    expect(last).toHaveLength(10);
    for (const [request, response] of last) {
      expect(hasSameLayout(request as object, last[0]?.[0] as object)).toBe(true);
      expect(hasSameLayout(response as object, last[0]?.[1] as object)).toBe(true);
    }
  });

  test("has the application's own methods, and those of node:http", async () => {
    const app = express();
    Object.assign(app.request, { shout: () => "loud" });
    app.get("/", (req, res) => {
      const isMessage = req instanceof IncomingMessage && res instanceof ServerResponse;
      const shout = (req as unknown as { shout(): string }).shout();
      res.send([isMessage, shout, req.app === app, res.app === app, req.constructor === IncomingMessage].join());
    });
    expect(await answer(wrap(app))).toBe("true,loud,true,true,true");
  });

  test("may have its prototypes replaced later", async () => {
    const app = express();
    app.get("/", (req, res) => res.send((req as unknown as { late?: string }).late ?? "none"));
    const wrapped = wrap(app);
    expect(await answer(wrapped)).toBe("none");
    app.request = Object.assign(Object.create(app.request) as typeof app.request, { late: "late" });
    expect(await answer(wrapped)).toBe("late");
  });

  test("may have other applications in it", async () => {
    const app = express();
    const inner = express();
    inner.get("/x", (req, res) => res.send(String(req.app === inner)));
    app.use("/inner", inner);
    app.get("/outer", (req, res) => res.send(String(req.app === app)));
    const wrapped = wrap(app);
    expect(await answer(wrapped, "/inner/x")).toBe("true");
    expect(await answer(wrapped, "/outer")).toBe("true");
  });
});

test("a server with classes of its own makes its messages of these", async () => {
  class OwnRequest extends IncomingMessage {
    readonly own = "own";
  }
  const app = express();
  app.get("/", (req, res) => res.send((req as unknown as OwnRequest).own));
  expect(await answer(createServer({ IncomingMessage: OwnRequest }, app))).toBe("own");
});

test.each(["complete", "url", "environ"])(
  "a prototype with an accessor named %s does not get into the way",
  async (name) => {
    const app = express();
    Object.defineProperty(app.request, name, { get: () => "the prototype's", configurable: true });
    app.get("/", (_req, res) => res.send("hello"));
    expect(await answer(app)).toBe("hello");
  },
);

test.each([
  ["a handler", () => {}],
  ["no function", {}],
  ["a function with a request that is none", Object.assign(() => {}, { request: {}, response: {} })],
])("%s gets messages of node:http", (_name, application) => {
  expect(messageClassesFor(application, plainClasses)).toBe(plainClasses);
});
