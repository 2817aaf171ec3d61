import { beforeEach, expect, test, vi } from "vitest";
import { type Api, Problem } from "../src/api";
import { Drops } from "../src/drops";
import { speak } from "../src/i18n";

beforeEach(async () => {
  vi.stubGlobal("document", { documentElement: {} });
  await speak("en");
});

test("drops are asked for by one request, and once each where its answer lacks them", async () => {
  const asked: string[] = [];
  const api = {
    drops: () => {
      asked.push("list");
      return Promise.resolve({
        items: [
          { id: "a", title: "Photos" },
          { id: "b", title: null },
        ],
        next: "more",
      });
    },
    drop: (id: string) => {
      asked.push(id);
      if (id === "ended") return Promise.reject(new Problem(404, "drop_not_found", ""));
      return Promise.resolve({ title: "Old" });
    },
  } as unknown as Api;
  const drops = new Drops(api);
  const read = () => ["a", "b", "old", "ended"].map((id) => drops.title(id));
  read();
  await vi.waitFor(() => expect(read()[2]).toContain("Old"));
  await vi.waitFor(() => expect(asked).toHaveLength(3));
  expect(read()[0]).toContain("Photos");
  expect(read()[1]).toBe(read()[3]);
  expect(asked).toEqual(["list", "old", "ended"]);
});

test("a list that could not be had is asked for once more", async () => {
  let times = 0;
  const api = {
    drops: () =>
      times++ === 0 ? Promise.reject(new Error("lost")) : Promise.resolve({ items: [{ id: "a", title: "T" }] }),
  } as unknown as Api;
  const drops = new Drops(api);
  drops.title("a");
  await vi.waitFor(() => expect(drops.title("a")).toContain("T"));
  expect(times).toBe(2);
});
