/** The page: who is there, and which of its faces they see. Each face is a bundle of its own. */

import { render } from "preact";
import { preferred, speak, t } from "./i18n";
import { capability, sentBack, token } from "./session";
import "./style/base.css";

const root = document.getElementById("page");
if (!root) throw new Error("there is no #page");

async function start(root: HTMLElement): Promise<void> {
  await speak(preferred());
  const share = capability("share");
  const drop = capability("drop");
  if (share !== null) {
    const { Recipient } = await import("./views/recipient");
    render(<Recipient capability={share} />, root);
  } else if (drop !== null) {
    const { Guest } = await import("./views/guest");
    render(<Guest capability={drop} />, root);
  } else {
    const { Door } = await import("./views/door");
    render(<Door known={token()} back={sentBack()} />, root);
  }
}

// Another link in the same tab is another person's page, of which nothing of this one is left.
addEventListener("hashchange", () => {
  if (capability("share") !== null || capability("drop") !== null) location.reload();
});
// A file that is dropped where nothing takes it would be opened, by some browsers in the place of this page and what it sends.
for (const name of ["dragover", "drop"] as const) {
  addEventListener(name, (event) => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}
start(root).catch((error: unknown) => {
  render(
    <main class="narrow">
      <div class="card">
        <h1>Sluice</h1>
        <p class="problem" role="alert">
          {t("app.not_loaded")}
        </p>
        <div class="actions">
          <button type="button" onClick={() => location.reload()}>
            {t("app.reload")}
          </button>
        </div>
      </div>
    </main>,
    root,
  );
  throw error;
});
