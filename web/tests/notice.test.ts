import { expect, test } from "vitest";
import type { StoredFile } from "../src/api";
import { entries } from "../src/entries";
import { noticeOf } from "../src/notice";

function help(more: Partial<StoredFile>) {
  const file = {
    id: "1",
    filename: "a",
    size: 10,
    status: "uploading",
    drop: null,
    folder: null,
    ...more,
  } as StoredFile;
  const [entry] = entries([], [file], new Map());
  return entry && noticeOf(entry, undefined, new Map())?.helps;
}

test("only what a page of the owner has begun is gone on with at the owner's page", () => {
  expect(help({ fingerprint: "page:1" })).toBe("choose");
  expect(help({ fingerprint: "page:1", drop: "2" })).toBeUndefined();
  expect(help({ fingerprint: null })).toBeUndefined();
});
