// The program of an upload kit, on the host: serves one CGI request with the application that lies beside it, bundled.
// Rules: nothing is compiled and nothing written; descriptor 1 already is stderr, as in bin/tsgi-cgi.

import { installLightClasses } from "../../adapters/fetch-globals.ts";
import { captureListen } from "../../adapters/listen-capture.ts";
import type { AdapterName } from "../../adapters/names.ts";
import { LoadError, messageOf } from "../../errors.ts";
import type { ModuleFormat } from "../../loader/entry.ts";
import type { Namespace } from "../../loader/instance.ts";
import { resourcesInUse } from "../../loader/listening.ts";
import { findApplication } from "../../loader/load.ts";
import type { ProcessLog } from "../../log.ts";
import { createLog, logOptionsOf } from "../../log.ts";
import { captureConsole } from "../../log/console.ts";
import { RequestScope } from "../../log/scope.ts";
import { cgiVariables, runCgi } from "../../server/cgi.ts";
import { errorPagesOfEnvironment } from "../../server/error-pages.ts";
import type { Router } from "../../server/route.ts";
import { normalMountPoint } from "../../gateway/mount.ts";
import type { Application } from "../../spec.ts";

/** What was bundled. */
export interface Kit {
  readonly importApplication: () => Promise<Namespace>;
  /** The bundle's file, absolute. */
  readonly file: string;
  readonly moduleFormat: ModuleFormat;
  readonly exportName: string | undefined;
  readonly adapter: AdapterName | undefined;
}

const startDeadlineMs = 60_000;

async function loadKit(kit: Kit, log: ProcessLog): Promise<Application> {
  const { file, moduleFormat, exportName, adapter } = kit;
  const resourcesBefore = resourcesInUse();
  const deadline = performance.now() + startDeadlineMs;
  installLightClasses();
  const capture = captureListen(file, log);
  const namespace = await kit.importApplication().catch((error: unknown) => {
    throw new LoadError("failed-inside", `${file} failed while it was loaded: ${messageOf(error)}`, error);
  });
  const script = { file, namespace, moduleFormat, exportName, adapter, capture, resourcesBefore, deadline };
  return (await findApplication(script, false)).application;
}

function routerOf(kit: Kit, log: ProcessLog): Pick<Router, "route"> {
  return {
    route: (variables) => ({
      application: loadKit(kit, log),
      script: kit.file,
      mount: { mountPoint: normalMountPoint(variables["TSGI_MOUNT_POINT"]), mayBeProxied: false },
    }),
  };
}

const noArguments = {
  app: undefined,
  mountPoint: undefined,
  cacheDir: undefined,
  adapter: undefined,
  scriptRoot: undefined,
  idleTimeoutMs: undefined,
  memoryLimitBytes: undefined,
} as const;

/** Serves the request of this process, and ends it. The response goes to descriptor 3. */
export async function runKit(kit: Kit): Promise<never> {
  const logOptions = logOptionsOf(process.env);
  const log = createLog(logOptions);
  const scope = new RequestScope({ isExclusive: true });
  delete process.env["HTTP_PROXY"];
  captureConsole(log, scope);
  try {
    process.exitCode = await runCgi({
      target: { kind: "scripts", root: undefined },
      router: routerOf(kit, log),
      args: noArguments,
      variables: cgiVariables(),
      outputFd: 3,
      log,
      isLogApaches: logOptions.file === undefined,
      scope,
      errorPages: await errorPagesOfEnvironment(process.env, log),
    });
  } catch (error) {
    process.stderr.write(`tsgi: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
  // oxlint-disable-next-line unicorn/no-process-exit -- the program's end: nothing that the application left keeps it
  process.exit();
}
