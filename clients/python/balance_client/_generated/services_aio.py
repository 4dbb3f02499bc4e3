"""The services for asyncio, method by method. Made from protos/ by `make protos`."""

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from balance_client import v1
from balance_client.aio.calls import AsyncCaller, AsyncDuplexStream, AsyncServerStream, AsyncUnary


class AsyncAccountService:
    """Keeps accounts: one per user and currency, and their statements."""

    def __init__(self, caller: AsyncCaller) -> None:
        self.CreateAccount: AsyncUnary[v1.CreateAccountRequest, v1.Account] = caller.unary(
            "/balance.v1.AccountService/CreateAccount", v1.CreateAccountRequest, v1.Account
        )
        """Opens an account in a currency. A user has one account in each: asking
        again answers the existing one.
        """
        self.GetAccount: AsyncUnary[v1.GetAccountRequest, v1.Account] = caller.unary(
            "/balance.v1.AccountService/GetAccount", v1.GetAccountRequest, v1.Account
        )
        """Returns an account, now or as it was at a past moment, in its own currency
        or converted to another. An account that cannot be converted is shown in
        its own currency, with conversion_obstacle. A balance of the past is final:
        it is the same whenever it is asked for. So the answer waits, within the
        call's deadline, until no movement of that time is under way any more; if
        that takes long, it is UNAVAILABLE.
        """
        self.LookupAccount: AsyncUnary[v1.LookupAccountRequest, v1.Account] = caller.unary(
            "/balance.v1.AccountService/LookupAccount", v1.LookupAccountRequest, v1.Account
        )
        """Returns the account that has a number, a user's account in a currency, or the
        account with an external id, to whoever may read it. Exactly one of the three
        is given.
        """
        self.WatchAccount: AsyncServerStream[v1.WatchAccountRequest, v1.Account] = (
            caller.server_stream(
                "/balance.v1.AccountService/WatchAccount", v1.WatchAccountRequest, v1.Account
            )
        )
        """Sends an account as GetAccount returns it: at once, and again after every
        change, wherever it came from. Changes that follow each other within a
        quarter of a second are sent as one. The stream ends when the access token
        does, and with UNAVAILABLE when the server stops: call again.
        """
        self.ListAccounts: AsyncUnary[v1.ListAccountsRequest, v1.ListAccountsResponse] = (
            caller.unary(
                "/balance.v1.AccountService/ListAccounts",
                v1.ListAccountsRequest,
                v1.ListAccountsResponse,
            )
        )
        """Lists the caller's accounts, oldest first; for callers who may read every
        account, those of the given user. Each that cannot be converted to the
        currency asked for is shown in its own, with conversion_obstacle.
        """
        self.SearchAccounts: AsyncUnary[v1.SearchAccountsRequest, v1.SearchAccountsResponse] = (
            caller.unary(
                "/balance.v1.AccountService/SearchAccounts",
                v1.SearchAccountsRequest,
                v1.SearchAccountsResponse,
            )
        )
        """Lists everybody's accounts, oldest first, that pass all filters, for callers
        who may read every account. A page looks at 10000 accounts at most, so it may
        hold fewer than asked for, or none, and be followed by others; not with skip or
        count_total, which look at all.
        """
        self.ListEntries: AsyncUnary[v1.ListEntriesRequest, v1.ListEntriesResponse] = caller.unary(
            "/balance.v1.AccountService/ListEntries", v1.ListEntriesRequest, v1.ListEntriesResponse
        )
        """Lists an account's statement: every movement, with who, why and when. Pages
        are stable while movements are added. Entries that are archived are not in it:
        `archived_before` says so where the list meets them.
        """
        self.FreezeAccount: AsyncUnary[v1.FreezeAccountRequest, v1.Account] = caller.unary(
            "/balance.v1.AccountService/FreezeAccount", v1.FreezeAccountRequest, v1.Account
        )
        """Freezes an account, for operators: no money enters or leaves until it is
        unfrozen; or, with the scope of debits, none leaves. A freeze is never
        narrowed: freezing a frozen account for debits changes nothing.
        """
        self.UnfreezeAccount: AsyncUnary[v1.UnfreezeAccountRequest, v1.Account] = caller.unary(
            "/balance.v1.AccountService/UnfreezeAccount", v1.UnfreezeAccountRequest, v1.Account
        )
        """Unfreezes an account, for operators, whatever it was frozen for."""
        self.CloseAccount: AsyncUnary[v1.CloseAccountRequest, v1.Account] = caller.unary(
            "/balance.v1.AccountService/CloseAccount", v1.CloseAccountRequest, v1.Account
        )
        """Closes an empty account, for operators. Its statement stays, and so does its
        place: asking for an account in its currency answers the closed one, until an
        operator reopens it.
        """
        self.ReopenAccount: AsyncUnary[v1.ReopenAccountRequest, v1.Account] = caller.unary(
            "/balance.v1.AccountService/ReopenAccount", v1.ReopenAccountRequest, v1.Account
        )
        """Reopens a closed account, for operators: money may move on it again, whether
        or not it was frozen when it was closed. Its owner cannot have opened another
        in its currency meanwhile. An account that is not closed is
        ACCOUNT_NOT_CLOSED; one of a user who was erased stays closed: USER_ERASED.
        """
        self.SetAccountLimit: AsyncUnary[v1.SetAccountLimitRequest, v1.Account] = caller.unary(
            "/balance.v1.AccountService/SetAccountLimit", v1.SetAccountLimitRequest, v1.Account
        )
        """Sets how far below zero an account may go, for operators. SetAccountLimits
        does that, too, and is refused alike.
        """
        self.SetAccountLimits: AsyncUnary[v1.SetAccountLimitsRequest, v1.Account] = caller.unary(
            "/balance.v1.AccountService/SetAccountLimits", v1.SetAccountLimitsRequest, v1.Account
        )
        """Sets an account's own limits, for operators: how far below zero it may go,
        and how much may be debited from it at once and in a day. What the request
        leaves out stays as it is. An overdraft above the service's ceiling for the
        currency is OVERDRAFT_ABOVE_MAX. Raising a limit above what an operator may
        set alone, where the service has such a ceiling, is APPROVAL_REQUIRED: the
        change waits until another admin approves it (ApproveChange).
        """
        self.SetSubAccounts: AsyncUnary[v1.SetSubAccountsRequest, v1.Account] = caller.unary(
            "/balance.v1.AccountService/SetSubAccounts", v1.SetSubAccountsRequest, v1.Account
        )
        """Gives an account sub-accounts, or takes them away, for operators: with some,
        what only adds to the account is committed side by side. Nothing else is seen
        of them; the account keeps its number, balance, limits and statement.
        """
        self.SetAccountExternalId: AsyncUnary[v1.SetAccountExternalIdRequest, v1.Account] = (
            caller.unary(
                "/balance.v1.AccountService/SetAccountExternalId",
                v1.SetAccountExternalIdRequest,
                v1.Account,
            )
        )
        """Gives an account an external id in place of the one it had of the same source,
        or takes it away, for operators. What another account has is
        EXTERNAL_ID_CONFLICT.
        """
        self.ListAccountChanges: AsyncUnary[
            v1.ListAccountChangesRequest, v1.ListAccountChangesResponse
        ] = caller.unary(
            "/balance.v1.AccountService/ListAccountChanges",
            v1.ListAccountChangesRequest,
            v1.ListAccountChangesResponse,
        )
        """Lists what operators have changed on an account, newest first: freezes,
        closings and limits. Its owner is not told who asked for a change, nor the
        reason, which are the company's own matter.
        """


