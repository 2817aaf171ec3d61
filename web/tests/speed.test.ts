import { expect, test } from "vitest";
import { Speed } from "../src/speed";

test("what a resumed upload had before counts for nothing", () => {
  const speed = new Speed();
  speed.add(0, 0);
  for (let at = 1; at <= 5; at++) speed.add(1_000, at * 1_000);
  expect(speed.rate(5_000)).toBe(1_000);
  expect(speed.left(30_000, 5_000)).toBe(30);
});

test("nobody knows at the beginning", () => {
  const speed = new Speed();
  expect(speed.left(1, 0)).toBeNull();
  speed.add(1_000_000, 0);
  expect(speed.left(1, 100)).toBeNull();
});
