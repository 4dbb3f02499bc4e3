import { serviceConfig } from "./_generated/service_config.js";
import { type BalanceError, passes } from "./errors.js";
import { requestId } from "./request_id.js";

// What clients in any language follow, made from the contract.
const published = serviceConfig.methodConfig[0]!;
const repeatableMethods = new Set(published.name.map((name) => `${name.service}/${name.method}`));

/** How failed calls are repeated. */
export interface RetryPolicy {
  /** Attempts in all, the first included. */
  attemptsMax: number;
  /** The longest pause after the first attempt; it doubles with each. */
  backoffMs: number;
  /** The longest pause at all. */
  backoffMsMax: number;
  /** For all attempts of a call that is given no timeoutMs. */
  timeoutMs: number;
}

/** What the published service config says. */
export const retryPolicy: Readonly<RetryPolicy> = {
  attemptsMax: published.retryPolicy.maxAttempts,
  backoffMs: milliseconds(published.retryPolicy.initialBackoff),
  backoffMsMax: milliseconds(published.retryPolicy.maxBackoff),
  timeoutMs: milliseconds(published.timeout),
};

function milliseconds(text: string): number {
  return Number.parseFloat(text) * 1000;
}

/** Whether a call may be sent again: it changes nothing, or its request carries an id. */
export function repeatable(service: string, method: string, message: object): boolean {
  return repeatableMethods.has(`${service}/${method}`) && requestId(message) !== "";
}

/**
 * How long to wait after an attempt, counted from 1. Its jitter is full: callers refused together do
 * not come back together.
 */
export function pauseMs(policy: RetryPolicy, made: number, error: BalanceError): number {
  const longest = Math.min(policy.backoffMs * 2 ** (made - 1), policy.backoffMsMax);
  return Math.max(Math.random() * longest, error.retryAfterMs ?? 0);
}

/** Whether an attempt, counted from 1, may be followed by another. */
export function mayFollow(policy: RetryPolicy, made: number, error: BalanceError): boolean {
  return made < policy.attemptsMax && passes(error);
}
