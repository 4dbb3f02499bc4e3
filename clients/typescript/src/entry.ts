import { type Client, Code } from "@connectrpc/connect";

import { Reason } from "./_generated/reason.js";
import type { AuthService } from "./_generated/v1.js";
import type { Credentials } from "./credentials.js";
import type { BalanceError } from "./errors.js";
import type { RetryPolicy } from "./policy.js";

/** What the calls of a client share. */
export interface Caller {
  policy: RetryPolicy;
  /** As in HTTP's accept-language; empty for none. */
  language: string;
  /** Who calls, and whom they ask for tokens; none for public methods only. */
  credentials?: { who: Credentials; auth: Client<typeof AuthService> };
}

/** How one call gets in: its headers, with a token that is renewed once if it is refused. */
export class Entry {
  private readonly given: Headers;
  private readonly credentials: Caller["credentials"];
  private token = "";
  private renewed = false;

  constructor(caller: Caller, header: HeadersInit | undefined) {
    this.given = new Headers(header);
    if (caller.language && !this.given.has("accept-language")) {
      this.given.set("accept-language", caller.language);
    }
    // A caller's own token is the caller's affair.
    this.credentials = this.given.has("authorization") ? undefined : caller.credentials;
  }

  /** The headers to send now. */
  async headers(timeoutMs: number, signal: AbortSignal | undefined): Promise<Headers> {
    if (!this.credentials) {
      return this.given;
    }
    const { who, auth } = this.credentials;
    this.token = await who.token(auth, timeoutMs, signal);
    const headers = new Headers(this.given);
    headers.set("authorization", `Bearer ${this.token}`);
    return headers;
  }

  /** Whether a failed call is worth another attempt with another token. */
  renews(error: BalanceError): boolean {
    const refused =
      error.code === Code.Unauthenticated &&
      (error.reason === Reason.TOKEN_INVALID || error.reason === Reason.TOKEN_EXPIRED);
    if (!this.credentials || this.renewed || !refused) {
      return false;
    }
    this.renewed = true;
    return this.credentials.who.refused(this.token);
  }
}
