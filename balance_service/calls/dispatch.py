"""What surrounds every call: its caller is verified, refusals become statuses, the end is told.

There are no gRPC interceptors: each would cost every call a share of the event loop, and HTTP would
need its own.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from balance_service.auth.tokens import Tokens
from balance_service.calls import access, endings, freshness
from balance_service.calls.access import Rule
from balance_service.calls.call import Call, Metadata, from_metadata
from balance_service.calls.methods import Method
from balance_service.calls.open_streams import OpenStreams
from balance_service.calls.quotas import Quotas
from balance_service.calls.repeats import is_repeatable
from balance_service.calls.standby_offers import is_offered_file
from balance_service.calls.standby_reads import StandbyReads
from balance_service.calls.strangers import COSTS, COUNTED, FORGED
from balance_service.domain import errors, retry_after
from balance_service.domain.client_certificates import read_header
from balance_service.domain.networks import Network
from balance_service.domain.principals import Principal

# What Envoy says of the certificate that a caller showed.
CERTIFICATE_HEADER = "x-forwarded-client-cert"
# A message of the method's type, or its bytes on the wire.
Request: TypeAlias = Message | bytes
# A servicer's method. It takes and gives the messages of the RPC of that name.
Handler: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a call.

    Args:
        message: The answer itself.
        trailers: What the caller hears besides, such as `x-request-id`.
    """

    message: Message
    trailers: Mapping[str, str]


class Servicer(Protocol):
    """Answers the methods of one service.

    For each it has a method of that name, which takes the request, or an iterator of requests, and
    the Call.
    """

    service: ServiceDescriptor


