/** Copying text. Browsers have a clipboard for pages over HTTPS and on the machine itself; elsewhere the old way works. */

/** Whether `text` is in the clipboard now. Rejects where `text` does. */
export async function copy(text: string | Promise<string>): Promise<boolean> {
  const wanted = Promise.resolve(text);
  const plain = wanted.then((given) => new Blob([given], { type: "text/plain" }));
  try {
    // As a promise, because Safari takes nothing once the press is over, and a link is asked for after it.
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": plain })]);
    return true;
  } catch {
    return oldWay(await wanted); // the browser, or whoever uses it, does not allow it
  }
}

function oldWay(text: string): boolean {
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
