/** What the list shows at the moment: its rows, the one that has the focus, and those that are selected. */

import { batch, computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import { entries, type Entry, foldersOf, matching, type Row, rows, type Show, type Sort, type Wanted } from "./entries";
import type { Files } from "./files";
import { language } from "./i18n";
import { route } from "./route";
import { between, type Selection, toggle } from "./selection";
import type { Upload, Uploads } from "./uploads";

// Making the rows anew takes some milliseconds for thousands of files, and a hundred uploads change them all the time. So
// it may take this share of the time and no more.
const SHARE_OF_TIME = 0.1;
const CHANGES_MS = 100; // nobody reads a list that changes more often

// As they were left, when somebody comes back from the drops to the files.
export const sort = signal<Sort>("newest");
export const show = signal<Show>("all");
const opened = signal<ReadonlySet<string>>(new Set());

/** Reading signals is following them. */
export function reads(...values: readonly unknown[]): boolean {
  return values.length > 0;
}

export class Listing {
  /** The row that the keyboard is at. */
  readonly active = signal<string | null>(null);
  /** What went wrong with a file when something was done with it here. */
  readonly troubles = signal<ReadonlyMap<string, unknown>>(new Map());
  /** Whether the active row is to have the focus, as soon as it is in the document. */
  readonly wantsFocus = signal(false);

  private readonly chosen = signal<Selection>(new Set());
  private readonly keys = new Map<string, string>();
  private readonly changes = signal(0);
  private anchor: string | null = null;
  private joining = 0; // milliseconds, the last time
  private sorting = 0;

  constructor(
    private readonly files: Files,
    private readonly uploads: Uploads,
  ) {}

  /** Everything that there is. */
  readonly all: ReadonlySignal<readonly Entry[]> = computed(() => {
    reads(this.changes.value);
    const began = performance.now();
    const going = this.uploads.all.peek().map(({ key, id, name, folder, size, stage }) => ({
      ...{ key, name, folder, size },
      ...{ id: id.peek(), stage: stage.peek() },
    }));
    const files = this.files.all().map((file) => file.peek());
    const made = entries(going, files, this.keys);
    this.joining = performance.now() - began;
    return made;
  });

  readonly wanted = computed((): Wanted => {
    const { folder, drop, q } = route.value;
    return { folder, drop, q, show: show.value, sort: sort.value, opened: opened.value };
  });

  /** What is meant by folder, drop, search and filter: shown, or in a folder that is closed. */
  readonly found = computed(() => matching(this.all.value, this.wanted.value));

  readonly rows = computed((): readonly Row[] => {
    const began = performance.now();
    const collator = new Intl.Collator(language.value, { numeric: true });
    const made = rows(this.found.value, this.wanted.value, (one, other) => collator.compare(one, other));
    this.sorting = performance.now() - began;
    return made;
  });

  readonly folders = computed(() => foldersOf(this.all.value));

  readonly byUpload = computed((): ReadonlyMap<string, Upload> => {
    reads(this.changes.value);
    return new Map(this.uploads.all.peek().map((upload) => [upload.key, upload]));
  });

  /** The selected files. What is not shown any more is not selected: nobody deletes what he does not see. */
  readonly selected = computed(() => this.found.value.filter(({ key }) => this.chosen.value.has(key)));
  readonly selection = computed((): Selection => new Set(this.selected.value.map(({ key }) => key)));

  /** Follows what changes until the returned function is called. */
  follow(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last = -Infinity;
    const renew = () => {
      timer = undefined;
      last = performance.now();
      this.changes.value++;
    };
    const leave = effect(() => {
      reads(this.files.changes.value, this.uploads.all.value, this.uploads.moves.value);
      untracked(() => {
        if (timer !== undefined) return;
        const due = last + Math.max(CHANGES_MS, (this.joining + this.sorting) / SHARE_OF_TIME) - performance.now();
        if (due <= 0) renew();
        else timer = setTimeout(renew, due);
      });
    });
    return () => {
      leave();
      clearTimeout(timer);
    };
  }

  /** The files that a row stands for. */
  members(row: Row): readonly Entry[] {
    return row.kind === "file" ? [row.entry] : row.members;
  }

  toggle(row: Row): void {
    this.anchor = row.key;
    this.chosen.value = toggle(
      this.chosen.value,
      this.members(row).map(({ key }) => key),
    );
  }

  /** From the row that was selected last to this one. */
  extend(row: Row): void {
    const byKey = new Map(this.rows.value.map((one) => [one.key, one]));
    const range = between([...byKey.keys()], this.anchor ?? this.active.value, row.key);
    this.anchor ??= this.active.value;
    const wanted = range.flatMap((key) => this.members(byKey.get(key) ?? row).map((entry) => entry.key));
    this.chosen.value = new Set([...this.chosen.value, ...wanted]);
  }

  toggleAll(): void {
    this.chosen.value = toggle(
      this.chosen.value,
      this.found.value.map(({ key }) => key),
    );
  }

  clear(): void {
    this.chosen.value = new Set();
  }

  open(path: string, open: boolean): void {
    const next = new Set(opened.value);
    if (open) next.add(path);
    else next.delete(path);
    opened.value = next;
  }

  /** To the row with this number, or the nearest one that there is. */
  go(index: number): void {
    const all = this.rows.value;
    const row = all[Math.min(Math.max(0, index), all.length - 1)];
    if (!row) return;
    batch(() => {
      this.active.value = row.key;
      this.wantsFocus.value = true;
    });
  }

  trouble(key: string, error: unknown): void {
    const next = new Map(this.troubles.value);
    if (error === null) next.delete(key);
    else next.set(key, error);
    this.troubles.value = next;
  }
}
