/** Everything about one file: beside the list, on a phone in place of it. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import { type Actions, canDownload } from "../actions";
import { passes, Problem, type StoredFile } from "../api";
import type { FileLinks } from "../contract";
import { digestsOf } from "../digests";
import type { Drops } from "../drops";
import type { Entry } from "../entries";
import { explain } from "../explain";
import { moment, number } from "../format";
import { t } from "../i18n";
import { type Listing, reads } from "../listing";
import { reason } from "../reasons";
import { go, route } from "../route";
import { media } from "../media";
import { Check, exactly } from "./check";
import { Copy } from "./copy";
import { HeldBy } from "./held_by";
import { Icon } from "./icon";
import { Notes } from "./notes";
import { Place } from "./place";
import { Preview } from "./preview";
import { Stages } from "./stages";
import { compared } from "./tick";

const narrow = media("(width < 64rem)");
const RENEW_MS = 3 * 60 * 60_000; // half of what links live: docs/api.md
const LOOK_MS = 30_000; // by the clock of the wall, which goes on while the machine sleeps

interface Props {
  id: string;
  actions: Actions;
  listing: Listing;
  drops: Drops;
  onShare: (ids: string[]) => void;
}

export function Detail(props: Props) {
  const { id, actions, listing } = props;
  const heading = useRef<HTMLHeadingElement>(null);
  const sheet = useRef<HTMLDialogElement>(null);
  const name = useId();
  const file = useComputed(() =>
    reads(actions.files.changes.value) ? actions.files.get(route.value.file ?? "")?.value : undefined,
  );
  const links = useSignal<FileLinks | null>(null);
  const problem = useSignal("");
  const status = file.value?.status;
  const seen = useRef<string | null>(null);
  useEffect(() => {
    if (status !== undefined) seen.current = id;
    else if (seen.current === id) {
      problem.value = t("problem.file_gone"); // the feed has said so: to ask would be an error in the console
      return undefined;
    }
    let left = false;
    let since = Date.now();
    const ask = async (renews: boolean) => {
      const asked = Date.now();
      try {
        const fresh = await actions.api.file(id);
        if (left) return;
        since = asked;
        links.value = fresh.links;
        actions.files.put(fresh);
        if (!actions.files.get(id)) problem.value = t("problem.file_gone"); // an upload that was cancelled is no file
      } catch (error) {
        if (left || (renews && passes(error))) return; // the next look asks again
        if (error instanceof Problem && error.code === "file_not_found") actions.files.remove(id);
        problem.value = explain(error);
      }
    };
    problem.value = "";
    void ask(false);
    const timer = setInterval(() => {
      if (Date.now() - since >= RENEW_MS) void ask(true);
    }, LOOK_MS);
    return () => {
      left = true;
      links.value = null;
      clearInterval(timer);
    };
    // By another status it has other links.
  }, [actions, id, links, problem, status]);
  useEffect(() => {
    const dialog = sheet.current;
    const focused = document.activeElement;
    // One element in both widths: what is typed into its forms stays when the window is turned.
    dialog?.close();
    if (narrow.value) dialog?.showModal();
    else dialog?.show();
    if (focused instanceof HTMLElement && dialog?.contains(focused)) focused.focus({ preventScroll: true });
  }, [narrow.value]);
  useEffect(() => heading.current?.focus({ preventScroll: true }), [id]);
  useEffect(() => () => void (listing.wantsFocus.value = true), [listing]);

  const close = () => go({ file: null });
  return (
    <dialog
      ref={sheet}
      class={narrow.value ? "detail sheet" : "detail beside"}
      aria-labelledby={name}
      onClose={(event) => {
        if (!event.currentTarget.open) close(); // else it is open again, in another width
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape" && !narrow.value) close(); // above the page the browser closes it
      }}
    >
      <header class="detail-head">
        <h2 id={name} ref={heading} tabIndex={-1}>
          {file.value?.filename ?? t("detail.unknown")}
        </h2>
        <button
          type="button"
          class="plain icon"
          aria-label={t("detail.close")}
          title={t("detail.close")}
          onClick={close}
        >
          <Icon name="cross" />
        </button>
      </header>
      <p class="problem" role="alert">
        {problem}
      </p>
      {file.value && <Facts {...props} file={file.value} links={links.value} key={id} />}
    </dialog>
  );
}

interface FactsProps extends Props {
  file: StoredFile;
  links: FileLinks | null;
}

function Facts({ file, links, actions, listing, drops, onShare }: FactsProps) {
  const renaming = useSignal(false);
  const entry = listing.all.value.find(({ id }) => id === file.id);
  const upload = entry?.upload == null ? undefined : listing.byUpload.value.get(entry.upload);
  const digests = digestsOf(file);
  const ended = file.status === "failed" || file.status === "aborted";
  const trouble = entry && listing.troubles.value.get(entry.key);
  return (
    <>
      <Preview file={file} links={links} fresh={async () => (await actions.api.file(file.id)).links} />
      {file.status === "ready" ? (
        <p class={file.verified ? "said good" : "said"}>
          <Icon name={file.verified ? "tick" : "hashed"} />
          <span>
            <strong>{t(file.verified ? "stage.verified" : "stage.hashed")}.</strong>{" "}
            {compared(file, upload !== undefined)}
          </span>
        </p>
      ) : ended ? (
        <div class="problem">
          <p>{reason(file)}</p>
          {file.mismatch && <Mismatch {...file.mismatch} />}
        </div>
      ) : (
        <Stages upload={upload} file={file} />
      )}
      {trouble !== undefined && <p class="problem">{explain(trouble)}</p>}
      {renaming.value ? (
        <Place file={file} actions={actions} folders={listing.folders.value} onDone={() => (renaming.value = false)} />
      ) : (
        <div class="actions">
          {entry && canDownload(file) && (
            <button type="button" class={narrow.value ? "" : "quiet"} onClick={() => void actions.download(entry)}>
              <Icon name="download" /> {t("detail.download")}
            </button>
          )}
          {file.status === "ready" && (
            <button type="button" class="quiet" onClick={() => onShare([file.id])}>
              {t("bulk.share")}
            </button>
          )}
          {!ended && (
            <button type="button" class="quiet" onClick={() => (renaming.value = true)}>
              {t("detail.rename")}
            </button>
          )}
          {entry && <Remove entry={entry} actions={actions} />}
        </div>
      )}
      <dl class="facts-list">
        <Fact name={t("detail.size")}>{file.size === null ? t("row.size_unknown") : exactly(file.size)}</Fact>
        <Fact name={t("detail.type")}>{file.content_type}</Fact>
        <Fact name={t("detail.folder")}>{file.folder ?? t("detail.no_folder")}</Fact>
        {file.drop !== null && (
          <Fact name={t("detail.from")}>
            <button type="button" class="plain link" onClick={() => go({ drop: file.drop, folder: null, q: "" })}>
              {drops.title(file.drop)}
            </button>
          </Fact>
        )}
        <Fact name={t("detail.created")}>
          <time dateTime={file.created_at}>{moment(file.created_at)}</time>
        </Fact>
        <Fact name={t("detail.updated")}>
          <time dateTime={file.updated_at}>{moment(file.updated_at)}</time>
        </Fact>
        {file.expires_at !== null && (
          <Fact name={t("detail.expires")}>
            <time dateTime={file.expires_at}>{moment(file.expires_at)}</time>
          </Fact>
        )}
      </dl>
      {digests.length > 0 && (
        <section>
          <h3>{t("detail.digests")}</h3>
          <dl class="digests">
            {digests.map(([name, digest]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>
                  <code>{digest}</code>
                  <Copy text={digest} what={name} />
                </dd>
              </div>
            ))}
          </dl>
        </section>
      )}
      <Notes file={file} actions={actions} />
      {file.status === "ready" && (
        <section>
          <h3>{t("held.title")}</h3>
          <HeldBy api={actions.api} id={file.id} />
        </section>
      )}
      <Check file={file} />
    </>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Mismatch({ name, expected, found }: NonNullable<StoredFile["mismatch"]>) {
  const shown = (value: string) => (name === "size" && /^\d+$/.test(value) ? number(Number(value)) : value);
  return (
    <dl class="mismatch">
      <dt>{t("detail.expected", { name })}</dt>
      <dd>
        <code>{shown(expected)}</code>
      </dd>
      <dt>{t("detail.found", { name })}</dt>
      <dd>
        <code>{shown(found)}</code>
      </dd>
    </dl>
  );
}

function Remove({ entry, actions }: { entry: Entry; actions: Actions }) {
  const unfinished = entry.state === "uploading" || entry.upload !== null;
  const words = unfinished && !["ready", "failed", "scanning", "hashing", "assembling"].includes(entry.state);
  const remove = async () => {
    if ((await actions.remove([entry])) && actions.files.get(entry.id ?? "") === undefined) go({ file: null });
  };
  return (
    <button type="button" class="quiet bad" onClick={() => void remove()}>
      {words ? t("remove.cancel", { count: 1 }) : t("bulk.delete")}
    </button>
  );
}
