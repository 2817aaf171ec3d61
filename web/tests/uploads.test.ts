import { beforeEach, expect, test, vi } from "vitest";
import { type Api, Problem, type StoredFile } from "../src/api";
import type { Chosen } from "../src/chosen";
import type { CreatedFile, CreateFile, FileInfo } from "../src/contract";
import { Changed, Refused, Withdrawn } from "../src/failures";
import { Unreachable } from "../src/patience";
import { tally } from "../src/tally";
import { type Upload, Uploads } from "../src/uploads";
import { FakeCourier, type Put, stopped } from "./fakes";
import { growth, ONCE_EACH, PATIENCE_MS } from "./growth";

beforeEach(() => {
  vi.stubGlobal("navigator", { onLine: true });
});

const MIB = 1024 * 1024;

function chosen(name: string, size = 10, path = "", lastModified = 1): Chosen {
  return { file: new File([new Uint8Array(size)], name, { lastModified }), path };
}

/** What the API knows, by id. */
class Server {
  readonly files = new Map<string, FileInfo>();
  readonly whole: { name: string; folder: string | null; key: string }[] = [];
  readonly removed: string[] = [];
  begun = 0;

  constructor(readonly bearer = "token") {}

  put(id: string, changes: Partial<FileInfo>): FileInfo {
    const file = {
      status: "uploading",
      reason: null,
      verified: false,
      revision: 1,
      ...this.files.get(id),
      ...changes,
      id,
    };
    this.files.set(id, file as FileInfo);
    return file as FileInfo;
  }

  api(): Api {
    const found = (id: string) => {
      const file = this.files.get(id);
      return file ? Promise.resolve(file) : Promise.reject(new Problem(404, "file_not_found", ""));
    };
    return {
      bearer: this.bearer,
      file: found,
      begin: (promised: CreateFile) => {
        const file = this.put(`file-${++this.begun}`, { filename: promised.filename, size: promised.size ?? null });
        const part = { number: 1, url: `https://s3/${file.id}`, headers: {}, expires_at: "2999-01-01T00:00:00Z" };
        const cut = { mode: "single", part_size: promised.size, part_count: 1, part_digest: null };
        return Promise.resolve({ ...file, ...cut, parts: [part], received: [] } as unknown as CreatedFile);
      },
      parts: (id: string) =>
        Promise.resolve({
          received: [],
          parts: [{ number: 1, url: `https://s3/${id}`, headers: {}, expires_at: "2999-01-01T00:00:00Z" }],
        }),
      complete: (id: string) => Promise.resolve(this.put(id, { status: "ready", verified: true })),
      putFile: async (
        { name, folder, headers }: { name: string; folder: string | null; headers: Record<string, string> },
        send: (url: string, headers: Record<string, string>) => Promise<unknown>,
      ) => {
        await send(`/files/${name}`, headers);
        const key = headers["Idempotency-Key"] ?? "";
        this.whole.push({ name, folder, key });
        const known = this.files.get(key);
        return known ?? this.put(key, { filename: name, status: "ready", verified: true });
      },
      remove: (id: string) => {
        this.removed.push(id);
        this.put(id, { status: "aborted", reason: "aborted" });
        return Promise.resolve();
      },
    } as unknown as Api;
  }
}

const answered = () => Promise.resolve({ status: 201, body: "" });
const arrived = () => Promise.resolve();

function sending(server: Server, courier = new FakeCourier(arrived, answered)) {
  const told: StoredFile[] = [];
  const gone: string[] = [];
  const uploads = new Uploads(
    server.api(),
    (file) => told.push(file),
    (id) => gone.push(id),
    courier,
  );
  return { uploads, told, gone };
}

const stages = (uploads: Uploads) => uploads.all.peek().map(({ stage }) => stage.peek());
const only = (uploads: Uploads): Upload => {
  const [upload] = uploads.all.peek();
  if (!upload) throw new Error("there is none");
  return upload;
};
const over = (uploads: Uploads) => vi.waitUntil(() => uploads.unfinished.peek().length === 0, { timeout: 10_000 });

