// Whether a measured figure counts. Answers that are wrong, not 2xx or missing disqualify it; it is shown all the same,
// with the reason, since a fast wrong answer is what a benchmark must not reward.

/** What a client saw while it measured. */
export interface Answers {
  readonly requests: number;
  /** Answers with a status from 300 on. */
  readonly notOk: number;
  /** Connections that failed or broke, and answers that came too late. */
  readonly failed: number;
  /** Bytes of all answers, heads included, with those that were under way at the end. */
  readonly bytes: number;
  /** Clients that asked at once. */
  readonly clients: number;
}

/** A head may differ a little from one answer to the next. */
const byteTolerance = 0.01;

/** Why the figure does not count; empty when it does. `bytesPerAnswer` is what one right answer has, where it is known. */
export function disqualifications(answers: Answers, bytesPerAnswer: number | undefined): string[] {
  const reasons: string[] = [];
  const share = (count: number): string => `${((100 * count) / Math.max(answers.requests, 1)).toFixed(1)} %`;
  if (answers.requests === 0) reasons.push("no answer");
  if (answers.notOk > 0) reasons.push(`${answers.notOk} answers not 2xx (${share(answers.notOk)})`);
  if (answers.failed > 0) reasons.push(`${answers.failed} broken or late (${share(answers.failed)})`);
  if (reasons.length === 0 && bytesPerAnswer !== undefined) {
    const least = answers.requests * bytesPerAnswer * (1 - byteTolerance);
    const most = (answers.requests + answers.clients) * bytesPerAnswer * (1 + byteTolerance);
    if (answers.bytes < least || answers.bytes > most) {
      const seen = answers.bytes / answers.requests;
      reasons.push(`answers of ${seen.toFixed(0)} bytes in place of ${bytesPerAnswer.toFixed(0)}`);
    }
  }
  return reasons;
}

/** What is known of an answer that was read whole. */
export interface WholeAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** How an answer differs from the one that is expected, or undefined. */
export function difference(answer: WholeAnswer, expected: Buffer): string | undefined {
  if (answer.status < 200 || answer.status > 299) return `status ${answer.status}`;
  if (answer.body.equals(expected)) return undefined;
  const text = answer.body.subarray(0, 60).toString("latin1");
  return `wrong body of ${answer.body.length} bytes: ${JSON.stringify(text)}`;
}
