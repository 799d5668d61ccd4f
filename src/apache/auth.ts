// Access control by a script: the directives with which Apache asks `tsgi` who may come in.
// Rules: a section always requires a user, since without it Apache asks for no password at all and lets everybody in; it
// covers every spelling that the application sees as its path; mod_authnz_fcgi reaches a daemon over TCP only.

import type { ListenAddress } from "../config/address.ts";
import { formatListenAddress } from "../config/address.ts";
import { ConfigError } from "../errors.ts";
import type { Directive } from "./directives.ts";
import { blank, block, line, note, regexLiteral } from "./directives.ts";
import { fcgidCommand } from "./fcgid.ts";
import { shellWord } from "./htaccess.ts";

export const authModules = ["authnz_fcgi", "fcgid"] as const;

export type AuthModule = (typeof authModules)[number];

export interface AuthOptions {
  /** The script with checkPassword and its like; absolute. */
  readonly script: string;
  /** Where the daemon listens; only mod_authnz_fcgi uses it. */
  readonly listen: ListenAddress;
  /** The URL path that needs a password; "" for all. */
  readonly path: string;
  /** What the browser shows beside its question. */
  readonly realm: string;
  /** Of which a user must be in one; none: everybody with a password may come in. */
  readonly groups: readonly string[];
  /** Whether the client's address is asked for as well; only mod_fcgid has a directive for it. */
  readonly hasAccessCheck: boolean;
  /** The folder with `tsgi` and `tsgi-fcgid`. */
  readonly programs: string;
  /** The folder with `node`: mod_fcgid passes on no PATH. */
  readonly nodeFolder: string;
}

const provider = "tsgi";
const slash = "(?:/|%2[Ff])+";

function checkedGroups(groups: readonly string[]): string {
  const wrong = groups.find((name) => name === "" || /[\s,"\\]/.test(name));
  if (wrong !== undefined) throw new ConfigError([`--group ${JSON.stringify(wrong)}: expected a name without spaces`]);
  return groups.join(",");
}

function section({ path, realm, groups }: AuthOptions, body: readonly Directive[]): Directive {
  const required =
    groups.length === 0
      ? []
      : [
          line(
            "SetEnvIf",
            ["Request_URI", ".", `TSGI_REQUIRE_GROUPS=${checkedGroups(groups)}`],
            "The script says which groups a user is in; one of these has to be among them.",
          ),
        ];
  const directives = [line("AuthType", ["Basic"]), line("AuthName", [realm]), ...required, ...body];
  if (path === "") return block("Location", ["/"], directives);
  const pattern = path
    .slice(1)
    .split("/")
    .map((name) => `${slash}${regexLiteral(name)}`)
    .join("");
  return block(
    "LocationMatch",
    [`^${pattern}(?:${slash}|$)`],
    directives,
    `${path} and all below it; %2F too, which is a slash for the application where AllowEncodedSlashes lets it through.`,
  );
}

function originOf(listen: ListenAddress): string {
  if (listen.kind !== "tcp") {
    const given = formatListenAddress(listen);
    throw new ConfigError([
      `--listen ${given}: mod_authnz_fcgi reaches a daemon over TCP only, as in tcp:127.0.0.1:9001`,
    ]);
  }
  const host = listen.host.includes(":") ? `[${listen.host}]` : listen.host;
  return `fcgi://${host}:${listen.port}/`;
}

function authnzFcgi(options: AuthOptions): Directive[] {
  const { script, listen, groups, programs } = options;
  const origin = originOf(listen);
  const command = [`${programs}/tsgi`, "daemon", script, "--listen", formatListenAddress(listen)];
  return [
    note(
      [
        "Modules: auth_basic authn_core authz_user authnz_fcgi setenvif. AuthnzFcgiDefineProvider may stand in no <VirtualHost>, what follows it may.",
        "Keep the daemon running; it may be the application's, where that listens on TCP:",
        `    ${command.map(shellWord).join(" ")}`,
      ].join("\n"),
    ),
    blank,
    line(
      "AuthnzFcgiDefineProvider",
      ["authnz", provider, origin],
      "Password and groups in one question, for each request.",
    ),
    section(options, [
      line("AuthBasicProvider", [provider]),
      line("Require", [groups.length === 0 ? "valid-user" : provider], "Without it Apache would let everybody in."),
    ]),
  ];
}

function fcgid(options: AuthOptions): Directive[] {
  const { script, groups, programs, nodeFolder, hasAccessCheck } = options;
  const command = fcgidCommand([`${programs}/tsgi-fcgid`, script]);
  const access = line("FcgidAccessChecker", [command], "Is asked first, without a password.");
  const authorizer = line("FcgidAuthorizer", [command], "Is asked for the groups.");
  return [
    note("For a server or a <VirtualHost>. Modules: auth_basic authn_core authn_file authz_user fcgid setenvif."),
    blank,
    line(
      "FcgidInitialEnv",
      ["PATH", [...new Set([nodeFolder, "/usr/bin", "/bin"])].join(":")],
      "mod_fcgid passes on no environment: the program must find node. At most 127 bytes.",
    ),
    section(options, [
      line("AuthUserFile", ["/dev/null"], "mod_auth_basic finds nobody, and leaves the question to the next one."),
      line("AuthBasicAuthoritative", ["Off"]),
      ...(hasAccessCheck ? [access] : []),
      line("FcgidAuthenticator", [command]),
      ...(groups.length === 0 ? [] : [authorizer]),
      line("Require", ["valid-user"], "Without it Apache would let everybody in."),
    ]),
  ];
}

/** The directives; throws ConfigError for options that do not go together. */
export function authDirectives(module: AuthModule, options: AuthOptions): Directive[] {
  return module === "fcgid" ? fcgid(options) : authnzFcgi(options);
}
