"""Statements in memory: all entries are there, and nothing enters a period that is over."""

from datetime import UTC, datetime
from uuid import UUID

from balance_service._generated.balance.v1 import statement_pb2
from balance_service.calls.call import Call
from balance_service.development.in_memory.ledger import MemoryLedger
from balance_service.domain.statements import Basis, Period, RunningSums, Statement
from balance_service.messages import account_access, fields, statement_messages


class StatementServicer:
    """Sums accounts up over periods; it writes no files."""

    service = statement_pb2.DESCRIPTOR.services_by_name["StatementService"]

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    async def GetStatement(
        self, request: statement_pb2.GetStatementRequest, call: Call
    ) -> statement_pb2.Statement:
        checks = fields.Checks()
        account_id = checks(fields.identifier, request.account, "account")
        period = checks(statement_messages.read_period, request, request.basis)
        checks.finish()
        profile = account_access.check_readable(self._ledger.profile(account_id), call, account_id)
        return statement_messages.statement(
            self._add_up(account_id, profile.account.currency, period)
        )

    def _add_up(self, account_id: UUID, currency: str, period: Period) -> Statement:
        opening_minor = closing_minor = 0
        added_up = RunningSums()
        for entry in self._ledger.entries.get(account_id, ()):
            by_value = period.basis is Basis.VALUE_DATE and entry.effective_at
            moment = by_value or entry.created_at
            if moment < period.start:
                opening_minor += entry.amount_minor
            elif moment < period.end:
                added_up.add([entry])
            if moment < period.end:
                closing_minor += entry.amount_minor
        final = period.is_final(datetime.now(UTC))
        statement = Statement(
            account_id, currency, period, opening_minor, closing_minor, added_up.sums, final
        )
        statement.check()
        return statement
