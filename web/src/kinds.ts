/** What kind of thing a file is, by its type, and by its name where the type says nothing. */

export type Kind = "image" | "audio" | "video" | "pdf" | "text" | "archive" | "other";
/** What the page can show of a file by itself. */
export type Shown = Exclude<Kind, "archive" | "other">;

const ARCHIVES = /^application\/(zip|gzip|x-(tar|7z-compressed|bzip2?|xz|rar.*|zip-compressed|gzip)|vnd\.rar|zstd)$/;
const TEXTS = /^application\/([\w.-]+\+)?(json|xml|yaml|x-yaml|javascript|x-sh|sql|toml|x-ndjson|jsonl)$/;
const EXTENSIONS: readonly [RegExp, Kind][] = [
  [/\.(jpe?g|png|gif|webp|avif|heic|heif|tiff?|svg|bmp)$/i, "image"],
  [/\.(mp3|m4a|ogg|opus|flac|wav|aac)$/i, "audio"],
  [/\.(mp4|mov|webm|mkv|avi|m4v)$/i, "video"],
  [/\.pdf$/i, "pdf"],
  [/\.(txt|md|csv|log|json|ya?ml|xml|html?)$/i, "text"],
  [/\.(zip|tar|tgz|gz|bz2|xz|7z|rar|zst)$/i, "archive"],
];

/** A media type without its parameters, in lower case. */
export function essence(contentType: string): string {
  return (contentType.split(";")[0] ?? "").trim().toLowerCase();
}

export function kindOf(contentType: string, name: string): Kind {
  const type = essence(contentType);
  if (type === "application/pdf") return "pdf";
  if (ARCHIVES.test(type)) return "archive";
  if (TEXTS.test(type)) return "text";
  const [top] = type.split("/");
  if (top === "image" || top === "audio" || top === "video" || top === "text") return top;
  return EXTENSIONS.find(([extension]) => extension.test(name))?.[1] ?? "other";
}

/** How the page can show it; null for what would have to be downloaded. It goes by the declared type, as the server does. */
export function shownAs(contentType: string): Shown | null {
  const kind = kindOf(contentType, "");
  if (kind === "archive" || kind === "other") return null;
  return kind === "image" && /^image\/(svg|.*xml)/i.test(contentType) ? null : kind; // it may have scripts
}
