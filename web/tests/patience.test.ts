import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { patiently, pause, Unreachable } from "../src/patience";

const passing = (error: unknown) => error instanceof Unreachable;
const network = new EventTarget();

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("navigator", { onLine: true });
  vi.stubGlobal("addEventListener", network.addEventListener.bind(network));
  vi.stubGlobal("removeEventListener", network.removeEventListener.bind(network));
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
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
