// Which application answers a request: the one that was named, or a script chosen per request inside a root.
// Rules: the script comes from SCRIPT_FILENAME, or behind mod_actions from PATH_TRANSLATED, never from the URL and never
// by trying; anything outside the root, or that is no script, is a LoadError that answers 403 or 404.

import type { AdapterName } from "../adapters/names.ts";
import { LoadError } from "../errors.ts";
import type { Variables } from "../gateway/environ.ts";
import { mend } from "../gateway/environ.ts";
import type { MountHints } from "../gateway/mount.ts";
import { normalMountPoint, stripProxyPrefix } from "../gateway/mount.ts";
import { encodeText } from "../gateway/text.ts";
import { isUnder, percentDecode, urlPathOf } from "../gateway/url-path.ts";
import type { FastStart } from "../loader/fast-start.ts";
import { LiveApplication } from "../loader/live.ts";
import type { AppReference } from "../loader/load.ts";
import type { ScriptMatch } from "../loader/script.ts";
import { findScript } from "../loader/script.ts";
import type { Watch } from "../loader/watch.ts";
import type { Application, Log } from "../spec.ts";

/** An application and the URL path that it answers below: "" for the root. */
export interface MountedApplication {
  readonly mountPoint: string;
  readonly reference: AppReference;
}

/** What a process serves: one application, several by the URL's path, or every script below a root. */
export type Target =
  | { readonly kind: "application"; readonly reference: AppReference }
  | { readonly kind: "mounts"; readonly applications: readonly MountedApplication[] }
  | { readonly kind: "scripts"; readonly root: string | undefined };

export interface Route {
  /** A promise while the application is being loaded; it rejects with LoadError. */
  readonly application: Application | Promise<Application>;
  readonly script: string;
  /** What tells the application from others: its script, with the export where one was named. The script unless given. */
  readonly name?: string | undefined;
  readonly mount: MountHints;
}

export interface RouterOptions {
  readonly target: Target;
  readonly mountPoint: string | undefined;
  readonly cacheDir: string | undefined;
  readonly adapter?: AdapterName | undefined;
  /** The script that answers Apache's questions who may come in; undefined: the application's own. */
  readonly authScript?: string | undefined;
  /** How long a loaded application is used before its files are looked at again, ms; 0 looks every time, Infinity never. */
  readonly checkIntervalMs: number;
  /** Whether ProxyPass may be in front: in the daemon, not under mod_fcgid and CGI. */
  readonly mayBeProxied: boolean;
  readonly log: Log;
  /** Called before the bundle of a script runs, with its file. */
  readonly beforeRun?: ((bundle: string) => void) | undefined;
  /** Of a process that serves one request. */
  readonly fastStart?: FastStart | undefined;
}

/** Finds the application for the variables of a request; throws LoadError. */
export interface Router {
  route(variables: Variables): Route;
  /** Loads the named applications; does nothing for scripts. Rejects with LoadError. */
  preload(): Promise<void>;
  /** What the named applications, loaded or not, were made of. */
  readonly watches: readonly Watch[];
  /** Whether a new process would serve the applications that are loaded otherwise. Looks at their files. */
  isStale(): boolean;
}

/**
 * The path of SCRIPT_FILENAME. ProxyPass encodes it and a handler on a file does not: it is decoded only where the URL,
 * which Apache has decoded once, ends like the decoded form and not like the given one.
 */
function scriptPathOf(variables: Variables): string {
  const path = stripProxyPrefix(variables["SCRIPT_FILENAME"] ?? "");
  const escape = path.indexOf("%");
  if (escape === -1) return path;
  const tail = path.slice(path.lastIndexOf("/", escape));
  const url = urlPathOf(variables["REQUEST_URI"] ?? "")?.text ?? "";
  return url.endsWith(percentDecode(tail)) && !url.endsWith(tail) ? percentDecode(path) : path;
}

/** Apache asks before it maps the URL to an application, so the whole path is PATH_INFO. */
const noMount: MountHints = { mountPoint: "" };

function authorizerReference(file: string): AppReference {
  return { file, exportName: undefined, isAuthorizer: true };
}

