// Made from protos/ by `make protos`.
export const serviceConfig = {
  "loadBalancingConfig": [
    {
      "round_robin": {}
    }
  ],
  "methodConfig": [
    {
      "name": [
        {
          "service": "balance.v1.AccountService",
          "method": "CreateAccount"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "GetAccount"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "LookupAccount"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "ListAccounts"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "SearchAccounts"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "ListEntries"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "FreezeAccount"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "UnfreezeAccount"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "CloseAccount"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "ReopenAccount"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "SetAccountLimit"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "SetAccountLimits"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "SetSubAccounts"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "SetAccountExternalId"
        },
        {
          "service": "balance.v1.AccountService",
          "method": "ListAccountChanges"
        },
        {
          "service": "balance.v1.ApprovalService",
          "method": "ListApprovals"
        },
        {
          "service": "balance.v1.ApprovalService",
          "method": "ApproveChange"
        },
        {
          "service": "balance.v1.ApprovalService",
          "method": "RejectChange"
        },
        {
          "service": "balance.v1.AuditService",
          "method": "ListAuditEvents"
        },
        {
          "service": "balance.v1.AuthService",
          "method": "GetJwks"
        },
        {
          "service": "balance.v1.RateService",
          "method": "ListCurrencies"
        },
        {
          "service": "balance.v1.RateService",
          "method": "GetRate"
        },
        {
          "service": "balance.v1.RateService",
          "method": "ListRates"
        },
        {
          "service": "balance.v1.ReversalService",
          "method": "GetReversal"
        },
        {
          "service": "balance.v1.DepositService",
          "method": "CreateDeposit"
        },
        {
          "service": "balance.v1.DepositService",
          "method": "BatchCreateDeposits"
        },
        {
          "service": "balance.v1.DepositService",
          "method": "GetDeposit"
        },
        {
          "service": "balance.v1.DepositService",
          "method": "ListDeposits"
        },
        {
          "service": "balance.v1.DepositService",
          "method": "ReverseDeposit"
        },
        {
          "service": "balance.v1.ExchangeService",
          "method": "CreateQuote"
        },
        {
          "service": "balance.v1.ExchangeService",
          "method": "GetQuote"
        },
        {
          "service": "balance.v1.ExchangeService",
          "method": "CreateExchange"
        },
        {
          "service": "balance.v1.ExchangeService",
          "method": "GetExchange"
        },
        {
          "service": "balance.v1.ExchangeService",
          "method": "ListExchanges"
        },
        {
          "service": "balance.v1.ExchangeService",
          "method": "ReverseExchange"
        },
        {
          "service": "balance.v1.HoldService",
          "method": "CreateHold"
        },
        {
          "service": "balance.v1.HoldService",
          "method": "CaptureHold"
        },
        {
          "service": "balance.v1.HoldService",
          "method": "VoidHold"
        },
        {
          "service": "balance.v1.HoldService",
          "method": "GetHold"
        },
        {
          "service": "balance.v1.HoldService",
          "method": "ListHolds"
        },
        {
          "service": "balance.v1.PurchaseService",
          "method": "ListServices"
        },
        {
          "service": "balance.v1.PurchaseService",
          "method": "GetService"
        },
        {
          "service": "balance.v1.PurchaseService",
          "method": "CreateService"
        },
        {
          "service": "balance.v1.PurchaseService",
          "method": "UpdateService"
        },
        {
          "service": "balance.v1.PurchaseService",
          "method": "DeleteService"
        },
        {
          "service": "balance.v1.PurchaseService",
          "method": "CreatePurchase"
        },
        {
          "service": "balance.v1.PurchaseService",
          "method": "GetPurchase"
        },
        {
          "service": "balance.v1.PurchaseService",
          "method": "ListPurchases"
        },
        {
          "service": "balance.v1.PurchaseService",
          "method": "RefundPurchase"
        },
        {
          "service": "balance.v1.TransferService",
          "method": "CreateTransfer"
        },
        {
          "service": "balance.v1.TransferService",
          "method": "BatchCreateTransfers"
        },
        {
          "service": "balance.v1.TransferService",
          "method": "CreateSplit"
        },
        {
          "service": "balance.v1.TransferService",
          "method": "GetTransfer"
        },
        {
          "service": "balance.v1.TransferService",
          "method": "ListTransfers"
        },
        {
          "service": "balance.v1.TransferService",
          "method": "ListReceivedTransfers"
        },
        {
          "service": "balance.v1.TransferService",
          "method": "ReverseTransfer"
        },
        {
          "service": "balance.v1.WithdrawalService",
          "method": "CreateWithdrawal"
        },
        {
          "service": "balance.v1.WithdrawalService",
          "method": "GetWithdrawal"
        },
        {
          "service": "balance.v1.WithdrawalService",
          "method": "ListWithdrawals"
        },
        {
          "service": "balance.v1.WithdrawalService",
          "method": "ReverseWithdrawal"
        },
        {
          "service": "balance.v1.BatchService",
          "method": "BatchCreateMovements"
        },
        {
          "service": "balance.v1.MovementService",
          "method": "ListMovements"
        },
        {
          "service": "balance.v1.ScheduleService",
          "method": "CreateSchedule"
        },
        {
          "service": "balance.v1.ScheduleService",
          "method": "GetSchedule"
        },
        {
          "service": "balance.v1.ScheduleService",
          "method": "ListSchedules"
        },
        {
          "service": "balance.v1.ScheduleService",
          "method": "UpdateSchedule"
        },
        {
          "service": "balance.v1.ScheduleService",
          "method": "PauseSchedule"
        },
        {
          "service": "balance.v1.ScheduleService",
          "method": "ResumeSchedule"
        },
        {
          "service": "balance.v1.ScheduleService",
          "method": "CancelSchedule"
        },
        {
          "service": "balance.v1.ScheduleService",
          "method": "ListOccurrences"
        },
        {
          "service": "balance.v1.EventService",
          "method": "ListEvents"
        },
        {
          "service": "balance.v1.LedgerService",
          "method": "GetTrialBalance"
        },
        {
          "service": "balance.v1.ProofService",
          "method": "GetReceipt"
        },
        {
          "service": "balance.v1.ProofService",
          "method": "GetCheckpoint"
        },
        {
          "service": "balance.v1.ProofService",
          "method": "ListCheckpoints"
        },
        {
          "service": "balance.v1.ReportService",
          "method": "ListBalances"
        },
        {
          "service": "balance.v1.ReportService",
          "method": "SearchMovements"
        },
        {
          "service": "balance.v1.ReportService",
          "method": "SalesByService"
        },
        {
          "service": "balance.v1.StatementService",
          "method": "GetStatement"
        },
        {
          "service": "balance.v1.UserService",
          "method": "GetMe"
        },
        {
          "service": "balance.v1.UserService",
          "method": "UpdateMe"
        },
        {
          "service": "balance.v1.UserService",
          "method": "ListUsers"
        },
        {
          "service": "balance.v1.UserService",
          "method": "GetUser"
        },
        {
          "service": "balance.v1.UserService",
          "method": "LookupUser"
        },
        {
          "service": "balance.v1.UserService",
          "method": "EnsureUser"
        },
        {
          "service": "balance.v1.UserService",
          "method": "SetUserExternalId"
        },
        {
          "service": "balance.v1.UserService",
          "method": "UpdateUser"
        },
        {
          "service": "balance.v1.UserService",
          "method": "ListSessions"
        },
        {
          "service": "balance.v1.UserService",
          "method": "DisableUser"
        },
        {
          "service": "balance.v1.UserService",
          "method": "EnableUser"
        },
        {
          "service": "balance.v1.UserService",
          "method": "ExportUser"
        },
        {
          "service": "balance.v1.WebhookService",
          "method": "CreateWebhookEndpoint"
        },
        {
          "service": "balance.v1.WebhookService",
          "method": "GetWebhookEndpoint"
        },
        {
          "service": "balance.v1.WebhookService",
          "method": "ListWebhookEndpoints"
        },
        {
          "service": "balance.v1.WebhookService",
          "method": "UpdateWebhookEndpoint"
        },
        {
          "service": "balance.v1.WebhookService",
          "method": "DeleteWebhookEndpoint"
        },
        {
          "service": "balance.v1.WebhookService",
          "method": "RotateWebhookSecret"
        },
        {
          "service": "balance.v1.WebhookService",
          "method": "SendTestEvent"
        },
        {
          "service": "balance.v1.WebhookService",
          "method": "ListWebhookDeliveries"
        },
        {
          "service": "balance.v1.WebhookService",
          "method": "RedeliverWebhookDelivery"
        },
        {
          "service": "balance.v1.WebhookService",
          "method": "ReplayEvents"
        }
      ],
      "waitForReady": true,
      "timeout": "30s",
      "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.05s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": [
          "UNAVAILABLE"
        ]
      }
    }
  ]
};
