/** Trying again what may pass: a lost connection, a busy service. */

const FIRST_PAUSE_MS = 500; // doubled after each attempt
const LONGEST_ASKED_MS = 20_000; // that a server may ask for: somebody is waiting
const SPREAD = 0.5; // of a pause, at random: pages that were refused together do not all come back together

/** An error that says how long to wait at least. */
export interface Waiting {
  readonly waitMs: number;
}

/** Nothing answered: this device is offline, the server is away, or its cross-origin rules leave this page out. */
export class Unreachable extends Error {
  constructor(readonly host: string) {
    super(`${host} cannot be reached`);
  }
}

/** `work` until it succeeds, fails for good, or has failed `attempts` times. Time without a network does not count. */
export async function patiently<T>(
  work: () => Promise<T>,
  passes: (error: unknown) => boolean,
  attempts: number,
  signal?: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    await online(signal);
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt >= attempts || !passes(error)) throw error;
      const asked = Math.min((error as Partial<Waiting>).waitMs ?? 0, LONGEST_ASKED_MS);
      await pause(Math.max(FIRST_PAUSE_MS * 2 ** (attempt - 1), asked) * (1 + SPREAD * Math.random()), signal);
    }
  }
}

export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return until(signal, (done) => {
    const timer = setTimeout(done, milliseconds);
    return () => clearTimeout(timer);
  });
}

async function online(signal?: AbortSignal): Promise<void> {
  if (navigator.onLine) return;
  await until(signal, (done) => {
    addEventListener("online", done);
    return () => removeEventListener("online", done);
  });
}

/** Waits for what `listen` listens for. Rejects when the signal says stop; either way nothing goes on listening. */
function until(signal: AbortSignal | undefined, listen: (done: () => void) => () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      leave();
      reject(signal?.reason as Error);
    };
    const leave = listen(() => {
      signal?.removeEventListener("abort", stop);
      leave();
      resolve();
    });
    signal?.addEventListener("abort", stop, { once: true });
  });
}
