// Files of any size, read while they arrive: nothing of them is kept but their length and SHA-256. The page shows how far
// the upload is; without its script the same form works, and the answer is a page.
import { createHash } from "node:crypto";
import { parseForm } from "tsgi";
import type { Application, Environ } from "tsgi";
import { escapeHtml, page } from "./lib/html.ts";

const maxFileBytes = 1024 ** 3;

interface Received {
  readonly name: string;
  readonly type: string;
  readonly bytes: number;
  readonly sha256: string;
}

export const application: Application = async (environ, startResponse) => {
  if (environ.REQUEST_METHOD !== "POST") {
    startResponse("200 OK", [["Content-Type", "text/html; charset=utf-8"]]);
    return uploadPage;
  }
  const { note, files } = await receive(environ);
  if (environ["HTTP_ACCEPT"]?.startsWith("application/json") === true) {
    startResponse("200 OK", [["Content-Type", "application/json"]]);
    return JSON.stringify({ note, files });
  }
  startResponse("200 OK", [["Content-Type", "text/html; charset=utf-8"]]);
  const items = files.map(({ name, bytes, sha256 }) => `<li>${escapeHtml(name)}: ${bytes} bytes, ${sha256}</li>`);
  return page("Received", `<h1>Received</h1>\n<p>${escapeHtml(note)}</p>\n<ul>\n${items.join("\n")}\n</ul>`);
};

/** The parts in their order. A file that is too long, or a form that is none, throws, and the client gets 413, 400 or 415. */
async function receive(environ: Environ): Promise<{ note: string; files: Received[] }> {
  const files: Received[] = [];
  let note = "";
  for await (const part of parseForm(environ, { fileBytes: maxFileBytes })) {
    if (part.type === "field") {
      if (part.name === "note") note = part.value;
      continue;
    }
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of part) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    // A file input that was left empty is a part without a name.
    if (part.filename !== "")
      files.push({ name: part.filename, type: part.mimeType, bytes, sha256: hash.digest("hex") });
  }
  return { note, files };
}

const uploadPage = page(
  "Upload",
  `<h1>Upload</h1>
<form method="post" enctype="multipart/form-data">
<p><label>Files <input type="file" name="file" multiple required></label></p>
<p><label>Note <input name="note"></label></p>
<p><button>Send</button> <button type="button" id="cancel" hidden>Cancel</button></p>
</form>
<p><progress id="progress" max="1" value="0" hidden></progress> <span id="state" role="status"></span></p>
<ul id="received"></ul>
<script type="module">
const form = document.querySelector("form");
const progress = document.getElementById("progress");
const state = document.getElementById("state");
const received = document.getElementById("received");
const cancel = document.getElementById("cancel");

function send() {
  // fetch() cannot tell how far an upload is; XMLHttpRequest can.
  const request = new XMLHttpRequest();
  request.upload.onprogress = ({ loaded, total }) => {
    progress.value = loaded / total;
    state.textContent = Math.floor((100 * loaded) / total) + " %";
  };
  request.onload = () => show(request);
  request.onerror = () => end("the connection was lost");
  request.onabort = () => end("cancelled");
  request.open("POST", location.href);
  request.setRequestHeader("Accept", "application/json");
  request.send(new FormData(form));
  progress.hidden = cancel.hidden = false;
  cancel.onclick = () => request.abort();
}

function show(request) {
  if (request.status !== 200) return end("refused: " + request.status + " " + request.statusText);
  const { files } = JSON.parse(request.responseText);
  for (const { name, bytes, sha256 } of files) {
    const item = document.createElement("li");
    item.textContent = name + ": " + bytes + " bytes, " + sha256;
    received.append(item);
  }
  end("done");
}

function end(text) {
  state.textContent = text;
  cancel.hidden = true;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  progress.value = 0;
  received.replaceChildren();
  send();
});
</script>`,
);
