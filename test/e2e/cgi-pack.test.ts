// The pack that a CGI process starts from: by hand, without Apache, one process for each request. Whatever a pack holds, the
// answers are those of the first process, which has none; what changes is seen by the next process.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, utimesSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Workspace } from "../harness/workspace.ts";

let workspace: Workspace;

interface Answer {
  readonly code: number;
  readonly body: string;
  readonly stderr: string;
}

/** The cache folder of an application, which belongs to whoever runs the test. */
const cacheOf = (name: string): string => workspace.path("tmp", `${name}-cache`);

interface Asked {
  readonly program?: string;
  /** Is given a promise that settles when the response has ended. */
  readonly meanwhile?: (ended: Promise<unknown>) => Promise<void>;
}

async function ask(
  name: string,
  { program = workspace.bin("tsgi-cgi"), meanwhile = async () => {} }: Asked = {},
): Promise<Answer> {
  const args = [`--cache-dir=${cacheOf(name)}`, workspace.path(name, "app.ts")];
  const env = {
    PATH: process.env["PATH"],
    GATEWAY_INTERFACE: "CGI/1.1",
    REQUEST_METHOD: "GET",
    SERVER_NAME: "localhost",
    SERVER_PORT: "80",
    SERVER_PROTOCOL: "HTTP/1.1",
    SCRIPT_NAME: "/app",
    REQUEST_URI: "/app/path",
    QUERY_STRING: "",
  };
  return await new Promise<Answer>((resolve, reject) => {
    const child = execFile(program, args, { env, timeout: 30_000 }, (error, stdout, stderr) => {
      const body = stdout.slice(stdout.indexOf("\r\n\r\n") + 4);
      resolve({ code: error === null ? 0 : 1, body, stderr });
    });
    meanwhile(once(child.stdout ?? child, "end")).catch(reject);
  });
}

/** Asks until a pack is used together with its machine code, and gives every answer. */
async function settle(name: string): Promise<string[]> {
  const bodies: string[] = [];
  for (let count = 0; count < 4; count += 1) bodies.push((await ask(name)).body);
  expect(readdirSync(cacheOf(name)).some((file) => file.endsWith(".pack.code"))).toBe(true);
  return bodies;
}

const old = new Date(Date.now() - 3_600_000);

/** Writes files as they are after an installation of some time ago. */
async function install(name: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [file, text] of Object.entries(files)) {
    const path = await workspace.write(`${name}/${file}`, text);
    utimesSync(path, old, old);
  }
  // The time of a change of status cannot be set: the files are too young to be packed for two seconds.
  await new Promise((resolve) => {
    setTimeout(resolve, 2_100);
  });
}

const respond = `startResponse("200 OK", [["Content-Type", "text/plain"]]);`;

beforeAll(async () => {
  workspace = await Workspace.open();
  await workspace.ownedDir("tmp");
});

afterAll(async () => {
  for (const name of readdirSync(workspace.path("tmp"))) rmSync(workspace.path("tmp", name), { recursive: true });
  await workspace.close();
});

test.concurrent("packages of every kind see what they see without a pack", async () => {
  await install("kinds", {
    "app.ts": `import plain, { named } from "plain";
import * as everything from "plain";
import modern, { here } from "modern";
import { decodeText } from "tsgi";
import data from "./data.json" with { type: "json" };
const text: string = decodeText("\\u00e4");
export const application = async (environ: Record<string, string>, startResponse: Function) => {
  ${respond}
  const late = await import("late");
  const again = (await import("tsgi")).decodeText === decodeText;
  return JSON.stringify([plain, named, Object.keys(everything).includes("default"), modern, here, data, late.default, again, text,
    import.meta.url, environ.REQUEST_URI]);
};`,
    "data.json": `{"ä": 1}`,
    "node_modules/plain/package.json": `{"name": "plain", "version": "1.0.0"}`,
    "node_modules/plain/index.js": `#!/usr/bin/env node
const inner = require("./inner");
exports.__esModule = true;
exports.default = "the babel way";
exports.named = [__filename, __dirname, require.resolve("./inner"), module.id === __filename, typeof module.parent, inner, "ünï",
  require("./list.json"), require("node:path").sep, typeof require("fs").statSync, require.cache[__filename] === module, this === exports,
  require("inside")];`,
    "node_modules/plain/node_modules/inside/package.json": `{"name": "inside", "version": "1.0.0"}`,
    "node_modules/plain/node_modules/inside/index.js": `exports.paths = module.paths;`,
    "node_modules/plain/inner.js": `/** @type {import('.')} */\nmodule.exports = require("./index").default ?? "a cycle";`,
    "node_modules/plain/list.json": `[\n  "é",\t"\\\\ \\" , ' \\u2028\u2028" , -0, 1e400\n]\n`,
    "node_modules/modern/package.json": `{"name": "modern", "type": "module", "exports": "./main.js"}`,
    "node_modules/modern/main.js": `import plain from "plain";\nexport default plain.named[0];\nexport const here = import.meta.url;`,
    "node_modules/late/package.json": `{"name": "late", "main": "late.cjs"}`,
    "node_modules/late/late.cjs": `module.exports = require("plain").named[0];`,
  });
  const bodies = await settle("kinds");
  expect(bodies[0]).toContain("app.ts");
  for (const body of bodies) expect(JSON.parse(body)).toEqual(JSON.parse(bodies[0] ?? ""));
});

