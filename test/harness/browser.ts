// A real browser for tests: Chromium, driven by playwright-core, with its home and its temporary files in the test's folder,
// so that what it leaves behind is noticed. Nothing here is skipped when it is missing: the message says what to do.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium, type Browser } from "playwright-core";
import type { Workspace } from "./workspace.ts";

/** The same names as in bin/setup. */
const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The installed Chromium. Throws, with what to do, when there is none. */
function findChromium(): string {
  const folders = (process.env["PATH"] ?? "").split(":");
  const candidates = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  const file = candidates.find((candidate) => existsSync(candidate));
  if (file === undefined) throw new Error("these tests need Chromium: run bin/setup --for-tests, or install chromium");
  return file;
}

/** Starts a browser without a window; the caller closes it. */
export async function startBrowser(workspace: Workspace): Promise<Browser> {
  const home = workspace.path("browser");
  await mkdir(home, { recursive: true });
  const folder = process.env["TMPDIR"];
  process.env["TMPDIR"] = home; // where playwright-core itself makes the browser's profile
  try {
    return await chromium.launch({
      executablePath: findChromium(),
      env: { PATH: process.env["PATH"] ?? "", HOME: home, TMPDIR: home, LANG: "C.UTF-8" },
      // Chromium asks its maker for updates of this and that otherwise.
      args: ["--disable-background-networking", "--disable-component-update", "--no-proxy-server"],
    });
  } finally {
    if (folder === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = folder;
  }
}
