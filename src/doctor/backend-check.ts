// The daemon behind mod_proxy_fcgi: its socket, whether Apache's user may open it, and who answers there.

import { shellWord } from "../apache/htaccess.ts";
import { encodeGetValues } from "../fastcgi/client.ts";
import { connect } from "node:net";
import { bits, canSee, modeText, nameOfUser, obstacleTo, statusOf, textOf } from "./access.ts";
import type { ReadDirective } from "./directive-text.ts";
import type { Finding } from "./finding.ts";
import { named } from "./served.ts";
import type { Subject } from "./subject.ts";
import { severityOf } from "./subject.ts";

type Address = { readonly path: string } | { readonly host: string; readonly port: number };

interface Backend {
  readonly url: string;
  readonly by: ReadDirective | undefined;
}

const answerMs = 3_000;

/** The address of "unix:/path|fcgi://name/" or "fcgi://host:port/"; undefined for what is no FastCGI. */
export function backendAddress(url: string): Address | undefined {
  const socket = /^unix:([^|]+)\|fcgi:/i.exec(url)?.[1];
  if (socket !== undefined) return { path: socket };
  const [, host, port = "8000"] = /^fcgi:\/\/(\[[^\]]+\]|[^:/]+)(?::(\d+))?/i.exec(url) ?? [];
  return host === undefined ? undefined : { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

function handlerBackend(value: string | undefined, by: ReadDirective | undefined): Backend[] {
  return value?.startsWith("proxy:") === true ? [{ url: value.slice("proxy:".length), by }] : [];
}

/** Every backend that a configuration speaks of, in whatever section. */
function allBackends(directives: readonly ReadDirective[]): Backend[] {
  return directives.flatMap((one): Backend[] => {
    if (one.children !== undefined) return allBackends(one.children);
    if (/^sethandler$/i.test(one.name)) return handlerBackend(one.args[0], one);
    return /^proxypass$/i.test(one.name) ? [{ url: one.args.find((arg) => /:\/\//.test(arg)) ?? "", by: one }] : [];
  });
}

function backendsOf({ own, setup, programs, elsewhere }: Subject): Backend[] {
  const handlers = [own.handler, ...programs.map((program) => program.setup.handler)];
  const byHandler = handlers.flatMap((said) => handlerBackend(said?.value, said?.by));
  const { scopes = [], urlPath = "" } = setup.place ?? {};
  const isOnTheWay = ({ args: [path = ""] }: ReadDirective): boolean =>
    `${urlPath}/`.startsWith(path) || path.startsWith(`${urlPath}/`);
  const inLocations = named(scopes.flat(), "Location").filter(isOnTheWay);
  const byPass = allBackends(named(scopes.flat(), "ProxyPass").filter(isOnTheWay));
  const byLocation = allBackends(inLocations.flatMap(({ children = [] }) => children));
  const seen = new Set<string>();
  return [...byHandler, ...byPass, ...byLocation, ...allBackends(elsewhere)].filter(({ url }) => {
    const isNew = backendAddress(url) !== undefined && !seen.has(url);
    seen.add(url);
    return isNew;
  });
}

/** FCGI_GET_VALUES: what every application server has to answer, without a request. */
const getValues = encodeGetValues([]);

type Answer = "refused" | "gone" | "denied" | "fastcgi" | "other" | "silent";

async function ask(address: Address): Promise<Answer> {
  return await new Promise((resolve) => {
    const socket = connect(address);
    const end = (answer: Answer): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(answerMs, () => end("silent"));
    socket.once("connect", () => socket.write(getValues));
    socket.once("data", (chunk: Buffer) => end(chunk[0] === 1 ? "fastcgi" : "other"));
    // A server that closes without a word may be a FastCGI one that is strict.
    socket.once("end", () => end("silent"));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      const answers: Record<string, Answer> = {
        ECONNREFUSED: "refused",
        ENOENT: "gone",
        EACCES: "denied",
        EPERM: "denied",
      };
      end(answers[error.code ?? ""] ?? "silent");
    });
  });
}

/** How many sockets listen under one path: a second daemon takes the name, and the first one goes on unseen. */
export function listenersAt(path: string, table = textOf("/proc/net/unix")): number {
  const lines = (table ?? "").split("\n").map((line) => line.trim().split(/\s+/));
  return lines.filter(
    ([, , , flags, , , , name]) => name === path && (Number.parseInt(flags ?? "0", 16) & 0x1_0000) !== 0,
  ).length;
}

function accessFindings(path: string, place: string, subject: Subject): Finding[] {
  const { account } = subject;
  const obstacle = account === undefined ? undefined : obstacleTo(path, account, bits.write);
  if (account === undefined || obstacle === undefined || obstacle.kind === "unseen") return [];
  const status = statusOf(obstacle.path);
  const mode = status === undefined ? "" : ` (mode ${modeText(status)}, owner ${nameOfUser(status.uid)})`;
  const isFolder = obstacle.kind === "folder";
  const message = `${account.user}, whom Apache runs as, may not ${isFolder ? "enter the folder" : "open the socket"} ${obstacle.path}${mode}: Apache answers 503`;
  const remedy = isFolder
    ? `chmod o+x ${shellWord(obstacle.path)}`
    : `tsgi daemon --socket-group ${account.group} (or run it as ${account.user})`;
  return [{ code: "TSGI3558", severity: severityOf(subject), place, message, remedy }];
}

async function socketFindings(path: string, place: string, subject: Subject): Promise<Finding[]> {
  const start = `start it: tsgi daemon APP --listen unix:${path}`;
  const status = statusOf(path);
  if (status === undefined) {
    const isSeen = canSee(path);
    const message = isSeen
      ? `the daemon's socket ${path} is not there: Apache answers 503`
      : `whether the socket ${path} is there cannot be seen by this user`;
    return [
      {
        code: isSeen ? "TSGI3557" : "TSGI3549",
        severity: isSeen ? "error" : "note",
        place,
        message,
        remedy: isSeen ? start : "run this as the user of the daemon, or as root",
      },
    ];
  }
  if (!status.isSocket())
    return [{ code: "TSGI3557", severity: "error", place, message: `${path} is no socket`, remedy: start }];
  const found = accessFindings(path, place, subject);
  const count = listenersAt(path);
  if (count > 1) {
    const message = `${count} daemons listen at ${path}: the last one took the name, and the others go on without requests`;
    found.push({
      code: "TSGI3560",
      severity: "error",
      place,
      message,
      remedy: "end the older ones: ss -lxp shows them",
    });
  }
  return [...found, ...answerFindings(await ask({ path }), path, place, start)];
}

function answerFindings(answer: Answer, name: string, place: string, start: string): Finding[] {
  switch (answer) {
    case "refused":
    case "gone":
      return [
        {
          code: "TSGI3559",
          severity: "error",
          place,
          message: `nobody answers at ${name}: the daemon has ended: Apache answers 503`,
          remedy: start,
        },
      ];
    case "other":
      return [
        {
          code: "TSGI3561",
          severity: "error",
          place,
          message: `what answers at ${name} does not speak FastCGI`,
          remedy: "fcgi:// for the daemon's address, http:// for an HTTP server",
        },
      ];
    case "denied":
      return [
        {
          code: "TSGI3549",
          severity: "note",
          place,
          message: `this user may not open ${name}, so who answers there was not looked at`,
          remedy: "run this as Apache's user, or as root",
        },
      ];
    case "fastcgi":
    case "silent":
      return [];
  }
}

async function backendFindings({ url, by }: Backend, subject: Subject): Promise<Finding[]> {
  const place = by === undefined ? subject.folder : `${by.file}:${by.line}`;
  const address = backendAddress(url);
  if (address === undefined) return [];
  const generic: Finding[] =
    subject.own.isGenericBackend || !/sethandler/i.test(by?.name ?? "")
      ? []
      : [
          {
            code: "TSGI3562",
            severity: "warning",
            place,
            message: "ProxyFCGIBackendType GENERIC is missing: Apache changes the variables as PHP-FPM wants them",
            remedy: "ProxyFCGIBackendType GENERIC",
          },
        ];
  if ("path" in address) return [...generic, ...(await socketFindings(address.path, place, subject))];
  const name = `${address.host}:${address.port}`;
  return [
    ...generic,
    ...answerFindings(await ask(address), name, place, `start it: tsgi daemon APP --listen tcp:${name}`),
  ];
}

export async function daemonFindings(subject: Subject): Promise<Finding[]> {
  const all = await Promise.all(backendsOf(subject).map((backend) => backendFindings(backend, subject)));
  return all.flat();
}
