import { expect, test } from "vitest";
import { after, type Connection, resumed } from "../src/feed";

const LINK = "https://stream.example/events?capability=c&cursor=2026-11-29T12%3A46%3A44.200Z";

test("a stream begins where the list was, and another one where the last one was", () => {
  expect(resumed(LINK, "")).toBe(LINK);
  const url = new URL(resumed(LINK, "2026-11-29T13:00:00.000Z"));
  expect(url.searchParams.getAll("cursor")).toEqual(["2026-11-29T13:00:00.000Z"]);
  expect(url.searchParams.get("capability")).toBe("c");
});

test("a stream that ends and comes back was never gone", () => {
  const states: Connection[] = ["connecting"];
  for (const incident of ["opened", "broken", "open", "opened"] as const)
    states.push(after(states.at(-1) ?? "gone", incident));
  expect(states).toEqual(["connecting", "live", "connecting", "connecting", "live"]);
});

test("what is gone stays gone until it is back", () => {
  expect(after("live", "offline")).toBe("gone");
  expect(after("connecting", "late")).toBe("gone");
  for (const incident of ["open", "broken", "refused", "late"] as const) expect(after("gone", incident)).toBe("gone");
  expect(after("gone", "opened")).toBe("live");
});

test("a hidden page has lost nothing", () => {
  for (const state of ["connecting", "live", "gone"] as const) expect(after(state, "hide")).toBe("hidden");
  expect(after("hidden", "late")).toBe("hidden");
  expect(after("hidden", "offline")).toBe("hidden");
  expect(after("hidden", "open")).toBe("connecting");
});
