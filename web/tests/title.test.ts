import { beforeEach, expect, test, vi } from "vitest";

beforeEach(() => {
  vi.stubGlobal("document", { title: "Sluice" });
});

test("the title follows the place and the progress, whichever changes", async () => {
  const { at, going } = await import("../src/title");
  at("Files");
  expect(document.title).toBe("Files · Sluice");
  going("43%");
  expect(document.title).toBe("43% · Files · Sluice");
  at("Shares");
  expect(document.title).toBe("43% · Shares · Sluice");
  going(null);
  expect(document.title).toBe("Shares · Sluice");
});
