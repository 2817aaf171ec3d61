/** All files in one list: those that are on their way from here, and those that the server has. */

import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Actions } from "../actions";
import type { Api, Filter } from "../api";
import type { Downloads } from "../downloads";
import { Drops } from "../drops";
import type { Row } from "../entries";
import { explain } from "../explain";
import type { Files } from "../files";
import { bytes } from "../format";
import { language, t } from "../i18n";
import { Listing, show } from "../listing";
import type { Loaded } from "../loading";
import { media } from "../media";
import { heightOf, noticeOf } from "../notice";
import { go, route } from "../route";
import { share } from "../selection";
import "../style/list.css";
import type { Uploads } from "../uploads";
import { offsets, rendered } from "../visible";
import { Bulk } from "./bulk";
import { Detail } from "./detail";
import { RowView } from "./row";
import { useSeen } from "./seen";
import { say } from "./status";
import { Path, Toolbar } from "./toolbar";

const ROW_PX = 56;
const PAGE_ROWS = 10; // by Page Up and Page Down
const ASKED_AFTER_MS = 250; // typing goes on
const phone = media("(width < 40rem)");

interface Props {
  api: Api;
  files: Files;
  uploads: Uploads;
  /** How much of what the server has is known here. */
  loaded: ReadonlySignal<Loaded>;
  downloads: Downloads;
  onShare: (ids: string[]) => void;
}

export function FileList({ api, files, uploads, downloads, loaded, onShare }: Props) {
  const { listing, actions, drops } = useMemo(() => {
    const listing = new Listing(files, uploads);
    return { listing, actions: new Actions(api, files, uploads, listing), drops: new Drops(api) };
  }, [api, files, uploads]);
  useEffect(() => listing.follow(), [listing]);
  const asking = useAsked(api, files, loaded);
  const { file } = route.value;
  return (
    <div class={file === null ? "files" : "files with-detail"}>
      <section class="list" aria-labelledby="files-heading" aria-busy={loaded.value === "some"}>
        <div class="list-head">
          <h1 id="files-heading" tabIndex={-1}>
            {t("app.files")}
          </h1>
          <Path />
        </div>
        <Toolbar listing={listing} drops={drops} />
        <Rows {...{ listing, actions, drops, downloads }} />
        <Empty {...{ listing, asking }} />
        <Bulk {...{ listing, actions, onShare }} />
      </section>
      {file !== null && <Detail id={file} {...{ listing, actions, drops, onShare }} />}
    </div>
  );
}

/** Where not all files are known here, the server is asked for those that are looked for. Tells whether it is being asked. */
function useAsked(api: Api, files: Files, loaded: ReadonlySignal<Loaded>): { busy: boolean; problem: string } {
  const busy = useSignal(false);
  const problem = useSignal("");
  const { q, folder, drop } = route.value;
  const complete = loaded.value === "all";
  const status = show.value === "ready" || show.value === "failed" ? show.value : null;
  useEffect(() => {
    const filter: Filter = {
      ...(q.trim() === "" ? {} : { q: q.trim() }),
      ...(folder === null ? {} : { folder }),
      ...(drop === null ? {} : { drop }),
      ...(status === null ? {} : { status }),
    };
    problem.value = "";
    if (complete || Object.keys(filter).length === 0) return undefined;
    let left = false;
    const ask = async () => {
      try {
        for (let cursor: string | null = null, more = true; more && !left; more = cursor !== null) {
          const page = await api.list(100, filter, cursor);
          files.put(...page.items);
          cursor = page.next;
        }
      } catch (error) {
        if (!left) problem.value = explain(error);
      } finally {
        if (!left) busy.value = false;
      }
    };
    busy.value = true;
    const timer = setTimeout(() => void ask(), ASKED_AFTER_MS);
    return () => {
      left = true;
      busy.value = false;
      clearTimeout(timer);
    };
  }, [api, files, busy, problem, q, folder, drop, status, complete]);
  return { busy: busy.value, problem: problem.value };
}

