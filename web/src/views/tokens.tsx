/** The owner's access tokens, with which machines and the command do what the owner can do. */

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { type Api, Problem } from "../api";
import type { AccessToken, CreatedToken, TokenList } from "../contract";
import { explain } from "../explain";
import { moment } from "../format";
import { t } from "../i18n";
import "../style/links.css";
import { confirmed } from "./dialog";
import { Rest, usePages } from "./paged";
import { say } from "./status";
import { MadeToken, TokenForm } from "./token_form";

export function Tokens({ api }: { api: Api }) {
  const refused = useSignal(false); // whoever signed in with such a token may not even list them
  const list = usePages(async (cursor): Promise<TokenList> => {
    try {
      const page = await api.tokens(cursor);
      refused.value = false;
      return page;
    } catch (error) {
      if (!(error instanceof Problem && error.code === "sign_in_needed")) throw error;
      refused.value = true;
      return { items: [], next: null };
    }
  });
  const making = useSignal(false);
  const made = useSignal<CreatedToken | null>(null); // nowhere else, and gone with this view
  const heading = useRef<HTMLHeadingElement>(null);
  const end = async ({ id, name }: AccessToken) => {
    if (!(await confirmed(t("tokens.end_title", { name }), t("tokens.end_detail"), t("tokens.end")))) return;
    try {
      await api.endToken(id);
      list.items.value = (list.items.value ?? []).filter((token) => token.id !== id);
      say(t("tokens.ended", { name }));
      heading.current?.focus(); // its row, and with it the focus, is gone
    } catch (error) {
      list.problem.value = explain(error);
    }
  };
  const items = list.items.value;
  return (
    <section class="links tokens" aria-labelledby="tokens">
      <header>
        <h1 id="tokens" ref={heading} tabIndex={-1}>
          {t("tokens.title")}
        </h1>
        {items !== null && !refused.value && (
          <button type="button" onClick={() => (making.value = true)}>
            {t("tokens.new")}
          </button>
        )}
      </header>
      {items?.length === 0 && <p class="none-yet muted">{t(refused.value ? "tokens.refused" : "tokens.none")}</p>}
      <ul>
        {items?.map((token) => (
          <li key={token.id} class="card" data-id={token.id}>
            <h2>{token.name}</h2>
            <p class="about muted">
              <span>{t("tokens.created", { moment: moment(token.created_at) })}</span>
              <span>{t("link.until", { moment: moment(token.expires_at) })}</span>
            </p>
            <div class="actions">
              <button
                type="button"
                class="plain ending"
                aria-label={t("link.of", { what: t("tokens.end"), name: token.name })}
                onClick={() => void end(token)}
              >
                {t("tokens.end")}
              </button>
            </div>
          </li>
        ))}
      </ul>
      <Rest list={list} />
      {making.value && (
        <TokenForm
          api={api}
          onClose={() => (making.value = false)}
          onMade={(token) => {
            making.value = false;
            made.value = token;
            void list.anew();
          }}
        />
      )}
      {made.value && <MadeToken token={made.value} onClose={() => (made.value = null)} />}
    </section>
  );
}
