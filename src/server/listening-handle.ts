// The native handle of a listening socket, as it travels between processes.
// Rules: Node documents how a server is sent to a child, and that server accepts from then on; a supervisor has to hold a
// listening socket without accepting. A handle that came over the channel does just that until somebody listens on it, and
// `net.Server.listen` takes it. Beside this, socket-handle.ts, shared-read.ts and warm/start.ts touch `_handle`, and nobody
// else.

import type { Server } from "node:net";
import type { SocketHandle, StreamHandle } from "./socket-handle.ts";

/** The handle under a server that listens; undefined when it does not. It goes on belonging to the server. */
export function listeningHandleOf(server: Server): SocketHandle | undefined {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- a field of every net.Server that the types leave out
  return (server as Server & { readonly _handle?: SocketHandle | null })._handle ?? undefined;
}

type OnConnection = (this: ListeningHandle, status: number, connection: StreamHandle | undefined) => void;

interface ListeningHandle extends SocketHandle {
  onconnection?: OnConnection;
  /** TCP has it, unix sockets do not. */
  readonly getsockname?: unknown;
}

/**
 * Offers each connection of a unix socket to `take` before the server makes a socket of it. True: it has been taken. To be
 * called once each time that the server listens. A Node that does not keep `onconnection` there offers nothing.
 */
export function offerFirst(server: Server, take: (connection: StreamHandle) => boolean): void {
  const handle: ListeningHandle | undefined = listeningHandleOf(server);
  if (handle === undefined || handle.getsockname !== undefined) return;
  const { onconnection } = handle;
  if (onconnection === undefined) return;
  handle.onconnection = function accepted(status, connection) {
    const canTake = connection !== undefined && typeof connection.fd === "number";
    if (!canTake || !take(connection)) onconnection.call(this, status, connection);
  };
}

/** Accepts on the handle, which belongs to the server from then on; an earlier one is closed. Rejects with the system's error. */
export async function listenOnHandle(server: Server, handle: SocketHandle): Promise<void> {
  if (server.listening) server.close();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(handle, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}
