/** One line of the list: a file or a folder. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type Actions, canDownload } from "../actions";
import type { Download, Downloads } from "../downloads";
import type { Drops } from "../drops";
import { type Entry, type FileRow, type FolderRow, type Row, stateOf } from "../entries";
import { bytes, number, percent, when } from "../format";
import { t } from "../i18n";
import { kindOf } from "../kinds";
import type { Listing } from "../listing";
import { ends } from "../names";
import { type Notice, noticeOf } from "../notice";
import { go, route } from "../route";
import { share } from "../selection";
import type { Upload } from "../uploads";
import { Icon, type IconName } from "./icon";
import { Stages } from "./stages";

interface Place {
  index: number;
  /** In pixels, from the beginning of the list. */
  top: number;
  height: number;
  active: boolean;
}

interface Props extends Place {
  row: Row;
  actions: Actions;
  listing: Listing;
  drops: Drops;
  downloads: Downloads;
}

export function RowView(props: Props) {
  const { row } = props;
  return row.kind === "folder" ? <Folder {...props} row={row} /> : <File {...props} row={row} />;
}

interface FrameProps extends Props {
  name: string;
  icon: IconName;
  facts: ComponentChildren;
  state: ComponentChildren;
  buttons?: ComponentChildren;
  notice?: ComponentChildren;
  attributes: Record<string, string | number | boolean | null | undefined>;
  onName: () => void;
}

/** What rows have in common. Its controls can be reached with Tab from the row that the keyboard is at. */
function Frame(props: FrameProps) {
  const { row, index, top, height, active, listing, name, icon, facts, state, buttons, notice, attributes, onName } =
    props;
  const element = useRef<HTMLDivElement>(null);
  const tabIndex = active ? 0 : -1;
  const selected = share(
    listing.selection.value,
    listing.members(row).map(({ key }) => key),
  );
  const [begin, end] = ends(name);
  const wantsFocus = active && listing.wantsFocus.value;
  useEffect(() => {
    if (!wantsFocus) return;
    listing.wantsFocus.value = false;
    element.current?.focus({ preventScroll: true });
    reveal(element.current);
  });
  return (
    <div
      ref={element}
      {...attributes}
      role="row"
      class={`row ${selected === "all" ? "selected" : ""}`}
      data-row
      data-key={row.key}
      aria-rowindex={index + 1}
      aria-level={row.level}
      aria-selected={selected === "all"}
      tabIndex={tabIndex}
      style={{ transform: `translateY(${top}px)`, height: `${height}px`, "--level": Math.min(row.level - 1, 5) }}
      onFocus={() => (listing.active.value = row.key)}
    >
      <span role="gridcell" class="cell-check">
        <label class="check">
          <span class="unseen">{t("row.select", { name })}</span>
          <input
            type="checkbox"
            tabIndex={tabIndex}
            checked={selected === "all"}
            indeterminate={selected === "some"}
            onClick={(event) => {
              if (event.shiftKey) listing.extend(row);
              else listing.toggle(row);
            }}
          />
        </label>
      </span>
      <span role="gridcell" class="cell-name">
        {row.kind === "folder" && (
          <button
            type="button"
            class={`plain icon chevron ${row.open ? "open" : ""}`}
            tabIndex={tabIndex}
            aria-label={t(row.open ? "row.close_folder" : "row.open_folder", { name })}
            onClick={() => listing.open(row.path, !row.open)}
          >
            <Icon name="chevron" />
          </button>
        )}
        <Icon name={icon} size={24} />
        <span class="words">
          <button type="button" class="name" tabIndex={tabIndex} aria-label={name} title={name} onClick={onName}>
            {/* Both parts in the direction of the whole name, which decides where the end stands. */}
            <span class="whole" dir="auto">
              <span class="begin">{begin}</span>
              <span class="end">{end}</span>
            </span>
          </button>
          <span class="facts">{facts}</span>
        </span>
      </span>
      <span role="gridcell" class="cell-state">
        {state}
      </span>
      <span role="gridcell" class="cell-buttons">
        {buttons}
      </span>
      {notice && (
        <span role="gridcell" class="cell-notice">
          {notice}
        </span>
      )}
    </div>
  );
}

