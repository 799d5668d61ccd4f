// What the probe finds out over HTTP: what a server really passes to a program, whatever its configuration says.

import { setTimeout as wait } from "node:timers/promises";
import { statusOf } from "./access.ts";
import type { Finding, Severity } from "./finding.ts";
import { oneLine } from "./finding.ts";
import type { Question, Reply } from "./http-ask.ts";
import { askUrl, pathUnder } from "./http-ask.ts";
import { limitFindings } from "./limits-check.ts";
import type { Probe } from "./probe.ts";
import { probeLifeMs } from "./probe-files.ts";
import { installProbe, removeProbe } from "./probe.ts";

/** What the probe says; which of it depends on what it was asked. */
interface Answer {
  readonly node?: string;
  readonly uid?: number;
  readonly authorization?: string | null;
  readonly limits?: string | null;
  readonly received?: number;
  readonly pid?: number;
  readonly isAlive?: boolean;
}

type Kind = keyof Probe["paths"];

/** What has to be known of a probe to ask it. */
export type KnownProbe = Pick<Probe, "token" | "paths">;

interface Asked {
  readonly url: URL;
  readonly kind: Kind;
  readonly probe: KnownProbe;
}

const sentAuthorization = "Bearer tsgi-probe";
/** More than mod_fcgid takes unless it is told to; and a photo. */
const uploadSizes = [200 * 1024, 4 * 1024 * 1024];
const backgroundMs = 3_000;

async function ask(
  { url, kind, probe }: Asked,
  what: string,
  question: Question = {},
  more = "",
): Promise<Reply | { readonly problem: string }> {
  const path = `${pathUnder(url, probe.paths[kind])}${more}?ask=${what}`;
  return await askUrl(url, path, { ...question, headers: { ...question.headers, "X-Tsgi-Probe": probe.token } });
}

function parsed(reply: Reply | { readonly problem: string }): Answer | undefined {
  if ("problem" in reply || reply.status !== 200) return undefined;
  try {
    return JSON.parse(reply.body) as Answer;
  } catch {
    return undefined; // not the probe's own words
  }
}

function outcome(reply: Reply | { readonly problem: string }): string {
  if ("problem" in reply) return reply.problem;
  if (reply.status === 200 && reply.body.startsWith("#!")) return "its source as text";
  return String(reply.status);
}

function finding(
  asked: Asked,
  code: string,
  severity: Severity,
  [message, remedy]: readonly [string, string],
): Finding {
  return { code, severity, place: `${asked.url.href} (${asked.kind})`, message: oneLine(message), remedy };
}

async function uploads(asked: Asked): Promise<Finding[]> {
  for (const size of uploadSizes) {
    const reply = await ask(asked, "length", { method: "POST", body: Buffer.alloc(size, "x"), deadlineMs: 30_000 });
    if (parsed(reply)?.received === size) continue;
    return [
      finding(asked, "TSGI3544", "warning", [
        `an upload of ${size} bytes is answered with ${outcome(reply)}`,
        "FcgidMaxRequestLen or LimitRequestBody in the server's configuration",
      ]),
    ];
  }
  return [];
}

/** The pieces are sent over 1.5 s: they come apart, unless somebody collects them. */
async function streaming(asked: Asked): Promise<Finding[]> {
  const reply = await ask(asked, "stream", { deadlineMs: 20_000 });
  if ("problem" in reply || reply.status !== 200) return [];
  const [first = 0] = reply.arrivals;
  if ((reply.arrivals.at(-1) ?? 0) - first > 450) return [];
  return [
    finding(asked, "TSGI3569", "warning", [
      "what the program sends bit by bit arrives in one piece: no server-sent events, no progress",
      "FcgidOutputBufferSize 0, flushpackets=on; no mod_deflate for streams",
    ]),
  ];
}

async function slashes(asked: Asked): Promise<Finding[]> {
  const reply = await ask(asked, "facts", {}, "/a%2Fb");
  if (parsed(reply)?.node !== undefined) return [];
  return [
    finding(asked, "TSGI3546", "note", [
      `a path with %2F is answered with ${outcome(reply)}`,
      "AllowEncodedSlashes NoDecode in the server's configuration; .htaccess cannot",
    ]),
  ];
}

