import { expect, test } from "vitest";
import type { StoredFile } from "../src/api";
import { hasSum, sums } from "../src/sums";

const SUM = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

function file(filename: string, more: Partial<StoredFile> = {}): StoredFile {
  return { filename, folder: null, status: "ready", digests: { "sha-256": SUM }, ...more } as StoredFile;
}

test("names are escaped as GNU coreutils do", () => {
  const line = (filename: string, folder: string | null = null) => sums([file(filename, { folder })]);
  expect(line("plain.txt")).toBe(`${SUM}  plain.txt\n`);
  expect(line("ünï 🧜🏽‍♀️", "a/b")).toBe(`${SUM}  a/b/ünï 🧜🏽‍♀️\n`);
  expect(line("two\nlines")).toBe(`\\${SUM}  two\\nlines\n`);
  expect(line("back\\slash\r")).toBe(`\\${SUM}  back\\\\slash\\r\n`);
});

test("a file that is called - is not standard input", () => {
  expect(sums([file("-"), file("-", { folder: "a" })])).toBe(`${SUM}  ./-\n${SUM}  a/-\n`);
});

test("what is not ready, or has no SHA-256, is left out", () => {
  const others = [file("hashing", { status: "hashing" }), file("md5 alone", { digests: { md5: "0" } })];
  expect(sums(others)).toBe("");
  expect(others.some(hasSum)).toBe(false);
});
