import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Download, Downloads } from "../src/downloads";

const BEGUN: Download = { id: "file", download: "1", share: null, sent_bytes: 10, size: 100, ended: null };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("what the feed repeats changes nothing", () => {
  const downloads = new Downloads();
  downloads.put({ ...BEGUN, sent_bytes: 50 });
  downloads.put(BEGUN);
  expect(downloads.of("file").value?.sent_bytes).toBe(50);
  downloads.put({ ...BEGUN, sent_bytes: 100, ended: "complete" });
  downloads.put({ ...BEGUN, sent_bytes: 60 });
  expect(downloads.of("file").value?.ended).toBe("complete");
});

test("the end of a download is shown for a moment, and not once more when it is told again", () => {
  const downloads = new Downloads();
  const ended = { ...BEGUN, sent_bytes: 100, ended: "complete" } as const;
  downloads.put(ended);
  vi.advanceTimersByTime(11_000);
  downloads.put(ended);
  expect(downloads.of("file").value).toBeNull();
});

test("a download whose sender died is not shown for ever", () => {
  const downloads = new Downloads();
  downloads.put(BEGUN);
  vi.advanceTimersByTime(61_000);
  expect(downloads.of("file").value).toBeNull();
});
