// A site on several daemons: mod_proxy_balancer with mod_proxy_hcheck in front of members that speak FastCGI over TCP.
// Rules: whether a member lives is asked by connecting, since every other way speaks HTTP to it; the secret stands in a file
// that Apache includes, never here; only this machine may drain a member. Apache gives a request whose member died before it
// answered to the next one, whatever its method: the daemon refuses one whose body went with the first.

import type { ListenAddress } from "../config/address.ts";
import { formatListenAddress } from "../config/address.ts";
import { ConfigError } from "../errors.ts";
import type { Directive } from "./directives.ts";
import { blank, block, line, note } from "./directives.ts";
import { shellWord } from "./htaccess.ts";
import type { Backend } from "./proxy-fcgi.ts";
import {
  applicationSection,
  backendOf,
  nocanonWhy,
  passTo,
  scriptsSection,
  workerSettings,
  workerWhy,
} from "./proxy-fcgi.ts";
import type { Site } from "./site.ts";
import { documentRoot, rawUrl, referenceText, scriptFolder, trustContentLength } from "./site.ts";

export interface BalancerOptions {
  readonly site: Site;
  /** Where the daemons listen: at least one, TCP. */
  readonly members: readonly ListenAddress[];
  /** Whether a visitor stays with the member that answered first. */
  readonly isSticky: boolean;
  /** Included where requests are passed on; undefined: members know Apache by its address alone. */
  readonly secretFile: string | undefined;
  /** URL path of the page for draining; undefined: none. */
  readonly managerPath: string | undefined;
  /** The folder with `tsgi`. */
  readonly programs: string;
}

const balancer: Backend = { origin: "balancer://tsgi", url: "balancer://tsgi" };
const cookie = "TSGI_ROUTE";

const memberSettings = [
  ...workerSettings,
  "connectiontimeout=2",
  "retry=5",
  "hcmethod=TCP",
  "hcinterval=5",
  "hcpasses=1",
  "hcfails=1",
];
const memberWhy = [
  workerWhy,
  "connectiontimeout: seconds until a machine that does not answer is given up, and the next one is asked.",
  "hcmethod=TCP: every hcinterval seconds Apache connects; a member that fails gets nothing until it answers again.",
  "retry: seconds that a member is left alone after a failure of a request.",
  "route: the member's name in the cookie.",
].join("\n");

function memberLines(members: readonly ListenAddress[]): Directive[] {
  const seen = new Set<string>();
  return members.map((member, index) => {
    if (member.kind !== "tcp") {
      throw new ConfigError([
        `--member ${formatListenAddress(member)}: expected a host and a port, as in 10.0.0.7:9000`,
      ]);
    }
    const { url } = backendOf(member);
    if (seen.has(url)) throw new ConfigError([`--member ${member.host}:${member.port} is there twice`]);
    seen.add(url);
    return line("BalancerMember", [url, `route=m${index + 1}`, ...memberSettings], index === 0 ? memberWhy : undefined);
  });
}

function sticky(isSticky: boolean): Directive[] {
  if (!isSticky) return [];
  return [
    line(
      "Header",
      [
        "add",
        "Set-Cookie",
        `${cookie}=.%{BALANCER_WORKER_ROUTE}e; Path=/; HttpOnly; SameSite=Lax`,
        "env=BALANCER_ROUTE_CHANGED",
      ],
      "A visitor stays with a member for as long as it lives.",
    ),
  ];
}

function manager(path: string | undefined): Directive[] {
  if (path === undefined) return [];
  return [
    blank,
    block(
      "Location",
      [path],
      [line("SetHandler", ["balancer-manager"]), line("Require", ["local"])],
      "Drain: a member gets only the visitors that it has already. Disable: nothing new. The last word on this path.",
    ),
  ];
}

function served({ site, secretFile }: BalancerOptions): Directive[] {
  const { target, mountPoint } = site;
  const secret =
    secretFile === undefined
      ? []
      : [line("Include", [secretFile], "The secret that the members ask for: one line, for Apache's eyes only.")];
  if (target.kind === "scripts") return scriptFolder(site, target.root, [scriptsSection(balancer, secret)]);
  return [passTo(mountPoint, balancer, [], nocanonWhy), applicationSection(mountPoint, secret)];
}

function head({ site, members, secretFile, programs }: BalancerOptions): Directive {
  const target = site.target.kind === "application" ? referenceText(site.target) : site.target.root;
  const secret = secretFile === undefined ? [] : ["--secret-file", secretFile];
  const allow = ["--allow", "APACHE'S-ADDRESS"];
  const commands = members.map((member) => {
    const words = [`${programs}/tsgi`, "daemon", target, "--listen", formatListenAddress(member), ...allow, ...secret];
    return `    ${words.map((word) => (word === allow[1] ? word : shellWord(word))).join(" ")}`;
  });
  const file =
    secretFile === undefined
      ? []
      : [
          `${secretFile} is the same on each machine, mode 600, with one line of a long random word:`,
          '    ProxyFCGISetEnvIf "true" TSGI_SECRET "0123456789abcdef0123456789abcdef"',
        ];
  return note(
    [
      "For a server or a <VirtualHost>. Modules: proxy proxy_fcgi proxy_balancer proxy_hcheck lbmethod_bybusyness slotmem_shm authz_host headers alias dir mime env setenvif rewrite, and watchdog where it is not built in.",
      "On the members, each with its address:",
      ...commands,
      ...file,
    ].join("\n"),
  );
}

/** The directives; throws ConfigError for members that cannot be. */
export function balancerDirectives(options: BalancerOptions): Directive[] {
  const { site, members, isSticky, managerPath } = options;
  if (members.length === 0) throw new ConfigError(["--member is needed, as in --member 10.0.0.7:9000"]);
  const stickiness = isSticky ? [`stickysession=${cookie}`] : [];
  return [
    head(options),
    blank,
    ...rawUrl(),
    trustContentLength(),
    blank,
    block(
      "Proxy",
      [balancer.url],
      [
        ...memberLines(members),
        line(
          "ProxySet",
          ["lbmethod=bybusyness", ...stickiness],
          "The member with the fewest running requests is next: one that hangs gets few.",
        ),
      ],
    ),
    blank,
    ...sticky(isSticky),
    ...(managerPath === undefined ? [] : [line("ProxyPass", [managerPath, "!"])]),
    ...documentRoot(site),
    ...served(options),
    ...manager(managerPath),
  ];
}
