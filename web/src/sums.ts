/** A list of digests as `sha256sum -c` reads it: the same lines as the export `files.sha256`. */

import type { StoredFile } from "./api";

export function hasSum(file: StoredFile): boolean {
  return file.status === "ready" && "sha-256" in file.digests;
}

/** One line for each file that has a SHA-256. */
export function sums(files: readonly StoredFile[]): string {
  return files.filter(hasSum).map(line).join("");
}

function line(file: StoredFile): string {
  const path = file.folder === null ? file.filename : `${file.folder}/${file.filename}`;
  // As GNU coreutils write and read it: a line with an escaped name begins with a backslash.
  const escaped = path.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  const mark = escaped === path ? "" : "\\";
  // A file of this name would be read from standard input.
  return `${mark}${file.digests["sha-256"] ?? ""}  ${escaped === "-" ? "./-" : escaped}\n`;
}
