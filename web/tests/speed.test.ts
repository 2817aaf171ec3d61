import { expect, test } from "vitest";
import { Speed } from "../src/speed";

/** One that has sent this many bytes a second until `seconds`. */
function steady(perSecond: number, seconds: number): Speed {
  const speed = new Speed();
  for (let at = 0; at <= seconds; at++) speed.add(perSecond, at * 1_000);
  return speed;
}

test("it is what was sent over the last seconds", () => {
  expect(steady(1_000, 5).rate(5_000)).toBe(1_000);
  expect(steady(1_000, 5).left(30_000, 5_000)).toBe(30);
});

test("it follows a network that changes", () => {
  const speed = steady(1_000_000, 60);
  for (let at = 61; at <= 71; at++) speed.add(1_000, at * 1_000);
  expect(speed.rate(71_000)).toBe(1_000);
});

test("nobody knows at the beginning", () => {
  const speed = new Speed();
  expect(speed.left(1, 0)).toBeNull();
  speed.add(1_000_000, 0);
  speed.add(1_000_000, 100);
  expect(speed.left(1, 100)).toBeNull();
});

test("the first bytes, which took nobody knows how long, count for nothing", () => {
  const speed = new Speed();
  speed.add(64_000_000, 0);
  for (let at = 1; at <= 5; at++) speed.add(1_000, at * 1_000);
  expect(speed.rate(5_000)).toBe(1_000);
});

test("an empty file changes nothing, at any moment", () => {
  const speed = new Speed();
  speed.add(0, 0);
  expect(speed.rate(10_000)).toBeNull();
  for (let at = 10; at <= 15; at++) speed.add(1_000, at * 1_000);
  speed.add(0, 15_000);
  expect(speed.rate(15_000)).toBe(1_000);
});

test("a part that has to be sent again takes nothing back", () => {
  const speed = steady(1_000, 5);
  speed.add(-5_000, 5_000);
  expect(speed.rate(5_000)).toBe(1_000);
});

test("paused time does not count", () => {
  const speed = steady(1_000, 5);
  speed.reset();
  for (let at = 3_600; at <= 3_605; at++) speed.add(2_000, at * 1_000);
  expect(speed.rate(3_605_000)).toBe(2_000);
});

test("a connection that stands still is slower and slower, and then nobody knows", () => {
  const speed = steady(1_000, 20);
  expect(speed.rate(25_000)).toBe(500);
  expect(speed.left(1_000, 31_000)).toBeNull();
});

test("what was sent before a long silence is not spread over it", () => {
  const speed = steady(1_000, 20);
  for (let at = 80; at <= 85; at++) speed.add(1_000, at * 1_000);
  expect(speed.rate(85_000)).toBe(600);
});
