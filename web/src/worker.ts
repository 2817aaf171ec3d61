/** The page's worker: it reads parts, hashes them and sends them, so that no byte of a file passes the main thread. */

import { hex } from "./hex";
import type { Order, Report } from "./courier";

const STALLED_MS = 60_000; // a connection over which nothing went for so long is dead

const parts = new Map<number, ArrayBuffer | Blob>();
const requests = new Map<number, XMLHttpRequest>(); // by the order to send

addEventListener("message", ({ data }: MessageEvent<Order>) => {
  switch (data.kind) {
    case "hold":
      void hold(data);
      break;
    case "send":
      send(data);
      break;
    case "stop":
      requests.get(data.order)?.abort();
      break;
    case "release":
      parts.delete(data.part);
      break;
  }
});

function report(said: Report): void {
  postMessage(said);
}

async function hold({ order, bytes, inMemory, hash }: Extract<Order, { kind: "hold" }>): Promise<void> {
  try {
    const body = inMemory ? await bytes.arrayBuffer() : bytes;
    // Not every browser refuses to read a file that changed: some give what there is now.
    if (body instanceof ArrayBuffer && body.byteLength !== bytes.size) {
      throw new DOMException("the file has another size than when it was chosen", "NotReadableError");
    }
    const digest =
      hash && body instanceof ArrayBuffer ? hex(new Uint8Array(await crypto.subtle.digest("SHA-256", body))) : null;
    parts.set(order, body);
    report({ kind: "held", order, digest });
  } catch (error) {
    report({ kind: "failed", order, error });
  }
}

/** One PUT. `fetch()` does not tell how much has been sent, XMLHttpRequest does. */
function send({ order, part, url, headers }: Extract<Order, { kind: "send" }>): void {
  const body = parts.get(part) ?? null;
  const request = new XMLHttpRequest();
  let stalled: ReturnType<typeof setTimeout>;
  const alive = () => {
    clearTimeout(stalled);
    stalled = setTimeout(() => request.abort(), STALLED_MS);
  };
  request.open("PUT", url);
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.upload.onprogress = ({ loaded }) => {
    alive();
    report({ kind: "progress", order, loaded });
  };
  request.onload = () => report({ kind: "answered", order, status: request.status, body: request.responseText });
  request.onerror = () => void lost(order, body);
  request.onabort = () => report({ kind: "lost", order });
  request.onloadend = () => {
    clearTimeout(stalled);
    requests.delete(order);
  };
  requests.set(order, request);
  alive();
  request.send(body);
}

/** A request says the same of a connection that broke and of a file that cannot be read any more: one byte tells. */
async function lost(order: number, body: ArrayBuffer | Blob | null): Promise<void> {
  try {
    if (body instanceof Blob) await body.slice(0, 1).arrayBuffer();
    report({ kind: "lost", order });
  } catch (error) {
    report({ kind: "failed", order, error });
  }
}