test.concurrent("the first process packs what it has loaded, the second one keeps its machine code, and then nothing is written", async () => {
  await install("steps", {
    "app.ts": `import value from "value";
export const application = (_: unknown, startResponse: Function) => {
  ${respond}
  return value;
};`,
    "node_modules/value/package.json": `{"name": "value"}`,
    "node_modules/value/index.js": `module.exports = require("./part");`,
    "node_modules/value/part.js": `module.exports = "packed";`,
  });
  const written = (): Record<string, number> =>
    Object.fromEntries(
      readdirSync(cacheOf("steps")).map((name) => [name, statSync(`${cacheOf("steps")}/${name}`).ino]),
    );
  const ending = (end: string): string[] => Object.keys(written()).filter((name) => name.endsWith(end));
  expect(await ask("steps")).toMatchObject({ code: 0, body: "packed" });
  const [pack = ""] = ending(".pack");
  const text = readFileSync(`${cacheOf("steps")}/${pack}`, "latin1");
  expect(text).toContain(`require("./part")`);
  expect(text).toContain(`"packed"`);
  expect(ending(".pack.code")).toEqual([]);
  expect(await ask("steps")).toMatchObject({ code: 0, body: "packed" });
  expect(ending(".pack.code")).toEqual([`${pack}.code`]);
  const settled = written();
  expect(await ask("steps")).toMatchObject({ code: 0, body: "packed" });
  expect(written()).toEqual(settled);
});

test.concurrent("what another process prepares is left to it, unless it must be gone", async () => {
  await install("turns", {
    "app.ts": `export const application = (_: unknown, startResponse: Function) => {
  ${respond}
  return "right";
};`,
  });
  const packed = (): string[] => readdirSync(cacheOf("turns")).filter((name) => /\.(?:pack|code|turn)\b/.test(name));
  expect(await ask("turns")).toMatchObject({ code: 0, body: "right" });
  const stem = packed()
    .find((name) => name.endsWith(".pack.json"))
    ?.replace(".pack.json", "");
  for (const name of packed()) rmSync(`${cacheOf("turns")}/${name}`);
  await workspace.write(`tmp/turns-cache/${stem}.turn`, "", 0o600);
  for (let count = 0; count < 2; count += 1) {
    expect(await ask("turns")).toMatchObject({ code: 0, body: "right", stderr: "" });
    expect(packed()).toEqual([`${stem}.turn`]);
  }
  utimesSync(workspace.path("tmp", "turns-cache", `${stem}.turn`), old, old);
  expect(await settle("turns")).toEqual(["right", "right", "right", "right"]);
  expect(packed().filter((name) => name.endsWith(".turn"))).toEqual([]);
});

test.concurrent("a program behind links is the one that they lead to, and its child processes are started as ever", async () => {
  await install("linked", {
    "app.ts": `import { decodeText } from "tsgi";
export const application = async (_: unknown, startResponse: Function) => {
  ${respond}
  return JSON.stringify([(await import("tsgi")).decodeText === decodeText, process.execArgv, process.argv[1]]);
};`,
  });
  const bin = workspace.bin("tsgi-cgi");
  const link = workspace.path("linked-folder");
  symlinkSync(dirname(dirname(bin)), link);
  for (let count = 0; count < 4; count += 1) {
    const { body } = await ask("linked", { program: `${link}/bin/tsgi-cgi` });
    expect(JSON.parse(body)).toEqual([true, [], expect.stringMatching(/linked-folder\/dist\/bundled\/cgi\.cjs$/)]);
  }
});

test.concurrent("a changed package is seen by the next process", async () => {
  await install("change", {
    "app.ts": `import value from "value";
export const application = (_: unknown, startResponse: Function) => {
  ${respond}
  return value;
};`,
    "node_modules/value/package.json": `{"name": "value"}`,
    "node_modules/value/index.js": `module.exports = require("./part") + "!";`,
    "node_modules/value/part.js": `module.exports = "one";`,
  });
  expect(await settle("change")).toEqual(["one!", "one!", "one!", "one!"]);
  await workspace.write("change/node_modules/value/part.js", `module.exports = "two";`);
  expect(await ask("change")).toMatchObject({ body: "two!" });
  await workspace.write(
    "change/app.ts",
    readFileSync(workspace.path("change", "app.ts"), "utf8").replace("value;", "value + '?';"),
  );
  expect(await ask("change")).toMatchObject({ body: "two!?" });
});

