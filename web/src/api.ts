/** The HTTP contract: every call that the page makes of the API. */

import type {
  Archive,
  Auth,
  ChangeFile,
  CompleteFile,
  CreateArchive,
  CreateDrop,
  CreatedDrop,
  CreatedFile,
  CreatedShare,
  CreatedToken,
  CreateFile,
  CreateShare,
  CreateToken,
  DropList,
  DropRules,
  FileInfo,
  FileLinks,
  FileList,
  LinkedDrop,
  LinkedShare,
  OpenedShare,
  OpenShare,
  PartList,
  PartToSign,
  ShareList,
  SignIn,
  TokenList,
} from "./contract";
import { patiently, Unreachable, type Waiting } from "./patience";

export const MOST_LISTED = 100; // files, drops, shares or tokens in one answer
const ATTEMPTS = 3;
const UPLOAD_ATTEMPTS = 7; // half a minute: who waits for an upload has more patience than who pressed a button

/** Events and exports have files without their links. */
export type StoredFile = Omit<FileInfo, "links"> & { links?: FileLinks };

/** The states of a file all of whose bytes have arrived. */
export const ARRIVED: readonly string[] = ["assembling", "hashing", "scanning", "ready"] satisfies FileInfo["status"][];

/** What a list may be asked for (docs/api.md, Routes). */
export interface Filter {
  folder?: string;
  drop?: string;
  q?: string;
  status?: string;
}

/** An error that the API explains (RFC 9457). */
export class Problem extends Error implements Waiting {
  /** What the server asks for with `Retry-After`; a gateway asks for nothing. */
  waitMs = 0;

  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    /** The other members, such as `limit` and `content_type`. */
    readonly members: Record<string, unknown> = {},
  ) {
    super(detail);
  }
}

interface Call {
  method?: string;
  body?: object;
  attempts?: number;
  signal?: AbortSignal | undefined;
}

export class Api {
  /**
   * Asked when the bearer token is not, or no longer, one of the deployment's. Resolves when there is another one, with
   * which the same call is made again. Without it such a call fails.
   */
  onUnauthorized: (() => Promise<void>) | null = null;

  /** `bearer` is an access token, or the capability of a drop or a share; who signs in again has another one. */
  constructor(public bearer: string) {}

  /** The newest files, or those behind `cursor`: at most `limit`, which is at most MOST_LISTED. */
  list(limit: number, filter: Filter = {}, cursor: string | null = null): Promise<FileList> {
    const query = new URLSearchParams({ limit: String(limit), ...filter, ...(cursor === null ? {} : { cursor }) });
    return this.ask(`files?${query}`);
  }

  file(id: string, signal?: AbortSignal): Promise<FileInfo> {
    return this.ask(`files/${id}`, { signal });
  }

  change(id: string, wanted: ChangeFile): Promise<FileInfo> {
    return this.ask(`files/${id}`, { method: "PATCH", body: wanted });
  }

  remove(id: string): Promise<void> {
    return this.ask(`files/${id}`, { method: "DELETE" });
  }

  /** A new upload, or the unfinished one of the same fingerprint. */
  begin(promised: CreateFile): Promise<CreatedFile> {
    return this.ask("files", { method: "POST", body: promised, attempts: UPLOAD_ATTEMPTS });
  }

  /** What has arrived, and URLs: for these numbers, or else for the first parts that have not arrived. */
  parts(id: string, signal: AbortSignal, numbers?: string): Promise<PartList> {
    const query = numbers === undefined ? "" : `?numbers=${numbers}`;
    return this.ask(`files/${id}/parts${query}`, { attempts: UPLOAD_ATTEMPTS, signal });
  }

  /** URLs that take the bytes of these digests and no others; at most 1,000. */
  lockedParts(id: string, parts: PartToSign[], signal: AbortSignal): Promise<PartList> {
    return this.ask(`files/${id}/parts`, { method: "POST", body: { parts }, attempts: UPLOAD_ATTEMPTS, signal });
  }

  complete(id: string, completion: CompleteFile, signal: AbortSignal): Promise<FileInfo> {
    return this.ask(`files/${id}/complete`, { method: "POST", body: completion, attempts: UPLOAD_ATTEMPTS, signal });
  }

  /**
   * Stores all of a small file in one request. `send` carries the body, wherever it is. A key that was answered for before,
   * within a day, means the same file.
   */
  async putFile(
    { name, folder, headers }: { name: string; folder: string | null; headers: Record<string, string> },
    send: (url: string, headers: Record<string, string>) => Promise<{ status: number; body: string }>,
    signal: AbortSignal,
  ): Promise<FileInfo> {
    const query = folder === null ? "" : `?${new URLSearchParams({ folder })}`;
    const url = new URL(`files/${encodeURIComponent(name)}${query}`, document.baseURI).href; // a worker has another base
    return this.authorized((bearer) => {
      const once = async () => {
        const { status, body } = await send(url, { Authorization: `Bearer ${bearer}`, ...headers });
        if (status >= 300) throw await problem(new Response(body, { status }));
        return JSON.parse(body) as FileInfo;
      };
      return patiently(once, passes, UPLOAD_ATTEMPTS, signal);
    }, signal);
  }

