/** The clipboard. Browsers let a page write to it over HTTPS and on the machine itself, while somebody presses something. */

/** Whether `text` is in the clipboard now. Rejects where `text` does. */
export async function copy(text: string | Promise<string>): Promise<boolean> {
  const wanted = Promise.resolve(text);
  const plain = wanted.then((given) => new Blob([given], { type: "text/plain" }));
  try {
    // As a promise, because Safari takes nothing once the press is over, and a link is asked for after it.
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": plain })]);
    return true;
  } catch {
    await wanted;
    return false;
  }
}
