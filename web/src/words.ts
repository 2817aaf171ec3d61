/** What people read: sizes, states, and what to do when something failed. */

import { prettierBytes } from "@transloadit/prettier-bytes";
import { Problem } from "./api";
import type { StoredFile } from "./contract";
import { Refused } from "./courier";
import { subtle } from "./fingerprint";
import { Unreachable } from "./patience";
import { Altered } from "./transfer";

const NAMES = 3;
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** As the Dashboard shows it, and exactly. */
export function bytes(count: number | null): string {
  if (count === null) return "size not known yet";
  const exactly = `${count.toLocaleString()} bytes`;
  return count < 1024 ? exactly : `${prettierBytes(count)} (${exactly})`;
}

export function when(rfc3339: string): string {
  return moment.format(new Date(rfc3339));
}

export function until(rfc3339: string): string {
  return day.format(new Date(rfc3339));
}

/** A few of the names, and how many others there are. */
export function listed(names: string[]): string {
  const others = names.length - NAMES;
  return names.slice(0, NAMES).join(", ") + (others > 0 ? ` and ${others} more` : "");
}

/** What a problem of the API means to somebody at this page. Others are told in the server's own words. */
const ADVICE: Record<string, string> = {
  unauthorized: "This access token is not, or no longer, one of this deployment's. Sign in with another.",
  expired_capability: "This link's time is over. Ask whoever gave it to you for a new one.",
  invalid_capability: "This link is not whole. Open it again just as you were given it.",
  drop_not_found: "This link has ended. Ask whoever gave it to you for a new one.",
  share_not_found: "This link has ended. Ask whoever gave it to you for a new one.",
  share_used_up:
    "The files of this link were downloaded as often as it allows. Ask whoever gave it to you for a new one.",
  wrong_password: "This is not the password of this link. Ask whoever gave it to you.",
  too_many_tries: "Too many wrong passwords were tried. Try again in a quarter of an hour.",
  archive_not_ready: "The ZIP could not be put together. Download the files one by one.",
  object_missing: "The server cannot read this file any more. Tell whoever gave you the link.",
  drop_full: "As many files as this link takes have been sent. Ask whoever gave it to you for a new one.",
  file_not_found: "This file is not there any more: it was deleted.",
};

/** Why something failed and what to do, in whole sentences. `byLink`: to somebody who has a link and no token. */
export function explain(error: unknown, byLink = false): string {
  if (error instanceof Problem) {
    if (error.status >= 500 && error.code !== "busy")
      return `The server failed (${error.status}). Try again; the failure was logged.`;
    const code = byLink && error.status === 401 ? "invalid_capability" : error.code;
    return ADVICE[code] ?? error.detail;
  }
  if (error instanceof Unreachable) {
    return navigator.onLine
      ? `${error.message}. Check your connection, then try again; what has arrived is kept.`
      : "You are offline. Try again when you are back; what has arrived is kept.";
  }
  if (error instanceof Altered) {
    const what = `The connection alters what is sent: ${error.times} times over, S3 received other bytes than this page sent.`;
    return `${what} Nothing of that was kept. Try again over another network; a proxy or a security program may be the cause.`;
  }
  if (error instanceof Refused) {
    const answer = [error.status, error.code].join(" ").trim();
    return `S3 refused the bytes (${answer}). Try again; if it stays so, the file may have changed since you chose it.`;
  }
  if (error instanceof DOMException && error.name === "NotReadableError") {
    return "The file cannot be read (any more). Choose it again.";
  }
  return error instanceof Error ? error.message : String(error);
}

/** What became of a file, in a word. */
export function state(file: StoredFile): string {
  return file.status === "ready" ? (file.verified ? "verified" : "hashed") : file.status;
}

/** Said where the page cannot compute the digests of what it sends. */
export const NO_DIGESTS = `This page was not opened over HTTPS, so the browser lets it compute no digests. What you send is hashed \
when it has arrived, but it cannot be verified; and when you close or reload the page, an upload begins anew.`;

/** Why a file that is sent from here will be hashed and not verified. */
export function unhashed(size: number | null): string {
  const why = subtle ? `at ${bytes(size)} its parts are too large for that` : "the browser lets it compute none";
  return `This page cannot compute its digests (${why}): it will be hashed, not verified, and a reload begins anew.`;
}

/** Why a file failed (docs/api.md, Reasons), and what to do. */
const REASONS: Record<string, string> = {
  size_mismatch: "Another number of bytes arrived than was promised. Send the file again.",
  digest_mismatch: "The bytes that arrived are not those that were declared. Send the file again.",
  checksum_mismatch: "The bytes that were read are not those that S3 stored. Send the file again.",
  object_missing: "The object was deleted from S3 before it was hashed. Send the file again.",
  object_changed: "Another object took its place in S3. Send the file again.",
  object_forbidden: "S3 does not let the hasher read it. Whoever runs this deployment has to look at its permissions.",
  out_of_time: "It is too large to be hashed in one go on this platform.",
  unreadable: "It could not be read from S3, ten times over. Send it again, or ask whoever runs this deployment.",
  upload_missing: "S3 lost the upload before it was complete. Send the file again.",
  expired: "Nobody finished it in time, so its parts were removed. Send the file again.",
};

export function reason(file: StoredFile): string {
  const said = REASONS[file.reason ?? ""] ?? `It failed (${file.reason ?? "no reason given"}). Send the file again.`;
  if (!file.mismatch) return said;
  const { name, expected, found } = file.mismatch;
  return `${said} Its ${name} should be ${expected} and is ${found}.`;
}

export function percent(part: number, whole: number | null): number {
  if (whole === null) return 0;
  return whole === 0 ? 100 : Math.floor((100 * part) / whole);
}
