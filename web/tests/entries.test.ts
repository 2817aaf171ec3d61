import { expect, test } from "vitest";
import type { StoredFile } from "../src/api";
import { entries, foldersOf, type Going, matching, type Row, rows, type Wanted } from "../src/entries";
import { growth, ONCE_EACH } from "./growth";

const START: Wanted = { folder: null, drop: null, q: "", show: "all", sort: "newest", opened: new Set() };

function file(id: string, filename: string, more: Partial<StoredFile> = {}): StoredFile {
  return { id, filename, folder: null, size: 10, status: "ready", verified: true, drop: null, ...more } as StoredFile;
}

function going(key: string, more: Partial<Going> = {}): Going {
  return { key, id: null, name: key, folder: null, size: 10, stage: "waiting", ...more };
}

function list(all: readonly StoredFile[], wanted: Partial<Wanted> = {}, uploads: readonly Going[] = []): string[] {
  const whole = { ...START, ...wanted };
  const found = matching(entries(uploads, all, new Map()), whole);
  return rows(found, whole, (one, other) => one.localeCompare(other, "en", { numeric: true })).map(words);
}

function words(row: Row): string {
  const indent = "  ".repeat(row.level - 1);
  if (row.kind === "file") return `${indent}${row.entry.name}`;
  return `${indent}${row.open ? "-" : "+"} ${row.name} (${row.members.length}, ${row.size})`;
}

test("an upload whose file is known is one row, and stays the same one", () => {
  const keys = new Map<string, string>();
  const [before] = entries([going("upload-1", { stage: "sending" })], [], keys);
  const both = entries(
    [going("upload-1", { id: "a", stage: "sending" })],
    [file("a", "a", { status: "uploading" })],
    keys,
  );
  expect(both.map(({ key, state }) => [key, state])).toEqual([[before?.key, "sending"]]);
  const [after] = entries([], [file("a", "a")], keys);
  expect(after?.key).toBe(before?.key);
});

test("a file that is chosen again to go on stays the row that it was", () => {
  const keys = new Map<string, string>();
  const known = [file("a", "a", { status: "uploading" })];
  const [before] = entries([], known, keys);
  const after = entries([going("upload-7", { id: "a", stage: "sending" })], known, keys);
  expect(after.map(({ key }) => key)).toEqual([before?.key]);
});

test("no two rows have one key, though an upload began anew with another id", () => {
  const keys = new Map<string, string>();
  entries([going("upload-1", { id: "a" })], [file("a", "x")], keys);
  const found = entries([going("upload-1", { id: "b" })], [file("a", "x"), file("b", "x")], keys);
  expect(new Set(found.map(({ key }) => key)).size).toBe(2);
});

test("what was cancelled, or was sent and is deleted, is no row", () => {
  const uploads = [going("1", { stage: "cancelled", id: "a" }), going("2", { stage: "sent", id: "b" })];
  expect(entries(uploads, [], new Map())).toEqual([]);
});

test("the server's word counts where a file has arrived, and this tab's until then", () => {
  const states = (stage: Going["stage"], status: StoredFile["status"]) =>
    entries([going("1", { id: "a", stage })], [file("a", "a", { status })], new Map())[0]?.state;
  expect(states("failed", "hashing")).toBe("hashing"); // only the answer was lost
  expect(states("paused", "uploading")).toBe("paused");
  expect(states("sent", "failed")).toBe("failed");
});

test("what is on its way from here comes first, in its order; then the newest", () => {
  const uploads = [going("first"), going("second", { stage: "failed" }), going("x", { stage: "sent", id: "b" })];
  expect(list([file("a", "old"), file("c", "new"), file("b", "sent")], {}, uploads)).toEqual([
    "first",
    "second",
    "new",
    "sent",
    "old",
  ]);
});

const TREE = [
  file("1", "1.txt", { folder: "a/b", size: 1 }),
  file("2", "2.txt", { folder: "a", size: 2, verified: false }),
  file("3", "3.txt", { size: 100 }),
  file("4", "4.txt", { folder: "ab", size: 300, status: "hashing", verified: false }),
];

test("folders say what is in them and below, and open", () => {
  expect(list(TREE)).toEqual(["+ ab (1, 300)", "3.txt", "+ a (2, 3)"]);
  expect(list(TREE, { opened: new Set(["a", "a/b"]) })).toEqual([
    "+ ab (1, 300)",
    "3.txt",
    "- a (2, 3)",
    "  2.txt",
    "  - b (1, 1)",
    "    1.txt",
  ]);
});

test("a folder knows how its files are", () => {
  const found = rows(entries([], TREE, new Map()), START, () => 0);
  const [ab, , a] = found;
  expect(ab).toMatchObject({ kind: "folder", moving: 1, failed: 0, verified: 0 });
  expect(a).toMatchObject({ kind: "folder", moving: 0, failed: 0, verified: 1 });
});

test("within a folder is what it holds, and nothing of one whose name only begins alike", () => {
  expect(list(TREE, { folder: "a" })).toEqual(["2.txt", "+ b (1, 1)"]);
});

test("sorted by name, as people count, and by size", () => {
  const names = ["file 10", "File 9", "file 1"].map((name, index) => file(`${index}`, name));
  expect(list(names, { sort: "name" })).toEqual(["file 1", "File 9", "file 10"]);
  expect(list(TREE, { sort: "name" })).toEqual(["3.txt", "+ a (2, 3)", "+ ab (1, 300)"]);
  expect(list(TREE, { sort: "size" })).toEqual(["+ ab (1, 300)", "3.txt", "+ a (2, 3)"]);
});

test("who looks for something finds files in any folder, in any case", () => {
  expect(list(TREE, { q: " 1.TXT " })).toEqual(["1.txt"]);
  expect(list(TREE, { show: "moving" })).toEqual(["4.txt"]);
  expect(list([file("1", "of a guest", { drop: "d" }), file("2", "mine")], { drop: "d" })).toEqual(["of a guest"]);
});

test("the folders to choose from are all that are on the way to a file", () => {
  expect(foldersOf(entries([], TREE, new Map()))).toEqual(["a", "a/b", "ab"]);
});

test("files in a thousand folders are listed without a scan of all for each", () => {
  const prepare = (count: number) => {
    const many = Array.from({ length: count }, (_, index) =>
      file(`${index}`.padStart(5, "0"), `${index}`, { folder: `f/${index % 1_000}` }),
    );
    return () => {
      const found = rows(entries([], many, new Map()), { ...START, opened: new Set(["f"]) }, () => 0);
      expect(found.length).toBe(1_001);
    };
  };
  expect(growth(prepare)).toBeLessThan(ONCE_EACH);
});

test("what is being cancelled here asks nobody to go on with it while the server has not answered", () => {
  const known = [file("a", "a", { status: "uploading" }), file("b", "b", { status: "uploading" }), file("c", "c")];
  const cancelled = { stage: "cancelled" } as const;
  const uploads = [
    going("1", { id: "a", ...cancelled }),
    going("2", { id: "b", ...cancelled }),
    going("3", { id: "b", stage: "sending" }), // chosen again meanwhile
    going("4", { id: "c", ...cancelled }), // it had arrived
  ];
  expect(entries(uploads, known, new Map()).map(({ id, state }) => [id, state])).toEqual([
    ["b", "sending"],
    ["c", "ready"],
  ]);
});
