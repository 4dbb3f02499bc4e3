/** Typed client of the balance service: what Node.js and browsers share. */

export * as freshness from "./freshness.js";
export * as v1 from "./_generated/v1.js";
export { Reason } from "./_generated/reason.js";
export { version } from "./_generated/version.js";
export { type BalanceClient, createBalanceClient, type Options } from "./client.js";
export {
  accessToken,
  type Credentials,
  serviceCredentials,
  userCredentials,
} from "./credentials.js";
export { BalanceError, refusalOf, type Violation } from "./errors.js";
export { each } from "./pages.js";
export { type RetryPolicy, retryPolicy } from "./policy.js";
export { newRequestId } from "./request_id.js";
