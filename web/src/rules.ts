/** What a drop takes, checked and said before anything is sent. The server checks it again. */

import { language, t } from "./i18n";

const MOST_SAID = 10; // of types, in one sentence
const UNKNOWN = "application/octet-stream";

/** Of a drop (docs/api.md): media ranges and extensions, and bytes. Null where everything is taken. */
export interface Rules {
  content_types: string[] | null;
  max_file_bytes: number | null;
}

export type Broken = "size" | "type";

/** The rule that this file breaks; null where it breaks none that can be told here. */
export function broken(rules: Rules, file: Pick<File, "name" | "size" | "type">): Broken | null {
  if (rules.max_file_bytes !== null && file.size > rules.max_file_bytes) return "size";
  return rules.content_types !== null && !takes(rules.content_types, file.name, file.type) ? "type" : null;
}

function takes(ranges: string[], name: string, type: string): boolean {
  const extension = /.\.[^.]+$/.test(name);
  const essence = (type.split(";")[0] ?? "").trim().toLowerCase() || (extension ? null : UNKNOWN);
  const kind = essence?.split("/")[0] ?? "";
  return ranges.some((range) => {
    if (range.startsWith(".")) return name.toLowerCase().endsWith(range);
    // What the browser does not know, the server tells by the extension, of which it knows more.
    return essence === null || range === "*/*" || range === essence || range === `${kind}/*`;
  });
}

/** `images, PDF files and .heic files` */
export function inWords(ranges: string[]): string {
  const said = ranges.slice(0, MOST_SAID).map(kindInWords);
  if (ranges.length > MOST_SAID) said.push(t("rules.others", { count: ranges.length - MOST_SAID }));
  return new Intl.ListFormat(language.value, { type: "conjunction" }).format(said);
}

const KINDS = {
  "*/*": "rules.all",
  "image/*": "rules.images",
  "video/*": "rules.videos",
  "audio/*": "rules.audio",
  "text/*": "rules.texts",
  "font/*": "rules.fonts",
  "text/plain": "rules.plain_text",
} as const;

function kindInWords(range: string): string {
  const name = KINDS[range as keyof typeof KINDS] as (typeof KINDS)[keyof typeof KINDS] | undefined;
  if (name) return t(name);
  const [kind = "", subtype = ""] = range.split("/");
  // `image/svg+xml` is called SVG; `application/vnd.oasis.opendocument.text` is called nothing shorter.
  const short = (subtype.split("+")[0] ?? "").toUpperCase();
  const named = /^[A-Z0-9]{2,5}$/.test(short);
  if (named && kind === "image") return t("rules.image", { name: short });
  if (named && kind === "video") return t("rules.video", { name: short });
  if (named && kind === "application") return t("rules.files", { name: short });
  return t("rules.files", { name: range });
}

/** A sentence's beginning. */
export function capitalized(text: string): string {
  const [first = ""] = text;
  return first.toLocaleUpperCase(language.value) + text.slice(first.length);
}
