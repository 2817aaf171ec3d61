/** What somebody sees who was given a link to send files with: what is wanted, what may come, and what became of it. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Api, passes, Problem, type StoredFile } from "../api";
import type { DropRules } from "../contract";
import { Files } from "../files";
import { bytes, day, moment } from "../format";
import { t } from "../i18n";
import { explain } from "../explain";
import { type Broken, capitalized } from "../rules";
import { recordOf } from "../session";
import { refusals, type Staged } from "../staged";
import "../style/links.css";
import { tally, type Tally } from "../tally";
import { at } from "../title";
import { inWords } from "../type_words";
import * as memory from "../unfinished";
import { type Chosen, Uploads } from "../uploads";
import { Watcher } from "../watch";
import { Chooser } from "./chooser";
import { Frame } from "./frame";
import { Given } from "./given";
import { SentRow, StagedRow } from "./guest_rows";
import { Going, useBatch, useSaid } from "./sending";
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

function keyOf(chosen: Chosen): string {
  return memory.keyOf(identity(chosen));
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

  const fileOf = (id: string) => (unwatched.value.has(id) ? undefined : files.get(id)?.peek());
  const { sum: batch, isOpen, offline } = useBatch(uploads, files, fileOf);
  const sent = uploads.all.value.filter(({ stage }) => stage.peek() !== "cancelled");
  const sum = tally(sent, fileOf);
  const arrived = sum.arrived - sum.spoilt;
  const finished = !isOpen && sum.verifying === 0 && arrived > 0;
  useSaid(batch, isOpen, finished ? t("guest.arrived", { count: arrived }) : "");
  const left = Math.max(0, rules.value.files_left - taking.value);
  const here = useMemo(() => new Set(uploads.all.value.map(({ chosen }) => keyOf(chosen))), [uploads.all.value]);
  const known = memory.unfinished(id).filter((one) => !here.has(memory.keyOf(one)));
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
    thanks.current?.focus();
    void fresh();
  }, [finished]);
  useEffect(() => at(heading(rules.value)), [rules.value]);

  const choose = (chosen: Chosen[]) => {
    const listed = new Set([...staged.value, ...sent].map((one) => keyOf(one.chosen)));
    const news = chosen.filter((one) => !listed.has(keyOf(one)));
    const begun = new Set(memory.unfinished(id).map(memory.keyOf));
    staged.value = [...staged.value, ...news.map((one) => ({ chosen: one, resumes: begun.has(keyOf(one)) }))];
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
            <Given
              label={t("guest.chosen")}
              items={staged.value}
              keyOf={({ chosen }) => keyOf(chosen)}
              row={(one, index, place) => (
                <StagedRow
                  key={keyOf(one.chosen)}
                  place={place}
                  staged={one}
                  reason={reason(refused[index] ?? null, one, rules.value)}
                  onRemove={() => remove(one)}
                />
              )}
            />
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
              <p>{received(rules.value, arrived, sum.verified === arrived)}</p>
              {arrived < sum.files && <p class="notice">{t("guest.not_arrived", { count: sum.files - arrived })}</p>}
              {arrived === sum.files && <p>{t("guest.close")}</p>}
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
            <h2 id="sent">{stillGoing(sum, isOpen)}</h2>
          )}
          {isOpen && <Going {...{ uploads, sum: batch, offline }} />}
          {!isOpen && batch.retryable > 1 && (
            <div class="actions">
              <button type="button" class="quiet" onClick={() => uploads.retryAll()}>
                {t("guest.retry_all")}
              </button>
            </div>
          )}
          <Given
            items={sent}
            keyOf={({ key }) => key}
            row={(upload, _, place) => (
              <SentRow
                key={upload.key}
                {...{ place, upload, uploads, files }}
                unwatched={unwatched.value.has(upload.id.peek() ?? "")}
              />
            )}
          />
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

function stillGoing({ active, paused, verifying, files }: Tally, isOpen: boolean): string {
  if (isOpen) return t("guest.sending", { count: active + paused });
  if (verifying > 0) return t("guest.verifying", { count: verifying });
  return t("guest.not_arrived", { count: files });
}

function received({ owner_name: owner }: DropRules, count: number, verified: boolean): string {
  const has = owner === null ? t("guest.has", { count }) : t("guest.owner_has", { count, owner });
  return verified ? `${has} ${t("guest.verified", { count })}` : has;
}
