/** Where the sender of a file has it. */

const MAX_BYTES = 1_024;
// What the API takes in no name: control characters, and those that reorder the ones around them.
const UNNAMEABLE = /[\p{Cc}\p{Cs}\\\u202a-\u202e\u2066-\u2069]/u;

/** The folder in the path of a file that was chosen or dropped with one; null where it has none that can be kept. */
export function folderOf(path: string): string | null {
  const segments = path.split("/").filter((segment) => segment !== "");
  segments.pop(); // the file's own name
  const folder = segments.join("/");
  const odd = segments.some(
    (segment) => segment.trim() === "" || segment === "." || segment === ".." || segment.length > 255,
  );
  if (folder === "" || odd || UNNAMEABLE.test(folder)) return null;
  return new TextEncoder().encode(folder).length > MAX_BYTES ? null : folder;
}