interface RowsProps {
  listing: Listing;
  actions: Actions;
  drops: Drops;
  downloads: Downloads;
}

function Rows({ listing, actions, drops, downloads }: RowsProps) {
  const element = useRef<HTMLDivElement>(null);
  const all = listing.rows.value;
  const troubles = listing.troubles.value;
  const width = useSignal(0);
  const starts = useMemo(() => {
    const heights = all.map((row) => {
      const upload = row.kind === "file" ? listing.byUpload.peek().get(row.entry.upload ?? "") : undefined;
      const notice = row.kind === "file" && noticeOf(row.entry, upload, troubles);
      return ROW_PX + (notice ? heightOf(notice, width.value, phone.value) : 0);
    });
    return offsets(heights);
  }, [all, troubles, listing, width, width.value, phone.value, language.value]);
  const [first, end] = useSeen(element, starts, width);
  const last = useRef(0); // where the active row was, for when it is gone

  const keys = useMemo(() => new Map(all.map((row, index) => [row.key, index])), [all]);
  const known = keys.get(listing.active.value ?? "") ?? -1;
  const active = known < 0 ? Math.min(last.current, all.length - 1) : known;
  useEffect(() => {
    // The row that the keyboard was at is gone: the one that took its place has the focus now, if nothing else has.
    const gone = listing.active.value !== null && known < 0;
    if (gone) {
      listing.active.value = all[active]?.key ?? null;
      if (document.activeElement === document.body) listing.wantsFocus.value = true;
    }
    last.current = Math.max(0, active);
    if (!listing.wantsFocus.value || all.length > 0) return; // else the row itself takes it
    listing.wantsFocus.value = false;
    document.getElementById("files-heading")?.focus();
  });

  if (all.length === 0) return null;
  return (
    <>
      <Head listing={listing} />
      <div
        ref={element}
        class="rows"
        role="treegrid"
        aria-labelledby="files-heading"
        aria-multiselectable
        aria-rowcount={all.length}
        style={{ height: `${starts.at(-1) ?? 0}px` }}
        onKeyDown={(event) => onKey(event, listing, actions, active)}
        onClick={(event) => onClick(event, listing)}
      >
        {rendered([first, Math.min(end, all.length)], active).map((index) => {
          const row = all[index];
          if (!row) return null;
          const top = starts[index] ?? 0;
          const place = { index, top, height: (starts[index + 1] ?? 0) - top, active: index === active };
          return <RowView key={row.key} {...{ row, ...place, actions, listing, drops, downloads }} />;
        })}
      </div>
    </>
  );
}

/** How many there are, and all of them at once. */
function Head({ listing }: { listing: Listing }) {
  const found = listing.found.value;
  const size = found.reduce((sum, entry) => sum + (entry.size ?? 0), 0);
  const selected = share(
    listing.selection.value,
    found.map(({ key }) => key),
  );
  return (
    <label class="check all">
      <input
        type="checkbox"
        checked={selected === "all"}
        indeterminate={selected === "some"}
        onClick={() => listing.toggleAll()}
      />
      <span>
        {t("list.select_all", { count: found.length })} <span class="muted">{bytes(size)}</span>
      </span>
    </label>
  );
}

