import type { Transport } from "@connectrpc/connect";

import { createServices, type Services } from "./_generated/services.js";
import { AuthService } from "./_generated/v1.js";
import { calling } from "./calls.js";
import type { Credentials } from "./credentials.js";
import { type RetryPolicy, retryPolicy } from "./policy.js";
import { createServiceClient } from "./service_client.js";

/** A client of the service: an object for each service of the contract. */
export type BalanceClient = Services;

/** How a client calls. */
export interface Options {
  /** Who calls; without it, only public methods can be called. */
  credentials?: Credentials;
  /** Of the messages for people in errors, as in HTTP's accept-language, such as "ru". */
  language?: string;
  /** How failed calls are repeated; as the published service config says, unless told otherwise. */
  policy?: Partial<RetryPolicy>;
}

/**
 * Makes a client on a transport of Connect's.
 *
 * @param transport - Where calls go: each attempt, with its request id and its token. Its
 *   interceptors see them.
 * @param options - How the client calls.
 */
export function createBalanceClient(transport: Transport, options: Options = {}): BalanceClient {
  const { credentials, language = "" } = options;
  const policy = { ...retryPolicy, ...options.policy };
  const anybody = calling(transport, { policy, language });
  const auth = createServiceClient(AuthService, anybody);
  const somebody = credentials
    ? calling(transport, { policy, language, credentials: { who: credentials, auth } })
    : anybody;
  return { ...createServices(somebody), auth };
}
