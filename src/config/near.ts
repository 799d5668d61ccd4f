// The word that somebody may have meant.

/** How many letters must be added, removed, changed or swapped with their neighbour to make one word of the other. */
function distance(one: string, other: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const isSame = one[row - 1] === other[column - 1];
      const isSwapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      const costs = [
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
      ];
      if (isSwapped) costs.push((beforeLast[column - 2] ?? 0) + 1);
      current.push(Math.min(...costs));
    }
    [beforeLast, last] = [last, current];
  }
  return last[other.length] ?? 0;
}

const maxLength = 40;

/** The nearest of the known words, when one is near: letter case, dashes and underscores do not count. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replace(/[-_]/g, "");
  if (word.length > maxLength) return undefined;
  const ranked = known.map((name) => ({ name, cost: distance(plain(word), plain(name)) }));
  const best = ranked.sort((one, other) => one.cost - other.cost)[0];
  if (best === undefined) return undefined;
  if (best.cost <= Math.max(1, Math.floor(best.name.length / 4))) return best.name;
  const longer = known.filter((name) => plain(name) !== "" && plain(word).startsWith(plain(name)) && name.length >= 4);
  return longer.sort((one, other) => other.length - one.length)[0];
}
