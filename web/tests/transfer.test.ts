import { beforeEach, expect, test, vi } from "vitest";
import { type Api, Problem } from "../src/api";
import type { CompleteFile, CreatedFile, FileInfo, Part, PartToSign } from "../src/contract";
import { Altered, Refused } from "../src/failures";
import { Unreachable } from "../src/patience";
import { Paused, Transfer } from "../src/transfer";
import { FakeCourier, type Put, stopped } from "./fakes";

const PART = 10;
const never = { pause: new AbortController().signal, cancel: new AbortController().signal };

beforeEach(() => {
  vi.stubGlobal("navigator", { onLine: true });
});

/** What the API does for one upload of `count` parts: it signs, and completes when all have arrived. */
class Server {
  readonly arrived = new Map<number, string>();
  readonly completions: CompleteFile[] = [];
  signed = 0;

  constructor(readonly count: number) {}

  begun(): CreatedFile {
    const received = [...this.arrived].map(([number, digest]) => ({ number, size: PART, etag: "", digest }));
    const file = { id: "a", mode: "multipart", part_size: PART, part_count: this.count, part_digest: "sha-256" };
    return { ...file, received, parts: [] } as unknown as CreatedFile;
  }

  api(): Api {
    const sign = (parts: PartToSign[]) => {
      this.signed++;
      return { parts: parts.map(({ number, digest }) => signedPart(number, digest)), received: [] };
    };
    return {
      lockedParts: (_: string, parts: PartToSign[]) => Promise.resolve(sign(parts)),
      parts: () => Promise.resolve({ parts: [], received: this.begun().received }),
      complete: (_: string, completion: CompleteFile) => {
        this.completions.push(completion);
        const missing = Array.from({ length: this.count }, (_, index) => index + 1).filter((n) => !this.arrived.has(n));
        if (missing.length > 0) return Promise.reject(new Problem(409, "parts_missing", "", { missing }));
        return Promise.resolve({ id: "a", status: "hashing" } as FileInfo);
      },
    } as unknown as Api;
  }

  take({ url }: Put): Promise<void> {
    const { pathname, searchParams } = new URL(url);
    this.arrived.set(Number(pathname.slice(1)), searchParams.get("digest") ?? "");
    return Promise.resolve();
  }
}

function signedPart(number: number, digest: string): Part {
  const url = `https://s3/${number}?digest=${digest}`;
  return { number, url, headers: {}, expires_at: "2999-01-01T00:00:00Z" } as unknown as Part;
}

const numberOf = ({ url }: Put) => Number(new URL(url).pathname.slice(1));
const data = (parts: number) => new Blob([Uint8Array.from({ length: parts * PART }, (_, index) => index)]);

function transfer(
  server: Server,
  courier: FakeCourier,
  onProgress: (arrived: number, sent: number) => void = () => undefined,
) {
  return new Transfer(server.api(), courier, server.begun(), data(server.count), new Map(), undefined, onProgress);
}

test("all parts are sent, three at once, and each is said once more at the end", async () => {
  const server = new Server(8);
  const courier = new FakeCourier((put) => server.take(put));
  expect((await transfer(server, courier).run(never)).status).toBe("hashing");
  expect(courier.most).toBeLessThanOrEqual(3);
  expect(courier.holding).toBe(0);
  const said = Object.fromEntries(server.completions[0]?.parts?.map(({ number, digest }) => [number, digest]) ?? []);
  expect(said).toEqual(Object.fromEntries(server.arrived));
});

test("progress goes to the whole, and what was there before was not sent now", async () => {
  const server = new Server(4);
  await transfer(server, new FakeCourier((put) => server.take(put))).run(never);
  server.arrived.delete(4);
  const seen: [number, number][] = [];
  const courier = new FakeCourier((put) => {
    put.onProgress(4);
    put.onProgress(10);
    return server.take(put);
  });
  await transfer(server, courier, (arrived, sent) => seen.push([arrived, sent])).run(never);
  expect(seen[0]).toEqual([30, 0]);
  expect(seen.at(-1)?.[0]).toBe(40);
  expect(seen.reduce((sum, [, sent]) => sum + sent, 0)).toBe(10);
});

