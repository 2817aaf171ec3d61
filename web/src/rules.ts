/** What a drop takes, checked and said before anything is sent. The server checks it again. */

import { language } from "./i18n";
import { essence } from "./kinds";

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
  const known = essence(type) || (extension ? null : UNKNOWN);
  const kind = known?.split("/")[0] ?? "";
  return ranges.some((range) => {
    if (range.startsWith(".")) return name.toLowerCase().endsWith(range);
    // What the browser does not know, the server tells by the extension, of which it knows more.
    return known === null || range === "*/*" || range === known || range === `${kind}/*`;
  });
}

// As the API has it (docs/api.md); a token is that of RFC 9110, section 5.6.2.
const TOKEN = "[a-z0-9!#$%&'*+.^_`|~-]+";
const RANGE = new RegExp(`^(?:\\*/\\*|(?!\\*/|\\.)${TOKEN}/${TOKEN})$`);
const EXTENSION = /^(?:\.[a-z0-9][a-z0-9_+~-]*)+$/;

/** Whether these lower-case words are a media range or an extension. */
export function isRange(words: string): boolean {
  return RANGE.test(words) || EXTENSION.test(words);
}

/** A sentence's beginning. */
export function capitalized(text: string): string {
  const [first = ""] = text;
  return first.toLocaleUpperCase(language.value) + text.slice(first.length);
}
