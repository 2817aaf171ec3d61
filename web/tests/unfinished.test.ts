import { beforeEach, expect, test } from "vitest";
import { forget, remember, unfinished } from "../src/unfinished";

const kept = new Map<string, string>();
const FILE = { path: "a/b.bin", name: "b.bin", size: 3, lastModified: 4 };
const DAY = 86_400_000;

beforeEach(() => {
  kept.clear();
  globalThis.localStorage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  } as Storage;
});

test("what was begun is known until it is finished", () => {
  remember("drop", FILE, 0);
  remember("drop", FILE, 1);
  expect(unfinished("drop", 2)).toEqual([{ ...FILE, begun: 1 }]);
  expect(unfinished("other", 2)).toEqual([]);
  forget("drop", { ...FILE, size: 9 });
  expect(kept.size).toBe(0); // begun at the beginning of time, it is over by now
});

test("after a week the server has given it up", () => {
  remember("drop", FILE, 0);
  expect(unfinished("drop", 7 * DAY - 1)).toHaveLength(1);
  expect(unfinished("drop", 7 * DAY)).toEqual([]);
});

test("what is finished leaves nothing behind", () => {
  remember("drop", FILE);
  forget("drop", FILE);
  expect(kept.size).toBe(0);
});

test("what this page did not write is nothing", () => {
  kept.set("sluice-unfinished-drop", "{");
  expect(unfinished("drop")).toEqual([]);
});
