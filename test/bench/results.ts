// What a run found: the shape of results.json, and how it comes from single measurements.
import { unitOf, type Case } from "./cases.ts";
import type { FigureName, Lookup } from "./goals.ts";
import type { MachineFacts } from "./machine.ts";
import type { Measured } from "./measure.ts";
import { median, spread, type Spread } from "./statistics.ts";

export interface PeerResult {
  readonly name: string;
  readonly label: string;
  /** What to install, where the peer is not there. */
  readonly missing?: string | undefined;
  /** A value for each round. */
  readonly values: readonly number[];
  readonly spread?: Spread | undefined;
  /** Medians of further figures. */
  readonly more: Readonly<Record<string, number>>;
  /** To the median of the reference: more than 1 is more of the unit. */
  readonly ratio?: number | undefined;
  /** Why the figure does not count; empty when it does. */
  readonly reasons: readonly string[];
}

export interface CaseResult {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly isMoreBetter: boolean;
  readonly reference: string;
  readonly peers: readonly PeerResult[];
}

export interface Results {
  readonly machine: MachineFacts;
  readonly rounds: number;
  readonly cases: readonly CaseResult[];
}

/** Somebody of a case and what was measured of it, a round each. */
export interface Entry {
  readonly name: string;
  readonly label: string;
  readonly missing?: string | undefined;
  readonly measured: readonly Measured[];
}

function medians(measured: readonly Measured[]): Record<string, number> {
  const names = new Set(measured.flatMap(({ more }) => Object.keys(more)));
  const valuesOf = (name: string): number[] => measured.flatMap(({ more }) => more[name] ?? []);
  return Object.fromEntries([...names].map((name) => [name, median(valuesOf(name))]));
}

export function caseResult(one: Case, entries: readonly Entry[]): CaseResult {
  const summarized = entries.map(({ measured, name, label, missing }) => {
    const values = measured.flatMap(({ value }) => value ?? []);
    return {
      name,
      label,
      missing,
      values,
      spread: values.length === 0 ? undefined : spread(values),
      more: medians(measured),
      reasons: [...new Set(measured.flatMap(({ reasons }) => reasons))],
    };
  });
  const base = summarized.find(({ name }) => name === one.reference)?.spread?.median;
  const ratioOf = (peer: PeerResult): number | undefined =>
    peer.spread === undefined || base === undefined ? undefined : peer.spread.median / base;
  const peers = summarized.map((peer) => Object.assign(peer, { ratio: ratioOf(peer) }));
  return { name: one.name, title: one.title, ...unitOf(one), reference: one.reference, peers };
}

/** Finds medians by name, for the goals. */
export function lookupIn(cases: readonly CaseResult[]): Lookup {
  return ({ case: name, peer: peerName, figure = "value" }: FigureName) => {
    const peer = cases.find((one) => one.name === name)?.peers.find((one) => one.name === peerName);
    const value = figure === "value" ? peer?.spread?.median : peer?.more[figure];
    if (peer === undefined || value === undefined) return undefined;
    return { value, isDisqualified: peer.reasons.length > 0 };
  };
}
