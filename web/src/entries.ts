/**
 * The rows of the list: what this tab sends, and what the server has. An upload whose file the server knows is one row with it.
 *
 * All of it is plain values. What changes many times a second (how far something is) is read by each row itself.
 */

import { ARRIVED, type StoredFile } from "./api";
import type { Stage } from "./uploads";

/** What this tab sends. */
export interface Going {
  key: string;
  id: string | null;
  name: string;
  folder: string | null;
  size: number;
  stage: Stage;
}

/** What a person sees of it: how far this tab is with sending it, or else the file's own status. */
export type State = Exclude<Stage, "sent" | "cancelled"> | StoredFile["status"];

export interface Entry {
  /** Stays the same for as long as the row is there. */
  key: string;
  id: string | null;
  /** The key of what this tab sends, if it does. */
  upload: string | null;
  name: string;
  folder: string | null;
  size: number | null;
  state: State;
  verified: boolean;
  drop: string | null;
  file: StoredFile | null;
}

/**
 * `keys` remembers by which key a file is known, from one call to the next: what was chosen again, or has an id by now, stays the
 * row that it was, with the focus and the mark that it has.
 */
export function entries(
  going: readonly Going[],
  files: readonly StoredFile[],
  keys: Map<string, string>,
): readonly Entry[] {
  const known = new Map(files.map((file) => [file.id, file]));
  const taken = new Set<string>();
  const found: Entry[] = [];
  const cancelled: string[] = [];
  for (const one of going) {
    if (one.stage === "cancelled" && one.id !== null) cancelled.push(one.id);
    const file = (one.id !== null && known.get(one.id)) || null;
    if (one.stage === "cancelled" || (one.stage === "sent" && !file)) continue;
    const key = (one.id !== null && keys.get(one.id)) || one.key;
    if (taken.has(key)) continue;
    taken.add(key);
    if (one.id !== null) {
      known.delete(one.id);
      keys.set(one.id, key);
    }
    found.push({
      key,
      id: one.id,
      upload: one.key,
      name: file?.filename ?? one.name,
      folder: file ? file.folder : one.folder,
      size: one.size,
      state: stateOf(one.stage, file),
      verified: file?.verified ?? false,
      drop: null,
      file,
    });
  }
  for (const id of cancelled) if (known.get(id)?.status === "uploading") known.delete(id); // the server will say so
  for (const file of known.values()) {
    const before = keys.get(file.id);
    const key = before === undefined || taken.has(before) ? file.id : before;
    keys.set(file.id, key);
    const { id, filename: name, folder, size, status: state, verified, drop } = file;
    found.push({ key, id, upload: null, name, folder, size, state, verified, drop, file });
  }
  return found;
}

/** How far this tab is with sending it, until the server has it; then the file's own status. */
export function stateOf(stage: Stage | undefined, file: StoredFile | null | undefined): State {
  if (stage === undefined || stage === "sent" || stage === "cancelled" || (file && ARRIVED.includes(file.status)))
    return file?.status ?? "assembling";
  return stage;
}

export type Sort = "newest" | "name" | "size";
export type Show = "all" | "moving" | "ready" | "failed";

const SHOWN: Record<Exclude<Show, "all">, readonly State[]> = {
  moving: ["waiting", "sending", "paused", "uploading", "assembling", "hashing", "scanning"],
  ready: ["ready"],
  failed: ["failed", "aborted"],
};
const MINE: readonly State[] = ["waiting", "sending", "paused", "failed"];

export interface Wanted {
  /** What is in this folder and below it; null for everything. */
  folder: string | null;
  drop: string | null;
  /** A part of the name. */
  q: string;
  show: Show;
  sort: Sort;
  /** The folders whose content is listed below them. */
  opened: ReadonlySet<string>;
}

export interface FileRow {
  kind: "file";
  key: string;
  level: number;
  entry: Entry;
}

export interface FolderRow {
  kind: "folder";
  key: string;
  level: number;
  path: string;
  name: string;
  open: boolean;
  /** The files in it and below it. */
  members: readonly Entry[];
  size: number;
  moving: number;
  failed: number;
  verified: number;
}

export type Row = FileRow | FolderRow;

/** The files that are meant. */
export function matching(all: readonly Entry[], { folder, drop, q, show }: Wanted): readonly Entry[] {
  const part = q.trim().toLocaleLowerCase();
  return all.filter(
    (entry) =>
      (folder === null || entry.folder === folder || (entry.folder?.startsWith(`${folder}/`) ?? false)) &&
      (drop === null || entry.drop === drop) &&
      (part === "" || entry.name.toLocaleLowerCase().includes(part)) &&
      (show === "all" || SHOWN[show].includes(entry.state)),
  );
}

