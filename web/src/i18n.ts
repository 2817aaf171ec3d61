/** What the page says, in the language of who reads it. A language is one file in `locales/`, loaded when it is spoken. */

import { computed, signal } from "@preact/signals";
import { read, write } from "./storage";
import { en, type MessageName, type Messages } from "./locales/en";

const KEY = "sluice-language";
const others = import.meta.glob<{ default: Messages }>(["./locales/*.ts", "!./locales/en.ts"]);

/** Codes of RFC 5646, English first. */
export const languages = ["en", ...Object.keys(others).map((path) => path.slice("./locales/".length, -".ts".length))];

const catalogue = signal<Messages>(en);
export const language = signal("en");
const plurals = computed(() => new Intl.PluralRules(language.value));
const numbers = computed(() => new Intl.NumberFormat(language.value));

type Values = Record<string, string | number>;

/** The message, with `{name}` replaced by a value. Where it has several forms, `count` says which one is right. */
export function t(name: MessageName, values: Values = {}): string {
  const message = catalogue.value[name];
  const form = typeof message === "string" ? message : pluralForm(message, Number(values.count));
  return form.replace(/\{(\w+)\}/g, (placeholder, key: string) => {
    const value = values[key];
    return typeof value === "number" ? numbers.value.format(value) : (value ?? placeholder);
  });
}

function pluralForm(forms: Exclude<Messages[MessageName], string>, count: number): string {
  return forms[plurals.value.select(count)] ?? forms.other;
}

/** The language that was chosen here before, else the first of the browser's that the page speaks. */
export function preferred(): string {
  const wanted = [read("localStorage", KEY) ?? "", ...navigator.languages];
  const known = wanted.map((code) => languages.find((one) => code === one || code.startsWith(`${one}-`)));
  return known.find((code) => code !== undefined) ?? "en";
}

/** The language that could not be loaded: the page goes on in the one that it speaks. */
export const missing = signal<string | null>(null);

/** Speaks this language from now on, in the whole page. */
export async function speak(code: string): Promise<void> {
  try {
    catalogue.value = code === "en" ? en : ((await others[`./locales/${code}.ts`]?.())?.default ?? en);
  } catch {
    missing.value = code;
    return;
  }
  missing.value = null;
  language.value = code;
  document.documentElement.lang = code;
}

/** Speaks it, and does so the next time as well. */
export async function choose(code: string): Promise<void> {
  write("localStorage", KEY, code);
  await speak(code);
}
