/** Media types, ranges of them, and extensions, as people call them. */

import { language, t } from "./i18n";

const MOST_SAID = 10; // of types, in one sentence

/** `images, PDF files and .heic files` */
export function inWords(ranges: readonly string[]): string {
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
