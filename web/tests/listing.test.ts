import { beforeAll, expect, test, vi } from "vitest";
import type { Api } from "../src/api";
import { Files } from "../src/files";
import { Uploads } from "../src/uploads";
import { FakeCourier } from "./fakes";
import { growth, PATIENCE_MS } from "./growth";

beforeAll(() => {
  vi.stubGlobal("navigator", { onLine: true });
  vi.stubGlobal("location", { hash: "" });
  vi.stubGlobal("addEventListener", vi.fn());
});

function chosen(count: number) {
  return Array.from({ length: count }, (_, number) => ({ file: new File(["x"], `${number}`), path: "" }));
}

async function listed(count: number) {
  const { Listing } = await import("../src/listing");
  const courier = new FakeCourier(
    () => new Promise(() => undefined),
    () => new Promise(() => undefined),
  );
  const uploads = new Uploads({ bearer: "token" } as unknown as Api, vi.fn(), vi.fn(), courier);
  const listing = new Listing(new Files(), uploads);
  const leave = listing.follow();
  uploads.add(chosen(count));
  return { uploads, listing, leave };
}

test("the rows follow what becomes of uploads", async () => {
  const { uploads, listing, leave } = await listed(9);
  const states = () => listing.all.value.map(({ state }) => state);
  expect(states()).toEqual([...Array.from({ length: 6 }, () => "sending"), "waiting", "waiting", "waiting"]);
  const [first, , last] = uploads.all.peek().slice(-3);
  if (first && last) {
    uploads.pause(first);
    void uploads.cancel(last);
  }
  const stages = () => uploads.all.peek().map(({ stage }) => stage.peek());
  await vi.waitUntil(() => states().join() === stages().slice(0, -1).join());
  expect(stages().slice(-3)).toContain("paused");
  expect(stages().at(-1)).toBe("cancelled");
  leave();
});

test(
  "one upload changes without a look at the others",
  async () => {
    const lists = { few: await listed(1_000), many: await listed(10_000) };
    // Of each list as many are paused: with a look at the others it would take ten times as long in the longer one.
    const growing = growth((count) => {
      const { uploads } = count === 1_000 ? lists.few : lists.many;
      const some = uploads.unfinished.peek().filter(({ stage }) => stage.peek() === "waiting");
      return () => {
        for (const upload of some.slice(0, 100)) uploads.pause(upload);
      };
    });
    expect(growing).toBeLessThan(5);
    for (const { leave } of Object.values(lists)) leave();
  },
  PATIENCE_MS,
);
