// An upload kit: the files that make a folder at a host serve an application, for people who can only upload.
// Rules: unpacked into the served folder it works there, with one line edited; no browser gets what is not meant for it; modes
// are in the archive, for those who unpack it with a program that knows them.

import { basename } from "node:path";
import { zipSync } from "fflate";
import type { Zippable } from "fflate";
import { accountFront } from "../../apache/account.ts";
import { line, note, render } from "../../apache/directives.ts";
import { fronts, shellWord } from "../../apache/htaccess.ts";
import { withBlock } from "../block.ts";
import { optionsToMend } from "../front-controller.ts";
import type { BundleOptions } from "./bundle.ts";
import { bundleKit } from "./bundle.ts";
import { kitPage } from "./page.ts";

export interface KitOptions extends BundleOptions {
  /** Where Node.js is on the host; undefined for the usual place. */
  readonly node: string | undefined;
  /** The .htaccess file that the host has, as latin-1 text. */
  readonly htaccess: string | undefined;
}

export interface UploadKit {
  readonly zip: Uint8Array;
  /** Names in the archive, with their modes. */
  readonly files: readonly { readonly name: string; readonly mode: number; readonly sizeBytes: number }[];
  readonly warnings: readonly string[];
  /** Of the line that names Node.js in the wrapper, from 1. */
  readonly nodeLine: number;
}

const kitWrapper: string = fronts.cgi.file;
const programFolder = "tsgi-app";
const programFile = "app.mjs";
const pageName = "README.html";
const usualNode = "/usr/bin/node";
const nodeLine = 3;

/** Where hosts keep Node.js: patterns for the shell. */
const otherPlaces = [
  "/usr/local/bin/node",
  "/usr/bin/node",
  "/opt/alt/alt-nodejs*/root/usr/bin/node",
  "/opt/cpanel/ea-nodejs*/bin/node",
  "/opt/plesk/node/*/bin/node",
];

function wrapperText(node: string): string {
  return [
    "#!/bin/sh",
    "# The next line says where Node.js is on this host: version 20.19 or newer. It is the only one to edit.",
    `NODE=${shellWord(node)}`,
    "",
    'case $0 in */*) cd "${0%/*}" || exit 1 ;; esac',
    `cd ${programFolder} || exit 1`,
    "unset NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_V8_COVERAGE OPENSSL_CONF HTTP_PROXY",
    "export NODE_ENV=${NODE_ENV:-production}",
    'if [ ! -x "$NODE" ]; then',
    `  for found in ${otherPlaces.join(" ")}; do`,
    `    if [ -x "$found" ] && "$found" -e '[a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b > 18) ? 0 : 1)'; then`,
    "      NODE=$found",
    "      break",
    "    fi",
    "  done",
    "fi",
    'if [ ! -x "$NODE" ]; then',
    String.raw`  printf 'Status: 500 Internal Server Error\r\nContent-Type: text/plain\r\n\r\n'`,
    `  echo "Node.js was not found. Line ${nodeLine} of ${kitWrapper} says where it is."`,
    "  exit 0",
    "fi",
    `exec "$NODE" ./${programFile} 3>&1 1>&2`,
    "",
  ].join("\n");
}

/** For the folder of the bundle: nothing of it is sent, even where the other .htaccess file was forgotten. */
function lockedFolder(): string {
  return render([
    note("Nothing in here is for browsers."),
    line("RewriteEngine", ["On"]),
    line("RewriteRule", ["^", "-", "[F]"]),
  ]);
}

/** Makes the kit. Rejects with LoadError "compile" for an application that cannot be bundled. */
export async function makeKit(options: KitOptions): Promise<UploadKit> {
  const { code, warnings } = await bundleKit(options);
  const app = basename(options.file);
  const sources = { kind: "below", paths: [programFolder, pageName] } as const;
  const body = render(
    accountFront("cgi", {
      folder: "/",
      sources,
      mountPoint: "",
      options: optionsToMend(options.htaccess ?? ""),
      inheritsMountPoint: false,
    }),
  );
  const node = options.node ?? usualNode;
  const page = kitPage({
    app,
    wrapper: kitWrapper,
    nodeLine,
    nodeText: `NODE=${shellWord(node)}`,
    programFolder,
    page: pageName,
  });
  const contents: readonly (readonly [name: string, bytes: Uint8Array, mode: number])[] = [
    [pageName, Buffer.from(page), 0o644],
    [
      ".htaccess",
      Buffer.from(withBlock(options.htaccess, body, { app, transport: "cgi", options: {} }), "latin1"),
      0o644,
    ],
    [kitWrapper, Buffer.from(wrapperText(node)), 0o755],
    [`${programFolder}/.htaccess`, Buffer.from(lockedFolder()), 0o644],
    [`${programFolder}/${programFile}`, code, 0o644],
  ];
  const entries: Zippable = {};
  // The type of the file and its permissions, as Unix programs read them from an archive.
  for (const [name, bytes, mode] of contents) entries[name] = [bytes, { os: 3, attrs: (0o100000 | mode) * 2 ** 16 }];
  return {
    zip: zipSync(entries),
    files: contents.map(([name, bytes, mode]) => ({ name, mode, sizeBytes: bytes.length })),
    warnings,
    nodeLine,
  };
}
