// The answers to Apache's questions who may come in, as an application that plays the FastCGI role AUTHORIZER
// (FastCGI 1.0, section 6.3; mod_authnz_fcgi; FcgidAuthenticator, FcgidAuthorizer and FcgidAccessChecker of mod_fcgid).
// Rules: only the value `true` lets anybody in, and only 200 does so for Apache; whatever fails or takes too long is an error
// that is not 200. The password is gone from the environ before anything of the script runs. A 200 has no header but
// `Variable-*`: Apache would send any other one on to the client.

import { ContractError, RequestTimeoutError } from "../errors.ts";
import { encodeText } from "../gateway/text.ts";
import type { Application, Environ } from "../spec.ts";
import type { AuthorizerHooks } from "./hooks.ts";
import { withoutPassword } from "./secret.ts";

/** Before mod_authnz_fcgi gives up, which it does after 30 s without saying why. */
const defaultTimeoutMs = 20_000;

/** Where the groups are named of which a user must be in one, with commas between them: Apache passes no `Require` line on. */
const requiredGroups = "TSGI_REQUIRE_GROUPS";

/** Which question Apache asks. mod_authnz_fcgi names none when it asks for the password and the groups at once. */
type Question = "password" | "groups" | "password-and-groups" | "access";

type Verdict = { readonly isAllowed: true; readonly groups?: readonly string[] } | Refusal;

interface Refusal {
  readonly isAllowed: false;
  readonly status: "401 Unauthorized" | "403 Forbidden";
}

const unauthorized: Refusal = { isAllowed: false, status: "401 Unauthorized" };
const forbidden: Refusal = { isAllowed: false, status: "403 Forbidden" };
const allowed: Verdict = { isAllowed: true };

const questions: ReadonlyMap<string, Question> = new Map([
  ["AUTHENTICATOR", "password"],
  ["AUTHORIZER", "groups"],
  ["ACCESS_CHECKER", "access"],
]);

function questionOf(environ: Environ): Question {
  const role = textOf(environ, "FCGI_APACHE_ROLE");
  const question = role === undefined ? "password-and-groups" : questions.get(role);
  if (question === undefined) throw new ContractError(`Apache asks for the role ${JSON.stringify(role)}: unknown`);
  return question;
}

