import { expect, test } from "vitest";
import { kindOf, shownAs } from "../src/kinds";
import { ends } from "../src/names";

test("no emoji is cut in half, and nothing is lost", () => {
  const mermaid = "🧜🏽‍♀️";
  const name = `${"é".repeat(30)}${mermaid.repeat(12)}.jpg`;
  const [begin, end] = ends(name);
  expect(begin + end).toBe(name);
  expect(end).toBe(`${mermaid.repeat(6)}.jpg`);
  expect(ends("short.txt")).toEqual(["short.txt", ""]);
});

test("a kind goes by the type, and by the name where the type says nothing", () => {
  expect(kindOf("video/webm;codecs=vp8,opus", "x")).toBe("video");
  expect(kindOf("application/octet-stream", "IMG_1.HEIC")).toBe("image");
  expect(kindOf("application/zip", "x")).toBe("archive");
  expect(kindOf("application/problem+json", "x")).toBe("text");
  expect(kindOf("", "")).toBe("other");
});

test("what may have scripts is not shown", () => {
  expect(shownAs("image/svg+xml")).toBeNull();
  expect(shownAs("image/png")).toBe("image");
  expect(shownAs("text/html; charset=utf-8")).toBe("text"); // as its source
  expect(shownAs("application/octet-stream")).toBeNull();
});
