/** The page: who is there, and what they may do. */

import { Api, Problem } from "./api";
import { byId, el } from "./dom";
import { Files } from "./files";
import { subtle } from "./fingerprint";
import { Sender } from "./sender";
import * as session from "./session";
import { SharePage, shareOf } from "./share";
import { signIn } from "./signin";
import { explain } from "./words";
import "./style.css"; // behind Uppy's own, which it changes

const main = document.querySelector("main") ?? document.body;

/** Whether this bearer may list files, or only send them. Throws when it may neither. */
async function mayList(api: Api): Promise<boolean> {
  try {
    await api.list();
    return true;
  } catch (error) {
    if (error instanceof Problem && error.code === "owner_only") return false;
    throw error;
  }
}

function open(api: Api, owned: boolean): void {
  const what = owned ? "Files of any size, or whole folders." : "You were given a link to send files with.";
  const resumes = "Close the page whenever you like: choose the same file again, in this browser, to go on.";
  const sender = new Sender(subtle ? `${what} ${resumes}` : what);
  const files = new Files(api, owned, (file) => sender.resume(file));
  main.replaceChildren(sender.element, files.element);
  sender.start(api, files);
  if (owned) void files.load();
}

function askForToken(problem = ""): void {
  byId("leave").hidden = true;
  main.replaceChildren(signIn(problem, enter));
  byId("token").focus();
}

/** Begins a session; else why it does not begin. */
async function enter(token: string): Promise<string | null> {
  const api = new Api(token);
  try {
    await mayList(api);
  } catch (error) {
    return explain(error);
  }
  session.remember(token);
  byId("leave").hidden = false;
  open(api, true);
  document.getElementById("send")?.focus();
  return null;
}

async function openShare(capability: string): Promise<void> {
  const id = shareOf(capability);
  if (id === null) {
    main.replaceChildren(el("p", { role: "alert", class: "problem" }, explain(new Problem(401, "", ""), true)));
    return;
  }
  const page = new SharePage(new Api(capability), id);
  main.replaceChildren(page.element);
  await page.start();
}

async function start(): Promise<void> {
  const shared = session.share();
  if (shared !== null) {
    await openShare(shared);
    return;
  }
  const capability = session.drop();
  const token = session.token();
  if (capability !== null) {
    const api = new Api(capability);
    try {
      open(api, await mayList(api));
    } catch (error) {
      main.replaceChildren(el("p", { role: "alert", class: "problem" }, explain(error, true)));
    }
  } else if (token !== null) {
    const refused = await enter(token);
    if (refused !== null) {
      session.forget();
      askForToken(refused);
    }
  } else {
    askForToken();
  }
}

byId("leave").addEventListener("click", () => {
  session.forget();
  location.reload(); // nothing of the session is left in memory
});
addEventListener("hashchange", () => {
  location.reload();
});
// A file that misses the Dashboard would be opened, by some browsers in the place of this page and what it sends.
for (const name of ["dragover", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
  });
}
void start();
