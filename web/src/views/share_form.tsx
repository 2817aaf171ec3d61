/** The form that makes a share, and the link that it has made. */

import { useSignal } from "@preact/signals";
import type { Api } from "../api";
import type { CreatedShare } from "../contract";
import { t } from "../i18n";
import { suggest } from "../password";
import { useAttempt } from "./attempt";
import { Dialog } from "./dialog";
import { End, Field, integer, Submit, text, Texts, values } from "./fields";
import { LinkDialog } from "./link";

const MOST_DOWNLOADS = 1_000_000_000; // docs/api.md
const MOST_PASSWORD = 256;

/** What is shared: files by their ids, a folder with all below it, or what came through a drop. */
export type Subject = { files: string[] } | { folder: string } | { drop: string };

interface Props {
  api: Api;
  subject: Subject;
  onClose: () => void;
  onMade?: (share: CreatedShare) => void;
}

export function ShareForm({ api, subject, onClose, onMade }: Props) {
  const { busy, problem, attempt } = useAttempt();
  const password = useSignal("");
  const hidden = useSignal(true);
  const made = useSignal<CreatedShare | null>(null);
  const make = async (form: FormData) => {
    const wanted = {
      ...subject,
      ...values(form),
      max_downloads: integer(form, "downloads"),
      password: text(form, "password") || null,
    };
    made.value = await api.createShare(wanted);
    password.value = wanted.password ?? "";
    onMade?.(made.value);
  };
  if (made.value) {
    const { title, links } = made.value;
    const secret = password.value || null;
    return <LinkDialog title={title ?? t("shares.made")} url={links.page} password={secret} onClose={onClose} />;
  }
  return (
    <Dialog title={what(subject)} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          void attempt(() => make(form));
        }}
      >
        <p class="muted">{t("shares.fixed")}</p>
        <Texts titleHelp={t("shares.title_help")} />
        <End />
        <Field label={t("shares.downloads")} help={t("shares.downloads_help")}>
          {(id, help) => (
            <input
              id={id}
              name="downloads"
              type="number"
              min={1}
              max={MOST_DOWNLOADS}
              step={1}
              aria-describedby={help}
            />
          )}
        </Field>
        <Field label={t("shares.password")} help={t("shares.password_help")}>
          {(id, help) => (
            <span class="amount">
              <input
                id={id}
                name="password"
                {...(hidden.value ? { type: "password" as const } : { type: "text" as const })}
                class="mono"
                maxLength={MOST_PASSWORD}
                autocomplete="new-password"
                spellcheck={false}
                aria-describedby={help}
                value={password.value}
                onInput={(event) => (password.value = event.currentTarget.value)}
              />
              <button
                type="button"
                class="quiet"
                aria-pressed={!hidden.value}
                onClick={() => (hidden.value = !hidden.value)}
              >
                {t("shares.show")}
              </button>
              <button
                type="button"
                class="quiet"
                onClick={() => {
                  password.value = suggest();
                  hidden.value = false;
                }}
              >
                {t("shares.suggest")}
              </button>
            </span>
          )}
        </Field>
        <Submit {...{ problem, busy, onClose }} make={t("shares.make")} />
      </form>
    </Dialog>
  );
}

function what(subject: Subject): string {
  if ("files" in subject) return t("shares.of_files", { count: subject.files.length });
  if ("drop" in subject) return t("shares.of_drop");
  return subject.folder === "" ? t("shares.of_no_folder") : t("shares.of_folder", { folder: subject.folder });
}
