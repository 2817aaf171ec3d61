/** Which rows are selected. */

export type Selection = ReadonlySet<string>;

/** The selection without these where all of them are in it, else with all of them. */
export function toggle(selected: Selection, keys: readonly string[]): Selection {
  const all = keys.length > 0 && keys.every((key) => selected.has(key));
  if (!all) return new Set([...selected, ...keys]);
  const left = new Set(selected);
  for (const key of keys) left.delete(key);
  return left;
}

/** The keys from one to the other, whichever comes first; the last one alone where the first is not there any more. */
export function between(keys: readonly string[], from: string | null, to: string): string[] {
  const last = keys.indexOf(to);
  const first = from === null ? -1 : keys.indexOf(from);
  if (last < 0) return [];
  return first < 0 ? [to] : keys.slice(Math.min(first, last), Math.max(first, last) + 1);
}

/** Of a folder, or of all: whether everything in it is selected, or something. */
export function share(selected: Selection, keys: readonly string[]): "none" | "some" | "all" {
  const count = keys.reduce((sum, key) => sum + (selected.has(key) ? 1 : 0), 0);
  return count === 0 ? "none" : count === keys.length ? "all" : "some";
}
