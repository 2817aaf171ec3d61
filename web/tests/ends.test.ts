import { expect, test } from "vitest";
import { dateAfter, secondsUntil } from "../src/ends";

const NOON = new Date(2026, 10, 29, 12, 0, 0);

test("a date is meant to its end, where the person is", () => {
  expect(secondsUntil("date", "2026-11-29", NOON)).toBe(12 * 3_600);
  expect(secondsUntil("date", "2026-12-06", NOON)).toBe(7 * 86_400 + 12 * 3_600);
});

test("a date that is over, or too far, is as near as the server takes", () => {
  expect(secondsUntil("date", "2026-11-01", NOON)).toBe(1);
  expect(secondsUntil("date", "2029-01-01", NOON)).toBe(366 * 86_400);
});

test("a day, a week and a month", () => {
  expect(["day", "week", "month"].map((choice) => secondsUntil(choice as "day", "", NOON) / 86_400)).toEqual([
    1, 7, 30,
  ]);
});

test("days from now on", () => {
  expect(dateAfter(0, NOON)).toBe("2026-11-29");
  expect(dateAfter(3, NOON)).toBe("2026-12-02");
});
