/** How fast bytes go, from what was sent lately, and how long the rest will take. */

const WINDOW_MS = 10_000; // long enough to be steady, short enough to follow a network that changes
const SETTLED_MS = 2_000; // before that a guess is worse than none
const SAMPLE_MS = 100; // a browser reports each part every 50 ms

export class Speed {
  /** Moments (in milliseconds) and the bytes that were sent until then. */
  private samples: { at: number; bytes: number }[] = [];
  private total = 0;

  /**
   * `bytes` more went over the network. What S3 had before counts for nothing, and what has to be sent again counts each
   * time: the network is as fast as it is, whatever becomes of the bytes.
   */
  add(bytes: number, at: number): void {
    if (bytes <= 0) return;
    const last = this.samples[this.samples.length - 1];
    if (!last) {
      this.samples.push({ at, bytes: 0 }); // nobody knows how long the first bytes took
      return;
    }
    this.total += bytes;
    if (this.samples.length > 1 && at - last.at < SAMPLE_MS) last.bytes = this.total;
    else this.samples.push({ at, bytes: this.total });
  }

  /** Nothing is sent for now: the time until the next byte does not count. */
  reset(): void {
    this.samples = [];
    this.total = 0;
  }

  /** Bytes a second over the last seconds; null before that can be told. */
  rate(now: number): number | null {
    while (this.samples.length > 1 && (this.samples[1]?.at ?? now) <= now - WINDOW_MS) this.samples.shift();
    const [first] = this.samples;
    if (!first || now - first.at < SETTLED_MS) return null;
    // Between two samples nothing was sent, so what lies before the window adds no bytes to it.
    return ((this.total - first.bytes) * 1000) / Math.min(now - first.at, WINDOW_MS);
  }

  /** Seconds until `bytes` more are sent; null where nobody knows. */
  left(bytes: number, now: number): number | null {
    const rate = this.rate(now);
    return rate === null || rate === 0 ? null : bytes / rate;
  }
}
