/** The way in for owners: an access token. Behind it the files, whose code is loaded only then. */

import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Api } from "../api";
import { explain } from "../explain";
import { t } from "../i18n";
import { forget, remember } from "../session";
import { Languages } from "./languages";
import { Mark } from "./mark";

interface Inside {
  Owner: ComponentType<{ api: Api; onLeave: () => void }>;
  api: Api;
}

const inside = signal<Inside | null>(null);
const refusal = signal("");
const busy = signal(false);

async function enter(token: string): Promise<void> {
  const api = new Api(token);
  busy.value = true;
  refusal.value = "";
  try {
    await api.list(1);
    remember(token);
    const { Owner } = await import("./owner");
    inside.value = { Owner, api };
  } catch (error) {
    forget();
    refusal.value = explain(error);
  } finally {
    busy.value = false;
  }
}

function leave(): void {
  forget();
  location.reload(); // nothing of the session is left in memory
}

/** `known`: the token of this tab, from before a reload. */
export function Door({ known }: { known: string | null }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (known !== null) void enter(known);
  }, [known]);
  if (inside.value) {
    const { Owner, api } = inside.value;
    return <Owner api={api} onLeave={leave} />;
  }
  return (
    <>
      <header class="top">
        <Mark />
      </header>
      <main class="narrow">
        <form
          class="card"
          onSubmit={(event) => {
            event.preventDefault();
            void enter(field.current?.value.trim() ?? "");
          }}
        >
          <h1>{t("door.title")}</h1>
          <div class="field">
            <label for="token">{t("door.token")}</label>
            <input
              id="token"
              ref={field}
              type="password"
              required
              autocomplete="current-password"
              spellcheck={false}
              aria-describedby="token-help token-problem"
              aria-invalid={refusal.value !== ""}
            />
            <p id="token-help" class="muted">
              {t("door.help")}
            </p>
          </div>
          <p id="token-problem" role="alert" class="problem">
            {refusal}
          </p>
          <button disabled={busy}>{t("door.enter")}</button>
        </form>
      </main>
      <footer class="top">
        <Languages />
      </footer>
    </>
  );
}
