/** What a file looks like, shown by the browser: nothing of it runs, and the page's own policy names where it may come from. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
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

interface Preview {
  file: StoredFile;
  /** The newest that are known. */
  links: FileLinks | null;
  fresh: () => Promise<FileLinks>;
}

export function Preview({ file, links: newest, fresh }: Preview) {
  const kind = shownAs(file.content_type);
  const wanted = useSignal(false);
  const broken = useSignal("");
  const used = useSignal<FileLinks | null>(null); // those of what is shown: newer ones would load it again
  const again = useSignal(false);
  if (kind === null || file.status !== "ready" || file.size === 0) return null;
  const links = used.value ?? newest;
  if (!links?.content || !links.direct || !newest?.direct) return <div class="preview waiting" />;
  const onShown = () => {
    used.value = links;
    again.value = false;
  };
  /** Who listens again after hours has links that have ended: with others it goes on. */
  const onBroken = async () => {
    if (again.value) {
      broken.value = t("preview.broken");
      return;
    }
    again.value = true;
    try {
      const others = await fresh();
      if (others.content === links.content) broken.value = t("preview.broken");
      else used.value = others;
    } catch (error) {
      broken.value = explain(error);
    }
  };
  if (kind === "image" && (file.size ?? 0) > UNASKED_BYTES && !wanted.value) {
    return (
      <div class="preview">
        <button type="button" class="quiet" onClick={() => (wanted.value = true)}>
          {t("preview.show", { size: bytes(file.size ?? 0) })}
        </button>
      </div>
    );
  }
  if (broken.value !== "") return <p class="preview muted">{broken}</p>;
  const content = inline((file.size ?? 0) > STREAMED_BYTES ? links.direct : links.content);
  const props = {
    name: file.filename,
    content,
    direct: inline(links.direct),
    newest: inline(newest.direct),
    onShown,
    onBroken: () => void onBroken(),
  };
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
  /** Of what is opened elsewhere. */
  newest: string;
  text: string;
  size: number;
  onShown: () => void;
  onBroken: () => void;
}

function Content({ kind, name, content, direct, newest, text, size, onShown, onBroken }: Props) {
  switch (kind) {
    case "image":
      return <img src={content} alt={t("preview.of", { name })} onLoad={onShown} onError={onBroken} />;
    case "audio":
    case "video":
      return <Media kind={kind} name={name} link={direct} onShown={onShown} onBroken={onBroken} />;
    case "pdf":
      return <Pdf name={name} link={direct} newest={newest} />;
    case "text":
      return <Text name={name} link={text} size={size} onShown={onShown} />;
  }
}

interface Media {
  kind: "audio" | "video";
  name: string;
  link: string;
  onShown: () => void;
  onBroken: () => void;
}

/** Goes on where it was when its link is replaced. */
function Media({ kind: Element, name, link, onShown, onBroken }: Media) {
  const left = useRef<{ at: number; plays: boolean } | null>(null);
  return (
    <Element
      src={link}
      controls
      preload="metadata"
      aria-label={name}
      onError={({ currentTarget: { currentTime: at, paused } }) => {
        left.current = { at, plays: !paused };
        onBroken();
      }}
      onLoadedMetadata={({ currentTarget: element }) => {
        if (left.current) {
          element.currentTime = left.current.at;
          if (left.current.plays) void element.play().catch(() => undefined); // the browser may want to be asked
        }
        left.current = null;
        onShown();
      }}
    />
  );
}

/**
 * A browser's own PDF viewer does not run in a sandbox (Chromium shows a blocked page), so it is not in one: it is at the
 * bucket's origin, where nothing is to be had.
 */
function Pdf({ name, link, newest }: Pick<Props, "name" | "newest"> & { link: string }) {
  const shown = useRef(link); // a newer one would begin it anew, and lose the place where somebody reads
  return (
    <>
      {navigator.pdfViewerEnabled && (
        <iframe src={shown.current} title={t("preview.of", { name })} referrerpolicy="no-referrer" />
      )}
      <a class="button quiet" href={newest} target="_blank" rel="noreferrer">
        {t("preview.open")}
      </a>
    </>
  );
}

/** The beginning of it, as text and nothing else. */
function Text({ name, link, size, onShown }: Pick<Props, "name" | "size" | "onShown"> & { link: string }) {
  const text = useSignal<string | null>(null);
  const problem = useSignal("");
  useEffect(() => {
    const leave = new AbortController();
    const headers = { Range: `bytes=0-${TEXT_BYTES - 1}` };
    answer(inline(link), { headers, cache: "no-store", signal: leave.signal })
      .then((response) => response.arrayBuffer())
      .then((read) => {
        text.value = new TextDecoder().decode(read);
        onShown();
      })
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
