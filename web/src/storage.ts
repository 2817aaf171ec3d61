/** What the browser keeps for this page. Where it keeps nothing (cookies are blocked, or there is no room) the page works all the same. */

export type Where = "localStorage" | "sessionStorage";

export function read(where: Where, key: string): string | null {
  try {
    return globalThis[where].getItem(key);
  } catch {
    return null;
  }
}

/** Null forgets it. */
export function write(where: Where, key: string, value: string | null): void {
  try {
    if (value === null) globalThis[where].removeItem(key);
    else globalThis[where].setItem(key, value);
  } catch {
    // It is known until the page is left.
  }
}
