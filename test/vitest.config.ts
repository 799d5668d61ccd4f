// How the tests run: pure and small ones first, then those that start servers and Apache, a few files at a time: they wait
// for most of their time, so three on two cores take three quarters of the time of two.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));

export default defineConfig({
  root,
  // As in tsconfig.json: the sample site's applications import "tsgi".
  resolve: { alias: { tsgi: fileURLToPath(new URL("../src/index.ts", import.meta.url)) } },
  test: {
    projects: [
      {
        extends: true,
        test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 20_000, sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: {
          name: "conformance",
          globalSetup: ["test/harness/global-setup.ts"],
          include: ["test/conformance/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          globalSetup: ["test/harness/global-setup.ts"],
          include: ["test/e2e/**/*.test.ts"],
          // Once more where a program of somebody else had a bad moment; vitest shows such a test as "retry x1".
          retry: 1,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
      {
        // Long: `npm run test:soak`, no part of `npm test`.
        extends: true,
        test: {
          name: "soak",
          globalSetup: ["test/harness/global-setup.ts"],
          include: process.env["TSGI_SOAK"] === "1" ? ["test/soak/**/*.test.ts"] : [],
          testTimeout: 3_600_000,
          hookTimeout: 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
