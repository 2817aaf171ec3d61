import { expect, test } from "vitest";
import { type Chosen, few, hiddenNames, pasted, sort, walk } from "../src/chosen";

function chosen(...paths: string[]): Chosen[] {
  return paths.map((path) => ({
    file: new File(["x"], path.split("/").pop() ?? ""),
    path: path.includes("/") ? path : "",
  }));
}

const paths = (some: Chosen[]) => some.map(({ file, path }) => path || file.name);

/** What a browser hands out of a dropped folder: at most 100 entries at a time. */
function folder(path: string, inside: FileSystemEntry[]): FileSystemEntry {
  const createReader = () => {
    const rest = [...inside];
    return { readEntries: (take: (some: FileSystemEntry[]) => void) => take(rest.splice(0, 100)) };
  };
  return { isDirectory: true, isFile: false, fullPath: path, createReader } as unknown as FileSystemEntry;
}

function file(path: string, readable = true): FileSystemEntry {
  const read = (take: (file: File) => void, refuse: (error: Error) => void) =>
    readable ? take(new File([], path.split("/").pop() ?? "")) : refuse(new Error("NotFoundError"));
  return { isDirectory: false, isFile: true, fullPath: path, file: read } as unknown as FileSystemEntry;
}

test.each([
  ".DS_Store",
  "a/.DS_Store",
  "a/Thumbs.db",
  "a/THUMBS.DB",
  "a/desktop.ini",
  "a/._photo.jpg",
  "__MACOSX/a/photo.jpg",
  "a/__MACOSX/._photo.jpg",
  "a/~$report.docx",
  "a/.~lock.report.odt#",
])("nobody means to send %s", (path) => {
  expect(paths(sort(chosen(path)).litter)).toEqual([path]);
});

test.each(["photo.jpg", "a/b/photo.jpg", "~notes.txt", "thumbs.db.txt", "a/my.desktop.ini", "a.b/c", "$~x"])(
  "%s is a file like others",
  (path) => {
    expect(paths(sort(chosen(path)).wanted)).toEqual([path]);
  },
);

test.each([".env", "a/.git/config", ".config/app/settings.json", "a/.hidden"])("%s is hidden", (path) => {
  expect(paths(sort(chosen(path)).hidden)).toEqual([path]);
});

test("a hidden folder has one name, however much is in it", () => {
  const hidden = chosen("a/.git/config", "a/.git/refs/heads/main", "a/.env", ".env");
  expect(hiddenNames(hidden)).toEqual(["a/.git/", "a/.env", ".env"]);
});

test("of many names a few are told", () => {
  expect(few(["a", "b", "c", "d", "e"])).toEqual({ names: "a, b, c", others: 2 });
  expect(few(["a"])).toEqual({ names: "a", others: 0 });
});

test("all files of a folder are found, also behind the first hundred, and empty folders are nothing", async () => {
  const many = Array.from({ length: 250 }, (_, index) => file(`/a/b/${index}`));
  const found = await walk([
    folder("/a", [file("/a/first"), folder("/a/b", many), folder("/a/empty", [])]),
    file("/x"),
  ]);
  expect(found.chosen).toHaveLength(252);
  expect(paths(found.chosen).slice(0, 3)).toEqual(["a/first", "a/b/0", "a/b/1"]);
  expect(found.chosen.at(-1)?.path).toBe("");
});

test("what cannot be read is named, and the rest is found", async () => {
  const found = await walk([folder("/a", [file("/a/gone", false), file("/a/there")])]);
  expect(paths(found.chosen)).toEqual(["a/there"]);
  expect(found.unreadable).toEqual(["a/gone"]);
});

test("pasted pictures have names that tell them apart", () => {
  const image = new File(["x"], "image.png", { type: "image/png", lastModified: 7 });
  const now = new Date(2026, 10, 29, 9, 5, 3);
  const [first, second, other] = pasted([image, image, new File([], "photo.png")], now).map((one) => one.file);
  expect([first?.name, second?.name, other?.name]).toEqual([
    "2026-11-29 09.05.03.png",
    "2026-11-29 09.05.03 (2).png",
    "photo.png",
  ]);
  expect([first?.type, first?.lastModified]).toEqual(["image/png", 7]);
});
