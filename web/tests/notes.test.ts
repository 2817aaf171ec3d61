import { expect, test } from "vitest";
import { bytesOf, edited, faultsOf, MOST_BYTES, type Note, notesOf } from "../src/notes";

function notes(...pairs: [string, string][]): Note[] {
  return pairs.map(([name, text], key) => ({ key, name, text }));
}

test("bytes are counted as they are stored", () => {
  expect(bytesOf(notes(["a", "é"], ["", "😀"]))).toBe(1 + 2 + 4);
});

test("each note says what is wrong with it, and a blank one is none", () => {
  const faults = faultsOf(notes(["a", "1"], ["", "2"], ["", "  "], ["a", ""], ["A", ""]));
  expect([...faults]).toEqual([
    [1, "no name"],
    [3, "twice"],
  ]);
});

test("exactly as many bytes as are allowed are right, and one more is said where it is", () => {
  const most = "x".repeat(MOST_BYTES - 1);
  expect(faultsOf(notes(["a", most])).size).toBe(0);
  expect([...faultsOf(notes(["b", ""], ["a", most]))]).toEqual([[1, "too long"]]);
});

test("what nobody edited is stored as it was, whatever its names are", () => {
  const metadata = JSON.parse('{"__proto__": "1", "constructor": "2", "a b": "line\\nline"}') as Record<string, string>;
  expect(edited(notesOf(metadata), metadata, metadata)).toEqual(metadata);
  expect(edited([], null, null)).toBeNull();
});

test("a note is added, changed, renamed and removed, and what another device did stays", () => {
  const before = { camera: "X100", place: "Kraków", by: "me" };
  const now = { ...before, by: "you", later: "1" };
  const mine = notes(["camera", "X200"], ["where", "Kraków"], ["by", "me"], ["", ""]);
  expect(edited(mine, before, now)).toEqual({ camera: "X200", where: "Kraków", by: "you", later: "1" });
  expect(edited([], before, before)).toBeNull();
});
