// defineConfig: its types come from the table of settings.
import { expect, test } from "vitest";
import type { ConfigOptions } from "../../../src/config/define.ts";
import { defineConfig } from "../../../src/config/define.ts";

test("gives back what it got, and types every setting by its flag in camelCase", () => {
  const config: ConfigOptions = {
    listen: "unix:/run/a.sock",
    processes: "auto",
    requestTimeout: "30s",
    queueLimit: 5,
    reload: true,
    logLevel: "debug",
    ignoreActivity: ["/health"],
    nodeOption: ["--expose-gc"],
    umask: "0027",
    env: { PORT: 1, DEBUG: undefined },
    groups: { shop: { scriptRoot: "shop", processes: 3, user: "shop" }, blog: { applications: { "/": "blog.ts" } } },
  };
  expect(defineConfig(config)).toBe(config);
});

test("refuses what no setting takes, when it is compiled", () => {
  // @ts-expect-error -- no such setting
  defineConfig({ proceses: 4 });
  // @ts-expect-error -- a word that is none of the levels
  defineConfig({ logLevel: "loud" });
  // @ts-expect-error -- a number for octal digits
  defineConfig({ umask: 22 });
  // @ts-expect-error -- the name of a field of Config
  defineConfig({ requestTimeoutMs: 5 });
  // @ts-expect-error -- a configuration file names no other one
  defineConfig({ config: "other.ts" });
  // @ts-expect-error -- a setting of the whole file
  defineConfig({ groups: { a: { pidFile: "/run/a.pid" } } });
  // @ts-expect-error -- a switch
  defineConfig({ reload: "yes" });
  expect.assertions(0);
});
