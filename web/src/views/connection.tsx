/** Whether what the page shows is what there is now. */

import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Connection } from "../feed";
import { t } from "../i18n";
import { say } from "./status";
import "../style/connection.css";

export function ConnectionState({ state }: { state: ReadonlySignal<Connection> }) {
  const wasGone = useRef(false);
  const gone = state.value === "gone";
  const live = state.value === "live";
  useEffect(() => {
    if (gone) say(t("live.gone_help"));
    else if (live && wasGone.current) say(t("live.back"));
    if (gone || live) wasGone.current = gone;
  }, [gone, live]);
  const name = gone ? "gone" : live ? "on" : "connecting";
  return (
    <span class="connection" data-connection={state.value} title={t(`live.${name}_help`)}>
      <span class="word">{t(`live.${name}`)}</span>
    </span>
  );
}