class AsyncApprovalService:
    """Has one admin approve what another operator asked for, where that is more than
    an operator may do alone. The call that asked for it was refused with
    APPROVAL_REQUIRED, which names the approval.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.ListApprovals: AsyncUnary[v1.ListApprovalsRequest, v1.ListApprovalsResponse] = (
            caller.unary(
                "/balance.v1.ApprovalService/ListApprovals",
                v1.ListApprovalsRequest,
                v1.ListApprovalsResponse,
            )
        )
        """Lists changes that wait for approval, or did, newest first, for admins."""
        self.ApproveChange: AsyncUnary[v1.ApproveChangeRequest, v1.Approval] = caller.unary(
            "/balance.v1.ApprovalService/ApproveChange", v1.ApproveChangeRequest, v1.Approval
        )
        """Approves a change and makes it, in one transaction, for admins but whoever
        asked for it: that is APPROVAL_BY_REQUESTER. One that was decided or has
        expired is APPROVAL_NOT_PENDING. If the change cannot be made any more, it is
        refused as the call that asked for it would be, and stays pending. Whoever
        repeats that call with its request id is then answered as if it had been done
        at once.
        """
        self.RejectChange: AsyncUnary[v1.RejectChangeRequest, v1.Approval] = caller.unary(
            "/balance.v1.ApprovalService/RejectChange", v1.RejectChangeRequest, v1.Approval
        )
        """Rejects a change, for admins but whoever asked for it. It is refused as
        ApproveChange is.
        """


class AsyncAuditService:
    """Shows the audit log: who signed in, who was kept out, and what was done with
    more than a caller's own rights. Events are never changed or deleted.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.ListAuditEvents: AsyncUnary[v1.ListAuditEventsRequest, v1.ListAuditEventsResponse] = (
            caller.unary(
                "/balance.v1.AuditService/ListAuditEvents",
                v1.ListAuditEventsRequest,
                v1.ListAuditEventsResponse,
            )
        )
        """Lists events, for admins. An event is listed as soon as what it tells of is
        done; seconds later it is sealed, and has a sequence and a hash.
        """


class AsyncAuthService:
    """Signs people in with a code sent by e-mail, and sibling services with a
    client id and secret. Both get a short-lived access token, sent with every
    other call as the metadata "authorization: Bearer <token>".
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.SendConfirmationCode: AsyncUnary[
            v1.SendConfirmationCodeRequest, v1.SendConfirmationCodeResponse
        ] = caller.unary(
            "/balance.v1.AuthService/SendConfirmationCode",
            v1.SendConfirmationCodeRequest,
            v1.SendConfirmationCodeResponse,
        )
        """Sends an eight-digit confirmation code to an e-mail address, and returns the
        id of the verification that it belongs to. The answer is the same whether
        or not the address was known. A code lives ten minutes, allows five guesses
        and works once; codes that others ask for leave it alone. Whoever asks for
        an address from one network may have one in thirty seconds, five at once
        and one more after each ten minutes; beyond them, and where a network or
        all callers ask for too many, CONFIRMATION_CODE_LIMIT says how long to
        wait. A code that could not be mailed (UNAVAILABLE) is not counted, unless
        the mail server may have it; an address that the mail server refuses is
        INVALID_FIELD.
        """
        self.CreateToken: AsyncUnary[v1.CreateTokenRequest, v1.Token] = caller.unary(
            "/balance.v1.AuthService/CreateToken", v1.CreateTokenRequest, v1.Token
        )
        """Exchanges a confirmation code, or a service's client id and secret, for an
        access token. The first code that is confirmed for an address creates its
        user.
        """
        self.RefreshToken: AsyncUnary[v1.RefreshTokenRequest, v1.Token] = caller.unary(
            "/balance.v1.AuthService/RefreshToken", v1.RefreshTokenRequest, v1.Token
        )
        """Exchanges a refresh token for a new access token and a new refresh token.
        A refresh token works once: using it a second time revokes every token that
        descends from the same sign-in. But for some seconds, until the new one is
        used, the call may be repeated, and has the same refresh token in its answer.
        """
        self.RevokeToken: AsyncUnary[v1.RevokeTokenRequest, Empty] = caller.unary(
            "/balance.v1.AuthService/RevokeToken", v1.RevokeTokenRequest, Empty
        )
        """Revokes the sign-in that a refresh token belongs to, with all its tokens.
        Access tokens stop working within seconds. An unknown token is accepted, so
        that the call can be repeated.
        """
        self.GetJwks: AsyncUnary[v1.GetJwksRequest, v1.Jwks] = caller.unary(
            "/balance.v1.AuthService/GetJwks", v1.GetJwksRequest, v1.Jwks
        )
        """Returns the public keys that access tokens are signed with (RFC 7517)."""


class AsyncRateService:
    """Tells which currencies there are, and what one is worth in another."""

    def __init__(self, caller: AsyncCaller) -> None:
        self.ListCurrencies: AsyncUnary[v1.ListCurrenciesRequest, v1.ListCurrenciesResponse] = (
            caller.unary(
                "/balance.v1.RateService/ListCurrencies",
                v1.ListCurrenciesRequest,
                v1.ListCurrenciesResponse,
            )
        )
        """Lists all currencies by code, in one answer: there are fewer than 200."""
        self.GetRate: AsyncUnary[v1.GetRateRequest, v1.Rate] = caller.unary(
            "/balance.v1.RateService/GetRate", v1.GetRateRequest, v1.Rate
        )
        """Returns the rate from one currency to another: the one that would be used
        now, or the one that was in force at a past moment. It holds for nobody: a
        quote does (CreateQuote). A rate that is too old to be used is returned with
        `stale`; where none is known, the answer is RATE_UNAVAILABLE.
        """
        self.ListRates: AsyncUnary[v1.ListRatesRequest, v1.ListRatesResponse] = caller.unary(
            "/balance.v1.RateService/ListRates", v1.ListRatesRequest, v1.ListRatesResponse
        )
        """Lists the rates from one currency to every other that has one, by code, in
        one answer, as GetRate returns them. The list is empty where the currency
        has no rate.
        """


class AsyncReversalService:
    """Returns what took movements back. Reversals are made by the service of what
    they reverse: ReverseDeposit, ReverseWithdrawal, RefundPurchase,
    ReverseTransfer and ReverseExchange.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.GetReversal: AsyncUnary[v1.GetReversalRequest, v1.Reversal] = caller.unary(
            "/balance.v1.ReversalService/GetReversal", v1.GetReversalRequest, v1.Reversal
        )
        """Returns a reversal to the owners of its accounts, and to callers who may
        read every account.
        """


