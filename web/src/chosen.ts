/** What was chosen, dropped or pasted: folders become files, and what no person means to send is told apart. */

/** A file that was chosen or dropped. `path` has its folder, where it came with one: `a/b/name`. */
export interface Chosen {
  file: File;
  path: string;
}

export interface Sorted {
  /** What is sent. */
  wanted: Chosen[];
  /** What operating systems and Office leave beside people's files: nobody means to send it. */
  litter: Chosen[];
  /** Hidden by their own name, or by that of a folder around them. */
  hidden: Chosen[];
}

// macOS, Windows, Nautilus and network drives of Apple and Synology make these by themselves.
const LITTER = new Set([".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".localized", "icon\r"]);
const LITTER_FOLDERS = new Set(["__macosx", ".spotlight-v100", ".trashes", ".fseventsd", "@eadir", "$recycle.bin"]);
const LITTER_PREFIXES = ["._", "~$", ".~lock."]; // resource forks of macOS, lock files of Office and LibreOffice

export function sort(chosen: readonly Chosen[]): Sorted {
  const sorted: Sorted = { wanted: [], litter: [], hidden: [] };
  for (const one of chosen) sorted[kind(segments(one))].push(one);
  return sorted;
}

function kind(path: string[]): keyof Sorted {
  const folders = path.slice(0, -1);
  const name = path[path.length - 1] ?? "";
  const left = LITTER.has(name.toLowerCase()) || LITTER_PREFIXES.some((prefix) => name.startsWith(prefix));
  if (left || folders.some((folder) => LITTER_FOLDERS.has(folder.toLowerCase()))) return "litter";
  return path.some((segment) => segment.startsWith(".")) ? "hidden" : "wanted";
}

function segments({ file, path }: Chosen): string[] {
  return (path === "" ? file.name : path).split("/").filter((segment) => segment !== "");
}

/** What somebody calls it: a hidden folder by its own path, whatever is in it, and a file by its name. */
export function hiddenNames(hidden: readonly Chosen[]): string[] {
  const names = hidden.map((one) => {
    const path = segments(one);
    const first = path.findIndex((segment) => segment.startsWith("."));
    return path.slice(0, first + 1).join("/") + (first < path.length - 1 ? "/" : "");
  });
  return [...new Set(names)];
}

/** A few of the names, and how many others there are. */
export function few(names: readonly string[], most = 3): { names: string; others: number } {
  return { names: names.slice(0, most).join(", "), others: Math.max(0, names.length - most) };
}

export interface Found {
  chosen: Chosen[];
  /** Paths of what the browser could not read. */
  unreadable: string[];
}

/** All files in and below these entries, with their folders. Empty folders are nothing. */
export async function walk(entries: readonly FileSystemEntry[]): Promise<Found> {
  const found: Found = { chosen: [], unreadable: [] };
  const waiting = [...entries].reverse();
  for (let entry = waiting.pop(); entry; entry = waiting.pop()) {
    try {
      if (isFolder(entry)) waiting.push(...(await children(entry)).reverse());
      else if (isFile(entry)) found.chosen.push(await fileOf(entry));
    } catch {
      found.unreadable.push(pathOf(entry)); // deleted meanwhile, or not this person's to read
    }
  }
  return found;
}

/** An answer has at most 100 entries, and the last one has none: https://developer.mozilla.org/docs/Web/API/FileSystemDirectoryReader/readEntries */
async function children(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

async function fileOf(entry: FileSystemFileEntry): Promise<Chosen> {
  const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
  const path = pathOf(entry);
  return { file, path: path.includes("/") ? path : "" };
}

function pathOf(entry: FileSystemEntry): string {
  return entry.fullPath.replace(/^\/+/, "");
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

/** Browsers call every pasted picture `image.png`: with its moment it can be told from the next one. */
export function pasted(files: readonly File[], now = new Date()): Chosen[] {
  return files.map((file, index) => {
    if (!/^image\.\w+$/.test(file.name)) return { file, path: "" };
    const pad = (value: number) => String(value).padStart(2, "0");
    const day = [now.getFullYear(), pad(now.getMonth() + 1), pad(now.getDate())].join("-");
    const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(pad).join(".");
    const name = `${day} ${time}${index === 0 ? "" : ` (${index + 1})`}${file.name.slice("image".length)}`;
    return { file: new File([file], name, { type: file.type, lastModified: file.lastModified }), path: "" };
  });
}
