// Standard output for a command whose output is read by programs while an application runs in the same process.

/**
 * From now on what anybody prints goes to stderr; gives the one way to standard output that is left. What it returns settles
 * when the chunk has left the process, or when nobody reads it any more.
 */
export function reserveStdout(): (chunk: string | Uint8Array) => Promise<void> {
  const { stdout, stderr } = process;
  const write = stdout.write.bind(stdout);
  stdout.write = stderr.write.bind(stderr);
  return (chunk) =>
    new Promise((resolve) => {
      write(chunk, () => resolve());
    });
}
