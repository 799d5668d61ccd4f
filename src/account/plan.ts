// What `tsgi init` and `tsgi init --remove` would change in a folder, and what a person has to know about it.
// Rules: a plan changes nothing; the same folder and options give the same plan, and a folder that is as it should be gives
// one without changes. Files that are not ours are refused, never replaced.

import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { AccountOptions, SourcePlace, Transport } from "../apache/account.ts";
import { accountFront, accountProxy } from "../apache/account.ts";
import { render } from "../apache/directives.ts";
import { backendOf } from "../apache/proxy-fcgi.ts";
import type { ListenAddress } from "../config/address.ts";
import { BootError } from "../errors.ts";
import { hasByteOrderMark, withBlock, withoutBlock } from "./block.ts";
import type { FileChange } from "./change.ts";
import { findFrontController, optionsToMend, turnsRewritingOff } from "./front-controller.ts";
import type { Layout, PlacedFile } from "./layout.ts";
import { isBelowMountPoint } from "./sources.ts";
import { wrapperName } from "./wrapper.ts";

export interface InitOptions {
  /** The application, as an absolute file, with `#export` if one was named. */
  readonly app: string;
  readonly transport: Transport;
  /** Flags to be remembered, by name. */
  readonly options: Readonly<Record<string, string>>;
  readonly sources: SourcePlace;
  /** The text of the wrapper; undefined for a daemon. */
  readonly wrapper: string | undefined;
  /** Where a daemon listens. */
  readonly listen: ListenAddress;
  /** The URL path of the folder, "" for the root. */
  readonly mountPoint: string;
}

export interface Plan {
  /** In the order in which a visitor notices least. */
  readonly changes: readonly FileChange[];
  /** A sentence for each thing that somebody changed by hand and these changes undo. */
  readonly edited: readonly string[];
  /** What is right as it is and still worth knowing. */
  readonly notes: readonly string[];
}

const wrapperMode = 0o755;
export const newFileMode = 0o644;

/** The .htaccess file without what is ours; undefined when there was none. */
export function foreignText({ htaccess, block }: Layout): string | undefined {
  if (htaccess === undefined) return undefined;
  const text = htaccess.bytes.toString("latin1");
  return block === undefined ? text : withoutBlock(text, block);
}

function changeOf(path: string, placed: PlacedFile | undefined, after: Buffer | undefined, mode: number): FileChange[] {
  const isSame = placed !== undefined && after !== undefined && placed.bytes.equals(after) && placed.mode === mode;
  if (isSame || (placed === undefined && after === undefined)) return [];
  return [{ path, before: placed?.bytes, after, mode, modeBefore: placed?.mode, owner: placed }];
}

function htaccessChange(layout: Layout, text: string | undefined): FileChange[] {
  const after = text === undefined ? undefined : Buffer.from(text, "latin1");
  return changeOf(join(layout.folder, ".htaccess"), layout.htaccess, after, layout.htaccess?.mode ?? newFileMode);
}

/** What a person changed in what is ours. */
function editedParts({ folder, block, wrappers }: Layout): string[] {
  const lines = `the lines between the markers in ${join(folder, ".htaccess")} were edited by hand: that is lost`;
  const edited = wrappers.filter(({ owner }) => owner === "edited");
  return [
    ...(block?.isEdited === true ? [lines] : []),
    ...edited.map(({ path }) => `${path} was edited by hand: that is lost`),
  ];
}

function removals(layout: Layout, kept: string | undefined): FileChange[] {
  const ours = layout.wrappers.filter(({ name, owner }) => name !== kept && owner !== "foreign");
  return ours.flatMap((wrapper) => changeOf(wrapper.path, wrapper, undefined, wrapper.mode));
}

function blockBody(folder: string, foreign: string, init: InitOptions): string {
  const { transport, sources, listen, mountPoint } = init;
  const inheritsMountPoint = isBelowMountPoint(folder);
  const account: AccountOptions = { folder, sources, mountPoint, options: optionsToMend(foreign), inheritsMountPoint };
  return render(transport === "proxy" ? accountProxy(backendOf(listen), account) : accountFront(transport, account));
}

/** Throws BootError where a file that is not ours has the wrapper's place, or other lines leave no place for ours. */
export function planInit(layout: Layout, options: InitOptions): Plan {
  const { folder, wrappers } = layout;
  const { app, transport, wrapper } = options;
  const name = wrapperName(transport);
  const placed = wrappers.find((one) => one.name === name);
  if (placed?.owner === "foreign") {
    throw new BootError(
      `${placed.path} is there and is not from tsgi init: move it away, or choose another --transport`,
    );
  }
  const foreign = foreignText(layout);
  const controller = findFrontController(foreign ?? "");
  if (controller !== undefined && turnsRewritingOff(foreign ?? "")) {
    throw new BootError(
      `${join(folder, ".htaccess")} turns rewriting off, and has rules that would take every URL: remove either`,
    );
  }
  const text = withBlock(foreign, blockBody(folder, foreign ?? "", options), {
    app,
    transport,
    options: options.options,
  });
  const written = name === undefined || wrapper === undefined ? [] : [{ name, bytes: Buffer.from(wrapper) }];
  const notes = wrappers
    .filter((one) => one.owner === "foreign")
    .map((one) => `${basename(one.path)} is not from tsgi init and is left alone`);
  if (controller !== undefined) {
    notes.push(`this rule gets no request any more, since the application answers first: ${controller.rule}`);
  }
  if (hasByteOrderMark(foreign ?? "")) {
    notes.push("the byte order mark at the beginning of .htaccess is taken out: Apache answers 500 with it");
  }
  if (options.sources.kind !== "here" && existsSync(join(folder, "index.html"))) {
    notes.push(
      "index.html is what visitors get at this folder's own URL: move it away for the application to answer there",
    );
  }
  return {
    changes: [
      ...written.flatMap((file) => changeOf(join(folder, file.name), placed, file.bytes, wrapperMode)),
      ...htaccessChange(layout, text),
      ...removals(layout, name),
    ],
    edited: editedParts(layout),
    notes,
  };
}

/** Everything that is ours goes; what was there before is there again, byte for byte. */
export function planRemove(layout: Layout): Plan {
  const changes = layout.block === undefined ? [] : htaccessChange(layout, foreignText(layout));
  return { changes: [...changes, ...removals(layout, undefined)], edited: editedParts(layout), notes: [] };
}