/** One upload, in the middle of the PUT of its only part until somebody stops it. */
async function underWay() {
  const server = new Server();
  let begun = false;
  const courier = new FakeCourier(({ signal }: Put) => {
    begun = true;
    return stopped(signal);
  });
  const { uploads } = sending(server, courier);
  uploads.add([chosen("a", 2 * MIB)]);
  await vi.waitUntil(() => begun);
  return { server, uploads };
}

test("a small file goes by one request, whose key is the same in every attempt", async () => {
  const server = new Server();
  const { uploads } = sending(server);
  uploads.add([chosen("a.txt", 10, "folder/a.txt")]);
  await over(uploads);
  const other = sending(server);
  other.uploads.add([chosen("a.txt", 10, "folder/a.txt")]);
  await over(other.uploads);
  expect(server.whole.map(({ name, folder }) => [name, folder])).toEqual([
    ["a.txt", "folder"],
    ["a.txt", "folder"],
  ]);
  expect(new Set(server.whole.map(({ key }) => key)).size).toBe(1);
  expect(server.begun).toBe(0);
});

test.each(["a?b", "a#b", "50%", "a;b", "a\\b", "..", "."])(
  "%s is begun as others are: a gateway would take it apart",
  async (name) => {
    const server = new Server();
    const { uploads } = sending(server);
    uploads.add([chosen(name)]);
    await over(uploads);
    expect([server.whole.length, server.begun]).toEqual([0, 1]);
  },
);

test("what is larger, and what a guest sends, is begun as others are", async () => {
  const server = new Server();
  const { uploads } = sending(server);
  uploads.add([chosen("large", MIB + 1)]);
  await over(uploads);
  const claims = btoa(JSON.stringify({ record: "0".repeat(26) }));
  const drop = new Server(`e30.${claims}.x`);
  const guest = sending(drop);
  guest.uploads.add([chosen("small")]);
  await over(guest.uploads);
  expect([server.whole.length, drop.whole.length]).toEqual([0, 0]);
  expect([server.begun, drop.begun]).toEqual([1, 1]);
});

test("ten thousand files are queued, paused, resumed and sent", async () => {
  const server = new Server();
  const { uploads, told } = sending(server);
  const many = Array.from({ length: 10_000 }, (_, index) => chosen(`file ${index}`, 1));
  uploads.add(many);
  expect(uploads.add(many)).toHaveLength(10_000);
  uploads.pauseAll();
  expect(uploads.unfinished.peek()).toHaveLength(10_000);
  uploads.resumeAll();
  await vi.waitUntil(() => uploads.unfinished.peek().length === 0, { timeout: 80_000, interval: 20 });
  expect(told).toHaveLength(10_000);
  expect([...server.files].every(([id]) => uploads.of(id))).toBe(true);
}, 90_000);

test.each<[string, (uploads: Uploads, many: Chosen[]) => void]>([
  ["chosen again", (uploads, many) => void uploads.add(many)],
  ["paused", (uploads) => uploads.pauseAll()],
])(
  "files are %s without a scan of all for each",
  (_, work) => {
    const prepare = (count: number) => {
      const many = Array.from({ length: count }, (_, index) => chosen(`file ${index}`, 1));
      const { uploads } = sending(new Server());
      uploads.add(many);
      return () => work(uploads, many);
    };
    expect(growth(prepare)).toBeLessThan(ONCE_EACH);
  },
  PATIENCE_MS,
);

test("the same file twice is told and sent once; one that was deleted meanwhile is sent again", async () => {
  const server = new Server();
  const { uploads } = sending(server);
  expect(uploads.add([chosen("a"), chosen("a")])).toHaveLength(1);
  await over(uploads);
  expect(uploads.add([chosen("a")])).toHaveLength(1);
  expect(uploads.add([chosen("a", 10, "b/a")])).toHaveLength(0);
  await over(uploads);
  expect(uploads.add([chosen("a")], () => false)).toHaveLength(0);
  await over(uploads);
  expect(server.whole).toHaveLength(3);
});

