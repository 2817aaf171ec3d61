/** What somebody sees who was given a link to files: from whom they are, and a button for each. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Api, passes, Problem } from "../api";
import { copy } from "../clipboard";
import type { SharedFile } from "../contract";
import { digestsOf } from "../digests";
import { explain } from "../explain";
import { bytes, moment, number, percent } from "../format";
import { t } from "../i18n";
import { Opened } from "../opened_share";
import { recordOf } from "../session";
import "../style/links.css";
import { useAttempt } from "./attempt";
import { Frame } from "./frame";
import { Secret } from "./secret";
import { say } from "./status";

type State = Opened | "opening" | "password" | { refused: unknown };

export function Recipient({ capability }: { capability: string }) {
  const state = useSignal<State>("opening");
  const api = useMemo(() => new Api(capability), [capability]);
  const id = recordOf(capability);
  const byPassword = useSignal(false);
  const open = async () => {
    state.value = "opening";
    try {
      if (id === null) throw new Problem(401, "unauthorized", "");
      state.value = await Opened.open(api, id);
    } catch (error) {
      const asks = error instanceof Problem && error.code === "wrong_password";
      byPassword.value = asks;
      state.value = asks ? "password" : { refused: error };
    }
  };
  useEffect(() => void open(), [api]);
  const { value } = state;
  return (
    <Frame>
      {value === "opening" && <h1 class="unseen">{t("recipient.opening")}</h1>}
      {value === "password" && id !== null && <Password api={api} id={id} state={state} />}
      {value instanceof Opened && <Files share={value} byPassword={byPassword.value} />}
      {typeof value === "object" && "refused" in value && (
        <section class="card">
          <h1>{t("recipient.title")}</h1>
          <p role="alert" class="problem">
            {explain(value.refused, "recipient")}
          </p>
          {passes(value.refused) && (
            <div class="actions">
              <button type="button" onClick={() => void open()}>
                {t("link.again")}
              </button>
            </div>
          )}
        </section>
      )}
    </Frame>
  );
}

function Password({ api, id, state }: { api: Api; id: string; state: Signal<State> }) {
  const field = useRef<HTMLInputElement>(null);
  const { busy, problem, attempt } = useAttempt((error) => explain(error, "recipient"));
  useEffect(() => field.current?.focus(), []);
  const open = async () => {
    const opened = await attempt(async () => {
      state.value = await Opened.open(api, id, field.current?.value ?? "");
    });
    if (opened) return;
    field.current?.focus();
    field.current?.select();
  };
  return (
    <form
      class="card"
      onSubmit={(event) => {
        event.preventDefault();
        void open();
      }}
    >
      <h1>{t("recipient.title")}</h1>
      <Secret
        id="share-password"
        field={field}
        label={t("recipient.password")}
        help={t("recipient.password_help")}
        autocomplete="off"
        problem={problem}
      />
      <div class="actions">
        <button disabled={busy}>{t("recipient.open")}</button>
      </div>
    </form>
  );
}

function Files({ share, byPassword }: { share: Opened; byPassword: boolean }) {
  const heading = useRef<HTMLHeadingElement>(null);
  // Of a share that is used up, the notice says it.
  const { busy, problem, attempt } = useAttempt((error) => (share.left.value === 0 ? "" : explain(error, "recipient")));
  const { title, message, owner_name: owner, expires_at: ends } = share.about;
  const left = share.left.value;
  const usedUp = left === 0;
  const files = share.files.value;
  const whole = share.next.value === null;
  useEffect(() => {
    document.title = `${title ?? t("recipient.title")} – Sluice`;
    if (byPassword) heading.current?.focus(); // the form, and with it the focus, is gone
    say(t("recipient.shown", { count: files.length }));
  }, [share]);
  useEffect(() => {
    if (usedUp) say(t("recipient.used_up"));
  }, [usedUp]);
  const take = async (work: () => Promise<void>, done: () => string) => {
    if (await attempt(work)) say(done());
  };
  const more = async () => {
    const first = await share.more();
    if (first) requestAnimationFrame(() => document.getElementById(`name-${first.id}`)?.focus());
  };
  return (
    <section class="card taking" aria-labelledby="share">
      <h1 id="share" ref={heading} tabIndex={-1}>
        {title ?? t("recipient.title")}
      </h1>
      {owner !== null && <p class="from">{t("link.from", { owner })}</p>}
      {message !== null && <p class="lines">{message}</p>}
      {files.length === 0 ? (
        <p>{t("recipient.empty")}</p>
      ) : (
        <p class="about muted">
          <span>{t(whole ? "link.files" : "recipient.first", { count: files.length })}</span>
          {whole && <span title={t("link.bytes", { count: share.size.value })}>{bytes(share.size.value)}</span>}
          <span>{t("recipient.until", { moment: moment(ends) })}</span>
          {left !== null && left > 0 && <span>{t("recipient.left", { count: left })}</span>}
        </p>
      )}
      {usedUp && <p class="notice">{t("recipient.used_up")}</p>}
      {(files.length > 1 || !whole) && (
        <div class="actions">
          <button
            type="button"
            disabled={busy.value || usedUp}
            onClick={() =>
              void take(
                () => share.downloadAll(),
                () => t("recipient.downloading_all"),
              )
            }
          >
            {t("recipient.all")}
          </button>
        </div>
      )}
      {share.built.value !== null && (
        <p class="building">
          <label for="built">{t("recipient.building", { percent: percent(share.built.value, 1) })}</label>
          <progress id="built" value={share.built.value} />
        </p>
      )}
      <p role="alert" class="problem">
        {problem}
      </p>
      <ul class="given">
        {files.map((file) => (
          <Row
            key={file.id}
            file={file}
            only={files.length === 1 && whole}
            usedUp={usedUp}
            onDownload={() =>
              void take(
                () => share.download(file.id),
                () => t("recipient.downloading", { name: file.filename }),
              )
            }
          />
        ))}
      </ul>
      {!whole && (
        <div class="actions">
          <button
            type="button"
            class="quiet"
            onClick={() => void take(more, () => t("recipient.shown", { count: share.files.value.length }))}
          >
            {t("link.more")}
          </button>
        </div>
      )}
    </section>
  );
}

interface RowProps {
  file: SharedFile;
  only: boolean;
  usedUp: boolean;
  onDownload: () => void;
}

function Row({ file, only, usedUp, onDownload }: RowProps) {
  const name = `name-${file.id}`;
  return (
    <li data-id={file.id}>
      <div class="what">
        <h2 id={name} tabIndex={-1}>
          {file.filename}
        </h2>
        <p class="about muted">
          <span title={t("link.bytes", { count: number(file.size) })}>{bytes(file.size)}</span>
          {file.folder !== null && <span>{file.folder}/</span>}
        </p>
      </div>
      <button type="button" class={only ? "" : "quiet"} disabled={usedUp} aria-describedby={name} onClick={onDownload}>
        {t("recipient.download")}
      </button>
      <details>
        <summary>{t("recipient.digests")}</summary>
        <dl>
          {digestsOf(file).map(([name, hex]) => (
            <Digest key={name} of={file.filename} name={name} hex={hex} />
          ))}
        </dl>
      </details>
    </li>
  );
}

function Digest({ of, name, hex }: { of: string; name: string; hex: string }) {
  const value = useRef<HTMLElement>(null);
  const copyIt = async () => {
    if (await copy(hex)) {
      say(t("recipient.copied", { name }));
      return;
    }
    // The browser does not let us: the person can, from a selection.
    if (value.current) getSelection()?.selectAllChildren(value.current);
    say(t("recipient.selected", { name }));
  };
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <code ref={value}>{hex}</code>
        <button
          type="button"
          class="plain"
          aria-label={t("recipient.copy_of", { name, of })}
          onClick={() => void copyIt()}
        >
          {t("recipient.copy")}
        </button>
      </dd>
    </>
  );
}
