"""What only HTTP refuses: requests that never became calls, one class each.

They are refusals as those of `domain.errors`; what HTTP says besides stands in `headers`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from balance_service.domain import errors

# What is left of the request is not worth reading.
CLOSE: Mapping[str, str] = {"connection": "close"}


@dataclass
class HttpRefusal(errors.Refusal):
    """The request is refused before it becomes a call."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What HTTP says besides."""
        return {}


@dataclass
class RequestMalformed(HttpRefusal):
    """The request could not be read."""

    violations: tuple[errors.Violation, ...] = ()

    def facts(self) -> dict[str, str]:
        return {}

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

    def facts(self) -> dict[str, str]:
        return {}

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

    def facts(self) -> dict[str, str]:
        return {}

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
    """The refusal of a request that is no request, after which its connection is closed.

    Args:
        place: A header's name, or `target`, `head` or `body`.
        description: What it must be.
    """
    return RequestMalformed((errors.Violation(place, description),))
