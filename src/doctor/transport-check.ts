// What gets lost between a visitor and the program: Authorization, large uploads, streaming, encoded slashes.
// Rules: what only the server's configuration can set is a warning where the server's configuration runs the program, and a note where
// .htaccess does: whoever wrote that cannot change it.

import { basename } from "node:path";
import type { ReadDirective } from "./directive-text.ts";
import type { Finding, Severity } from "./finding.ts";
import { hasModule } from "./htaccess-check.ts";
import { named, serverSetting } from "./served.ts";
import type { ProgramFile, Subject } from "./subject.ts";

/** mod_fcgid's default, which it has since 2.3.6. */
const defaultRequestLength = 131_072;
const defaultOutputBuffer = 65_536;

interface Way {
  readonly name: string;
  readonly handledBy: ReadDirective | undefined;
  readonly kind: "cgi" | "fcgid" | "proxy";
  readonly hasAuthorization: boolean;
}

function wayOf({ file, kind, setup }: ProgramFile): Way[] {
  if (kind === undefined) return [];
  return [{ name: file, handledBy: setup.handler?.by, kind, hasAuthorization: setup.hasAuthorization }];
}

/** The ways to programs that the folder has; a handler of the whole folder is one too. */
function waysOf({ programs, own, folder }: Subject): Way[] {
  const found = programs.flatMap(wayOf);
  const handler = own.handler?.value ?? "";
  if (!handler.startsWith("proxy:")) return found;
  return [
    ...found,
    { name: folder, handledBy: own.handler?.by, kind: "proxy", hasAuthorization: own.hasAuthorization },
  ];
}

function serverOnly({ handledBy }: Way): Severity {
  return handledBy !== undefined && basename(handledBy.file) === ".htaccess" ? "note" : "warning";
}

function authorizationFindings(way: Way): Finding[] {
  if (way.hasAuthorization) return [];
  const message = "the Authorization header does not reach the program (Apache keeps it back)";
  return [
    {
      code: "TSGI3543",
      severity: "warning",
      place: way.name,
      message,
      remedy: 'CGIPassAuth On (or SetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1)',
    },
  ];
}

function fcgidFindings(way: Way, subject: Subject): Finding[] {
  const scopes = subject.setup.place?.scopes;
  if (way.kind !== "fcgid" || scopes === undefined) return [];
  const found: Finding[] = [];
  const severity = serverOnly(way);
  const length = serverSetting(scopes, "FcgidMaxRequestLen");
  const most = Number(length?.args[0] ?? defaultRequestLength);
  if (most <= defaultRequestLength) {
    const message = `an upload of more than ${most} bytes is answered with 500: FcgidMaxRequestLen ${most}${length === undefined ? " (the default)" : ""}`;
    const place = length === undefined ? way.name : `${length.file}:${length.line}`;
    found.push({
      code: "TSGI3544",
      severity,
      place,
      message,
      remedy: "FcgidMaxRequestLen 1073741824 in the server's configuration; .htaccess cannot",
    });
  }
  const buffer = serverSetting(scopes, "FcgidOutputBufferSize");
  const size = Number(buffer?.args[0] ?? defaultOutputBuffer);
  if (size > 0) {
    const message = `what the program sends waits until ${size} bytes have come: no server-sent events, no progress`;
    const place = buffer === undefined ? way.name : `${buffer.file}:${buffer.line}`;
    found.push({
      code: "TSGI3545",
      severity,
      place,
      message,
      remedy: "FcgidOutputBufferSize 0 in the server's configuration",
    });
  }
  return found;
}

/** Less than a photo: hardly meant. */
const leastBody = 1024 * 1024;

function bodyFindings({ setup }: Subject): Finding[] {
  const said = setup.layers.flatMap(({ directives }) => named(directives, "LimitRequestBody")).at(-1);
  const most = Number(said?.args[0] ?? 0);
  if (said === undefined || most === 0 || Number.isNaN(most) || most >= leastBody) return [];
  const message = `an upload of more than ${most} bytes is answered with 413: LimitRequestBody`;
  const place = `${said.file}:${said.line}`;
  return [{ code: "TSGI3544", severity: "warning", place, message, remedy: "LimitRequestBody 104857600" }];
}

/** A proxy sends what it has when its buffer is full, unless the worker says flushpackets. */
function proxyFindings(way: Way, subject: Subject): Finding[] {
  const { setup } = subject;
  if (way.kind !== "proxy" || setup.place === undefined) return [];
  const workers = setup.place.scopes
    .flat()
    .filter(({ name }) => /^(?:proxy|proxypass|proxypassmatch|proxyset)$/i.test(name));
  const words = workers.flatMap(({ args, children = [] }) => args.concat(children.flatMap((child) => child.args)));
  if (words.some((word) => /^flushpackets=(?:on|auto)$/i.test(word))) return [];
  const message = "the proxy collects what the daemon sends (flushpackets is off): no server-sent events, no progress";
  return [
    {
      code: "TSGI3545",
      severity: serverOnly(way),
      place: way.name,
      message,
      remedy: "flushpackets=on in the <Proxy> or ProxyPass of the daemon",
    },
  ];
}

function slashFindings(way: Way, subject: Subject): Finding[] {
  const scopes = subject.setup.place?.scopes;
  if (scopes === undefined) return [];
  const said = serverSetting(scopes, "AllowEncodedSlashes");
  if (said !== undefined && !/^off$/i.test(said.args[0] ?? "")) return [];
  const place = said === undefined ? way.name : `${said.file}:${said.line}`;
  const message = `a path with %2F is answered with 404 before the program sees it: AllowEncodedSlashes Off${said === undefined ? " (the default)" : ""}`;
  return [
    {
      code: "TSGI3546",
      severity: serverOnly(way),
      place,
      message,
      remedy: "AllowEncodedSlashes NoDecode in the server's configuration; .htaccess cannot",
    },
  ];
}

export function transportFindings(subject: Subject): Finding[] {
  const ways = waysOf(subject);
  // What holds for the server is said once, of the first program.
  const [first] = ways;
  const server =
    first === undefined
      ? []
      : [...fcgidFindings(first, subject), ...proxyFindings(first, subject), ...slashFindings(first, subject)];
  const isProxyMissing = first?.kind === "proxy" && hasModule(subject, "proxy_fcgi") === false;
  const missing: Finding[] = isProxyMissing
    ? [
        {
          code: "TSGI3538",
          severity: "error",
          place: first.name,
          message: "mod_proxy_fcgi is not loaded, and the handler needs it: Apache answers 500",
          remedy: "a2enmod proxy proxy_fcgi",
        },
      ]
    : [];
  return [...missing, ...ways.flatMap(authorizationFindings), ...bodyFindings(subject), ...server];
}
