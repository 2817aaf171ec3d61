/** What an owner gives to others: a link, to copy or to be read by a phone; and how each is handed on. */

import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import { copy } from "../clipboard";
import { t } from "../i18n";
import "../style/links.css";
import { Dialog } from "./dialog";
import { Qr } from "./qr";
import { say } from "./status";

interface Props {
  title: string;
  url: string;
  /** Told once: nobody can read it again. */
  password?: string | null;
  onClose: () => void;
}

export function LinkDialog({ title, url, password = null, onClose }: Props) {
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const copied = useSignal<boolean | null>(null);
  const copyIt = async () => {
    copied.value = await copy(url);
    if (!copied.value) field.current?.select();
    say(t(copied.value ? "link.copied" : "link.copy_yourself"));
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="handed">
        <Qr text={url} />
        <div class="field">
          <label for={id}>{t("link.label")}</label>
          <input
            id={id}
            ref={field}
            class="mono"
            readOnly
            value={url}
            onFocus={(event) => event.currentTarget.select()}
          />
          <p class="muted">{t("link.whoever")}</p>
        </div>
        {password !== null && (
          <p class="notice">
            {t("link.password")} <code>{password}</code>
          </p>
        )}
        <div class="actions">
          <button type="button" class="quiet" onClick={onClose}>
            {t("link.done")}
          </button>
          <button type="button" autofocus onClick={() => void copyIt()}>
            {copied.value === null ? t("link.copy") : t(copied.value ? "link.copied" : "link.copy_yourself")}
          </button>
        </div>
      </div>
    </Dialog>
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
