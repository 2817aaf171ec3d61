/** An owner's page: files, drops and shares, and what this tab sends. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Api } from "../api";
import { Files } from "../files";
import { t } from "../i18n";
import { go, route, type View } from "../route";
import { Uploads } from "../uploads";
import { Questions } from "./dialog";
import { Drops } from "./drops";
import { Languages } from "./languages";
import { FileList, type Loaded } from "./list";
import { Mark } from "./mark";
import { Sending } from "./sending";
import { Shares } from "./shares";
import { Status } from "./status";

const VIEWS: View[] = ["files", "drops", "shares"];

export function Owner({ api, onLeave }: { api: Api; onLeave: () => void }) {
  const { files, uploads } = useMemo(() => {
    const files = new Files();
    const uploads = new Uploads(
      api,
      (file) => files.put(file),
      (id) => files.remove(id),
    );
    return { files, uploads };
  }, [api]);
  const loaded = useSignal<Loaded>("nothing");
  useEffect(() => {
    const load = async () => {
      for (let cursor: string | null = null, more = true; more; more = cursor !== null) {
        const page = await api.list(100, {}, cursor);
        files.put(...page.items);
        cursor = page.next;
        loaded.value = cursor === null ? "all" : "some";
      }
    };
    void load();
  }, [api, files, loaded]);
  const { view } = route.value;
  return (
    <>
      <header class="top">
        <Mark />
        <nav>
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
        <Languages />
        <button type="button" class="quiet" onClick={onLeave}>
          {t("app.sign_out")}
        </button>
      </header>
      <main>
        <Sending uploads={uploads} />
        {view === "files" && <FileList {...{ api, files, uploads, loaded }} onShare={() => undefined} />}
        {view === "drops" && <Drops api={api} />}
        {view === "shares" && <Shares api={api} />}
      </main>
      <Status />
      <Questions />
    </>
  );
}
