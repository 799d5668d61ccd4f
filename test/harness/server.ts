// `tsgi start-server` in tests: started, announced, asked, stopped.
import { onTestFinished } from "vitest";
import type { Program, ProgramEnd } from "./program.ts";
import { httpRequest, type HttpReply, type HttpRequest } from "./http.ts";
import { freePort } from "./machine.ts";
import { until } from "./until.ts";
import type { Workspace } from "./workspace.ts";

export interface ServerOptions {
  readonly args?: readonly string[];
  readonly asRoot?: boolean;
  readonly env?: Record<string, string>;
  /** Started for a whole file, not stopped at the end of the test that started it. */
  readonly outlivesTest?: boolean;
}

export class StartedServer {
  readonly program: Program;
  readonly port: number;
  /** The one line on standard output. */
  readonly line: string;

  private constructor(program: Program, port: number, line: string) {
    this.program = program;
    this.port = port;
    this.line = line;
  }

  /** Starts it on a free port and waits for its line; throws with its output when it ends instead. */
  static async start(workspace: Workspace, app: string, options: ServerOptions = {}): Promise<StartedServer> {
    const port = await freePort();
    const program = workspace.tsgi(["start-server", app, "--port", String(port), ...(options.args ?? [])], options);
    const line = await until(
      "the line of start-server",
      () => {
        if (program.end !== undefined) throw new Error(program.report());
        return /^tsgi: serving .*$/mu.exec(program.stdout)?.[0];
      },
      30_000,
    );
    const server = new StartedServer(program, port, line);
    if (options.outlivesTest !== true) onTestFinished(() => server.stop().then(() => undefined));
    return server;
  }

  request(request: HttpRequest | string): Promise<HttpReply> {
    return httpRequest(this.port, request);
  }

  async text(target: string): Promise<string> {
    return (await this.request(target)).body.toString();
  }

  stop(): Promise<ProgramEnd> {
    return this.program.stop(20_000);
  }
}
