/** The owner's drops: links through which others send files to him. */

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Api } from "../api";
import type { CreatedDrop, Drop } from "../contract";
import { bytes, moment } from "../format";
import { t } from "../i18n";
import { explain } from "../explain";
import { go } from "../route";
import { capitalized } from "../rules";
import "../style/links.css";
import { inWords } from "../type_words";
import { confirmed } from "./dialog";
import { DropForm } from "./drop_form";
import { HandOnButtons, LinkDialog } from "./link";
import { Rest, usePages } from "./paged";
import { ShareForm } from "./share_form";
import { say } from "./status";

const AS_MANY_AS_COME = 1_000_000; // of the API's limit nobody is told

export function Drops({ api }: { api: Api }) {
  const list = usePages((cursor) => api.drops(cursor));
  const making = useSignal(false);
  const sharing = useSignal<Drop | null>(null);
  const made = useSignal<CreatedDrop | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const failed = (error: unknown) => (list.problem.value = explain(error));
  const end = async (drop: Drop) => {
    const name = drop.title ?? t("link.untitled");
    if (!(await confirmed(t("drops.end_title", { name }), t("drops.end_detail"), t("drops.end")))) return;
    try {
      await api.endDrop(drop.id);
      list.items.value = (list.items.value ?? []).filter(({ id }) => id !== drop.id);
      say(t("drops.ended", { name }));
      heading.current?.focus(); // its row, and with it the focus, is gone
    } catch (error) {
      failed(error);
    }
  };
  const items = list.items.value;
  return (
    <section class="links" aria-labelledby="drops">
      <header>
        <h1 id="drops" ref={heading} tabIndex={-1}>
          {t("app.drops")}
        </h1>
        <button type="button" onClick={() => (making.value = true)}>
          {t("drops.new")}
        </button>
      </header>
      {items?.length === 0 && <p class="none-yet muted">{t("drops.none")}</p>}
      <ul>
        {items?.map((drop) => {
          const name = drop.title ?? t("link.untitled");
          return (
            <li key={drop.id} class="card" data-id={drop.id}>
              <h2>{name}</h2>
              {drop.message !== null && <p class="lines clamp">{drop.message}</p>}
              <p class="about muted">
                <span>{accepted(drop)}</span>
                <span>{t("link.until", { moment: moment(drop.expires_at) })}</span>
              </p>
              <p class="about">
                <span>{taken(drop)}</span>
              </p>
              <div class="actions">
                <HandOnButtons name={name} fresh={async () => (await api.drop(drop.id)).links.page} onFail={failed} />
                <button
                  type="button"
                  class="quiet"
                  onClick={() => go({ view: "files", drop: drop.id, folder: null, q: "", file: null })}
                >
                  {t("drops.came")}
                </button>
                {drop.files > 0 && (
                  <button
                    type="button"
                    class="quiet"
                    aria-label={t("link.of", { what: t("drops.share"), name })}
                    onClick={() => (sharing.value = drop)}
                  >
                    {t("drops.share")}
                  </button>
                )}
                <button
                  type="button"
                  class="plain ending"
                  aria-label={t("link.of", { what: t("drops.end"), name })}
                  onClick={() => void end(drop)}
                >
                  {t("drops.end")}
                </button>
              </div>
            </li>
          );
        })}
      </ul>
      <Rest list={list} />
      {sharing.value && (
        <ShareForm api={api} subject={{ drop: sharing.value.id }} onClose={() => (sharing.value = null)} />
      )}
      {making.value && (
        <DropForm
          api={api}
          onClose={() => (making.value = false)}
          onMade={(drop) => {
            making.value = false;
            made.value = drop;
            void list.anew();
          }}
        />
      )}
      {made.value && (
        <LinkDialog
          title={made.value.title ?? t("drops.made")}
          url={made.value.links.page}
          onClose={() => (made.value = null)}
        />
      )}
    </section>
  );
}

function taken({ files: count, max_files: most }: Drop): string {
  if (most >= AS_MANY_AS_COME) return t("drops.so_far", { count });
  return count >= most ? t("drops.full", { count }) : t("drops.so_far_of", { count, most });
}

function accepted(drop: Drop): string {
  const types = drop.content_types === null ? t("rules.all") : inWords(drop.content_types);
  if (drop.max_file_bytes === null) return capitalized(types);
  return capitalized(t("drops.each", { types, size: bytes(drop.max_file_bytes) }));
}
