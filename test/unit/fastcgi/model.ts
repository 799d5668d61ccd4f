// A reference model of the application side, for comparison: whole records in, log entries out. It stores everything,
// looks at each record on its own and is as plain as the specification allows.
import { end, pair, record, sortPairs } from "./wire.ts";
import type { WireRecord } from "./wire.ts";

const roles: Readonly<Record<number, string>> = { 1: "RESPONDER", 2: "AUTHORIZER" };

export class Model {
  live: { id: number; who: string; keep: boolean; phase: string; params: Buffer; stdout: boolean } | undefined;
  closed = false;
  dead = false;

  receive({ type, id, content }: WireRecord): string[] {
    if (this.closed || this.dead) return [];
    if (id === 0) return this.#manage(type, content);
    if (type === 1) return this.#begin(id, content);
    const live = this.live;
    if (live?.id !== id || live.phase === "aborted") return [];
    const isAuthorizer = live.who.includes("AUTHORIZER");
    if (type === 2) {
      live.phase = "aborted";
      return [`abort ${id}`];
    }
    if (type === 4 && live.phase !== "params") return this.#die();
    if (type === 4 && content.length > 0) live.params = Buffer.concat([live.params, content]);
    else if (type === 4) {
      const pairs = readPairs(live.params);
      if (pairs === undefined) return this.#die();
      live.phase = isAuthorizer ? "complete" : "stdin";
      return [`request ${live.who} ${JSON.stringify(pairs)}`, ...(isAuthorizer ? [`stdin-end ${id}`] : [])];
    }
    if (type !== 5 || isAuthorizer || live.phase === "complete") return [];
    if (live.phase === "params") return this.#die();
    if (content.length > 0) return [...content].map((byte) => `stdin ${id} ${byte}`);
    live.phase = "complete";
    return [`stdin-end ${id}`];
  }

  /** False where the command names an id that is not live. */
  end(id: number): boolean {
    if (this.live?.id !== id) return false;
    this.closed ||= !this.live.keep;
    this.live = undefined;
    return true;
  }

  #manage(type: number, content: Buffer): string[] {
    if (type !== 9) return [`reply ${record(11, 0, Buffer.of(type, 0, 0, 0, 0, 0, 0, 0)).toString("hex")}`];
    const asked = readPairs(content);
    if (asked === undefined) return this.#die();
    const known = [pair("FCGI_MAX_CONNS", "100"), pair("FCGI_MAX_REQS", "100"), pair("FCGI_MPXS_CONNS", "0")];
    const names = new Set(asked.map(([name]) => name));
    const answer = known.filter((each) => [...names].some((name) => each.includes(name) && name.startsWith("FCGI_")));
    return [`reply ${record(10, 0, Buffer.concat(answer)).toString("hex")}`];
  }

  #begin(id: number, content: Buffer): string[] {
    if (content.length !== 8) return this.#die();
    const role = roles[content.readUInt16BE(0)];
    const keep = content.readUInt8(2) % 2 === 1;
    if (this.live?.id === id) {
      const { phase, stdout } = this.live;
      this.live = undefined;
      this.closed = true;
      return [...(phase === "aborted" ? [] : [`abort ${id}`]), `close ${stdout ? "" : end(id, 1).toString("hex")}`];
    }
    if (this.live !== undefined) return [`reply ${end(id, 1).toString("hex")}`];
    if (role === undefined) {
      this.closed = !keep;
      return [`${keep ? "reply" : "close"} ${end(id, 3).toString("hex")}`];
    }
    const who = `${id} ${role}${keep ? " keep" : ""}`;
    this.live = { id, who, keep, phase: "params", params: Buffer.alloc(0), stdout: false };
    return [`begin ${who}`];
  }

  #die(): string[] {
    this.dead = true;
    return [];
  }
}

/** Pairs with lengths of one byte, sorted, the last of each name; undefined where they are cut off. */
function readPairs(bytes: Buffer): [string, string][] | undefined {
  const pairs = new Map<string, string>();
  for (let at = 0; at < bytes.length;) {
    const name = at + 2;
    const value = name + bytes[at]!;
    const next = value + (bytes[at + 1] ?? 0);
    if (next > bytes.length || name > bytes.length) return undefined;
    pairs.set(bytes.toString("latin1", name, value), bytes.toString("latin1", value, next));
    at = next;
  }
  return sortPairs(pairs);
}
