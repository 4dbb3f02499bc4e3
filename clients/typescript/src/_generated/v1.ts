// Made from protos/ by `make protos`.

export * from "./protos/balance/v1/account_pb.js";
export * from "./protos/balance/v1/approval_pb.js";
export * from "./protos/balance/v1/audit_pb.js";
export * from "./protos/balance/v1/auth_pb.js";
export * from "./protos/balance/v1/rate_pb.js";
export * from "./protos/balance/v1/reversal_pb.js";
export * from "./protos/balance/v1/deposit_pb.js";
export * from "./protos/balance/v1/exchange_pb.js";
export * from "./protos/balance/v1/hold_pb.js";
export * from "./protos/balance/v1/purchase_pb.js";
export * from "./protos/balance/v1/transfer_pb.js";
export * from "./protos/balance/v1/withdrawal_pb.js";
export * from "./protos/balance/v1/batch_pb.js";
export * from "./protos/balance/v1/error_reason_pb.js";
export * from "./protos/balance/v1/movement_pb.js";
export * from "./protos/balance/v1/schedule_pb.js";
export * from "./protos/balance/v1/event_pb.js";
export * from "./protos/balance/v1/ledger_pb.js";
export * from "./protos/balance/v1/proof_pb.js";
export * from "./protos/balance/v1/report_pb.js";
export * from "./protos/balance/v1/statement_pb.js";
export * from "./protos/balance/v1/user_pb.js";
export * from "./protos/balance/v1/webhook_pb.js";
