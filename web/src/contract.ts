/** What the API says, as far as the page reads it (docs/api.md). */

export type Status = "uploading" | "assembling" | "hashing" | "ready" | "failed" | "aborted";

export interface Mismatch {
  name: string;
  expected: string;
  found: string;
}

export interface StoredFile {
  id: string;
  status: Status;
  revision: number;
  filename: string;
  /** `null` while only the client that sends it knows it: an Uppy page, until all has arrived. */
  size: number | null;
  part_count: number;
  received_bytes: number;
  hashed_bytes: number;
  digests: Record<string, string>;
  mismatch: Mismatch | null;
  reason: string | null;
  fingerprint: string | null;
  created_at: string;
  expires_at: string | null;
}

/** The links are in the API's answers, not in events. */
export interface LinkedFile extends StoredFile {
  links: { self: string; content?: string; events: string };
}

export interface Part {
  number: number;
  offset: number;
  size: number;
  url: string;
  headers: Record<string, string>;
  expires_at: string;
}

export interface Parts {
  parts: Part[];
  received: { number: number; size: number }[];
}

export type Upload = LinkedFile & Parts;

export interface Promised {
  filename: string;
  size: number;
  content_type: string;
  fingerprint: string;
}

export interface Page {
  items: LinkedFile[];
  next: string | null;
}

export type Progress = Pick<StoredFile, "status" | "received_bytes" | "hashed_bytes" | "size">;
