"""Events, as they happen: a stream that goes on after a break, where it was."""

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Self

from balance_client import errors, v1
from balance_client._generated.reason import Reason
from balance_client._generated.services_sync import EventService
from balance_client.policy import Renewals, RetryPolicy
from balance_client.sync.calls import Caller, Stream
from balance_client.sync.seam import sleep
from balance_client.values import to_timestamp

# A stream whose connection is silently gone ends all the same, and another is begun.
STREAM_SECONDS_MAX = 300.0
_REFUSED_TOKEN = {Reason.TOKEN_INVALID, Reason.TOKEN_EXPIRED}


class Events(EventService):
    """What happens, as it happens; and the methods of EventService.

    Args:
        caller: What the calls of a client share.
    """

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._policy = caller.policy

    def __call__(
        self,
        page_token: str = "",
        *,
        types: Iterable[str] = (),
        accounts: Iterable[str] = (),
        start_time: datetime | None = None,
    ) -> "ResumedEvents":
        """Everything that happens, without an end, over as many streams as it takes.

        Args:
            page_token: Where to go on, of the last message; empty for what happens from now on.
            types: Which to keep, such as `balance.v1.transfer.created`; none for all.
            accounts: Keeps what is about these, by their ids; none for all that the caller may see.
            start_time: Where to begin without a page_token.
        """
        request = v1.WatchEventsRequest(
            page_token=page_token,
            filter=v1.EventFilter(types=types, accounts=accounts),
            start_time=to_timestamp(start_time),
        )
        return ResumedEvents(self.WatchEvents, request, self._policy)


class ResumedEvents:
    """Events in their order, each once, over as many streams as it takes.

    A message has an event, or none, where nothing happened for a while. Keep its page_token, best
    in the transaction of what is done with the event, to go on from there after a restart. A break
    that passes is waited out, however long it takes; any other ends it.

    Args:
        begin_stream: Begins a stream.
        request: Where the first one begins.
        policy: How long is waited after a break.
    """

    def __init__(
        self,
        begin_stream: Callable[..., Stream[v1.WatchEventsResponse]],
        request: v1.WatchEventsRequest,
        policy: RetryPolicy,
    ) -> None:
        self._begin_stream = begin_stream
        self._request = request
        self._policy = policy
        self._stream = begin_stream(request, timeout=STREAM_SECONDS_MAX)
        # Since the last message; None before the first break after it.
        self._breaks: Renewals | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> v1.WatchEventsResponse:
        while True:
            try:
                message = next(self._stream)
            except errors.BalanceError as error:
                pause = self._pause_seconds(error)
                if pause is None:
                    raise
            else:
                self._breaks = None
                self._request.page_token = message.page_token
                return message
            sleep(pause)
            self._stream = self._begin_stream(self._request, timeout=STREAM_SECONDS_MAX)

    def cancel(self) -> None:
        """Ends the stream from this side."""
        self._stream.cancel()

    def _pause_seconds(self, error: errors.BalanceError) -> float | None:
        # A token ends during a stream; the next one begins with another.
        if self._breaks is None and error.reason in _REFUSED_TOKEN:
            self._breaks = Renewals(self._policy, math.inf)
            return 0.0
        self._breaks = self._breaks or Renewals(self._policy, math.inf)
        return self._breaks.pause_seconds(error)
