import { beforeEach, expect, test, vi } from "vitest";
import { bytes, duration, fraction, percent } from "../src/format";
import { speak } from "../src/i18n";

beforeEach(async () => {
  vi.stubGlobal("document", { documentElement: {} });
  await speak("en");
});

test.each([
  [0, "0 bytes"],
  [1, "1 byte"],
  [999, "999 bytes"],
  [1_000, "1 kB"],
  [8_388_608, "8.4 MB"],
  [999_949, "999.9 kB"],
  [999_950, "1 MB"],
  [999_999_999, "1 GB"],
  [5e12, "5 TB"],
])("%d bytes are %s: a megabyte has a million of them", (count, said) => {
  expect(bytes(count)).toBe(said);
});

test("in German with a comma", async () => {
  await speak("de");
  expect(bytes(8_388_608)).toBe("8,4 MB");
});

test("all of it is sent only when nothing is left", () => {
  expect([percent(0, 1000), percent(999, 1000), percent(1000, 1000)]).toEqual(["0%", "99%", "100%"]);
  expect([fraction(0, 0), fraction(5, 4)]).toEqual([1, 1]);
});

test.each([
  [0.1, "1 sec"],
  [59, "59 sec"],
  [90, "90 sec"],
  [91, "2 min"],
  [3_600, "60 min"],
  [100_000, "28 hr"],
])("%d seconds are %s", (seconds, said) => {
  expect(duration(seconds)).toBe(said);
});
