"""Reads periods, and writes statements as messages of the contract."""

from datetime import UTC, datetime
from typing import Literal, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from balance_service._generated.balance.v1 import account_pb2, statement_pb2
from balance_service.domain import errors
from balance_service.domain.money import format_minor
from balance_service.domain.statements import Basis, Period, Statement, Sum
from balance_service.messages import convert, fields


class PeriodRequest(Protocol):
    """What names a period."""

    @property
    def start_time(self) -> Timestamp: ...

    @property
    def end_time(self) -> Timestamp: ...

    def HasField(self, field_name: Literal["start_time", "end_time"]) -> bool: ...


def read_period(request: PeriodRequest, basis_number: int = Basis.BOOKING_DATE) -> Period:
    """Reads a period that is over.

    Args:
        request: Has its ends.
        basis_number: Which date decides what is in it; 0 for that of booking.

    Raises:
        InvalidFields: It has no beginning or end, ends in the future or not after its beginning.
    """
    checks = fields.Checks()
    start = checks(_read_bound, request, "start_time")
    end = checks(_read_bound, request, "end_time")
    basis = checks(_read_basis, basis_number)
    checks.finish()
    if end <= start:
        raise errors.invalid("end_time", "must be after start_time")
    if end > datetime.now(UTC):
        raise errors.invalid("end_time", fields.IN_THE_FUTURE)
    return Period(start, end, basis)


def statement(made: Statement) -> statement_pb2.Statement:
    """A statement that adds up."""
    return statement_pb2.Statement(
        account=str(made.account_id),
        currency=made.currency,
        basis=statement_pb2.StatementBasis.ValueType(made.period.basis),
        start_time=convert.timestamp(made.period.start),
        end_time=convert.timestamp(made.period.end),
        opening_balance=format_minor(made.opening_minor, made.currency),
        total_in=format_minor(made.in_minor, made.currency),
        total_out=format_minor(made.out_minor, made.currency),
        closing_balance=format_minor(made.closing_minor, made.currency),
        balanced=True,
        entry_count=made.count,
        first_sequence=made.first,
        last_sequence=made.last,
        totals=[_total(one, made.currency) for one in made.sums],
        final=made.final,
    )


def _total(one: Sum, currency: str) -> statement_pb2.StatementTotal:
    return statement_pb2.StatementTotal(
        kind=account_pb2.MovementKind.ValueType(one.kind),
        entry_count=one.entries,
        total_in=format_minor(one.in_minor, currency),
        total_out=format_minor(one.out_minor, currency),
    )


def _read_bound(request: PeriodRequest, name: Literal["start_time", "end_time"]) -> datetime:
    if not request.HasField(name):
        raise errors.invalid(name, "is required: a period has two ends")
    return fields.bound(getattr(request, name), name)


def _read_basis(value: int) -> Basis:
    try:
        return Basis(value or Basis.BOOKING_DATE)
    except ValueError:
        raise errors.invalid("basis", "must be a known basis") from None