  drops(cursor: string | null = null): Promise<DropList> {
    return this.ask(`drops?${page(cursor)}`);
  }

  /** With its link. */
  drop(id: string): Promise<LinkedDrop> {
    return this.ask(`drops/${id}`);
  }

  /** What a guest may know, who holds the drop's own capability. */
  rules(drop: string): Promise<DropRules> {
    return this.ask(`drops/${drop}`);
  }

  createDrop(wanted: CreateDrop): Promise<CreatedDrop> {
    return this.ask("drops", { method: "POST", body: wanted });
  }

  endDrop(id: string): Promise<void> {
    return this.ask(`drops/${id}`, { method: "DELETE" });
  }

  shares(cursor: string | null = null): Promise<ShareList> {
    return this.ask(`shares?${page(cursor)}`);
  }

  /** Those that hold the file; a page may be empty and still have a next one. */
  sharesOf(file: string, cursor: string | null = null): Promise<ShareList> {
    return this.ask(`shares?${page(cursor)}&file=${file}`);
  }

  /** With its link. */
  share(id: string): Promise<LinkedShare> {
    return this.ask(`shares/${id}`);
  }

  createShare(wanted: CreateShare): Promise<CreatedShare> {
    return this.ask("shares", { method: "POST", body: wanted });
  }

  endShare(id: string): Promise<void> {
    return this.ask(`shares/${id}`, { method: "DELETE" });
  }

  tokens(cursor: string | null = null): Promise<TokenList> {
    return this.ask(`tokens?${page(cursor)}`);
  }

  /** With the token itself, which no other answer has. */
  createToken(wanted: CreateToken): Promise<CreatedToken> {
    return this.ask("tokens", { method: "POST", body: wanted });
  }

  endToken(id: string): Promise<void> {
    return this.ask(`tokens/${id}`, { method: "DELETE" });
  }

  /** What is in a share; at most 1,000 files at a time. */
  openShare(id: string, body: OpenShare): Promise<OpenedShare> {
    return this.ask(`shares/${id}/open`, { method: "POST", body });
  }

  /** An archive, or how far the one of a share is, which this begins where nobody has. */
  createArchive(wanted: CreateArchive): Promise<Archive> {
    return this.ask("archives", { method: "POST", body: wanted });
  }

  archive(id: string): Promise<Archive> {
    return this.ask(`archives/${id}`);
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
    const look = `${link}&disposition=inline`; // of which the feed does not tell: the download is yet to come
    await patiently(() => answer(look, request), passes, ATTEMPTS);
  }

  private ask<T>(path: string, { method = "GET", body, attempts = ATTEMPTS, signal }: Call = {}): Promise<T> {
    return this.authorized(async (bearer) => {
      const request: RequestInit = {
        method,
        headers: { Authorization: `Bearer ${bearer}`, ...(body ? { "Content-Type": "application/json" } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
        ...(signal ? { signal } : {}),
        cache: "no-store",
      };
      const response = await patiently(() => answer(path, request), passes, attempts, signal);
      return response.status === 204 ? (undefined as T) : ((await response.json()) as T);
    }, signal);
  }

  /** Asks once more with another bearer, where somebody signs in again because this one is not valid any more. */
  private async authorized<T>(ask: (bearer: string) => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (;;) {
      const used = this.bearer;
      try {
        return await ask(used);
      } catch (error) {
        if (!(isSignedOut(error) && this.onUnauthorized)) throw error;
        await this.renewed(used, signal);
      }
    }
  }

  /** Resolves when the bearer is another one than `used`, of which it is known that it does not work. */
  async renewed(used: string, signal?: AbortSignal): Promise<void> {
    if (this.bearer !== used || !this.onUnauthorized) return;
    const stopped = new Promise<never>((_, reject) => {
      signal?.throwIfAborted();
      signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
    await Promise.race([this.onUnauthorized(), stopped]);
  }
}

function page(cursor: string | null): URLSearchParams {
  return new URLSearchParams({ limit: String(MOST_LISTED), ...(cursor === null ? {} : { cursor }) });
}

/** How people sign in here; null where access tokens alone let in. */
export async function signInOffered(): Promise<SignIn | null> {
  const ask = async () => (await (await answer("auth", {})).json()) as Auth;
  return (await patiently(ask, passes, ATTEMPTS)).sign_in;
}

/** Whether the bearer token is not, or no longer, one of the deployment's. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof Problem && error.status === 401;
}

/** Throws Problem where the answer is one, Unreachable where there is none. */
export async function answer(path: string, request: RequestInit): Promise<Response> {
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
  const members = (await response.json().catch(() => ({}))) as { code?: string; detail?: string };
  const { code = "", detail = `The server answered ${response.status}.`, ...others } = members;
  const found = new Problem(response.status, code, detail, others);
  found.waitMs = 1_000 * (Number(response.headers.get("retry-after")) || 0);
  return found;
}

/** Whether the same may succeed when it is asked again. */
export function passes(error: unknown): boolean {
  if (error instanceof Problem) {
    const tooMany = error.status === 429 && error.code !== "too_many_tries"; // of passwords: for many minutes
    return error.status >= 500 || tooMany || error.code === "conflict";
  }
  return error instanceof Unreachable;
}