class AsyncDepositService:
    """Brings money in from outside, such as a card payment that a billing service
    received.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.CreateDeposit: AsyncUnary[v1.CreateDepositRequest, v1.Deposit] = caller.unary(
            "/balance.v1.DepositService/CreateDeposit", v1.CreateDepositRequest, v1.Deposit
        )
        """Adds money to an account. Needs the scope deposits:write; a user's own
        deposit is accepted only where the configuration allows it.
        """
        self.BatchCreateDeposits: AsyncUnary[
            v1.BatchCreateDepositsRequest, v1.BatchCreateDepositsResponse
        ] = caller.unary(
            "/balance.v1.DepositService/BatchCreateDeposits",
            v1.BatchCreateDepositsRequest,
            v1.BatchCreateDepositsResponse,
        )
        """Makes up to 1000 deposits in one call. Each item has its own outcome, in the
        order of the requests. With all_or_nothing, one refused item refuses all.
        """
        self.StreamDeposits: AsyncDuplexStream[v1.CreateDepositRequest, v1.DepositOutcome] = (
            caller.duplex_stream(
                "/balance.v1.DepositService/StreamDeposits",
                v1.CreateDepositRequest,
                v1.DepositOutcome,
            )
        )
        """Brings money in as requests come, for callers with many deposits and no end to
        gather them for: a stream saves what each call costs. Each request is carried
        out by itself, as CreateDeposit would, and needs a request_id; the outcomes
        come in the order of the requests. Where too many are under way, the service
        stops reading until their outcomes are read. A stream that ends with
        UNAVAILABLE leaves the requests without an outcome unknown: send them again,
        with their ids, on a new one. It has no HTTP path, because a JSON body cannot
        be answered while it is still being read.
        """
        self.GetDeposit: AsyncUnary[v1.GetDepositRequest, v1.Deposit] = caller.unary(
            "/balance.v1.DepositService/GetDeposit", v1.GetDepositRequest, v1.Deposit
        )
        """Returns a deposit to the account's owner, and to callers who may read every
        account.
        """
        self.ListDeposits: AsyncUnary[v1.ListDepositsRequest, v1.ListDepositsResponse] = (
            caller.unary(
                "/balance.v1.DepositService/ListDeposits",
                v1.ListDepositsRequest,
                v1.ListDepositsResponse,
            )
        )
        """Lists deposits of one account, or of all the caller's accounts. Pages are
        stable while deposits are added.
        """
        self.ReverseDeposit: AsyncUnary[v1.ReverseDepositRequest, v1.Reversal] = caller.unary(
            "/balance.v1.DepositService/ReverseDeposit", v1.ReverseDepositRequest, v1.Reversal
        )
        """Takes a deposit back, whole or in parts, such as for a chargeback: the account
        pays it to the outside again. It must have the money; its overdraft counts
        only with `force`. For admins, and services with the scope deposits:reverse.
        """


class AsyncExchangeService:
    """Changes money into another currency, at a price that is agreed before."""

    def __init__(self, caller: AsyncCaller) -> None:
        self.CreateQuote: AsyncUnary[v1.CreateQuoteRequest, v1.Quote] = caller.unary(
            "/balance.v1.ExchangeService/CreateQuote", v1.CreateQuoteRequest, v1.Quote
        )
        """Quotes what changing money into another currency costs: the rate is fixed
        for a while, and so are both amounts. Needs, of services, the scope
        exchanges:write or transfers:write. No money moves: CreateExchange and
        CreateTransfer carry the quote out, once.
        """
        self.GetQuote: AsyncUnary[v1.GetQuoteRequest, v1.Quote] = caller.unary(
            "/balance.v1.ExchangeService/GetQuote", v1.GetQuoteRequest, v1.Quote
        )
        """Returns a quote to the caller who asked for it, also when it has expired. One
        that was not carried out is forgotten a week after its end, or when the
        service is set to.
        """
        self.CreateExchange: AsyncUnary[v1.CreateExchangeRequest, v1.Exchange] = caller.unary(
            "/balance.v1.ExchangeService/CreateExchange", v1.CreateExchangeRequest, v1.Exchange
        )
        """Carries out a quote between two accounts of one owner: from the account of
        the quote to the owner's account in the other currency. Needs, of services,
        the scope exchanges:write. A repeat with the same request_id answers the
        first exchange, also when the quote has expired since.
        """
        self.GetExchange: AsyncUnary[v1.GetExchangeRequest, v1.Exchange] = caller.unary(
            "/balance.v1.ExchangeService/GetExchange", v1.GetExchangeRequest, v1.Exchange
        )
        """Returns an exchange to the accounts' owner, and to callers who may read every
        account.
        """
        self.ListExchanges: AsyncUnary[v1.ListExchangesRequest, v1.ListExchangesResponse] = (
            caller.unary(
                "/balance.v1.ExchangeService/ListExchanges",
                v1.ListExchangesRequest,
                v1.ListExchangesResponse,
            )
        )
        """Lists the exchanges that took money from one account, or from any of the
        caller's accounts; with `received`, those that brought money in. Pages are
        stable while exchanges are added.
        """
        self.ReverseExchange: AsyncUnary[v1.ReverseExchangeRequest, v1.Reversal] = caller.unary(
            "/balance.v1.ExchangeService/ReverseExchange", v1.ReverseExchangeRequest, v1.Reversal
        )
        """Takes an exchange back, whole or in parts, at its own rate. The account that
        received pays; its overdraft counts only with `force`. For the accounts'
        owner while the quote holds, and at any time for admins and for services with
        the scope exchanges:reverse.
        """


class AsyncHoldService:
    """Reserves money for a movement that is to come, and makes it. A hold takes
    money out of what is available and leaves the balance as it is, until it is
    captured, voided, or its time is over: exactly one of these.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.CreateHold: AsyncUnary[v1.CreateHoldRequest, v1.Hold] = caller.unary(
            "/balance.v1.HoldService/CreateHold", v1.CreateHoldRequest, v1.Hold
        )
        """Holds money of an account for a purchase, a transfer or a withdrawal, which
        is checked as if it were made now. Users may hold money of their own
        accounts for purchases and transfers; services with the scope holds:write, of
        any account.
        """
        self.CaptureHold: AsyncUnary[v1.CaptureHoldRequest, v1.Capture] = caller.unary(
            "/balance.v1.HoldService/CaptureHold", v1.CaptureHoldRequest, v1.Capture
        )
        """Makes the movement that money is held for, or a part of it. What is then
        left is given back, unless keep_rest says to keep it for another capture.
        For whoever made the hold, and for services with the scope holds:write.
        """
        self.VoidHold: AsyncUnary[v1.VoidHoldRequest, v1.Hold] = caller.unary(
            "/balance.v1.HoldService/VoidHold", v1.VoidHoldRequest, v1.Hold
        )
        """Gives back what is left of a hold. For whoever made it, for services with the
        scope holds:write, and for admins.
        """
        self.GetHold: AsyncUnary[v1.GetHoldRequest, v1.Hold] = caller.unary(
            "/balance.v1.HoldService/GetHold", v1.GetHoldRequest, v1.Hold
        )
        """Returns a hold to the account's owner, and to callers who may read every
        account.
        """
        self.ListHolds: AsyncUnary[v1.ListHoldsRequest, v1.ListHoldsResponse] = caller.unary(
            "/balance.v1.HoldService/ListHolds", v1.ListHoldsRequest, v1.ListHoldsResponse
        )
        """Lists holds of one account, or of all the caller's accounts, newest first."""


