/** The form that makes a drop. */

import { useSignal } from "@preact/signals";
import type { Api } from "../api";
import type { CreatedDrop } from "../contract";
import { t } from "../i18n";
import { isRange } from "../rules";
import { useAttempt } from "./attempt";
import { Dialog } from "./dialog";
import { End, Field, integer, Submit, text, Texts, values } from "./fields";

const MOST_FILES = 1_000_000; // docs/api.md
const UNITS = { MB: 1_000_000, GB: 1_000_000_000 };
const TYPES = { any: null, images: ["image/*"], pdf: ["application/pdf"], both: ["image/*", "application/pdf"] };
const KINDS = [...(Object.keys(TYPES) as (keyof typeof TYPES)[]), "own"] as const;

interface Props {
  api: Api;
  onClose: () => void;
  onMade: (drop: CreatedDrop) => void;
}

export function DropForm({ api, onClose, onMade }: Props) {
  const kind = useSignal<(typeof KINDS)[number]>("any");
  const { busy, problem, attempt } = useAttempt();
  const make = async (form: FormData) => {
    const own = text(form, "types")
      .toLowerCase()
      .split(/[\s,;]+/)
      .filter((one) => one !== "");
    const wrong = own.find((one) => !isRange(one));
    if (kind.value === "own" && wrong !== undefined) {
      problem.value = t("drops.list_wrong", { type: wrong });
      return;
    }
    const size = integer(form, "size");
    onMade(
      await api.createDrop({
        ...values(form),
        max_files: integer(form, "files") ?? MOST_FILES,
        max_file_bytes: size === null ? null : size * UNITS[text(form, "unit") as keyof typeof UNITS],
        content_types: kind.value === "own" ? own : TYPES[kind.value],
      }),
    );
  };
  return (
    <Dialog title={t("drops.new")} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          void attempt(() => make(form));
        }}
      >
        <p class="muted">{t("drops.what")}</p>
        <Texts titleHelp={t("drops.title_help")} />
        <Field label={t("drops.types")}>
          {(id) => (
            <select
              id={id}
              value={kind.value}
              onChange={(event) => (kind.value = event.currentTarget.value as (typeof KINDS)[number])}
            >
              {KINDS.map((name) => (
                <option key={name} value={name}>
                  {t(`drops.types_${name}`)}
                </option>
              ))}
            </select>
          )}
        </Field>
        {kind.value === "own" && (
          <Field label={t("drops.list")} help={t("drops.list_help")}>
            {(id, help) => <input id={id} name="types" required spellcheck={false} aria-describedby={help} />}
          </Field>
        )}
        <div class="pair">
          <Field label={t("drops.files")} help={t("drops.files_help")}>
            {(id, help) => (
              <input id={id} name="files" type="number" min={1} max={MOST_FILES} step={1} aria-describedby={help} />
            )}
          </Field>
          <Field label={t("drops.size")} help={t("drops.size_help")}>
            {(id, help) => (
              <span class="amount">
                <input id={id} name="size" type="number" min={1} max={50_000} step={1} aria-describedby={help} />
                <select name="unit" aria-label={t("drops.unit")}>
                  {Object.keys(UNITS).map((name) => (
                    <option key={name}>{name}</option>
                  ))}
                </select>
              </span>
            )}
          </Field>
        </div>
        <End />
        <Submit {...{ problem, busy, onClose }} make={t("drops.make")} />
      </form>
    </Dialog>
  );
}