async function daemons(asked: Asked): Promise<Finding[]> {
  const started = parsed(await ask(asked, "start"));
  const { pid } = started ?? {};
  if (pid === undefined) return [];
  await wait(backgroundMs);
  const alive = parsed(await ask(asked, `alive&pid=${pid}`));
  await ask(asked, `end&pid=${pid}`);
  if (alive?.isAlive !== false) return [];
  return [
    finding(asked, "TSGI3556", "warning", [
      "a process that goes on after its request is ended by the host: no daemon can live here",
      "TSGI_WARM=0, and CGI or mod_fcgid without --warm",
    ]),
  ];
}

function identity(asked: Asked, folder: string | undefined, { uid, node }: Answer): Finding[] {
  const owner = folder === undefined ? uid : statusOf(folder)?.uid;
  const who =
    uid === owner
      ? "the owner of the folder"
      : `user ${uid ?? "unknown"}, not the owner of the folder (${owner ?? "unknown"})`;
  return [
    finding(asked, "TSGI3577", uid === owner ? "ok" : "note", [
      `programs run as ${who}, with Node ${node ?? "unknown"}`,
      uid === owner ? "" : `what they write must be writable for user ${uid ?? "unknown"}`,
    ]),
  ];
}

async function answers(asked: Asked, folder: string | undefined): Promise<Finding[] | string> {
  const reply = await ask(asked, "facts", { headers: { Authorization: sentAuthorization }, deadlineMs: 30_000 });
  const facts = parsed(reply);
  if (facts?.node === undefined) return outcome(reply);
  const lost: Finding[] =
    facts.authorization === sentAuthorization
      ? []
      : [
          finding(asked, "TSGI3543", "warning", [
            "the Authorization header does not reach the program",
            'CGIPassAuth On (or SetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1)',
          ]),
        ];
  const limits = typeof facts.limits !== "string" ? [] : limitFindings(facts.limits, asked.url.href);
  return [
    ...identity(asked, folder, facts),
    ...lost,
    ...limits,
    ...(await uploads(asked)),
    ...(await streaming(asked)),
    ...(await slashes(asked)),
    ...(await daemons(asked)),
  ];
}

/** Asks a probe that is there, at the URL that its paths count from. `folder`: where that is on this machine. */
export async function askProbe(url: URL, probe: KnownProbe, folder?: string): Promise<Finding[]> {
  const kinds: readonly Kind[] = ["cgi", "fcgid"];
  const results = await Promise.all(
    kinds.map(async (kind) => ({ kind, found: await answers({ url, kind, probe }, folder) })),
  );
  const told = results.flatMap(({ found }) => (typeof found === "string" ? [] : found));
  const failed = results.flatMap(({ kind, found }) => (typeof found === "string" ? [`${kind}: ${found}`] : []));
  if (failed.length < kinds.length) {
    const notes = failed.map((text): Finding => ({
      code: "TSGI3568",
      severity: "note",
      place: url.href,
      message: `the other way does not work here (${text})`,
      remedy: "",
    }));
    return [...told, ...notes];
  }
  const message = `no program runs in this folder: the probe is answered with ${failed.join(", ")}`;
  return [
    {
      code: "TSGI3568",
      severity: "error",
      place: url.href,
      message,
      remedy: `tsgi doctor ${folder ?? "DIR"}; tsgi doctor --error-log FILE`,
    },
  ];
}

/** Installs the probe, asks it at `url`, which is the folder's address, and removes it on every path, signals too. */
export async function probeFindings(folder: string, url: URL): Promise<Finding[]> {
  let remove = (): void => {};
  const stop = (signal: NodeJS.Signals): void => {
    remove();
    process.off(signal, stop);
    process.kill(process.pid, signal);
  };
  const exited = (): void => remove();
  const signals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  // Before there is anything to remove: a signal must not find a moment in which there is a probe and nobody who listens.
  for (const signal of signals) process.on(signal, stop);
  process.once("exit", exited);
  try {
    const probe = installProbe(folder);
    ({ remove } = probe);
    // What a killed doctor has left answers to nobody any more.
    removeProbe(folder, probeLifeMs);
    return await askProbe(url, probe, folder);
  } finally {
    for (const signal of signals) process.off(signal, stop);
    process.off("exit", exited);
    remove();
  }
}
