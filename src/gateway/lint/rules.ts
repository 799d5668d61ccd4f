// The rules of the contract in words: what lint looks for, who has to keep it, and why it is there.
// Rule: a name is public and stays; a reason says what goes wrong otherwise. `server` is whatever is around the application,
// middleware included.

/** Who broke a rule. */
export type Side = "server" | "application";

interface Rule {
  readonly side: Side;
  readonly reason: string;
  /** Worth a word, though HTTP allows it or the gateway mends it: `tsgi check` does not fail for it. */
  readonly isAdvice: boolean;
}

const server = (reason: string): Rule => ({ side: "server", reason, isAdvice: false });
const application = (reason: string): Rule => ({ side: "application", reason, isAdvice: false });
const advice = (reason: string): Rule => ({ side: "application", reason, isAdvice: true });

export const rules = {
  "environ-prototype": server("names in it come from outside; a prototype would answer for names that nobody sent"),
  "environ-missing": server("an application uses these without asking whether they are there"),
  "environ-string": server(
    "CGI variables are bytes as latin-1, one character for each; decodeText() makes text of them",
  ),
  "environ-path": server("SCRIPT_NAME and PATH_INFO together are the decoded path; applications make links of them"),
  "environ-length": server("the request body ends after so many bytes"),
  "environ-header": server(
    "CGI has CONTENT_TYPE and CONTENT_LENGTH for the first two, and programs take HTTP_PROXY for their own proxy",
  ),
  "environ-wsgi": server("PEP 3333 says what these keys hold, and applications use them without a look"),
  "environ-tsgi": server("src/spec.ts says what these keys hold, and applications use them without a look"),
  "start-callable": server("an application calls startResponse, and what it returns, and may wait for each write"),
  "body-reread": server("a body is read once, from its beginning to its end"),
  "body-overlap": server("each piece is asked for when the one before it has come"),
  "close-once": server("close() lets go of files and locks, which nobody can do twice"),
  "close-missing": server(
    "close() is how a body lets go of its files; middleware that wraps a body passes close() on (PEP 3333)",
  ),

  "start-arguments": application("startResponse takes a status, headers and, while handling an error, that error"),
  "start-status": application('it is "200 OK" or "200", from 200 to 599: Apache answers 500 for anything else'),
  "start-headers": application("headers are a list of [name, value] pairs, because names repeat and order counts"),
  "header-pair": application("a header is one [name, value] pair of strings"),
  "header-name": application(
    "HTTP knows letters, digits and !#$%&'*+-.^_`|~ in names; anything else could end the header",
  ),
  "header-value": application(
    "values are bytes as latin-1, and a control character could begin another header; encodeText() makes bytes of text",
  ),
  "header-long": application("Apache takes lines of up to 8,189 bytes and answers 500 for a longer one"),
  "header-hop-by-hop": application(
    "it belongs to Apache's connection with the client, which the application cannot see",
  ),
  "header-status": application("a Status header would replace the status, which is startResponse's first argument"),
  "header-repeated": application("it has one value; of several, Apache sends the last and other servers the first"),
  "content-length": application("clients and Apache find the end of the message by this number of bytes"),
  "content-type": advice("without it, Apache and browsers guess what the body is"),
  "bodyless-header": advice("204 and 304 have no body that this header could describe"),
  "bodyless-body": application("204 and 304 have no body: what is given never leaves"),
  "location-status": advice(
    "with 200, Apache takes Location for a redirect inside itself, under CGI and mod_fcgid; redirects are 301 to 308",
  ),
  "start-once": application(
    "the response has one head; only the handling of an error may replace it, and then says which",
  ),
  "start-missing": application("the head goes out before the body, so startResponse is called before the first piece"),
  "start-late": application("the response has ended, and nobody waits for another head"),
  "exc-info-trapped": application(
    "the head is out: startResponse throws the error so that it ends the response, which else would look complete",
  ),
  "write-chunk": application("a piece is a string, sent as UTF-8, or a Uint8Array"),
  "write-late": application("the response has ended: what is written now reaches nobody"),
  "write-in-body": application("what a body yields comes after all that was written, so the order would be undefined"),
  "write-unawaited": application("await each write: it waits for a slow client, and without that memory grows"),
  "chunk-changed": application(
    "bytes are not copied: they stay as they are until the next piece is asked for, or write has settled",
  ),
  "body-kind": application(
    "a body is a string, bytes, or an iterable of these; for an empty one return [] or an empty string",
  ),
  "body-chunk": application("a piece is a string, sent as UTF-8, or a Uint8Array"),
  "length-excess": application("the client takes Content-Length for the end, so the rest is cut off"),
  "length-short": application("the client waits for bytes that never come: the response breaks instead of ending"),
  "input-late": application("the request has ended, and its body is gone; read it before"),
  "input-size": application("sizes and limits are whole numbers of bytes"),
  "input-shared": application("a stream reads ahead, so another reader would get what it left, or nothing"),
  "errors-text": application("wsgi.errors takes text: strings, or in writelines an iterable of them"),
  "wait-until": application("tsgi.wait_until waits for a promise, and for nothing else"),
} as const satisfies Readonly<Record<string, Rule>>;

export type RuleName = keyof typeof rules;

/** A rule that was broken, as it was seen. */
export interface Violation {
  readonly rule: RuleName;
  readonly side: Side;
  /** What happened, with the value in question. */
  readonly problem: string;
  readonly reason: string;
  readonly isAdvice: boolean;
  /** Method and target of the request: "GET /items?id=1". */
  readonly request: string;
}

/** Tells that a rule was broken; throws when checking is strict. */
export type Report = (rule: RuleName, problem: string) => void;

/** The violation as a sentence for people. */
export function describeViolation({ rule, side, problem, reason }: Omit<Violation, "isAdvice" | "request">): string {
  const who = side === "server" ? "the server, or middleware," : "the application";
  return `${problem}: ${reason} [rule ${rule}, for ${who} to keep]`;
}
