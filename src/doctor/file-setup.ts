// What holds for one file of a folder, or for the folder itself: options, handler, who may see it, what reaches the program.

import type { ReadDirective } from "./directive-text.ts";
import type { FolderSetup, Layer, Said } from "./setup.ts";
import { expression } from "./setup.ts";
import { wildcard } from "./configuration.ts";

export interface FileSetup {
  /** Options in lower case, "all" spelled out. */
  readonly options: Said<ReadonlySet<string>>;
  /** undefined: Apache's own, which sends the file. */
  readonly handler: Said<string> | undefined;
  readonly isDenied: Said<boolean>;
  /** Whether the Authorization header reaches programs. */
  readonly hasAuthorization: boolean;
  /** Commands of FcgidWrapper for this file. */
  readonly wrapper: Said<string> | undefined;
  readonly isGenericBackend: boolean;
  /** AcceptPathInfo in lower case. */
  readonly pathInfo: Said<string> | undefined;
  /** The directives of the last layer with rules of mod_rewrite, which replace those above. */
  readonly rewrite: readonly ReadDirective[];
}

const allOptions = ["execcgi", "followsymlinks", "includes", "indexes", "symlinksifownermatch"];

interface State {
  options: Said<Set<string>>;
  setHandler: Said<string> | undefined;
  addHandlers: Map<string, Said<string>>;
  isDenied: Said<boolean>;
  hasAuthorization: boolean;
  wrappers: Said<{ command: string; extension: string }>[];
  isGenericBackend: boolean;
  pathInfo: Said<string> | undefined;
}

function nextOptions({ value }: Said<Set<string>>, by: ReadDirective): Said<Set<string>> {
  const words = by.args.map((arg) => arg.toLowerCase());
  const isRelative = words.length > 0 && words.every((word) => /^[+-]/.test(word));
  const next = new Set(isRelative ? value : []);
  for (const word of words) {
    const name = word.replace(/^[+-]/, "");
    if (name === "none") next.clear();
    for (const option of name === "all" ? allOptions : name === "none" ? [] : [name]) {
      if (word.startsWith("-")) next.delete(option);
      else next.add(option);
    }
  }
  return { value: next, by };
}

function extensions(args: readonly string[]): string[] {
  return args.map((arg) => arg.replace(/^\./, "").toLowerCase());
}

/** What runs a file. */
function applyHandler(state: State, by: ReadDirective): boolean {
  const [first = "", ...others] = by.args;
  switch (by.name.toLowerCase()) {
    case "sethandler":
      state.setHandler = first.toLowerCase() === "none" ? undefined : { value: first, by };
      return true;
    case "addhandler":
      for (const extension of extensions(others)) state.addHandlers.set(extension, { value: first.toLowerCase(), by });
      return true;
    case "removehandler":
      for (const extension of extensions(by.args)) state.addHandlers.delete(extension);
      return true;
    case "fcgidwrapper":
      state.wrappers.push({ value: { command: first, extension: (others[0] ?? "").replace(/^virtual$/i, "") }, by });
      return true;
    default:
      return false;
  }
}

/** One directive's effect; those that do not matter here have none. */
function apply(state: State, by: ReadDirective): void {
  if (applyHandler(state, by)) return;
  const said = by.args.join(" ").toLowerCase();
  switch (by.name.toLowerCase()) {
    case "options":
      state.options = nextOptions(state.options, by);
      break;
    case "require":
      if (said === "all denied" || said === "all granted") state.isDenied = { value: said === "all denied", by };
      break;
    case "deny":
    case "allow":
      if (said === "from all") state.isDenied = { value: by.name.toLowerCase() === "deny", by };
      break;
    case "proxyfcgibackendtype":
      state.isGenericBackend = said === "generic";
      break;
    case "acceptpathinfo":
      state.pathInfo = { value: said, by };
      break;
    default:
      if (passesAuthorization(by)) state.hasAuthorization = true;
  }
}

