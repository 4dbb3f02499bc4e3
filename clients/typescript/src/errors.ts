import { Code, ConnectError } from "@connectrpc/connect";

import { Reason } from "./_generated/reason.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  LocalizedMessageSchema,
  RetryInfoSchema,
} from "./_generated/protos/google/rpc/error_details_pb.js";
import type { Status } from "./_generated/protos/google/rpc/status_pb.js";

const DOMAIN = "balance.v1";

/** What is wrong with one field of a request. */
export interface Violation {
  field: string;
  description: string;
}

/** A call was refused, or failed. */
export class BalanceError extends ConnectError {
  /**
   * Stable, and what to branch on. One that only a newer service knows is kept as text; empty if
   * the failure is not the service's.
   */
  readonly reason: Reason | (string & {});
  /** The reason's facts, such as `missing`. */
  readonly facts: Readonly<Record<string, string>>;
  /** What is wrong with the request's fields. */
  readonly violations: readonly Violation[];
  /** When to try again, where the service says so. */
  readonly retryAfterMs: number | undefined;
  /** For people, in the language that was asked for; in English if none was. */
  readonly localizedMessage: string;

  constructor(error: ConnectError) {
    super(error.rawMessage, error.code, error.metadata, undefined, error.cause);
    this.details = error.details;
    const info = error.findDetails(ErrorInfoSchema).find((found) => found.domain === DOMAIN);
    const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
    this.reason = info?.reason ?? "";
    this.message = `${this.reason || Code[error.code]}: ${error.rawMessage}`;
    this.facts = info?.metadata ?? {};
    this.violations = error
      .findDetails(BadRequestSchema)
      .flatMap((bad) => bad.fieldViolations)
      .map(({ field, description }) => ({ field, description }));
    this.retryAfterMs = delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6;
    this.localizedMessage =
      error.findDetails(LocalizedMessageSchema)[0]?.message ?? error.rawMessage;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // As Connect's own: a page may have loaded the package twice.
    return value instanceof ConnectError && "reason" in value && "violations" in value;
  }
}

/** The error that a failure stands for. */
export function failed(failure: unknown): BalanceError {
  return failure instanceof BalanceError ? failure : new BalanceError(ConnectError.from(failure));
}

/** The refusal of one item of a batch or a stream. */
export function refusalOf(item: Status): BalanceError {
  const error = new ConnectError(item.message, item.code);
  error.details = item.details.map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    value,
  }));
  return new BalanceError(error);
}

/** Whether a failure passes: the same call may succeed in a moment. */
export function passes(error: BalanceError): boolean {
  switch (error.code) {
    case Code.Unavailable:
      return true;
    case Code.ResourceExhausted:
      // Without a reason it is a limit of the caller's own, such as a message's size.
      return error.reason === Reason.OVERLOADED || error.reason === Reason.QUOTA_EXCEEDED;
    case Code.Canceled:
    case Code.Aborted:
    case Code.Internal:
      // A server, a connection or a stream ended before the answer; the service gives a reason with its
      // own failures.
      return error.reason === "";
    case Code.Unknown:
      // A browser's fetch tells no more of a lost connection.
      return error.reason === "" && error.cause instanceof TypeError;
    default:
      return false;
  }
}
