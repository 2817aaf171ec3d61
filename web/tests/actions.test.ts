import { expect, test } from "vitest";

import { canDownload } from "../src/actions";
import type { StoredFile } from "../src/api";

function file(more: Partial<StoredFile>): StoredFile {
  return { status: "hashing", verified: true, ...more } as StoredFile;
}

const links = { self: "s", content: "c", events: "e" };

test("a verified file can be had while it is hashed once more, but not where files are scanned for malware", () => {
  expect(canDownload(file({}))).toBe(true);
  expect(canDownload(file({ links: { ...links, direct: "d" } }))).toBe(true);
  expect(canDownload(file({ links: { ...links, direct: "" } }))).toBe(false);
  expect(canDownload(file({ links }))).toBe(false);
});

test("a file that is being scanned cannot be had, and one that was found clean can", () => {
  expect(canDownload(file({ status: "scanning" }))).toBe(false);
  expect(canDownload(file({ status: "ready", links: { ...links, direct: "d" } }))).toBe(true);
});
