import { expect, test } from "vitest";
import { ownerOf, recordOf } from "../src/session";

function jwt(claims: object): string {
  return `x.${btoa(JSON.stringify(claims)).replaceAll("=", "")}.y`;
}

test("links say in whose name they work, whatever else they are for", () => {
  const link = (claims: object) => `https://stream.example/events?capability=${jwt(claims)}&q=1`;
  expect(ownerOf(link({ sub: "ada", use: "feed", exp: 1 }))).toBe(ownerOf(link({ sub: "ada", exp: 2 })));
  expect(ownerOf(link({ sub: "ada" }))).not.toBe(ownerOf(link({ sub: "ben" })));
  expect(ownerOf("https://stream.example/events")).toBeNull();
});

test("what is no capability has no record", () => {
  for (const broken of ["nonsense", "", "x.y.z", jwt({}), jwt({ record: "../files" })])
    expect(recordOf(broken)).toBeNull();
  expect(recordOf(jwt({ record: "01m7z2a3z8163h38qzq6y7y8bz" }))).toBe("01m7z2a3z8163h38qzq6y7y8bz");
});
