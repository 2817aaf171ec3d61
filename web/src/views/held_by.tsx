/** The shares through which a file is handed out. */

import type { Api } from "../api";
import { moment } from "../format";
import { t } from "../i18n";
import { go } from "../route";
import "../style/links.css";
import { Rest, usePages } from "./paged";

// Each looks through a hundred shares at most: a panel that somebody only passes by does not read all of them.
const ANSWERS_AT_ONCE = 3;

interface Props {
  api: Api;
  id: string;
}

export function HeldBy({ api, id }: Props) {
  return <Found key={id} api={api} id={id} />; // another file's are asked for anew
}

function Found({ api, id }: Props) {
  const list = usePages((cursor) => api.sharesOf(id, cursor), ANSWERS_AT_ONCE);
  const items = list.items.value;
  return (
    <div class="held">
      {items?.length === 0 && <p class="muted">{t(list.next.value === null ? "held.none" : "held.none_yet")}</p>}
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
      <Rest list={list} more={t("held.more")} />
    </div>
  );
}
