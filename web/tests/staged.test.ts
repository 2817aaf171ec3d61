import { expect, test } from "vitest";
import { refusals, type Staged } from "../src/staged";
import { growth, ONCE_EACH } from "./growth";

const RULES = { content_types: [".txt"], max_file_bytes: 10 };

function staged(name: string, size = 1, resumes = false): Staged {
  return { chosen: { file: { name, size, type: "" } as File, path: "" }, resumes };
}

test("places go to those that break no rule, in order; what was begun before has its place", () => {
  const all = [
    staged("large.txt", 11),
    staged("a.txt"),
    staged("b.txt", 1, true),
    staged("c.pdf"),
    staged("d.txt"),
    staged("e.txt"),
  ];
  expect(refusals(all, RULES, 2)).toEqual(["size", null, null, "type", null, "place"]);
  expect(refusals(all, RULES, 0)).toEqual(["size", "place", null, "type", "place", "place"]);
});

test("a folder of many files is looked through once", () => {
  const prepare = (count: number) => {
    const many = Array.from({ length: count }, (_, index) => staged(`${index}.txt`));
    return () => {
      expect(refusals(many, RULES, count / 2).filter((one) => one === null)).toHaveLength(count / 2);
    };
  };
  expect(growth(prepare)).toBeLessThan(ONCE_EACH);
});
