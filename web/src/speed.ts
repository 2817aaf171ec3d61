/** How fast bytes go, from what was sent lately, and how long the rest will take. */

const WINDOW_MS = 10_000; // long enough to be steady, short enough to follow a network that changes
const SETTLED_MS = 2_000; // before that a guess is worse than none

export class Speed {
  /** Moments (in milliseconds) and the bytes that were sent until then. */
  private samples: { at: number; bytes: number }[] = [];
  private total = 0;

  /** `bytes` more were sent; fewer than nothing where a part has to be sent again. */
  add(bytes: number, at: number): void {
    if (this.samples.length === 0) this.samples.push({ at, bytes: 0 });
    this.total += bytes;
    const last = this.samples[this.samples.length - 1];
    if (last && at - last.at < 100) last.bytes = this.total;
    else this.samples.push({ at, bytes: this.total });
  }

  /** Nothing is sent for now: the time until the next byte does not count. */
  reset(): void {
    this.samples = [];
    this.total = 0;
  }

  /** Bytes a second over the last seconds; null before that can be told. */
  rate(now: number): number | null {
    while (this.samples.length > 2 && (this.samples[1]?.at ?? now) <= now - WINDOW_MS) this.samples.shift();
    const [first] = this.samples;
    if (!first || now - first.at < SETTLED_MS) return null;
    return Math.max(0, ((this.total - first.bytes) * 1000) / (now - first.at));
  }

  /** Seconds until `bytes` more are sent; null where nobody knows. */
  left(bytes: number, now: number): number | null {
    const rate = this.rate(now);
    return rate === null || rate === 0 ? null : bytes / rate;
  }
}
