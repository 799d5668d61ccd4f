// What a plain function is: an application of the gateway, a Node handler or a fetch handler.
// Rules: a generator yields a body, so it is an application of the gateway; then the names of the parameters say it, then,
// unless the caller knows better, their number: two or three are (req, res[, next]), one or none is (request). A class is
// none of these. Imports nothing: this is on the way of every application.

type AnyFunction = (...parameters: never[]) => unknown;

export type FunctionKind = "wsgi" | "node" | "fetch";

const generator = /^\[object (?:Async)?GeneratorFunction\]$/;
/** function f(a, b), async (a, b) =>, a =>, method(a, b). */
const parameterList =
  /^(?:async\s+)?(?:function\b[^(]*)?\(([^)]*)\)|^(?:async\s+)?([\w$]+)\s*=>|^(?:async\s+)?\[?[\w$.]+\]?\s*\(([^)]*)\)/;

/** The names of a function's parameters, as far as its text shows them; "" for one that is taken apart. */
export function parameterNames(value: AnyFunction): readonly string[] {
  const [, inBrackets, alone, ofMethod] = parameterList.exec(Function.prototype.toString.call(value)) ?? [];
  const list = (inBrackets ?? alone ?? ofMethod ?? "").trim();
  return list === "" ? [] : list.split(",").map((part) => /^\s*([\w$]*)/.exec(part)?.[1] ?? "");
}

function kindByNames(value: AnyFunction): FunctionKind | undefined {
  const [first = "", second = ""] = parameterNames(value);
  if (/^_*env(?:iron)?$/i.test(first) || /^_*start(?:_?response)?$/i.test(second)) return "wsgi";
  if (/^_*res(?:ponse)?$/i.test(second)) return "node";
  if (value.name === "application") return "wsgi";
  if (second !== "" && /^_*req(?:uest)?$/i.test(first))
    return /^_*(?:env|ctx|context)/i.test(second) ? "fetch" : "node";
  return undefined;
}

function kindByCount(count: number): FunctionKind | undefined {
  if (count < 2) return "fetch";
  return count < 4 ? "node" : undefined;
}

/** What `value` is; `otherwise` where its text does not tell, or its number of parameters without that. */
export function kindOfFunction(value: AnyFunction, otherwise?: FunctionKind): FunctionKind | undefined {
  if (generator.test(Object.prototype.toString.call(value))) return "wsgi";
  if (/^class\b/.test(Function.prototype.toString.call(value))) return undefined;
  return kindByNames(value) ?? otherwise ?? kindByCount(value.length);
}

/** A function without the marks of an Express or Connect application and the like, which are functions with methods. */
export function isPlainFunction(value: unknown): value is AnyFunction {
  return typeof value === "function" && !("handle" in value) && !("fetch" in value) && !("routing" in value);
}
