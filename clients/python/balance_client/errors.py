"""What a refused call raises."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from balance_client._generated.reason import Reason

_DETAILS = "grpc-status-details-bin"
_Detail = TypeVar("_Detail", bound=Message)


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field of a request."""

    field: str
    description: str


class BalanceError(grpc.RpcError):
    """A call was refused, or failed. It can be copied and pickled.

    Args:
        code: The status code.
        message: For people, in English.
        reason: A `Reason`, which is a string such as `INSUFFICIENT_FUNDS`; plain text if the
            service is newer and the client does not know it; empty if the failure is not the
            service's.
        metadata: The reason's facts, such as `missing`.
        violations: What is wrong with the request's fields.
        retry_after_seconds: When to try again, where the service says so.
        localized_message: For people, in the language that was asked for; English if none was.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        reason: Reason | str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Iterable[Violation] = (),
        retry_after_seconds: float | None = None,
        localized_message: str = "",
    ) -> None:
        super().__init__(f"{reason or code.name}: {message}")
        self._code = code
        self.message = message
        self.reason: Reason | str = _reason(reason)
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds
        self.localized_message = localized_message or message

    def code(self) -> grpc.StatusCode:
        """The status code; a method, as of any grpc.RpcError."""
        return self._code

    def details(self) -> str:
        """The message; a method, as of any grpc.RpcError."""
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is copied by calling its class with `args`, which is the text alone.
        return type(self), (self._code, self.message, self.reason), self.__dict__


def from_call(
    code: grpc.StatusCode,
    message: str | None,
    trailers: Any,  # noqa: ANN401 - two shapes, by kind of call
) -> BalanceError:
    """The error that a finished call stands for.

    Args:
        code: Its status code.
        message: Its status message.
        trailers: Its trailing metadata.
    """
    status = _status(next((value for key, value in trailers or () if key == _DETAILS), b""))
    info = _detail(status, error_details_pb2.ErrorInfo)
    bad = _detail(status, error_details_pb2.BadRequest)
    retry = _detail(status, error_details_pb2.RetryInfo)
    localized = _detail(status, error_details_pb2.LocalizedMessage)
    return BalanceError(
        code,
        message or "",
        info.reason,
        info.metadata,
        (Violation(v.field, v.description) for v in bad.field_violations),
        retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None,
        localized.message,
    )


def from_failure(failure: grpc.RpcError) -> BalanceError:
    """The error that gRPC's own stands for."""
    call: Any = failure
    return from_call(call.code(), call.details(), call.trailing_metadata())


def _reason(text: str) -> Reason | str:
    try:
        return Reason(text)
    except ValueError:
        return text


def _status(serialized: bytes) -> status_pb2.Status:
    """The details of a refusal; none if they are not the service's."""
    try:
        return status_pb2.Status.FromString(serialized)
    except DecodeError:
        return status_pb2.Status()


def _detail(status: status_pb2.Status, kind: type[_Detail]) -> _Detail:
    """The first detail of a kind; an empty one if there is none."""
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            found = kind()
            try:
                found.ParseFromString(packed.value)
            except DecodeError:
                break
            return found
    return kind()
