// Sees to it that a group's socket stays where it is: made anew when its file is gone, and left alone, with a line in the
// log, when something else has its place.

import { formatListenAddress } from "../config/address.ts";
import type { SocketAccess } from "../server/listen.ts";
import type { Log } from "../spec.ts";
import type { Listener } from "./listener.ts";

export class SocketGuard {
  readonly #listener: Listener;
  readonly #access: SocketAccess;
  readonly #log: Log;
  #isReplaced = false;

  constructor(listener: Listener, access: SocketAccess, log: Log) {
    this.#listener = listener;
    this.#access = access;
    this.#log = log;
  }

  /** Looks once. True when the socket is a new one, of which the workers have to be told. */
  async look(): Promise<boolean> {
    const state = this.#listener.fileState;
    const fields = { listen: formatListenAddress(this.#listener.address) };
    if (state === "replaced" && !this.#isReplaced) {
      this.#log.error({ code: "TSGI3207", ...fields }, "something else is where the socket was: it is left alone");
    }
    this.#isReplaced = state === "replaced";
    if (state !== "absent") return false;
    try {
      await this.#listener.reopen(this.#access);
      this.#log.warn({ code: "TSGI3208", ...fields }, "the socket's file was gone: it has been made anew");
      return true;
    } catch (error) {
      this.#log.error({ code: "TSGI3209", ...fields, err: error }, "the socket's file is gone and cannot be made anew");
      return false;
    }
  }
}