test("a file that changed is told to have changed, and takes the place of what it was when it is chosen again", async () => {
  const server = new Server();
  let changed = true;
  const courier = new FakeCourier(() => (changed ? Promise.reject(new Changed()) : Promise.resolve()));
  const { uploads, gone } = sending(server, courier);
  uploads.add([chosen("report", 2 * MIB)]);
  await over(uploads);
  const [before] = uploads.all.peek();
  expect(before?.error.peek()).toBeInstanceOf(Changed);
  changed = false;
  expect(uploads.add([chosen("report", 2 * MIB, "", 2)])).toHaveLength(0);
  await over(uploads);
  await vi.waitUntil(() => gone.length === 1);
  expect(stages(uploads)).toEqual(["cancelled", "sent"]);
  expect(server.removed).toEqual(["file-1"]);
});

test("what is chosen again because it changed belongs to the batch, though all others have come to their end", async () => {
  const server = new Server();
  let changed = true;
  const put = ({ url }: Put) => (changed && url === "/files/report" ? Promise.reject(new Changed()) : answered());
  const { uploads } = sending(server, new FakeCourier(arrived, put));
  uploads.add([chosen("other"), chosen("report")]);
  await over(uploads);
  expect(stages(uploads)).toEqual(["sent", "failed"]);
  changed = false;
  uploads.add([chosen("report", 10, "", 2)]);
  await over(uploads);
  expect(tally(uploads.batch.peek(), () => undefined)).toMatchObject({ files: 2, failed: 0, arrived: 2 });
});

test("what has failed goes on when it is chosen again", async () => {
  const server = new Server();
  let refused = true;
  const courier = new FakeCourier(() => (refused ? Promise.reject(new Refused(403, "")) : Promise.resolve()));
  const { uploads } = sending(server, courier);
  uploads.add([chosen("a", 2 * MIB)]);
  await over(uploads);
  expect(stages(uploads)).toEqual(["failed"]);
  refused = false;
  expect(uploads.add([chosen("a", 2 * MIB)])).toEqual([]);
  await over(uploads);
  expect(stages(uploads)).toEqual(["sent"]);
  expect(server.begun).toBe(1);
});

test.each<[name: string, error: Error]>([
  ["S3 does not know the upload any more", new Refused(404, "NoSuchUpload")],
  ["the API says that it was aborted", new Problem(409, "wrong_state", "", { state: "aborted" })],
])("an upload that was cancelled elsewhere is cancelled here, where %s", async (_, error) => {
  const server = new Server();
  const courier = new FakeCourier(() => {
    server.put("file-1", { status: "aborted", reason: "aborted" });
    return Promise.reject(error);
  });
  const { uploads, gone } = sending(server, courier);
  uploads.add([chosen("a", 2 * MIB)]);
  await over(uploads);
  expect(stages(uploads)).toEqual(["cancelled"]);
  expect(only(uploads).error.peek()).toBeInstanceOf(Withdrawn);
  expect(uploads.withdrawn.peek()).toEqual([only(uploads)]);
  expect(gone).toEqual(["file-1"]);
});

test("an upload that vanishes from the list is looked for once, and stopped where it was cancelled", async () => {
  const { server, uploads } = await underWay();
  uploads.check(() => true);
  expect(stages(uploads)).toEqual(["sending"]);
  server.put("file-1", { status: "aborted", reason: "aborted" });
  uploads.check(() => false);
  await over(uploads);
  expect(stages(uploads)).toEqual(["cancelled"]);
});

test("a file whose record is gone, or expired, begins anew by itself", async () => {
  for (const expired of [true, false]) {
    const server = new Server();
    const courier = new FakeCourier(({ url }) => {
      if (!url.endsWith("file-1")) return Promise.resolve();
      if (expired) server.put("file-1", { status: "aborted", reason: "expired" });
      else server.files.delete("file-1");
      return Promise.reject(new Refused(404, "NoSuchUpload"));
    });
    const { uploads } = sending(server, courier);
    uploads.add([chosen("a", 2 * MIB)]);
    await over(uploads);
    expect(stages(uploads)).toEqual(["sent"]);
    expect(only(uploads).id.peek()).toBe("file-2");
  }
});

