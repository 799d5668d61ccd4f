// Opening the status page of a daemon as its settings say.

import { formatListenAddress } from "../../config/address.ts";
import type { ServerConfig } from "../../config/groups.ts";
import type { Log } from "../../spec.ts";
import { runAsOf, socketAccessOf } from "../group-setup.ts";
import type { Watched } from "./server.ts";
import { StatusServer } from "./server.ts";
import { ControlToken } from "./token.ts";

export interface Surroundings {
  /** The path of the control socket, where there is one. */
  readonly control: string | undefined;
  /** Whether a supervisor was here before and is dead. */
  readonly wasKilled: boolean;
}

/** The operator's token, or a new one beside the control socket; undefined where there is no place for one. */
function tokenOf({ controlToken }: ServerConfig, control: string | undefined): ControlToken | undefined {
  if (controlToken !== undefined) return ControlToken.fromFile(controlToken);
  return control === undefined ? undefined : ControlToken.create(`${control}.token`);
}

/**
 * Opens it, unless nobody wants it. Its socket belongs to whom that of the first group does, so Apache may connect to both.
 * Throws BootError.
 */
export async function openStatusServer(
  config: ServerConfig,
  { control, wasKilled }: Surroundings,
  watched: Watched,
  log: Log,
): Promise<StatusServer | undefined> {
  const { status: address, groups } = config;
  const [first] = groups;
  if (address === undefined || first === undefined) return undefined;
  const access = socketAccessOf(first, runAsOf(first), wasKilled);
  const token = tokenOf(config, control);
  try {
    const server = await StatusServer.open({ address, access, watched, token, log });
    log.info({ status: formatListenAddress(server.address), token: token?.file }, "the status page is served");
    return server;
  } catch (error) {
    token?.remove();
    throw error;
  }
}
