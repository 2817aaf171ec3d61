/** An owner's page: files, drops, shares and access tokens, and what this tab sends. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Api } from "../api";
import type { FileList as Listed } from "../contract";
import { Downloads } from "../downloads";
import { Feed } from "../feed";
import { Files } from "../files";
import { t } from "../i18n";
import { Loading } from "../loading";
import { go, route, type View } from "../route";
import { lend } from "../session";
import { at as titled } from "../title";
import { Uploads } from "../uploads";
import { ConnectionState } from "./connection";
import { Questions } from "./dialog";
import { Drops } from "./drops";
import { Languages } from "./languages";
import { mayLeave } from "./leaving";
import { FileList } from "./list";
import { Mark } from "./mark";
import { Sending } from "./sending";
import { ShareForm, type Subject } from "./share_form";
import { Shares } from "./shares";
import { Status } from "./status";
import { Tokens } from "./tokens";
import "../style/owner.css";

const VIEWS: View[] = ["files", "drops", "shares", "tokens"];
const EXPIRY_MS = 30_000; // between two looks for uploads whose time is over, which is days

interface Props {
  api: Api;
  /** The beginning of the list of files. */
  first: Listed;
  /** Who signed in, by name; null with an access token. */
  person: string | null;
  onLeave: () => void;
  /** The access has ended, which the server did not have to say. */
  onExpired: () => void;
}

export function Owner({ api, first, person, onLeave, onExpired }: Props) {
  const main = useRef<HTMLElement>(null);
  const shared = useSignal<Subject | null>(null); // what a share is being made of
  const { files, uploads, downloads, loading, feed } = useMemo(() => known(api), [api]);
  useEffect(() => {
    void loading.run(first);
    feed.start(first.links.events);
    const timer = setInterval(() => files.expire(Date.now()), EXPIRY_MS);
    return () => {
      clearInterval(timer);
      feed.stop();
      loading.stop();
    };
  }, [first]);
  useEffect(
    () =>
      lend(() => {
        // Somebody has signed out in another tab. What is sent from this one waits, instead of being lost.
        api.bearer = "";
        if (uploads.unfinished.peek().length > 0) onExpired();
        else onLeave();
      }),
    [api],
  );
  const { view } = route.value;
  const title = t(`app.${view}`);
  useEffect(() => {
    titled(title);
  }, [title]);
  return (
    <>
      <a
        class="skip button"
        href="#content"
        onClick={(event) => {
          event.preventDefault(); // the address says where one is
          main.current?.focus();
        }}
      >
        {t("app.skip")}
      </a>
      <header class="top owner">
        <Mark />
        <nav aria-label={t("app.views")}>
          {VIEWS.map((name) => (
            <button
              key={name}
              type="button"
              class="plain"
              aria-current={name === view ? "page" : undefined}
              onClick={() => go({ view: name, file: null })}
            >
              {t(`app.${name}`)}
            </button>
          ))}
        </nav>
        <ConnectionState state={feed.state} />
        <div class="frame">
          {person !== null && (
            <span class="muted person" title={person}>
              {person}
            </span>
          )}
          <Languages />
          <button
            type="button"
            class="quiet"
            onClick={() => void mayLeave(uploads).then((agreed) => agreed && onLeave())}
          >
            {t("app.sign_out")}
          </button>
        </div>
      </header>
      <main id="content" ref={main} tabIndex={-1}>
        <Sending uploads={uploads} files={files} />
        {view === "files" && (
          <FileList
            {...{ api, files, uploads, downloads }}
            loaded={loading.loaded}
            onShare={(ids) => (shared.value = { files: ids })}
          />
        )}
        {view === "drops" && <Drops api={api} />}
        {view === "shares" && <Shares api={api} />}
        {view === "tokens" && <Tokens api={api} />}
      </main>
      {shared.value && <ShareForm api={api} subject={shared.value} onClose={() => (shared.value = null)} />}
      <Status />
      <Questions />
    </>
  );
}

/** All that the page knows of the owner's files, and where it knows it from. */
function known(api: Api) {
  const files = new Files();
  const downloads = new Downloads();
  const loading = new Loading(api, files);
  const feed = new Feed(api, files, downloads, (list) => {
    files.clear();
    void loading.run(list);
  });
  const uploads = new Uploads(
    api,
    (file) => files.put(file),
    (id) => files.remove(id),
  );
  return { files, uploads, downloads, loading, feed };
}
