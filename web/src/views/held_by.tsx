/** The shares through which a file is handed out. */

import type { Api } from "../api";
import { moment } from "../format";
import { t } from "../i18n";
import { go } from "../route";
import "../style/links.css";
import { Rest, usePages } from "./paged";

interface Props {
  api: Api;
  id: string;
}

export function HeldBy({ api, id }: Props) {
  return <Found key={id} api={api} id={id} />; // another file's are asked for anew
}

function Found({ api, id }: Props) {
  const list = usePages((cursor) => api.sharesOf(id, cursor));
  const items = list.items.value;
  return (
    <div class="held">
      {items?.length === 0 && <p class="muted">{t("held.none")}</p>}
      <ul>
        {items?.map((share) => (
          <li key={share.id}>
            <button type="button" class="inline" onClick={() => go({ view: "shares", file: null })}>
              {share.title ?? t("link.untitled")}
            </button>{" "}
            <span class="muted">{t("link.until", { moment: moment(share.expires_at) })}</span>
          </li>
        ))}
      </ul>
      <Rest list={list} />
    </div>
  );
}
