/** What the sender or the owner notes about a file: shown, and edited as rows of a name and a text. */

import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import type { Actions } from "../actions";
import type { StoredFile } from "../api";
import { t } from "../i18n";
import { bytesOf, edited, type Fault, faultsOf, MOST_BYTES, MOST_NOTES, type Note, notesOf } from "../notes";
import { useAttempt } from "./attempt";
import { Icon } from "./icon";
import { say } from "./status";

interface Props {
  file: StoredFile;
  actions: Actions;
}

export function Notes({ file, actions }: Props) {
  const editing = useSignal(false);
  const edit = useRef<HTMLButtonElement>(null);
  const heading = useId();
  const known = Object.entries(file.metadata ?? {});
  const fixed = file.status === "failed" || file.status === "aborted";
  if (known.length === 0 && fixed) return null;
  const close = () => {
    editing.value = false;
    requestAnimationFrame(() => edit.current?.focus()); // the form, and with it the focus, is gone
  };
  return (
    <section aria-labelledby={heading}>
      <h3 id={heading}>{t("detail.metadata")}</h3>
      {editing.value ? (
        <Form file={file} actions={actions} heading={heading} onDone={close} />
      ) : (
        <>
          {known.length > 0 && (
            <dl class="facts-list">
              {known.map(([name, text]) => (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>
                    <span class="lines">{text}</span>
                  </dd>
                </div>
              ))}
            </dl>
          )}
          {!fixed && (
            <div class="actions">
              <button type="button" class="quiet" ref={edit} onClick={() => (editing.value = true)}>
                {t(known.length > 0 ? "notes.edit" : "notes.begin")}
              </button>
            </div>
          )}
        </>
      )}
    </section>
  );
}

function Form({ file, actions, heading, onDone }: Props & { heading: string; onDone: () => void }) {
  const form = useRef<HTMLFormElement>(null);
  const id = useId();
  const before = useRef(file.metadata);
  const next = useRef(MOST_NOTES); // a key that no note has
  const notes = useSignal<readonly Note[]>(useRef(begin(file.metadata)).current);
  const faults = useSignal<ReadonlyMap<number, Fault>>(new Map());
  const { busy, problem, attempt } = useAttempt();
  const left = MOST_BYTES - bytesOf(notes.value);
  const focus = (selector: string) =>
    requestAnimationFrame(() => form.current?.querySelector<HTMLElement>(selector)?.focus());
  useEffect(() => void focus("input"), []);

  const put = (key: number, change: Partial<Note>) => {
    notes.value = notes.value.map((note) => (note.key === key ? { ...note, ...change } : note));
    // A fault that is mended goes at once; a new one is told when it would be saved.
    faults.value = new Map([...faultsOf(notes.value)].filter(([one]) => faults.value.has(one)));
  };
  const add = () => {
    const key = next.current++;
    notes.value = [...notes.value, { key, name: "", text: "" }];
    focus(`[data-note="${key}"] input`);
  };
  const remove = (key: number) => {
    const index = notes.value.findIndex((note) => note.key === key);
    notes.value = notes.value.filter((note) => note.key !== key);
    faults.value = new Map([...faultsOf(notes.value)].filter(([one]) => faults.value.has(one)));
    const neighbour = notes.value[Math.min(index, notes.value.length - 1)];
    focus(neighbour ? `[data-note="${neighbour.key}"] input` : ".add");
    say(t("notes.removed"));
  };
  const save = async () => {
    faults.value = faultsOf(notes.value);
    const [wrong] = faults.value;
    if (wrong) {
      focus(`[data-note="${wrong[0]}"] [aria-invalid=true]`);
      return;
    }
    const now = await actions.api.file(file.id); // metadata is replaced as a whole
    const metadata = edited(notes.value, before.current, now.metadata);
    actions.files.put(await actions.api.change(file.id, { metadata }));
    say(t("place.saved"));
    onDone();
  };
  return (
    <form
      ref={form}
      class="notes"
      aria-labelledby={heading}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy.value) void attempt(save);
      }}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        onDone();
      }}
    >
      <p class="muted" id={`${id}-rules`}>
        {t("notes.rules", { count: MOST_NOTES })} {t("notes.seen")}
      </p>
      {notes.value.map((note, index) => (
        <Row
          key={note.key}
          note={note}
          number={index + 1}
          fault={faults.value.get(note.key)}
          onChange={(change) => put(note.key, change)}
          onRemove={() => remove(note.key)}
        />
      ))}
      <div class="actions">
        <button type="button" class="quiet add" disabled={notes.value.length >= MOST_NOTES} onClick={add}>
          {t("notes.add")}
        </button>
      </div>
      <p class={left < 0 ? "problem" : "muted"}>
        {left < 0 ? t("notes.over", { count: -left }) : t("notes.left", { count: left })}
        {notes.value.length >= MOST_NOTES && ` ${t("notes.most", { count: MOST_NOTES })}`}
      </p>
      <p class="problem" role="alert">
        {problem}
      </p>
      <div class="actions">
        <button disabled={busy} aria-describedby={`${id}-rules`}>
          {t("place.save")}
        </button>
        <button type="button" class="quiet" onClick={onDone}>
          {t("place.leave")}
        </button>
      </div>
    </form>
  );
}

function begin(metadata: StoredFile["metadata"]): Note[] {
  const notes = notesOf(metadata);
  return notes.length > 0 ? notes : [{ key: 0, name: "", text: "" }];
}

interface RowProps {
  note: Note;
  number: number;
  fault: Fault | undefined;
  onChange: (change: Partial<Note>) => void;
  onRemove: () => void;
}

function Row({ note, number, fault, onChange, onRemove }: RowProps) {
  const id = useId();
  const atText = fault === "too long";
  const described = fault === undefined ? undefined : `${id}-fault`;
  return (
    <fieldset data-note={note.key}>
      <legend class="unseen">{t("notes.one", { number })}</legend>
      <label for={`${id}-name`}>{t("notes.name")}</label>
      <input
        id={`${id}-name`}
        value={note.name}
        autocomplete="off"
        aria-invalid={fault !== undefined && !atText}
        aria-describedby={atText ? undefined : described}
        onInput={(event) => onChange({ name: event.currentTarget.value })}
      />
      <label for={`${id}-text`}>{t("notes.text")}</label>
      <textarea
        id={`${id}-text`}
        value={note.text}
        rows={1}
        aria-invalid={atText}
        aria-describedby={atText ? described : undefined}
        onInput={(event) => onChange({ text: event.currentTarget.value })}
      />
      <button
        type="button"
        class="plain icon"
        aria-label={t("notes.remove", { name: note.name || String(number) })}
        title={t("notes.remove", { name: note.name || String(number) })}
        onClick={onRemove}
      >
        <Icon name="cross" size={18} />
      </button>
      {fault !== undefined && (
        <p class="problem" id={`${id}-fault`}>
          {words(fault)}
        </p>
      )}
    </fieldset>
  );
}

function words(fault: Fault): string {
  switch (fault) {
    case "no name":
      return t("notes.no_name");
    case "twice":
      return t("notes.twice");
    case "too long":
      return t("notes.too_long");
  }
}