test("a part that fails in the middle is sent again from memory, and counts as sent twice and arrived once", async () => {
  const server = new Server(1);
  let tries = 0;
  const courier = new FakeCourier((put) => {
    put.onProgress(6);
    if (++tries === 1) return Promise.reject(new Unreachable("S3"));
    put.onProgress(10);
    return server.take(put);
  });
  const seen: [number, number][] = [];
  await transfer(server, courier, (arrived, sent) => seen.push([arrived, sent])).run(never);
  expect(courier.holds).toBe(1);
  expect(Math.max(...seen.map(([arrived]) => arrived))).toBe(10);
  expect(seen.reduce((sum, [, sent]) => sum + sent, 0)).toBe(16);
});

test("a pause lets a part finish that is more than half sent, and stops the others", async () => {
  const server = new Server(9);
  const pause = new AbortController();
  const finish = new Map<number, () => void>();
  const halted: number[] = [];
  const courier = new FakeCourier((put) => {
    const number = numberOf(put);
    put.onProgress(number === 1 ? 6 : 5);
    put.signal.addEventListener("abort", () => halted.push(number));
    return Promise.race([
      stopped(put.signal),
      new Promise<void>((resolve) => finish.set(number, () => void server.take(put).then(resolve))),
    ]);
  });
  let arrived = 0;
  const running = transfer(server, courier, (bytes) => (arrived = bytes)).run({ ...never, pause: pause.signal });
  const ended = expect(running).rejects.toBeInstanceOf(Paused);
  await vi.waitUntil(() => finish.size === 3);
  pause.abort(new Paused());
  await vi.waitUntil(() => halted.length === 2);
  finish.get(1)?.();
  await ended;
  expect(halted.sort()).toEqual([2, 3]);
  expect([...server.arrived.keys()]).toEqual([1]);
  expect(arrived).toBe(PART);
  expect(server.completions).toEqual([]);
  expect(courier.holding).toBe(0);
});

test("what is cancelled stops at once, also while a pause waits for its last part", async () => {
  const server = new Server(1);
  const [pause, cancel] = [new AbortController(), new AbortController()];
  let begun = false;
  const courier = new FakeCourier((put) => {
    put.onProgress(9);
    begun = true;
    return stopped(put.signal);
  });
  const running = transfer(server, courier).run({ pause: pause.signal, cancel: cancel.signal });
  const ended = expect(running).rejects.toThrow();
  await vi.waitUntil(() => begun);
  pause.abort(new Paused());
  cancel.abort(new Error("cancelled"));
  await ended;
});

test("a URL whose time is over is replaced once, and a refusal after that is told", async () => {
  const server = new Server(1);
  let tries = 0;
  const refusing = new FakeCourier((put) => {
    if (++tries === 1) return Promise.reject(new Refused(403, "AccessDenied"));
    return server.take(put);
  });
  await transfer(server, refusing).run(never);
  expect(server.signed).toBe(2);
  const closed = new FakeCourier(() => Promise.reject(new Refused(403, "AccessDenied")));
  await expect(transfer(new Server(1), closed).run(never)).rejects.toBeInstanceOf(Refused);
});

test("bytes that are there already are not an error, and bytes that are altered again and again are", async () => {
  const server = new Server(1);
  const there = new FakeCourier((put) => {
    void server.take(put);
    return Promise.reject(new Refused(412, "PreconditionFailed"));
  });
  await transfer(server, there).run(never);
  const altering = new FakeCourier(() => Promise.reject(new Refused(400, "BadDigest")));
  await expect(transfer(new Server(1), altering).run(never)).rejects.toBeInstanceOf(Altered);
});

test("what S3 lost is sent again, and not for ever", async () => {
  const server = new Server(2);
  let losses = 1;
  const losing = new FakeCourier((put) => {
    if (numberOf(put) !== 2 || losses-- <= 0) void server.take(put);
    return Promise.resolve();
  });
  await transfer(server, losing).run(never);
  expect(server.completions).toHaveLength(2);
  const black = new Server(1);
  await expect(transfer(black, new FakeCourier(() => Promise.resolve())).run(never)).rejects.toBeInstanceOf(Problem);
  expect(black.completions).toHaveLength(3);
});
