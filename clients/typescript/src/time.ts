import { Code, ConnectError } from "@connectrpc/connect";

// Timers take no more.
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The time of one call, on the monotonic clock. */
export class CallTime {
  private readonly end: number;

  /** @param timeoutMs - How long; none of it or less means no limit, as in Connect. */
  constructor(timeoutMs: number) {
    this.end = timeoutMs > 0 ? performance.now() + timeoutMs : Infinity;
  }

  /** What is left of it. */
  get leftMs(): number {
    return Math.max(this.end - performance.now(), 0);
  }

  /** What is left of it, as a transport takes it: whole milliseconds, or 0 for no limit. */
  get timeoutMs(): number {
    return this.end === Infinity ? 0 : Math.max(Math.ceil(this.leftMs), 1);
  }
}

/** Waits, unless the signal ends the call. */
export async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  const slept = new Promise<void>((resolve) => setTimeout(resolve, ms));
  await within(slept, Infinity, signal);
}

/** The result of something that goes on by itself, if it comes in time. */
export async function within<Result>(
  running: Promise<Result>,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<Result> {
  let stop = () => {};
  const givenUp = new Promise<never>((_, reject) => {
    const late = () => reject(new ConnectError("the call's time is over", Code.DeadlineExceeded));
    const cancelled = () => reject(ConnectError.from(signal?.reason, Code.Canceled));
    const timer = ms === Infinity ? undefined : setTimeout(late, Math.min(ms, TIMER_MS_MAX));
    signal?.addEventListener("abort", cancelled);
    stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancelled);
    };
    if (signal?.aborted) {
      cancelled();
    }
  });
  try {
    return await Promise.race([running, givenUp]);
  } finally {
    stop();
  }
}
