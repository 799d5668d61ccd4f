// Watches for what would end a process: uncaught exceptions and unhandled rejections. The test runner listens for both,
// so its listeners are taken off while a test watches.

export interface Watch {
  /** What was thrown or rejected and nobody took. */
  readonly errors: unknown[];
  stop(): void;
}

const events = ["uncaughtException", "unhandledRejection"] as const;

export function watchUncaught(): Watch {
  const errors: unknown[] = [];
  const note = (error: unknown): void => {
    errors.push(error);
  };
  const stops = events.map((event) => {
    const others = process.listeners(event as "uncaughtException");
    process.removeAllListeners(event);
    process.on(event, note);
    return () => {
      process.off(event, note);
      for (const other of others) process.on(event, other);
    };
  });
  return { errors, stop: () => stops.forEach((stop) => stop()) };
}