class Calls:
    """The methods of all servicers, each surrounded by what every call needs.

    Args:
        tokens: Verifies callers.
        quotas: What each may have of the worker.
        rules: Who may call what, by the names of RPCs.
        calls_max: How many unary calls may be under way before more are refused.
        proxies: Networks of the proxies in front, whose word for a caller's address is believed.
        certified: Whether the door says which certificate a caller showed: elsewhere, what says so
            is the caller's own word.
    """

    def __init__(
        self,
        tokens: Tokens,
        quotas: Quotas,
        rules: Mapping[str, Rule],
        calls_max: int,
        proxies: Sequence[Network] = (),
        *,
        certified: bool = False,
    ) -> None:
        self._certified = certified
        self.serving = False
        # What answers from standbys; None where nothing is asked of freshness.
        self.standby_reads: StandbyReads | None = None
        self._tokens = tokens
        self._quotas = quotas
        self._rules = rules
        self._calls_max = calls_max
        self._proxies = proxies
        self._under_way = 0
        self._streams = OpenStreams()
        self._services: list[ServiceDescriptor] = []
        self._handlers: dict[str, Handler] = {}

    def add(self, servicer: Servicer) -> None:
        """Lets a servicer answer the methods of its service.

        Raises:
            AttributeError: It lacks one of them.
        """
        for descriptor in servicer.service.methods:
            method = Method(descriptor)
            self._handlers[method.full_name] = getattr(servicer, descriptor.name)
        self._services.append(servicer.service)

    def check_access(self) -> None:
        """Raises AccessTableError unless who may call is known of every method, and of no other."""
        access.check_complete(self._rules, self._services)

    @property
    def services(self) -> Collection[ServiceDescriptor]:
        """The services that are answered."""
        return tuple(self._services)

    @property
    def under_way(self) -> int:
        """How many unary calls are under way."""
        return self._under_way

    @property
    def streams_open(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    async def serves(self) -> bool:
        """Whether this worker can answer, as its health says."""
        return self.serving

    def count_stranger(
        self, peer: str, forwarded_for: str, purpose: str = "", calls: int = 1
    ) -> None:
        """Counts what somebody without a token asks; raises QuotaExceeded if that is too much.

        Args:
            peer: The address of the connection.
            forwarded_for: The header x-forwarded-for.
            purpose: What has a share of its own.
            calls: As how many it counts; one less where the door has counted it.
        """
        if not purpose:
            calls -= COUNTED.get()
        if calls:
            self._quotas.strangers.count(peer, forwarded_for, purpose, calls)

    def sees_forgeries(self) -> bool:
        """Whether some network has had too many tokens that are not good."""
        return self._quotas.strangers.see_forgeries()

    def count_token(self, authorization: str, peer: str, forwarded_for: str) -> None:
        """Counts a token that is not known; for while `sees_forgeries`. Raises as above."""
        if not self._tokens.knows(authorization.partition(" ")[2]):
            self._quotas.strangers.count(peer, forwarded_for, FORGED)

    async def admit(self, method: Method, metadata: Metadata) -> None:
        """Verifies a caller before anything else of the request is read.

        Raises:
            Refused: The method needs a token and there is none, or it is not good.
        """
        started = time.perf_counter()
        call = self._read(method, metadata, None)
        try:
            await self._identify(method, call)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
            raise endings.refused(call, error, started) from None

    async def unary(
        self,
        method: Method,
        request: Request,
        metadata: Metadata,
        timeout_seconds: float | None,
        peer: str = "",
    ) -> Answer:
        """Answers a call.

        Args:
            method: The method.
            request: If it is bytes, these are parsed only once the caller is known.
            metadata: Names are in lower case, as in gRPC.
            timeout_seconds: How long the caller waits; None for ever.
            peer: The address of the connection that the call came by.

        Raises:
            Refused: It was refused, or failed.
        """
        started = time.perf_counter()
        call = endings.began(self._read(method, metadata, timeout_seconds, peer))
        self._under_way += 1
        try:
            if self._under_way > self._calls_max:
                raise errors.Overloaded(retry_after.OVERLOADED_SECONDS)
            await self._identify(method, call)
            if call.caller is None:
                cost = COSTS.get(method.descriptor.name, 1)
                self.count_stranger(peer, call.forwarded_for, calls=cost)
            with self._quotas.call(call.caller) if call.caller else contextlib.nullcontext():
                parsed = _parse(method, request, call)
                self._admit(method, call)
                message = await self._answer(method, parsed, call)
                call.check_proven()
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a status
            raise endings.refused(call, error, started) from None
        except asyncio.CancelledError:
            endings.left(call, started)
            raise
        finally:
            self._under_way -= 1
        endings.answered(call, started)
        return Answer(message, endings.trailers(call))

    async def _answer(self, method: Method, request: Message, call: Call) -> Message:
        handler = self._handlers[method.full_name]
        if self.standby_reads and freshness.is_asked(call):
            return await self.standby_reads.answer(method, request, call, handler)
        answer: Message = await handler(request, call)
        return answer

    async def operate(self, method: Method, request: Message, call: Call) -> Message:
        """Answers a call of an operator whom this machine vouches for, without a token.

        Args:
            method: The method.
            request: What is asked.
            call: With its caller.

        Raises:
            Refusal: It was refused.
        """
        self._admit(method, call)
        answer: Message = await self._handlers[method.full_name](request, call)
        call.check_proven()
        return answer

    async def operate_stream(
        self, method: Method, request: Message, call: Call
    ) -> AsyncIterator[Message]:
        """As `operate`, of a call that has many answers."""
        self._admit(method, call)
        answers: AsyncGenerator[Message, None] = self._handlers[method.full_name](request, call)
        async with contextlib.aclosing(answers) as messages:
            async for message in messages:
                call.check_proven()
                yield message

    async def stream(
        self,
        method: Method,
        request: Request | AsyncIterator[Request],
        metadata: Metadata,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Message]:
        """Answers a call that has many answers, and perhaps many requests.

        Args:
            method: The method.
            request: The request, or an iterator of requests where the method takes a stream.
            metadata: As of `unary`.
            timeout_seconds: As of `unary`.

        Raises:
            Refused: It was refused, or failed; some answers may have been given before.
        """
        started = time.perf_counter()
        call = endings.began(self._read(method, metadata, timeout_seconds))
        try:
            await self._identify(method, call)
            with self._quotas.stream(call.caller) if call.caller else contextlib.nullcontext():
                answers = self._answers(method, request, call)
                async with contextlib.aclosing(self._streams.watched(call, answers)) as messages:
                    async for message in messages:
                        call.check_proven()
                        # A token may expire or be revoked in the middle of a stream.
                        await self._identify(method, call)
                        yield message
        except Exception as error:  # noqa: BLE001 - as above
            raise endings.refused(call, error, started) from None
        except (asyncio.CancelledError, GeneratorExit):
            endings.left(call, started)
            raise
        endings.answered(call, started, is_stream=True)

    def _answers(
        self, method: Method, request: Request | AsyncIterator[Request], call: Call
    ) -> AsyncGenerator[Message, None]:
        handler = self._handlers[method.full_name]
        if isinstance(request, Message | bytes):
            parsed = _parse(method, request, call)
            self._admit(method, call)
            if self.standby_reads and freshness.is_asked(call) and is_offered_file(method):
                return self.standby_reads.file(method, parsed, call, handler)
            answers: AsyncGenerator[Message, None] = handler(parsed, call)
            return answers
        self._admit(method, call)
        return handler(self._requests(method, request, call), call)  # type: ignore[no-any-return]

    def _admit(self, method: Method, call: Call) -> None:
        """Raises PermissionMissing unless the caller may make the call at all."""
        call.admit(self._rules[method.descriptor.name].admit(call.caller))

    async def end_streams(self) -> None:
        """Ends the streams whose token is not good any more; to be called every few seconds."""
        for call in self._streams.open:
            try:
                await self._tokens.verify(call.tokens[0], call.certificate)
            except errors.Refusal as refusal:
                self._streams.end(call, refusal)

    async def _requests(
        self, method: Method, requests: AsyncIterator[Request], call: Call
    ) -> AsyncIterator[Message]:
        """The requests of a stream, for as long as its token is valid."""
        async for request in requests:
            await self._identify(method, call)
            yield _parse(method, request, call)

    def _read(
        self, method: Method, metadata: Metadata, timeout_seconds: float | None, peer: str = ""
    ) -> Call:
        call = from_metadata(method.full_name, metadata, timeout_seconds, peer, self._proxies)
        if self._certified:
            shown = [value for name, value in metadata if name == CERTIFICATE_HEADER]
            call.certificate = read_header(shown[0]) if len(shown) == 1 else None
        return call

    async def _identify(self, method: Method, call: Call) -> None:
        """Finds out who calls, by the token.

        Raises:
            InvalidFields: There are several tokens.
            TokenMissing: There is none, and the method needs one.
            TokenInvalid, TokenExpired: It is not valid, or not any more.
            QuotaExceeded: Too many of the network's were not.
        """
        if len(call.tokens) > 1:
            raise errors.invalid("authorization", "must be given once")
        if call.tokens and call.tokens[0]:
            call.caller = await self._verify(call)
        elif not method.public:
            raise errors.TokenMissing

    async def _verify(self, call: Call) -> Principal:
        """Whom a token stands for. One that is not known yet costs as much as a small call."""
        token, asker = call.tokens[0], (call.peer, call.forwarded_for, FORGED)
        if not self._tokens.knows(token):
            self._quotas.strangers.check(*asker)
        try:
            return await self._tokens.verify(token, call.certificate)
        except (errors.TokenInvalid, errors.TokenExpired):
            self._quotas.strangers.count(*asker)
            raise


def _parse(method: Method, request: Request, call: Call) -> Message:
    """The request of a call as a message.

    Raises:
        MalformedRequest: It is no message of the method's type.
        InvalidFields: A gRPC client sends it again by itself, which is not safe without an id.
    """
    if isinstance(request, bytes):
        try:
            request = GetMessageClass(method.input).FromString(request)
        except DecodeError:
            raise errors.MalformedRequest from None
    if call.sent_before and not is_repeatable(request):
        raise errors.invalid("request_id", "is required of a call that is sent again by gRPC")
    return request
