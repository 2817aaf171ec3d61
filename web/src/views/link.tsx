/** What an owner gives to others: a link, to copy or to be read by a phone; and how each is handed on. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { copy } from "../clipboard";
import { t } from "../i18n";
import "../style/links.css";
import { Qr } from "./qr";
import { say } from "./status";
import { TextDialog } from "./text_dialog";

interface Props {
  title: string;
  url: string;
  /** Told once: nobody can read it again. */
  password?: string | null;
  onClose: () => void;
}

export function LinkDialog({ title, url, password = null, onClose }: Props) {
  return (
    <TextDialog
      title={title}
      label={t("link.label")}
      text={url}
      help={t("link.whoever")}
      copy={t("link.copy")}
      byHand={t("link.copy_yourself")}
      above={<Qr text={url} />}
      onClose={onClose}
    >
      {password !== null && (
        <p class="notice">
          {t("link.password")} <code>{password}</code>
        </p>
      )}
    </TextDialog>
  );
}

interface HandOn {
  /** What it is called, for those who do not see which row the buttons are in. */
  name: string;
  fresh: () => Promise<string>;
  onFail: (error: unknown) => void;
}

/** The buttons that hand a link on, which is asked for when it is wanted. */
export function HandOnButtons({ name, fresh, onFail }: HandOn) {
  const shown = useSignal<string | null>(null);
  const copied = useSignal(false);
  useEffect(() => {
    if (!copied.value) return undefined;
    const timer = setTimeout(() => (copied.value = false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied.value]);
  const show = async () => {
    try {
      shown.value = await fresh();
    } catch (error) {
      onFail(error);
    }
  };
  const copyIt = async () => {
    const link = fresh();
    try {
      copied.value = await copy(link);
      if (copied.value) say(t("link.copied"));
      else shown.value = await link;
    } catch (error) {
      onFail(error);
    }
  };
  return (
    <>
      <button
        type="button"
        class="quiet"
        aria-label={t("link.of", { what: t(copied.value ? "link.copied" : "link.copy"), name })}
        onClick={() => void copyIt()}
      >
        {t(copied.value ? "link.copied" : "link.copy")}
      </button>
      <button
        type="button"
        class="quiet"
        aria-label={t("link.of", { what: t("link.show"), name })}
        onClick={() => void show()}
      >
        {t("link.show")}
      </button>
      {shown.value !== null && <LinkDialog title={name} url={shown.value} onClose={() => (shown.value = null)} />}
    </>
  );
}

const SHOWN_MS = 3_000; // long enough to be read
