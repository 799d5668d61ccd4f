// Signals that ask a command to stop, for a command that runs until then.
// Rules: a handler only notes the signal; the second one means "at once"; a terminal that is gone is a signal too.

const stopSignals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];

export class StopRequest {
  /** Settles with the first signal. */
  readonly asked: Promise<NodeJS.Signals>;
  /** Settles with the second. */
  readonly askedAgain: Promise<NodeJS.Signals>;
  readonly #steps: ((signal: NodeJS.Signals) => void)[] = [];

  /** Takes over the signals; those in `ignored` do nothing from now on. */
  constructor(ignored: readonly NodeJS.Signals[] = []) {
    this.asked = this.#nextStep();
    this.askedAgain = this.#nextStep();
    for (const signal of stopSignals) process.on(signal, () => ignored.includes(signal) || this.ask(signal));
  }

  /** As if a signal had come. */
  ask(signal: NodeJS.Signals): void {
    this.#steps.shift()?.(signal);
  }

  #nextStep(): Promise<NodeJS.Signals> {
    return new Promise((resolve) => {
      this.#steps.push(resolve);
    });
  }
}
