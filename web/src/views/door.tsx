/** The way in for owners. Behind it the files, whose code is loaded only then; and back in, when the access has ended. */

import { signal, useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Api, isSignedOut, MOST_LISTED, signInOffered } from "../api";
import type { FileList } from "../contract";
import { explain } from "../explain";
import { t } from "../i18n";
import { borrow, end, forget, ownerOf, remember } from "../session";
import type { Session } from "../sign_in";
import { useAttempt } from "./attempt";
import { Dialog } from "./dialog";
import { Languages } from "./languages";
import { Mark } from "./mark";
import { Secret } from "./secret";

interface Inside {
  Owner: ComponentType<{
    api: Api;
    first: FileList;
    person: string | null;
    onLeave: () => void;
    onExpired: () => void;
  }>;
  api: Api;
  /** The list that the token was tried with. */
  first: FileList;
}

/** With the organisation's account; null where access tokens alone let in, or nobody has asked yet. */
const account = signal<Session | null>(null);
/** Their name, where the issuer tells it. */
const person = signal<string | null>(null);
const inside = signal<Inside | null>(null);
/** While the token of who is inside does not work: what waits for another one, and whether the person is asked for it. */
const expired = signal<{ renewed: Promise<void>; renew: () => void; asked: boolean } | null>(null);

let asking: Promise<Session | null> | null = null;

/** How people sign in here. The server is asked once, and again only where it did not answer. */
function meetAccount(): Promise<Session | null> {
  asking ??= findAccount().catch((error: unknown) => {
    asking = null;
    throw error;
  });
  return asking;
}

async function findAccount(): Promise<Session | null> {
  const offer = await signInOffered();
  if (offer) account.value = new (await import("../sign_in")).Session(offer);
  return account.peek();
}

async function enter(token: string): Promise<void> {
  const api = new Api(token);
  const [first, { Owner }] = await Promise.all([api.list(MOST_LISTED), import("./owner")]);
  if (inside.peek()) return; // with the token of another tab
  remember(token);
  api.onUnauthorized = expire;
  void meetAccount().then(
    (session) => {
      session?.keep((renewed) => {
        api.bearer = renewed;
        remember(renewed);
      });
      void session?.name().then((name) => (person.value = name));
    },
    () => undefined, // the person is asked when the token has ended
  );
  inside.value = { Owner, api, first };
}

/** What is on the page stays, and what is asked waits, until there is another token. */
function expire(): Promise<void> {
  const known = expired.peek();
  if (known) return known.renewed;
  const renewed = wait(false);
  void renewQuietly();
  return renewed;
}

/** The person has signed out in another tab: this one does not sign in again by itself. */
function signedOutElsewhere(): void {
  void meetAccount().then(
    (session) => session?.forget(),
    () => undefined, // then this tab has no session
  );
  if (!expired.peek()) void wait(true);
}

function wait(asked: boolean): Promise<void> {
  forget();
  let renew: () => void = () => undefined;
  const renewed = new Promise<void>((resolve) => (renew = resolve));
  expired.value = { renewed, renew, asked };
  return renewed;
}

/** By the refresh token of this tab; null where there is none that counts. */
async function renewal(): Promise<string | null> {
  const session = await meetAccount().catch(() => null);
  return session && (await session.renew());
}

async function renewQuietly(): Promise<void> {
  const token = await renewal();
  if (token !== null) await enterAgain(token).catch(() => undefined); // then the person is asked
  const waiting = expired.peek();
  if (waiting) expired.value = { ...waiting, asked: true };
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
  const gone = async () => (await meetAccount())?.leave();
  void gone().finally(() => location.reload()); // nothing of the session is left in memory
}

interface DoorProps {
  /** The token of this tab, from before a reload. */
  known: string | null;
  /** Whether the issuer has sent the person back here. */
  back: boolean;
}

