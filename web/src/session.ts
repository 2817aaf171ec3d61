/** Who is at the page: an access token for as long as the tab lives, or the capability of a link. */

const KEY = "sluice-token";

/** The capability of `#drop=...` or `#share=...`. It stays in the fragment, which browsers send to nobody. */
export function capability(name: "drop" | "share"): string | null {
  return new URLSearchParams(location.hash.slice(1)).get(name);
}

/** The id of the share or the drop that a capability (a JWT, RFC 7519) is for, or null where it is none. The server checks it. */
export function recordOf(capability: string): string | null {
  const { drop, record = drop } = claimsOf(capability);
  return typeof record === "string" && /^[0-9a-z]{26}$/.test(record) ? record : null;
}

/** When a capability ends, as RFC 3339 has it; null where it does not say. */
export function endOf(capability: string): string | null {
  const { exp } = claimsOf(capability);
  return typeof exp === "number" ? new Date(exp * 1000).toISOString() : null;
}

function claimsOf(capability: string): Record<string, unknown> {
  try {
    const claims = atob((capability.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(claims) as Record<string, unknown>;
  } catch {
    return {};
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