test("a small file whose key stands for a deleted one is another file", async () => {
  const server = new Server();
  const first = sending(server);
  first.uploads.add([chosen("a")]);
  await over(first.uploads);
  const key = server.whole[0]?.key ?? "";
  server.put(key, { status: "aborted", reason: "aborted" });
  const second = sending(server);
  second.uploads.add([chosen("a")]);
  await over(second.uploads);
  expect(stages(second.uploads)).toEqual(["sent"]);
  expect(only(second.uploads).id.peek()).not.toBe(key);
});

test("who cancels while a small file is on its way has nothing stored", async () => {
  const server = new Server();
  let arrive: (() => void) | undefined;
  const courier = new FakeCourier(
    arrived,
    () => new Promise((resolve) => (arrive = () => resolve({ status: 201, body: "" }))),
  );
  const { uploads } = sending(server, courier);
  uploads.add([chosen("a")]);
  const upload = only(uploads);
  await vi.waitUntil(() => arrive !== undefined);
  const cancelled = uploads.cancel(upload);
  expect(stages(uploads)).toEqual(["cancelled"]);
  arrive?.();
  await cancelled;
  expect(server.removed).toEqual([upload.id.peek()]);
});

test.each(["cancelled", "paused"] as const)(
  "what is %s while the server is asked why it failed stays so",
  async (stage) => {
    const server = new Server();
    const courier = new FakeCourier(() => Promise.reject(new Refused(403, "AccessDenied")));
    const { uploads } = sending(server, courier);
    const api = server.api();
    let answer: (() => void) | undefined;
    api.file = (id) => new Promise((resolve) => (answer = () => resolve(server.put(id, {}))));
    const asking = new Uploads(api, vi.fn(), vi.fn(), courier);
    asking.add([chosen("a", 2 * MIB)]);
    await vi.waitUntil(() => answer !== undefined);
    const upload = only(asking);
    let ended = Promise.resolve();
    if (stage === "paused") asking.pause(upload);
    else ended = asking.cancel(upload);
    answer?.();
    await ended;
    await upload.attempt;
    expect(stages(asking)).toEqual([stage]);
    expect(uploads.all.peek()).toEqual([]);
  },
);

test("a batch counts what was chosen since nothing was left, what arrived before counts for nothing", async () => {
  const server = new Server();
  const { uploads, told } = sending(server);
  const fileOf = (id: string) => told.find((file) => file.id === id);
  uploads.add([chosen("a"), chosen("b"), chosen("empty", 0)]);
  await over(uploads);
  expect(tally(uploads.batch.peek(), fileOf)).toMatchObject({ files: 3, bytes: 20, sent: 20, arrived: 3, verified: 3 });
  uploads.add([chosen("c", 5)]);
  await over(uploads);
  expect(tally(uploads.batch.peek(), fileOf)).toMatchObject({ files: 1, bytes: 5, sent: 5, arrived: 1, verified: 1 });
});

test("verified, hashed, still being verified, spoilt and deleted are told apart", async () => {
  const server = new Server();
  const { uploads } = sending(server);
  uploads.add(["a", "b", "c", "d", "e"].map((name) => chosen(name)));
  await over(uploads);
  const became: Partial<StoredFile>[] = [
    { status: "ready", verified: true },
    { status: "ready", verified: false },
    { status: "hashing", verified: true },
    { status: "failed" },
  ];
  const ids = uploads.all.peek().map(({ id }) => id.peek());
  const sum = tally(uploads.batch.peek(), (id) => became[ids.indexOf(id)] as StoredFile | undefined);
  expect(sum).toMatchObject({ arrived: 5, verified: 1, hashed: 1, verifying: 1, spoilt: 1 });
});

