"""The only place that decides about money: from locked state and commands it makes postings or
refusals. It is deterministic, does no I/O, and checks a command in this order:

1. its id is in the journal already: the same answer again, or IdempotencyKeyReused
2. a purchase that the account has made before, and was not refunded: that purchase again, charging
   nothing; of a hold for one: AlreadyPurchased
3. the quote is another caller's: QuoteNotFound; the account is unknown, or is not the caller's:
   AccountNotFound; it is not as the caller read it: EtagMismatch
4. a transfer to the account itself: SameAccount
5. the account is closed or frozen, for debits where it pays: AccountClosed, AccountFrozen
6. a transfer or settlement in another currency than the account's: CurrencyMismatch; one that is
   not what was quoted: QuoteMismatch
7. the caller has used the external reference: ReferenceReused; the quote: QuoteUsed, QuoteExpired,
   also of what a caller may reverse only while its quote holds
8. a purchase without a price: ServiceNotFound; of what has changed since the caller read it:
   EtagMismatch; at another price than expected: PriceChanged; of several where one is sold:
   InvalidFields; without a charge: RateUnavailable, RateStale, ChargeTooSmall
9. the hold is not open: HoldClosed, HoldExpired; more than is left of a movement or a hold:
   ReversalTooLarge, CaptureTooLarge; a capture of what was bought otherwise: AlreadyPurchased
10. too little money: InsufficientFunds; more than an amount or balance can be: BalanceOverflow
11. a debit or a hold beyond the account's limits: DebitLimitExceeded, DailyLimitExceeded; after 10,
    so that who is refused for want of money is told so whatever limits are set, and only who could
    have paid is told of limits
12. the account that receives the money, by 3, 5, 6 and 10; a caller who may not read it is told
    only ReceiverUnavailable

If an item of a chain is refused, its other items are BatchRefused. Of a request whose items are its
parts, all were done before or none was; otherwise that was another request: IdempotencyKeyReused.
The order, with the duplicate first, is that of TigerBeetle's create_transfers.
"""

from collections.abc import Sequence
from datetime import datetime

from balance_service.domain import decisions, errors, follow_ups
from balance_service.domain.commands import Exchange, Purchase, Settle, Transfer
from balance_service.domain.follow_up_commands import Capture, Place, Release, Reverse
from balance_service.domain.requests import Command, Request
from balance_service.domain.state import Decision, Done, How, Outcome, Plan, State


def plan(state: State, requests: Sequence[Request], now: datetime) -> Plan:
    """Decides every command, in order.

    The result is the same as planning the requests one by one, each on the state left by the last.

    Args:
        state: What they depend on. It is changed: what is posted is entered in it.
        requests: In the order they came.
        now: The time of what is posted, unless an account's last entry is later.
    """
    whole = Plan()
    for request in requests:
        if request.validate_only:
            whole.outcomes.append(_outcomes(Plan(), state.copy(), request, now))
        else:
            whole.outcomes.append(_outcomes(whole, state, request, now))
    return whole


def _outcomes(whole: Plan, state: State, request: Request, now: datetime) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for chain in request.chains:
        if len(chain) == 1:
            outcomes.append(_outcome(whole, state, request.items[chain.start], now))
        else:
            outcomes += _together(whole, state, request, chain, now)
    return outcomes


def _together(
    whole: Plan, state: State, request: Request, chain: range, now: datetime
) -> list[Outcome]:
    """Decides a chain of items on a copy, which is adopted if nothing was refused."""
    unread = {
        place: item for place in chain if isinstance(item := request.items[place], errors.Refusal)
    }
    if unread:
        others = errors.BatchRefused(min(unread))
        return [unread.get(place, others) for place in chain]
    trial, copy = Plan(), state.copy()
    done: list[Done] = []
    for place in chain:
        outcome = _outcome(trial, copy, request.items[place], now)
        if request.parts_of and isinstance(outcome, Done) and done and done[0].how != outcome.how:
            outcome = errors.IdempotencyKeyReused(request.parts_of, ("receivers",))
        if isinstance(outcome, errors.Refusal):
            refused: list[Outcome] = [errors.BatchRefused(place) for _ in chain]
            refused[place - chain.start] = outcome
            return refused
        done.append(outcome)
    state.adopt(copy)
    whole.extend(trial)
    return list(done)


def _outcome(whole: Plan, state: State, item: Command | errors.Refusal, now: datetime) -> Outcome:
    if isinstance(item, errors.Refusal):
        return item
    try:
        done = _replay(state, item)
        if done is None:
            decision = _decide(state, item, now)
            whole.post(state, decision)
            done = Done(decision.movement, How.POSTED)
    except errors.Refusal as refusal:
        return refusal
    return done


def _replay(state: State, command: Command) -> Done | None:
    """The answer given before to the same request, if there was one."""
    movement = state.movements.get(command.origin.movement_id)
    if movement is not None:
        if differing := command.differences(movement):
            origin = command.origin
            sent = origin.request_text or str(origin.request_id)
            raise errors.IdempotencyKeyReused(sent, tuple(differing))
        if movement.movement_id in state.tried:
            state.tried.discard(movement.movement_id)
            return Done(movement, How.POSTED)
        return Done(movement, How.REPLAYED)
    if isinstance(command, Purchase) and command.is_for_one:
        bought = state.bought(command.account_id, command.service_id)
        account = state.accounts.get(command.account_id)
        if bought and account and command.origin.owner_id in (None, account.owner_id):
            return Done(bought, How.ALREADY_PURCHASED)
    return None


def _decide(state: State, command: Command, now: datetime) -> Decision:
    match command:
        case Transfer() | Exchange():
            return decisions.transfer(state, command, now)
        case Purchase():
            return decisions.purchase(state, command, now)
        case Settle():
            return decisions.settle(state, command, now)
        case Reverse():
            return follow_ups.reverse(state, command, now)
        case Place():
            return follow_ups.place(state, command, now)
        case Capture():
            return follow_ups.capture(state, command, now)
        case Release():
            return follow_ups.release(state, command, now)
