// `tsgi status --watch`: the status page's twin in a terminal; without a terminal, a table each second.
// Rules: the terminal is left as it was, however this ends; one question at a time, each with a deadline; a frame is one
// write over the one before, so that nothing flickers.

import { fieldOf } from "../supervisor/control-request.ts";
import type { HistoryAnswer } from "../supervisor/status-page/recorder.ts";
import type { Status } from "../supervisor/status.ts";
import { drawStatus, isStatus, printable } from "../supervisor/status.ts";
import type { Inquiry } from "./control-client.ts";
import { ask, describeSilence, fail } from "./control-client.ts";
import { StopRequest } from "./signals.ts";
import type { Shown } from "./watch-screen.ts";
import { drawScreen } from "./watch-screen.ts";

const turnMs = 1000;
/** How far back the rate looks, in turns. */
const rateTurns = 5;
const reloadMs = 600_000;

const enter = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const leave = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const defaultSize = { columns: 80, rows: 24 };

/** The first of these that is set says which characters there are (POSIX, 8.2). */
function hasUnicode({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || "");
}

async function askStatus(inquiry: Inquiry): Promise<Status | string> {
  const outcome = await ask(inquiry, "GET", "/status");
  if (outcome.kind !== "answer") return describeSilence(inquiry, outcome);
  if (outcome.status === 200 && isStatus(outcome.body)) return outcome.body;
  return `what answers on ${inquiry.path} is another version of tsgi`;
}

async function askHistory(inquiry: Inquiry): Promise<HistoryAnswer["samples"]> {
  const outcome = await ask(inquiry, "GET", "/history");
  const samples = outcome.kind === "answer" ? fieldOf(outcome.body, "samples") : undefined;
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- a daemon of our version, since it has a status of it
  return Array.isArray(samples) ? (samples as HistoryAnswer["samples"]) : [];
}

/** Waits; true when somebody asked for the end meanwhile, or had before. */
async function isOverAfter(ms: number, { asked }: StopRequest): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<false>((resolve) => (timer = setTimeout(resolve, ms, false)));
  const isOver = await Promise.race([asked.then(() => true), expired]);
  clearTimeout(timer);
  return isOver;
}

/** The screen of a terminal, taken and given back. */
class Screen {
  #isTaken = false;
  readonly #giveBack = (): void => {
    if (!this.#isTaken) return;
    this.#isTaken = false;
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stdout.write(leave);
  };

  /** Takes it; `onKey` gets what is typed. It is given back at the latest when the process ends. */
  take(onKey: (key: string) => void): void {
    this.#isTaken = true;
    process.once("exit", this.#giveBack);
    process.stdout.write(enter);
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true);
    process.stdin.setEncoding("latin1").on("data", (keys: string) => Array.from(keys).forEach((key) => onKey(key)));
  }

  draw(shown: Shown): void {
    if (!this.#isTaken) return;
    const { columns, rows } = process.stdout;
    const size = columns > 0 && rows > 0 ? { columns, rows } : defaultSize;
    const lines = drawScreen(shown, { ...size, hasBlocks: hasUnicode(process.env) }).map((line) => `${line}\x1b[K`);
    process.stdout.write(`\x1b[?2026h\x1b[H${lines.join("\r\n")}\x1b[J\x1b[?2026l`);
  }

  giveBack(): void {
    process.removeListener("exit", this.#giveBack);
    this.#giveBack();
  }
}

class Watch {
  readonly #inquiry: Inquiry;
  readonly #screen = new Screen();
  readonly #seen: { readonly atMs: number; readonly served: number }[] = [];
  #shown: Shown;
  #isReloading = false;
  #isLost = false;

  constructor(inquiry: Inquiry, first: Status) {
    this.#inquiry = inquiry;
    this.#shown = { status: first, samples: [], rate: 0, message: "" };
  }

  async run(stop: StopRequest): Promise<void> {
    const redraw = (): void => this.#screen.draw(this.#shown);
    this.#screen.take((key) => this.#typed(key, stop));
    process.stdout.on("resize", redraw);
    try {
      do await Promise.race([this.#look(), stop.asked]);
      while (!(await isOverAfter(turnMs, stop)));
    } finally {
      process.stdout.removeListener("resize", redraw);
      this.#screen.giveBack();
    }
  }

  #typed(key: string, stop: StopRequest): void {
    if (key === "q" || key === "Q" || key === "\x03" || key === "\x04") stop.ask("SIGINT");
    if (key === "r" && !this.#isReloading) void this.#reload();
  }

  #show(change: Partial<Shown>): void {
    this.#shown = { ...this.#shown, ...change };
    this.#screen.draw(this.#shown);
  }

  async #look(): Promise<void> {
    const status = await askStatus(this.#inquiry);
    if (typeof status === "string") {
      this.#isLost = true;
      this.#show({ message: printable(status), rate: 0 });
      return;
    }
    if (this.#isLost) this.#show({ message: "" });
    this.#isLost = false;
    this.#seen.push({ atMs: performance.now(), served: status.served });
    if (this.#seen.length > rateTurns + 1) this.#seen.shift();
    const [first] = this.#seen;
    const last = this.#seen.at(-1);
    const ms = (last?.atMs ?? 0) - (first?.atMs ?? 0);
    const rate = ms > 0 ? (Math.max(0, (last?.served ?? 0) - (first?.served ?? 0)) * 1000) / ms : 0;
    this.#show({ status, samples: await askHistory(this.#inquiry), rate });
  }

  async #reload(): Promise<void> {
    this.#isReloading = true;
    this.#show({ message: "reload: new workers are being started" });
    const outcome = await ask({ ...this.#inquiry, timeoutMs: reloadMs }, "POST", "/reload");
    this.#isReloading = false;
    const told = outcome.kind === "answer" ? fieldOf(outcome.body, "message") : describeSilence(this.#inquiry, outcome);
    this.#show({ message: `reload: ${printable(String(told)).replaceAll("\n", " ")}` });
  }
}

/** A table each second, for a file or a pipe; ends when nobody reads it. */
async function printEachSecond(inquiry: Inquiry, first: Status, stop: StopRequest): Promise<number> {
  process.stdout.once("error", () => stop.ask("SIGHUP"));
  let status: Status | string = first;
  while (typeof status !== "string") {
    process.stdout.write(`${new Date().toISOString()} ${drawStatus(status)}\n`);
    if (await isOverAfter(turnMs, stop)) return 0;
    status = await askStatus(inquiry);
  }
  return fail(status);
}

/** Shows the daemon until somebody quits; gives the exit code. Fails when it does not answer at first. */
export async function watchStatus(inquiry: Inquiry): Promise<number> {
  const stop = new StopRequest();
  const first = await askStatus(inquiry);
  if (typeof first === "string") return fail(first);
  if (!process.stdout.isTTY) return await printEachSecond(inquiry, first, stop);
  await new Watch(inquiry, first).run(stop);
  return 0;
}
