import { expect, test } from "vitest";
import { broken, capitalized, isRange } from "../src/rules";
import { inWords } from "../src/type_words";

const file = (name: string, size: number, type: string) => ({ name, size, type });

test("a file breaks the rule that it breaks", () => {
  const rules = { content_types: ["image/*", "application/pdf", ".heic"], max_file_bytes: 10 };
  expect(broken(rules, file("a.png", 10, "image/png"))).toBeNull();
  expect(broken(rules, file("a.png", 11, "image/png"))).toBe("size");
  expect(broken(rules, file("a.pdf", 1, "application/pdf; charset=x"))).toBeNull();
  expect(broken(rules, file("a.txt", 1, "text/plain"))).toBe("type");
  expect(broken(rules, file("A.HEIC", 1, "application/octet-stream"))).toBeNull();
});

test("a type that the browser does not know is for the server to tell, by the extension", () => {
  const rules = { content_types: ["video/*"], max_file_bytes: null };
  expect(broken(rules, file("film.mkv", 1, ""))).toBeNull();
  expect(broken(rules, file("README", 1, ""))).toBe("type");
  expect(broken(rules, file(".profile", 1, ""))).toBe("type");
  expect(broken({ content_types: ["*/*"], max_file_bytes: null }, file("README", 1, ""))).toBeNull();
});

test("no rule is broken where there is none", () => {
  expect(broken({ content_types: null, max_file_bytes: null }, file("a", 1e15, ""))).toBeNull();
});

test("types in words", () => {
  expect(inWords(["image/*", "application/pdf"])).toBe("images and PDF files");
  expect(inWords([".heic", "image/svg+xml", "video/mp4", "text/*"])).toBe(
    ".heic files, SVG images, MP4 videos, and text files",
  );
  expect(inWords(["application/vnd.oasis.opendocument.text"])).toBe("application/vnd.oasis.opendocument.text files");
  expect(inWords(Array.from({ length: 12 }, (_, number) => `.a${number}`))).toMatch(/\.a9 files, and 2 other types$/);
  expect(capitalized("images")).toBe("Images");
  expect(capitalized("")).toBe("");
});

test.each([
  ["image/*", true],
  ["*/*", true],
  ["application/vnd.ms-excel", true],
  [".heic", true],
  [".tar.gz", true],
  ["*/png", false],
  ["png", false],
  ["image/", false],
  [".", false],
  ["image/png;q=1", false],
])("a drop's list may have %s: %s", (words, wanted) => {
  expect(isRange(words)).toBe(wanted);
});
