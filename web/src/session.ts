/**
 * Who is at the page: a bearer token for as long as the tab lives, or the capability of a link.
 *
 * The token is in the tab's own storage and in no URL. A new tab asks the open ones of this origin for it, and who signs
 * out in one has signed out in all of them.
 */

import { read, write } from "./storage";

const KEY = "sluice-token";

type Message = { kind: "wanted" } | { kind: "given"; token: string } | { kind: "ended" };

const tabs = new BroadcastChannel("sluice-session");

/** The capability of `#drop=...` or `#share=...`. It stays in the fragment, which browsers send to nobody. */
export function capability(name: "drop" | "share"): string | null {
  return new URLSearchParams(location.hash.slice(1)).get(name);
}

/** Whether the issuer has sent somebody back here, who signed in or did not (RFC 6749, section 4.1.2). */
export function sentBack(): boolean {
  const query = new URLSearchParams(location.search);
  return query.has("state") && (query.has("code") || query.has("error"));
}

/** The id of the share or the drop that a capability (a JWT, RFC 7519) is for, or null where it is none. The server checks it. */
export function recordOf(capability: string): string | null {
  const { drop, record = drop } = claimsOf(capability);
  return typeof record === "string" && /^[0-9a-z]{26}$/.test(record) ? record : null;
}

function claimsOf(capability: string): Record<string, unknown> {
  try {
    const claims = atob((capability.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(claims) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** In whose name a link works: two links of one owner say the same. */
export function ownerOf(link: string): string | null {
  const { sub } = claimsOf(new URL(link).searchParams.get("capability") ?? "");
  return typeof sub === "string" ? sub : null;
}

let inMemory: string | null = null; // where the browser keeps nothing for this page

export function token(): string | null {
  return read("sessionStorage", KEY) ?? inMemory;
}

/** Other tabs that wait for a token get it as well. */
export function remember(given: string): void {
  inMemory = given;
  write("sessionStorage", KEY, given);
  tell({ kind: "given", token: given });
}

export function forget(): void {
  inMemory = null;
  write("sessionStorage", KEY, null);
}

/** Forget it in every tab. */
export function end(): void {
  forget();
  tell({ kind: "ended" });
}

/** Ask the other tabs for a token. Whichever they have comes to `onToken`, until what is returned is called. */
export function borrow(onToken: (token: string) => void): () => void {
  tell({ kind: "wanted" });
  return hear((message) => {
    if (message.kind === "given") onToken(message.token);
  });
}

/** Give other tabs the token of this one, and say when one of them has ended the session. */
export function lend(onEnd: () => void): () => void {
  return hear((message) => {
    const own = token();
    if (message.kind === "wanted" && own !== null) tell({ kind: "given", token: own });
    if (message.kind === "ended") onEnd();
  });
}

function tell(message: Message): void {
  tabs.postMessage(message);
}

function hear(listener: (message: Message) => void): () => void {
  const told = ({ data }: MessageEvent<Message>) => listener(data);
  tabs.addEventListener("message", told);
  return () => tabs.removeEventListener("message", told);
}