class AsyncPurchaseService:
    """Keeps the catalogue of services and sells them."""

    def __init__(self, caller: AsyncCaller) -> None:
        self.ListServices: AsyncUnary[v1.ListServicesRequest, v1.ListServicesResponse] = (
            caller.unary(
                "/balance.v1.PurchaseService/ListServices",
                v1.ListServicesRequest,
                v1.ListServicesResponse,
            )
        )
        """Lists the catalogue, oldest first."""
        self.GetService: AsyncUnary[v1.GetServiceRequest, v1.Service] = caller.unary(
            "/balance.v1.PurchaseService/GetService", v1.GetServiceRequest, v1.Service
        )
        """Returns a service of the catalogue."""
        self.CreateService: AsyncUnary[v1.CreateServiceRequest, v1.Service] = caller.unary(
            "/balance.v1.PurchaseService/CreateService", v1.CreateServiceRequest, v1.Service
        )
        """Adds a service to the catalogue, for admins."""
        self.UpdateService: AsyncUnary[v1.UpdateServiceRequest, v1.Service] = caller.unary(
            "/balance.v1.PurchaseService/UpdateService", v1.UpdateServiceRequest, v1.Service
        )
        """Changes the fields of a service that update_mask names, for admins. What
        was bought keeps the price it was bought at.
        """
        self.DeleteService: AsyncUnary[v1.DeleteServiceRequest, Empty] = caller.unary(
            "/balance.v1.PurchaseService/DeleteService", v1.DeleteServiceRequest, Empty
        )
        """Takes a service out of the catalogue, for admins. Purchases of it stay."""
        self.CreatePurchase: AsyncUnary[v1.CreatePurchaseRequest, v1.Purchase] = caller.unary(
            "/balance.v1.PurchaseService/CreatePurchase", v1.CreatePurchaseRequest, v1.Purchase
        )
        """Buys a service. A price in another currency is converted at the stored
        rate and rounded half to even. An account buys a service once, unless it is
        repeatable: buying it again charges nothing and returns the first purchase
        with already_purchased set. With expected_price, nothing is bought at
        another price.
        """
        self.GetPurchase: AsyncUnary[v1.GetPurchaseRequest, v1.Purchase] = caller.unary(
            "/balance.v1.PurchaseService/GetPurchase", v1.GetPurchaseRequest, v1.Purchase
        )
        """Returns a purchase to the account's owner, and to callers who may read every
        account.
        """
        self.ListPurchases: AsyncUnary[v1.ListPurchasesRequest, v1.ListPurchasesResponse] = (
            caller.unary(
                "/balance.v1.PurchaseService/ListPurchases",
                v1.ListPurchasesRequest,
                v1.ListPurchasesResponse,
            )
        )
        """Lists purchases of one account, or of all the caller's accounts. Pages are
        stable while purchases are added.
        """
        self.RefundPurchase: AsyncUnary[v1.RefundPurchaseRequest, v1.Reversal] = caller.unary(
            "/balance.v1.PurchaseService/RefundPurchase", v1.RefundPurchaseRequest, v1.Reversal
        )
        """Refunds a purchase, whole or in parts, at the rate of the purchase. Once all
        of it is refunded, the account may buy the service again. For admins, and
        services with the scope purchases:refund.
        """


class AsyncTransferService:
    """Moves money from one account to another: of the same currency, or of another
    by a quote.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.CreateTransfer: AsyncUnary[v1.CreateTransferRequest, v1.Transfer] = caller.unary(
            "/balance.v1.TransferService/CreateTransfer", v1.CreateTransferRequest, v1.Transfer
        )
        """Moves money from the caller's account to another. Services with the scope
        transfers:write may move from any account. With a quote, the receiver gets
        another currency. Why an account cannot receive is told to those who may
        read it; to others it is RECEIVER_UNAVAILABLE.
        """
        self.BatchCreateTransfers: AsyncUnary[
            v1.BatchCreateTransfersRequest, v1.BatchCreateTransfersResponse
        ] = caller.unary(
            "/balance.v1.TransferService/BatchCreateTransfers",
            v1.BatchCreateTransfersRequest,
            v1.BatchCreateTransfersResponse,
        )
        """Makes up to 1000 transfers in one call. Each item has its own outcome, in
        the order of the requests. With all_or_nothing, one refused item refuses
        all.
        """
        self.CreateSplit: AsyncUnary[v1.CreateSplitRequest, v1.CreateSplitResponse] = caller.unary(
            "/balance.v1.TransferService/CreateSplit", v1.CreateSplitRequest, v1.CreateSplitResponse
        )
        """Splits one payment of one account among 2 to 1000 receivers: by amounts, by
        amounts with the rest to one of them, or by weights. Each receiver gets a
        transfer, and all of them are made, or none. The parts add up to the amount
        exactly: shares by weight are rounded down, and what is left over goes, a
        smallest unit each, to the receivers whose shares lost most by that, of
        equals to the earlier (the method of the largest remainder).
        """
        self.StreamTransfers: AsyncDuplexStream[v1.CreateTransferRequest, v1.TransferOutcome] = (
            caller.duplex_stream(
                "/balance.v1.TransferService/StreamTransfers",
                v1.CreateTransferRequest,
                v1.TransferOutcome,
            )
        )
        """Moves money as requests come, for callers with many transfers and no end
        to gather them for: a stream saves what each call costs. Each request is
        carried out by itself, as CreateTransfer would, and needs a request_id; the
        outcomes come in the order of the requests. Where too many are under way,
        the service stops reading until their outcomes are read. A stream that ends
        with UNAVAILABLE leaves the requests without an outcome unknown: send them
        again, with their ids, on a new one. It has no HTTP path, because a JSON
        body cannot be answered while it is still being read.
        """
        self.GetTransfer: AsyncUnary[v1.GetTransferRequest, v1.Transfer] = caller.unary(
            "/balance.v1.TransferService/GetTransfer", v1.GetTransferRequest, v1.Transfer
        )
        """Returns a transfer to either account's owner, and to callers who may read
        every account.
        """
        self.ListTransfers: AsyncUnary[v1.ListTransfersRequest, v1.ListTransfersResponse] = (
            caller.unary(
                "/balance.v1.TransferService/ListTransfers",
                v1.ListTransfersRequest,
                v1.ListTransfersResponse,
            )
        )
        """Lists transfers sent from one account, or from all the caller's accounts;
        with `received`, those that came in. Pages are stable while transfers are
        added.
        """
        self.ListReceivedTransfers: AsyncUnary[
            v1.ListTransfersRequest, v1.ListTransfersResponse
        ] = caller.unary(
            "/balance.v1.TransferService/ListReceivedTransfers",
            v1.ListTransfersRequest,
            v1.ListTransfersResponse,
        )
        """Lists transfers received, as ListTransfers with `received` does. It exists
        for its HTTP path.
        """
        self.ReverseTransfer: AsyncUnary[v1.ReverseTransferRequest, v1.Reversal] = caller.unary(
            "/balance.v1.TransferService/ReverseTransfer", v1.ReverseTransferRequest, v1.Reversal
        )
        """Sends a transfer back, whole or in parts. The receiving account pays; its
        overdraft counts only with `force`. For the receiver, for admins, and for
        services with the scope transfers:reverse. What was sent by a quote goes back
        at the quote's rate; the receiver may do that only while the quote holds.
        """


class AsyncWithdrawalService:
    """Sends money outside, such as a payout that a billing service makes."""

    def __init__(self, caller: AsyncCaller) -> None:
        self.CreateWithdrawal: AsyncUnary[v1.CreateWithdrawalRequest, v1.Withdrawal] = caller.unary(
            "/balance.v1.WithdrawalService/CreateWithdrawal",
            v1.CreateWithdrawalRequest,
            v1.Withdrawal,
        )
        """Takes money from an account. Needs the scope withdrawals:write; a user's own
        withdrawal is accepted only where the configuration allows it.
        """
        self.GetWithdrawal: AsyncUnary[v1.GetWithdrawalRequest, v1.Withdrawal] = caller.unary(
            "/balance.v1.WithdrawalService/GetWithdrawal", v1.GetWithdrawalRequest, v1.Withdrawal
        )
        """Returns a withdrawal to the account's owner, and to callers who may read every
        account.
        """
        self.ListWithdrawals: AsyncUnary[v1.ListWithdrawalsRequest, v1.ListWithdrawalsResponse] = (
            caller.unary(
                "/balance.v1.WithdrawalService/ListWithdrawals",
                v1.ListWithdrawalsRequest,
                v1.ListWithdrawalsResponse,
            )
        )
        """Lists withdrawals of one account, or of all the caller's accounts. Pages are
        stable while withdrawals are added.
        """
        self.ReverseWithdrawal: AsyncUnary[v1.ReverseWithdrawalRequest, v1.Reversal] = caller.unary(
            "/balance.v1.WithdrawalService/ReverseWithdrawal",
            v1.ReverseWithdrawalRequest,
            v1.Reversal,
        )
        """Takes a withdrawal back, whole or in parts, such as a payout that bounced: the
        account gets the money back. For admins, and services with the scope
        withdrawals:reverse.
        """


class AsyncBatchService:
    """Makes movements of several kinds in one call, also such that are made together
    or not at all.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.BatchCreateMovements: AsyncUnary[
            v1.BatchCreateMovementsRequest, v1.BatchCreateMovementsResponse
        ] = caller.unary(
            "/balance.v1.BatchService/BatchCreateMovements",
            v1.BatchCreateMovementsRequest,
            v1.BatchCreateMovementsResponse,
        )
        """Makes up to 1000 movements in one call, each as the RPC of its name would.
        Each item has its own outcome, in the order of the requests. Items that are
        linked form a chain, which is carried out as a whole or not at all; with
        all_or_nothing, all items are one chain. Of services, it needs one of the
        scopes that move money; an item that the caller may not ask for is refused by
        itself.
        """


