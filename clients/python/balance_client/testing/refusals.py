"""Refusals as the service makes them, for tests of what a caller does about them."""

from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from balance_client import errors
from balance_client._generated.codes import CODES
from balance_client._generated.reason import Reason
from balance_client.errors import BalanceError

_DOMAIN = "balance.v1"


class RefusedCall(grpc.RpcError):
    """What gRPC's own stubs raise for a refused call: the status, with its details in a trailer."""

    def __init__(self, code: grpc.StatusCode, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self._code = code
        self._status = status

    def code(self) -> grpc.StatusCode:
        """The status code."""
        return self._code

    def details(self) -> str:
        """The message, in English."""
        message: str = self._status.message
        return message

    def trailing_metadata(self) -> tuple[Any, ...]:
        """The trailer with the whole `google.rpc.Status`."""
        return (("grpc-status-details-bin", self._status.SerializeToString()),)


def refusal(
    reason: Reason | str,
    *,
    message: str = "",
    violations: Mapping[str, str] | None = None,
    retry_after_seconds: float | None = None,
    **metadata: str,
) -> BalanceError:
    """The error that the client raises for a refusal.

    Args:
        reason: Such as `INSUFFICIENT_FUNDS`.
        message: For people; the reason's name if it is empty.
        violations: What is wrong with fields, by their paths.
        retry_after_seconds: When to try again.
        metadata: The reason's facts, such as `missing="5.00"`.

    Raises:
        ValueError: There is no such reason.
    """
    return errors.from_failure(
        refused_call(
            reason,
            message=message,
            violations=violations,
            retry_after_seconds=retry_after_seconds,
            **metadata,
        )
    )


def refused_call(
    reason: Reason | str,
    *,
    message: str = "",
    violations: Mapping[str, str] | None = None,
    retry_after_seconds: float | None = None,
    **metadata: str,
) -> RefusedCall:
    """The same as gRPC's own error, for programs that call with stubs of their own.

    The arguments are those of `refusal`.

    Raises:
        ValueError: There is no such reason.
    """
    try:
        code = CODES[Reason(reason)]
    except ValueError:
        near = ", ".join(get_close_matches(reason, list(Reason))) or "see docs/reference/errors.md"
        raise ValueError(f"the service has no reason {reason}: {near}") from None
    message = message or f"Refused: {reason}."
    if retry_after_seconds is not None:
        # The service tells it as a fact, too.
        metadata["retry_after_seconds"] = str(retry_after_seconds)
    number: int = code.value[0]
    status = status_pb2.Status(code=number, message=message)
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=reason, domain=_DOMAIN, metadata=metadata)
    )
    if violations:
        bad_request = error_details_pb2.BadRequest()
        for field, description in violations.items():
            bad_request.field_violations.add(field=field, description=description)
        status.details.add().Pack(bad_request)
    if retry_after_seconds is not None:
        delay = Duration()
        delay.FromTimedelta(timedelta(seconds=retry_after_seconds))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    text = error_details_pb2.LocalizedMessage(locale="en", message=message)
    status.details.add().Pack(text)
    return RefusedCall(code, status)
