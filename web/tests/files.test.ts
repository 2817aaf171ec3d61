import { expect, test } from "vitest";
import type { StoredFile } from "../src/api";
import { Files } from "../src/files";

function file(id: string, more: Partial<StoredFile> = {}): StoredFile {
  return { id, status: "uploading", revision: 1, expires_at: null, reason: null, ...more } as StoredFile;
}

test("an older state changes nothing, and what was removed does not come back", () => {
  const files = new Files();
  files.put(file("a", { revision: 3, status: "ready" }), file("b"));
  files.put(file("a", { revision: 2 }));
  expect(files.get("a")?.value.status).toBe("ready");
  files.remove("b");
  files.put(file("b", { revision: 9 }));
  expect(files.size).toBe(1);
});

test("an upload whose time is over reads as aborted, others do not", () => {
  const files = new Files();
  const over = "2026-11-28T12:00:00Z";
  files.put(file("over", { expires_at: over }), file("going", { expires_at: "2026-11-30T12:00:00Z" }));
  files.put(file("arrived", { status: "ready" }));
  files.expire(Date.parse(over));
  expect(files.all().map(({ value }) => value.status)).toEqual(["aborted", "uploading", "ready"]);
  expect(files.get("over")?.value.reason).toBe("expired");
});

test("a cancelled upload does not come back by an answer that was under way", () => {
  const files = new Files();
  files.put(file("a", { revision: 1 }));
  files.put(file("a", { revision: 2, status: "aborted", reason: "aborted" }));
  files.put(file("a", { revision: 1 }));
  expect(files.size).toBe(0);
});
