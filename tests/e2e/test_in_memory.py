"""The service in memory: over random histories it answers as the real one does, to the letter."""

import itertools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from balance_client import BalanceError, Client, UserCredentials, each, v1
from balance_client.testing import EphemeralService, Service, in_memory
from balance_client.values import to_timestamp
from balance_service.calls.methods import load_contract

pytestmark = pytest.mark.xdist_group("ephemeral")

NOBODYS = "01a22332-b2f0-72cc-8bd3-56057c9233ce"
# Of three accounts in roubles, one in dollars, and nobody's.
ACCOUNTS = 5
CALLERS = 3
# Ids, and the public numbers of accounts.
_NAMED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b\d{10}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)")


def mostly(usual: list[Any], *others: object) -> st.SearchStrategy[Any]:
    """One of some values, and now and then another: what is refused leads nowhere."""
    return st.sampled_from([*usual * (8 * len(others)), *others])


accounts = mostly([0, 1], *range(2, ACCOUNTS))
amounts = mostly(["1", "5.50", "100", "250.00"], "1000000", "0", "-1", "1.001", "x")
currencies = mostly(["RUB"], "USD", "", "rub", "XXX")
request_ids = st.sampled_from([*[""] * 6, "a", "b", "c"])
texts = mostly(["", "Rent"], "x" * 201, "\u202e")
references = mostly([("", "")], ("psp", "ch_1"), ("psp", "ch_2"), ("psp", ""), ("", "ch_1"))
earlier = st.sampled_from([0, 0, 0, 1, 2])


@dataclass(frozen=True)
class Ask:
    """A call, whose ids are places in what the two services made: the same for both.

    Args:
        caller: 0 for the sibling service, else a user.
        method: The service of the client, and its method.
        request: The request without those ids.
        accounts: By field, which account.
        number: Whether accounts are named by number, where they may be.
        earlier: By field, the how-manieth last thing of a kind that was made.
    """

    caller: int
    method: tuple[str, str]
    request: Message
    accounts: dict[str, int] = field(default_factory=dict)
    number: bool = False
    earlier: dict[str, int] = field(default_factory=dict)


def asks(
    method: tuple[str, str],
    request: st.SearchStrategy[Message],
    *account_fields: str,
    of: str = "",
) -> st.SearchStrategy[Ask]:
    places = st.fixed_dictionaries(dict.fromkeys(account_fields, accounts))
    referred = st.fixed_dictionaries({of: earlier} if of else {})
    callers = mostly([0], *range(1, CALLERS))
    return st.builds(Ask, callers, st.just(method), request, places, st.booleans(), referred)


def settlement(kind: type[Message]) -> st.SearchStrategy[Message]:
    def build(reference: tuple[str, str], **fields: object) -> Message:
        return kind(source=reference[0], reference=reference[1], **fields)

    return st.builds(
        build,
        reference=references,
        amount=amounts,
        currency=currencies,
        description=texts,
        request_id=request_ids,
        validate_only=mostly([False], True),
    )


def drawn() -> st.SearchStrategy[list[Ask]]:
    """A history: most of its calls move money, so that others have something to refer to."""
    moving = {"request_id": request_ids, "description": texts}
    paid = {"amount": amounts, "currency": currencies, **moving}
    deposit = asks(("deposits", "CreateDeposit"), settlement(v1.CreateDepositRequest), "account")
    transfer = asks(
        ("transfers", "CreateTransfer"),
        st.builds(v1.CreateTransferRequest, **paid),
        "from_account",
        "to_account",
    )
    hold = st.builds(v1.CreateHoldRequest, **paid)
    capture = st.builds(
        v1.CaptureHoldRequest,
        amount=mostly(["", "1", "5.50"], "1000", "1.001"),
        keep_rest=st.booleans(),
        **moving,
    )
    void = st.builds(v1.VoidHoldRequest, reason=texts, request_id=request_ids)
    entries = st.builds(
        v1.ListEntriesRequest,
        page_size=mostly([0, 1, 2, 1000], -1),
        order_by=mostly(["", "date", "date desc"], "dates"),
    )
    opening = st.builds(v1.CreateAccountRequest, currency=currencies, request_id=request_ids)
    calls = [
        *[deposit, transfer] * 3,
        asks(
            ("withdrawals", "CreateWithdrawal"), settlement(v1.CreateWithdrawalRequest), "account"
        ),
        asks(("holds", "CreateHold"), hold, "account", "to_account"),
        asks(("holds", "CreateHold"), hold, "account"),
        *[asks(("holds", "CaptureHold"), capture, of="hold")] * 2,
        asks(("holds", "VoidHold"), void, of="hold"),
        asks(("holds", "GetHold"), st.builds(v1.GetHoldRequest), of="hold"),
        asks(("deposits", "GetDeposit"), st.builds(v1.GetDepositRequest), of="deposit"),
        asks(("transfers", "GetTransfer"), st.builds(v1.GetTransferRequest), of="transfer"),
        asks(("withdrawals", "GetWithdrawal"), st.builds(v1.GetWithdrawalRequest), of="withdrawal"),
        asks(("accounts", "GetAccount"), st.builds(v1.GetAccountRequest), "account"),
        *[asks(("accounts", "ListEntries"), entries, "account")] * 2,
        asks(("accounts", "CreateAccount"), opening),
    ]
    return st.lists(st.one_of(calls), min_size=12, max_size=25)


