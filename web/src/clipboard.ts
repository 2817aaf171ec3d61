/** Copying text. Browsers have a clipboard for pages over HTTPS and on the machine itself; elsewhere the old way works. */

export async function copy(text: string): Promise<boolean> {
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard) {
    try {
      await clipboard.writeText(text);
      return true;
    } catch {
      // The browser, or whoever uses it, does not allow it. The old way may be open.
    }
  }
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  // Within an open dialog, since nothing behind it can be selected.
  (document.querySelector("dialog:modal") ?? document.body).append(area);
  area.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- there is nothing else without HTTPS
  const done = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return done;
}
