// The bytes of one connection, in both directions, and its transport's clocks: what FastCGI is spoken over.
// Rules: a connection that was just accepted has no Socket yet. A request that came with it, and whose response leaves at
// once, needs none, and node:net takes longer to make one and to end it than the request takes; the socket is there for
// all else, at the latest when others have had their turn. Closing with unread input would reset what the peer has not
// read yet: unless it has sent all, our side is half-closed, and the rest read to its end.

import { writeSync } from "node:fs";
import type { Socket } from "node:net";
import { ClientGoneError, UsageError } from "../errors.ts";
import { whenDrained } from "./drained.ts";
import { SharedRead } from "./shared-read.ts";
import type { SocketHandle, StreamHandle } from "./socket-handle.ts";
import { adoptHandle, releaseHandle, takeUnread } from "./socket-handle.ts";

/** Who speaks over it. */
export interface WireOwner {
  /** Bytes, good until this returns: what is kept of them goes through `keep`. */
  receive(bytes: Buffer): void;
  /** The peer sends no more. */
  peerEnded(): void;
  /** It takes more, after a `write` that gave false. */
  writable(): void;
  /** Nothing came or went for as long as was said. */
  idle(): void;
  /** It has failed, and closes. */
  failed(error: Error): void;
  /** Called once, when it has closed. */
  closed(): void;
}

/** How long a peer that has all may take to close its side, ms. */
const lingerMs = 5000;
/** How long a peer may take nothing of what is left to be written at the end, ms: as Apache's ProxyTimeout has it by us. */
const stallMs = 300_000;

const nothing = Buffer.alloc(0);

export class Wire {
  readonly #owner: WireOwner;
  readonly #idleTimeoutMs: number;
  readonly #reading: SharedRead;
  /** Of a connection without a socket. */
  #handle: StreamHandle | undefined;
  #socket: Socket | undefined;
  #isPaused = false;
  #isEnding = false;
  #linger: NodeJS.Timeout | undefined;

  /**
   * Takes over a socket that was made with `allowHalfOpen`, and that nothing was read from; or a connection as it was
   * accepted, which needs `openSoon`. An `idleTimeoutMs` of 0 waits for ever.
   */
  constructor(source: Socket | StreamHandle, owner: WireOwner, idleTimeoutMs: number) {
    this.#owner = owner;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#reading = new SharedRead((bytes) => owner.receive(bytes));
    if ("readStop" in source) this.#handle = source;
    else this.#attach(source);
  }

  /** What was read goes on being good after the owner has returned. */
  keep(bytes: Uint8Array): Buffer {
    return this.#reading.keep(bytes);
  }

  /** Makes the socket after others have had their turn, unless the connection has closed by then. */
  openSoon(): void {
    if (this.#handle === undefined) return;
    setImmediate(() => {
      if (this.#handle !== undefined) this.#open();
    });
  }

  get isClosed(): boolean {
    return this.#socket === undefined ? this.#handle === undefined : this.#socket.destroyed;
  }

  /** Whether the peer does not read what was written. */
  get isBlocked(): boolean {
    return this.#socket?.writableNeedDrain === true;
  }

  /** Writes; false asks to wait until it is `writable`. */
  write(frames: readonly Uint8Array[]): boolean {
    const [first] = frames;
    if (frames.length === 1 && first !== undefined) {
      const rest = this.#socket === undefined ? this.#writeNow(first) : first;
      return rest === undefined || this.#open().write(rest);
    }
    const socket = this.#open();
    socket.cork();
    let canTakeMore = true;
    for (const frame of frames) canTakeMore = socket.write(frame);
    socket.uncork();
    return canTakeMore;
  }

  /** An empty write: on a unix socket it fails where nobody is there to read. */
  probe(): void {
    this.#open().write(nothing);
  }

  /** Settles when it can take more; rejects with ClientGoneError when it closes before. */
  drained(): Promise<void> {
    if (this.#socket !== undefined) return whenDrained(this.#socket);
    return this.isClosed ? Promise.reject(new ClientGoneError()) : Promise.resolve();
  }

  /** Calls `then` when all that was written has left. False when it has: then nothing is called. */
  flush(then: () => void): boolean {
    if (this.#socket === undefined || this.#socket.writableLength === 0) return false;
    this.#socket.write(nothing, then);
    return true;
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket?.resume();
  }

  /** Begins to count the idle time anew. */
  restartIdle(): void {
    this.#socket?.setTimeout(this.#idleTimeoutMs);
  }

  /** Closes when what was written has left and the peer has closed its side too, if it may have more to send. */
  end(hasWholeInput: boolean): void {
    if (this.#socket === undefined && hasWholeInput) {
      this.#closeHandle();
      return;
    }
    const socket = this.#open();
    this.#isEnding = true;
    socket.setTimeout(stallMs);
    socket.end(() => {
      if (!socket.destroyed) this.#linger = setTimeout(() => socket.destroy(), lingerMs);
    });
    this.resume(); // to the end of what the peer sends
  }

  /** Closes when what was written has left. */
  endNow(): void {
    if (this.#socket === undefined) this.#closeHandle();
    else this.#socket.destroySoon();
  }

  /** Closes. */
  destroy(): void {
    if (this.#socket === undefined) this.#closeHandle();
    else this.#socket.destroy();
  }

  /** Gives the connection away, with what was read and not received. All that was written must have left. */
  release(): { readonly handle: SocketHandle; readonly unread: readonly Buffer[] } {
    const socket = this.#open();
    const unread = takeUnread(socket);
    return { handle: releaseHandle(socket), unread };
  }

  /** Writes to the connection itself what goes without waiting. Gives what is left, undefined when nothing is. */
  #writeNow(bytes: Uint8Array): Uint8Array | undefined {
    if (this.#handle === undefined) return bytes;
    try {
      const written = writeSync(this.#handle.fd, bytes);
      return written === bytes.length ? undefined : bytes.subarray(written);
    } catch {
      return bytes; // the socket meets the same, and waits or fails
    }
  }

  #open(): Socket {
    if (this.#socket !== undefined) return this.#socket;
    if (this.#handle === undefined) throw new UsageError("a connection that has closed cannot be used");
    const socket = adoptHandle(this.#handle);
    this.#attach(socket);
    if (this.#isPaused) socket.pause();
    return socket;
  }

  #attach(socket: Socket): void {
    const owner = this.#owner;
    this.#handle = undefined;
    this.#socket = socket;
    this.#reading.attach(socket);
    socket.on("end", () => owner.peerEnded());
    socket.on("drain", () => owner.writable());
    socket.on("error", (error) => owner.failed(error));
    socket.on("close", () => {
      clearTimeout(this.#linger);
      owner.closed();
    });
    socket.on("timeout", () => (this.#isEnding ? socket.destroy() : owner.idle()));
    socket.setTimeout(this.#idleTimeoutMs);
  }

  #closeHandle(): void {
    if (this.#handle === undefined) return;
    this.#handle.close();
    this.#handle = undefined;
    this.#owner.closed();
  }
}