test.concurrent("errors name the lines of the TypeScript source and of packages", async () => {
  await install("errors", {
    "app.ts": `import fail from "fail";

interface Unused {}
export const application = (_: unknown, startResponse: Function): string => {
  ${respond}
  try {
    return fail();
  } catch (error) {
    return (error as Error).stack ?? "";
  }
};`,
    "node_modules/fail/package.json": `{"name": "fail"}`,
    "node_modules/fail/index.js": `"use strict";\n\nmodule.exports = () => {\n  throw new TypeError("for this test");\n};`,
  });
  const [first = "", ...others] = await settle("errors");
  const place = (stack: string): string[] =>
    stack
      .split("\n")
      .slice(0, 3)
      .map((line) => line.replace(/ \(.*\/errors\//, " ("));
  expect(place(first)[0]).toBe("TypeError: for this test");
  expect(first).toMatch(/errors\/node_modules\/fail\/index\.js:4:9/);
  expect(first).toMatch(/errors\/app\.ts:7:12/);
  for (const stack of others) expect(place(stack)).toEqual(place(first));
});

test.concurrent("what can only be an ES module, or fails in a pack only, runs as without one", async () => {
  await install("only", {
    "app.ts": `const value = await Promise.resolve("awaited");
export const application = (_: unknown, startResponse: Function) => {
  ${respond}
  return value;
};`,
  });
  for (let count = 0; count < 4; count += 1) expect(await ask("only")).toMatchObject({ code: 0, body: "awaited" });
  await install("strange", {
    "app.ts": `import "strange";
export const application = (_: unknown, startResponse: Function) => {
  ${respond}
  return "fine";
};`,
    "node_modules/strange/package.json": `{"name": "strange"}`,
    "node_modules/strange/index.js": `if (!String(require).startsWith("function")) throw new Error("in a pack");`,
  });
  for (let count = 0; count < 4; count += 1) expect(await ask("strange")).toMatchObject({ code: 0, body: "fine" });
});

test.concurrent("the response ends before tsgi.wait_until's work", async () => {
  const gate = workspace.path("gate");
  await workspace.write(
    "late-work/app.ts",
    `import { existsSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
export const application = (environ: Record<string, Function>, startResponse: Function) => {
  ${respond}
  environ["tsgi.wait_until"]((async () => {
    while (!existsSync(${JSON.stringify(gate)})) await wait(20);
    console.error("the work has ended");
  })());
  return "ends";
};`,
  );
  const meanwhile = async (ended: Promise<unknown>): Promise<void> => {
    await ended;
    await workspace.write("gate", "");
  };
  expect(await ask("late-work", { meanwhile })).toMatchObject({
    code: 0,
    body: "ends",
    stderr: expect.stringContaining("the work has ended"),
  });
});

test.concurrent("the process ends with the response, whatever the application leaves behind", async () => {
  await install("ends", {
    "app.ts": `setInterval(() => {}, 60_000);
process.on("exit", (code) => console.error("exit", code));
export const application = (_: unknown, startResponse: Function) => {
  ${respond}
  return "timer";
};`,
  });
  await install("again", {
    "app.ts": `process.on("beforeExit", () => {
  console.error("before exit");
  setTimeout(() => {}, 60_000);
});
export const application = (_: unknown, startResponse: Function) => {
  ${respond}
  return "listener";
};`,
  });
  for (let count = 0; count < 4; count += 1) {
    expect(await ask("ends")).toMatchObject({ code: 0, body: "timer", stderr: expect.stringContaining("exit 0") });
    expect(await ask("again")).toMatchObject({ code: 0, body: "listener", stderr: "" });
  }
});

test.concurrent("many first processes at once, and a cache that is broken or belongs to others, answer rightly", async () => {
  await install("many", {
    "app.ts": `export const application = (_: unknown, startResponse: Function) => {
  ${respond}
  return "right";
};`,
  });
  for (let round = 0; round < 3; round += 1) {
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask("many")));
    expect(answers.map(({ body }) => body)).toEqual(Array.from({ length: 6 }, () => "right"));
  }
  const files = readdirSync(cacheOf("many"));
  expect(files.filter((file) => file.endsWith(".tmp"))).toEqual([]);
  for (const file of files) expect(statSync(`${cacheOf("many")}/${file}`).mode & 0o077).toBe(0);
  for (const file of files.filter((name) => /\.code$|\.pack(?:\.json)?$/.test(name))) {
    await workspace.write(`tmp/many-cache/${file}`, "broken", 0o600);
    expect(await ask("many")).toMatchObject({ code: 0, body: "right" });
  }
  // Half of a pack is made anew, not taken for an application that fails in one.
  await settle("many");
  const pack = readdirSync(cacheOf("many")).find((file) => file.endsWith(".pack")) ?? "";
  truncateSync(`${cacheOf("many")}/${pack}`, 100);
  await settle("many");
  chmodSync(cacheOf("many"), 0o755);
  const refused = await ask("many");
  expect(refused.body).not.toBe("right"); // as before: a cache that others can write to is no cache
  rmSync(cacheOf("many"), { recursive: true });
});