function Empty({ listing, asking }: { listing: Listing; asking: Asking }) {
  const none = listing.rows.value.length === 0;
  const { q, folder, drop } = route.value;
  const filtered = q.trim() !== "" || drop !== null || show.value !== "all";
  const count = listing.found.value.length;
  useEffect(() => {
    if (q.trim() !== "" && !asking.busy) say(t("list.found", { count }));
  }, [q, asking.busy, count]);
  if (asking.problem) return <p class="problem">{asking.problem}</p>;
  if (!none) return asking.busy ? <p class="muted">{t("list.asking")}</p> : null;
  if (asking.busy) return <p class="empty muted">{t("list.asking")}</p>;
  const all = () => {
    show.value = "all";
    go({ q: "", drop: null, folder: null });
  };
  if (!filtered && folder === null) {
    return (
      <div class="empty nothing">
        <Gates />
        <h2>{t("empty.title")}</h2>
        <p class="muted">{t("empty.help")}</p>
      </div>
    );
  }
  return (
    <div class="empty">
      <h2>{t(filtered ? "empty.none_found" : "empty.folder")}</h2>
      <button type="button" class="quiet" onClick={all}>
        {t("empty.all")}
      </button>
    </div>
  );
}

type Asking = ReturnType<typeof useAsked>;

/** Two gates, between which there is nothing yet. */
function Gates() {
  return (
    <svg viewBox="0 0 96 64" width="96" height="64" aria-hidden="true" fill="none" stroke="currentColor">
      <path
        d="M20 8v40M76 8v40M20 16h56M32 16v18h32V16"
        stroke-width="3"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
      <path
        d="M6 56c7-6 14-6 21 0s14 6 21 0 14-6 21 0 14 6 21 0"
        stroke-width="3"
        stroke-linecap="round"
        opacity=".5"
      />
    </svg>
  );
}

function onKey(event: KeyboardEvent, listing: Listing, actions: Actions, active: number): void {
  const row = listing.rows.value[active];
  const target = event.target as HTMLElement;
  const onRow = target.getAttribute("role") === "row";
  const steps: Record<string, number> = {
    ArrowDown: active + 1,
    ArrowUp: active - 1,
    PageDown: active + PAGE_ROWS,
    PageUp: active - PAGE_ROWS,
    Home: 0,
    End: Infinity,
  };
  const step = steps[event.key];
  if (!row || event.altKey || (target.matches("input[type=file]") && step === undefined)) return;
  if (step !== undefined) {
    if (event.shiftKey) listing.extend(row); // it begins here
    listing.go(step);
    const next = listing.rows.value.find(({ key }) => key === listing.active.value);
    if (event.shiftKey && next) listing.extend(next);
  } else if (event.key === "Escape" && listing.selected.value.length > 0) {
    listing.clear();
  } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
    listing.toggleAll();
  } else if (!onRow || !onRowKey(event, row, listing, actions, active)) {
    return;
  }
  event.preventDefault();
}

function onRowKey(event: KeyboardEvent, row: Row, listing: Listing, actions: Actions, active: number): boolean {
  switch (event.key) {
    case " ":
      if (event.shiftKey) listing.extend(row);
      else listing.toggle(row);
      return true;
    case "Enter":
      if (row.kind === "folder") go({ folder: row.path, file: null });
      else if (row.entry.id !== null) go({ file: row.entry.id });
      return true;
    case "Delete":
      void actions.remove(listing.members(row));
      return true;
    case "ArrowRight":
      if (row.kind === "folder") listing.open(row.path, true);
      return true;
    case "ArrowLeft":
      if (row.kind === "folder" && row.open) listing.open(row.path, false);
      else listing.go(listing.rows.value.findLastIndex(({ level }, index) => index < active && level < row.level));
      return true;
    default:
      return false;
  }
}

/** Anywhere on a row, beside its buttons. */
function onClick(event: MouseEvent, listing: Listing): void {
  const target = event.target as HTMLElement;
  const key = target.closest<HTMLElement>("[data-key]")?.dataset.key;
  const row = listing.rows.value.find((one) => one.key === key);
  if (!row || target.closest("button, a, input, label, .cell-notice")) return;
  if (event.shiftKey) listing.extend(row);
  else if (event.ctrlKey || event.metaKey) listing.toggle(row);
  else if (row.kind === "folder") listing.open(row.path, !row.open);
  else if (row.entry.id !== null) go({ file: row.entry.id });
  listing.active.value = row.key;
}