class World:
    """Three people at one of the services, and the names of what was made there.

    Args:
        service: Where they are.
        history: Begins each request id and reference: they are used once for all histories.
    """

    def __init__(self, service: Service, history: str) -> None:
        people = [service.user(), service.user(), service.user(0, "USD")]
        dollars = people[0].client.open_account(currency="USD")
        self._history = history
        self._people = people
        self.accounts = [*(p.account for p in people[:2]), dollars.id, people[2].account, NOBODYS]
        self._numbers = [*(p.number for p in people[:2]), dollars.number, people[2].number, "0"]
        self._callers = [service.client(), *(person.client for person in people[: CALLERS - 1])]
        self._made: dict[str, list[str]] = {}
        self._names = {found: f"ACCOUNT{n}" for n, found in enumerate(self.accounts)}
        self._names |= {found: f"NUMBER{n}" for n, found in enumerate(self._numbers)}
        self._names |= {person.id: f"USER{n}" for n, person in enumerate(people)}

    def told(self, ask: Ask) -> tuple[object, ...]:
        """What a call answers, or how it is refused, without what differs by itself."""
        service, method = ask.method
        call = getattr(getattr(self._callers[ask.caller], service), method)
        try:
            answer, trailers = call.with_trailers(self._filled(ask))
        except BalanceError as error:
            facts = {name: self._named(text) for name, text in sorted(error.metadata.items())}
            status = error.code().name, error.reason, self._named(error.message)
            return (*status, facts, [(v.field, v.description) for v in error.violations])
        if "id" in answer.DESCRIPTOR.fields_by_name:
            self._made.setdefault(method, []).append(answer.id)
        heard = sorted(pair for pair in trailers if pair[0].startswith(("idempotency", "resource")))
        if method == "ListEntries":
            answer.next_page_token = "more" if answer.next_page_token else ""
        return self._text(answer), heard

    def statement(self, account: str) -> list[str]:
        """A statement, read page by page."""
        request = v1.ListEntriesRequest(account=account, page_size=2)
        method = self._callers[0].accounts.ListEntries
        return [self._text(entry) for entry in each(method, request, lambda page: page.entries)]

    def _filled(self, ask: Ask) -> Message:
        request: Any = type(ask.request)()
        request.CopyFrom(ask.request)
        for name, place in ask.accounts.items():
            numbered = ask.number and name == "to_account"
            setattr(request, name, (self._numbers if numbered else self.accounts)[place])
        for name, back in ask.earlier.items():
            made = self._made.get(f"Create{name.capitalize()}", [])
            setattr(request, name, made[-1 - back] if back < len(made) else NOBODYS)
        for name in ("request_id", "reference"):
            if getattr(request, name, ""):
                setattr(request, name, self._history + getattr(request, name))
        if ask.method[1] == "CreateAccount" and ask.caller == 0:
            request.user = self._people[ask.number].id
        return request  # type: ignore[no-any-return]

    def _text(self, answer: Message) -> str:
        return self._named(json_format.MessageToJson(answer, sort_keys=True, indent=None))

    def _named(self, text: str) -> str:
        def name(found: re.Match[str]) -> str:
            return self._names.setdefault(found[0], f"ID{len(self._names)}")

        return _TIME.sub("TIME", _NAMED.sub(name, text))


@pytest.fixture(scope="module")
def histories(balance_service: EphemeralService) -> Callable[[list[Ask]], None]:
    """Carries out a history at both services, and holds their answers to each other."""
    numbers = itertools.count()

    def run(history: list[Ask]) -> None:
        name = f"h{next(numbers)}-"
        with in_memory() as memory:
            theirs, ours = World(balance_service, name), World(memory, name)
            for ask in history:
                assert ours.told(ask) == theirs.told(ask), ask
            for account, same in zip(ours.accounts[:-1], theirs.accounts[:-1], strict=True):
                assert ours.statement(account) == theirs.statement(same)

    return run


# Each example meets what the one before left at the real service: it cannot be made smaller.
PHASES = set(Phase) - {Phase.shrink, Phase.explain}


@settings(max_examples=10, phases=PHASES)
@given(history=drawn())
def test_memory_answers_as_the_service_does(
    histories: Callable[[list[Ask]], None], history: list[Ask]
) -> None:
    histories(history)


@pytest.mark.long
@settings(max_examples=500, phases=PHASES)
@given(history=drawn())
def test_memory_answers_as_the_service_does_for_long(
    histories: Callable[[list[Ask]], None], history: list[Ask]
) -> None:
    histories(history)


