/** One file's way into S3: the parts that are missing, and then `complete`. */

import { type Api, Problem } from "./api";
import type { LinkedFile, Part, Upload } from "./contract";
import { patiently, Unreachable } from "./patience";

// A browser opens six connections to one host over HTTP/1.1, which S3 speaks: these, for each of two files at once.
const PARALLEL_PARTS = 3;
const ATTEMPTS = 7; // half a minute without a connection, besides the time that the device knows to be offline
const STALLED_MS = 60_000; // a connection over which nothing went for so long is dead
const ROUNDS = 3; // of asking what is missing when S3 has less than was sent

/** S3 answered that it does not take it. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(`S3 refused: ${status} ${code}`);
  }
}

/** Sends what S3 does not have yet, says how many bytes it has, and completes. Stops where it is when told to. */
export async function transfer(
  api: Api,
  upload: Upload,
  data: Blob,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<LinkedFile> {
  const arrived = new Map(upload.received.map(({ number, size }) => [number, size]));
  const report = () =>
    onProgress(
      Math.min(
        data.size,
        [...arrived.values()].reduce((sum, bytes) => sum + bytes, 0),
      ),
    );
  const send = async (part: Part, stop: AbortSignal) => {
    await sendPart(api, upload.id, part, data, stop, (bytes) => {
      arrived.set(part.number, bytes);
      report();
    });
    arrived.set(part.number, part.size);
    report();
  };
  report();
  let { parts } = upload;
  for (let round = 1; ; round++) {
    while (parts.length > 0) {
      await each(parts, send, signal);
      parts = arrived.size < upload.part_count ? (await api.parts(upload.id, signal)).parts : [];
    }
    try {
      return await api.complete(upload.id, signal);
    } catch (error) {
      if (round === ROUNDS || !(error instanceof Problem) || error.code !== "parts_missing") throw error;
      ({ parts } = await api.parts(upload.id, signal));
    }
  }
}

/** All parts, a few at a time. The first that fails stops the others. */
async function each(parts: Part[], send: (part: Part, stop: AbortSignal) => Promise<void>, signal: AbortSignal) {
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const waiting = parts[Symbol.iterator]();
  const worker = async () => {
    for (const part of waiting) {
      stop.throwIfAborted();
      await send(part, stop);
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL_PARTS }, worker));
  } catch (error) {
    failed.abort(error);
    throw error;
  }
}

async function sendPart(
  api: Api,
  id: string,
  part: Part,
  data: Blob,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const body = data.slice(part.offset, part.offset + part.size);
  let signed = part;
  const again = async () => {
    const [fresh] = (await api.parts(id, signal, part.number)).parts;
    signed = fresh ?? part;
  };
  const send = () =>
    patiently(
      async () => {
        try {
          await put(signed.url, signed.headers, body, onProgress, signal);
        } catch (error) {
          // S3 refuses a URL whose time is over before it has read the part, and not every browser hears why.
          if (error instanceof Unreachable && Date.parse(signed.expires_at) <= Date.now()) await again();
          throw error;
        }
      },
      passes,
      ATTEMPTS,
      signal,
    );
  try {
    await send();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 412) return; // these bytes are there already: the answer to an earlier attempt was lost
    // The URL's time is over, or the upload was given up elsewhere, which the API says when it is asked for another.
    await again();
    await send();
  }
}

/** One PUT. `fetch()` does not tell how much has been sent, XMLHttpRequest does. */
function put(
  url: string,
  headers: Record<string, string>,
  body: Blob,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let stalled: ReturnType<typeof setTimeout>;
    const alive = () => {
      clearTimeout(stalled);
      stalled = setTimeout(() => request.abort(), STALLED_MS);
    };
    const stop = () => request.abort();
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => {
      alive();
      onProgress(loaded);
    };
    request.onload = () => {
      if (request.status < 300) resolve();
      else reject(new Refused(request.status, s3Code(request.responseText)));
    };
    request.onerror = () => reject(new Unreachable("S3"));
    request.onabort = () => reject(signal.aborted ? (signal.reason as Error) : new Unreachable("S3"));
    request.onloadend = () => {
      clearTimeout(stalled);
      signal.removeEventListener("abort", stop);
    };
    signal.addEventListener("abort", stop, { once: true });
    alive();
    request.send(body);
  });
}

function s3Code(answer: string): string {
  return /<Code>(\w+)<\/Code>/.exec(answer)?.[1] ?? "";
}

function passes(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof Refused && (error.status >= 500 || error.status === 429));
}