function isForAuthorizer(variables: Variables): boolean {
  return variables["FCGI_ROLE"] === "AUTHORIZER";
}

/** mod_authnz_fcgi and mod_fcgid name their question, or pass the password. */
function isAskedByApache(variables: Variables): boolean {
  return variables["FCGI_APACHE_ROLE"] !== undefined || variables["REMOTE_PASSWD"] !== undefined;
}

class ApplicationRouter implements Router {
  readonly #live: LiveApplication;
  readonly #authorizer: LiveApplication;
  readonly #reference: AppReference;
  readonly #name: string;
  readonly #options: RouterOptions;

  constructor(reference: AppReference, options: RouterOptions) {
    const { file, exportName } = reference;
    this.#reference = reference;
    this.#name = exportName === undefined ? file : `${file}#${exportName}`;
    this.#options = options;
    this.#live = new LiveApplication(reference, options);
    this.#authorizer = new LiveApplication(authorizerReference(reference.file), options);
  }

  async preload(): Promise<void> {
    try {
      await this.#live.current();
    } catch (error) {
      if (!(error instanceof LoadError) || error.kind !== "no-export") throw error;
      if (!(await this.#isAuthorizer())) throw error;
    }
  }

  /** Whether the script, which has no application, says who may come in. */
  async #isAuthorizer(): Promise<boolean> {
    try {
      await this.#authorizer.current();
      return true;
    } catch {
      return false; // then it is the missing application that is to be told of
    }
  }

  /**
   * Who answers in the role of an authorizer: the script's hooks. Where it has none and it is not Apache who asks, its
   * application plays the role itself (FastCGI 1.0, section 6.3), as FCGI_ROLE tells it to. Apache would take any 200 of an
   * application that knows nothing of the role for a yes. The application is loaded first: a server in the same script is
   * looked for then, and not after.
   */
  async #loadAuthorizer(isApache: boolean): Promise<Application> {
    let application: Application | undefined;
    try {
      application = await this.#live.current();
    } catch {
      // A script may have no application, or a broken one, and still say who may come in.
    }
    try {
      return await this.#authorizer.current();
    } catch (error) {
      const playsItself = !isApache && error instanceof LoadError && error.kind === "no-hooks";
      if (application !== undefined && playsItself) return application;
      throw error;
    }
  }

