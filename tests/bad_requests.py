"""Requests with one wrong field each, of every method that users may call."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from balance_client import v1

AMOUNTS = ("", "0", "-5", "1.001", "1e3", "NaN", "9" * 20, "1,5", " 1", "٥")
NOT_UUIDS = ("x", "123", "0190a1b2-0000-7000-8000-00000000000g", "{" + str(uuid4()) + "}")
NOT_KEYS = (" ", " x", "x ", "a\nb", "a\x00b", "\x7f", "ключ", "x" * 256)
CURRENCIES = ("rub", "XXX", "RUBLE", "€")
LONG = "x" * 201

Case = tuple[str, Message, str]


def cases(account: str, service: str, other: str) -> Iterator[Case]:
    """Method, request, and the field that is wrong with it."""
    moving: dict[str, Callable[..., Message]] = {
        "DepositService/CreateDeposit": lambda **f: v1.CreateDepositRequest(
            **{"account": account, "amount": "1", **f}
        ),
        "WithdrawalService/CreateWithdrawal": lambda **f: v1.CreateWithdrawalRequest(
            **{"account": account, "amount": "1", **f}
        ),
        "TransferService/CreateTransfer": lambda **f: v1.CreateTransferRequest(
            **{"from_account": account, "to_account": other, "amount": "1", **f}
        ),
    }
    for method, request in moving.items():
        yield from ((method, request(amount=amount), "amount") for amount in AMOUNTS)
        yield from ((method, request(currency=code), "currency") for code in CURRENCIES)
        yield from ((method, request(request_id=text), "request_id") for text in NOT_KEYS)
        yield method, request(request_id="00000000-0000-0000-0000-000000000000"), "request_id"
        yield method, request(description=LONG), "description"
        yield method, request(description="a\x00b"), "description"
        yield method, request(metadata={str(n): "" for n in range(17)}), "metadata"
        yield method, request(metadata={"Key": "v"}), "metadata"
        yield method, request(metadata={"k": LONG}), "metadata.k"
        side = "from_account" if "Transfer" in method else "account"
        yield from ((method, request(**{side: text}), side) for text in NOT_UUIDS)
        if "Transfer" in method:
            yield from ((method, request(to_account=text), "to_account") for text in NOT_UUIDS)
            yield method, request(to_account=""), "to_account"
            yield method, request(to_account="1234567890"), "to_account"
            yield from ((method, request(quote=text), "quote") for text in NOT_UUIDS)
        else:
            yield method, request(source="stripe"), "source"
            yield method, request(source="x" * 41, reference="r"), "source"
            yield method, request(reference="x" * 101), "reference"
    yield from purchases(service)
    yield from exchanges(account)
    yield from together(account, other)
    yield from rates()
    yield from reads()
    yield from lists(account)
    yield from look_ups()
    yield from schedules(other)
    yield from events(account)
    yield from statements(account)
    yield from proofs()
    for code in CURRENCIES:
        yield "AccountService/CreateAccount", v1.CreateAccountRequest(currency=code), "currency"
        get = v1.GetAccountRequest(account=account, currency=code)
        yield "AccountService/GetAccount", get, "currency"
    never = v1.GetAccountRequest(account=account, as_of=Timestamp(seconds=10**15))
    yield "AccountService/GetAccount", never, "as_of"
    yield "DepositService/BatchCreateDeposits", v1.BatchCreateDepositsRequest(), "requests"
    yield "TransferService/BatchCreateTransfers", v1.BatchCreateTransfersRequest(), "requests"
    yield from sign_ins()


def statements(account: str) -> Iterator[Case]:
    wanted, start, end = v1.GetStatementRequest, Timestamp(seconds=1), Timestamp(seconds=2)
    never, soon = Timestamp(seconds=10**15), Timestamp(seconds=250_000_000_000)
    for text in ("", *NOT_UUIDS):
        request = wanted(account=text, start_time=start, end_time=end)
        yield "StatementService/GetStatement", request, "account"
    for period, field in (
        ({"end_time": end}, "start_time"),
        ({"start_time": start}, "end_time"),
        ({"start_time": end, "end_time": start}, "end_time"),
        ({"start_time": start, "end_time": start}, "end_time"),
        ({"start_time": start, "end_time": soon}, "end_time"),
        ({"start_time": never, "end_time": end}, "start_time"),
        ({"start_time": start, "end_time": never}, "end_time"),
        ({"start_time": start, "end_time": end, "basis": 99}, "basis"),
    ):
        yield "StatementService/GetStatement", wanted(account=account, **period), field


def events(account: str) -> Iterator[Case]:
    method, wanted = "EventService/ListEvents", v1.ListEventsRequest
    known = "balance.v1.transfer.created"
    for text in ("", "transfer.created", "balance.v1.transfer.*", LONG):
        types = v1.EventFilter(types=[known, text])
        yield method, wanted(filter=types), "filter.types[1]"
    yield method, wanted(filter=v1.EventFilter(types=[known] * 31)), "filter.types"
    for text in ("", *NOT_UUIDS):
        named = v1.EventFilter(accounts=[account, text])
        yield method, wanted(filter=named), "filter.accounts[1]"
    yield method, wanted(filter=v1.EventFilter(accounts=[account] * 51)), "filter.accounts"
    yield method, wanted(start_time=Timestamp(seconds=10**15)), "start_time"
    yield method, wanted(page_size=-1), "page_size"


def proofs() -> Iterator[Case]:
    for text in ("", *NOT_UUIDS):
        yield "ProofService/GetReceipt", v1.GetReceiptRequest(movement=text), "movement"
    for text in NOT_UUIDS:
        request = v1.GetReceiptRequest(movement=str(uuid4()), account=text)
        yield "ProofService/GetReceipt", request, "account"


def schedules(other: str) -> Iterator[Case]:
    create = "ScheduleService/CreateSchedule"
    tomorrow = Timestamp(seconds=int(time.time()) + 86_400)

    def scheduled(**changed: Any) -> Message:
        sent = v1.CreateTransferRequest(to_account=other, amount="1")
        whole: dict[str, Any] = {"create_transfer": sent, "start_time": tomorrow}
        return v1.CreateScheduleRequest(schedule=v1.Schedule(**{**whole, **changed}))

    for amount in AMOUNTS:
        sent = v1.CreateTransferRequest(to_account=other, amount=amount)
        yield create, scheduled(create_transfer=sent), "schedule.create_transfer.amount"
    yield create, v1.CreateScheduleRequest(), "schedule"
    yield create, scheduled(description=LONG), "schedule.description"
    rule = "schedule.recurrence_rule"
    for text in ("x", "FREQ=SECONDLY", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;BYHOUR=24", "FREQ="):
        yield create, scheduled(recurrence_rule=text, time_zone="UTC"), rule
    for zone in ("", "Mars", "../UTC", LONG):
        field = "schedule.time_zone"
        yield create, scheduled(recurrence_rule="FREQ=DAILY", time_zone=zone), field
    yield create, scheduled(start_time=Timestamp(seconds=1)), "schedule.start_time"
    yield create, scheduled(end_time=tomorrow), "schedule.end_time"
    for text in ("", *NOT_UUIDS):
        for name in ("Get", "Pause", "Resume", "Cancel"):
            request = getattr(v1, f"{name}ScheduleRequest")
            yield f"ScheduleService/{name}Schedule", request(schedule=text), "schedule"
        listed = v1.ListOccurrencesRequest(schedule=text)
        yield "ScheduleService/ListOccurrences", listed, "schedule"
    update = v1.UpdateScheduleRequest(id=str(uuid4()))
    yield "ScheduleService/UpdateSchedule", update, "update_mask"
    lists = "ScheduleService/ListSchedules"
    yield lists, v1.ListSchedulesRequest(account="x"), "account"
    yield lists, v1.ListSchedulesRequest(principal="x" * 49), "principal"


def look_ups() -> Iterator[Case]:
    method, wanted = "AccountService/LookupAccount", v1.LookupAccountRequest
    yield method, wanted(), "number"
    for number in ("1", "1234567890", "0000000000", "x" * 10, "٥" * 10):
        yield method, wanted(number=number), "number"
    for code in CURRENCIES:
        yield method, wanted(currency=code), "currency"
    for text in NOT_UUIDS:
        yield method, wanted(currency="RUB", user=text), "user"
    yield method, wanted(number="2935048617", user=str(uuid4())), "user"
    for external_id in ("x" * 101, "a\x00b", "a\u202eb"):
        external = wanted(external_id=external_id, source="service:crm")
        yield method, external, "external_id"
    for source in ("", "crm", "service:", "service:C", "user:x", "service:" + "x" * 41):
        yield method, wanted(external_id="42", source=source), "source"
    yield method, wanted(currency="RUB", source="service:crm"), "source"


def sign_ins() -> Iterator[Case]:
    yield "AuthService/SendConfirmationCode", v1.SendConfirmationCodeRequest(), "email"
    for email in ("x", "a@b", "a b@c.de", "a@b@c.de", "x" * 250 + "@c.de", "a\n@c.de"):
        send = v1.SendConfirmationCodeRequest(email=email)
        yield "AuthService/SendConfirmationCode", send, "email"
    create = "AuthService/CreateToken"
    yield create, v1.CreateTokenRequest(), "verification_id"
    yield create, v1.CreateTokenRequest(email="a@b.cd"), "confirmation_code"
    yield create, v1.CreateTokenRequest(confirmation_code="12345678"), "email"
    yield create, v1.CreateTokenRequest(email="a@b.cd", client_id="x"), "verification_id"
    verified = partial(v1.CreateTokenRequest, verification_id="x")
    yield create, verified(email="a@b.cd", confirmation_code="12345678"), "email"
    yield create, verified(confirmation_code="123456"), "confirmation_code"
    yield (
        create,
        verified(verification_id="x" * 101, confirmation_code="12345678"),
        ("verification_id"),
    )
    yield create, v1.CreateTokenRequest(client_id="x"), "client_secret"
    long = verified(confirmation_code="12345678", second_factor_code="x" * 21)
    yield create, long, "second_factor_code"
    for code in ("", "12345", "1234567"):
        confirm = v1.ConfirmSecondFactorRequest(code=code)
        yield "UserService/ConfirmSecondFactor", confirm, "code"
    for code in ("", "12345", "x" * 21):
        yield "UserService/RemoveSecondFactor", v1.RemoveSecondFactorRequest(code=code), "code"
    for text in NOT_UUIDS:
        yield "UserService/EndSession", v1.EndSessionRequest(session=text), "session"
    whole = {
        "verification_id": "x",
        "confirmation_code": "12345678",
        "new_verification_id": "y",
        "new_confirmation_code": "12345678",
    }
    for field in whole:
        changed = v1.ChangeEmailRequest(**{**whole, field: ""})
        yield "UserService/ChangeEmail", changed, field
    erase = "UserService/EraseUser"
    yield erase, v1.EraseUserRequest(user=str(UUID(int=1))), "reason"
    yield erase, v1.EraseUserRequest(user=str(UUID(int=1)), reason="x" * 201), "reason"
    for text in NOT_UUIDS:
        yield erase, v1.EraseUserRequest(user=text, reason="x"), "user"
        yield "UserService/ExportUser", v1.ExportUserRequest(user=text), "user"
    export = v1.ExportUserRequest(user=str(UUID(int=1)), page_size=-1)
    yield "UserService/ExportUser", export, "page_size"
    yield "AuthService/RefreshToken", v1.RefreshTokenRequest(), "refresh_token"
    yield "AuthService/RevokeToken", v1.RevokeTokenRequest(), "refresh_token"


def purchases(service: str) -> Iterator[Case]:
    purchase = "PurchaseService/CreatePurchase"
    for text in NOT_UUIDS:
        yield purchase, v1.CreatePurchaseRequest(service=text), "service"
        yield purchase, v1.CreatePurchaseRequest(service=service, account=text), "account"
    for text in NOT_KEYS:
        yield purchase, v1.CreatePurchaseRequest(service=service, request_id=text), "request_id"
    yield purchase, v1.CreatePurchaseRequest(), "service"
    for quantity in (-1, 1001, 2):  # The last is too many of a service that is bought once.
        request_ = v1.CreatePurchaseRequest(service=service, quantity=quantity)
        yield purchase, request_, "quantity"
    for amount in AMOUNTS[1:]:
        expecting = v1.CreatePurchaseRequest(service=service, expected_price=amount)
        yield purchase, expecting, "expected_price"
    for code in CURRENCIES:
        expecting = v1.CreatePurchaseRequest(
            service=service, expected_price="1", expected_currency=code
        )
        yield purchase, expecting, "expected_currency"
    lone = v1.CreatePurchaseRequest(service=service, expected_currency="RUB")
    yield purchase, lone, "expected_currency"


def exchanges(account: str) -> Iterator[Case]:
    method = "ExchangeService/CreateQuote"

    def quote(**changed: str) -> Message:
        whole: dict[str, Any] = {
            "from_currency": "RUB",
            "to_currency": "USD",
            "from_amount": "1",
        }
        return v1.CreateQuoteRequest(**{**whole, "from_account": account, **changed})

    for code in ("", *CURRENCIES):
        yield method, quote(from_currency=code), "from_currency"
        yield method, quote(to_currency=code), "to_currency"
    yield method, quote(to_currency="RUB"), "to_currency"
    for amount in AMOUNTS[1:]:
        yield method, quote(from_amount=amount), "from_amount"
        yield method, quote(from_amount="", to_amount=amount), "to_amount"
    yield method, quote(from_amount=""), "from_amount"
    yield method, quote(to_amount="1"), "to_amount"
    yield from ((method, quote(request_id=text), "request_id") for text in NOT_KEYS)
    yield from ((method, quote(from_account=text), "from_account") for text in NOT_UUIDS)
    method, create = "ExchangeService/CreateExchange", v1.CreateExchangeRequest
    known = str(uuid4())
    for text in ("", *NOT_UUIDS):
        yield method, create(quote=text), "quote"
        yield "ExchangeService/GetQuote", v1.GetQuoteRequest(quote=text), "quote"
        get = v1.GetExchangeRequest(exchange=text)
        yield "ExchangeService/GetExchange", get, "exchange"
    yield from ((method, create(quote=known, request_id=text), "request_id") for text in NOT_KEYS)
    yield method, create(quote=known, description=LONG), "description"
    yield method, create(quote=known, metadata={"Key": "v"}), "metadata"
    yield method, create(quote=known, metadata={"k": LONG}), "metadata.k"
    method, reverse = "ExchangeService/ReverseExchange", v1.ReverseExchangeRequest
    for text in ("", *NOT_UUIDS):
        yield method, reverse(exchange=text, reason="Why"), "exchange"
    # How many decimals it may have is not known before the exchange is.
    for amount in (text for text in AMOUNTS[1:] if text != "1.001"):
        yield method, reverse(exchange=known, reason="Why", amount=amount), "amount"
    for reason in ("", LONG):
        yield method, reverse(exchange=known, reason=reason), "reason"


def together(account: str, other: str) -> Iterator[Case]:
    """Splits and batches."""
    method = "TransferService/CreateSplit"
    receivers = [v1.SplitReceiver(to_account=to, weight=1) for to in (other, account)]

    def split(**changed: Any) -> Message:
        return v1.CreateSplitRequest(**{"amount": "1", "receivers": receivers, **changed})

    yield from ((method, split(amount=amount), "amount") for amount in AMOUNTS)
    yield from ((method, split(currency=code), "currency") for code in CURRENCIES)
    yield from ((method, split(request_id=text), "request_id") for text in NOT_KEYS)
    yield from ((method, split(from_account=text), "from_account") for text in NOT_UUIDS)
    yield method, split(description=LONG), "description"
    yield method, split(receivers=receivers[:1]), "receivers"
    for text in NOT_UUIDS:
        wrong = v1.SplitReceiver(to_account=text, weight=1)
        yield method, split(receivers=[*receivers, wrong]), "receivers[2].to_account"
    method, batch = "BatchService/BatchCreateMovements", v1.BatchCreateMovementsRequest
    send = v1.CreateTransferRequest(to_account=other, amount="1")
    item = v1.CreateMovementRequest(create_transfer=send)
    yield method, batch(), "requests"
    yield method, batch(requests=[item, v1.CreateMovementRequest()]), "requests[1]"
    last = v1.CreateMovementRequest(create_transfer=send, linked=True)
    yield method, batch(requests=[last, last]), "requests[1].linked"
    for text in NOT_KEYS:
        yield method, batch(requests=[item], request_id=text), "request_id"


def rates() -> Iterator[Case]:
    for code in ("", *CURRENCIES):
        get = v1.GetRateRequest(from_currency=code, to_currency="USD")
        yield "RateService/GetRate", get, "from_currency"
        get = v1.GetRateRequest(from_currency="USD", to_currency=code)
        yield "RateService/GetRate", get, "to_currency"
    same = v1.GetRateRequest(from_currency="USD", to_currency="USD")
    yield "RateService/GetRate", same, "to_currency"
    for code in CURRENCIES:
        yield "RateService/ListRates", v1.ListRatesRequest(base_currency=code), "base_currency"
    for never in (Timestamp(seconds=10**15), Timestamp(seconds=4 * 10**9)):
        get = v1.GetRateRequest(from_currency="USD", to_currency="RUB", as_of=never)
        yield "RateService/GetRate", get, "as_of"
        yield "RateService/ListRates", v1.ListRatesRequest(as_of=never), "as_of"


def reads() -> Iterator[Case]:
    for text in ("", *NOT_UUIDS):
        yield "AccountService/GetAccount", v1.GetAccountRequest(account=text), "account"
        yield "DepositService/GetDeposit", v1.GetDepositRequest(deposit=text), "deposit"
        request = v1.GetWithdrawalRequest(withdrawal=text)
        yield "WithdrawalService/GetWithdrawal", request, "withdrawal"
        yield "PurchaseService/GetPurchase", v1.GetPurchaseRequest(purchase=text), "purchase"
        yield "PurchaseService/GetService", v1.GetServiceRequest(service=text), "service"
        yield "TransferService/GetTransfer", v1.GetTransferRequest(transfer=text), "transfer"


def lists(account: str) -> Iterator[Case]:
    requests = {
        "AccountService/ListEntries": v1.ListEntriesRequest,
        "DepositService/ListDeposits": v1.ListDepositsRequest,
        "WithdrawalService/ListWithdrawals": v1.ListWithdrawalsRequest,
        "PurchaseService/ListPurchases": v1.ListPurchasesRequest,
        "TransferService/ListTransfers": v1.ListTransfersRequest,
        "TransferService/ListReceivedTransfers": v1.ListTransfersRequest,
        "ExchangeService/ListExchanges": v1.ListExchangesRequest,
    }
    for method, kind in requests.items():
        yield method, kind(account=account, page_size=-1), "page_size"
        for order in ("balance", "date asc desc", "amount, date", "DATE"):
            yield method, kind(account=account, order_by=order), "order_by"
        for text in NOT_UUIDS:
            yield method, kind(account=text), "account"
        filters = {
            "min_amount": v1.MovementFilter(min_amount="-1"),
            "max_amount": v1.MovementFilter(max_amount="NaN"),
            "counterparty": v1.MovementFilter(counterparty="x"),
            "start_time": v1.MovementFilter(start_time=Timestamp(seconds=10**15)),
            "end_time": v1.MovementFilter(end_time=Timestamp(nanos=-5)),
        }
        for name, kept in filters.items():
            yield method, kind(account=account, filter=kept), f"filter.{name}"
    request = v1.ListEntriesRequest(account=account, kind=99)  # type: ignore[arg-type]
    yield "AccountService/ListEntries", request, "kind"
