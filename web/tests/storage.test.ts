import { afterEach, expect, test, vi } from "vitest";
import { preferred } from "../src/i18n";
import { read, write } from "../src/storage";
import { forget, remember, token } from "../src/session";

function blocked(): void {
  for (const name of ["localStorage", "sessionStorage"]) {
    vi.stubGlobal(name, undefined);
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get: () => {
        throw new DOMException("The operation is insecure.", "SecurityError");
      },
    });
  }
}

afterEach(() => {
  vi.unstubAllGlobals();
});

test("a browser that keeps nothing shows the page, and knows the token until the tab is left", () => {
  blocked();
  vi.stubGlobal("navigator", { languages: ["de-DE"] });
  expect(preferred()).toBe("de");
  write("localStorage", "key", "value");
  expect(read("localStorage", "key")).toBeNull();
  expect(token()).toBeNull();
  remember("secret");
  expect(token()).toBe("secret");
  forget();
  expect(token()).toBeNull();
});
