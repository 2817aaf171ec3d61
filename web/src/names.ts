/** Long names, cut in the middle: what tells files apart is often at the end. */

const TAIL = 10; // characters as people count them: an extension, and a number before it

const segmenter = new Intl.Segmenter();

/** The part that may be cut, and the end that stays. No character is taken apart, however many code points it has. */
export function ends(name: string): [string, string] {
  const characters = Array.from(segmenter.segment(name), ({ segment }) => segment);
  if (characters.length <= 2 * TAIL) return [name, ""];
  return [characters.slice(0, -TAIL).join(""), characters.slice(-TAIL).join("")];
}
