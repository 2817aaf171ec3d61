import { expect, test } from "vitest";
import { en, type Message } from "../src/locales/en";

const locales = import.meta.glob<{ default: Record<string, Message> }>(
  ["../src/locales/*.ts", "!../src/locales/en.ts"],
  {
    eager: true,
  },
);
const sources = import.meta.glob<string>(["../src/**/*.{ts,tsx}", "!../src/locales/*", "!../src/contract.ts"], {
  eager: true,
  query: "?raw",
  import: "default",
});
const english: Record<string, Message> = en;

function forms(message: Message): string[] {
  return typeof message === "string" ? [message] : Object.values(message);
}

function placeholders(message: Message): string[] {
  return [...new Set(forms(message).flatMap((form) => form.match(/\{\w+\}/g) ?? []))].sort();
}

/** The names of messages that the code asks for; `*` is what it puts together when it runs. */
function used(): RegExp[] {
  const literal = /["`]((?:[a-z]\w*|\$\{[^}]*\})(?:\.(?:\w|\$\{[^}]*\})+)+)["`]/g;
  return Object.values(sources).flatMap((source) =>
    [...source.matchAll(literal)].map(
      ([, name = ""]) => new RegExp(`^${name.replaceAll(".", "\\.").replace(/\$\{[^}]*\}/g, "\\w+")}$`),
    ),
  );
}

test.each(Object.entries(locales))(
  "%s says all that English says, with the same values",
  (path, { default: locale }) => {
    const code = path.replace(/^.*\/|\.ts$/g, "");
    const categories = new Intl.PluralRules(code).resolvedOptions().pluralCategories;
    expect(Object.keys(locale).sort()).toEqual(Object.keys(english).sort());
    for (const [name, message] of Object.entries(locale)) {
      const original = english[name] ?? "";
      expect(placeholders(message), name).toEqual(placeholders(original));
      expect(typeof message, `${name} has forms for numbers in both`).toBe(typeof original);
      if (typeof message !== "string") expect(Object.keys(message).sort(), name).toEqual([...categories].sort());
      for (const form of forms(message)) expect(form.trim(), name).not.toBe("");
    }
  },
);

test("every message is used", () => {
  const names = used();
  expect(Object.keys(english).filter((name) => !names.some((one) => one.test(name)))).toEqual([]);
});

test("no text bypasses the catalogue", () => {
  const attribute = /\b(?:aria-label|alt|placeholder|title)="[^"]*\p{L}[^"]*"/gu;
  const between = /(?<![=\-])>\s*([^<>{}()=;&|]*\p{L}[^<>{}()=;&|]*)\s*<\/?[a-zA-Z]/gu;
  const found = Object.entries(sources)
    .filter(([path]) => path.endsWith(".tsx"))
    .flatMap(([path, source]) =>
      [...source.matchAll(attribute), ...source.matchAll(between)].map(([text]) => `${path}: ${text.trim()}`),
    );
  // The product's own name is the same in every language.
  expect(found.filter((text) => !/>\s*Sluice\s*</.test(text))).toEqual([]);
});
