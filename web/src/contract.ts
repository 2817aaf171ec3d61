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
  folder: string | null;
  /** `null` while only the client that sends it knows it: an Uppy page, until all has arrived. */
  size: number | null;
  mode: "single" | "multipart";
  part_size: number;
  part_count: number;
  part_digest: string | null;
  received_bytes: number;
  hashed_bytes: number;
  digests: Record<string, string>;
  /** Its sender's own digests, of the whole or of every part, were compared and held. */
  verified: boolean;
  mismatch: Mismatch | null;
  reason: string | null;
  fingerprint: string | null;
  created_at: string;
  expires_at: string | null;
}

/** The links are in the API's answers, not in events. */
export interface LinkedFile extends StoredFile {
  links: { self: string; content?: string; direct?: string; events: string };
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
  received: Received[];
}

export interface Received {
  number: number;
  size: number;
  digest: string | null;
}

export type Upload = LinkedFile & Parts;

export interface Promised {
  filename: string;
  folder?: string;
  size: number;
  content_type: string;
  fingerprint?: string;
  digests?: Record<string, string>;
  part_digest?: string;
}

export interface PartDigest {
  number: number;
  digest: string;
}

/** What the sender says of what it sent. */
export interface Completion {
  parts?: PartDigest[];
  digests?: Record<string, string>;
}

export interface Page {
  items: LinkedFile[];
  next: string | null;
}

export type Progress = Pick<StoredFile, "status" | "received_bytes" | "hashed_bytes" | "size">;

/** What whoever holds a share learns of a file. */
export interface SharedFile {
  id: string;
  filename: string;
  folder: string | null;
  size: number;
  content_type: string;
  digests: Record<string, string>;
  links: { content: string };
}

export interface Archive {
  status: "building" | "ready" | "failed";
  size: number;
  built_bytes: number;
}

export interface OpenedShare {
  title: string | null;
  message: string | null;
  files: SharedFile[];
  next: string | null;
  links: { archive: string };
}
