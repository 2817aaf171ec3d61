/** The way in for owners. Behind it the files, whose code is loaded only then; and back in, when the access has ended. */

import { signal, useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Api, MOST_LISTED, Problem } from "../api";
import type { FileList } from "../contract";
import { explain } from "../explain";
import { t } from "../i18n";
import { borrow, end, forget, ownerOf, remember } from "../session";
import { useAttempt } from "./attempt";
import { Dialog } from "./dialog";
import { Languages } from "./languages";
import { Mark } from "./mark";
import { Secret } from "./secret";

interface Inside {
  Owner: ComponentType<{ api: Api; first: FileList; onLeave: () => void; onExpired: () => void }>;
  api: Api;
  /** The list that the token was tried with. */
  first: FileList;
}

const inside = signal<Inside | null>(null);
/** While the token of who is inside does not work: what waits for another one. */
const expired = signal<{ renewed: Promise<void>; renew: () => void } | null>(null);

async function enter(token: string): Promise<void> {
  const api = new Api(token);
  const [first, { Owner }] = await Promise.all([api.list(MOST_LISTED), import("./owner")]);
  if (inside.peek()) return; // with the token of another tab
  remember(token);
  api.onUnauthorized = expire;
  inside.value = { Owner, api, first };
}

/** What is on the page stays, and what is asked waits, until somebody has signed in again. */
function expire(): Promise<void> {
  const known = expired.peek();
  if (known) return known.renewed;
  forget();
  let renew: () => void = () => undefined;
  const renewed = new Promise<void>((resolve) => (renew = resolve));
  expired.value = { renewed, renew };
  return renewed;
}

async function enterAgain(token: string): Promise<void> {
  const before = inside.peek();
  const list = await new Api(token).list(1);
  if (!before || !expired.peek()) return; // with the token of another tab
  remember(token);
  if (ownerOf(list.links.events) !== ownerOf(before.first.links.events)) {
    location.reload(); // somebody else: nothing of who was here before may be left
    return;
  }
  before.api.bearer = token;
  expired.value?.renew();
  expired.value = null;
}

function leave(): void {
  end();
  location.reload(); // nothing of the session is left in memory
}

/** `known`: the token of this tab, from before a reload. */
export function Door({ known }: { known: string | null }) {
  if (!inside.value) return <Outside known={known} />;
  const { Owner, api, first } = inside.value;
  return (
    <>
      <Owner api={api} first={first} onLeave={leave} onExpired={() => void expire()} />
      {expired.value && <Again />}
    </>
  );
}

function Outside({ known }: { known: string | null }) {
  const opening = useSignal(known !== null);
  const refusal = useSignal("");
  const open = async (token: string) => {
    opening.value = true;
    refusal.value = "";
    try {
      await enter(token);
    } catch (error) {
      refusal.value = explain(error);
      if (!isUnauthorized(error)) return; // the token may be right
      forget();
      opening.value = false;
    }
  };
  useEffect(() => {
    if (known !== null) void open(known);
    else return borrow((token) => void enter(token).catch(() => undefined)); // one that does not work either changes nothing
  }, [known]);
  return (
    <>
      <header class="top ends">
        <Mark />
        <Languages />
      </header>
      <main class="narrow">
        {opening.value && known !== null ? (
          <div class="card">
            <h1>{t("door.opening")}</h1>
            {refusal.value !== "" && (
              <>
                <p role="alert" class="problem">
                  {refusal}
                </p>
                <div class="actions">
                  <button type="button" onClick={() => void open(known)}>
                    {t("door.retry")}
                  </button>
                  <button type="button" class="quiet" onClick={leave}>
                    {t("app.sign_out")}
                  </button>
                </div>
              </>
            )}
          </div>
        ) : (
          <div class="card">
            <h1>{t("door.title")}</h1>
            <p class="muted">{t("door.welcome")}</p>
            <TokenForm refused={refusal.value} onToken={enter} />
          </div>
        )}
      </main>
    </>
  );
}

/** Above the page of somebody whose token was taken out, or has ended. */
function Again() {
  useEffect(() => borrow((token) => void enterAgain(token).catch(() => undefined)), []);
  return (
    <Dialog title={t("door.again")}>
      <p>{t("door.again_help")}</p>
      <TokenForm refused="" onToken={enterAgain} />
      <button type="button" class="plain" onClick={leave}>
        {t("app.sign_out")}
      </button>
    </Dialog>
  );
}

interface TokenFormProps {
  /** Why the token of before does not work. */
  refused: string;
  /** Rejects with why this one does not work. */
  onToken: (token: string) => Promise<void>;
}

/** One way to sign in. Another one, such as an organisation's own sign-in, would stand beside it. */
function TokenForm({ refused, onToken }: TokenFormProps) {
  const field = useRef<HTMLInputElement>(null);
  const { busy, problem, attempt } = useAttempt(explain, refused);
  useEffect(() => field.current?.focus(), []);
  const submit = async () => {
    if (busy.peek()) return;
    if (!(await attempt(() => onToken(field.current?.value.trim() ?? "")))) field.current?.select();
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <Secret
        id="token"
        field={field}
        label={t("door.token")}
        help={t("door.help")}
        autocomplete="current-password"
        problem={problem}
      />
      <button aria-busy={busy}>{t("door.enter")}</button>
    </form>
  );
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof Problem && error.code === "unauthorized";
}
