// The end of a wait, beside which whatever is waited for is raced.
// Rules: whoever is done takes it back, since its timer keeps the process.

/** A promise for "expired" after `ms`, and how to take it back. The timer keeps the process alive. */
export function deadline(ms: number): { readonly promise: Promise<"expired">; readonly cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const promise = new Promise<"expired">((resolve) => {
    timer = setTimeout(() => resolve("expired"), ms);
  });
  return { promise, cancel: () => clearTimeout(timer) };
}