function File(props: Props & { row: FileRow }) {
  const { row, actions, listing, drops, downloads, active } = props;
  const { entry } = row;
  const { key, id, name, folder, size } = entry;
  const upload = entry.upload === null ? undefined : listing.byUpload.value.get(entry.upload);
  const file = id === null ? undefined : actions.files.get(id)?.value;
  const state = stateOf(upload?.stage.value, file);
  const notice = noticeOf(entry, upload, listing.troubles.value);
  // Else the rows above it, or the path above the list, say where it is.
  const place = folder !== null && row.level === 1 && folder !== route.value.folder ? `${folder}/` : null;
  const facts = [
    size === null ? t("row.size_unknown") : bytes(file?.size ?? size),
    file && when(file.created_at),
    file?.drop && drops.title(file.drop),
    place,
    downloading(id === null ? null : downloads.of(id).value),
  ];
  return (
    <Frame
      {...props}
      name={name}
      icon={kindOf(file?.content_type ?? upload?.chosen.file.type ?? "", name)}
      facts={facts.filter(Boolean).join(" · ")}
      state={<Stages upload={upload} file={file} focusable={active} />}
      buttons={<Buttons {...{ entry, upload, active, actions }} />}
      notice={notice && <Below {...{ notice, entry, upload, active, actions }} />}
      attributes={{ "data-id": id, "data-state": state, "data-verified": String(file?.verified ?? false) }}
      onName={() => {
        listing.active.value = key;
        if (id !== null) go({ file: id });
      }}
    />
  );
}

interface Inner {
  entry: Entry;
  upload: Upload | undefined;
  active: boolean;
  actions: Actions;
}

function Buttons({ entry, upload, active, actions }: Inner) {
  const { name } = entry;
  const file = entry.id === null ? undefined : actions.files.get(entry.id)?.value;
  const state = stateOf(upload?.stage.value, file);
  const button = (icon: IconName, label: string, onClick: () => void) => (
    <button
      type="button"
      class="plain icon"
      tabIndex={active ? 0 : -1}
      aria-label={label}
      title={label}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
  if (upload && ["waiting", "sending", "paused", "failed"].includes(state)) {
    return (
      <>
        {state === "paused" && button("resume", t("row.resume", { name }), () => actions.uploads.resume(upload))}
        {(state === "waiting" || state === "sending") &&
          button("pause", t("row.pause", { name }), () => actions.uploads.pause(upload))}
        {button("cross", t("row.cancel", { name }), () => void actions.cancel(upload))}
      </>
    );
  }
  if (state === "uploading") return button("cross", t("row.cancel", { name }), () => void actions.remove([entry]));
  if (file && canDownload(file))
    return button("download", t("row.download", { name }), () => void actions.download(entry));
  return null;
}

function Below({ notice, entry, upload, active, actions }: Inner & { notice: Notice }) {
  const { name } = entry;
  const { words, bad, helps } = notice;
  const tabIndex = active ? 0 : -1;
  return (
    <>
      <span class="why" role={bad ? "alert" : undefined} title={words}>
        {words}
      </span>
      {helps === "again" && upload && (
        <button type="button" class="quiet" tabIndex={tabIndex} onClick={() => actions.uploads.resume(upload)}>
          <Icon name="again" size={18} /> {t("row.again")}
          <span class="unseen">: {name}</span>
        </button>
      )}
      {helps === "choose" && (
        <label class="button quiet">
          {t("row.choose_again")}
          <input
            class="unseen"
            type="file"
            tabIndex={tabIndex}
            aria-label={t("row.choose_again_named", { name })}
            onChange={(event) => {
              const [chosen] = event.currentTarget.files ?? [];
              if (chosen) void actions.goOn(entry, chosen);
              event.currentTarget.value = ""; // the same file may be chosen once more
            }}
          />
        </label>
      )}
    </>
  );
}

function Folder(props: Props & { row: FolderRow }) {
  const { row } = props;
  const { path, name, members, size, moving, failed, verified, open } = row;
  const count = members.length;
  const state =
    failed > 0 ? (
      <span class="stages bad">{t("folder.failed", { count: failed })}</span>
    ) : moving > 0 ? (
      <span class="stages">{t("folder.moving", { count: moving })}</span>
    ) : verified === count ? (
      <span class="stages good">
        <Icon name="tick" size={18} /> {t("folder.verified")}
      </span>
    ) : (
      <span class="stages">{t("folder.some_verified", { verified: number(verified), count })}</span>
    );
  return (
    <Frame
      {...props}
      name={name}
      icon="folder"
      facts={`${t("folder.files", { count })} · ${bytes(size)}`}
      state={state}
      attributes={{ "aria-expanded": open, "data-folder": path }}
      onName={() => go({ folder: path, file: null })}
    />
  );
}

function downloading(download: Download | null): string | null {
  if (!download) return null;
  const { ended, sent_bytes, size } = download;
  return ended === null ? t("download.going", { percent: percent(sent_bytes, size) }) : t(`download.${ended}`);
}

/** Scrolls no further than is needed to see a row. What sticks to the bottom covers none of it. */
function reveal(row: HTMLElement | null): void {
  if (!row) return;
  const { top, bottom, height } = row.getBoundingClientRect();
  const bar = document.querySelector(".bulk")?.getBoundingClientRect().height ?? 0;
  const above = top - height;
  const below = bottom + bar - innerHeight;
  if (above < 0) scrollBy({ top: above, behavior: "instant" });
  else if (below > 0) scrollBy({ top: below, behavior: "instant" });
}
