/** How fresh a read is to be, and what the service says of how fresh it is. */

/** What a call asks for. */
export interface Wanted {
  /** How old its answer may be, up to an hour; without it, the primary answers. */
  maxStalenessMs?: number;
  /**
   * Ids of movements, and positions of earlier answers, which it has to show, ten of both at most.
   * Where it is empty, the answer's position is told all the same.
   */
  atLeast?: readonly string[];
}

/** What the service says of an answer. */
export interface Freshness {
  /** Whether a standby answered. */
  standby: boolean;
  /** Up to when a standby's answer is complete; none from the primary, which leaves nothing out. */
  asOf: Date | undefined;
  /**
   * Before which everything lies that the answer shows, for `atLeast` of the next call; empty if
   * `atLeast` was not sent.
   */
  position: string;
}

/** The `headers` of a call whose answer may be stale, or has to show something. */
export function ask({ maxStalenessMs, atLeast }: Wanted): Headers {
  const headers = new Headers();
  if (maxStalenessMs !== undefined) {
    headers.set("balance-max-staleness", `${(maxStalenessMs / 1000).toFixed(6)}s`);
  }
  if (atLeast) {
    headers.set("balance-at-least", atLeast.join());
  }
  return headers;
}

/** What the trailer of a call says, which its `onTrailer` is given. */
export function read(trailer: Headers): Freshness {
  const asOf = trailer.get("balance-as-of");
  return {
    standby: trailer.get("balance-read-from") === "standby",
    asOf: asOf ? new Date(asOf) : undefined,
    position: trailer.get("balance-position") ?? "",
  };
}
