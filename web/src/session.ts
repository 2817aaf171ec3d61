/** Who is at the page: an access token for as long as the tab lives, or the capability of a link. */

const KEY = "sluice-token";

/** The capability of `#drop=...` or `#share=...`. It stays in the fragment, which browsers send to nobody. */
export function capability(name: "drop" | "share"): string | null {
  return new URLSearchParams(location.hash.slice(1)).get(name);
}

/** The id of the record that a capability (a JWT, RFC 7519) is for, or null where it is none. The server checks it. */
export function recordOf(capability: string): string | null {
  try {
    const claims = atob((capability.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"));
    const { record } = JSON.parse(claims) as { record?: unknown };
    return typeof record === "string" && /^[0-9a-z]{26}$/.test(record) ? record : null;
  } catch {
    return null;
  }
}

export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

export function remember(given: string): void {
  sessionStorage.setItem(KEY, given);
}

export function forget(): void {
  sessionStorage.removeItem(KEY);
}
