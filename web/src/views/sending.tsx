/** What an owner sends: the chooser, and how far all of it is. */

import { type ReadonlySignal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { Fragment } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { StoredFile } from "../api";
import type { Chosen } from "../chosen";
import { keepAwake } from "../awake";
import type { Files } from "../files";
import { subtle } from "../fingerprint";
import { bytes, duration, fraction, number, percent } from "../format";
import { t } from "../i18n";
import { tally, type Tally } from "../tally";
import { going } from "../title";
import type { Uploads } from "../uploads";
import { Chooser, Dismiss, Notices, notice } from "./chooser";
import { cancelled, guard } from "./leaving";
import { say } from "./status";
import { Withdrawn } from "./withdrawn";
import "../style/sending.css";

const SAID_EVERY = 0.25; // of a batch: a screen reader that says each percent says nothing else

interface Props {
  uploads: Uploads;
  files: Files;
}

export function Sending({ uploads, files }: Props) {
  const notices = useSignal<string[]>([]);
  const send = (chosen: Chosen[]) => {
    const known = alreadyThere(chosen, files);
    const there = (id: string) => {
      const file = files.get(id)?.peek();
      return file !== undefined && file.status !== "failed";
    };
    const doubles = uploads.add(chosen, there);
    const left = new Set(doubles);
    const again = known.filter((one) => !left.has(one));
    notices.value = [...notice("sending.double", doubles.map(nameOf)), ...notice("sending.known", again.map(nameOf))];
  };
  return (
    <section class="sending" aria-label={t("sending.title")}>
      <Chooser onChosen={send} />
      {!subtle && <p class="notice">{t("sending.no_digests")}</p>}
      <Notices notices={notices.value} onDismiss={() => (notices.value = [])} />
      <Strip uploads={uploads} files={files} />
    </section>
  );
}

/** How far the batch is, in one strip that ends as a sentence. */
export function Strip({ uploads, files }: Props) {
  const { sum, isOpen, offline } = useBatch(uploads, files);
  const dismissed = useSignal<unknown>(null);
  const said = sentences(sum);
  useSaid(sum, isOpen, isOpen || sum.verifying > 0 ? "" : said.join(" "));

  const gone = <Withdrawn uploads={uploads} />;
  if (isOpen) {
    return (
      <>
        {gone}
        <Going {...{ uploads, sum, offline }} />
      </>
    );
  }
  // All of it may have been deleted since.
  if (said.length === 0 || dismissed.value === uploads.batch.value) return gone;
  return (
    <>
      {gone}
      <div class="strip" data-batch={sum.verifying > 0 ? "verifying" : "over"}>
        <div data-trouble={sum.spoilt + sum.failed > 0 || undefined}>
          {said.map((sentence) => (
            <p key={sentence}>{sentence}</p>
          ))}
        </div>
        <div class="actions">
          {sum.retryable > 0 && (
            <button type="button" class="quiet" onClick={() => uploads.retryAll()}>
              {t("sending.retry_all")}
            </button>
          )}
          <Dismiss onClick={() => (dismissed.value = uploads.batch.peek())} />
        </div>
      </div>
    </>
  );
}

interface Batch {
  sum: Tally;
  /** Something is still to be sent. */
  isOpen: boolean;
  offline: boolean;
}

/**
 * How far the batch is. Stands once in a face of the page that sends; while it does, the tab's title says how far it is,
 * the screen stays on, and the browser asks before the page goes. `fileOf` is what is known of a file by its id.
 */
export function useBatch(
  uploads: Uploads,
  files: Files,
  fileOf: (id: string) => StoredFile | undefined = (id) => files.get(id)?.peek(),
): Batch {
  const offline = useSignal(!navigator.onLine);
  useEffect(() => {
    const look = () => {
      offline.value = !navigator.onLine;
      uploads.speed.reset();
    };
    addEventListener("online", look);
    addEventListener("offline", look);
    return () => {
      removeEventListener("online", look);
      removeEventListener("offline", look);
    };
  }, [uploads]);
  useSignalEffect(() => {
    follow(files.changes);
    uploads.check((id) => files.get(id) !== undefined);
  });

  const isOpen = useComputed(() => uploads.unfinished.value.length > 0).value; // not redrawn by each that ends
  follow(uploads.changes); // while files are sent, four times a second
  if (!isOpen) follow(files.changes); // what becomes of them after that
  const sum = tally(uploads.batch.value, fileOf);
  const isSending = sum.active > 0;
  const progress = isOpen && sum.bytes > 0 ? percent(sum.sent, sum.bytes) : null;
  useEffect(() => going(progress), [progress]);
  useEffect(() => () => going(null), []);
  useEffect(() => (isSending ? keepAwake() : undefined), [isSending]);
  useEffect(() => {
    if (!isOpen) return;
    addEventListener("beforeunload", guard);
    return () => removeEventListener("beforeunload", guard);
  }, [isOpen]);
  return { sum, isOpen, offline: offline.value };
}

/** What of the batch has been sent, how fast it goes, how long the rest will take, and the buttons for all of it. */
export function Going({ uploads, sum, offline }: Pick<Batch, "sum" | "offline"> & { uploads: Uploads }) {
  return (
    <div class="strip" data-batch="open">
      <progress max={1} value={fraction(sum.sent, sum.bytes)} aria-label={t("sending.title")} />
      <p>
        <strong>{far(sum)}</strong>{" "}
        <span class="muted">
          {details(sum, uploads, offline).map((fact, index) => (
            <Fragment key={index}>
              {index > 0 && " · "}
              <span class="unbroken">{fact}</span>
            </Fragment>
          ))}
        </span>
      </p>
      <div class="actions">
        {sum.active > 0 ? (
          <button type="button" class="quiet" onClick={() => uploads.pauseAll()}>
            {t("sending.pause_all")}
          </button>
        ) : (
          <button type="button" class="quiet" onClick={() => uploads.resumeAll()}>
            {t("sending.resume_all")}
          </button>
        )}
        <button type="button" class="plain" onClick={() => void cancelled(uploads, uploads.unfinished.peek())}>
          {t("sending.cancel_all")}
        </button>
      </div>
      {offline && <p class="notice">{t("sending.offline")}</p>}
    </div>
  );
}

/** Redraws, or runs again, with each change of it. */
function follow(changes: ReadonlySignal<number>): number {
  return changes.value;
}

/** `3 of 7 files`: those that have arrived. */
function far({ arrived, files }: Tally): string {
  return files === 1 ? t("sending.one") : t("sending.progress", { files: arrived, count: files });
}

function details(sum: Tally, uploads: Uploads, offline: boolean): string[] {
  const said = [t("sending.bytes", { sent: bytes(sum.sent), bytes: bytes(sum.bytes) })];
  if (sum.active === 0) said.push(t("sending.paused"));
  else if (!offline) {
    const now = performance.now();
    const rate = uploads.speed.rate(now);
    const left = uploads.speed.left(sum.left, now);
    if (rate !== null && rate > 0) said.push(t("sending.rate", { rate: bytes(Math.round(rate)) }));
    if (left !== null && sum.left > 0) said.push(t("sending.left", { time: duration(left) }));
  }
  return said;
}

/** How the batch ended, as far as it has: what is verified and what is only hashed are two things. */
function sentences(sum: Tally): string[] {
  const said: string[] = [];
  if (sum.verifying > 0) {
    said.push(t("sending.verifying", { count: sum.arrived, left: number(sum.verifying) }));
  } else {
    if (sum.verified > 0) said.push(t("sending.verified", { count: sum.verified }));
    if (sum.hashed > 0) said.push(t("sending.hashed", { count: sum.hashed }));
  }
  if (sum.spoilt > 0) said.push(t("sending.spoilt", { count: sum.spoilt }));
  if (sum.failed > 0) said.push(t("sending.failed", { count: sum.failed }));
  return said;
}

/** Tells a screen reader the beginning, each quarter, and the end, which is empty until it is there. */
export function useSaid(sum: Tally, isOpen: boolean, end: string): void {
  const step = useRef(-1); // nothing has begun
  const now = isOpen ? Math.floor(fraction(sum.sent, sum.bytes) / SAID_EVERY) : -1;
  useEffect(() => {
    const before = step.current;
    step.current = now;
    if (now < 0) return;
    if (before < 0) say(t("sending.said_begin", { count: sum.files, bytes: bytes(sum.bytes) }));
    else if (now > before && now * SAID_EVERY < 1) {
      say(t("sending.said_percent", { percent: percent(now, 1 / SAID_EVERY) }));
    }
  }, [now]);
  useEffect(() => {
    if (end !== "") say(end);
  }, [end]);
}

/** Those of which the list has a file with the same folder, name and size. */
function alreadyThere(chosen: readonly Chosen[], files: Files): Chosen[] {
  const key = (folder: string, name: string, size: number | null) => JSON.stringify([folder, name, size]);
  const there = new Set(
    files
      .all()
      .map((file) => file.peek())
      .filter(({ status }) => ["ready", "scanning", "hashing"].includes(status))
      .map(({ folder, filename, size }) => key(folder ?? "", filename, size)),
  );
  return chosen.filter(({ file, path }) =>
    there.has(key(path.split("/").slice(0, -1).join("/"), file.name, file.size)),
  );
}

function nameOf({ file }: Chosen): string {
  return file.name;
}
