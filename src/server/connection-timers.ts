// The two clocks of a connection that the peer has to keep: for PARAMS, and for closing its side after we closed ours.

/** How long a peer may take to close its side, ms. */
const lingerMs = 5000;

export class ConnectionTimers {
  #params: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;

  /** From BEGIN_REQUEST on; does nothing when it runs already. */
  startParams(timeoutMs: number, onLate: () => void): void {
    this.#params ??= setTimeout(onLate, timeoutMs);
  }

  stopParams(): void {
    clearTimeout(this.#params);
    this.#params = undefined;
  }

  startLinger(onLate: () => void): void {
    this.#linger = setTimeout(onLate, lingerMs);
  }

  /** The socket has closed. */
  stop(): void {
    this.stopParams();
    clearTimeout(this.#linger);
  }
}
