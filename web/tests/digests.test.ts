import { expect, test } from "vitest";
import { digestsOf } from "../src/digests";

test("the SHA-256 comes first, wherever the server has it", () => {
  expect(digestsOf({ digests: { md5: "1", "sha-256": "2", crc64nvme: "3" } })).toEqual([
    ["SHA-256", "2"],
    ["MD5", "1"],
    ["CRC64NVME", "3"],
  ]);
});