@pytest.mark.parametrize("basis", [v1.STATEMENT_BASIS_BOOKING_DATE, v1.STATEMENT_BASIS_VALUE_DATE])
def test_statements_in_memory_add_up(basis: Any) -> None:
    with in_memory() as memory:
        anna, began = memory.user(10), datetime.now(UTC)
        anna.client.withdraw(anna.account, 4, "RUB")
        memory.client().deposit(anna.account, 3, "RUB")
        ended = datetime.now(UTC)
        anna.client.withdraw(anna.account, 1, "RUB")

        def get(start: datetime, end: datetime) -> tuple[str, ...]:
            request = v1.GetStatementRequest(
                account=anna.account,
                start_time=to_timestamp(start),
                end_time=to_timestamp(end),
                basis=basis,
            )
            found = anna.client.statements.GetStatement(request)
            kinds = [v1.MovementKind.Name(total.kind) for total in found.totals]
            balances = found.opening_balance, found.closing_balance
            return (*balances, found.total_in, found.total_out, *kinds)

        kinds = "MOVEMENT_KIND_DEPOSIT", "MOVEMENT_KIND_WITHDRAWAL"
        assert get(began, ended) == ("10.00", "9.00", "3.00", "4.00", *kinds)
        hour = timedelta(hours=1)
        assert get(began - hour, began - hour / 2) == ("0.00",) * 4


def test_memory_says_of_what_it_does_not_know_that_it_does_not() -> None:
    with in_memory() as memory:
        anna = memory.user(10)
        balance = memory.client()
        unknown: list[Callable[[], object]] = [
            lambda: balance.purchase(anna.account, NOBODYS),
            lambda: balance.accounts.GetAccount(
                v1.GetAccountRequest(account=anna.account, currency="USD")
            ),
            lambda: list(balance.entries(anna.account, order_by="amount")),
            lambda: balance.accounts.ListEntries(
                v1.ListEntriesRequest(account=anna.account, kind=v1.MOVEMENT_KIND_DEPOSIT)
            ),
            lambda: balance.transfers.CreateTransfer(
                v1.CreateTransferRequest(from_account=anna.account, quote=NOBODYS)
            ),
            lambda: balance.deposits.ReverseDeposit(v1.ReverseDepositRequest(deposit=NOBODYS)),
            lambda: next(
                balance.accounts.WatchAccount(v1.WatchAccountRequest(account=anna.account))
            ),
        ]
        for call in unknown:
            with pytest.raises(BalanceError) as error:
                call()
            assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
            assert error.value.reason == "NOT_IN_MEMORY"
        assert balance.balance(anna.account).balance == 10


def test_memory_knows_these_methods_and_refuses_all_others() -> None:
    known = {
        "AccountService": "CreateAccount GetAccount ListEntries",
        "AuthService": "CreateToken",
        "DepositService": "CreateDeposit GetDeposit",
        "EventService": "ListEvents WatchEvents",
        "HoldService": "CaptureHold CreateHold GetHold VoidHold",
        "StatementService": "GetStatement",
        "TransferService": "CreateTransfer GetTransfer",
        "UserService": "GetMe",
        "WithdrawalService": "CreateWithdrawal GetWithdrawal",
    }
    with in_memory() as memory, grpc.insecure_channel(memory.grpc) as channel:
        for file in load_contract():
            for name, service in file.services_by_name.items():
                lacking = [
                    method
                    for method in service.methods
                    if not _is_known(channel, f"/{service.full_name}/{method.name}")
                ]
                there = {method.name for method in service.methods if method not in lacking}
                assert there == set(known.get(name, "").split()), name


def _is_known(channel: grpc.Channel, method: str) -> bool:
    """Whether a call without a token is answered, or refused for another reason than that."""
    calling: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(method)
    try:
        list(calling(b"", timeout=30))
    except grpc.RpcError as error:
        return error.code() is not grpc.StatusCode.UNIMPLEMENTED
    return True


def test_holds_lapse_in_memory_too() -> None:
    with in_memory() as memory:
        anna = memory.user(10)
        end = datetime.now(UTC) + timedelta(milliseconds=300)
        held = anna.client.holds.CreateHold(
            v1.CreateHoldRequest(
                account=anna.account,
                to_account=memory.user(0).account,
                amount="4",
                expire_time=to_timestamp(end),
            )
        )
        while anna.client.balance(anna.account).held:
            assert datetime.now(UTC) < end + timedelta(seconds=20)
            time.sleep(0.02)
        found = anna.client.holds.GetHold(v1.GetHoldRequest(hold=held.id))
        assert (found.status, found.left) == (v1.HOLD_STATUS_EXPIRED, "0.00")
        assert anna.client.balance(anna.account).available == 10


def test_memory_asks_for_a_token() -> None:
    with in_memory() as memory:
        for credentials in (None, UserCredentials(v1.Token(token="user:x"))):
            with (
                Client(memory.grpc, credentials) as balance,
                pytest.raises(BalanceError) as error,
            ):
                balance.balance(NOBODYS)
            assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
