// What lines of others in an .htaccess file mean for ours: the rule by which a framework takes every URL for itself, such as
// WordPress's, and options without which our rules do not work.
// Rules: the file is read in the lines that Apache sees; a rule counts with its conditions, its sections, and the marked lines
// that it stands in. A redirect to elsewhere is no such rule.

interface LogicalLine {
  readonly start: number;
  readonly text: string;
}

/** Lines as Apache reads them: a backslash at the end joins the next one. */
function logicalLines(text: string): LogicalLine[] {
  const lines: LogicalLine[] = [];
  const pattern = /(?:[^\n]*\\\r?\n)*[^\n]*(?:\n|$)/g;
  for (let match = pattern.exec(text); match !== null && match[0] !== ""; match = pattern.exec(text)) {
    lines.push({ start: match.index, text: match[0].replace(/\\\r?\n/g, "").trim() });
  }
  return lines;
}

/** URL paths that only a pattern for pages of any name matches. */
const pages = ["qv", "qv/some-page", "qv/deeper/page"];

/** Whether a pattern is for any page: each framework has its own way to say so, and many leave out names with a dot. */
function isForAnyPage(pattern: string, flags: string): boolean {
  if (["", ".", ".*", ".+", ".?"].includes(pattern.replace(/[()^$]/g, ""))) return true;
  try {
    const expression = new RegExp(pattern, /(^|,)\s*(NC|nocase)\s*(,|$)/i.test(flags) ? "i" : "");
    return pages.every((page) => expression.test(page));
  } catch {
    return false; // what JavaScript does not know of Apache's expressions is for something special
  }
}

/** A rule that sends every URL to one script of the same server, as the front controllers of frameworks have it. */
function isCatchAll(text: string): boolean {
  const match = /^RewriteRule\s+("[^"]*"|\S+)\s+("[^"]*"|\S+)(?:\s+"?\[([^\]]*)\])?/i.exec(text);
  if (match === null) return false;
  const [pattern = "", target = "", flags = ""] = match.slice(1).map((word) => (word ?? "").replaceAll('"', ""));
  if (target === "-" || /^[a-z]+:\/\//i.test(target)) return false;
  if (flags.split(",").some((flag) => /^(R|redirect|F|forbidden|G|gone)\b/i.test(flag.trim()))) return false;
  return pattern.startsWith("!") || isForAnyPage(pattern, flags);
}

/** Where the rule that answers everything begins, with its conditions, sections and comments. */
export interface FrontController {
  readonly start: number;
  /** The rule, for people. */
  readonly rule: string;
}

/** What a reader of the file keeps in mind from line to line. */
class Place {
  #depth = 0;
  /** Where the outermost section begins. */
  #section = 0;
  /** Where lines begin that some program marks as its own. */
  #marked: number | undefined;
  /** Where the conditions and comments begin that belong to the next line. */
  #group: number | undefined;

  /** Where what a line belongs to begins. */
  of({ start }: LogicalLine): number {
    return this.#marked ?? (this.#depth > 0 ? this.#section : (this.#group ?? start));
  }

  pass(line: LogicalLine): void {
    const { start, text } = line;
    if (text.startsWith("</")) this.#depth = Math.max(0, this.#depth - 1);
    else if (text.startsWith("<")) {
      if (this.#depth === 0) this.#section = this.#group ?? start;
      this.#depth += 1;
    }
    if (/^#\s*BEGIN\b/i.test(text)) this.#marked = start;
    if (/^#\s*END\b/i.test(text)) this.#marked = undefined;
    this.#group = text.startsWith("#") || /^RewriteCond\s/i.test(text) ? (this.#group ?? start) : undefined;
  }
}

/** The first rule that would take the application's URLs; undefined when there is none. */
export function findFrontController(text: string): FrontController | undefined {
  const place = new Place();
  for (const line of logicalLines(text)) {
    if (isCatchAll(line.text)) return { start: place.of(line), rule: line.text };
    place.pass(line);
  }
  return undefined;
}

/** Whether the file turns rewriting off and not on again. */
export function turnsRewritingOff(text: string): boolean {
  const words = logicalLines(text).map((line) => /^RewriteEngine\s+"?(\w+)/i.exec(line.text)?.[1]?.toLowerCase());
  return words.findLast((word) => word !== undefined) === "off";
}

/**
 * Options that have to be set because the file sets them otherwise: mod_rewrite works only where links may be followed, and
 * with MultiViews a URL may mean another file. A file that says nothing of an option leaves it to the server. Which word for
 * links a host allows differs: one that the file has is allowed, else it is the one that is allowed more often.
 */
export function optionsToMend(text: string): string[] {
  let mayFollow = true;
  let linkWord = "SymLinksIfOwnerMatch";
  let hasVariants = false;
  for (const { text: line } of logicalLines(text)) {
    const [directive = "", ...words] = line.replaceAll('"', "").toLowerCase().split(/\s+/);
    if (directive !== "options") continue;
    if (!words.some((word) => /^[+-]/.test(word))) [mayFollow, hasVariants] = [false, false];
    for (const word of words) {
      const option = word.replace(/^[+-]/, "");
      const isOn = !word.startsWith("-");
      if (["followsymlinks", "symlinksifownermatch", "all"].includes(option)) mayFollow = isOn;
      if (option === "followsymlinks") linkWord = "FollowSymLinks";
      if (option === "multiviews") hasVariants = isOn;
    }
  }
  return [...(mayFollow ? [] : [`+${linkWord}`]), ...(hasVariants ? ["-MultiViews"] : [])];
}
