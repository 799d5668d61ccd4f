// The first line of a program, as the kernel reads it.

export interface FirstLine {
  /** The absolute path after "#!", "" when there is none. */
  readonly interpreter: string;
  /** All after the interpreter: the kernel passes it as one word. */
  readonly argument: string;
  readonly hasMark: boolean;
  /** Bytes of the line without its end. */
  readonly length: number;
  readonly problem: "none" | "byte-order-mark" | "utf-16" | "no-line" | "crlf" | "quoted" | "relative";
}

/** `bytes` is the beginning of the file as latin-1. */
export function readFirstLine(bytes: string): FirstLine {
  const isMarked = bytes.startsWith("\u00EF\u00BB\u00BF");
  const text = isMarked ? bytes.slice(3) : bytes;
  const line = text.split("\n", 1)[0] ?? "";
  const [, interpreter = "", argument = ""] = /^#!\s*(\S*)\s*(.*?)\s*$/.exec(line.replace(/\r$/, "")) ?? [];
  const found = { interpreter, argument, hasMark: line.startsWith("#!"), length: line.length };
  const problem = (): FirstLine["problem"] => {
    if (/^(?:\u00FF\u00FE|\u00FE\u00FF|#\0|\0#)/.test(bytes)) return "utf-16";
    if (isMarked) return "byte-order-mark";
    if (!found.hasMark) return "no-line";
    if (line.endsWith("\r")) return "crlf";
    if (/^["']/.test(interpreter)) return "quoted";
    return interpreter.startsWith("/") ? "none" : "relative";
  };
  return { ...found, problem: problem() };
}

/** A program of the machine itself (ELF, Mach-O), which needs no first line. */
export function isBinary(bytes: string): boolean {
  return /^(?:\u007FELF|\u00CF\u00FA\u00ED\u00FE|\u00CA\u00FE\u00BA\u00BE)/.test(bytes);
}
