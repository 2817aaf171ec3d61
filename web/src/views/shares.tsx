/** The owner's shares: links by which others have files from him. */

import { useRef } from "preact/hooks";
import type { Api } from "../api";
import type { Share } from "../contract";
import { bytes, moment } from "../format";
import { t } from "../i18n";
import { explain } from "../explain";
import { go } from "../route";
import "../style/links.css";
import { confirmed } from "./dialog";
import { HandOnButtons } from "./link";
import { Rest, usePages } from "./paged";
import { say } from "./status";

export function Shares({ api }: { api: Api }) {
  const list = usePages((cursor) => api.shares(cursor));
  const heading = useRef<HTMLHeadingElement>(null);
  const failed = (error: unknown) => (list.problem.value = explain(error));
  const end = async (share: Share) => {
    const name = share.title ?? t("link.untitled");
    if (!(await confirmed(t("shares.end_title", { name }), t("shares.end_detail"), t("shares.end")))) return;
    try {
      await api.endShare(share.id);
      list.items.value = (list.items.value ?? []).filter(({ id }) => id !== share.id);
      say(t("shares.ended", { name }));
      heading.current?.focus();
    } catch (error) {
      failed(error);
    }
  };
  const items = list.items.value;
  return (
    <section class="links" aria-labelledby="shares">
      <header>
        <h1 id="shares" ref={heading} tabIndex={-1}>
          {t("app.shares")}
        </h1>
        <button type="button" onClick={() => go({ view: "files", file: null })}>
          {t("shares.to_files")}
        </button>
      </header>
      <p class={items?.length === 0 ? "none-yet muted" : "muted"}>
        {t(items?.length === 0 ? "shares.none" : "shares.how")}
      </p>
      <ul>
        {items?.map((share) => {
          const name = share.title ?? t("link.untitled");
          return (
            <li key={share.id} class="card" data-id={share.id}>
              <h2>{name}</h2>
              {share.message !== null && <p class="lines clamp">{share.message}</p>}
              <p class="about muted">
                <span>{t("link.files", { count: share.count })}</span>
                <span>{bytes(share.size)}</span>
                <span>{t(share.has_password ? "shares.with_password" : "shares.without_password")}</span>
                <span>{t("link.until", { moment: moment(share.expires_at) })}</span>
              </p>
              <p class="about">
                <span>{downloads(share)}</span>
              </p>
              <div class="actions">
                <HandOnButtons name={name} fresh={async () => (await api.share(share.id)).links.page} onFail={failed} />
                <button
                  type="button"
                  class="plain ending"
                  aria-label={t("link.of", { what: t("shares.end"), name })}
                  onClick={() => void end(share)}
                >
                  {t("shares.end")}
                </button>
              </div>
            </li>
          );
        })}
      </ul>
      <Rest list={list} />
    </section>
  );
}

function downloads({ downloads: count, max_downloads: most }: Share): string {
  if (most === null) return t("shares.downloaded", { count });
  return count >= most ? t("shares.used_up", { count }) : t("shares.downloaded_of", { count, most });
}
