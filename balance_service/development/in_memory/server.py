"""Serves the ledger in memory over gRPC, in this process, for as long as a context lasts."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NoReturn, Protocol, TypeAlias, TypeVar
from uuid import UUID

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, error_details_pb2, status_pb2

from balance_service.calls import access, refusals
from balance_service.calls.call import Call, from_metadata
from balance_service.calls.methods import Method, load_contract
from balance_service.development.in_memory import events, servicers, statements
from balance_service.development.in_memory.ledger import MemoryLedger, no_pool
from balance_service.domain import errors
from balance_service.domain.limits import Limits
from balance_service.ledger.commit import Committer
from balance_service.ledger.queue import CommitQueue
from balance_service.messages.instructions import all_kinds
from balance_service.messages.submission import Submission
from balance_service.providers.rates import provider
from balance_service.reading.rates import ExchangeRates

CALLS_MAX = 16
# How soon a stream ends that its caller has left.
LEFT_SECONDS = 0.1
RULES = access.in_force({"user_deposits"})
# The reason of what only a real service knows; no reason of the contract.
NOT_IN_MEMORY = "NOT_IN_MEMORY"
_ARITY = {False: "unary", True: "stream"}
_CODES = {code.value[0]: code for code in grpc.StatusCode}

T = TypeVar("T")

# A coroutine of the answer, or an iterator of answers where they are a stream.
Handler: TypeAlias = Callable[[Any, Call], Any]


class _Servicer(Protocol):
    service: ServiceDescriptor


class InMemoryService:
    """A service that runs.

    Args:
        target: Its address for gRPC, without TLS.
        ledger: What it keeps.
    """

    def __init__(self, target: str, ledger: MemoryLedger) -> None:
        self.target = target
        self._ledger = ledger

    def add_user(self) -> tuple[UUID, str]:
        """A new user's id, and their access token."""
        user_id = self._ledger.add_user()
        return user_id, f"user:{user_id}"


@contextmanager
def serving() -> Iterator[InMemoryService]:
    """Serves on a free port of this machine, from a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="balance-in-memory", daemon=True)
    thread.start()
    ledger = MemoryLedger()
    queue = CommitQueue(
        Committer(ledger, Limits()).commit,
        commits_in_flight_max=1,
        commit_commands_max=1000,
        queue_commands_max=20_000,
    )
    asyncio.run_coroutine_threadsafe(_start(queue), loop).result()
    with ThreadPoolExecutor(CALLS_MAX) as pool:
        server = grpc.server(pool)
        for service, handlers in _handlers(_servicers(ledger, queue), loop).items():
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, handlers),)
            )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield InMemoryService(f"127.0.0.1:{port}", ledger)
        finally:
            server.stop(None).wait()
            asyncio.run_coroutine_threadsafe(queue.drain(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _start(queue: CommitQueue) -> None:
    queue.start()


def _servicers(ledger: MemoryLedger, queue: CommitQueue) -> list[_Servicer]:
    # Prices alone are converted, and there is nothing to buy.
    rates = ExchangeRates(
        no_pool(), provider("static", ""), refresh_after=timedelta.max, stale_after=timedelta.max
    )
    asked = all_kinds.build(ledger.lookups(), rates, RULES)
    shared = ledger, Submission(queue), asked
    return [
        servicers.AuthServicer(),
        servicers.UserServicer(),
        servicers.AccountServicer(ledger),
        servicers.DepositServicer(*shared),
        servicers.WithdrawalServicer(*shared),
        servicers.TransferServicer(*shared),
        servicers.HoldServicer(*shared),
        events.EventServicer(ledger),
        statements.StatementServicer(ledger),
    ]


def _handlers(
    answering: list[_Servicer], loop: asyncio.AbstractEventLoop
) -> dict[str, dict[str, "grpc.RpcMethodHandler[Any, Any]"]]:
    """By service of the contract, all its methods; those that are not in memory are refused."""
    by_service = {servicer.service.full_name: servicer for servicer in answering}
    return {
        service.full_name: {
            descriptor.name: _handler(Method(descriptor), found, loop)
            if (found := getattr(by_service.get(service.full_name), descriptor.name, None))
            else _lacking(descriptor)
            for descriptor in service.methods
        }
        for service in _contract()
    }


def _contract() -> list[ServiceDescriptor]:
    """The services of the contract."""
    return [service for file in load_contract() for service in file.services_by_name.values()]


def _lacking(method: MethodDescriptor) -> "grpc.RpcMethodHandler[Any, Any]":
    """Refuses a method that is not in memory."""

    def refuse(_sent: object, context: grpc.ServicerContext) -> NoReturn:
        _abort(context, _not_in_memory(method.name), {})

    shape = f"{_ARITY[method.client_streaming]}_{_ARITY[method.server_streaming]}"
    handler: grpc.RpcMethodHandler[Any, Any] = getattr(grpc, f"{shape}_rpc_method_handler")(refuse)
    return handler


def _handler(
    method: Method, handler: Handler, loop: asyncio.AbstractEventLoop
) -> "grpc.RpcMethodHandler[Any, Any]":
    """Answers a method from one of gRPC's threads, by code that runs in the loop."""

    def unary(sent: bytes, context: grpc.ServicerContext) -> Message:
        call = _call(method, context)

        async def answer() -> Message:
            message: Message = await handler(await _admitted(method, sent, call), call)
            call.check_proven()
            return message

        with _refusing(context, call):
            message = asyncio.run_coroutine_threadsafe(answer(), loop).result()
        context.set_trailing_metadata(tuple(call.trailers.items()))
        return message

    def stream(sent: bytes, context: grpc.ServicerContext) -> Iterator[Message]:
        call = _call(method, context)
        with _refusing(context, call):
            admitted = _admitted(method, sent, call)
            request = asyncio.run_coroutine_threadsafe(admitted, loop).result()
            answers: AsyncIterator[Message] = handler(request, call)
            while (message := _wait(context, _next(answers), loop)) is not None:
                call.check_proven()
                yield message

    if method.descriptor.server_streaming:
        return grpc.unary_stream_rpc_method_handler(stream, response_serializer=_serialize)
    return grpc.unary_unary_rpc_method_handler(unary, response_serializer=_serialize)


