import { expect, test } from "vitest";
import { behind, Lines } from "../src/loading";

test("lines that arrive in pieces are whole, and blank ones are none", () => {
  const lines = new Lines();
  expect([...lines.add('{"a')]).toEqual([]);
  expect(lines.cut).toBe(true);
  expect([...lines.add('":1}\n\n{"b":2}\n')]).toEqual(['{"a":1}', '{"b":2}']);
  expect(lines.cut).toBe(false);
});

test("an export goes on behind a file", () => {
  const url = new URL(behind(behind("https://stream.example/files.jsonl?capability=c", "one"), "two"));
  expect(url.searchParams.getAll("after")).toEqual(["two"]);
  expect(url.searchParams.get("capability")).toBe("c");
});
