// A strict reader of Prometheus' text format 0.0.4: what a real Prometheus refuses, and what promtool warns of, throws here.

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/u;
const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/u;
const labelPair = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/u;

function readLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const [whole, name = "", value = ""] = labelPair.exec(rest) ?? [];
    if (whole === undefined) throw new Error(`malformed labels: ${line}`);
    if (name in labels) throw new Error(`label twice: ${line}`);
    labels[name] = value.replace(/\\(.)/gu, (_, char: string) => (char === "n" ? "\n" : char));
    rest = rest.slice(whole.length);
  }
  return labels;
}

function readValue(text: string, line: string): number {
  if (text === "+Inf") return Infinity;
  if (!/^-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/u.test(text)) throw new Error(`malformed value: ${line}`);
  return Number(text);
}

/** Which names the samples of a family may have. */
function mayHave(family: { name: string; type: string }, sample: Sample): boolean {
  if (family.type !== "histogram") return sample.name === family.name;
  if (sample.name === `${family.name}_bucket`) return "le" in sample.labels;
  return sample.name === `${family.name}_sum` || sample.name === `${family.name}_count`;
}

/** The same for the same labels, in whatever order. */
function keyOf(labels: Readonly<Record<string, string>>): string {
  const names = Object.keys(labels).sort((a, b) => (a < b ? -1 : 1));
  return JSON.stringify(names.map((name) => [name, labels[name]]));
}

function withoutLe({ labels }: Sample): string {
  const { le: _, ...rest } = labels;
  return keyOf(rest);
}

function checkHistogram({ name, samples }: MetricFamily): void {
  for (const key of new Set(samples.map(withoutLe))) {
    const series = samples.filter((sample) => withoutLe(sample) === key);
    const buckets = series.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => readValue(labels["le"] ?? "", name));
    const counts = buckets.map(({ value }) => value);
    const count = series.find((sample) => sample.name === `${name}_count`)?.value;
    const isGrowing = (list: readonly number[], isStrict: boolean): boolean =>
      list.every(
        (value, index) => index === 0 || value > (list[index - 1] ?? 0) || (!isStrict && value === list[index - 1]),
      );
    if (!isGrowing(bounds, true) || bounds.at(-1) !== Infinity) throw new Error(`${name}: bounds ${bounds.join(" ")}`);
    if (!isGrowing(counts, false)) throw new Error(`${name}: counts go back: ${counts.join(" ")}`);
    if (counts.at(-1) !== count) throw new Error(`${name}: +Inf has ${counts.at(-1)} and the count is ${count}`);
    if (!series.some((sample) => sample.name === `${name}_sum`)) throw new Error(`${name}: no sum`);
  }
}

function checkFamily(family: MetricFamily): void {
  const { name, type, samples } = family;
  if (!["counter", "gauge", "histogram"].includes(type)) throw new Error(`${name} has type ${type}`);
  if ((type === "counter") !== name.endsWith("_total")) throw new Error(`${name} is a ${type}`);
  for (const sample of samples) {
    if (!mayHave(family, sample)) throw new Error(`${sample.name} is no sample of the ${type} ${name}`);
    if (type !== "gauge" && !(sample.value >= 0)) throw new Error(`${sample.name} is ${sample.value}`);
  }
  if (type === "histogram") checkHistogram(family);
}

/** Throws for whatever is not as the format wants it. */
export function readPrometheus(text: string): ReadonlyMap<string, MetricFamily> {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  if (Buffer.from(text).toString() !== text) throw new Error("this cannot be written as UTF-8");
  const families = new Map<string, { name: string; help: string; type: string; samples: Sample[] }>();
  const seen = new Set<string>();
  let current: { name: string; help: string; type: string; samples: Sample[] } | undefined;
  for (const line of text.split("\n").slice(0, -1)) {
    if (line === "") continue;
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/u.exec(line) ?? [];
    if (kind === "HELP") {
      if (!metricName.test(name) || families.has(name)) throw new Error(`malformed or twice: ${line}`);
      current = { name, help: rest, type: "", samples: [] };
      families.set(name, current);
    } else if (kind === "TYPE") {
      if (current?.name !== name || current.type !== "") throw new Error(`out of place: ${line}`);
      current.type = rest;
    } else {
      const [, sample = "", labels = "", value = ""] = sampleLine.exec(line) ?? [];
      if (sample === "" || current === undefined || current.type === "") throw new Error(`malformed: ${line}`);
      const read = { name: sample, labels: readLabels(labels, line), value: readValue(value, line) };
      const key = `${sample} ${keyOf(read.labels)}`;
      if (seen.has(key)) throw new Error(`series twice: ${line}`);
      seen.add(key);
      current.samples.push(read);
    }
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

/** The value of the one series of a name that has these labels. */
export function valueOf(
  families: ReadonlyMap<string, MetricFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const samples = [...families.values()].flatMap(({ samples }) => samples);
  const found = samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  if (found.length !== 1) throw new Error(`${found.length} series of ${name} with ${JSON.stringify(labels)}`);
  return found[0]?.value ?? 0;
}
