/** What a file looks like, shown by the browser: nothing of it runs, and the page's own policy names where it may come from. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { answer, type StoredFile } from "../api";
import type { FileLinks } from "../contract";
import { explain } from "../explain";
import { bytes } from "../format";
import { t } from "../i18n";
import { type Shown, shownAs } from "../kinds";
import { STREAMED_BYTES } from "../saving";

const TEXT_BYTES = 64 * 1024;
/** Larger images are shown when somebody asks for them: who opens details on the way need not pay for them. */
const UNASKED_BYTES = 5_000_000;

export function Preview({ file, links }: { file: StoredFile; links: FileLinks | null }) {
  const kind = shownAs(file.content_type);
  const wanted = useSignal(false);
  const broken = useSignal(false);
  if (kind === null || file.status !== "ready" || file.size === 0) return null;
  if (!links?.content || !links.direct) return <div class="preview waiting" />;
  if (kind === "image" && (file.size ?? 0) > UNASKED_BYTES && !wanted.value) {
    return (
      <div class="preview">
        <button type="button" class="quiet" onClick={() => (wanted.value = true)}>
          {t("preview.show", { size: bytes(file.size ?? 0) })}
        </button>
      </div>
    );
  }
  if (broken.value) return <p class="preview muted">{t("preview.broken")}</p>;
  const content = inline((file.size ?? 0) > STREAMED_BYTES ? links.direct : links.content);
  const props = { name: file.filename, content, direct: inline(links.direct), onBroken: () => (broken.value = true) };
  return (
    <figure class={`preview ${kind}`} aria-label={t("preview.label")}>
      <Content kind={kind} {...props} text={links.content} size={file.size ?? 0} />
    </figure>
  );
}

interface Props {
  kind: Shown;
  name: string;
  content: string;
  direct: string;
  text: string;
  size: number;
  onBroken: () => void;
}

function Content({ kind, name, content, direct, text, size, onBroken }: Props) {
  switch (kind) {
    case "image":
      return <img src={content} alt={t("preview.of", { name })} onError={onBroken} />;
    case "audio":
      return <audio src={direct} controls preload="metadata" aria-label={name} onError={onBroken} />;
    case "video":
      return <video src={direct} controls preload="metadata" aria-label={name} onError={onBroken} />;
    case "pdf":
      return <Pdf name={name} link={direct} />;
    case "text":
      return <Text name={name} link={text} size={size} />;
  }
}

/**
 * A browser's own PDF viewer does not run in a sandbox (Chromium shows a blocked page), so it is not in one: it is at the
 * bucket's origin, where nothing is to be had.
 */
function Pdf({ name, link }: { name: string; link: string }) {
  return (
    <>
      {navigator.pdfViewerEnabled && (
        <iframe src={link} title={t("preview.of", { name })} referrerpolicy="no-referrer" />
      )}
      <a class="button quiet" href={link} target="_blank" rel="noreferrer">
        {t("preview.open")}
      </a>
    </>
  );
}

/** The beginning of it, as text and nothing else. */
function Text({ name, link, size }: { name: string; link: string; size: number }) {
  const text = useSignal<string | null>(null);
  const problem = useSignal("");
  useEffect(() => {
    const leave = new AbortController();
    const headers = { Range: `bytes=0-${TEXT_BYTES - 1}` };
    answer(inline(link), { headers, cache: "no-store", signal: leave.signal })
      .then((response) => response.arrayBuffer())
      .then((read) => (text.value = new TextDecoder().decode(read)))
      .catch((error: unknown) => {
        if (!leave.signal.aborted) problem.value = explain(error);
      });
    return () => leave.abort();
  }, [link, problem, text]);
  if (problem.value) return <p class="muted">{problem}</p>;
  if (text.value === null) return <p class="muted">{t("preview.loading")}</p>;
  return (
    <>
      {/* It can be scrolled, so it has to be reachable with the keyboard. */}
      <pre tabIndex={0} role="region" aria-label={t("preview.of", { name })}>
        {text}
      </pre>
      {size > TEXT_BYTES && <figcaption class="muted">{t("preview.beginning", { size: bytes(size) })}</figcaption>}
    </>
  );
}

function inline(link: string): string {
  return `${link}&disposition=inline`;
}
