/** Which rows of a long list are seen. Only these are in the document. */

/** Where each row begins, and after the last one where the list ends. */
export function offsets(heights: Iterable<number>): number[] {
  const found = [0];
  let end = 0;
  for (const height of heights) found.push((end += height));
  return found;
}

/** The last row that begins at or before `y`. */
export function rowAt(starts: readonly number[], y: number): number {
  let low = 0;
  let high = Math.max(0, starts.length - 2);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((starts[middle] ?? 0) <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The rows between `top` and `bottom`, with `spare` more on either side: the first one, and the one behind the last. */
export function visible(starts: readonly number[], top: number, bottom: number, spare: number): [number, number] {
  const count = starts.length - 1;
  if (count <= 0) return [0, 0];
  return [Math.max(0, rowAt(starts, top) - spare), Math.min(count, rowAt(starts, bottom) + 1 + spare)];
}

/** The same with the row that has the focus, wherever it is: what is taken out of the document loses the focus. */
export function rendered([first, end]: readonly [number, number], focused: number): number[] {
  const seen = Array.from({ length: end - first }, (_, index) => first + index);
  if (focused < 0 || (focused >= first && focused < end)) return seen;
  return focused < first ? [focused, ...seen] : [...seen, focused];
}
