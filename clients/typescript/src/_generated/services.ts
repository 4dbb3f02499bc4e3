// Made from protos/ by `make protos`.

import type { Client, Transport } from "@connectrpc/connect";
import { AccountService } from "./protos/balance/v1/account_pb.js";
import { ApprovalService } from "./protos/balance/v1/approval_pb.js";
import { AuditService } from "./protos/balance/v1/audit_pb.js";
import { AuthService } from "./protos/balance/v1/auth_pb.js";
import { RateService } from "./protos/balance/v1/rate_pb.js";
import { ReversalService } from "./protos/balance/v1/reversal_pb.js";
import { DepositService } from "./protos/balance/v1/deposit_pb.js";
import { ExchangeService } from "./protos/balance/v1/exchange_pb.js";
import { HoldService } from "./protos/balance/v1/hold_pb.js";
import { PurchaseService } from "./protos/balance/v1/purchase_pb.js";
import { TransferService } from "./protos/balance/v1/transfer_pb.js";
import { WithdrawalService } from "./protos/balance/v1/withdrawal_pb.js";
import { BatchService } from "./protos/balance/v1/batch_pb.js";
import { MovementService } from "./protos/balance/v1/movement_pb.js";
import { ScheduleService } from "./protos/balance/v1/schedule_pb.js";
import { EventService } from "./protos/balance/v1/event_pb.js";
import { LedgerService } from "./protos/balance/v1/ledger_pb.js";
import { ProofService } from "./protos/balance/v1/proof_pb.js";
import { ReportService } from "./protos/balance/v1/report_pb.js";
import { StatementService } from "./protos/balance/v1/statement_pb.js";
import { UserService } from "./protos/balance/v1/user_pb.js";
import { WebhookService } from "./protos/balance/v1/webhook_pb.js";
import { createServiceClient } from "../service_client.js";

/** The services of the contract. */
export interface Services {
  /**
   * Keeps accounts: one per user and currency, and their statements.
   */
  readonly accounts: Client<typeof AccountService>;
  /**
   * Has one admin approve what another operator asked for, where that is more than
   * an operator may do alone. The call that asked for it was refused with
   * APPROVAL_REQUIRED, which names the approval.
   */
  readonly approvals: Client<typeof ApprovalService>;
  /**
   * Shows the audit log: who signed in, who was kept out, and what was done with
   * more than a caller's own rights. Events are never changed or deleted.
   */
  readonly audits: Client<typeof AuditService>;
  /**
   * Signs people in with a code sent by e-mail, and sibling services with a
   * client id and secret. Both get a short-lived access token, sent with every
   * other call as the metadata "authorization: Bearer <token>".
   */
  readonly auth: Client<typeof AuthService>;
  /**
   * Makes movements of several kinds in one call, also such that are made together
   * or not at all.
   */
  readonly batches: Client<typeof BatchService>;
  /**
   * Brings money in from outside, such as a card payment that a billing service
   * received.
   */
  readonly deposits: Client<typeof DepositService>;
  /**
   * Tells of everything that was committed: one event for each movement, and for
   * each change of an account, a user or a schedule. No event is missing and none
   * comes twice; those of an account come in the order in which they were
   * committed. Users are told of their own accounts alone.
   *
   * Events are kept for some days (BALANCE_EVENTS_RETENTION_DAYS), statements for
   * ever.
   */
  readonly events: Client<typeof EventService>;
  /**
   * Changes money into another currency, at a price that is agreed before.
   */
  readonly exchanges: Client<typeof ExchangeService>;
  /**
   * Reserves money for a movement that is to come, and makes it. A hold takes
   * money out of what is available and leaves the balance as it is, until it is
   * captured, voided, or its time is over: exactly one of these.
   */
  readonly holds: Client<typeof HoldService>;
  /**
   * Shows the ledger as accountants look at it: by the accounts of its chart, which
   * are users' accounts together and the service's own.
   */
  readonly ledgers: Client<typeof LedgerService>;
  /**
   * Finds movements of any kind and on any account, for those who may read every
   * account.
   */
  readonly movements: Client<typeof MovementService>;
  /**
   * Proves what the ledger holds to whoever does not trust it. Every minute, the
   * service signs a checkpoint over all movements since the one before; a receipt
   * leads from a movement to the checkpoint that covers it, and is checked
   * without the service.
   */
  readonly proofs: Client<typeof ProofService>;
  /**
   * Keeps the catalogue of services and sells them.
   */
  readonly purchases: Client<typeof PurchaseService>;
  /**
   * Tells which currencies there are, and what one is worth in another.
   */
  readonly rates: Client<typeof RateService>;
  /**
   * Reports on all accounts together, for operators and for services with the scope
   * reports:read.
   */
  readonly reports: Client<typeof ReportService>;
  /**
   * Returns what took movements back. Reversals are made by the service of what
   * they reverse: ReverseDeposit, ReverseWithdrawal, RefundPurchase,
   * ReverseTransfer and ReverseExchange.
   */
  readonly reversals: Client<typeof ReversalService>;
  /**
   * Makes transfers and purchases later: once, or again and again. Each occurrence
   * is carried out once, as if whoever made the schedule called CreateTransfer or
   * CreatePurchase then: their rights, the accounts and the catalogue are those of
   * that moment.
   */
  readonly schedules: Client<typeof ScheduleService>;
  /**
   * Sums an account up over a period.
   */
  readonly statements: Client<typeof StatementService>;
  /**
   * Moves money from one account to another: of the same currency, or of another
   * by a quote.
   */
  readonly transfers: Client<typeof TransferService>;
  /**
   * Keeps the profiles of users. A user is created by the first confirmation code
   * that is confirmed for an address, or before that by a service.
   */
  readonly users: Client<typeof UserService>;
  /**
   * Sends events to services that cannot keep a stream open: each as an HTTP POST,
   * signed by Standard Webhooks (https://www.standardwebhooks.com), with the event as
   * JSON for its body. An event is sent at least once, and under its own id.
   *
   * A service manages the endpoints that it made, an admin all. What is somebody
   * else's is WEBHOOK_ENDPOINT_NOT_FOUND.
   */
  readonly webhooks: Client<typeof WebhookService>;
  /**
   * Sends money outside, such as a payout that a billing service makes.
   */
  readonly withdrawals: Client<typeof WithdrawalService>;
}

export function createServices(transport: Transport): Services {
  return {
    accounts: createServiceClient(AccountService, transport),
    approvals: createServiceClient(ApprovalService, transport),
    audits: createServiceClient(AuditService, transport),
    auth: createServiceClient(AuthService, transport),
    batches: createServiceClient(BatchService, transport),
    deposits: createServiceClient(DepositService, transport),
    events: createServiceClient(EventService, transport),
    exchanges: createServiceClient(ExchangeService, transport),
    holds: createServiceClient(HoldService, transport),
    ledgers: createServiceClient(LedgerService, transport),
    movements: createServiceClient(MovementService, transport),
    proofs: createServiceClient(ProofService, transport),
    purchases: createServiceClient(PurchaseService, transport),
    rates: createServiceClient(RateService, transport),
    reports: createServiceClient(ReportService, transport),
    reversals: createServiceClient(ReversalService, transport),
    schedules: createServiceClient(ScheduleService, transport),
    statements: createServiceClient(StatementService, transport),
    transfers: createServiceClient(TransferService, transport),
    users: createServiceClient(UserService, transport),
    webhooks: createServiceClient(WebhookService, transport),
    withdrawals: createServiceClient(WithdrawalService, transport),
  };
}
