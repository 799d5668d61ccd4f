// The part of the page's script that draws a chart: lines over the last 15 minutes, as SVG.
// Rules: a time of which nothing is known is a gap; the caption says the values under the cursor, the latest without one; a
// chart says in words what it shows; with it in focus, the arrow keys move the cursor.

export const chartScript = String.raw`
const spanMs = 15 * 60 * 1000;
const margin = { top: 8, right: 10, bottom: 20, left: 52 };

function svgMake(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/* The least of 1, 2, 2.5, 5 times a power of ten that is not below; for bytes of 1024. */
function niceTop(value, least, base) {
  const wanted = Math.max(value, least);
  let unit = 1;
  if (base === 1024) while (wanted / unit >= 1024) unit *= 1024;
  const power = 10 ** Math.floor(Math.log10(wanted / unit));
  const step = [1, 2, 2.5, 5, 10].find((step) => step * power * unit >= wanted);
  return step * power * unit;
}

/* From 0 to a round number above all values. */
function linearScale(values, { least, base }) {
  const top = niceTop(Math.max(0, ...values), least, base);
  return { share: (value) => value / top, marks: [0, top / 2, top] };
}

/* Powers of ten around all values: a few long requests must not hide what the many others do. */
function logScale(values) {
  const known = values.filter((value) => value > 0);
  const low = Math.max(-2, Math.floor(Math.log10(Math.min(1, ...known))));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(1, ...known))));
  const step = Math.ceil((high - low) / 4);
  const marks = [];
  for (let power = low; power <= high; power += step) marks.push(10 ** power);
  return { share: (value) => Math.max(0, (Math.log10(value) - low) / (high - low)), marks };
}

class Chart {
  constructor(id, { series, format, least, base, isLog }) {
    this.series = series;
    this.format = format;
    this.scale = (values) => (isLog ? logScale(values) : linearScale(values, { least, base: base ?? 10 }));
    this.samples = [];
    this.end = Date.now();
    this.cursor = undefined;
    this.figure = $(id);
    this.name = this.figure.querySelector("h2").textContent;
    this.time = make("span", "legend-time");
    const caption = this.figure.querySelector("figcaption");
    this.values = series.map(({ name }, index) => {
      const legend = make("span", "legend c" + (index + 1), name + " ");
      const value = legend.appendChild(make("b", "", "-"));
      caption.append(legend);
      return value;
    });
    this.svg = this.figure.appendChild(svgMake("svg", { role: "img", tabindex: "0" }));
    this.svg.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.select(undefined));
    this.svg.addEventListener("blur", () => this.select(undefined));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  show(samples) {
    this.samples = samples;
    this.end = samples.length > 0 ? samples[samples.length - 1].at : Date.now();
    const first = this.samples[0]?.at;
    if (this.cursor !== undefined && (first === undefined || this.cursor < first)) this.cursor = undefined;
    this.draw();
  }

  select(at) {
    if (at === this.cursor) return;
    this.cursor = at;
    this.draw();
  }

  point(x) {
    const at = this.end - spanMs + ((x - margin.left) / (this.svg.clientWidth - margin.left - margin.right)) * spanMs;
    let best;
    for (const sample of this.samples)
      if (best === undefined || Math.abs(sample.at - at) < Math.abs(best.at - at)) best = sample;
    this.select(best?.at);
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -this.samples.length, End: this.samples.length }[event.key];
    if (step === undefined || this.samples.length === 0) return;
    event.preventDefault();
    const last = this.samples.length - 1;
    const now = this.samples.findIndex(({ at }) => at === this.cursor);
    this.select(this.samples[Math.min(last, Math.max(0, (now === -1 ? last : now) + step))].at);
  }

  draw() {
    const width = this.svg.clientWidth;
    const height = this.svg.clientHeight;
    if (width === 0) return;
    const values = this.samples.flatMap((sample) => this.series.map(({ key }) => sample[key])).filter(isNumber);
    const scale = this.scale(values);
    const x = (at) => margin.left + (1 - (this.end - at) / spanMs) * (width - margin.left - margin.right);
    const y = (value) => height - margin.bottom - scale.share(value) * (height - margin.top - margin.bottom);
    const bottom = height - margin.bottom;
    const parts = this.grid({ x, y, bottom, width, marks: scale.marks });
    this.series.forEach(({ key }, index) => {
      const line = this.line(key, { x, y, bottom });
      if (index === 0 && line.area !== "") parts.push(svgMake("path", { class: "area", d: line.area }));
      parts.push(svgMake("path", { class: "c" + (index + 1), d: line.path }));
    });
    const sample = this.samples.find(({ at }) => at === this.cursor);
    if (sample !== undefined) {
      const at = x(sample.at);
      parts.push(svgMake("line", { class: "cursor", x1: at, x2: at, y1: margin.top, y2: height - margin.bottom }));
      const anchor = at > width - 80 ? "end" : "start";
      const time = new Date(sample.at).toLocaleTimeString();
      parts.push(svgMake("text", { x: at + (anchor === "end" ? -5 : 5), y: margin.top + 9, "text-anchor": anchor }, time));
    }
    this.svg.replaceChildren(...parts);
    this.say(sample ?? this.samples[this.samples.length - 1], sample !== undefined);
  }

  grid({ x, y, bottom, width, marks }) {
    const parts = [];
    for (const mark of marks) {
      const at = Math.round(y(mark)) + 0.5;
      parts.push(svgMake("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: at, y2: at }));
      const text = mark === 0 ? "0" : this.format(mark).replace(".0 ", " ");
      parts.push(svgMake("text", { x: margin.left - 7, y: at + 4, "text-anchor": "end" }, text));
    }
    for (const minutes of [15, 10, 5, 0]) {
      const anchor = minutes === 15 ? "start" : minutes === 0 ? "end" : "middle";
      const text = minutes === 0 ? "now" : "-" + minutes + " min";
      parts.push(svgMake("text", { x: x(this.end - minutes * 60000), y: bottom + 15, "text-anchor": anchor }, text));
    }
    return parts;
  }

  line(key, { x, y, bottom }) {
    let path = "";
    let area = "";
    let run = [];
    const finish = () => {
      if (run.length === 0) return;
      const points = run.map(([at, value]) => x(at).toFixed(1) + " " + y(value).toFixed(1));
      path += "M" + points.join("L") + (run.length === 1 ? "h0.1" : "");
      area += "M" + x(run[0][0]).toFixed(1) + " " + bottom + "L" + points.join("L") + "L" + x(run[run.length - 1][0]).toFixed(1) + " " + bottom + "Z";
      run = [];
    };
    for (const sample of this.samples) {
      if (sample.at < this.end - spanMs) continue;
      if (isNumber(sample[key])) run.push([sample.at, sample[key]]);
      else finish();
    }
    finish();
    return { path, area };
  }

  say(sample, isPast) {
    const said = this.series.map(({ name, key }, index) => {
      const text = sample === undefined ? "-" : this.format(sample[key]);
      setText(this.values[index], text);
      return name + " " + text;
    });
    const when = sample === undefined ? "no samples yet" : isPast ? "at " + new Date(sample.at).toLocaleTimeString() : "now";
    this.svg.setAttribute("aria-label", this.name + ", last 15 minutes; " + when + ": " + said.join(", "));
  }
}
`;
