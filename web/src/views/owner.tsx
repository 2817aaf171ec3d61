/** An owner's page: files, drops and shares, and what this tab sends. */

import { useMemo } from "preact/hooks";
import type { Api } from "../api";
import { Files } from "../files";
import { t } from "../i18n";
import { go, route, type View } from "../route";
import { Uploads } from "../uploads";
import { Questions } from "./dialog";
import { Drops } from "./drops";
import { Languages } from "./languages";
import { mayLeave } from "./leaving";
import { FileList } from "./list";
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
        <button
          type="button"
          class="quiet"
          onClick={() => void mayLeave(uploads).then((agreed) => agreed && onLeave())}
        >
          {t("app.sign_out")}
        </button>
      </header>
      <main>
        <Sending uploads={uploads} files={files} />
        {view === "files" && <FileList {...{ api, files, uploads, loaded }} onShare={() => undefined} />}
        {view === "drops" && <Drops api={api} />}
        {view === "shares" && <Shares api={api} />}
      </main>
      <Status />
      <Questions />
    </>
  );
}
