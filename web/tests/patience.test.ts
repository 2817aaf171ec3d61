import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { answer, passes } from "../src/api";
import { patiently, pause, Unreachable } from "../src/patience";

const passing = (error: unknown) => error instanceof Unreachable;
const network = new EventTarget();

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0);
  vi.stubGlobal("navigator", { onLine: true });
  vi.stubGlobal("addEventListener", network.addEventListener.bind(network));
  vi.stubGlobal("removeEventListener", network.removeEventListener.bind(network));
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test("what passes is tried again, after pauses that double", async () => {
  const at: number[] = [];
  const work = () => {
    at.push(Date.now());
    return at.length < 4 ? Promise.reject(new Unreachable("S3")) : Promise.resolve("done");
  };
  const done = patiently(work, passing, 7);
  await vi.runAllTimersAsync();
  expect(await done).toBe("done");
  expect(at.map((moment) => moment - (at[0] ?? 0))).toEqual([0, 500, 1_500, 3_500]);
});

test("what does not pass is not tried again, and everything has an end", async () => {
  const refused = vi.fn(() => Promise.reject(new Error("no")));
  await expect(patiently(refused, passing, 7)).rejects.toThrow("no");
  expect(refused).toHaveBeenCalledTimes(1);
  const away = vi.fn(() => Promise.reject(new Unreachable("S3")));
  const failed = expect(patiently(away, passing, 3)).rejects.toThrow("S3 cannot be reached");
  await vi.runAllTimersAsync();
  await failed;
  expect(away).toHaveBeenCalledTimes(3);
});

test("time without a network counts for no attempt", async () => {
  vi.stubGlobal("navigator", { onLine: false });
  const work = vi.fn(() => Promise.resolve("done"));
  const done = patiently(work, passing, 1);
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(work).not.toHaveBeenCalled();
  vi.stubGlobal("navigator", { onLine: true });
  network.dispatchEvent(new Event("online"));
  expect(await done).toBe("done");
});

test("a pause ends at once when it is told to", async () => {
  const stop = new AbortController();
  const ended = expect(pause(60_000, stop.signal)).rejects.toThrow("enough");
  stop.abort(new Error("enough"));
  await ended;
  expect(vi.getTimerCount()).toBe(0);
});

/** Of a front door, each of which refuses in words of its own. */
const refusals: [string, Response, waits: number][] = [
  ["a stage that is throttled", Response.json({ message: "Too Many Requests" }, { status: 429 }), 500],
  [
    "a Lambda without room",
    Response.json(
      { Reason: "ConcurrentInvocationLimitExceeded", Type: "User", message: "Rate Exceeded." },
      { status: 429 },
    ),
    500,
  ],
  [
    "a link with too many streams",
    Response.json({ code: "too_many_streams" }, { status: 429, headers: { "Retry-After": "10" } }),
    10_000,
  ],
  [
    "a server that asks for hours",
    Response.json({ code: "busy" }, { status: 503, headers: { "Retry-After": "9999" } }),
    20_000,
  ],
];

test.each(refusals)("%s is asked again, when it says or a moment later", async (_, refusal, waits) => {
  const at: number[] = [];
  vi.stubGlobal("fetch", () => {
    at.push(Date.now());
    return Promise.resolve(at.length === 1 ? refusal : Response.json({ done: true }));
  });
  const done = patiently(() => answer("/files", {}), passes, 3);
  await vi.runAllTimersAsync();
  expect(await (await done).json()).toEqual({ done: true });
  expect(at.map((moment) => moment - (at[0] ?? 0))).toEqual([0, waits]);
});

test("pages that were refused together come back at different moments", async () => {
  const at: number[] = [];
  for (const chance of [0, 0.5, 0.9]) {
    vi.spyOn(Math, "random").mockReturnValue(chance);
    const began = Date.now();
    let asked = 0;
    const work = () => (asked++ === 0 ? Promise.reject(new Unreachable("S3")) : Promise.resolve());
    const done = patiently(work, passing, 2).then(() => at.push(Date.now() - began));
    await vi.runAllTimersAsync();
    await done;
  }
  expect(at).toEqual([500, 625, 725]);
});
