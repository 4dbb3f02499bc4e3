"""Refusals that only HTTP has: of requests that never became calls, one class each.

They are refusals like those of `domain.errors`, in the same table, with headers of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from balance_service.domain import errors

# The rest of the request is not read, so that the connection cannot serve another.
CLOSE: Mapping[str, str] = {"connection": "close"}


@dataclass
class HttpRefusal(errors.Refusal):
    """The request is refused before it becomes a call."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What HTTP adds to the answer."""
        return {}

    def facts(self) -> dict[str, str]:
        # Their fields reach the caller as headers or violations.
        return {}


@dataclass
class RequestMalformed(HttpRefusal):
    """The request could not be read."""

    violations: tuple[errors.Violation, ...] = ()

    @property
    def headers(self) -> Mapping[str, str]:
        return CLOSE if self.violations else {}


@dataclass
class HeadTooLarge(RequestMalformed):
    """The head of the request is too large."""


@dataclass
class RouteNotFound(HttpRefusal):
    """There is nothing at this path."""


@dataclass
class MethodNotAllowed(HttpRefusal):
    """This path does not have this method."""

    allowed: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {"allow": self.allowed}


@dataclass
class RequestTimeout(HttpRefusal):
    """The request did not arrive in time."""


@dataclass
class BodyTooLarge(HttpRefusal):
    """The body is too large."""


@dataclass
class MediaTypeUnsupported(HttpRefusal):
    """The body must be application/json."""

    header: str
    accepted: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {self.header: self.accepted}


@dataclass
class PageNotFound(HttpRefusal):
    """The list has no such page."""


@dataclass
class AnswerTimeout(HttpRefusal):
    """The answer took too long; whether anything was done is not known."""


def malformed(place: str, description: str) -> RequestMalformed:
    """The refusal of what is not HTTP; the connection is closed after it.

    Args:
        place: What is wrong: a header's name, or `target`, `head` or `body`.
        description: What it must be.
    """
    return RequestMalformed((errors.Violation(place, description),))
