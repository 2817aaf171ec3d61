// What both programs share, none of which is generated.
import { createHash, randomBytes } from "node:crypto";
import { env } from "node:process";

function needed(name: string): string {
  const value = env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

export const api = needed("API");
export const stream = needed("STREAM");
export const token = needed("TOKEN");
export const bytes = new Uint8Array(randomBytes(9 * 1024 * 1024)); // two parts

export const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

// Where the size of the file is known, offset and size are numbers.
type Part = { url: string; offset: number | null; size: number | null; headers: { [name: string]: string } };

export async function put(part: Part) {
  const offset = part.offset ?? 0;
  const body = bytes.subarray(offset, part.size === null ? undefined : offset + part.size);
  const answer = await fetch(part.url, { method: "PUT", body, headers: part.headers });
  if (!answer.ok) throw new Error(await answer.text());
}

export function capability(link: string | undefined): string {
  const found = new URL(link ?? "").searchParams.get("capability");
  if (!found) throw new Error(`no capability in ${link}`);
  return found;
}

export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}
