"""An operator's desk: the service's own calls, answered in this process without a door.

What is done at the desk keeps every rule that callers' requests keep, and takes the same way to the
ledger; the audit log names the operator.
"""

import re
import secrets as random_source
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.message import Message
from pydantic import SecretStr

from balance_service._generated.balance.v1 import account_pb2, user_pb2
from balance_service.calls.call import Call
from balance_service.calls.methods import Method
from balance_service.config import Settings
from balance_service.database import pool
from balance_service.database.pool import Pool, transaction
from balance_service.domain.paging import PAGE_SIZE_MAX
from balance_service.domain.principals import Principal
from balance_service.domain.users import Role
from balance_service.operations.acts import operator_name
from balance_service.repositories import audit_seals
from balance_service.server import app
from balance_service.server.app import App

# One for commits, and two for everything else.
CONNECTIONS = {"pool_size": 3, "commits_in_flight": 1}
# It changes nothing, and is recorded nevertheless.
_RECORDED = {"ExportUser"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

Answer = TypeVar("Answer", bound=Message)


class _OperatorsCall(Call):
    """A call that came over no network."""

    __slots__ = ()

    @property
    def network(self) -> str:
        return ""


class Desk:
    """Asks the service's calls as the operator who is logged in at this machine.

    Args:
        built: The service's objects, connected.
    """

    def __init__(self, built: App) -> None:
        self._calls = built.calls
        self._changes = built.changes
        self._operator = Principal(operator_name(), None, Role.ADMIN)
        self._methods = {
            descriptor.name: Method(descriptor)
            for service in built.calls.services
            for descriptor in service.methods
        }
        self.keys = built.keys
        self.pool: Pool = built.pool
        self.acted = False

    async def ask(self, request: Message, answer: type[Answer]) -> Answer:
        """Carries out the RPC whose request this is.

        Args:
            request: What is asked.
            answer: What the RPC answers.

        Raises:
            Refusal: It was refused, and nothing was changed.
        """
        method = self._methods[type(request).__name__.removesuffix("Request")]
        call = self._call(method)
        answered = await self._calls.operate(method, request, call)
        self.acted = self.acted or not method.reads or method.descriptor.name in _RECORDED
        assert isinstance(answered, answer), "the contract says so"
        return answered

    def stream(self, request: Message) -> AsyncIterator[Any]:
        """What an RPC that reads answers, message by message."""
        method = self._methods[type(request).__name__.removesuffix("Request")]
        return self._calls.operate_stream(method, request, self._call(method))

    async def set_limits_for(
        self, request: account_pb2.SetAccountLimitsRequest, life: timedelta
    ) -> account_pb2.Account:
        """Sets limits for a time, which no RPC does; as of `AccountChanges.set_limits_for`."""
        self.acted = True
        call = self._call(self._methods["SetAccountLimits"])
        return await self._changes.set_limits_for(request, call, life)

    async def list(self, request: Any, answer: type[Message], field: str, limit: int) -> list[Any]:  # noqa: ANN401 - any request with pages
        """What an RPC lists, page by page.

        Args:
            request: What is asked; its page is chosen here.
            answer: What the RPC answers.
            field: Where that has what is listed.
            limit: How much at most.
        """
        pages = self.pages(request, answer, field, limit)
        return [one async for page in pages for one in getattr(page, field)]

    async def pages(
        self,
        request: Any,  # noqa: ANN401 - any request with pages
        answer: type[Message],
        field: str,
        limit: int,
    ) -> AsyncIterator[Any]:
        """The answers of an RPC that lists page by page; the arguments are those of `list`."""
        found = 0
        while found < limit:
            request.page_size = min(limit - found, PAGE_SIZE_MAX)
            page: Any = await self.ask(request, answer)
            found += len(getattr(page, field))
            yield page
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def user(self, name: str) -> user_pb2.User:
        """The user of an id, an e-mail address or a username.

        Raises:
            UserNotFound: There is none.
            InvalidFields: It is none of these.
        """
        if _UUID.fullmatch(name):
            return await self.ask(user_pb2.GetUserRequest(user=name), user_pb2.User)
        named = {"email" if "@" in name else "username": name}
        return await self.ask(user_pb2.LookupUserRequest(**named), user_pb2.User)

    async def account(self, name: str) -> account_pb2.Account:
        """The account of an id or a number.

        Raises:
            AccountNotFound: There is none.
            InvalidFields: It is neither.
        """
        if name.isdigit():
            looked_up = account_pb2.LookupAccountRequest(number=name)
            return await self.ask(looked_up, account_pb2.Account)
        return await self.ask(account_pb2.GetAccountRequest(account=name), account_pb2.Account)

    def _call(self, method: Method) -> Call:
        return _OperatorsCall(method.full_name, "", caller=self._operator)


class _NoDoor:
    """Answers no port."""

    port: int = 0
    http_port: int | None = None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class _NoMail:
    """Sends nothing: nobody signs in at the desk."""

    async def send(self, to: str, subject: str, text: str) -> None:  # noqa: ARG002 - a Mailer's
        raise AssertionError("no act of an operator sends a mail")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Desk]:
    """A desk on the database that settings name; the service may run, and need not.

    Without a secret, one of chance stands in: pages that are asked for here go on here. Who needs
    the service's own has to check that it is given.

    Raises:
        DatabaseUnavailable: Postgres is away.
    """
    changes: dict[str, object] = dict(CONNECTIONS)
    if not settings.secret.get_secret_value():
        changes["secret"] = SecretStr(random_source.token_urlsafe(48))
    built = app.build(settings.model_copy(update=changes), _NoMail(), lambda *_: _NoDoor())
    async with pool.opened(built.pool), pool.opened(built.commit_pool):
        desk = Desk(built)
        built.queue.start()
        try:
            yield desk
        finally:
            await built.queue.drain()
            if desk.acted:
                async with transaction(built.pool) as conn:
                    await audit_seals.seal(conn)
