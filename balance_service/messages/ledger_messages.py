"""The chart of accounts and the trial balance, to messages of the contract."""

from collections.abc import Sequence
from datetime import datetime

from balance_service._generated.balance.v1 import account_pb2, ledger_pb2
from balance_service.domain.chart import CHART, Total, by_currency
from balance_service.domain.money import format_minor
from balance_service.messages import convert


def trial_balance(time: datetime, totals: Sequence[Total]) -> ledger_pb2.TrialBalance:
    """A trial balance.

    Args:
        time: Its moment.
        totals: What was posted before it.
    """
    currencies = [_currency(code, lines) for code, lines in by_currency(totals).items()]
    return ledger_pb2.TrialBalance(
        time=convert.timestamp(time),
        balanced=all(each.debits == each.credits for each in currencies),
        currencies=currencies,
        chart=_chart(),
    )


def _currency(code: str, lines: Sequence[Total]) -> ledger_pb2.TrialBalanceCurrency:
    debit_minor = sum(line.debit_minor for line in lines)
    credit_minor = sum(line.credit_minor for line in lines)
    return ledger_pb2.TrialBalanceCurrency(
        currency=code,
        lines=map(_line, lines),
        debits=format_minor(debit_minor, code),
        credits=format_minor(credit_minor, code),
        difference=format_minor(credit_minor - debit_minor, code),
    )


def _line(total: Total) -> ledger_pb2.TrialBalanceLine:
    return ledger_pb2.TrialBalanceLine(
        code=total.title.code,
        name=total.title.name,
        debits=format_minor(total.debit_minor, total.currency),
        credits=format_minor(total.credit_minor, total.currency),
        debit_balance=format_minor(total.debit_balance_minor, total.currency),
        credit_balance=format_minor(total.credit_balance_minor, total.currency),
        entries=total.entries,
        accounts=total.accounts,
    )


def _chart() -> list[ledger_pb2.LedgerAccount]:
    return [
        ledger_pb2.LedgerAccount(
            code=title.code,
            name=title.name,
            role=title.role,
            type=ledger_pb2.LedgerAccountType.ValueType(title.type),
            normal_side=ledger_pb2.LedgerSide.ValueType(title.normal_side),
            kinds=[account_pb2.MovementKind.ValueType(kind) for kind in title.kinds],
        )
        for title in CHART.values()
    ]
