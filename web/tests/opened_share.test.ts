import { expect, test } from "vitest";
import type { Api } from "../src/api";
import type { OpenedShare, OpenShare } from "../src/contract";
import { Opened } from "../src/opened_share";

test("who asks twice for more gets it once", async () => {
  const page = (id: string, next: string | null) =>
    ({ files: [{ id, size: 10 }], next, links: { archive: "https://stream.example/a" } }) as unknown as OpenedShare;
  const api = {
    openShare: (_: string, { cursor }: OpenShare) => Promise.resolve(cursor === "1" ? page("b", null) : page("a", "1")),
  } as unknown as Api;
  const opened = await Opened.open(api, "share");
  await Promise.all([opened.more(), opened.more()]);
  expect(opened.files.value.map(({ id }) => id)).toEqual(["a", "b"]);
  expect(opened.size.value).toBe(20);
});

test("pages whose files were all deleted since are passed over", async () => {
  const pages: Record<string, OpenedShare> = {
    "": { files: [], next: "1" } as unknown as OpenedShare,
    "1": { files: [{ id: "a", size: 1 }], next: "2" } as unknown as OpenedShare,
    "2": { files: [], next: "3" } as unknown as OpenedShare,
    "3": { files: [{ id: "b", size: 1 }], next: null } as unknown as OpenedShare,
  };
  const answer = ({ cursor }: OpenShare) => ({
    ...pages[cursor ?? ""],
    links: { archive: "https://stream.example/a" },
  });
  const api = { openShare: (_: string, body: OpenShare) => Promise.resolve(answer(body)) } as unknown as Api;
  const opened = await Opened.open(api, "share");
  expect(opened.files.value.map(({ id }) => id)).toEqual(["a"]);
  expect((await opened.more())?.id).toBe("b");
});