function passesAuthorization({ name, args }: ReadDirective): boolean {
  const all = args.join(" ");
  switch (name.toLowerCase()) {
    case "cgipassauth":
      return /^on$/i.test(all);
    case "setenvif":
    case "setenvifnocase":
    case "rewriterule":
      return /HTTP_AUTHORIZATION/i.test(all);
    case "fcgidpassheader":
      return /^authorization$/i.test(all);
    default:
      return false;
  }
}

function isForFile({ name, args }: ReadDirective, file: string): boolean {
  const [first = "", second = ""] = args;
  switch (name.toLowerCase()) {
    case "files":
      return first === "~" ? expression(second)?.test(file) === true : wildcard(first).test(file);
    case "filesmatch":
      return expression(first)?.test(file) === true;
    default:
      return false;
  }
}

function isForUrl({ name, args }: ReadDirective, urlPath: string): boolean {
  const [first = "", second = ""] = args;
  switch (name.toLowerCase()) {
    case "location": {
      if (first === "~") return expression(second)?.test(urlPath) === true;
      const path = first.replace(/\/+$/, "");
      return urlPath === path || urlPath.startsWith(`${path}/`);
    }
    case "locationmatch":
      return expression(first)?.test(urlPath) === true;
    default:
      return false;
  }
}

/** The rules of mod_rewrite for the folder: those nearest to it, which replace the others. */
function rewriteDirectives(layers: readonly Layer[]): ReadDirective[] {
  const isRule = ({ name }: ReadDirective): boolean => /^rewrite(?:engine|base|cond|rule)$/i.test(name);
  const found = layers.map(({ scope, directives }) => (scope === "server" ? [] : directives.filter(isRule)));
  return found.findLast((rules) => rules.length > 0) ?? [];
}

/** `name` is a file's name in the folder, or "" for the folder itself. */
export function fileSetup({ layers, place }: FolderSetup, name: string): FileSetup {
  const isKnown = place !== undefined;
  const state: State = {
    options: { value: new Set(["followsymlinks"]), by: undefined },
    setHandler: place?.isScriptAlias === true ? { value: "cgi-script", by: place.directive } : undefined,
    addHandlers: new Map(),
    isDenied: { value: false, by: undefined },
    hasAuthorization: false,
    wrappers: [],
    isGenericBackend: false,
    pathInfo: undefined,
  };
  if (place?.isScriptAlias === true) state.options.value.add("execcgi");
  for (const { directives } of layers) {
    for (const one of directives) if (one.children === undefined) apply(state, one);
  }
  const sections = (isFor: (one: ReadDirective) => boolean): void => {
    const found = layers.flatMap(({ directives }) =>
      directives.filter((one) => one.children !== undefined && isFor(one)),
    );
    for (const one of found.flatMap(({ children }) => children ?? []))
      if (one.children === undefined) apply(state, one);
  };
  if (name !== "") sections((one) => isForFile(one, name));
  if (isKnown) sections((one) => isForUrl(one, `${place.urlPath}/${name}`.replace(/\/$/, "") || "/"));
  const byExtension = name
    .toLowerCase()
    .split(".")
    .slice(1)
    .flatMap((extension) => state.addHandlers.get(extension) ?? []);
  const handler = state.setHandler ?? byExtension.at(-1);
  const wrapper = state.wrappers.findLast(({ value }) => value.extension === "" || name.endsWith(value.extension));
  return {
    options: state.options,
    handler: name === "" ? state.setHandler : handler,
    isDenied: state.isDenied,
    hasAuthorization: state.hasAuthorization,
    wrapper: wrapper === undefined ? undefined : { value: wrapper.value.command, by: wrapper.by },
    isGenericBackend: state.isGenericBackend,
    pathInfo: state.pathInfo,
    rewrite: rewriteDirectives(layers),
  };
}
