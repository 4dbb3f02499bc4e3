"""LedgerService: the ledger by the accounts of its chart, and as journals for accountants."""

from collections.abc import AsyncIterator
from datetime import datetime, time, timedelta
from typing import Literal

from balance_service._generated.balance.v1 import ledger_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Pool
from balance_service.domain import errors
from balance_service.domain.journals.forms import Detail, Form, Period
from balance_service.messages import fields, ledger_messages
from balance_service.reading import journal_export, trial_balance

PERIOD_MAX = timedelta(days=3700)


class LedgerServicer:
    """Shows the ledger to accountants.

    Args:
        pool: Where it is.
    """

    service = ledger_pb2.DESCRIPTOR.services_by_name["LedgerService"]

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def GetTrialBalance(
        self, request: ledger_pb2.GetTrialBalanceRequest, call: Call
    ) -> ledger_pb2.TrialBalance:
        moment = fields.moment(request.time, "time") if request.HasField("time") else None
        read = await trial_balance.read(self._pool, moment, "time", call.timeout_seconds)
        return ledger_messages.trial_balance(read.time, read.totals)

    async def ExportJournal(
        self, request: ledger_pb2.ExportJournalRequest, call: Call
    ) -> AsyncIterator[ledger_pb2.ExportJournalResponse]:
        checks = fields.Checks()
        detail = checks(_read_detail, request.detail)
        form = checks(_read_form, request.format)
        start = checks(_read_moment, request, "start_time")
        end = checks(_read_moment, request, "end_time")
        checks.finish()
        period = Period(start, end)
        check_period(period, detail)
        parts = journal_export.export(self._pool, period, form, detail, call.timeout_seconds)
        async for text in parts:
            yield ledger_pb2.ExportJournalResponse(text=text)


def check_period(period: Period, detail: Detail) -> None:
    """Checks what a journal is asked for.

    Raises:
        InvalidFields: It ends before it begins, is too long, or lies between minutes, or days.
    """
    checks = fields.Checks()
    for name, moment in (("start_time", period.start), ("end_time", period.end)):
        if detail is Detail.DAY and moment.timetz().replace(tzinfo=None) != time():
            checks.refuse(name, "must be midnight of UTC, where a transaction is a day")
        elif moment.second or moment.microsecond:
            checks.refuse(name, "must be a whole minute")
    if period.end <= period.start:
        checks.refuse("end_time", "must be later than start_time")
    elif period.end - period.start > PERIOD_MAX:
        checks.refuse("end_time", f"must be at most {PERIOD_MAX.days} days after start_time")
    checks.finish()


def _read_moment(
    request: ledger_pb2.ExportJournalRequest, field: Literal["start_time", "end_time"]
) -> datetime:
    if not request.HasField(field):
        raise errors.invalid(field, "must be set")
    return fields.moment(getattr(request, field), field)


def _read_form(value: int) -> Form:
    if value not in ledger_pb2.JournalFormat.values():
        raise errors.invalid("format", "must be a known format")
    return Form(value or Form.HLEDGER)


def _read_detail(value: int) -> Detail:
    if value not in ledger_pb2.JournalDetail.values():
        raise errors.invalid("detail", "must be a known detail")
    return Detail(value or Detail.MOVEMENT)
