/** The notes of a file (`metadata` in docs/api.md) while its owner edits them, and what is wrong with them. */

export const MOST_NOTES = 20;
export const MOST_BYTES = 2_048; // of UTF-8, all names and texts together

export type Metadata = Record<string, string>;

export interface Note {
  /** Tells it from the others, whatever it is called. */
  key: number;
  name: string;
  text: string;
}

export type Fault = "no name" | "twice" | "too long";

const encoder = new TextEncoder();

export function notesOf(metadata: Metadata | null): Note[] {
  return Object.entries(metadata ?? {}).map(([name, text], key) => ({ key, name, text }));
}

/** Nothing was typed: it is none. */
export function isBlank({ name, text }: Note): boolean {
  return name === "" && text.trim() === "";
}

export function bytesOf(notes: readonly Note[]): number {
  return notes.reduce((sum, { name, text }) => sum + encoder.encode(name + text).length, 0);
}

/** What is wrong, note by note. Of too many bytes the note says so that exceeds them, and each behind it. */
export function faultsOf(notes: readonly Note[]): Map<number, Fault> {
  const found = new Map<number, Fault>();
  const names = new Set<string>();
  let bytes = 0;
  for (const note of notes) {
    if (isBlank(note)) continue;
    bytes += bytesOf([note]);
    if (note.name === "") found.set(note.key, "no name");
    else if (names.has(note.name)) found.set(note.key, "twice");
    else if (bytes > MOST_BYTES) found.set(note.key, "too long");
    names.add(note.name);
  }
  return found;
}

/**
 * What is to be stored of these notes, which were `before` when editing began: somebody else may have changed others of
 * them since, and `now` has those.
 */
export function edited(notes: readonly Note[], before: Metadata | null, now: Metadata | null): Metadata | null {
  const mine = new Map(notes.filter((note) => !isBlank(note)).map(({ name, text }) => [name, text]));
  const known = new Map(Object.entries(before ?? {}));
  const kept = new Map(Object.entries(now ?? {}));
  for (const name of known.keys()) if (!mine.has(name)) kept.delete(name);
  for (const [name, text] of mine) if (known.get(name) !== text) kept.set(name, text);
  return kept.size === 0 ? null : Object.fromEntries(kept);
}
