/** How the time of some work grows with what it works on. Measured side by side, since machines are slow and busy. */

const FEW = 1_000;
const ROUNDS = 5;

/** Ten times as many take this many times as long: 10 where each is looked at once, 100 where each is compared with each. */
export function growth(prepare: (count: number) => () => void): number {
  const least = (count: number) =>
    Math.min(
      ...Array.from({ length: ROUNDS }, () => {
        const work = prepare(count);
        const began = performance.now();
        work();
        return performance.now() - began;
      }),
    );
  least(FEW); // the compiler has seen it
  return least(10 * FEW) / Math.max(least(FEW), 0.05); // clocks of browsers and Node tick every 5 to 100 microseconds
}

export const ONCE_EACH = 45; // between the two, with room for memory and collectors
export const PATIENCE_MS = 60_000; // on a busy machine: it is the growth that says something