export function Door({ known, back }: DoorProps) {
  if (!inside.value) return <Outside known={known} back={back} />;
  const { Owner, api, first } = inside.value;
  return (
    <>
      <Owner api={api} first={first} person={person.value} onLeave={leave} onExpired={signedOutElsewhere} />
      {expired.value?.asked && <Again />}
    </>
  );
}

function Outside({ known, back }: DoorProps) {
  const opening = useSignal(back || known !== null);
  const refusal = useSignal("");
  const asked = useSignal(false); // how people sign in here
  const last = useRef(known);
  const open = async (token: string): Promise<void> => {
    last.current = token;
    opening.value = true;
    refusal.value = "";
    try {
      await enter(token);
    } catch (error) {
      if (isSignedOut(error)) {
        const renewed = await renewal();
        if (renewed !== null && renewed !== token) return open(renewed);
        forget();
        opening.value = false;
      }
      refusal.value = explain(error); // the token may be right
    }
  };
  const arrive = async () => {
    try {
      const token = await (await meetAccount())?.comeBack();
      if (token !== undefined) {
        await open(token);
        return;
      }
    } catch (error) {
      refusal.value = t("door.not_signed_in", { why: error instanceof Error ? error.message : String(error) });
    }
    opening.value = false;
  };
  useEffect(() => {
    void meetAccount()
      .catch(() => null) // an access token lets in all the same
      .then(() => (asked.value = true));
    if (back) void arrive();
    else if (known !== null) void open(known);
    else return borrow((token) => void enter(token).catch(() => undefined)); // one that does not work either changes nothing
  }, [known, back]);
  return (
    <>
      <header class="top ends">
        <Mark />
        <Languages />
      </header>
      <main class="narrow">
        {opening.value ? (
          <div class="card">
            <h1>{t("door.opening")}</h1>
            {refusal.value !== "" && (
              <>
                <p role="alert" class="problem">
                  {refusal}
                </p>
                <div class="actions">
                  <button type="button" onClick={() => void open(last.current ?? "")}>
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
            {account.value ? (
              <AccountForm session={account.value} refused={refusal.value} />
            ) : (
              asked.value && <TokenForm refused={refusal.value} onToken={enter} focused />
            )}
          </div>
        )}
      </main>
    </>
  );
}

/** To the organisation's own sign-in. Access tokens let in as well. */
function AccountForm({ session, refused }: { session: Session; refused: string }) {
  const { busy, problem, attempt } = useAttempt(explain, refused);
  return (
    <>
      {problem.value !== "" && (
        <p role="alert" class="problem">
          {problem}
        </p>
      )}
      <div class="actions">
        <button type="button" aria-busy={busy} onClick={() => void attempt(() => session.leaveFor())}>
          {t("door.enter")}
        </button>
      </div>
      <p class="muted">{t("door.account_help")}</p>
      <details>
        <summary>{t("door.by_token")}</summary>
        <TokenForm refused="" onToken={enter} />
      </details>
    </>
  );
}

/** Above the page of somebody whose token was taken out, or has ended. */
function Again() {
  useEffect(() => borrow((token) => void enterAgain(token).catch(() => undefined)), []);
  return (
    <Dialog title={t("door.again")}>
      <p>{t("door.again_help")}</p>
      {account.value ? (
        <>
          <div class="actions">
            {/* In this tab the sign-in would take the place of the page, and end what it sends. */}
            <a class="button" href="./" target="_blank" rel="noopener">
              {t("door.in_another_tab")}
            </a>
          </div>
          <details>
            <summary>{t("door.by_token")}</summary>
            <TokenForm refused="" onToken={enterAgain} />
          </details>
        </>
      ) : (
        <TokenForm refused="" onToken={enterAgain} focused />
      )}
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
  /** Whether it is what people are here for. */
  focused?: boolean;
}

function TokenForm({ refused, onToken, focused = false }: TokenFormProps) {
  const field = useRef<HTMLInputElement>(null);
  const { busy, problem, attempt } = useAttempt(explain, refused);
  useEffect(() => {
    if (focused) field.current?.focus();
  }, []);
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
