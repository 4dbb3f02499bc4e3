"""StatementService: sums accounts up over periods, and writes their entries into files."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from google.api.httpbody_pb2 import HttpBody

from balance_service._generated.balance.v1 import statement_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain import errors, retry_after
from balance_service.domain.statements import RunningSums
from balance_service.messages import account_access, fields, statement_messages
from balance_service.messages.statement_files import forms
from balance_service.messages.statement_files.form import Heading
from balance_service.messages.statement_files.forms import Form
from balance_service.reading import periods
from balance_service.reading.balances import AccountReads

# A PDF is kept whole until its last page: as many entries take a second and a half of a thread.
PDF_ENTRIES_MAX = 5000
# How many of them a worker lays out at once.
PDFS_MAX = 4
PART_BYTES_MAX = 1 << 18


class StatementServicer:
    """Answers statements for periods.

    Args:
        pool: Where entries are.
        accounts: Reads the accounts of many callers at once.
    """

    service = statement_pb2.DESCRIPTOR.services_by_name["StatementService"]

    def __init__(self, pool: Pool, accounts: AccountReads) -> None:
        self._pool = pool
        self._accounts = accounts
        self._pdfs = 0

    async def GetStatement(
        self, request: statement_pb2.GetStatementRequest, call: Call
    ) -> statement_pb2.Statement:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        period = checks(statement_messages.read_period, request, request.basis)
        checks.finish()

        account_access.check_readable(await self._accounts.get(account_id), call, account_id)
        part = await periods.find(self._pool, account_id, period, call.timeout_seconds)
        return statement_messages.statement(await periods.add_up(self._pool, part))

    async def DownloadStatement(
        self, request: statement_pb2.DownloadStatementRequest, call: Call
    ) -> AsyncIterator[HttpBody]:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        period = checks(statement_messages.read_period, request)
        form = checks(_read_form, request.format)
        checks.finish()

        found = await self._accounts.get(account_id)
        profile = account_access.check_readable(found, call, account_id)
        part = await periods.find(self._pool, account_id, period, call.timeout_seconds)
        if form is Form.PDF and part.length > PDF_ENTRIES_MAX:
            raise errors.StatementTooLong(part.length, PDF_ENTRIES_MAX)
        opening_minor = part.start.balance_minor
        heading = Heading(
            account_id, profile.number, part.currency, period, opening_minor, part.length
        )
        first = HttpBody(content_type=form.media_type)
        name = statement_pb2.StatementFile(name=heading.name + form.suffix)
        first.extensions.add().Pack(name)
        with self._room_for(form):
            written = self._write(form, heading, part, call.language)
            async with contextlib.aclosing(written) as parts:
                async for data in parts:
                    first.data = data
                    yield first
                    first = HttpBody()

    async def _write(
        self, form: Form, heading: Heading, part: periods.Part, language: str
    ) -> AsyncGenerator[bytes, None]:
        """The parts of a file, each made in a thread, so that no other call waits for it."""
        added_up = RunningSums()
        file = await asyncio.to_thread(forms.begin, form, heading, language)
        for data in _cut(file.head()):
            yield data
        async with contextlib.aclosing(periods.lines(self._pool, part, added_up)) as pages:
            async for page in pages:
                for data in _cut(await asyncio.to_thread(file.lines, page)):
                    yield data
        statement = periods.conclude(part, added_up)
        for data in _cut(await asyncio.to_thread(file.tail, statement)):
            yield data

    @contextlib.contextmanager
    def _room_for(self, form: Form) -> Iterator[None]:
        """Counts a file that is kept in memory while it is made.

        Raises:
            Overloaded: As many are made already as may be.
        """
        kept = int(form is Form.PDF)
        if kept and self._pdfs >= PDFS_MAX:
            raise errors.Overloaded(retry_after.OVERLOADED_SECONDS)
        self._pdfs += kept
        try:
            yield
        finally:
            self._pdfs -= kept


def _cut(data: bytes) -> Iterator[bytes]:
    """Parts of a size that every client takes; none of what is empty."""
    for start in range(0, len(data), PART_BYTES_MAX):
        yield data[start : start + PART_BYTES_MAX]


def _read_form(value: int) -> Form:
    try:
        return Form(value or Form.CSV)
    except ValueError:
        raise errors.invalid("format", "must be a known format") from None
