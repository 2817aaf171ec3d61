/** Fields that the forms for drops, shares and tokens have in common. */

import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { type Choice, CHOICES, dateAfter, MOST_DAYS, secondsUntil } from "../ends";
import { t } from "../i18n";
import { read, write } from "../storage";

const KEY = "sluice-owner-name"; // what was typed the last time
const MOST_TITLE = 200; // docs/api.md
const MOST_MESSAGE = 2_000;
const MOST_NAME = 100;

interface Field {
  label: string;
  help?: string;
  children: (id: string, help: string | undefined) => ComponentChildren;
}

export function Field({ label, help, children }: Field) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id, help === undefined ? undefined : `${id}-help`)}
      {help !== undefined && (
        <p id={`${id}-help`} class="muted">
          {help}
        </p>
      )}
    </div>
  );
}

/** What whoever gets the link is told. */
export function Texts({ titleHelp }: { titleHelp: string }) {
  return (
    <>
      <Field label={t("form.title")} help={titleHelp}>
        {(id, help) => <input id={id} name="title" maxLength={MOST_TITLE} aria-describedby={help} autofocus />}
      </Field>
      <Field label={t("form.message")}>
        {(id) => <textarea id={id} name="message" rows={3} maxLength={MOST_MESSAGE} />}
      </Field>
      <Field label={t("form.owner")} help={t("form.owner_help")}>
        {(id, help) => (
          <input
            id={id}
            name="owner"
            maxLength={MOST_NAME}
            autocomplete="name"
            aria-describedby={help}
            defaultValue={read("localStorage", KEY) ?? ""}
          />
        )}
      </Field>
    </>
  );
}

export function End() {
  const choice = useSignal<Choice>("week");
  const now = new Date();
  return (
    <>
      <Field label={t("form.ends")}>
        {(id) => (
          <select
            id={id}
            name="ends"
            value={choice.value}
            onChange={(event) => (choice.value = event.currentTarget.value as Choice)}
          >
            {CHOICES.map((name) => (
              <option key={name} value={name}>
                {t(`form.ends_${name}`)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {choice.value === "date" && (
        <Field label={t("form.date")}>
          {(id) => (
            <input
              id={id}
              name="date"
              type="date"
              required
              min={dateAfter(0, now)}
              max={dateAfter(MOST_DAYS - 1, now)}
              defaultValue={dateAfter(14, now)}
            />
          )}
        </Field>
      )}
    </>
  );
}

/** Why it could not be made, and the buttons. */
export function Submit({ problem, busy, make, onClose }: SubmitProps) {
  return (
    <>
      <p role="alert" class="problem">
        {problem}
      </p>
      <div class="actions">
        <button type="button" class="quiet" onClick={onClose}>
          {t("form.cancel")}
        </button>
        <button disabled={busy}>{make}</button>
      </div>
    </>
  );
}

interface SubmitProps {
  problem: Signal<string>;
  busy: Signal<boolean>;
  /** What the button says that makes it. */
  make: string;
  onClose: () => void;
}

/** What these fields say, as the API takes it. */
export function values(form: FormData) {
  const owner = text(form, "owner");
  write("localStorage", KEY, owner);
  return {
    title: text(form, "title") || null,
    message: text(form, "message") || null,
    owner_name: owner || null,
    expires_in: expiresIn(form),
  };
}

/** In seconds, as the fields of `End` say it. */
export function expiresIn(form: FormData): number {
  return secondsUntil(text(form, "ends") as Choice, text(form, "date"), new Date());
}

export function text(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value.trim() : "";
}

/** Null where nothing was typed. */
export function integer(form: FormData, name: string): number | null {
  const value = text(form, name);
  return value === "" ? null : Math.round(Number(value));
}
