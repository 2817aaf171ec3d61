/** What somebody sees who was given a link to send files with: what is wanted, what may come, and what became of it. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Api, passes, Problem, type StoredFile } from "../api";
import { keepAwake } from "../awake";
import type { DropRules } from "../contract";
import { Files } from "../files";
import { bytes, day, moment } from "../format";
import { t } from "../i18n";
import { canRetry, explain } from "../explain";
import { type Broken, capitalized, inWords } from "../rules";
import { recordOf } from "../session";
import { refusals, type Staged } from "../staged";
import "../style/links.css";
import * as memory from "../unfinished";
import { type Chosen, type Upload, Uploads } from "../uploads";
import { Watcher } from "../watch";
import { Chooser } from "./chooser";
import { confirmed } from "./dialog";
import { Frame } from "./frame";
import { Stages } from "./stages";
import { say } from "./status";
import { Withdrawn } from "./withdrawn";

const DAY_MS = 86_400_000;
const MANY = 1_000; // beyond it nobody has to count

type State = DropRules | "asking" | { refused: unknown };

export function Guest({ capability }: { capability: string }) {
  const state = useSignal<State>("asking");
  const api = useMemo(() => new Api(capability), [capability]);
  const id = recordOf(capability);
  const ask = async () => {
    try {
      if (id === null) throw new Problem(401, "unauthorized", "");
      state.value = await api.rules(id);
    } catch (error) {
      state.value = { refused: error };
    }
  };
  useEffect(() => void ask(), [api]);
  const { value } = state;
  return (
    <Frame>
      {value === "asking" && <h1 class="unseen">{t("guest.opening")}</h1>}
      {typeof value === "object" && "refused" in value && (
        <section class="card">
          <h1>{t("guest.title")}</h1>
          <p role="alert" class="problem">
            {explain(value.refused, "guest")}
          </p>
          {passes(value.refused) && (
            <div class="actions">
              <button type="button" onClick={() => void ask()}>
                {t("link.again")}
              </button>
            </div>
          )}
        </section>
      )}
      {typeof value === "object" && "files_left" in value && id !== null && <Open api={api} id={id} first={value} />}
    </Frame>
  );
}

class Sending {
  readonly files = new Files();
  readonly uploads: Uploads;
  /** Those whose end nobody tells any more: the drop has ended since. */
  private readonly watcher: Watcher;

  constructor(
    api: Api,
    private readonly drop: string,
    private readonly unwatched: Signal<ReadonlySet<string>>,
  ) {
    this.watcher = new Watcher(api, (id) => (this.unwatched.value = new Set([...this.unwatched.value, id])));
    this.uploads = new Uploads(
      api,
      (file) => this.put(file),
      (id) => {
        this.forget(id);
        this.files.remove(id);
      },
    );
  }

  private put(file: StoredFile): void {
    this.files.put(file);
    const upload = this.uploads.of(file.id);
    if (file.status === "uploading") {
      if (upload) memory.remember(this.drop, identity(upload.chosen));
      return;
    }
    this.forget(file.id);
    if (!file.links || isOver(file)) return;
    this.watcher.watch({
      file: { ...file, links: file.links },
      onProgress: (progress) => this.files.put({ ...(this.files.get(file.id)?.peek() ?? file), ...progress }),
      onEnd: (ended) => this.files.put(ended),
    });
  }

  private forget(id: string): void {
    const upload = this.uploads.of(id);
    if (upload) memory.forget(this.drop, identity(upload.chosen));
  }
}

function identity({ file: { name, size, lastModified }, path }: Chosen) {
  return { path, name, size, lastModified };
}

function isOver({ status }: StoredFile): boolean {
  return status === "ready" || status === "failed" || status === "aborted";
}