function textOf(environ: Environ, name: string): string | undefined {
  const value = environ[name];
  return typeof value === "string" ? value : undefined;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes as latin-1, as text; undefined where they are no UTF-8: nobody has such a name or password. */
function decoded(bytes: string | undefined): string | undefined {
  try {
    return bytes === undefined ? undefined : utf8.decode(Buffer.from(bytes, "latin1"));
  } catch {
    return undefined;
  }
}

/** Takes the password out of the environ, with every variable that holds it too. */
function takePassword(environ: Environ): string | undefined {
  const password = textOf(environ, "REMOTE_PASSWD");
  for (const name of Object.keys(environ)) {
    if (name === "REMOTE_PASSWD" || /authorization$/i.test(name)) delete environ[name];
  }
  return decoded(password);
}

function needed<Hook>(hook: Hook | undefined, name: string): Hook {
  if (hook === undefined) throw new ContractError(`Apache asks for ${name}, which the script does not export`);
  return hook;
}

/** What a hook said: true, or false for a no and for nothing known. Throws ContractError for anything else. */
function yesOrNo(answer: unknown, name: string): boolean {
  if (answer === undefined || answer === null) return false;
  if (typeof answer === "boolean") return answer;
  throw new ContractError(`${name} gave a ${typeof answer}; only true, false and undefined say something here`);
}

function groupNames(text: string): readonly string[] {
  return text.split(/[,\s]+/).filter((name) => name !== "");
}

function listOfGroups(answer: unknown): readonly string[] {
  if (answer === undefined || answer === null) return [];
  const isList = typeof answer === "object" && Symbol.iterator in answer;
  const groups: readonly unknown[] = isList ? [...(answer as Iterable<unknown>)] : [undefined];
  if (!groups.every((group) => typeof group === "string")) {
    throw new ContractError(`groupsForUser gave no list of names; it gives an array or a Set of strings, or undefined`);
  }
  return groups;
}

/** One question and its answer. */
class Inquiry {
  readonly #hooks: AuthorizerHooks;
  readonly #environ: Environ;
  readonly #user: string | undefined;

  constructor(hooks: AuthorizerHooks, environ: Environ) {
    this.#hooks = hooks;
    this.#environ = environ;
    this.#user = decoded(environ.REMOTE_USER);
  }

  async verdict(password: string | undefined): Promise<Verdict> {
    switch (questionOf(this.#environ)) {
      case "access":
        return await this.#access(needed(this.#hooks.allowAccess, "allowAccess"));
      case "password":
        return await this.#password(password);
      case "groups":
        return await this.#groups(this.#requiredGroups());
      case "password-and-groups": {
        const verdict = await this.#password(password);
        const isForGroups = textOf(this.#environ, requiredGroups) !== undefined;
        return verdict.isAllowed && isForGroups ? await this.#groups(this.#requiredGroups()) : verdict;
      }
    }
  }

  async #access(allowAccess: NonNullable<AuthorizerHooks["allowAccess"]>): Promise<Verdict> {
    const host = textOf(this.#environ, "REMOTE_HOST") ?? this.#environ.REMOTE_ADDR ?? "";
    const answer: unknown = await allowAccess(this.#environ, host);
    return yesOrNo(answer, "allowAccess") ? allowed : forbidden;
  }

  /** mod_authnz_fcgi has no question of its own for the host: it is asked here too, where the script has an answer. */
  async #password(password: string | undefined): Promise<Verdict> {
    const checkPassword = needed(this.#hooks.checkPassword, "checkPassword");
    const { allowAccess } = this.#hooks;
    if (allowAccess !== undefined) {
      const verdict = await this.#access(allowAccess);
      if (!verdict.isAllowed) return verdict;
    }
    if (this.#user === undefined || password === undefined) return unauthorized;
    try {
      const answer: unknown = await checkPassword(this.#environ, this.#user, password);
      return yesOrNo(answer, "checkPassword") ? allowed : unauthorized;
    } catch (error) {
      throw withoutPassword(error, this.#user, password);
    }
  }

  #requiredGroups(): readonly string[] {
    const names = groupNames(decoded(textOf(this.#environ, requiredGroups)) ?? "");
    if (names.length > 0) return names;
    throw new ContractError(`Apache asks for groups, and ${requiredGroups} names none: set it with SetEnvIf`);
  }

  async #groups(required: readonly string[]): Promise<Verdict> {
    const groupsForUser = needed(this.#hooks.groupsForUser, "groupsForUser");
    if (this.#user === undefined) return unauthorized;
    const groups = listOfGroups(await groupsForUser(this.#environ, this.#user));
    return required.some((name) => groups.includes(name)) ? { isAllowed: true, groups } : forbidden;
  }
}

async function withDeadline<Value>(work: Promise<Value>, timeoutMs: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new RequestTimeoutError(timeoutMs, timeoutMs)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Where mod_authnz_fcgi answers with our refusal in the place of its own (AuthnzFcgiCheckAuthnProvider), the browser has to
 * learn what to ask for; it drops the header everywhere else. Without a password Apache has added its own.
 */
function refusalHeaders({ status }: Refusal, environ: Environ, hadPassword: boolean): Array<[string, string]> {
  if (status !== "401 Unauthorized" || !hadPassword) return [];
  const realm = (textOf(environ, "TSGI_AUTH_REALM") ?? "Restricted").replace(/["\\]/g, "\\$&");
  return [["WWW-Authenticate", `Basic realm="${realm}", charset="UTF-8"`]];
}

/** For the application; names that could be read as two are left out. */
function groupsVariable(groups: readonly string[]): [string, string] {
  return ["Variable-TSGI_GROUPS", encodeText(groups.filter((name) => groupNames(name).join() === name).join(","))];
}

/** The application that answers with a script's hooks, each within the deadline (ms). */
export function authorizerOf(hooks: AuthorizerHooks, timeoutMs: number = defaultTimeoutMs): Application {
  return async (environ, startResponse) => {
    const password = takePassword(environ);
    const verdict = await withDeadline(new Inquiry(hooks, environ).verdict(password), timeoutMs);
    if (!verdict.isAllowed) {
      startResponse(verdict.status, refusalHeaders(verdict, environ, password !== undefined));
      return "";
    }
    startResponse("200 OK", verdict.groups === undefined ? [] : [groupsVariable(verdict.groups)]);
    return "";
  };
}
