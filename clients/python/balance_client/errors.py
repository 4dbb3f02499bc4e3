"""What a refused call raises."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field of a request."""

    field: str
    description: str


class BalanceError(grpc.RpcError):
    """A call was refused, or failed.

    Args:
        code: The status code.
        message: For people, in English.
        reason: Stable, such as `INSUFFICIENT_FUNDS`; empty if the failure is not the service's.
        metadata: The reason's facts, such as `missing`.
        violations: What is wrong with the request's fields.
        retry_after_seconds: When to try again, where the service says so.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: tuple[Violation, ...] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(f"{reason or code.name}: {message}")
        self._code = code
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.violations = violations
        self.retry_after_seconds = retry_after_seconds

    def code(self) -> grpc.StatusCode:
        """The status code; a method, as of any grpc.RpcError."""
        return self._code

    def details(self) -> str:
        """The message; a method, as of any grpc.RpcError."""
        return self.message


def from_call(
    code: grpc.StatusCode,
    message: str,
    trailers: Any,  # noqa: ANN401 - two shapes, by kind of call
) -> BalanceError:
    """The error that a finished call stands for.

    Args:
        code: Its status code.
        message: Its status message.
        trailers: Its trailing metadata.
    """
    serialized = next((value for key, value in trailers or () if key == _DETAILS), None)
    status = status_pb2.Status.FromString(serialized) if serialized else status_pb2.Status()
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    delays = []
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            delays.append(retry.retry_delay.ToTimedelta().total_seconds())
    return BalanceError(
        code,
        message,
        info.reason,
        info.metadata,
        tuple(Violation(v.field, v.description) for v in bad.field_violations),
        delays[0] if delays else None,
    )