test("what is paused counts for no time that is left, and what failed neither", async () => {
  const server = new Server();
  const courier = new FakeCourier(({ signal, onProgress }: Put) => {
    onProgress(MIB);
    return stopped(signal);
  });
  const { uploads } = sending(server, courier);
  uploads.add([chosen("a", 2 * MIB), chosen("b", 2 * MIB)]);
  const fileOf = () => undefined;
  await vi.waitUntil(() => tally(uploads.batch.peek(), fileOf).sent === 2 * MIB);
  expect(tally(uploads.batch.peek(), fileOf)).toMatchObject({ active: 2, left: 2 * MIB });
  uploads.pause(only(uploads));
  expect(tally(uploads.batch.peek(), fileOf)).toMatchObject({ active: 1, paused: 1, left: MIB });
});

test("what cannot be cancelled for now is cancelled when that is tried again, and sent when it is chosen again", async () => {
  for (const how of ["again", "all", "chosen"] as const) {
    const server = new Server();
    let begun = false;
    let stops = true;
    const courier = new FakeCourier(({ signal }: Put) => {
      begun = true;
      return stops ? stopped(signal) : Promise.resolve();
    });
    const api = server.api();
    const remove = api.remove.bind(api);
    api.remove = () => Promise.reject(new Unreachable("The server"));
    const uploads = new Uploads(api, vi.fn(), vi.fn(), courier);
    uploads.add([chosen("a", 2 * MIB)]);
    await vi.waitUntil(() => begun);
    await uploads.cancel(only(uploads));
    expect(stages(uploads)).toEqual(["failed"]);
    api.remove = remove;
    stops = false;
    if (how === "again") uploads.resume(only(uploads));
    else if (how === "all") uploads.retryAll();
    else uploads.add([chosen("a", 2 * MIB)]);
    const end = how === "chosen" ? "sent" : "cancelled";
    await vi.waitUntil(() => stages(uploads)[0] === end);
    expect(server.removed).toEqual(how === "chosen" ? [] : ["file-1"]);
  }
});

test("what had arrived when it was cancelled is told as the server has it", async () => {
  const server = new Server();
  let begun = false;
  const courier = new FakeCourier(({ signal }: Put) => {
    begun = true;
    return stopped(signal);
  });
  const api = server.api();
  api.remove = () => {
    server.put("file-1", { status: "hashing", revision: 2 });
    return Promise.reject(new Problem(409, "wrong_state", ""));
  };
  const told: StoredFile[] = [];
  const uploads = new Uploads(api, (file) => told.push(file), vi.fn(), courier);
  uploads.add([chosen("a", 2 * MIB)]);
  await vi.waitUntil(() => begun);
  await uploads.cancel(only(uploads));
  expect(stages(uploads)).toEqual(["sent"]);
  expect(told.at(-1)?.status).toBe("hashing");
});

test("what was away for a moment is looked for again when it vanishes once more", async () => {
  const { server, uploads } = await underWay();
  uploads.check(() => false); // the list is read anew
  uploads.check(() => true);
  server.put("file-1", { status: "aborted", reason: "aborted" });
  uploads.check(() => false);
  await over(uploads);
  expect(stages(uploads)).toEqual(["cancelled"]);
});

test("what was paused and resumed while its answer was under way has arrived, and is not asked about", async () => {
  const server = new Server();
  let arrive: (() => void) | undefined;
  const courier = new FakeCourier(
    arrived,
    () => new Promise((resolve) => (arrive = () => resolve({ status: 201, body: "" }))),
  );
  const api = server.api();
  api.file = () => Promise.reject(new Unreachable("The server"));
  const uploads = new Uploads(api, vi.fn(), vi.fn(), courier);
  uploads.add([chosen("a")]);
  await vi.waitUntil(() => arrive !== undefined);
  uploads.pause(only(uploads));
  uploads.resume(only(uploads));
  arrive?.();
  await over(uploads);
  await only(uploads).attempt;
  expect(stages(uploads)).toEqual(["sent"]);
});