class AsyncMovementService:
    """Finds movements of any kind and on any account, for those who may read every
    account.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.ListMovements: AsyncUnary[v1.ListMovementsRequest, v1.ListMovementsResponse] = (
            caller.unary(
                "/balance.v1.MovementService/ListMovements",
                v1.ListMovementsRequest,
                v1.ListMovementsResponse,
            )
        )
        """Lists movements by the reference that an outside system gave them, or by a
        pair of their metadata, newest first. Holds are none.

        Metadata is found by the keys that the setting BALANCE_SEARCHABLE_METADATA
        names. Movements from before a key was named are found once the command
        `balance-service index-metadata` has been run.
        """


class AsyncScheduleService:
    """Makes transfers and purchases later: once, or again and again. Each occurrence
    is carried out once, as if whoever made the schedule called CreateTransfer or
    CreatePurchase then: their rights, the accounts and the catalogue are those of
    that moment.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.CreateSchedule: AsyncUnary[v1.CreateScheduleRequest, v1.Schedule] = caller.unary(
            "/balance.v1.ScheduleService/CreateSchedule", v1.CreateScheduleRequest, v1.Schedule
        )
        """Makes a schedule, for callers who may make the transfer or purchase now. It
        is checked as far as that does not depend on the moment: the account that
        pays must be the caller's, and a service that is bought again and again must
        be repeatable. Past the number of schedules that one caller may have, it is
        SCHEDULE_LIMIT.
        """
        self.GetSchedule: AsyncUnary[v1.GetScheduleRequest, v1.Schedule] = caller.unary(
            "/balance.v1.ScheduleService/GetSchedule", v1.GetScheduleRequest, v1.Schedule
        )
        """Returns a schedule to whoever made it, to the owner of the account that pays,
        and to callers who may read every account.
        """
        self.ListSchedules: AsyncUnary[v1.ListSchedulesRequest, v1.ListSchedulesResponse] = (
            caller.unary(
                "/balance.v1.ScheduleService/ListSchedules",
                v1.ListSchedulesRequest,
                v1.ListSchedulesResponse,
            )
        )
        """Lists schedules, newest first: those that the caller made, or those by which
        one account pays.
        """
        self.UpdateSchedule: AsyncUnary[v1.UpdateScheduleRequest, v1.Schedule] = caller.unary(
            "/balance.v1.ScheduleService/UpdateSchedule", v1.UpdateScheduleRequest, v1.Schedule
        )
        """Changes what a schedule is called, what it does where funds are lacking, and
        when it ends, for whoever made it. What it pays, to whom and when never
        changes: cancel it and make another. If nothing comes before the new end, it
        is completed.
        """
        self.PauseSchedule: AsyncUnary[v1.PauseScheduleRequest, v1.Schedule] = caller.unary(
            "/balance.v1.ScheduleService/PauseSchedule", v1.PauseScheduleRequest, v1.Schedule
        )
        """Pauses an active schedule, for whoever made it and for admins. An occurrence
        that is being carried out meanwhile is finished; one that waits for funds is
        given up. One that is not active is SCHEDULE_NOT_ACTIVE.
        """
        self.ResumeSchedule: AsyncUnary[v1.ResumeScheduleRequest, v1.Schedule] = caller.unary(
            "/balance.v1.ScheduleService/ResumeSchedule", v1.ResumeScheduleRequest, v1.Schedule
        )
        """Lets a paused schedule go on, for whoever made it and for admins, from its
        next occurrence. Those of the time in which it was paused are not made up for
        and not recorded. One that is not paused is SCHEDULE_NOT_PAUSED.
        """
        self.CancelSchedule: AsyncUnary[v1.CancelScheduleRequest, v1.Schedule] = caller.unary(
            "/balance.v1.ScheduleService/CancelSchedule", v1.CancelScheduleRequest, v1.Schedule
        )
        """Cancels a schedule for good, for whoever made it and for admins. An
        occurrence that is being carried out meanwhile is finished. One that was
        cancelled or completed before stays as it is.
        """
        self.ListOccurrences: AsyncUnary[v1.ListOccurrencesRequest, v1.ListOccurrencesResponse] = (
            caller.unary(
                "/balance.v1.ScheduleService/ListOccurrences",
                v1.ListOccurrencesRequest,
                v1.ListOccurrencesResponse,
            )
        )
        """Lists what became of a schedule's occurrences, newest first, and when the
        next ones are, to callers who may read the schedule. They are kept for some
        time (BALANCE_SCHEDULE_OCCURRENCES_DAYS); the movements, for ever.
        """