/** Who looks for something, or for what failed, wants files and not the folders around them. */
export function isFlat({ q, show }: Wanted): boolean {
  return q.trim() !== "" || show !== "all";
}

/** The rows as they follow each other. `compare` is how names are sorted in the language of who reads them. */
export function rows(
  found: readonly Entry[],
  wanted: Wanted,
  compare: (one: string, other: string) => number,
): readonly Row[] {
  const order = orders(compare)[wanted.sort];
  const sorted = [...found].sort(order);
  if (isFlat(wanted)) return sorted.map((entry) => ({ kind: "file", key: entry.key, level: 1, entry }));
  const root = new Node(wanted.folder ?? "");
  for (const entry of sorted) root.put(entry);
  return [...root.rows(wanted, compare, 1)];
}

type Order = (one: Entry, other: Entry) => number;

function orders(compare: (one: string, other: string) => number): Record<Sort, Order> {
  const name: Order = (one, other) => compare(one.name, other.name) || newest(one, other);
  return { newest, name, size: (one, other) => (other.size ?? -1) - (one.size ?? -1) || name(one, other) };
}

/** What this tab has yet to send comes first, in its order; then the newest, which is what an id begins with. */
function newest(one: Entry, other: Entry): number {
  const waits = Number(isMine(other)) - Number(isMine(one));
  if (waits !== 0 || isMine(one)) return waits; // sorting is stable
  const [first, second] = [one.id ?? "", other.id ?? ""];
  return first === second ? 0 : first > second ? -1 : 1;
}

function isMine(entry: Entry): boolean {
  return entry.upload !== null && MINE.includes(entry.state);
}

/** A folder, with what is in it. Entries come sorted, so the first one says where the folder stands among its neighbours. */
class Node {
  readonly folders = new Map<string, Node>();
  readonly members: Entry[] = [];
  private readonly children: (Entry | Node)[] = [];

  constructor(readonly path: string) {}

  get name(): string {
    return this.path.slice(this.path.lastIndexOf("/") + 1);
  }

  put(entry: Entry): void {
    this.members.push(entry);
    const folder = entry.folder ?? "";
    if (folder === this.path) {
      this.children.push(entry);
      return;
    }
    const begin = this.path === "" ? 0 : this.path.length + 1;
    const end = folder.indexOf("/", begin);
    const path = end < 0 ? folder : folder.slice(0, end);
    let next = this.folders.get(path);
    if (!next) {
      next = new Node(path);
      this.folders.set(path, next);
      this.children.push(next);
    }
    next.put(entry);
  }

  *rows(wanted: Wanted, compare: (one: string, other: string) => number, level: number): Generator<Row> {
    for (const child of this.sorted(wanted.sort, compare)) {
      if (!(child instanceof Node)) {
        yield { kind: "file", key: child.key, level, entry: child };
        continue;
      }
      const open = wanted.opened.has(child.path);
      yield child.row(level, open);
      if (open) yield* child.rows(wanted, compare, level + 1);
    }
  }

  private sorted(sort: Sort, compare: (one: string, other: string) => number): (Entry | Node)[] {
    if (sort === "newest" || this.folders.size === 0) return this.children;
    if (sort === "name") return this.children.toSorted((one, other) => compare(one.name, other.name));
    const sizes = new Map(
      this.children.map((child) => [child, child instanceof Node ? child.size : (child.size ?? -1)]),
    );
    return this.children.toSorted((one, other) => (sizes.get(other) ?? 0) - (sizes.get(one) ?? 0));
  }

  private get size(): number {
    return this.members.reduce((sum, { size }) => sum + (size ?? 0), 0);
  }

  private row(level: number, open: boolean): FolderRow {
    const { path, name, members, size } = this;
    const count = (holds: (entry: Entry) => boolean) => members.reduce((sum, one) => sum + Number(holds(one)), 0);
    return {
      kind: "folder",
      key: `folder:${path}`,
      level,
      path,
      name,
      open,
      members,
      size,
      moving: count(({ state }) => SHOWN.moving.includes(state)),
      failed: count(({ state }) => SHOWN.failed.includes(state)),
      verified: count(({ state, verified }) => state === "ready" && verified),
    };
  }
}

/** The folders of these files and those around them, sorted: to choose one of them. */
export function foldersOf(all: readonly Entry[]): string[] {
  const found = new Set<string>();
  for (const { folder } of all) {
    for (let path = folder; path !== null && path !== "" && !found.has(path);) {
      found.add(path);
      const end = path.lastIndexOf("/");
      path = end < 0 ? null : path.slice(0, end);
    }
  }
  return [...found].sort();
}