@contextmanager
def _refusing(context: grpc.ServicerContext, call: Call) -> Iterator[None]:
    """Ends the call as refused, if it is."""
    try:
        yield
    except errors.Refusal as refusal:
        _abort(context, refusals.status(refusal, call.language), call.trailers)
    except NotImplementedError as error:
        _abort(context, _not_in_memory(str(error)), {})


def _wait(
    context: grpc.ServicerContext,
    work: Coroutine[Any, Any, T],
    loop: asyncio.AbstractEventLoop,
) -> T | None:
    """What some work comes to; None if the caller leaves before that."""
    running = asyncio.run_coroutine_threadsafe(work, loop)
    while context.is_active():
        with suppress(TimeoutError):
            return running.result(LEFT_SECONDS)
    running.cancel()
    return None


def _call(method: Method, context: grpc.ServicerContext) -> Call:
    pairs = context.invocation_metadata()
    metadata = [(key, value) for key, value in pairs if isinstance(value, str)]
    return from_metadata(method.full_name, metadata, context.time_remaining())


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


async def _next(answers: AsyncIterator[Message]) -> Message | None:
    return await anext(answers, None)


async def _admitted(method: Method, sent: bytes, call: Call) -> Message:
    """Takes the steps that the service takes with every call, without its quotas and its log."""
    if call.tokens:
        call.caller = await servicers.MemoryTokens().verify(call.tokens[0])
    elif not method.public:
        raise errors.TokenMissing
    try:
        request = GetMessageClass(method.input).FromString(sent)
    except DecodeError:
        raise errors.MalformedRequest from None
    if unknown := servicers.find_unknown(method.descriptor.name, request):
        raise NotImplementedError(", ".join(unknown))
    call.admit(RULES[method.descriptor.name].admit(call.caller))
    return request


def _not_in_memory(what: str) -> status_pb2.Status:
    """What refuses a method, or fields of one, that only a real service knows."""
    message = f"The service in memory does not know {what}."
    status = status_pb2.Status(code=code_pb2.UNIMPLEMENTED, message=message)
    facts = {"unknown": what}
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=NOT_IN_MEMORY, domain=refusals.DOMAIN, metadata=facts)
    )
    return status


def _abort(
    context: grpc.ServicerContext, status: status_pb2.Status, trailers: Mapping[str, str]
) -> NoReturn:
    details = (refusals.DETAILS_KEY, status.SerializeToString())
    context.set_trailing_metadata((*trailers.items(), details))
    context.abort(_CODES[status.code], status.message)
