// The native handle under a socket, as it goes from one process to another: what node:net keeps in `_handle`.
// Rules: reading stops on the handle before anything else, since what a socket reads after that is lost; a handle has one
// owner, who closes it or passes it on. Whatever was written must have left before (`writableLength` 0).

import { Socket } from "node:net";
import { UsageError } from "../errors.ts";

/** An open connection without a Socket around it, as `process.send` takes it. */
export type SocketHandle = object & { close(): void };

/** What libuv's wrapper of a stream has beside that. */
export interface StreamHandle extends SocketHandle {
  /** The descriptor, which does not block. */
  readonly fd: number;
  readStop(): number;
  reading: boolean;
}

interface HandleHolder {
  _handle: StreamHandle | null;
}

interface HandleOptions {
  readonly handle: SocketHandle;
  readonly allowHalfOpen: boolean;
  readonly readableHighWaterMark: number;
  readonly writableHighWaterMark: number;
}

/** Bytes that may wait in a socket for a slow peer before the application is asked to wait; as many may wait unread. */
export const socketBufferBytes = 64 * 1024;

// eslint-disable-next-line typescript/no-unsafe-type-assertion -- the types leave out `handle`; child_process uses it
const HandleSocket = Socket as unknown as new (options: HandleOptions) => Socket;

/** Takes what the socket has read and not emitted; nothing more of it is emitted. For one about to be released. */
export function takeUnread(socket: Socket): Buffer[] {
  socket.removeAllListeners("data");
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk: unknown = socket.read();
    if (!Buffer.isBuffer(chunk)) return chunks;
    chunks.push(chunk);
  }
}

/**
 * Takes the handle out of a socket, which ends and emits "close". What the socket has read goes with it: take it before,
 * in the same turn, by `takeUnread`. The caller owns the handle.
 */
export function releaseHandle(socket: Socket): SocketHandle {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- checked in the next line
  const holder = socket as unknown as HandleHolder;
  const handle = holder._handle;
  if (handle === null || handle === undefined) throw new UsageError("a socket that is closed has no handle to release");
  handle.readStop();
  handle.reading = false;
  holder._handle = null;
  socket.setTimeout(0);
  socket.destroy();
  return handle;
}

/** A socket around a handle, with the options of accepted ones. It reads at once: add the listeners now. */
export function adoptHandle(handle: SocketHandle): Socket {
  const socket = new HandleSocket({
    handle,
    allowHalfOpen: true,
    readableHighWaterMark: socketBufferBytes,
    writableHighWaterMark: socketBufferBytes,
  });
  return socket.setNoDelay(true);
}
