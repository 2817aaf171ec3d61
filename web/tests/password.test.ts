import { expect, test } from "vitest";
import { suggest } from "../src/password";

test("a password can be read out, and none comes twice", () => {
  const made = Array.from({ length: 200 }, suggest);
  for (const one of made) expect(one).toMatch(/^([a-hjkmnp-z2-9]{4}-){3}[a-hjkmnp-z2-9]{4}$/);
  expect(new Set(made).size).toBe(200);
  const letters = new Set(made.join("").replaceAll("-", ""));
  expect(letters.size).toBe(31);
});