class AsyncEventService:
    """Tells of everything that was committed: one event for each movement, and for
    each change of an account, a user or a schedule. No event is missing and none
    comes twice; those of an account come in the order in which they were
    committed. Users are told of their own accounts alone.

    Events are kept for some days (BALANCE_EVENTS_RETENTION_DAYS), statements for
    ever.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.ListEvents: AsyncUnary[v1.ListEventsRequest, v1.ListEventsResponse] = caller.unary(
            "/balance.v1.EventService/ListEvents", v1.ListEventsRequest, v1.ListEventsResponse
        )
        """Lists events, oldest first: from the oldest that is kept, from a moment, or
        from a place. A page looks at 10000 events at most, so it may hold fewer than
        asked for, or none, and be followed by others.

        What was committed can be listed within about half a second.
        """
        self.WatchEvents: AsyncServerStream[v1.WatchEventsRequest, v1.WatchEventsResponse] = (
            caller.server_stream(
                "/balance.v1.EventService/WatchEvents",
                v1.WatchEventsRequest,
                v1.WatchEventsResponse,
            )
        )
        """Sends events as they happen, without an end: from now on, from a moment, or
        from a place. The first message comes at once, and one every 15 seconds: where
        nothing was kept, it has no event, and page_token says how far the log was
        looked through. Keep the last page_token to go on from there, here or with
        ListEvents. The stream ends when the access token does, and with UNAVAILABLE
        when the server stops: call again.
        """


class AsyncLedgerService:
    """Shows the ledger as accountants look at it: by the accounts of its chart, which
    are users' accounts together and the service's own.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.GetTrialBalance: AsyncUnary[v1.GetTrialBalanceRequest, v1.TrialBalance] = caller.unary(
            "/balance.v1.LedgerService/GetTrialBalance", v1.GetTrialBalanceRequest, v1.TrialBalance
        )
        """Gets what was posted to every account of the chart, by currency, for admins
        and for services with the scope reports:read: in each currency debits and
        credits are the same. It is of the present moment, in one snapshot, or of a
        past one, and then never changes again.
        """
        self.ExportJournal: AsyncServerStream[v1.ExportJournalRequest, v1.ExportJournalResponse] = (
            caller.server_stream(
                "/balance.v1.LedgerService/ExportJournal",
                v1.ExportJournalRequest,
                v1.ExportJournalResponse,
            )
        )
        """Exports what was posted in a period, for who may get a trial balance, as lines
        that accounting programs read: a stream of parts of one text. It begins with the balances of
        its start, so that with the period's lines it gives those of its end. What
        users wrote is in it as text alone.

        Movements are told in the order of the log of events, as long as that is kept
        (BALANCE_EVENTS_RETENTION_DAYS); EVENTS_EXPIRED before that, where days and
        the command `balance-service journal export` still tell them. Of a time whose
        entries are archived, days alone are told; movements are PERIOD_ARCHIVED.
        """


class AsyncProofService:
    """Proves what the ledger holds to whoever does not trust it. Every minute, the
    service signs a checkpoint over all movements since the one before; a receipt
    leads from a movement to the checkpoint that covers it, and is checked
    without the service.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.GetReceipt: AsyncUnary[v1.GetReceiptRequest, v1.Receipt] = caller.unary(
            "/balance.v1.ProofService/GetReceipt", v1.GetReceiptRequest, v1.Receipt
        )
        """Returns a receipt for a movement, to the owners of its accounts, and to
        callers who may read every account. Until a checkpoint covers the movement,
        RECEIPT_NOT_READY says how long to wait. Once the movement's entries are
        archived, it is PERIOD_ARCHIVED.
        """
        self.GetCheckpoint: AsyncUnary[v1.GetCheckpointRequest, v1.Checkpoint] = caller.unary(
            "/balance.v1.ProofService/GetCheckpoint", v1.GetCheckpointRequest, v1.Checkpoint
        )
        """Returns a checkpoint, to callers who may read every account: it tells how
        much moved. Keep the latest one where the service cannot change it: it
        covers all that came before.
        """
        self.ListCheckpoints: AsyncUnary[v1.ListCheckpointsRequest, v1.ListCheckpointsResponse] = (
            caller.unary(
                "/balance.v1.ProofService/ListCheckpoints",
                v1.ListCheckpointsRequest,
                v1.ListCheckpointsResponse,
            )
        )
        """Lists checkpoints, newest first unless order_by says otherwise, to callers who
        may read every account.
        """
        self.VerifyLedger: AsyncServerStream[v1.VerifyLedgerRequest, v1.VerifyLedgerResponse] = (
            caller.server_stream(
                "/balance.v1.ProofService/VerifyLedger",
                v1.VerifyLedgerRequest,
                v1.VerifyLedgerResponse,
            )
        )
        """Verifies the ledger in one snapshot, for admins and for services with the scope
        accounts:read, as the command `balance-service verify` does: a message when each
        check begins and when it has ended, and a summary as the last one. It takes no
        lock that a movement waits for. One run at a time is made for all callers:
        VERIFICATION_RUNNING tells others to wait. A run whose caller leaves is
        cancelled. One that came to its end is recorded in the audit log
        (ledger.verified).

        A stream ends when its access token does: a run that takes longer is for the
        command.
        """


class AsyncReportService:
    """Reports on all accounts together, for operators and for services with the scope
    reports:read.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.ListBalances: AsyncUnary[v1.ListBalancesRequest, v1.ListBalancesResponse] = (
            caller.unary(
                "/balance.v1.ReportService/ListBalances",
                v1.ListBalancesRequest,
                v1.ListBalancesResponse,
            )
        )
        """Lists what every account had right after a moment, oldest account first;
        accounts opened later are not in it. A balance of the past is final: it is the
        same whenever it is asked for. So the answer waits, within the call's deadline,
        until no movement of that time is under way any more, on whichever account; if
        that takes long, it is UNAVAILABLE. A page looks at 10000 accounts at most, so
        it may hold fewer than asked for, or none, and be followed by others. A moment
        whose entries are archived is PERIOD_ARCHIVED.
        """
        self.SearchMovements: AsyncUnary[v1.SearchMovementsRequest, v1.SearchMovementsResponse] = (
            caller.unary(
                "/balance.v1.ReportService/SearchMovements",
                v1.SearchMovementsRequest,
                v1.SearchMovementsResponse,
            )
        )
        """Lists movements of all accounts by when the money moved, in the order of the
        log of events: that of their times, but for those that were committed beside
        each other. A page looks at 10000 events at most, so it may hold fewer than
        asked for, or none, and be followed by others.

        Movements are found as long as their events are kept
        (BALANCE_EVENTS_RETENTION_DAYS), and within about half a second after they were
        committed. For older ones, the view reports.movements has all there are.
        """
        self.SalesByService: AsyncUnary[v1.SalesByServiceRequest, v1.SalesByServiceResponse] = (
            caller.unary(
                "/balance.v1.ReportService/SalesByService",
                v1.SalesByServiceRequest,
                v1.SalesByServiceResponse,
            )
        )
        """Sums up what was sold of each service in each month of UTC, by the currencies
        of the accounts and of the prices, and what of it was refunded, oldest month
        first. A refund counts in the month in which it was booked, as in the books, so
        a month that is over stays as it is: it is final two minutes after its end.
        Everything that is committed counts. After an upgrade from a version without
        sales it is LEDGER_TOTALS_MISSING until the past has been added up, and it is
        UNAVAILABLE while the job that adds sales up is far behind.
        """


