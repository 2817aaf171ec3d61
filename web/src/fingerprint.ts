/** What an upload is recognized by when the same person chooses the same file again. */

import type { StoredFile } from "./api";
import { hex } from "./hex";
import { read, write } from "./storage";

const PREFIX = "page:";
const KEY = "sluice-profile";
const SECRET_BYTES = 16;

/** Browsers let a page compute digests over HTTPS and on the machine itself, and nowhere else. */
export const subtle = crypto.subtle as SubtleCrypto | undefined;

let inMemory: string | undefined; // where the browser keeps nothing for this page

/**
 * The same for the same file in the same browser profile, on any day; for no other file. Whoever knows it goes on with
 * the upload, so nobody must be able to compute it from what the file looks like: hence the profile's secret.
 */
export async function fingerprint(file: File, path: string | null | undefined): Promise<string | null> {
  if (!subtle) return null;
  const place = path ?? file.webkitRelativePath;
  const identity = [secret(), place || file.name, file.name, file.size, file.lastModified];
  const digest = await subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(identity)));
  return PREFIX + hex(new Uint8Array(digest));
}

/** By a page of the owner: what a guest has begun only he can go on with. */
export function begunByAPage(file: StoredFile): boolean {
  return file.drop === null && (file.fingerprint?.startsWith(PREFIX) ?? false);
}

function secret(): string {
  const kept = read("localStorage", KEY);
  if (kept !== null) return kept;
  // Where the browser keeps nothing for this page, uploads are recognized until the tab is closed.
  inMemory ??= hex(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
  write("localStorage", KEY, inMemory);
  return inMemory;
}
