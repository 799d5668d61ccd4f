// An application that follows its files: after a change the new code is loaded into this same process.
// Rules: files are looked at when a request comes and the interval has passed, never by a timer or a watcher. The caller that
// notices a change waits for the new code; others get the old code meanwhile. Code that is broken or half written never
// replaces code that runs: the log says so once per change. A script that is gone is gone.
// What the old code did to this process stays: its timers, listeners and connections go on, and its memory is not given back.
import type { LoadFailure } from "../errors.ts";
import { LoadError, messageOf } from "../errors.ts";
import type { Application, Log } from "../spec.ts";
import { attemptLoad, findScriptFile } from "./load.ts";
import type { AppReference, LoadedApplication, LoadOptions } from "./load.ts";
import { checkWatch } from "./watch.ts";
import type { Watch } from "./watch.ts";

export interface LiveOptions extends LoadOptions {
  /** The least time between two looks at the files, ms; 0 looks at every call, Infinity never once it is loaded. */
  readonly checkIntervalMs: number;
  readonly log: Log;
}

/** A failure that no file explains, such as a database that is down, is tried again after this long, then twice as long. */
const firstRetryMs = 1_000;
const longestRetryMs = 60_000;

/** Failures that only a change of the files can mend. */
const kindsInFiles: ReadonlySet<LoadFailure> = new Set(["compile", "no-export", "no-hooks"]);

export class LiveApplication {
  readonly #reference: AppReference;
  readonly #options: LiveOptions;
  #loaded: LoadedApplication | undefined;
  /** Why the files as they are now cannot be used; requests see it only while nothing is loaded. */
  #failure: LoadError | undefined;
  #watch: Watch = { files: [], absent: [] };
  #nextCheck = 0;
  #nextRetry = 0;
  #retryMs = firstRetryMs;
  /** Whether the load under way has a change for its reason, which is worth a line in the log. */
  #isChanged = false;
  #loading: Promise<Application> | undefined;

  constructor(reference: AppReference, options: LiveOptions) {
    this.#reference = reference;
    this.#options = options;
  }

  /**
   * The application for one request, at once when it is loaded and not due for a look at its files. Rejects with a LoadError
   * while nothing could be loaded, and with "not-found" as soon as the script is gone. Never throws.
   */
  current(): Application | Promise<Application> {
    if (this.#loading !== undefined) return this.#loaded?.application ?? this.#loading;
    const now = performance.now();
    if (now < this.#nextCheck) return this.#answer();
    this.#nextCheck = now + this.#checkIntervalMs();
    if (!this.#isDue(now)) return this.#answer();
    this.#loading = this.#load().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  get isLoaded(): boolean {
    return this.#loaded !== undefined;
  }

  /** What the application was made of, or the broken attempt at it. */
  get watch(): Watch {
    return this.#watch;
  }

  /**
   * Whether a new process would do something else than this one: the files have changed since they were loaded, or nothing
   * could be loaded. Looks at the files.
   */
  isStale(): boolean {
    if (this.#loading !== undefined || (this.#loaded === undefined && this.#failure === undefined)) return false;
    if (this.#loaded === undefined || this.#failure !== undefined) return true;
    try {
      if (findScriptFile(this.#reference.file) !== this.#loaded.file) return true;
    } catch {
      return true; // the script is gone
    }
    const { change, settled } = checkWatch(this.#watch, Date.now());
    if (settled !== undefined) this.#watch = settled;
    return change !== undefined;
  }

  /** What is not loaded is looked at again however seldom what is loaded is. */
  #checkIntervalMs(): number {
    const { checkIntervalMs } = this.#options;
    return this.#loaded === undefined ? Math.min(checkIntervalMs, firstRetryMs) : checkIntervalMs;
  }

  #answer(): Application | Promise<Application> {
    if (this.#loaded !== undefined) return this.#loaded.application;
    return Promise.reject(this.#failure ?? new LoadError("not-found", `${this.#reference.file} is not loaded`));
  }

  #isDue(now: number): boolean {
    let file: string;
    try {
      file = findScriptFile(this.#reference.file);
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      this.#loaded = undefined;
      this.#failure = error;
      this.#nextRetry = 0;
      return false;
    }
    if (this.#loaded === undefined && this.#failure === undefined) return true;
    const { change, settled } = checkWatch(this.#watch, Date.now());
    if (settled !== undefined) this.#watch = settled;
    this.#isChanged = change !== undefined || (this.#loaded !== undefined && this.#loaded.file !== file);
    if (this.#isChanged) this.#retryMs = firstRetryMs;
    return this.#isChanged || (this.#failure !== undefined && now >= this.#nextRetry);
  }

  async #load(): Promise<Application> {
    const before = this.#failure;
    const outcome = await attemptLoad(this.#reference, this.#options);
    this.#watch = outcome.watch;
    if (outcome.ok) {
      const old = this.#loaded?.application;
      this.#loaded = outcome.loaded;
      this.#failure = undefined;
      this.#retryMs = firstRetryMs;
      this.#nextCheck = performance.now() + this.#options.checkIntervalMs;
      const { application } = outcome.loaded;
      if (old !== undefined && old !== application) {
        this.#options.log.info({ file: outcome.loaded.file }, "the application changed and was loaded again");
      }
      return application;
    }
    this.#fail(outcome.error);
    if (outcome.error.kind === "not-found") this.#loaded = undefined;
    if (this.#loaded === undefined) throw outcome.error;
    if (this.#isChanged || before?.message !== outcome.error.message) this.#report(outcome.error);
    return this.#loaded.application;
  }

  #fail(error: LoadError): void {
    this.#failure = error;
    const isInFiles = kindsInFiles.has(error.kind) && this.#watch.files.length > 0;
    this.#nextRetry = isInFiles ? Infinity : performance.now() + this.#retryMs;
    this.#retryMs = Math.min(2 * this.#retryMs, longestRetryMs);
  }

  #report(error: LoadError): void {
    const { file } = this.#reference;
    const stack = error.kind === "failed-inside" && error.cause instanceof Error ? error.cause.stack : undefined;
    const fields = {
      code: error.code,
      file,
      kind: error.kind,
      problem: messageOf(error),
      ...(stack === undefined ? {} : { stack }),
    };
    this.#options.log.error(fields, "the application changed and is broken: its earlier code goes on serving");
  }
}