class AsyncStatementService:
    """Sums an account up over a period."""

    def __init__(self, caller: AsyncCaller) -> None:
        self.GetStatement: AsyncUnary[v1.GetStatementRequest, v1.Statement] = caller.unary(
            "/balance.v1.StatementService/GetStatement", v1.GetStatementRequest, v1.Statement
        )
        """Returns an account's statement for a period: the balances at its ends, and
        what came and went between them. It does not carry the entries, which
        ListEntries lists for the same bounds.

        By booking date a statement is final: it is the same whenever it is asked
        for, and that of the next period opens with what this one closes with. So
        the answer waits as GetAccount does with `as_of`. By value date, a movement
        that is dated back enters a period that is over; `final` says whether that
        can still happen.

        A period with more than 100000 entries is STATEMENT_TOO_LONG. By value date,
        entries that are booked up to 367 days before and after the period count,
        too. A period with archived entries is PERIOD_ARCHIVED.
        """
        self.DownloadStatement: AsyncServerStream[v1.DownloadStatementRequest, HttpBody] = (
            caller.server_stream(
                "/balance.v1.StatementService/DownloadStatement",
                v1.DownloadStatementRequest,
                HttpBody,
            )
        )
        """Sends an account's statement for a period by booking date as a file, entry by
        entry, in parts that follow one another. The first says what it is by
        content_type, and what to call it by a StatementFile in extensions. HTTP sends
        the parts as they are, as an attachment of that name.

        The file ends with the totals and the closing balance, which tell that nothing
        is missing; a call that fails before that has sent a part of a file. CSV and
        PDF are in the caller's language. A PDF has at most 5000 entries, or is
        STATEMENT_TOO_LONG; the others may have any number. What is booked after the
        period does not change the file, byte for byte. A period with archived entries
        is PERIOD_ARCHIVED.
        """


class AsyncUserService:
    """Keeps the profiles of users. A user is created by the first confirmation code
    that is confirmed for an address, or before that by a service.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.GetMe: AsyncUnary[v1.GetMeRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/GetMe", v1.GetMeRequest, v1.User
        )
        """Returns the caller's own profile."""
        self.UpdateMe: AsyncUnary[v1.UpdateMeRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/UpdateMe", v1.UpdateMeRequest, v1.User
        )
        """Changes the fields of the caller's own profile that update_mask names:
        username, first_name, last_name and bio. Nobody changes their own role.
        """
        self.ListUsers: AsyncUnary[v1.ListUsersRequest, v1.ListUsersResponse] = caller.unary(
            "/balance.v1.UserService/ListUsers", v1.ListUsersRequest, v1.ListUsersResponse
        )
        """Lists users by username, for admins, and keeps those that pass all filters. A
        page looks at 10000 users at most, so it may hold fewer than asked for, or
        none, and be followed by others; not with skip or count_total, which look at
        all.
        """
        self.GetUser: AsyncUnary[v1.GetUserRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/GetUser", v1.GetUserRequest, v1.User
        )
        """Returns a user, for admins and services with the scope users:read."""
        self.LookupUser: AsyncUnary[v1.LookupUserRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/LookupUser", v1.LookupUserRequest, v1.User
        )
        """Returns the user that has an e-mail address, a username or an external id, for
        admins and services with the scope users:read. Exactly one of the three is
        given. Over HTTP it is a POST, because addresses do not belong in URLs, which
        proxies and browsers keep.
        """
        self.EnsureUser: AsyncUnary[v1.EnsureUserRequest, v1.EnsureUserResponse] = caller.unary(
            "/balance.v1.UserService/EnsureUser", v1.EnsureUserRequest, v1.EnsureUserResponse
        )
        """Returns the user of an e-mail address or of the calling service's external
        id, and makes one if there is none: however often and by however many at once
        it is called, there is one user. For services with the scope users:write.
        Whoever gets a confirmation code for the address later signs in as this user.

        Where both are given, whoever has the external id is meant, and gets the
        address if they have none yet. Where nobody has it, the user of the address
        gets it. If that user has another external id of the service, it is
        EXTERNAL_ID_CONFLICT.
        """
        self.SetUserExternalId: AsyncUnary[v1.SetUserExternalIdRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/SetUserExternalId", v1.SetUserExternalIdRequest, v1.User
        )
        """Gives a user an external id in place of the one they had of the same source,
        or takes it away. For services with the scope users:write, and admins. What
        another user has is EXTERNAL_ID_CONFLICT.
        """
        self.UpdateUser: AsyncUnary[v1.UpdateUserRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/UpdateUser", v1.UpdateUserRequest, v1.User
        )
        """Changes a user's profile and role, for admins. A change of role revokes the
        user's sign-ins, so that no token carries the old one. Admins cannot change
        their own role.
        """
        self.EnrolSecondFactor: AsyncUnary[
            v1.EnrolSecondFactorRequest, v1.EnrolSecondFactorResponse
        ] = caller.unary(
            "/balance.v1.UserService/EnrolSecondFactor",
            v1.EnrolSecondFactorRequest,
            v1.EnrolSecondFactorResponse,
        )
        """Begins to enrol a second factor of the caller: returns a secret for an
        authenticator (TOTP, RFC 6238). It is shown once, and does nothing until it
        is confirmed; enrolling again replaces one that was not.
        """
        self.ConfirmSecondFactor: AsyncUnary[
            v1.ConfirmSecondFactorRequest, v1.ConfirmSecondFactorResponse
        ] = caller.unary(
            "/balance.v1.UserService/ConfirmSecondFactor",
            v1.ConfirmSecondFactorRequest,
            v1.ConfirmSecondFactorResponse,
        )
        """Confirms the caller's second factor by a code of it, and returns recovery
        codes, which are shown once. From then on CreateToken needs a code of it.
        The caller's other sign-ins end.
        """
        self.RemoveSecondFactor: AsyncUnary[v1.RemoveSecondFactorRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/RemoveSecondFactor", v1.RemoveSecondFactorRequest, v1.User
        )
        """Removes the caller's second factor, with its recovery codes; it is proved
        once more.
        """
        self.ResetSecondFactor: AsyncUnary[v1.ResetSecondFactorRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/ResetSecondFactor", v1.ResetSecondFactorRequest, v1.User
        )
        """Removes the second factor of a user who lost it and its recovery codes, for
        admins. The user's sign-ins end. Admins cannot reset their own.
        """
        self.ListSessions: AsyncUnary[v1.ListSessionsRequest, v1.ListSessionsResponse] = (
            caller.unary(
                "/balance.v1.UserService/ListSessions",
                v1.ListSessionsRequest,
                v1.ListSessionsResponse,
            )
        )
        """Lists the caller's sign-ins that go on, newest first, at most 100."""
        self.EndSession: AsyncUnary[v1.EndSessionRequest, Empty] = caller.unary(
            "/balance.v1.UserService/EndSession", v1.EndSessionRequest, Empty
        )
        """Ends a sign-in of the caller, with all its tokens. Access tokens stop
        working within two seconds. One that is over already is accepted, so that
        the call can be repeated.
        """
        self.EndSessions: AsyncUnary[v1.EndSessionsRequest, Empty] = caller.unary(
            "/balance.v1.UserService/EndSessions", v1.EndSessionsRequest, Empty
        )
        """Ends the caller's other sign-ins, and with include_current this one, too."""
        self.EndUserSessions: AsyncUnary[v1.EndUserSessionsRequest, Empty] = caller.unary(
            "/balance.v1.UserService/EndUserSessions", v1.EndUserSessionsRequest, Empty
        )
        """Ends all sign-ins of a user, for admins. The user may sign in anew."""
        self.DisableUser: AsyncUnary[v1.DisableUserRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/DisableUser", v1.DisableUserRequest, v1.User
        )
        """Keeps a user from signing in and ends their sign-ins, for admins. Their
        accounts stay as they are. Admins cannot disable themselves.
        """
        self.EnableUser: AsyncUnary[v1.EnableUserRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/EnableUser", v1.EnableUserRequest, v1.User
        )
        """Lets a disabled user sign in again, for admins."""
        self.ChangeEmail: AsyncUnary[v1.ChangeEmailRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/ChangeEmail", v1.ChangeEmailRequest, v1.User
        )
        """Changes the caller's e-mail address. Both addresses are confirmed: ask
        SendConfirmationCode for a code to each. The caller's other sign-ins end.
        """
        self.ExportUser: AsyncUnary[v1.ExportUserRequest, v1.ExportUserResponse] = caller.unary(
            "/balance.v1.UserService/ExportUser", v1.ExportUserRequest, v1.ExportUserResponse
        )
        """Returns all that is kept on a user: for users on themselves, and for admins.
        Movements come page by page, oldest first; the first page has the rest.
        """
        self.EraseUser: AsyncUnary[v1.EraseUserRequest, v1.User] = caller.unary(
            "/balance.v1.UserService/EraseUser", v1.EraseUserRequest, v1.User
        )
        """Erases a user, for good: their address, names, username, bio, second factor,
        sign-ins and known networks. Their id, accounts and movements stay, because
        books must be kept; their accounts are closed. Users erase themselves by a
        code that SendConfirmationCode sends to their address; admins erase others,
        with a reason. It is refused while an account has money or holds on it, or
        is frozen. Erasing again changes nothing. Whoever signs in with the address
        later is a new user.
        """


