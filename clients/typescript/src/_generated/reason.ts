// Made from protos/ by `make protos`.

/** The reason of a refusal: stable, and equal to its name as a string. */
export const Reason = {
  /**
   * INVALID_ARGUMENT. A field is missing or malformed; BadRequest names each
   * field. Send a corrected request. No text may hold characters that are not
   * seen or change how the rest is shown, such as U+202E; texts are kept as they
   * are sent, not normalised.
   */
  INVALID_FIELD: "INVALID_FIELD",
  /**
   * INVALID_ARGUMENT. The bytes are not a message of the method's type; over
   * HTTP also: the head is in doubt or, with status 431, too large, and
   * BadRequest names the header.
   */
  MALFORMED_REQUEST: "MALFORMED_REQUEST",
  /**
   * INVALID_ARGUMENT. The page token was not made by this method for these
   * filters and this order. Start again from the first page.
   */
  PAGE_TOKEN_INVALID: "PAGE_TOKEN_INVALID",
  /**
   * UNAUTHENTICATED. The call needs an access token and carries none.
   */
  TOKEN_MISSING: "TOKEN_MISSING",
  /**
   * UNAUTHENTICATED. The access token is forged, malformed, of another
   * audience or revoked. Sign in again.
   */
  TOKEN_INVALID: "TOKEN_INVALID",
  /**
   * UNAUTHENTICATED. The access token has expired. Refresh it.
   */
  TOKEN_EXPIRED: "TOKEN_EXPIRED",
  /**
   * UNAUTHENTICATED. The confirmation code is wrong, used, expired or was
   * tried too often. Ask for a new one.
   */
  CONFIRMATION_CODE_INVALID: "CONFIRMATION_CODE_INVALID",
  /**
   * UNAUTHENTICATED. The client id is unknown or its secret is wrong.
   */
  CLIENT_CREDENTIALS_INVALID: "CLIENT_CREDENTIALS_INVALID",
  /**
   * UNAUTHENTICATED. The refresh token is unknown, expired, revoked, or was
   * used before; in the last case its whole family is revoked now.
   */
  REFRESH_TOKEN_INVALID: "REFRESH_TOKEN_INVALID",
  /**
   * PERMISSION_DENIED. The caller's role or scopes do not allow this method;
   * metadata names what is required.
   */
  PERMISSION_MISSING: "PERMISSION_MISSING",
  /**
   * RESOURCE_EXHAUSTED. Too many confirmation codes were asked for, or tried
   * without a verification_id; RetryInfo says how long to wait.
   */
  CONFIRMATION_CODE_LIMIT: "CONFIRMATION_CODE_LIMIT",
  /**
   * UNAUTHENTICATED. The user has a second factor, and no code of it was sent.
   * Send the same request with second_factor_code.
   */
  SECOND_FACTOR_REQUIRED: "SECOND_FACTOR_REQUIRED",
  /**
   * UNAUTHENTICATED. The code of the second factor is wrong or was used. The
   * next code of the authenticator may be tried.
   */
  SECOND_FACTOR_INVALID: "SECOND_FACTOR_INVALID",
  /**
   * RESOURCE_EXHAUSTED. Too many wrong codes of the second factor were tried;
   * RetryInfo says how long to wait.
   */
  SECOND_FACTOR_LIMIT: "SECOND_FACTOR_LIMIT",
  /**
   * ALREADY_EXISTS. The user has a second factor, which must be removed before
   * another is enrolled.
   */
  SECOND_FACTOR_ENROLLED: "SECOND_FACTOR_ENROLLED",
  /**
   * NOT_FOUND. There is no such user, as far as the caller may know.
   */
  USER_NOT_FOUND: "USER_NOT_FOUND",
  /**
   * ALREADY_EXISTS. Another user has this username.
   */
  USERNAME_TAKEN: "USERNAME_TAKEN",
  /**
   * PERMISSION_DENIED. An admin disabled the user, who may not sign in until
   * they are enabled.
   */
  USER_DISABLED: "USER_DISABLED",
  /**
   * NOT_FOUND. The caller has no such sign-in.
   */
  SESSION_NOT_FOUND: "SESSION_NOT_FOUND",
  /**
   * ALREADY_EXISTS. Another user has this address.
   */
  EMAIL_TAKEN: "EMAIL_TAKEN",
  /**
   * FAILED_PRECONDITION. The user was erased: nothing personal is kept of them,
   * and nothing of them can be changed.
   */
  USER_ERASED: "USER_ERASED",
  /**
   * ABORTED. The resource was changed since the given etag was read. Read it
   * again.
   */
  ETAG_MISMATCH: "ETAG_MISMATCH",
  /**
   * NOT_FOUND. There is no such account, as far as the caller may know.
   */
  ACCOUNT_NOT_FOUND: "ACCOUNT_NOT_FOUND",
  /**
   * FAILED_PRECONDITION. The account is frozen; no money enters or leaves or,
   * where the metadata's scope is DEBITS, none leaves.
   */
  ACCOUNT_FROZEN: "ACCOUNT_FROZEN",
  /**
   * FAILED_PRECONDITION. The account is closed, until an operator reopens it.
   */
  ACCOUNT_CLOSED: "ACCOUNT_CLOSED",
  /**
   * FAILED_PRECONDITION. An account must be empty before it is closed.
   */
  ACCOUNT_NOT_EMPTY: "ACCOUNT_NOT_EMPTY",
  /**
   * FAILED_PRECONDITION. The movement would take the account below its limit;
   * metadata gives available, required and missing amounts.
   */
  INSUFFICIENT_FUNDS: "INSUFFICIENT_FUNDS",
  /**
   * FAILED_PRECONDITION. The movement's currency is not the account's.
   */
  CURRENCY_MISMATCH: "CURRENCY_MISMATCH",
  /**
   * INVALID_ARGUMENT. A transfer's two accounts are one.
   */
  SAME_ACCOUNT: "SAME_ACCOUNT",
  /**
   * FAILED_PRECONDITION. The movement would take a balance beyond what the
   * ledger can hold.
   */
  BALANCE_OVERFLOW: "BALANCE_OVERFLOW",
  /**
   * FAILED_PRECONDITION. The account already owes more than the new limit.
   */
  LIMIT_BELOW_BALANCE: "LIMIT_BELOW_BALANCE",
  /**
   * FAILED_PRECONDITION. The receiving account cannot take the transfer. Only
   * who may read that account is told why: whether there is none, or it is
   * frozen, closed, full or in another currency. Of a split, metadata names the
   * receiver as it was sent.
   */
  RECEIVER_UNAVAILABLE: "RECEIVER_UNAVAILABLE",
  /**
   * FAILED_PRECONDITION. The account may not be allowed to owe so much; metadata
   * gives the maximum for its currency, which the service is configured with.
   */
  OVERDRAFT_ABOVE_MAX: "OVERDRAFT_ABOVE_MAX",
  /**
   * FAILED_PRECONDITION. More than one transfer, withdrawal or purchase may take
   * from the account; metadata gives the limit. A smaller one may be made.
   */
  DEBIT_LIMIT_EXCEEDED: "DEBIT_LIMIT_EXCEEDED",
  /**
   * FAILED_PRECONDITION. More than transfers, withdrawals and purchases may still
   * take from the account today; metadata gives the limit, what was spent, what
   * is left, and when the day ends. A smaller one may be made now, the same one
   * after that.
   */
  DAILY_LIMIT_EXCEEDED: "DAILY_LIMIT_EXCEEDED",
  /**
   * FAILED_PRECONDITION. Only a closed account can be reopened.
   */
  ACCOUNT_NOT_CLOSED: "ACCOUNT_NOT_CLOSED",
  /**
   * NOT_FOUND. There is no such deposit, withdrawal, purchase, transfer or
   * exchange, as far as the caller may know.
   */
  MOVEMENT_NOT_FOUND: "MOVEMENT_NOT_FOUND",
  /**
   * ALREADY_EXISTS. The request id was used for a request that means something
   * else, however it is spelled; metadata names the fields that differ. Nothing
   * was changed.
   */
  IDEMPOTENCY_KEY_REUSED: "IDEMPOTENCY_KEY_REUSED",
  /**
   * ALREADY_EXISTS. The caller has already used this external reference of the
   * source; metadata names the caller's movement that has it.
   */
  REFERENCE_REUSED: "REFERENCE_REUSED",
  /**
   * ABORTED. Another item of an all-or-nothing batch was refused, or of the
   * item's chain; metadata names its index. Nothing of the batch, or of the
   * chain, was changed.
   */
  BATCH_REFUSED: "BATCH_REFUSED",
  /**
   * FAILED_PRECONDITION. The movement is of a kind that this method does not
   * reverse, such as a reversal; metadata names its kind.
   */
  NOT_REVERSIBLE: "NOT_REVERSIBLE",
  /**
   * FAILED_PRECONDITION. Less is left of the movement than is to be reversed, or
   * nothing is; metadata says how much.
   */
  REVERSAL_TOO_LARGE: "REVERSAL_TOO_LARGE",
  /**
   * NOT_FOUND. There is no such hold, as far as the caller may know.
   */
  HOLD_NOT_FOUND: "HOLD_NOT_FOUND",
  /**
   * FAILED_PRECONDITION. The hold was captured or voided before; metadata says
   * which.
   */
  HOLD_CLOSED: "HOLD_CLOSED",
  /**
   * FAILED_PRECONDITION. The time of the hold is over; metadata says since when.
   */
  HOLD_EXPIRED: "HOLD_EXPIRED",
  /**
   * FAILED_PRECONDITION. Less is left of the hold than is to be captured;
   * metadata says how much.
   */
  CAPTURE_TOO_LARGE: "CAPTURE_TOO_LARGE",
  /**
   * NOT_FOUND. There is no such service in the catalogue.
   */
  SERVICE_NOT_FOUND: "SERVICE_NOT_FOUND",
  /**
   * FAILED_PRECONDITION. No exchange rate is known for the pair.
   */
  RATE_UNAVAILABLE: "RATE_UNAVAILABLE",
  /**
   * FAILED_PRECONDITION. The source of exchange rates should have replaced the
   * last known one a while ago; metadata gives its time.
   */
  RATE_STALE: "RATE_STALE",
  /**
   * FAILED_PRECONDITION. The price rounds to nothing in the account's currency,
   * or what a quote pays to nothing in the other one.
   */
  CHARGE_TOO_SMALL: "CHARGE_TOO_SMALL",
  /**
   * FAILED_PRECONDITION. The account has the service already, so that a hold for it
   * is not made, or not captured; metadata names the purchase.
   */
  ALREADY_PURCHASED: "ALREADY_PURCHASED",
  /**
   * RESOURCE_EXHAUSTED. The service has as much work waiting as it may hold;
   * RetryInfo says when to try again, with the same request id.
   */
  OVERLOADED: "OVERLOADED",
  /**
   * UNAVAILABLE. The service is stopping, or cannot reach its database or mail
   * server. The outcome may be unknown: retry with the same request id.
   */
  UNAVAILABLE: "UNAVAILABLE",
  /**
   * DEADLINE_EXCEEDED. The deadline passed before the request was planned;
   * nothing was changed.
   */
  DEADLINE_PASSED: "DEADLINE_PASSED",
  /**
   * INTERNAL. A fault in the service; metadata carries the request id to give
   * to its operators.
   */
  INTERNAL: "INTERNAL",
  /**
   * NOT_FOUND. HTTP alone: there is nothing at this path.
   */
  ROUTE_NOT_FOUND: "ROUTE_NOT_FOUND",
  /**
   * UNIMPLEMENTED. HTTP alone, with status 405: the path does not have this
   * method; the header Allow names those it has.
   */
  METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED",
  /**
   * DEADLINE_EXCEEDED. HTTP alone, with status 408: the request did not arrive
   * in time; nothing was changed.
   */
  REQUEST_TIMEOUT: "REQUEST_TIMEOUT",
  /**
   * INVALID_ARGUMENT. HTTP alone, with status 413: the body is too large.
   */
  BODY_TOO_LARGE: "BODY_TOO_LARGE",
  /**
   * INVALID_ARGUMENT. HTTP alone, with status 415: the body is not
   * application/json.
   */
  MEDIA_TYPE_UNSUPPORTED: "MEDIA_TYPE_UNSUPPORTED",
  /**
   * NOT_FOUND. HTTP alone: a list has no page of this number.
   */
  PAGE_NOT_FOUND: "PAGE_NOT_FOUND",
  /**
   * DEADLINE_EXCEEDED. HTTP alone, with status 504: the answer took too long.
   * The outcome may be unknown: retry with the same request id.
   */
  ANSWER_TIMEOUT: "ANSWER_TIMEOUT",
  /**
   * ABORTED. The service's price is not the expected one; metadata gives the
   * price that it has now. Nothing was bought.
   */
  PRICE_CHANGED: "PRICE_CHANGED",
  /**
   * NOT_FOUND. There is no such quote, or somebody else asked for it.
   */
  QUOTE_NOT_FOUND: "QUOTE_NOT_FOUND",
  /**
   * FAILED_PRECONDITION. The request is not what was quoted; metadata names the
   * fields that differ. The quote can still be used.
   */
  QUOTE_MISMATCH: "QUOTE_MISMATCH",
  /**
   * ALREADY_EXISTS. The quote was carried out before; metadata names the movement
   * that did. A quote is carried out once.
   */
  QUOTE_USED: "QUOTE_USED",
  /**
   * FAILED_PRECONDITION. The quote's time is over, also for taking back what it
   * carried out; metadata says since when. Ask for a new one.
   */
  QUOTE_EXPIRED: "QUOTE_EXPIRED",
  /**
   * RESOURCE_EXHAUSTED. The caller has as many calls or streams under way, or
   * makes calls as fast, as one caller may; metadata names the quota and its
   * limit, and RetryInfo says how long to wait. The call was not tried.
   */
  QUOTA_EXCEEDED: "QUOTA_EXCEEDED",
  /**
   * ALREADY_EXISTS. Another user or account has this external id of the source;
   * or, in EnsureUser, the user of the address has another external id of it.
   */
  EXTERNAL_ID_CONFLICT: "EXTERNAL_ID_CONFLICT",
  /**
   * FAILED_PRECONDITION. The change is more than an operator may make alone.
   * Nothing was changed; it waits for another admin, who approves or rejects it
   * (ApproveChange). metadata names the approval, its status and until when it may
   * be approved. A repeat with the same request id is answered the same until it
   * is approved, and then as if it had been done at once.
   */
  APPROVAL_REQUIRED: "APPROVAL_REQUIRED",
  /**
   * NOT_FOUND. There is no such approval.
   */
  APPROVAL_NOT_FOUND: "APPROVAL_NOT_FOUND",
  /**
   * PERMISSION_DENIED. Whoever asked for a change cannot approve or reject it.
   */
  APPROVAL_BY_REQUESTER: "APPROVAL_BY_REQUESTER",
  /**
   * FAILED_PRECONDITION. The change was approved or rejected before, or has
   * expired; metadata says which.
   */
  APPROVAL_NOT_PENDING: "APPROVAL_NOT_PENDING",
  /**
   * FAILED_PRECONDITION. Events after this place are not kept any more; metadata
   * gives the number of the oldest that is. What lies between was missed: read
   * accounts and statements again, then go on without a page_token.
   */
  EVENTS_EXPIRED: "EVENTS_EXPIRED",
  /**
   * FAILED_PRECONDITION. The log of events does not have the event that this
   * place follows: a server took over, or a backup was restored, that had not got
   * it yet. metadata gives the number of the newest that it has. Go on as after
   * EVENTS_EXPIRED; movements that a service was told of may be gone, too.
   */
  EVENTS_LOST: "EVENTS_LOST",
  /**
   * NOT_FOUND. There is no such endpoint of webhooks, as far as the caller may
   * know.
   */
  WEBHOOK_ENDPOINT_NOT_FOUND: "WEBHOOK_ENDPOINT_NOT_FOUND",
  /**
   * NOT_FOUND. The endpoint was sent no such event, or that is not kept any more.
   */
  WEBHOOK_DELIVERY_NOT_FOUND: "WEBHOOK_DELIVERY_NOT_FOUND",
  /**
   * FAILED_PRECONDITION. As many endpoints of webhooks belong to the caller as one
   * may have; metadata gives the limit. Remove one first.
   */
  WEBHOOK_ENDPOINT_LIMIT: "WEBHOOK_ENDPOINT_LIMIT",
  /**
   * FAILED_PRECONDITION. No checkpoint covers the movement yet. RetryInfo says
   * when one does, unless old movements are being covered first; ask again.
   */
  RECEIPT_NOT_READY: "RECEIPT_NOT_READY",
  /**
   * NOT_FOUND. There is no such checkpoint, or none yet.
   */
  CHECKPOINT_NOT_FOUND: "CHECKPOINT_NOT_FOUND",
  /**
   * FAILED_PRECONDITION. The period has more entries than are added up for
   * GetStatement or laid out as a PDF; metadata says how many it has, and how many
   * are the most. Ask for a shorter period, or for a file (DownloadStatement) as
   * CSV or JSON, which may be of any length.
   */
  STATEMENT_TOO_LONG: "STATEMENT_TOO_LONG",
  /**
   * FAILED_PRECONDITION. What was posted before the service was upgraded to a
   * version with totals has not been added up yet: an operator runs
   * `balance-service journal build-totals`, once.
   */
  LEDGER_TOTALS_MISSING: "LEDGER_TOTALS_MISSING",
  /**
   * NOT_FOUND. There is no such schedule, or it is somebody else's.
   */
  SCHEDULE_NOT_FOUND: "SCHEDULE_NOT_FOUND",
  /**
   * FAILED_PRECONDITION. The schedule is not active, so it can be neither paused
   * nor, if it was cancelled or completed, changed; metadata says what it is.
   */
  SCHEDULE_NOT_ACTIVE: "SCHEDULE_NOT_ACTIVE",
  /**
   * FAILED_PRECONDITION. The schedule is not paused, so it cannot be resumed;
   * metadata says what it is.
   */
  SCHEDULE_NOT_PAUSED: "SCHEDULE_NOT_PAUSED",
  /**
   * FAILED_PRECONDITION. The caller has as many schedules that are active or
   * paused as one caller may; metadata says how many. Cancel one first.
   */
  SCHEDULE_LIMIT: "SCHEDULE_LIMIT",
  /**
   * ABORTED. The ledger is being verified for another caller; one run at a time is
   * made. RetryInfo says when to ask again.
   */
  VERIFICATION_RUNNING: "VERIFICATION_RUNNING",
  /**
   * FAILED_PRECONDITION. The answer would need entries that are archived: they are in
   * files that operators keep, and not in the ledger. metadata says from when on the
   * ledger has what was asked for (available_from). Ask for a time from then on, or
   * ask the operators, who can restore what is archived.
   */
  PERIOD_ARCHIVED: "PERIOD_ARCHIVED",
} as const;

export type Reason = (typeof Reason)[keyof typeof Reason];
