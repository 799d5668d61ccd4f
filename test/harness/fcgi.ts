// A raw FastCGI peer: the web server's side, written from the FastCGI 1.0 specification for tests of the engine over a real
// socket. It shares no code with src/fastcgi, so that an error there cannot hide here.
import { connect, type Socket } from "node:net";
import { within } from "./until.ts";

export const type = {
  begin: 1,
  abort: 2,
  end: 3,
  params: 4,
  stdin: 5,
  stdout: 6,
  stderr: 7,
  data: 8,
  getValues: 9,
  getValuesResult: 10,
  unknown: 11,
} as const;

export interface FcgiRecord {
  readonly type: number;
  readonly id: number;
  readonly content: Buffer;
}

/** Section 3.3: one record. */
export function record(kind: number, id: number, content: Buffer | string = "", padding = 0): Buffer {
  const data = Buffer.from(content as string, "latin1");
  const header = Buffer.from([1, kind, id >> 8, id & 255, data.length >> 8, data.length & 255, padding, 0]);
  return Buffer.concat([header, data, Buffer.alloc(padding)]);
}

/** Section 5.1. Role 1 is the responder, flag 1 is FCGI_KEEP_CONN. */
export function begin(id: number, keep = false, role = 1): Buffer {
  return record(type.begin, id, Buffer.from([0, role, keep ? 1 : 0, 0, 0, 0, 0, 0]));
}

function length(size: number): Buffer {
  if (size < 128) return Buffer.from([size]);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(size + 0x8000_0000);
  return bytes;
}

/** Section 3.4: name-value pairs. */
export function pairs(values: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(values).flatMap(([name, value]) => {
      const [key, text] = [Buffer.from(name, "latin1"), Buffer.from(value, "latin1")];
      return [length(key.length), length(text.length), key, text];
    }),
  );
}

/** PARAMS in one record and the empty one that ends them. */
export function params(id: number, values: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat([record(type.params, id, pairs(values)), record(type.params, id)]);
}

/** STDIN in records of at most 65,535 bytes and the empty one that ends it. */
export function stdin(id: number, body: Buffer | string = ""): Buffer {
  const data = Buffer.from(body as string, "latin1");
  const records: Buffer[] = [];
  for (let start = 0; start < data.length; start += 65_535)
    records.push(record(type.stdin, id, data.subarray(start, start + 65_535)));
  return Buffer.concat([...records, record(type.stdin, id)]);
}

/** The variables of a plain request, as Apache sends them. */
export function variables(path: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [name = "", query = ""] = path.split("?");
  return {
    GATEWAY_INTERFACE: "CGI/1.1",
    SERVER_SOFTWARE: "Apache",
    SERVER_NAME: "127.0.0.1",
    SERVER_PORT: "80",
    SERVER_PROTOCOL: "HTTP/1.1",
    REQUEST_METHOD: "GET",
    REQUEST_URI: path,
    SCRIPT_NAME: "",
    PATH_INFO: name,
    QUERY_STRING: query,
    REMOTE_ADDR: "127.0.0.1",
    ...more,
  };
}

/** A whole request. */
export function request(
  id: number,
  values: Readonly<Record<string, string>>,
  options: { keep?: boolean; role?: number; body?: Buffer | string } = {},
): Buffer {
  return Buffer.concat([begin(id, options.keep, options.role), params(id, values), stdin(id, options.body)]);
}

export interface FcgiReply {
  /** All STDOUT bytes: CGI head and body. */
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly appStatus: number;
  readonly protocolStatus: number;
}

export type FcgiTarget = { readonly path: string } | { readonly port: number; readonly host?: string };

/** One connection to a FastCGI application. Every wait has a deadline. */
export class FcgiPeer {
  readonly #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (data: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, data]);
      this.#notify();
    });
    const ended = (): void => {
      this.#ended = true;
      this.#notify();
    };
    socket.on("end", ended).on("error", ended).on("close", ended);
  }

  static async open(target: FcgiTarget): Promise<FcgiPeer> {
    const socket = connect({ ...target, allowHalfOpen: true });
    await within(
      "a FastCGI connection",
      new Promise<void>((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("error", reject);
      }),
    );
    return new FcgiPeer(socket);
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Writes bytes as they are. */
  send(...data: readonly (Buffer | string)[]): void {
    for (const piece of data) this.#socket.write(Buffer.from(piece as string, "latin1"));
  }

  /** Writes and waits until the kernel took it all. */
  async sent(data: Buffer): Promise<void> {
    await within(
      "the peer to take what was sent",
      new Promise<void>((resolve) => this.#socket.write(data, () => resolve())),
    );
  }

  /** The next record; undefined at the end of the connection. */
  async next(deadlineMs = 20_000): Promise<FcgiRecord | undefined> {
    for (;;) {
      if (this.#buffer.length >= 8) {
        const size = this.#buffer.readUInt16BE(4);
        const whole = 8 + size + this.#buffer.readUInt8(6);
        if (this.#buffer.length >= whole) {
          const found = {
            type: this.#buffer.readUInt8(1),
            id: this.#buffer.readUInt16BE(2),
            content: Buffer.from(this.#buffer.subarray(8, 8 + size)),
          };
          if (this.#buffer.readUInt8(0) !== 1) throw new Error(`version ${this.#buffer.readUInt8(0)} in an answer`);
          this.#buffer = this.#buffer.subarray(whole);
          return found;
        }
      }
      if (this.#ended) {
        if (this.#buffer.length > 0)
          throw new Error(`the connection ended inside a record: ${this.#buffer.length} bytes`);
        return undefined;
      }
      await within("a FastCGI record", new Promise<void>((resolve) => (this.#wake = resolve)), deadlineMs);
    }
  }

  /** Collects an answer up to its END_REQUEST; anything for another id is an error. */
  async reply(id: number): Promise<FcgiReply> {
    const stdout: Buffer[] = [];
    let stderr = "";
    for (;;) {
      const next = await this.next();
      if (next === undefined)
        throw new Error(`the connection ended before END_REQUEST; got ${Buffer.concat(stdout).toString("latin1")}`);
      if (next.id !== id) throw new Error(`a record of type ${next.type} for id ${next.id} instead of ${id}`);
      if (next.type === type.stdout) stdout.push(next.content);
      else if (next.type === type.stderr) stderr += next.content.toString("latin1");
      else if (next.type === type.end) {
        return {
          stdout: Buffer.concat(stdout),
          stderr,
          appStatus: next.content.readUInt32BE(0),
          protocolStatus: next.content.readUInt8(4),
        };
      } else throw new Error(`a record of type ${next.type} in an answer`);
    }
  }

  /** Waits for the end of the connection; throws when a record comes first. */
  async closed(deadlineMs = 20_000): Promise<void> {
    const next = await this.next(deadlineMs);
    if (next !== undefined) throw new Error(`a record of type ${next.type} instead of the end of the connection`);
  }

  /** Bytes that came and are no whole record yet. */
  get pending(): number {
    return this.#buffer.length;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** No more will be sent. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
