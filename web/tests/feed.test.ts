import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Api } from "../src/api";
import { Downloads } from "../src/downloads";
import { after, type Connection, Feed, resumed } from "../src/feed";
import { Files } from "../src/files";

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

/** Streams of a browser, whose ends a test decides. */
class Source {
  static readonly CLOSED = 2;
  static readonly opened: Source[] = [];
  static refuses = true;
  readyState = 0;
  onopen: (() => void) | undefined;
  onerror: (() => void) | undefined;

  constructor(readonly url: string) {
    Source.opened.push(this);
    if (Source.refuses) setTimeout(() => this.refuse());
  }

  refuse(): void {
    if (this.readyState === Source.CLOSED) return;
    this.readyState = Source.CLOSED;
    this.onerror?.();
  }

  addEventListener(): void {
    // no event comes
  }

  close(): void {
    this.readyState = Source.CLOSED;
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  Source.opened.length = 0;
  vi.stubGlobal("EventSource", Source);
  says(403, "expired_capability");
  vi.stubGlobal("document", Object.assign(new EventTarget(), { visibilityState: "visible" }));
  vi.stubGlobal("addEventListener", vi.fn());
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** What the stream host says to whoever asks it why. */
function says(status: number, code: string): void {
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ code }, { status })));
}

function followed() {
  let lists = 0;
  const forgotten = vi.fn();
  const list = () => {
    lists++;
    const events = LINK.replace("12%3A46", `13%3A${10 + lists}`);
    return Promise.resolve({ items: [], next: null, links: { events } });
  };
  const feed = new Feed({ list } as unknown as Api, new Files(), new Downloads(), forgotten);
  feed.start(LINK);
  return { feed, forgotten, asked: () => lists };
}

test("a new link goes on from the list, though no event has come since", async () => {
  Source.refuses = false;
  const { feed } = followed();
  Source.opened[0]?.onopen?.();
  Source.opened[0]?.refuse(); // its link has ended
  await vi.advanceTimersByTimeAsync(1_500);
  feed.stop();
  expect(Source.opened.map(({ url }) => new URL(url).searchParams.get("cursor"))).toEqual([
    "2026-11-29T12:46:44.200Z",
    "2026-11-29T12:46:44.200Z",
  ]);
});

test("a feed that is refused again and again is gone, and asked for less and less often", async () => {
  Source.refuses = true;
  const { feed, forgotten, asked } = followed();
  await vi.advanceTimersByTimeAsync(11_000);
  expect(feed.state.value).toBe("gone");
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked()).toBeLessThan(30);
  expect(forgotten).not.toHaveBeenCalled();
  Source.refuses = false;
  await vi.advanceTimersByTimeAsync(31_000);
  Source.opened.at(-1)?.onopen?.();
  expect(feed.state.value).toBe("live");
  feed.stop();
});

test.each([
  ["cannot be reached", () => vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")))],
  ["is out of order", () => says(502, "")],
  ["is busy", () => says(503, "busy")],
  ["has no room", () => says(429, "")],
  ["lets this link have no more streams", () => says(429, "too_many_streams")],
])("a stream host that %s is waited for, and nothing is read anew", async (_, away) => {
  Source.refuses = true;
  away();
  const { feed, forgotten, asked } = followed();
  await vi.advanceTimersByTimeAsync(11_000);
  expect(feed.state.value).toBe("gone");
  await vi.advanceTimersByTimeAsync(60_000);
  Source.refuses = false;
  says(200, "");
  await vi.advanceTimersByTimeAsync(31_000);
  Source.opened.at(-1)?.onopen?.();
  expect(feed.state.value).toBe("live");
  expect(forgotten).not.toHaveBeenCalled();
  expect(asked()).toBe(0);
  expect(Source.opened.at(-1)?.url).toBe(LINK);
  feed.stop();
});

test("a link that has too many streams for a moment is no lost connection", async () => {
  Source.refuses = true;
  says(429, "too_many_streams");
  const { feed } = followed();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(feed.state.value).toBe("connecting");
  Source.refuses = false;
  says(200, "");
  await vi.advanceTimersByTimeAsync(4_000);
  Source.opened.at(-1)?.onopen?.();
  expect(feed.state.value).toBe("live");
  feed.stop();
});

test("a cursor that is too old begins with a new list, once", async () => {
  Source.refuses = true;
  says(422, "invalid_cursor");
  const { feed, forgotten } = followed();
  await vi.advanceTimersByTimeAsync(500);
  Source.refuses = false;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(forgotten).toHaveBeenCalledTimes(1);
  expect(new URL(Source.opened.at(-1)?.url ?? "").searchParams.get("cursor")).toBe("2026-11-29T13:11:44.200Z");
  feed.stop();
});
