import { expect, test } from "vitest";
import { between, share, toggle } from "../src/selection";

const KEYS = ["a", "b", "c", "d"];

test("a range goes either way, and from nowhere it is one row", () => {
  expect(between(KEYS, "b", "d")).toEqual(["b", "c", "d"]);
  expect(between(KEYS, "c", "a")).toEqual(["a", "b", "c"]);
  expect(between(KEYS, null, "c")).toEqual(["c"]);
  expect(between(KEYS, "gone", "c")).toEqual(["c"]);
  expect(between(KEYS, "a", "gone")).toEqual([]);
});

test("toggling some of which a few are selected selects them all, and again none", () => {
  const all = toggle(new Set(["b", "x"]), KEYS);
  expect([...all].sort()).toEqual(["a", "b", "c", "d", "x"]);
  expect([...toggle(all, KEYS)]).toEqual(["x"]);
});

test("how much of a folder is selected", () => {
  expect(share(new Set(), KEYS)).toBe("none");
  expect(share(new Set(["x", "a"]), KEYS)).toBe("some");
  expect(share(new Set(KEYS), KEYS)).toBe("all");
  expect(share(new Set(KEYS), [])).toBe("none");
});
