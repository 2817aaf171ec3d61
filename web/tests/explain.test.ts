import { beforeEach, expect, test, vi } from "vitest";
import document from "../../docs/api.md?raw";
import { Problem } from "../src/api";
import { canRetry, explain } from "../src/explain";
import { Altered, Broken, Changed, Refused, Withdrawn } from "../src/failures";
import { speak } from "../src/i18n";
import { Unreachable } from "../src/patience";

beforeEach(async () => {
  vi.stubGlobal("navigator", { onLine: true });
  vi.stubGlobal("document", { documentElement: {} });
  await speak("en");
});

/** The codes of docs/api.md, with their status. */
const documented = document.split("### Reasons")[0]?.matchAll(/^\| ((?:`\w+`(?:, )?)+) \| (\d+)/gm);
const problems = [...(documented ?? [])].flatMap(([, codes, status]) =>
  [...(codes ?? "").matchAll(/`(\w+)`/g)].map(([, code]) => [code ?? "", Number(status)] as const),
);
const toPeople = problems.filter(([code]) => code !== "invalid_request"); // which names its fields in its own words

test("the document lists the problems", () => {
  expect(problems.length).toBeGreaterThan(45);
});

test.each(toPeople)(
  "%s is told in the page's own words, in each language, to owners, guests and recipients",
  async (code, status) => {
    const members = { limit: 1_000_000, size: 3_200_000, used: 5, allowed: ["image/*"], content_type: "text/plain" };
    const error = new Problem(status, code, "words of the server", members);
    for (const language of ["en", "de"]) {
      await speak(language);
      for (const reader of ["owner", "guest", "recipient"] as const) {
        const said = explain(error, reader);
        expect(said).not.toContain("words of the server");
        expect(said).not.toMatch(/[{}]|undefined/);
        expect(said).toMatch(/\.$/);
      }
    }
  },
);

test("limits are told with both numbers", async () => {
  const large = new Problem(413, "file_too_large", "", { limit: 1_000_000, size: 3_200_000 });
  expect(explain(large)).toBe("Files may be at most 1 MB; this one is 3.2 MB.");
  await speak("de");
  expect(explain(large)).toBe("Dateien dürfen höchstens 1 MB groß sein; diese hat 3,2 MB.");
  await speak("en");
  const type = { allowed: ["image/*", "application/pdf", ".heic"], content_type: "text/plain; charset=utf-8" };
  expect(explain(new Problem(415, "content_type_refused", "", type), "guest")).toBe(
    "Only these are accepted: images, PDF files, and .heic files. This file is of the type text/plain.",
  );
  const full = { quota: "bytes", limit: 5e9, used: 4.9e9 };
  expect(explain(new Problem(403, "quota_exceeded", "", full))).toContain("4.9 GB of 5 GB are used");
  expect(explain(new Problem(403, "quota_exceeded", "", {}), "guest")).toContain("no storage left");
});

test("who has a link is sent to whoever gave it, and an owner to sign in", () => {
  expect(explain(new Problem(401, "unauthorized", ""))).toContain("Sign in");
  expect(explain(new Problem(401, "unauthorized", ""), "guest")).toContain("Open it again");
  expect(explain(new Problem(403, "expired_capability", ""), "guest")).toContain("Ask the person who gave it to you");
});

test("a file that changed is no fault of the network, and neither is a device that is offline one of the server", () => {
  expect(explain(new Changed())).toContain("Choose it again");
  expect(explain(new Unreachable("S3"))).toContain("cannot be reached");
  vi.stubGlobal("navigator", { onLine: false });
  expect(explain(new Unreachable("S3"))).toContain("You are offline");
});

test("gateways, which know no codes, are understood by their status", () => {
  expect(explain(new Problem(503, "", "The server answered 503."))).toContain("busy");
  expect(explain(new Problem(429, "", "The server answered 429."))).toContain("busy");
  expect(explain(new Problem(429, "too_many_streams", ""), "recipient")).toContain("busy");
  expect(explain(new Problem(413, "", ""))).toContain("more than the server takes");
  expect(explain(new Problem(502, "", ""))).toContain("502");
});

test.each<[error: unknown, helps: boolean]>([
  [new Unreachable("S3"), true],
  [new Altered(4), true],
  [new Refused(403, "AccessDenied"), true],
  [new Problem(503, "busy", ""), true],
  [new Problem(500, "internal_error", ""), true],
  [new Problem(403, "quota_exceeded", ""), true],
  [new Problem(422, "digest_mismatch", ""), true],
  [new Changed(), false],
  [new Withdrawn(), false],
  [new Broken(), false],
  [new Problem(413, "file_too_large", ""), false],
  [new Problem(415, "content_type_refused", ""), false],
  [new Problem(403, "drop_full", ""), false],
  [new Problem(404, "drop_not_found", ""), false],
  [new Problem(422, "invalid_filename", ""), false],
  [new Problem(429, "too_many_tries", ""), false],
])("trying %s again helps: %s", (error, helps) => {
  expect(canRetry(error)).toBe(helps);
});
