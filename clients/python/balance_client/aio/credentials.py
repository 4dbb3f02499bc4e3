"""Who calls: access tokens, asked for once for all the calls that need one."""

import copy
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import grpc

from balance_client import v1
from balance_client._generated.reason import Reason
from balance_client.access_tokens import AccessToken, kept, received
from balance_client.aio.seam import AsyncRun, sleep
from balance_client.errors import BalanceError
from balance_client.log import tell_renewal
from balance_client.policy import Renewals, RetryPolicy

if TYPE_CHECKING:
    from balance_client._generated.services_aio import AsyncAuthService

# An attempt to sign in is given up after this long, to be made with another instance. One to
# refresh is given longer, for an answer that is not waited for is lost.
SIGN_IN_SECONDS = 10.0
REFRESH_SECONDS = 30.0
# How long a call waits for a new access token while the old one is still good.
PATIENCE_SECONDS = 2.0
CLOSE_SECONDS = 5.0
_UNCERTAIN = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
}


class AsyncCredentials:
    """Gets and renews access tokens, for any number of clients and of calls at once.

    A renewal is one attempt, and belongs to no call: it goes on when the calls that wait for it are
    cancelled or run out of time, and the next ones find its result. If it fails for a passing
    cause, the calls that still wait begin the next.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: AccessToken | None = None
        self._renewal: AsyncRun[AccessToken] | None = None

    async def token(
        self, auth: "AsyncAuthService", policy: RetryPolicy, timeout_seconds: float
    ) -> str:
        """An access token that has some life left.

        Args:
            auth: Whom to ask for one.
            policy: How fast to ask again.
            timeout_seconds: How long the call that needs it may wait.

        Raises:
            BalanceError: The service refused to give one, or did not in time.
        """
        waits = Renewals(policy, timeout_seconds)
        while True:
            with self._lock:
                if self._known and time.monotonic() < self._known.renew_at:
                    return self._known.text
                renewal, ours = self._join(auth)
            patience = timeout_seconds
            if self._good():
                patience = min(PATIENCE_SECONDS, timeout_seconds / 2)
            end = await _end(renewal, min(patience, waits.remaining_seconds), ours=ours)
            if isinstance(end, AccessToken):
                return end.text
            if good := self._good():
                return good
            pause = waits.pause_seconds(end)
            if pause is None:
                raise end
            await sleep(pause)

    def _join(self, auth: "AsyncAuthService") -> tuple[AsyncRun[AccessToken], bool]:
        """The renewal under way, and whether it was begun now; to be called under the lock."""
        if self._renewal and not self._renewal.done:
            return self._renewal, False
        self._renewal = AsyncRun(partial(self._renew, auth))
        return self._renewal, True

    def _good(self) -> str:
        """The access token in use, though it may be due; empty if there is none."""
        with self._lock:
            known = self._known
        return known.text if known and time.monotonic() < known.expires_at else ""

    def refused(self, text: str) -> None:
        """Forgets an access token that the service has refused."""
        with self._lock:
            if self._known and self._known.text == text:
                self._known = None

    async def finish(self) -> None:
        """Waits for a renewal under way, for some seconds, where its answer must not be lost."""

    async def _renew(self, auth: "AsyncAuthService") -> AccessToken:
        asked_at = time.monotonic()
        token = await self._ask(auth)
        tell_renewal(token.expires_in_seconds)
        known = received(token, asked_at)
        with self._lock:
            self._known = known
        self._keep_token(token)
        return known

    async def _ask(self, auth: "AsyncAuthService") -> v1.Token:
        """Asks the service once."""
        raise NotImplementedError

    def _keep_token(self, token: v1.Token) -> None:
        """Is told of each new token."""


class AsyncServiceCredentials(AsyncCredentials):
    """A sibling service's client id and secret."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        super().__init__()
        self._request = v1.CreateTokenRequest(client_id=client_id, client_secret=client_secret)

    async def _ask(self, auth: "AsyncAuthService") -> v1.Token:
        return await auth.CreateToken(self._request, timeout=SIGN_IN_SECONDS)


class AsyncUserCredentials(AsyncCredentials):
    """The tokens of a user's sign-in.

    A refresh token works once, and is sent by one renewal at a time. When the answer to it is lost,
    it is sent again: for some seconds the service answers the same, and later it takes the
    repetition for theft. If it refuses it, every call from there on raises REFRESH_TOKEN_INVALID
    with the whole story: the user must sign in again.

    Args:
        token: What CreateToken answered, or the last that was kept.
        keep: Called with each new token, by the client for threads in a thread of its own; whoever
            stores the token must store the new one. One sign-in is for one process: two that hold
            the same refresh token end it.
    """

    def __init__(self, token: v1.Token, keep: Callable[[v1.Token], None] | None = None) -> None:
        super().__init__()
        self._known = kept(token)
        self._refresh_token = token.refresh_token
        self._keep = keep
        self._unanswered: BalanceError | None = None
        self._ended: BalanceError | None = None

    async def finish(self) -> None:
        renewal = self._renewal
        if renewal and not renewal.done:
            try:
                await renewal.wait(CLOSE_SECONDS)
            except Exception:  # noqa: BLE001 - the calls that wait for it are told
                return

    async def _ask(self, auth: "AsyncAuthService") -> v1.Token:
        if self._ended:
            raise copy.copy(self._ended)
        if not self._refresh_token:
            raise BalanceError(
                grpc.StatusCode.UNAUTHENTICATED,
                "The access token is over, and there is no refresh token. Sign in again.",
                Reason.TOKEN_EXPIRED,
            )
        request = v1.RefreshTokenRequest(refresh_token=self._refresh_token)
        try:
            token = await auth.RefreshToken(request, timeout=REFRESH_SECONDS)
        except BalanceError as error:
            if error.code() in _UNCERTAIN:
                self._unanswered = error
            elif error.code() == grpc.StatusCode.UNAUTHENTICATED:
                self._ended = _end_of_sign_in(error, self._unanswered)
                raise self._ended from self._unanswered
            raise
        self._refresh_token, self._unanswered = token.refresh_token, None
        return token

    def _keep_token(self, token: v1.Token) -> None:
        if self._keep:
            self._keep(token)


async def _end(
    renewal: AsyncRun[AccessToken], timeout_seconds: float, *, ours: bool
) -> AccessToken | BalanceError:
    """How a renewal ended for one of those who waited for it."""
    try:
        return await renewal.wait(timeout_seconds)
    except TimeoutError:
        text = "No access token came within the call's time."
        return BalanceError(grpc.StatusCode.DEADLINE_EXCEEDED, text)
    except BalanceError as error:
        return copy.copy(error)  # Each raises their own.
    except Exception:
        if ours:
            raise
        # Another client with the same credentials was closed, or the other's `keep` failed.
        return BalanceError(grpc.StatusCode.CANCELLED, "The renewal was given up.")


def _end_of_sign_in(refusal: BalanceError, unanswered: BalanceError | None) -> BalanceError:
    """The end of a sign-in, with what led to it."""
    message = f"{refusal.message} Sign in again."
    if unanswered:
        message += (
            f" An earlier use of the refresh token was not answered ({unanswered}); the service may"
            " have carried it out, and takes a second use for theft."
        )
    return BalanceError(refusal.code(), message, refusal.reason, refusal.metadata)