  get watches(): readonly Watch[] {
    return [this.#live.watch];
  }

  isStale(): boolean {
    return this.#live.isStale();
  }

  route(variables: Variables): Route {
    const { file } = this.#reference;
    if (isForAuthorizer(variables)) {
      return { application: this.#loadAuthorizer(isAskedByApache(variables)), script: file, mount: noMount };
    }
    const path = scriptPathOf(variables);
    const mount = {
      mountPoint: normalMountPoint(this.#options.mountPoint ?? variables["TSGI_MOUNT_POINT"]),
      rest: path.startsWith(`${file}/`) ? path.slice(file.length) : undefined,
      mayBeProxied: this.#options.mayBeProxied && path !== file,
    };
    return { application: this.#live.current(), script: file, name: this.#name, mount };
  }
}

/** Several applications: the longest mount point that the URL's path lies below answers. */
class MountRouter implements Router {
  readonly #mounts: readonly { readonly point: string; readonly router: ApplicationRouter }[];

  constructor(applications: readonly MountedApplication[], options: RouterOptions) {
    this.#mounts = applications
      .map(({ mountPoint, reference }) => ({
        point: mountPoint,
        router: new ApplicationRouter(reference, { ...options, mountPoint }),
      }))
      .sort((left, right) => right.point.length - left.point.length);
  }

  async preload(): Promise<void> {
    for (const { router } of this.#mounts) await router.preload();
  }

  route(variables: Variables): Route {
    const path = urlPathOf(variables["REQUEST_URI"] ?? "")?.folded ?? "";
    const mount = this.#mounts.find(({ point }) => isUnder(path, point));
    if (mount === undefined) throw new LoadError("not-found", `no application is mounted at ${JSON.stringify(path)}`);
    return mount.router.route(variables);
  }

  get watches(): readonly Watch[] {
    return this.#mounts.flatMap(({ router }) => router.watches);
  }

  isStale(): boolean {
    return this.#mounts.some(({ router }) => router.isStale());
  }
}

class ScriptRouter implements Router {
  readonly #root: string | undefined;
  readonly #options: RouterOptions;
  readonly #applications = new Map<string, LiveApplication>();
  readonly watches: readonly Watch[] = [];

  constructor(root: string | undefined, options: RouterOptions) {
    this.#root = root;
    this.#options = options;
  }

  async preload(): Promise<void> {}

  isStale(): boolean {
    // A script that is broken is a 500 of its own, in every process.
    return [...this.#applications.values()].some((live) => live.isLoaded && live.isStale());
  }

  route(variables: Variables): Route {
    if (isForAuthorizer(variables)) {
      throw new LoadError(
        "refused",
        "a folder of scripts does not say who may come in: name the script, --auth-script",
      );
    }
    const { match, isTranslated } = this.#find(variables);
    const mount = {
      // The process's mount point is that of the whole root: Apache has it in SCRIPT_NAME already.
      mountPoint: normalMountPoint(variables["TSGI_MOUNT_POINT"]),
      rest: isTranslated || match.rest !== "" ? match.rest : undefined,
    };
    mend(variables, "SCRIPT_FILENAME", encodeText(match.file));
    return { application: this.#liveFor(match.file).current(), script: match.file, mount };
  }

  #find(variables: Variables): { match: ScriptMatch; isTranslated: boolean } {
    const translated = variables["PATH_TRANSLATED"];
    // Only mod_actions sets REDIRECT_HANDLER: the handler's own file is not the script, the URL's file is.
    if (translated !== undefined && variables["REDIRECT_HANDLER"] !== undefined) {
      return { match: findScript(this.#rootFor(variables, []), translated), isTranslated: true };
    }
    const root = this.#rootFor(variables, ["CONTEXT_DOCUMENT_ROOT"]);
    return { match: findScript(root, scriptPathOf(variables)), isTranslated: false };
  }

  /** Without a configured root, a folder that Apache maps: only where Apache itself started this process. */
  #rootFor(variables: Variables, names: readonly string[]): string {
    const given = ["TSGI_SCRIPT_ROOT", ...names, "DOCUMENT_ROOT"].map((name) => variables[name]);
    const root = this.#root ?? given.find((value) => value !== undefined && value !== "") ?? "";
    if (!root.startsWith("/")) throw new LoadError("refused", "no script root: give --script-root or TSGI_SCRIPT_ROOT");
    return root;
  }

  #liveFor(file: string): LiveApplication {
    const known = this.#applications.get(file);
    if (known !== undefined) return known;
    const live = new LiveApplication({ file, exportName: undefined }, this.#options);
    this.#applications.set(file, live);
    return live;
  }
}

/** Asks a script of its own who may come in. */
class GuardedRouter implements Router {
  readonly #router: Router;
  readonly #file: string;
  readonly #authorizer: LiveApplication;

  constructor(router: Router, file: string, options: RouterOptions) {
    this.#router = router;
    this.#file = file;
    this.#authorizer = new LiveApplication(authorizerReference(file), options);
  }

  async preload(): Promise<void> {
    await this.#router.preload();
    await this.#authorizer.current();
  }

  route(variables: Variables): Route {
    if (!isForAuthorizer(variables)) return this.#router.route(variables);
    return { application: this.#authorizer.current(), script: this.#file, mount: noMount };
  }

  get watches(): readonly Watch[] {
    return [...this.#router.watches, this.#authorizer.watch];
  }

  isStale(): boolean {
    return this.#router.isStale() || this.#authorizer.isStale();
  }
}

export function createRouter(options: RouterOptions): Router {
  const { authScript } = options;
  const router = routerFor(options);
  return authScript === undefined ? router : new GuardedRouter(router, authScript, options);
}

function routerFor(options: RouterOptions): Router {
  const { target } = options;
  switch (target.kind) {
    case "application":
      return new ApplicationRouter(target.reference, options);
    case "mounts":
      return new MountRouter(target.applications, options);
    case "scripts":
      return new ScriptRouter(target.root, options);
  }
}