class AsyncWebhookService:
    """Sends events to services that cannot keep a stream open: each as an HTTP POST,
    signed by Standard Webhooks (https://www.standardwebhooks.com), with the event as
    JSON for its body. An event is sent at least once, and under its own id.

    A service manages the endpoints that it made, an admin all. What is somebody
    else's is WEBHOOK_ENDPOINT_NOT_FOUND.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        self.CreateWebhookEndpoint: AsyncUnary[
            v1.CreateWebhookEndpointRequest, v1.WebhookEndpoint
        ] = caller.unary(
            "/balance.v1.WebhookService/CreateWebhookEndpoint",
            v1.CreateWebhookEndpointRequest,
            v1.WebhookEndpoint,
        )
        """Adds an endpoint, which hears what happens from then on. Its secret is in the
        answer and in no other. At most 20 endpoints belong to one caller; one more is
        WEBHOOK_ENDPOINT_LIMIT.
        """
        self.GetWebhookEndpoint: AsyncUnary[v1.GetWebhookEndpointRequest, v1.WebhookEndpoint] = (
            caller.unary(
                "/balance.v1.WebhookService/GetWebhookEndpoint",
                v1.GetWebhookEndpointRequest,
                v1.WebhookEndpoint,
            )
        )
        """Returns an endpoint."""
        self.ListWebhookEndpoints: AsyncUnary[
            v1.ListWebhookEndpointsRequest, v1.ListWebhookEndpointsResponse
        ] = caller.unary(
            "/balance.v1.WebhookService/ListWebhookEndpoints",
            v1.ListWebhookEndpointsRequest,
            v1.ListWebhookEndpointsResponse,
        )
        """Lists the caller's endpoints, oldest first; to admins, everybody's."""
        self.UpdateWebhookEndpoint: AsyncUnary[
            v1.UpdateWebhookEndpointRequest, v1.WebhookEndpoint
        ] = caller.unary(
            "/balance.v1.WebhookService/UpdateWebhookEndpoint",
            v1.UpdateWebhookEndpointRequest,
            v1.WebhookEndpoint,
        )
        """Changes the fields of an endpoint that update_mask names. One that is enabled
        again goes on with the event that it was to hear next, or with the oldest that
        is kept.
        """
        self.DeleteWebhookEndpoint: AsyncUnary[v1.DeleteWebhookEndpointRequest, Empty] = (
            caller.unary(
                "/balance.v1.WebhookService/DeleteWebhookEndpoint",
                v1.DeleteWebhookEndpointRequest,
                Empty,
            )
        )
        """Removes an endpoint, its secrets and what was to be sent to it."""
        self.RotateWebhookSecret: AsyncUnary[v1.RotateWebhookSecretRequest, v1.WebhookEndpoint] = (
            caller.unary(
                "/balance.v1.WebhookService/RotateWebhookSecret",
                v1.RotateWebhookSecretRequest,
                v1.WebhookEndpoint,
            )
        )
        """Gives an endpoint another secret. The one before signs beside it for a day, or
        until expire_time.
        """
        self.SendTestEvent: AsyncUnary[v1.SendTestEventRequest, v1.WebhookDelivery] = caller.unary(
            "/balance.v1.WebhookService/SendTestEvent", v1.SendTestEventRequest, v1.WebhookDelivery
        )
        """Sends an endpoint an event that tells of nothing, of the type
        "balance.v1.webhook.test", whatever its filter. What came of it is a delivery.
        """
        self.ListWebhookDeliveries: AsyncUnary[
            v1.ListWebhookDeliveriesRequest, v1.ListWebhookDeliveriesResponse
        ] = caller.unary(
            "/balance.v1.WebhookService/ListWebhookDeliveries",
            v1.ListWebhookDeliveriesRequest,
            v1.ListWebhookDeliveriesResponse,
        )
        """Lists what was sent to an endpoint or is to be, newest first. What was
        delivered or is dead is kept for some days (BALANCE_WEBHOOKS_RETENTION_DAYS).
        """
        self.RedeliverWebhookDelivery: AsyncUnary[
            v1.RedeliverWebhookDeliveryRequest, v1.WebhookDelivery
        ] = caller.unary(
            "/balance.v1.WebhookService/RedeliverWebhookDelivery",
            v1.RedeliverWebhookDeliveryRequest,
            v1.WebhookDelivery,
        )
        """Sends an event again, whatever became of it, with all attempts before it. The
        log of events must still have it, or it is EVENTS_EXPIRED.
        """
        self.ReplayEvents: AsyncUnary[v1.ReplayEventsRequest, v1.ReplayEventsResponse] = (
            caller.unary(
                "/balance.v1.WebhookService/ReplayEvents",
                v1.ReplayEventsRequest,
                v1.ReplayEventsResponse,
            )
        )
        """Sends the events of a part of the log that the endpoint's filter keeps, also
        those that it was sent before. The part holds 10000 events at most; the oldest
        must still be kept, or it is EVENTS_EXPIRED.
        """
