/** How many bytes of parts may be in memory at once, over all files. */

export class Budget {
  private used = 0;
  private readonly waiting: { bytes: number; begin: () => void }[] = [];

  constructor(private readonly bytes: number) {}

  /**
   * Resolves when there is room, in the order of asking, with what gives the room back. A part larger than the whole
   * budget gets its room when nothing else is in memory.
   */
  take(bytes: number, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const entry = {
        bytes,
        begin: () => {
          signal.removeEventListener("abort", leave);
          this.used += bytes;
          resolve(() => {
            this.used -= bytes;
            this.admit();
          });
        },
      };
      const leave = () => {
        this.waiting.splice(this.waiting.indexOf(entry), 1);
        reject(signal.reason as Error);
        this.admit();
      };
      signal.addEventListener("abort", leave, { once: true });
      this.waiting.push(entry);
      this.admit();
    });
  }

  private admit(): void {
    for (;;) {
      const [first] = this.waiting;
      if (!first || (this.used > 0 && this.used + first.bytes > this.bytes)) return;
      this.waiting.shift();
      first.begin();
    }
  }
}
