"""Who asks to sign in to a mailbox, and what limits them: how often codes are sent and guessed.

Nobody knows who an asker is, so they count by mailbox and network together: what others ask for the
same mailbox takes nothing from them. What strangers do to a mailbox is limited in all as well. A
network from which the mailbox was signed in to lately is not one of theirs: it keeps its own share
whatever they do (NIST SP 800-63B, "Rate Limiting", names that remedy against locking people out).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from balance_service.auth.sealing import Secrets
from balance_service.database.pool import Connection
from balance_service.domain import mailboxes
from balance_service.domain.quotas import Quota
from balance_service.repositories import verifications
from balance_service.repositories.verifications import Guess, Limit

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# How long a code lives. No quota of a mailbox's codes fills more slowly than by one in that time:
# so either another may be sent, or one that is still good was sent to the mailbox, and its reader
# can sign in with it.
CODE_LIFE = timedelta(minutes=10)

SEND_INTERVAL = Quota(1, timedelta(seconds=30))
SENDS = Quota(5, CODE_LIFE)
STRANGERS_SENDS = Quota(10, CODE_LIFE)

# Wrong guesses. NIST SP 800-63B, "Rate Limiting", allows 100 at an account; strangers have 50 at
# once and 50 a day, so at most 100 in any day.
GUESSES = Quota(10, DAY / 10)
STRANGERS_GUESSES = Quota(50, DAY / 50)
# Of those, guesses that name an address and no verification.
PLAIN_GUESSES = Quota(5, DAY / 5)
# Of one network at all mailboxes that it is not known to, so that it cannot try its luck at each.
NETWORK_GUESSES = Quota(100, HOUR / 100)

# Wrong codes of a user's second factor. Three codes of 10^6 are right at a time, so strangers, who
# need the mailbox besides, find one by chance in a day with less than 2 to 10^4.
PROOFS = Quota(5, DAY / 5)
STRANGERS_PROOFS = Quota(20, DAY / 20)

# How long a network is known after a sign-in.
KNOWN_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks.

    Args:
        mailbox: As `mailboxes.canonical` has it.
        network: As `networks.caller_network` has it; empty of a guess, for it is not kept.
        key: A keyed hash of both.
        known: Whether somebody signed in to the mailbox from the network lately.
    """

    mailbox: str
    network: str
    key: bytes
    known: bool


@dataclass(frozen=True, slots=True)
class CodeRates:
    """How many codes are sent an hour, and as many more at once.

    Args:
        network: Asked for from one network, for mailboxes that it is not known to.
        all: By the service, to strangers; those who are known have as many again.
    """

    network: int
    all: int


class Taken(NamedTuple):
    """What came of taking from quotas.

    Args:
        wait_seconds: After how long it may be tried again; nothing, or less, if it was taken.
        full_at: When each quota will be full.
        now: Postgres's time.
    """

    wait_seconds: int
    full_at: Sequence[datetime]
    now: datetime

    @property
    def succeeded(self) -> bool:
        return self.wait_seconds <= 0


class Askers:
    """Recognises askers and names their limits.

    Args:
        secrets: What is kept of them is hashed with.
        rates: How many codes are sent.
    """

    def __init__(self, secrets: Secrets, rates: CodeRates) -> None:
        self._secrets = secrets
        self._of_network = Quota(rates.network, HOUR / rates.network)
        self._of_all = Quota(rates.all, HOUR / rates.all)

    async def recognise(self, conn: Connection, email: str, network: str) -> Asker:
        """Who asks for an address from a network."""
        mailbox = mailboxes.canonical(email)
        keys = self._secrets.keyed_hashes("askers", f"{mailbox} {network}")
        known = await verifications.is_known(conn, keys, KNOWN_FOR)
        return Asker(mailbox, network, keys[0], known)

    def hash_mailbox(self, email: str) -> list[bytes]:
        """What an address's mailbox is kept as beside its networks, by each of the secrets."""
        return self._secrets.keyed_hashes("mailboxes", mailboxes.canonical(email))

    def of_guess(self, guess: Guess) -> Asker:
        """Who asked for the code that is guessed at: guesses count as theirs."""
        return Asker(mailboxes.canonical(guess.email), "", guess.asker, guess.asker_known)

    def sending(self, asker: Asker) -> list[Limit]:
        """What limits the codes that are sent; the asker's own share is the second."""
        own = asker.key.hex()
        limits = [
            self._limit("send interval", own, SEND_INTERVAL),
            self._limit("sends", own, SENDS),
        ]
        if asker.known:
            return [*limits, self._limit("sends in all", "known", self._of_all)]
        return [
            *limits,
            self._limit("sends to a mailbox", asker.mailbox, STRANGERS_SENDS),
            self._limit("sends by a network", asker.network, self._of_network),
            self._limit("sends in all", "strangers", self._of_all),
        ]

    def guessing(self, asker: Asker) -> list[Limit]:
        """What limits wrong guesses."""
        limits = [self._limit("guesses", asker.key.hex(), GUESSES)]
        if not asker.known:
            limits.append(self._limit("guesses at a mailbox", asker.mailbox, STRANGERS_GUESSES))
        return limits

    def plain_guessing(self, asker: Asker) -> list[Limit]:
        """What limits wrong guesses that name an address and no verification."""
        limits = [self._limit("plain guesses", asker.key.hex(), PLAIN_GUESSES)]
        if not asker.known:
            limits.append(self._limit("guesses by a network", asker.network, NETWORK_GUESSES))
        return [*limits, *self.guessing(asker)]

    def proving(self, asker: Asker, user_id: UUID) -> list[Limit]:
        """What limits wrong codes of a second factor at sign-in."""
        limits = [self._limit("proofs", asker.key.hex(), PROOFS)]
        if not asker.known:
            limits.append(self._limit("proofs of a user", str(user_id), STRANGERS_PROOFS))
        return limits

    def proving_within(self, user_id: UUID) -> list[Limit]:
        """What limits wrong codes of a second factor of a user who is signed in."""
        return [self._limit("proofs within", str(user_id), PROOFS)]

    def _limit(self, what: str, whose: str, quota: Quota) -> Limit:
        return Limit(self._secrets.keyed_hash("sign-in quotas", f"{what}: {whose}"), quota)


async def take(conn: Connection, limits: Sequence[Limit]) -> Taken:
    """Takes one of each quota, or of none if one of them is used up."""
    states = await verifications.lock_quotas(conn, limits)
    now = max(state.now for state in states)
    full_at = [state.full_at for state in states]
    pairs = list(zip([limit.quota for limit in limits], full_at, strict=True))
    wait = max(quota.wait(moment, now) for quota, moment in pairs)
    if wait <= timedelta(0):
        full_at = [quota.take(moment, now) for quota, moment in pairs]
        await verifications.put_quotas(conn, limits, full_at)
    return Taken(math.ceil(wait.total_seconds()), full_at, now)


async def give_back(conn: Connection, limits: Sequence[Limit]) -> None:
    """Returns what was taken, which may be nothing."""
    states = await verifications.lock_quotas(conn, limits)
    full_at = [
        state.full_at - limit.quota.interval for limit, state in zip(limits, states, strict=True)
    ]
    await verifications.put_quotas(conn, limits, full_at)
