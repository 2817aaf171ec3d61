/** Who is at the page: an access token for as long as the tab lives, or the capability of a link. */

const KEY = "sluice-token";

/** The capability of `#drop=...`. It stays in the fragment, which browsers send to nobody. */
export function drop(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get("drop");
}

/** The capability of `#share=...`, in the same way. */
export function share(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get("share");
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