function Open({ api, id, first }: { api: Api; id: string; first: DropRules }) {
  const rules = useSignal(first);
  const staged = useSignal<readonly Staged[]>([]);
  const problem = useSignal("");
  /** Uploads that take a place of those that `rules` has told of. */
  const taking = useSignal(0);
  const again = useSignal(false);
  const unwatched = useSignal<ReadonlySet<string>>(new Set());
  const { files, uploads } = useMemo(() => new Sending(api, id, unwatched), [api, id]);
  const thanks = useRef<HTMLHeadingElement>(null);
  const more = useRef<HTMLDivElement>(null);

  const sent = uploads.all.value
    .filter(({ stage }) => stage.value !== "cancelled")
    .map((upload) => ({ upload, file: files.get(upload.id.value ?? "")?.value }));
  const moving = sent.filter(({ upload, file }) => !isAtEnd(upload, file, unwatched.value));
  const arrived = sent.filter(({ upload, file }) => upload.stage.value === "sent" && file?.status !== "failed");
  const finished = moving.length === 0 && arrived.length > 0;
  const left = Math.max(0, rules.value.files_left - taking.value);
  const known = memory
    .unfinished(id)
    .filter((one) => !sent.some(({ upload }) => memory.same(one, identity(upload.chosen))));
  const { content_types: ranges } = rules.value;
  const takes = left > 0 || known.length > 0;

  const fresh = async () => {
    try {
      const now = await api.rules(id);
      rules.value = now;
      taking.value = 0;
    } catch (error) {
      problem.value = explain(error, "guest");
    }
  };
  useEffect(() => {
    if (!finished) return;
    again.value = false;
    say(t("guest.arrived", { count: arrived.length }));
    thanks.current?.focus();
    void fresh();
  }, [finished]);
  useEffect(() => {
    document.title = moving.length > 0 ? t("guest.tab", { count: moving.length }) : `${heading(rules.value)} – Sluice`;
    if (moving.length === 0) return undefined;
    const stay = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", stay);
    return () => removeEventListener("beforeunload", stay);
  }, [moving.length, rules.value]);

  const isSending = moving.some(({ upload }) => ["waiting", "sending"].includes(upload.stage.value));
  useEffect(() => (isSending ? keepAwake() : undefined), [isSending]);

  const choose = (chosen: Chosen[]) => {
    const news = chosen.filter((one) => {
      const is = (other: Chosen) => memory.same(identity(one), identity(other));
      return !staged.value.some((other) => is(other.chosen)) && !sent.some(({ upload }) => is(upload.chosen));
    });
    const begun = memory.unfinished(id);
    staged.value = [
      ...staged.value,
      ...news.map((one) => ({ chosen: one, resumes: begun.some((other) => memory.same(other, identity(one))) })),
    ];
    const doubles = chosen.length - news.length;
    problem.value = doubles === 0 ? "" : t("guest.doubles", { count: doubles });
  };
  const remove = (one: Staged) => {
    staged.value = staged.value.filter((other) => other !== one);
    more.current?.focus();
  };
  const refused = refusals(staged.value, rules.value, left);
  const good = staged.value.filter((_, index) => refused[index] === null);
  const send = () => {
    taking.value += good.filter(({ resumes }) => !resumes).length;
    staged.value = [];
    problem.value = "";
    uploads.add(good.map(({ chosen }) => chosen));
  };
  const choosing = takes && (sent.length === 0 || !finished || again.value || staged.value.length > 0);
  return (
    <>
      <section class="card asking" aria-labelledby="wanted">
        <h1 id="wanted">{heading(rules.value)}</h1>
        {rules.value.owner_name !== null && <p class="from">{t("guest.for", { owner: rules.value.owner_name })}</p>}
        {rules.value.message !== null && <p class="lines">{rules.value.message}</p>}
        {takes ? (
          <p class="rules">{sentences(rules.value, left)}</p>
        ) : (
          sent.length === 0 && <p class="notice">{t("guest.full")}</p>
        )}
        {known.length > 0 && (
          <p class="notice">
            {t("guest.unfinished", { count: known.length, names: known.map(({ name }) => name).join(", ") })}
          </p>
        )}
        {choosing && (
          <div class={staged.value.length > 0 ? "choosing second" : "choosing"} ref={more} tabIndex={-1}>
            {again.value && <h2>{t("guest.more")}</h2>}
            <Chooser onChosen={choose} {...(ranges === null ? {} : { accept: ranges })} />
          </div>
        )}
        <p role="alert" class="problem">
          {problem}
        </p>
        <Withdrawn uploads={uploads} />
        {staged.value.length > 0 && (
          <>
            <ul class="given" aria-label={t("guest.chosen")}>
              {staged.value.map((one, index) => (
                <StagedRow
                  key={`${one.chosen.path}/${one.chosen.file.name}/${index}`}
                  staged={one}
                  reason={reason(refused[index] ?? null, one, rules.value)}
                  onRemove={() => remove(one)}
                />
              ))}
            </ul>
            {good.length < staged.value.length && good.length > 0 && (
              <p class="muted">{t("guest.rest_stays", { count: staged.value.length - good.length })}</p>
            )}
            <div class="actions">
              <button type="button" disabled={good.length === 0} onClick={send}>
                {t("guest.send", { count: good.length })}
              </button>
            </div>
          </>
        )}
      </section>
      {sent.length > 0 && (
        <section class="card" aria-labelledby="sent">
          {finished ? (
            <div class="thanks">
              <h2 id="sent" ref={thanks} tabIndex={-1}>
                {t("guest.thanks")}
              </h2>
              <p>{received(rules.value, arrived)}</p>
              {arrived.length < sent.length && (
                <p class="notice">{t("guest.not_arrived", { count: sent.length - arrived.length })}</p>
              )}
              {arrived.length === sent.length && <p>{t("guest.close")}</p>}
              {takes && !again.value && (
                <div class="actions">
                  <button
                    type="button"
                    class="quiet"
                    onClick={() => {
                      again.value = true;
                      requestAnimationFrame(() => more.current?.focus());
                    }}
                  >
                    {t("guest.more")}
                  </button>
                </div>
              )}
            </div>
          ) : (
            <h2 id="sent">{t("guest.sending", { count: moving.length })}</h2>
          )}
          <ul class="given" data-changes={files.changes.value}>
            {sent.map(({ upload, file }) => (
              <SentRow
                key={upload.key}
                upload={upload}
                file={file}
                uploads={uploads}
                unwatched={unwatched.value.has(upload.id.value ?? "")}
              />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function heading({ title, owner_name: owner }: DropRules): string {
  return title ?? (owner === null ? t("guest.title") : t("guest.title_for", { owner }));
}

/** What has to be known before a file is chosen. */
function sentences(rules: DropRules, left: number): string {
  const { content_types: ranges, max_file_bytes: most } = rules;
  const types = ranges === null ? t("rules.all") : inWords(ranges);
  const soon = new Date(rules.expires_at).getTime() - Date.now() < DAY_MS;
  const said = [
    most === null ? t("guest.types", { types }) : t("guest.types_and_size", { types, size: bytes(most) }),
    ...(left > MANY ? [] : [t("guest.left", { count: left })]),
    t("guest.until", { moment: soon ? moment(rules.expires_at) : day(rules.expires_at) }),
  ];
  return said.map(capitalized).join(" ");
}

/** Why this one cannot be sent; null where nothing is known against it. */
function reason(refused: Broken | "place" | null, { chosen }: Staged, rules: DropRules): string | null {
  switch (refused) {
    case "size":
      return t("guest.too_large", { size: bytes(chosen.file.size), most: bytes(rules.max_file_bytes ?? 0) });
    case "type":
      return t("guest.other_type", { types: inWords(rules.content_types ?? []) });
    case "place":
      return t("guest.no_place");
    case null:
      return null;
  }
}

function isAtEnd(upload: Upload, file: StoredFile | undefined, unwatched: ReadonlySet<string>): boolean {
  if (upload.stage.value === "failed") return true;
  return upload.stage.value === "sent" && file !== undefined && (isOver(file) || unwatched.has(file.id));
}

function received({ owner_name: owner }: DropRules, arrived: { file: StoredFile | undefined }[]): string {
  const count = arrived.length;
  const has = owner === null ? t("guest.has", { count }) : t("guest.owner_has", { count, owner });
  const verified = arrived.every(({ file }) => file?.verified);
  return verified ? `${has} ${t("guest.verified", { count })}` : has;
}

function place({ file, path }: Chosen): string {
  return path === "" ? file.name : path.replace(/^\/+/, "");
}

function StagedRow({ staged, reason, onRemove }: { staged: Staged; reason: string | null; onRemove: () => void }) {
  const { file } = staged.chosen;
  return (
    <li data-staged={reason === null ? "good" : "bad"}>
      <div class="what">
        <h3 title={place(staged.chosen)}>{file.name}</h3>
        <p class="about muted">
          <span>{bytes(file.size)}</span>
          {staged.resumes && <span>{t("guest.goes_on")}</span>}
        </p>
      </div>
      <button type="button" class="plain" aria-label={t("guest.remove_of", { name: file.name })} onClick={onRemove}>
        {t("guest.remove")}
      </button>
      {reason !== null && <p class="problem">{reason}</p>}
    </li>
  );
}

interface Row {
  upload: Upload;
  file: StoredFile | undefined;
  uploads: Uploads;
  unwatched: boolean;
}

function SentRow({ upload, file, uploads, unwatched }: Row) {
  const stage = upload.stage.value;
  const { name } = upload;
  const state = stage === "sent" ? (file?.status ?? "sending") : stage;
  const failed = stage === "sent" && file?.status === "failed";
  const moving = stage === "waiting" || stage === "sending" || stage === "paused";
  const cancel = async () => {
    const really = await confirmed(t("guest.cancel_title", { name }), t("guest.cancel_detail"), t("guest.cancel"));
    if (really) await uploads.cancel(upload);
  };
  const anew = () => {
    upload.stage.value = "cancelled"; // the record of what failed stays with the server, for its owner
    uploads.add([upload.chosen]);
  };
  return (
    <li data-row data-state={state} data-verified={String(file?.verified ?? false)}>
      <div class="what">
        <h3 title={place(upload.chosen)}>{name}</h3>
        <p class="about muted">
          <span>{bytes(upload.size)}</span>
        </p>
      </div>
      <span class="actions">
        {(stage === "sending" || stage === "waiting") && (
          <button
            type="button"
            class="plain"
            aria-label={t("guest.pause_of", { name })}
            onClick={() => uploads.pause(upload)}
          >
            {t("guest.pause")}
          </button>
        )}
        {stage === "paused" && (
          <button
            type="button"
            class="plain"
            aria-label={t("guest.resume_of", { name })}
            onClick={() => uploads.resume(upload)}
          >
            {t("guest.resume")}
          </button>
        )}
        {stage === "failed" && canRetry(upload.error.value) && (
          <button
            type="button"
            class="quiet"
            aria-label={t("link.of", { what: t("link.again"), name })}
            onClick={() => uploads.resume(upload)}
          >
            {t("link.again")}
          </button>
        )}
        {failed && (
          <button type="button" class="quiet" aria-label={t("link.of", { what: t("link.again"), name })} onClick={anew}>
            {t("link.again")}
          </button>
        )}
        {moving && (
          <button type="button" class="plain" aria-label={t("guest.cancel_of", { name })} onClick={() => void cancel()}>
            {t("guest.cancel")}
          </button>
        )}
        {stage === "failed" && (
          <button
            type="button"
            class="plain"
            aria-label={t("guest.remove_of", { name })}
            onClick={() => void uploads.cancel(upload)}
          >
            {t("guest.remove")}
          </button>
        )}
      </span>
      <div class="how">
        <Stages upload={upload} file={file} />
      </div>
      {stage === "failed" && (
        <p role="alert" class="problem">
          {explain(upload.error.value, "guest")}
        </p>
      )}
      {failed && (
        <p role="alert" class="problem">
          {t("guest.spoilt")}
        </p>
      )}
      {unwatched && <p class="notice">{t("guest.unwatched")}</p>}
    </li>
  );
}
