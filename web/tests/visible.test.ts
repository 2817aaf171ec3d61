import { expect, test } from "vitest";
import { offsets, rendered, rowAt, visible } from "../src/visible";

/** Numbers that look random and are the same each time (https://en.wikipedia.org/wiki/Linear_congruential_generator). */
function* numbers(seed: number): Generator<number> {
  for (let state = seed; ;) yield (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
}

test("each row that is seen is rendered, and few others", () => {
  const random = numbers(1);
  const next = () => random.next().value as number;
  for (let round = 0; round < 300; round++) {
    const heights = Array.from({ length: Math.floor(next() * 60) }, () => (next() < 0.2 ? 128 : 56));
    const starts = offsets(heights);
    const top = (next() - 0.3) * 5_000;
    const bottom = top + next() * 1_000;
    const spare = Math.floor(next() * 9);
    const [first, end] = visible(starts, top, bottom, spare);
    const seen = heights.flatMap((height, index) => {
      const start = starts[index] ?? 0;
      return start < bottom && start + height > top ? [index] : [];
    });
    expect(first).toBeGreaterThanOrEqual(0);
    expect(end).toBeLessThanOrEqual(heights.length);
    for (const index of seen) expect(first <= index && index < end).toBe(true);
    expect(end - first).toBeLessThanOrEqual(seen.length + 2 * spare + 2);
  }
});

test("an empty list has nothing to render, wherever it is scrolled to", () => {
  expect(visible(offsets([]), -100, 1_000, 5)).toEqual([0, 0]);
  expect(visible(offsets([56]), 10_000, 11_000, 0)).toEqual([0, 1]);
});

test("a row is found by any point of it", () => {
  const starts = offsets([56, 128, 56]);
  expect(starts).toEqual([0, 56, 184, 240]);
  expect([-1, 0, 55, 56, 183, 184, 239, 240, 9_999].map((y) => rowAt(starts, y))).toEqual([0, 0, 0, 1, 1, 2, 2, 2, 2]);
});

test("what has the focus stays, in its place", () => {
  expect(rendered([2, 5], 3)).toEqual([2, 3, 4]);
  expect(rendered([2, 5], 0)).toEqual([0, 2, 3, 4]);
  expect(rendered([2, 5], 9)).toEqual([2, 3, 4, 9]);
  expect(rendered([2, 5], -1)).toEqual([2, 3, 4]);
});
