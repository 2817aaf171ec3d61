/** The HTTP contract: every call that the page makes of the API. */

import type {
  Completion,
  LinkedFile,
  Archive,
  OpenedShare,
  Page,
  PartDigest,
  Parts,
  Promised,
  Upload,
} from "./contract";
import { patiently, Unreachable } from "./patience";

const ATTEMPTS = 3;
const UPLOAD_ATTEMPTS = 7; // half a minute: who waits for an upload has more patience than who pressed a button
const PAGE_FILES = 20;

/** An error that the API explains (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
  ) {
    super(detail);
  }
}

export class Api {
  /** `bearer` is an access token, a capability to upload, or that of a share. */
  constructor(private readonly bearer: string) {}

  list(cursor?: string): Promise<Page> {
    const query = new URLSearchParams({ limit: String(PAGE_FILES), ...(cursor === undefined ? {} : { cursor }) });
    return this.ask("GET", `files?${query}`);
  }

  file(id: string, signal?: AbortSignal): Promise<LinkedFile> {
    return this.ask("GET", `files/${id}`, { ...(signal ? { signal } : {}) });
  }

  remove(id: string): Promise<void> {
    return this.ask("DELETE", `files/${id}`);
  }

  /** A new upload, or the unfinished one of the same fingerprint. */
  begin(promised: Promised): Promise<Upload> {
    return this.ask("POST", "files", { body: promised, attempts: UPLOAD_ATTEMPTS });
  }

  /** What has arrived, and URLs: for these numbers, or else for the first parts that have not arrived. */
  parts(id: string, signal: AbortSignal, numbers?: string): Promise<Parts> {
    const query = numbers === undefined ? "" : `?numbers=${numbers}`;
    return this.ask("GET", `files/${id}/parts${query}`, { attempts: UPLOAD_ATTEMPTS, signal });
  }

  /** A URL that takes the bytes of this digest and no others. */
  lockedPart(id: string, part: PartDigest, signal: AbortSignal): Promise<Parts> {
    return this.ask("POST", `files/${id}/parts`, { body: { parts: [part] }, attempts: UPLOAD_ATTEMPTS, signal });
  }

  complete(id: string, completion: Completion, signal: AbortSignal): Promise<LinkedFile> {
    return this.ask("POST", `files/${id}/complete`, { body: completion, attempts: UPLOAD_ATTEMPTS, signal });
  }

  /** What is in a share; at most 1,000 files at a time. */
  openShare(id: string, body: { password?: string; cursor?: string }): Promise<OpenedShare> {
    return this.ask("POST", `shares/${id}/open`, { body });
  }

  /** How far the archive of a share is, which this begins where nobody has. */
  packShare(share: string, password?: string): Promise<Archive> {
    return this.ask("POST", "archives", { body: { share, ...(password === undefined ? {} : { password }) } });
  }

  /** Nothing where a link works, of which no byte is asked for; else the status alone. */
  async reachable(link: string): Promise<void> {
    const request = { method: "HEAD", cache: "no-store", redirect: "manual" } as const;
    await patiently(() => answer(link, request), passes, ATTEMPTS);
  }

  /** Nothing where a link to the content works; else what the stream host says instead. */
  async readable(link: string, size: number | null): Promise<void> {
    // One byte is enough, and an empty file has none. A redirect leads to S3, which need not know this page to be read.
    const headers: HeadersInit = size ? { Range: "bytes=0-0" } : {};
    const request = { headers, cache: "no-store", redirect: "manual" } as const;
    await patiently(() => answer(link, request), passes, ATTEMPTS);
  }

  private ask<T>(
    method: string,
    path: string,
    { body, attempts = ATTEMPTS, signal }: { body?: object; attempts?: number; signal?: AbortSignal } = {},
  ): Promise<T> {
    const request: RequestInit = {
      method,
      headers: { Authorization: `Bearer ${this.bearer}`, ...(body ? { "Content-Type": "application/json" } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(signal ? { signal } : {}),
      cache: "no-store",
    };
    return patiently(() => once<T>(path, request), passes, attempts, signal);
  }
}

async function once<T>(path: string, request: RequestInit): Promise<T> {
  const response = await answer(path, request);
  return response.status === 204 ? (undefined as T) : ((await response.json()) as T);
}

async function answer(path: string, request: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Unreachable("The server");
  }
  if (!response.ok && response.type !== "opaqueredirect") throw await problem(response);
  return response;
}

/** A door in front of the function answers in words of its own. */
async function problem(response: Response): Promise<Problem> {
  const said = (await response.json().catch(() => ({}))) as { code?: string; detail?: string };
  return new Problem(response.status, said.code ?? "", said.detail ?? `The server answered ${response.status}.`);
}

/** Whether the same may succeed when it is asked again. */
export function passes(error: unknown): boolean {
  if (error instanceof Problem) {
    const tooMany = error.status === 429 && error.code !== "too_many_tries"; // of passwords: for many minutes
    return error.status >= 500 || tooMany || error.code === "conflict";
  }
  return error instanceof Unreachable;
}
