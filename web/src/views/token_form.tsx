/** The form that makes an access token, and the token that it has made. */

import type { Api } from "../api";
import type { CreatedToken } from "../contract";
import { t } from "../i18n";
import { useAttempt } from "./attempt";
import { Copy } from "./copy";
import { Dialog } from "./dialog";
import { End, expiresIn, Field, Submit, text } from "./fields";
import { TextDialog } from "./text_dialog";

const MOST_NAME = 100; // docs/api.md
const ASKS = "--with-token"; // also where people sign in with an account

interface Props {
  api: Api;
  onClose: () => void;
  onMade: (token: CreatedToken) => void;
}

export function TokenForm({ api, onClose, onMade }: Props) {
  const { busy, problem, attempt } = useAttempt();
  const make = async (form: FormData) =>
    onMade(await api.createToken({ name: text(form, "name"), expires_in: expiresIn(form) }));
  return (
    <Dialog title={t("tokens.new")} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          void attempt(() => make(form));
        }}
      >
        <p class="muted">{t("tokens.what")}</p>
        <Field label={t("tokens.name")} help={t("tokens.name_help")}>
          {(id, help) => (
            <input
              id={id}
              name="name"
              required
              pattern=".*\S.*"
              maxLength={MOST_NAME}
              autocomplete="off"
              aria-describedby={help}
              autofocus
            />
          )}
        </Field>
        <End />
        <Submit {...{ problem, busy, onClose }} make={t("tokens.make")} />
      </form>
    </Dialog>
  );
}

/** The one look at a token, with how it is used. */
export function MadeToken({ token, onClose }: { token: CreatedToken; onClose: () => void }) {
  const address = new URL(".", document.baseURI).href.replace(/\/$/, "");
  const command = `sluice login ${address}`;
  return (
    <TextDialog
      title={token.name}
      label={t("door.token")}
      text={token.token}
      help={t("tokens.once")}
      copy={t("tokens.copy")}
      byHand={t("tokens.copy_yourself")}
      once
      onClose={onClose}
    >
      <div class="use">
        <p>{t("tokens.use")}</p>
        <p class="command">
          <code>
            {command} <span class="unbroken">{ASKS}</span>
          </code>
          <Copy text={`${command} ${ASKS}`} what={t("tokens.command")} />
        </p>
        <p class="muted">{t("tokens.use_otherwise", { address })}</p>
      </div>
    </TextDialog>
  );
}
