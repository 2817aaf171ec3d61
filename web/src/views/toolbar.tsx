/** Looking for files: by a part of the name, by what they are at, by the drop that they came through, in an order. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Drops } from "../drops";
import type { Show, Sort } from "../entries";
import { t } from "../i18n";
import { type Listing, show, sort } from "../listing";
import { go, route } from "../route";
import { Icon } from "./icon";

const TYPING_MS = 150;
const SORTS: Sort[] = ["newest", "name", "size"];
const SHOWS: Show[] = ["all", "moving", "ready", "failed"];

export function Toolbar({ listing, drops }: { listing: Listing; drops: Drops }) {
  const typed = useSignal(route.value.q);
  const { drop, q } = route.value;
  const known = useComputed(() => new Set(listing.all.value.flatMap((entry) => entry.drop ?? [])));
  useEffect(() => {
    typed.value = q; // by the back button, or by "Show all"
  }, [q, typed]);
  useEffect(() => {
    if (typed.value === route.peek().q) return undefined;
    const timer = setTimeout(() => go({ q: typed.value }, true), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, typed.value]);
  const choices = [...new Set([...known.value, ...(drop === null ? [] : [drop])])];
  return (
    <div class="toolbar" role="search">
      <label class="search">
        <span class="unseen">{t("list.search")}</span>
        <Icon name="search" />
        <input
          type="search"
          placeholder={t("list.search")}
          value={typed}
          maxLength={255}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
      </label>
      <label>
        <span class="unseen">{t("list.show")}</span>
        <select value={show} onChange={(event) => (show.value = event.currentTarget.value as Show)}>
          {SHOWS.map((name) => (
            <option key={name} value={name}>
              {t(`show.${name}`)}
            </option>
          ))}
        </select>
      </label>
      {choices.length > 0 && (
        <label>
          <span class="unseen">{t("list.drop")}</span>
          <select value={drop ?? ""} onChange={(event) => go({ drop: event.currentTarget.value || null })}>
            <option value="">{t("list.any_drop")}</option>
            {choices.map((id) => (
              <option key={id} value={id}>
                {drops.title(id)}
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        <span class="unseen">{t("list.sort")}</span>
        <select value={sort} onChange={(event) => (sort.value = event.currentTarget.value as Sort)}>
          {SORTS.map((name) => (
            <option key={name} value={name}>
              {t(`sort.${name}`)}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

/** Where in the folders the list is. */
export function Path() {
  const { folder } = route.value;
  if (folder === null) return null;
  const segments = folder.split("/");
  const paths = segments.map((_, index) => segments.slice(0, index + 1).join("/"));
  return (
    <nav class="path" aria-label={t("list.path")}>
      <button type="button" class="plain" onClick={() => go({ folder: null, file: null })}>
        {t("list.all_files")}
      </button>
      {paths.map((path, index) => (
        <>
          <Icon name="chevron" size={16} />
          {path === folder ? (
            <strong aria-current="page">{segments[index]}</strong>
          ) : (
            <button key={path} type="button" class="plain" onClick={() => go({ folder: path, file: null })}>
              {segments[index]}
            </button>
          )}
        </>
      ))}
    </nav>
  );
}
